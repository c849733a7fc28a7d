// A threshold moved over the decoder's logits: the mask's edge where it stands, the edges one logit above and below,
// and the area that each threshold would give. All of it is worked out here; the server is asked for nothing.
// It runs behind heat.js and enlarge.js: the map under the lines is the heat map's.
const cut = $(".cut"), slide = $(".slide input"), zero = $(".zero"), taker = $(".take"), tokens = $(".tokens"), curve = $(".curve svg");
const contours = document.createElement("canvas");
contours.className = "contours";
contours.setAttribute("aria-hidden", "true");
plate.append(contours);
plate.after(cut);
all.before(tokens);
const ORDER = [1, 2, 3, 0]; // the single mask last, as on the ladder
const LONGEST = 640; // of the field: it is drawn anew for every step of the slider, and no page shows it much larger
const OFFSET = 1, BINS = 240, PLANE = { left: 52, right: 426, top: 10, bottom: 146 };
let all4 = null, cells = null, field = null, size = [0, 0], token = 0, counts = [], ends = [-1, 1], most = 1, drawing = 0, asked = 0, tried = null;

async function takeLogits() {
  const value = props.value, ticket = ++asked;
  cut.hidden = tokens.hidden = !value;
  if (!value) { field = null; return; }
  const array = value.logits.data ? unpack(value.logits) : (await lucida.unpack(value.logits)).array;
  if (ticket !== asked) return;
  all4 = array;
  if (tried) tellStage({ ...tried, live: true }); // what was only tried ends with the next answer
  tried = null;
  slide.value = value.threshold;
  build();
  choose(value.token);
}

/** Another of the four masks: its logits on the map, its field at the picture's size, its curve. */
function choose(chosen) {
  const { place } = props.value, n = place.rows * place.columns;
  token = chosen;
  const grid = all4.subarray(token * n, (token + 1) * n);
  const scale = Math.min(1, LONGEST / Math.max(...place.size));
  size = place.size.map((side) => Math.max(1, Math.round(side * scale)));
  field = enlarge(grid, { ...place, size });
  cells = valid(grid, place);
  values = cells;
  measure({ range: null, signed: true });
  paintMap();
  paintBar();
  write();
  count();
  speakCut();
}

/** The cells of which at least a part lies on the picture: what stability counts. */
function valid(grid, { columns, valid: [high, wide] }) {
  const kept = new Float32Array(high * wide);
  for (let y = 0; y < high; y++) kept.set(grid.subarray(y * columns, y * columns + wide), y * wide);
  return kept;
}

// --- area(threshold) ---
/** Of each of BINS steps between the ends: the share of the picture whose logit is above it. */
function count() {
  let least = Infinity, largest = -Infinity;
  for (const v of field) { if (v < least) least = v; if (v > largest) largest = v; }
  ends = [Math.min(Math.floor(least), -2), Math.max(Math.ceil(largest), 2)];
  const [from, to] = ends, bins = new Uint32Array(BINS + 1);
  for (const v of field) bins[Math.min(Math.max(Math.ceil(((v - from) / (to - from)) * BINS), 0), BINS)]++;
  counts = new Array(BINS + 1);
  for (let i = BINS, above = 0; i >= 0; i--) { counts[i] = above / field.length; above += bins[i]; }
  most = Math.max(counts[0], 1e-6);
  const step = Number(slide.step), held = Number(slide.value);
  [slide.min, slide.max] = [from, to];
  slide.value = clamp(Math.round(held / step) * step, from, to);
}
function above(array, t) {
  let n = 0;
  for (let i = 0; i < array.length; i++) if (array[i] > t) n++;
  return n;
}

// --- edges ---
/**
 * The lines on which the field equals t (marching squares) as a Path2D in pixels of the field, and their length. Each
 * crossing lies on an edge between two neighbours, whose number tells it: 2 i to the right of pixel i, 2 i + 1 below it.
 */
