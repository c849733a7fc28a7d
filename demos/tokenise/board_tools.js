// The tools: what each does with the cell under pointer or keys. down, move and up get [row, column]; enter is the key.
// precise: one finger belongs to the tool, so that the page does not scroll under it; two fingers zoom and move.
const TOOLS = ["look", "paint", "copy", "region", "hole"], WIDTHS = [1, 3, 5];
let tool = "look", brushWidth = 1;
let hovered = null, byKeys = false; // the cell that is pointed at
let drawn = null; // what is being drawn: {from, to} of a rectangle, or {last, stepped, to} of a stroke
let clip = null; // what was copied: {indices, hole, rows, columns, image}

const handled = () => (viewed === "compare" ? null : tools[tool]);

/** A stroke of the brush; each of its cells becomes what `touch` makes of the grid, all in one undo step. */
const brush = (start, touch) => ({
  precise: true,
  down(cell) {
    const begun = start(cell);
    if (begun === null) return;
    drawn = { last: cell, stepped: false, to: begun };
    this.move(cell);
  },
  move(cell) {
    if (!drawn) return;
    const reached = line(drawn.last, cell).map(([row, column]) => block(row, column, brushWidth));
    drawn.stepped = edit(touch(reached, drawn.to), { step: !drawn.stepped }) || drawn.stepped;
    drawn.last = cell;
  },
  up() {
    drawn = null;
  },
  enter(cell) {
    this.down(cell);
    this.up();
  },
  drawn() {
    if (hovered && brushWidth > 1) outline(block(...hovered, brushWidth), { thick: 1 });
  },
});
function covered(blocks, array, value) {
  const next = array.slice();
  for (const each of blocks) eachIn(each, (place) => { next[place] = value; });
  return next;
}

/** A rectangle between two corners; `done` gets it as a region. */
const rectangle = (done) => ({
  precise: true,
  down(cell) {
    drawn = { from: cell, to: cell };
  },
  move(cell) {
    if (drawn) drawn.to = cell;
  },
  up(cell) {
    if (!drawn) return;
    const box = between(drawn.from, cell);
    drawn = null;
    done(box);
  },
  enter(cell) {
    if (drawn) this.up(cell);
    else this.down(cell);
  },
  drawn() {
    if (drawn?.from) outline(between(drawn.from, drawn.to), { dash: [3, 3], thick: 2 });
  },
});

function copyFrom([top, left, bottom, right]) {
  const indices = [];
  eachIn([top, left, bottom, right], (place) => indices.push(now.indices[place]));
  const [x, y] = [left * grid.cell, top * grid.cell], image = document.createElement("canvas");
  const [w, h] = [Math.min(right * grid.cell, width()) - x, Math.min(bottom * grid.cell, height()) - y];
  Object.assign(image, { width: w, height: h });
  if (pictures.decoded) image.getContext("2d").drawImage(pictures.decoded, x, y, w, h, 0, 0, w, h);
  clip = { indices, rows: bottom - top, columns: right - left, image };
  write();
}
/** Where a stamp about a cell has its upper left corner; it may stand over the grid's edge. */
const cornerOfStamp = ([row, column]) => [row - ((clip.rows - 1) >> 1), column - ((clip.columns - 1) >> 1)];
function stamp(cell) {
  const [top, left] = cornerOfStamp(cell), indices = now.indices.slice();
  clip.indices.forEach((each, i) => {
    const row = top + Math.floor(i / clip.columns), column = left + (i % clip.columns);
    if (row >= 0 && column >= 0 && row < grid.rows && column < grid.columns) indices[placeOf(row, column)] = each;
  });
  edit({ indices });
}
const cutting = rectangle(copyFrom);

const tools = {
  look: {
    precise: false,
    down() {},
    move() {},
    up: (cell) => select(...cell),
    enter: (cell) => select(...cell),
  },
  paint: brush(
    () => {
      if (code === null) tell({ key: "board_code_first" });
      lit = false; // a brush should see what it paints
      return code;
    },
    (blocks, value) => ({ indices: covered(blocks, now.indices, value) }),
  ),
  copy: {
    precise: true,
    down: (cell) => clip || cutting.down(cell),
    move: (cell) => cutting.move(cell),
    up: (cell) => (clip ? stamp(cell) : cutting.up(cell)), // a second finger may still make it a zoom
    enter: (cell) => (clip ? stamp(cell) : cutting.enter(cell)),
    drawn() {
      if (!clip) return cutting.drawn();
      if (hovered) drawStamp(...cornerOfStamp(hovered));
    },
  },
  region: rectangle(setRegion),
  hole: brush(
    (cell) => 1 - now.hole[placeOf(...cell)], // a stroke that begins on a hole fills it again
    (blocks, value) => ({ hole: covered(blocks, now.hole, value) }),
  ),
};
function drawStamp(top, left) {
  const side = cellSide();
  pen.globalAlpha = 0.8;
  pen.imageSmoothingEnabled = scale < 3;
  pen.drawImage(clip.image, left * side, top * side, clip.image.width * scale, clip.image.height * scale);
  pen.globalAlpha = 1;
  outline([top, left, top + clip.rows, left + clip.columns], { dash: [3, 3], thick: 1 });
}

function choose(name) {
  cancel();
  clip = null;
  tool = name;
  if (name === "look") lit = true;
  if (viewed === "compare") setView("grid"); // the slider takes the pointer there
  if (name === "copy" && region) copyFrom(region);
  write();
  draw();
}
/** Another grid: what was copied, and a slider without an original, belong to the one before. */
function forgetTools() {
  [clip, drawn, hovered] = [null, null, null];
  if (viewed === "compare" && !grid?.original) viewed = "grid";
}
/** Ends what is being drawn, without it. A stroke stays as far as it went. */
function cancel() {
  drawn = null;
  draw();
}
const hideAll = (all) => edit({ hole: new Uint8Array(count()).fill(all ? 1 : 0) });

// --- what panels may ask for ---
addEventListener("lucida-board-pick", ({ detail }) => {
  if (!element.isConnected || !grid || !detail) return;
  const { row, column } = detail, fits = Number.isInteger(detail.code) && detail.code >= 0 && detail.code < grid.codes;
  if (TOOLS.includes(detail.tool)) choose(detail.tool);
  if (Number.isInteger(row) && Number.isInteger(column)) {
    select(row, column);
    bring(...selected);
  }
  if (fits) takeCode(detail.code);
});
addEventListener("lucida-board-put", ({ detail }) => {
  if (!element.isConnected || !grid || !detail) return;
  const { code: put, row, column } = detail, whole = [put, row, column].every((each) => Number.isInteger(each) && each >= 0);
  if (whole && put < grid.codes && row < grid.rows && column < grid.columns) {
    edit({ indices: covered([block(row, column, 1)], now.indices, put) });
  }
});
addEventListener("lucida-board-put", ({ detail }) => {
  if (!element.isConnected || !grid || !(detail?.code >= 0 && detail.code < grid.codes)) return;
  const { row, column } = detail;
  if (row >= 0 && column >= 0 && row < grid.rows && column < grid.columns) {
    edit({ indices: covered([[row, column, row + 1, column + 1]], now.indices, detail.code) });
  }
});
addEventListener("lucida-board-hole", ({ detail }) => {
  if (element.isConnected && grid) hideAll(detail?.all);
});
addEventListener("lucida-board-ask", () => element.isConnected && tellPanels());
/** The brush's code, without a token being chosen. */
function takeCode(value) {
  takeUp(value);
  if (selected && now.indices[placeOf(...selected)] !== code) selected = null;
  changed();
}
