// Draws what is seen of the board. Lines on photographs are light and dark at once, so that they show on any picture.
const LIGHT = "#fff", DARK = "#1c1917", ACCENT = "#0f766e", USES = "#F0E442"; // Okabe and Ito's yellow
let viewed = "grid"; // picture, grid, numbers, compare, change
let split = 0.5; // where the slider stands
let planned = 0;

/** Draws before the next frame, once. */
function draw() {
  planned ||= requestAnimationFrame(() => {
    planned = 0;
    if (grid && element.isConnected && canvas.width > 1) drawAll();
  });
}
function drawAll() {
  const density = canvas.width / parseFloat(canvas.style.width);
  pen.setTransform(density, 0, 0, density, -view.scrollLeft * density, -view.scrollTop * density);
  pen.clearRect(view.scrollLeft, view.scrollTop, canvas.width, canvas.height);
  drawPicture();
  drawMarks();
  if (viewed === "grid" || viewed === "numbers") drawLines();
  if (viewed === "numbers") drawNumbers();
  if (viewed === "compare") return drawSplit();
  if (lit) drawUses();
  if (region) outline(region, { dash: [6, 5], thick: 2 });
  handled()?.drawn?.();
  if (selected) outline([selected[0], selected[1], selected[0] + 1, selected[1] + 1], { thick: tool === "look" ? 3 : 1 });
  if (hovered) outline([hovered[0], hovered[1], hovered[0] + 1, hovered[1] + 1], { thick: 1 });
  if (press?.type === "touch" && handled()?.precise && cellSide() < LARGE_CELL) drawLoupe(density);
}

/** Pixels of the picture stay sharp where they are large. */
function put(image, most = [width(), height()]) {
  pen.imageSmoothingEnabled = scale < 3;
  pen.imageSmoothingQuality = "high";
  pen.drawImage(image, 0, 0, most[0] * scale, most[1] * scale);
}
function drawPicture() {
  if (!pictures.decoded) {
    pen.fillStyle = "#8884";
    pen.fillRect(0, 0, width() * scale, height() * scale);
  } else put(pictures.decoded);
  if (viewed === "change") drawChange();
  if (viewed === "numbers") wash(dark() ? "rgba(22,21,19,.78)" : "rgba(251,250,247,.84)");
}
function wash(colour) {
  pen.fillStyle = colour;
  pen.fillRect(0, 0, width() * scale, height() * scale);
}
const dark = () => document.body.classList.contains("dark");
function drawChange() {
  if (!change) return wash("rgba(11,12,22,.82)");
  const { sheet: map, px } = change;
  pen.imageSmoothingEnabled = false;
  pen.drawImage(map, 0, 0, map.width * px * scale, map.height * px * scale);
}

/** The box of a region in CSS pixels of the sheet, cut where the picture ends. */
function boxOf([top, left, bottom, right]) {
  const side = cellSide(), x = left * side, y = top * side;
  return [x, y, Math.min(right * side, width() * scale) - x, Math.min(bottom * side, height() * scale) - y];
}
const cellBox = (row, column) => boxOf([row, column, row + 1, column + 1]);

/** A line that is seen on any picture: dark outside, light inside, drawn within the box. */
function outline(box, { thick, dash = [], light = LIGHT }) {
  const [x, y, w, h] = boxOf(box), within = (inset) => pen.strokeRect(x + inset, y + inset, Math.max(w - 2 * inset, 1), Math.max(h - 2 * inset, 1));
  pen.lineWidth = thick + 2;
  pen.strokeStyle = DARK;
  pen.setLineDash([]);
  within(thick / 2);
  pen.lineWidth = thick;
  pen.strokeStyle = light;
  pen.setLineDash(dash);
  within(thick / 2);
  pen.setLineDash([]);
}

/** Hidden cells are hatched; those whose picture is still on its way are paler, with a frame. */
function drawMarks() {
  const holes = new Path2D(), frames = new Path2D(), side = cellSide();
  let hidden = false, late = false;
  eachIn(seenCells(), (place, row, column) => {
    const [x, y, w, h] = cellBox(row, column);
    if (now.hole[place]) {
      holes.rect(x, y, w, h);
      hidden = true;
    } else if (pending(place)) {
      frames.rect(x, y, w, h);
      late = true;
    }
  });
  if (late) {
    pen.fillStyle = "rgba(255,255,255,.45)";
    pen.fill(frames);
    pen.strokeStyle = ACCENT;
    pen.lineWidth = clamp(side / 8, 1, 3);
    pen.stroke(frames);
  }
  if (hidden) hatch(holes);
}
let tile = null; // one square of the hatching
function hatch(path) {
  if (!tile) {
    tile = Object.assign(document.createElement("canvas"), { width: 8, height: 8 });
    const c = tile.getContext("2d");
    c.fillStyle = "#3a3733";
    c.fillRect(0, 0, 8, 8);
    c.strokeStyle = "#8a847b";
    c.lineWidth = 1.5;
    for (const shift of [-8, 0, 8]) {
      c.beginPath();
      c.moveTo(shift, 8);
      c.lineTo(shift + 8, 0);
      c.stroke();
    }
  }
  pen.fillStyle = pen.createPattern(tile, "repeat");
  pen.fill(path);
}

