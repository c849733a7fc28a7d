// The codebook: all codes as a map of their patches, and how often they are used. What is on the board is counted here,
// after every edit; the set of photographs was counted in Python.
const map = $(".map"), canvas = $(".sheet canvas"), said = $(".said"), patch = $(".patch"), bars = $(".bars");
const MARKS = ["here", "set", "all"], PARTS = [0.25, 0.5];
const VEIL = "rgb(140 140 140 / .85)"; // grey: black and white patches stand out from it alike
let book = null, sheet = null, placeOf = null; // what Python sent; its picture; where each code lies in the map
let board = null, here = null, set = null; // the board as it told last; usage there and over the set
let marked = "here", hot = -1, asked = 0, frame = 0; // codes that stand out; the code that is pointed at
const ground = document.createElement("canvas"); // the map without what is pointed at

// --- what Python and the board send ---
async function take() {
  const value = props.value, ticket = ++asked;
  if (!value) {
    [book, sheet, set] = [null, null, null];
    return write();
  }
  const image = new Image();
  image.src = value.sheet.url;
  await image.decode();
  if (ticket !== asked) return;
  const places = unpack(value.places);
  [book, sheet] = [{ ...value, places }, image];
  placeOf = new Int32Array(value.codes).fill(-1);
  places.forEach((code, place) => { if (code < value.codes) placeOf[code] = place; });
  set = value.set && counted(Float64Array.from(unpack(value.set.counts)));
  if (hot >= value.codes) hot = -1;
  recount();
}
addEventListener("lucida-board", ({ detail }) => { // a stroke of the brush tells of every cell: counted once a frame
  if (!element.isConnected) return;
  frame ||= requestAnimationFrame(recount);
  board = detail;
});
function recount() {
  frame = 0;
  here = board && usage(board.indices, board.codes);
  write();
}
const fits = () => book && board && board.codes === book.codes;

// --- the map ---
const size = () => [book.places.length / book.columns, book.columns];
function draw() {
  if (!book || !canvas.clientWidth) return;
  const [rows, columns] = size(), side = Math.max(1, Math.floor((canvas.clientWidth * devicePixelRatio) / columns));
  Object.assign(ground, { width: side * columns, height: side * rows });
  const pen = ground.getContext("2d");
  pen.imageSmoothingEnabled = side < book.cell;
  pen.drawImage(sheet, 0, 0, ground.width, ground.height);
  dim(pen, side);
  drawPoint();
}
/** The map with the board's code and the one that is pointed at in frames. */
function drawPoint() {
  if (!book || !ground.width) return;
  Object.assign(canvas, { width: ground.width, height: ground.height });
  const pen = canvas.getContext("2d");
  pen.drawImage(ground, 0, 0);
  outlines(pen, ground.width / book.columns);
  canvas.dataset.hot = hot;
}
/** Codes that the chosen sample does not use lie under a veil. */
function dim(pen, side) {
  const counts = marked === "here" ? fits() && here.counts : marked === "set" && set?.counts;
  if (!counts) return;
  pen.fillStyle = VEIL;
  book.places.forEach((code, place) => {
    if (!(counts[code] > 0)) pen.fillRect((place % book.columns) * side, Math.floor(place / book.columns) * side, side, side);
  });
}
function outlines(pen, side) {
  const outline = (code, colours, wide) => {
    if (code == null || !(placeOf[code] >= 0)) return;
    const x = (placeOf[code] % book.columns) * side, y = Math.floor(placeOf[code] / book.columns) * side, out = Math.max(side, 6 * devicePixelRatio);
    const from = (side - out) / 2;
    colours.forEach((colour, i) => {
      pen.strokeStyle = colour;
      pen.lineWidth = wide * devicePixelRatio * (i ? 1 : 3);
      pen.strokeRect(x + from, y + from, out, out);
    });
  };
  if (fits()) outline(board.code, ["#fff", "#0f766e"], 1.5);
  outline(hot, ["#fff", "#000"], 1.5);
}
function drawPatch() {
  patch.hidden = hot < 0 || !book;
  if (patch.hidden) return;
  const { cell } = book, [rows, columns] = size(), place = placeOf[hot], from = sheet.naturalWidth / columns;
  Object.assign(patch, { width: cell, height: cell });
  patch.getContext("2d").drawImage(sheet, (place % columns) * from, Math.floor(place / columns) * (sheet.naturalHeight / rows), from, from, 0, 0, cell, cell);
}

