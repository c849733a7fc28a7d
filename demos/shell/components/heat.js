// Colours a packed map in the browser and lays it over its picture. Everything is a fraction of the picture's size,
// so that the map keeps its place at any width.
const none = $(".none"), all = $(".all"), plate = $(".plate"), img = $(".plate img"), lay = $(".lay"), read = $(".read");
const hatch = $(".hatch"), map = $(".map"), mark = $(".cell"), bar = $(".colours"), strength = $("input"), smooth = $(".smooth");
let values = new Float32Array(0), rows = 0, columns = 0, low = 0, high = 1, missing = 0, at = null;

const shown = (v) => String(Number(v.toPrecision(3))).replace("-", "−");
const palette = (name) => Uint8Array.from(props.colours[name].match(/../g), (pair) => parseInt(pair, 16));
const palettes = { sequential: palette("sequential"), diverging: palette("diverging") };
const colours = () => palettes[props.value.signed ? "diverging" : "sequential"];

/** Where a value stands among the 256 colours. */
function place(v) {
  const share = high > low ? (v - low) / (high - low) : 0;
  return clamp(Math.round(share * 255), 0, 255);
}

/** The ends of the colours: as given, else those of the map; for signed values equally far from zero. */
function measure({ range, signed }) {
  const finite = values.filter((v) => !Number.isNaN(v));
  const [least, most] = range || [finite.reduce((a, b) => Math.min(a, b), Infinity), finite.reduce((a, b) => Math.max(a, b), -Infinity)];
  missing = values.length - finite.length;
  [low, high] = Number.isFinite(least) && Number.isFinite(most) ? [least, most] : [0, 1];
  if (signed) {
    high = Math.max(Math.abs(low), Math.abs(high));
    low = -high;
  }
}

function take() {
  const value = props.value;
  none.hidden = Boolean(value);
  all.hidden = !value;
  if (!value) return write();
  [rows, columns] = value.map.shape;
  values = unpack(value.map);
  measure(value);
  if (at && (at.row >= rows || at.column >= columns)) at = null;
  setPlaces(value);
  paintMap();
  paintHatch();
  paintBar();
  write();
}

function setPlaces({ picture, width, height, box: [x0, y0, x1, y1] }) {
  if (img.src !== new URL(picture.url, location).href) img.src = picture.url;
  const ratio = width / height, percent = (part, whole) => (100 * part) / whole + "%";
  plate.style.width = "min(100%, " + 70 * ratio + "vh)";
  plate.style.aspectRatio = width + " / " + height;
  Object.assign(lay.style, {
    left: percent(x0, width), top: percent(y0, height), width: percent(x1 - x0, width), height: percent(y1 - y0, height),
  });
}

function paintMap() {
  map.width = columns;
  map.height = rows;
  const context = map.getContext("2d"), pixels = context.createImageData(columns, rows), table = colours();
  values.forEach((v, i) => {
    if (Number.isNaN(v)) return;
    const from = 3 * place(v);
    pixels.data.set([table[from], table[from + 1], table[from + 2], 255], 4 * i);
  });
  context.putImageData(pixels, 0, 0);
  setStrength();
}

/** Cells that are not computed yet: slanted lines, dark and light, so that they show on any picture. */
function paintHatch() {
  hatch.hidden = !missing;
  if (!missing) return;
  const side = clamp(Math.floor(1024 / Math.max(rows, columns)), 1, 24);
  hatch.width = columns * side;
  hatch.height = rows * side;
  const context = hatch.getContext("2d");
  context.beginPath();
  values.forEach((v, i) => Number.isNaN(v) && context.rect((i % columns) * side, Math.floor(i / columns) * side, side, side));
  context.clip();
  context.fillStyle = "rgba(255,255,255,.45)";
  context.fillRect(0, 0, hatch.width, hatch.height);
  context.strokeStyle = "rgba(40,40,40,.8)";
  context.lineWidth = 1;
  context.beginPath();
  for (let x = -hatch.height; x < hatch.width; x += 8) {
    context.moveTo(x, hatch.height);
    context.lineTo(x + hatch.height, 0);
  }
  context.stroke();
}

function paintBar() {
  const context = bar.getContext("2d"), pixels = context.createImageData(256, 1), table = colours();
  for (let i = 0; i < 256; i++) pixels.data.set([...table.subarray(3 * i, 3 * i + 3), 255], 4 * i);
  context.putImageData(pixels, 0, 0);
  const ticks = element.querySelectorAll(".ticks span");
  [low, (low + high) / 2, high].forEach((v, i) => { ticks[i].textContent = shown(v); });
}

function setStrength() { // the picture loses its own colours under a map, so that a colour means a value
  const share = strength.value / 100;
  map.style.opacity = share;
  img.style.filter = share ? "grayscale(1)" : "";
}

// --- the value under the pointer, or under the cell that the arrow keys move ---
function point(row, column) {
  at = { row: clamp(row, 0, rows - 1), column: clamp(column, 0, columns - 1) };
  write();
}
function pointed(event) {
  const frame = lay.getBoundingClientRect();
  point(Math.floor(((event.clientY - frame.top) / frame.height) * rows), Math.floor(((event.clientX - frame.left) / frame.width) * columns));
}
function hottest() {
  let best = 0;
  values.forEach((v, i) => { if (!(Math.abs(v) <= Math.abs(values[best]))) best = Number.isNaN(v) ? best : i; });
  return { row: Math.floor(best / columns), column: best % columns };
}
const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
lay.addEventListener("pointermove", pointed);
lay.addEventListener("pointerdown", pointed);
lay.addEventListener("pointerleave", () => { if (document.activeElement !== lay) { at = null; write(); } });
lay.addEventListener("focus", () => { if (!at && values.length) point(hottest().row, hottest().column); });
lay.addEventListener("blur", () => { at = null; write(); });
lay.addEventListener("keydown", (event) => {
  const step = STEPS[event.key], from = at || hottest();
  if (step) point(from.row + step[0], from.column + step[1]);
  else if (event.key === "Home") point(hottest().row, hottest().column);
  else return;
  event.preventDefault();
});
strength.addEventListener("input", setStrength);
smooth.addEventListener("click", () => {
  lay.classList.toggle("smoothed");
  write();
});

function write() {
  none.textContent = word("no_map");
  $(".knobs span").textContent = word("opacity");
  smooth.textContent = word("smooth");
  smooth.setAttribute("aria-pressed", String(lay.classList.contains("smoothed")));
  lay.setAttribute("aria-label", word("heat"));
  if (!props.value) return;
  const ends = { low: shown(low), middle: shown((low + high) / 2), high: shown(high) };
  $(".legend").textContent = word(props.value.signed ? "range_signed" : "range_sequential", ends) + (missing ? " · " + word("hatched") : "");
  mark.hidden = !at;
  read.textContent = "";
  if (!at) return;
  const v = values[at.row * columns + at.column], spot = { row: at.row + 1, column: at.column + 1 };
  read.textContent = Number.isNaN(v) ? word("cell_missing", spot) : word("cell", { ...spot, value: shown(v) });
  Object.assign(mark.style, {
    left: (100 * at.column) / columns + "%", top: (100 * at.row) / rows + "%", width: 100 / columns + "%", height: 100 / rows + "%",
  });
}

watch("value", take);
addEventListener("lucida-lang", write);
take();