function contour(t) {
  const [height, width] = size, next = new Map(), above = new Uint8Array(field.length);
  for (let i = 0; i < field.length; i++) above[i] = field[i] > t ? 1 : 0;
  const join = (a, b) => { for (const [from, to] of [[a, b], [b, a]]) next.set(from, [...(next.get(from) || []), to]); };
  for (let y = 0; y + 1 < height; y++) {
    for (let x = 0, i = y * width; x + 1 < width; x++, i++) {
      const a = above[i], b = above[i + 1], c = above[i + width + 1], d = above[i + width], corners = a + b + c + d;
      if (corners === 0 || corners === 4) continue;
      const crossed = [[a !== b, 2 * i], [b !== c, 2 * i + 3], [c !== d, 2 * (i + width)], [d !== a, 2 * i + 1]].filter(([is]) => is);
      for (let k = 0; k + 1 < crossed.length; k += 2) join(crossed[k][1], crossed[k + 1][1]); // four are two short lines
    }
  }
  const ends = [...next.keys()].filter((edge) => next.get(edge).length === 1); // lines that leave the picture come first
  const path = new Path2D(), left = new Set(next.keys());
  let length = 0;
  for (const start of [...ends, ...next.keys()]) if (left.has(start)) length += follow(start, t, { next, left, path, width });
  return { path, length };
}
/** One line from an edge on, until it ends or comes round. Returns its length. */
function follow(start, t, { next, left, path, width }) {
  let edge = start, [x, y] = crossing(edge, t, width), length = 0;
  path.moveTo(x, y);
  while (edge !== undefined) {
    left.delete(edge);
    const [p, q] = crossing(edge, t, width);
    path.lineTo(p, q);
    length += Math.hypot(p - x, q - y);
    [x, y] = [p, q];
    edge = next.get(edge).find((to) => left.has(to));
  }
  if (next.get(start).length > 1) {
    path.closePath();
    const [p, q] = crossing(start, t, width);
    length += Math.hypot(p - x, q - y);
  }
  return length;
}
/** Where the field passes t on an edge, in pixels: pixel i has its middle at half. */
function crossing(edge, t, width) {
  const i = edge >> 1, j = edge & 1 ? i + width : i + 1, share = (t - field[i]) / (field[j] - field[i]);
  const x = (i % width) + 0.5, y = Math.floor(i / width) + 0.5;
  return edge & 1 ? [x, y + share] : [x + share, y];
}
function stroke(context, path, dash, unit) {
  for (const [colour, width, pattern] of [["rgba(255,255,255,.85)", 4, []], ["#000", 2, dash]]) {
    context.strokeStyle = colour;
    context.lineWidth = width / unit;
    context.setLineDash(pattern.map((part) => part / unit));
    context.stroke(path);
  }
}

/** Lines, numbers and the curve's mark at the threshold where the slider stands; at most once a frame. */
function move() {
  cancelAnimationFrame(drawing);
  drawing = requestAnimationFrame(draw);
}
function draw() {
  if (!field) return;
  const t = Number(slide.value), [height, width] = size, context = contours.getContext("2d");
  const unit = (contours.clientWidth || width) / width, sharp = unit * (window.devicePixelRatio || 1), edge = contour(t);
  contours.width = Math.round(width * sharp);
  contours.height = Math.round(height * sharp);
  context.setTransform(sharp, 0, 0, sharp, 0, 0);
  context.lineCap = "round";
  stroke(context, contour(t + OFFSET).path, [7, 5], unit);
  stroke(context, contour(t - OFFSET).path, [0.5, 4.5], unit);
  stroke(context, edge.path, [], unit);
  tell(t, edge.length);
  plot(t);
}

// --- what is said ---
const percent = (share) => (100 * share).toFixed(share < 0.1 ? 2 : 1) + " %";
const signed = (t) => (t > 0 ? "+" : "") + t.toFixed(2).replace("-", "−");

function tell(t, length) {
  const [height, width] = props.value.place.size, total = field.length;
  const moved = (areas) => ((areas[2] - areas[1]) / length) * (width / size[1]); // the band's area over the edge's length
  const areas = [t, t + OFFSET, t - OFFSET].map((limit) => above(field, limit));
  const strict = above(cells, t + OFFSET), loose = above(cells, t - OFFSET);
  const rows = [
    ["threshold_result", signed(props.value.threshold)],
    ["threshold_area", percent(areas[0] / total)],
    ["threshold_raised", word("threshold_from_to", { up: percent(areas[1] / total), down: percent(areas[2] / total) })],
    ["threshold_stability", loose ? word("threshold_ratio", { strict, loose, share: (strict / loose).toFixed(3) }) : word("threshold_nothing")],
    ["threshold_moves", length ? word("threshold_px", { px: moved(areas).toFixed(1), width, height }) : word("threshold_no_edge")],
  ];
  $(".facts").replaceChildren(...rows.flatMap(([name, text]) => [made("dt", word(name)), made("dd", text)]));
  $(".slide output").textContent = signed(t);
  slide.setAttribute("aria-valuetext", word("threshold_value", { t: signed(t), area: percent(areas[0] / total) }));
  zero.disabled = t === 0;
  taker.disabled = t === props.value.threshold || token !== props.value.token;
}
function made(tag, text) {
  const node = document.createElement(tag);
  node.textContent = text;
  return node;
}