// --- pointing and picking ---
function codeAt(event) {
  const [rows, columns] = size(), frame = canvas.getBoundingClientRect();
  const column = clamp(Math.floor(((event.clientX - frame.left) / frame.width) * columns), 0, columns - 1);
  const row = clamp(Math.floor(((event.clientY - frame.top) / frame.height) * rows), 0, rows - 1);
  const code = book.places[row * columns + column];
  return code < book.codes ? code : -1;
}
function point(code) {
  if (code === hot) return;
  hot = code;
  drawPoint();
  say();
}
function pick(code) {
  if (code < 0 || !fits()) return;
  point(code);
  dispatchEvent(new CustomEvent("lucida-board-pick", { detail: { code, tool: "paint" } }));
  said.textContent = word("codebook_picked", { index: code });
}
const paint = button($(".acts"), "paint", () => pick(hot));
canvas.addEventListener("pointermove", (event) => book && point(codeAt(event)));
canvas.addEventListener("pointerdown", (event) => { if (book && event.pointerType === "touch") point(codeAt(event)); });
canvas.addEventListener("click", (event) => { // a finger has no hover: it points, and the button below takes the code
  if (book && event.pointerType !== "touch") pick(codeAt(event));
});
canvas.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
  if (!book || !(step || event.key === "Enter")) return;
  event.preventDefault();
  if (!step) return pick(hot);
  const [rows, columns] = size(), place = hot < 0 ? 0 : placeOf[hot];
  const row = clamp(Math.floor(place / columns) + step[0], 0, rows - 1), column = clamp((place % columns) + step[1], 0, columns - 1);
  const code = book.places[row * columns + column];
  if (code < book.codes) point(code);
});
const markButtons = MARKS.map((name) => button($(".marks"), name, () => {
  marked = name;
  write();
}));

// --- words ---
const whole = (value) => Math.round(value).toLocaleString("en");
const joined = (sentences) => sentences.join(language() === "zh" ? "" : " ");
const share = (part, of) => ((100 * part) / of).toFixed(1) + " %";
function write() {
  $(".none").textContent = word("codebook_none");
  $(".none").hidden = Boolean(book);
  map.hidden = !book;
  if (book) writeMap();
  writeTable();
  writeSample();
  writeDead();
  chart();
  say();
}
function writeMap() {
  markButtons.forEach((made, i) => {
    made.textContent = word("codebook_mark_" + MARKS[i]);
    made.setAttribute("aria-pressed", String(marked === MARKS[i]));
    made.hidden = MARKS[i] === "set" && !set;
  });
  const [rows, columns] = size();
  canvas.setAttribute("aria-label", word("codebook_canvas", { codes: book.codes }));
  canvas.style.aspectRatio = columns + " / " + rows;
  paint.textContent = word("codebook_paint");
  $(".how").textContent = word("codebook_how", { share: Math.round(100 * book.explained) });
  draw();
}
function say() {
  drawPatch();
  paint.disabled = hot < 0 || !fits();
  if (!book) return;
  if (hot < 0) return void (said.textContent = word("codebook_hint"));
  const told = [word("codebook_code", { index: hot })];
  if (fits()) told.push(word("codebook_count_here", { n: whole(here.counts[hot]) }));
  if (set) told.push(word("codebook_count_set", { n: whole(set.counts[hot]) }));
  said.textContent = joined(told);
}