function drawLines() {
  const side = cellSide();
  if (side < 4) return;
  const [top, left, bottom, right] = seenCells(), [w, h] = [width() * scale, height() * scale];
  pen.beginPath();
  for (let column = Math.max(left, 1); column < right; column++) {
    pen.moveTo(column * side, view.scrollTop);
    pen.lineTo(column * side, Math.min(h, view.scrollTop + view.clientHeight));
  }
  for (let row = Math.max(top, 1); row < bottom; row++) {
    pen.moveTo(view.scrollLeft, row * side);
    pen.lineTo(Math.min(w, view.scrollLeft + view.clientWidth), row * side);
  }
  pen.lineWidth = 1;
  pen.globalAlpha = clamp(side / 14, 0.3, 1); // lines that stand close must not cover the picture
  pen.strokeStyle = viewed === "numbers" ? (dark() ? "rgba(255,255,255,.22)" : "rgba(28,25,23,.2)") : "rgba(255,255,255,.38)";
  pen.stroke();
  pen.globalAlpha = 1;
}
function drawNumbers() {
  const side = cellSide(), letters = String(grid.codes - 1).length;
  const size = Math.min(side * 0.5, (side * 0.86) / (letters * 0.6));
  if (size < 7) return;
  pen.font = "500 " + size + "px ui-monospace, Consolas, monospace";
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  eachIn(seenCells(), (place, row, column) => {
    if (now.hole[place]) return;
    const used = now.indices[place] === code;
    pen.fillStyle = used ? (dark() ? USES : ACCENT) : dark() ? "#ece9e3" : DARK;
    pen.fillText(String(now.indices[place]), (column + 0.5) * side, (row + 0.52) * side);
  });
}

/** Every place that uses the brush's code. */
function drawUses() {
  if (code === null) return;
  const side = cellSide(), inset = Math.min(side / 6, 3), path = new Path2D();
  eachIn(seenCells(), (place, row, column) => {
    if (now.indices[place] !== code || now.hole[place]) return;
    const [x, y, w, h] = cellBox(row, column);
    path.rect(x + inset / 2, y + inset / 2, Math.max(w - inset, 1), Math.max(h - inset, 1));
  });
  for (const [colour, thick] of [[DARK, Math.max(inset + 1, 2)], [USES, Math.max(inset - 0.5, 1)]]) {
    pen.lineWidth = thick;
    pen.strokeStyle = colour;
    pen.stroke(path);
  }
}

/** Left of the slider the original or its rival, right of it what the codes decode to. */
function drawSplit() {
  const left = comparedPicture(), x = split * width() * scale, h = height() * scale;
  if (left) {
    pen.save();
    pen.beginPath();
    pen.rect(0, 0, x, h);
    pen.clip();
    put(left);
    pen.restore();
  }
  for (const [colour, thick] of [[DARK, 4], [LIGHT, 2]]) {
    pen.fillStyle = colour;
    pen.fillRect(x - thick / 2, 0, thick, h);
  }
  const y = clamp(view.scrollTop + view.clientHeight / 2, 20, h - 20);
  pen.beginPath();
  pen.arc(x, y, 14, 0, 7);
  pen.fillStyle = LIGHT;
  pen.fill();
  pen.lineWidth = 1.5;
  pen.strokeStyle = DARK;
  pen.stroke();
  pen.beginPath();
  for (const way of [-1, 1]) {
    pen.moveTo(x + way * 4, y - 4);
    pen.lineTo(x + way * 8, y);
    pen.lineTo(x + way * 4, y + 4);
  }
  pen.stroke();
}

/** Under a thumb nothing is seen: the cells about it stand enlarged in the corner that is farther away. */
function drawLoupe(density) {
  const side = 104, [row, column] = press.cell, span = Math.max(5 * cellSide(), 40);
  const [x, y] = [(column + 0.5) * cellSide() - view.scrollLeft, (row + 0.5) * cellSide() - view.scrollTop];
  const left = x < canvas.clientWidth / 2 ? canvas.clientWidth - side - 6 : 6;
  const from = [x - span / 2, y - span / 2, span, span].map((each) => each * density);
  pen.setTransform(density, 0, 0, density, 0, 0);
  pen.fillStyle = "#77736c";
  pen.fillRect(left, 6, side, side);
  pen.imageSmoothingEnabled = false;
  pen.drawImage(canvas, ...from, left, 6, side, side);
  for (const [colour, thick] of [[DARK, 4], [LIGHT, 2]]) {
    pen.lineWidth = thick;
    pen.strokeStyle = colour;
    pen.strokeRect(left, 6, side, side);
  }
}