// --- the curve ---
const across = (t) => PLANE.left + ((t - ends[0]) / (ends[1] - ends[0])) * (PLANE.right - PLANE.left);
const upward = (share) => PLANE.bottom - (share / most) * (PLANE.bottom - PLANE.top);
function drawn(tag, attributes, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  Object.entries(attributes).forEach(([name, value]) => node.setAttribute(name, value));
  if (text !== undefined) node.textContent = text;
  return node;
}
function plot(t) {
  const { left, right, top, bottom } = PLANE, edge = (x) => clamp(x, left, right), nodes = [];
  const [from, to] = [edge(across(t - OFFSET)), edge(across(t + OFFSET))];
  nodes.push(drawn("rect", { class: "band", x: from, y: top, width: to - from, height: bottom - top }));
  for (const share of [0, most / 2, most]) {
    const y = upward(share);
    nodes.push(drawn("line", { class: "grid", x1: left, x2: right, y1: y, y2: y }));
    nodes.push(drawn("text", { x: left - 6, y: y + 4, "text-anchor": "end" }, (100 * share).toFixed(most < 0.1 ? 1 : 0) + " %"));
  }
  for (const tick of [ends[0], 0, ends[1]]) nodes.push(drawn("text", { x: across(tick), y: bottom + 17, "text-anchor": "middle" }, signed(tick).replace(".00", "")));
  nodes.push(drawn("text", { x: (left + right) / 2, y: 186, "text-anchor": "middle" }, word("threshold_axis")));
  const points = counts.map((share, i) => across(ends[0] + (i / BINS) * (ends[1] - ends[0])).toFixed(1) + " " + upward(share).toFixed(1));
  nodes.push(drawn("path", { class: "line", d: "M" + points.join("L") }));
  nodes.push(drawn("line", { class: "at", x1: across(t), x2: across(t), y1: top, y2: bottom }));
  nodes.push(drawn("circle", { class: "dot", r: 6, cx: across(t), cy: upward(above(field, t) / field.length) }));
  curve.replaceChildren(...nodes);
}
function dragged(event) {
  const frame = curve.getBoundingClientRect(), x = ((event.clientX - frame.left) / frame.width) * 440;
  const t = ends[0] + ((x - PLANE.left) / (PLANE.right - PLANE.left)) * (ends[1] - ends[0]);
  slide.value = t;
  dragging();
}
/** The stage draws the shown mask's edge at the threshold too, for as long as none is taken. */
function dragging() {
  if (token === props.value.token) {
    tried = { id: props.value.object, threshold: props.value.threshold };
    tellStage({ threshold: Number(slide.value), live: true });
  }
  move();
}
function tellStage(detail) {
  dispatchEvent(new CustomEvent("lucida-object", { detail: { id: props.value.object, ...detail } }));
}
curve.addEventListener("pointerdown", (event) => {
  curve.setPointerCapture(event.pointerId);
  dragged(event);
});
curve.addEventListener("pointermove", (event) => { if (event.buttons) dragged(event); });

slide.addEventListener("input", dragging);
zero.addEventListener("click", () => { slide.value = 0; dragging(); slide.focus(); });
taker.addEventListener("click", () => { tried = null; tellStage({ threshold: Number(slide.value) }); });

function build() {
  tokens.replaceChildren(...ORDER.map((k) => {
    const node = document.createElement("button");
    node.type = "button";
    node.addEventListener("click", () => choose(k));
    return node;
  }));
}
function speakCut() {
  $(".slide span").textContent = word("threshold_slider");
  zero.textContent = word("threshold_zero");
  taker.textContent = word("threshold_take");
  tokens.setAttribute("aria-label", word("tokens"));
  curve.setAttribute("aria-label", word("threshold_curve"));
  $(".curve figcaption").textContent = word("threshold_flat");
  element.querySelectorAll(".key span").forEach((node, i) => { node.textContent = word(["threshold_edge", "threshold_inner", "threshold_outer"][i]); });
  [...tokens.children].forEach((node, i) => {
    const k = ORDER[i];
    node.textContent = word("token_" + k) + (k === props.value?.token ? " · " + word("token_shown") : "");
    node.setAttribute("aria-pressed", String(k === token));
  });
  if (field) move();
}

new ResizeObserver(() => field && move()).observe(plate);
watch("value", takeLogits);
addEventListener("lucida-lang", speakCut);
takeLogits();