/** A column for each sample that is known: [head, tokens, used, codes, perplexity]. */
function samples() {
  const known = [];
  if (here) known.push([word("codebook_here"), here.tokens, here.used, board.codes, here.perplexity]);
  if (set) known.push([word("codebook_set", { n: book.set.pictures }), set.tokens, set.used, book.codes, set.perplexity]);
  const card = book?.card;
  if (card) known.push([word("codebook_card", { n: card.pictures }), card.tokens, card.used, card.codes, card.perplexity]);
  return known;
}
function writeTable() {
  const known = samples(), cells = (name, texts) => texts.map((text) => Object.assign(document.createElement(name), { textContent: text }));
  $("table").hidden = !known.length;
  $(".none-here").textContent = here ? "" : word("codebook_no_grid");
  $("thead tr").replaceChildren(...cells("th", ["", ...known.map(([head]) => head)]));
  const lines = [
    ["codebook_tokens", ([, tokens]) => whole(tokens)],
    ["codebook_used", ([, , used, codes]) => `${whole(used)} / ${whole(codes)}`],
    ["codebook_used_share", ([, , used, codes]) => share(used, codes)],
    ["codebook_perplexity", ([, , , , perplexity]) => whole(perplexity)],
  ];
  $("tbody").replaceChildren(...lines.map(([name, of]) => {
    const row = document.createElement("tr"), head = document.createElement("th");
    row.dataset.name = name;
    head.scope = "row";
    head.textContent = word(name);
    row.append(head, ...cells("td", known.map(of)));
    return row;
  }));
}
/** The perplexity of smaller samples of the very same grid: what the warning means. */
function writeSample() {
  const node = $(".sample");
  node.textContent = "";
  if (!here || here.tokens < 16) return;
  const [quarter, half] = PARTS.map((part) => whole(usage(sample(board.indices, part), board.codes).perplexity));
  node.textContent = word("codebook_sample", { quarter, half, all: whole(here.perplexity), tokens: whole(here.tokens) });
}
function writeDead() {
  const dead = set ? [...set.counts.keys()].filter((code) => !set.counts[code]) : [], most = 12;
  $(".dead").textContent = !set ? "" : !dead.length ? word("codebook_dead_none", { codes: whole(book.codes) }) : word("codebook_dead", {
    n: whole(dead.length), tokens: whole(set.tokens), list: dead.slice(0, most).join(", ") + (dead.length > most ? " …" : ""),
  });
}

// --- the histogram: shares of the codes, the commonest first ---
function chart() {
  const lines = [["--accent-text", here], ["--contrary", set]].filter(([, of]) => of);
  $(".chart").hidden = $(".key").hidden = !lines.length;
  if (!lines.length || !bars.clientWidth) return;
  const scale = devicePixelRatio, width = Math.round(bars.clientWidth * scale), height = Math.round(bars.clientHeight * scale);
  Object.assign(bars, { width, height });
  const pen = bars.getContext("2d"), style = getComputedStyle(bars);
  const sorted = lines.map(([, of]) => Array.from(of.counts, (n) => n / of.tokens).sort((a, b) => b - a));
  const most = Math.max(...sorted.map(([first]) => first)), codes = Math.max(...sorted.map((one) => one.length));
  sorted.forEach((shares, i) => {
    const colour = style.getPropertyValue(lines[i][0]);
    pen.beginPath();
    if (!i && lines[i][1] === here) pen.moveTo(0, height);
    shares.forEach((part, rank) => {
      const y = height - (part / most) * (height - 4 * scale);
      pen.lineTo((rank / codes) * width, y);
      pen.lineTo(((rank + 1) / codes) * width, y);
    });
    if (lines[i][1] === here) {
      pen.lineTo(width, height);
      pen.globalAlpha = 0.75;
      pen.fillStyle = colour;
      pen.fill();
    } else {
      pen.strokeStyle = colour;
      pen.lineWidth = 1.5 * scale;
      pen.stroke();
    }
    pen.globalAlpha = 1;
  });
  writeKey(most);
}
function writeKey(most) {
  const told = [word("codebook_bars", { most: (100 * most).toFixed(most < 0.1 ? 1 : 0) + " %" })];
  if (set) told.push(word(here ? "codebook_bars_both" : "codebook_bars_set"));
  $(".key").textContent = joined(told);
  bars.setAttribute("aria-label", joined(told));
}

new ResizeObserver(() => { draw(); chart(); }).observe($(".two"));
new MutationObserver(chart).observe(document.body, { attributes: true, attributeFilter: ["class"] });
addEventListener("lucida-lang", write);
watch("value", take);
take();
dispatchEvent(new CustomEvent("lucida-board-ask"));
