// The curves under the film, and the sentence of the step on screen. It runs behind film.js in one scope: the film calls
// its `write` for every step that it shows, which draws what stands here too. Words are set as text, never as HTML.
const at = $(".at"), curves = $(".curves");
const PLANE = { left: 52, right: 388, top: 12, bottom: 150, label: 192 };
const shown = () => Number(range.value);
const writeFilm = write;
write = () => {
  writeFilm();
  draw();
};

const percent = (share) => (100 * share).toFixed(share < 0.0995 ? 1 : 0) + " %";
function draw() {
  const value = props.value, point = value && value.points[shown()];
  at.hidden = curves.hidden = !point;
  if (!point) return;
  const told = { i: shown() + 1, n: value.n, committed: point.committed, left: point.left, all: value.count };
  const numbers = { confidence: point.confidence === null ? "–" : percent(point.confidence), entropy: point.entropy === null ? "–" : point.entropy.toFixed(1), bits: Number(value.bits.toFixed(1)) };
  at.textContent = word(point.committed === 1 ? "fill_at_one" : "fill_at", { ...told, ...numbers });
  drawLeft(value);
  drawSure(value);
}

// --- the curves ---
function drawn(tag, attributes, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  Object.entries(attributes).forEach(([name, value]) => node.setAttribute(name, value));
  if (text !== undefined) node.textContent = text;
  return node;
}
const across = (step, n) => PLANE.left + (step / n) * (PLANE.right - PLANE.left);
const upward = (share) => PLANE.bottom - share * (PLANE.bottom - PLANE.top);
const path = (points) => points.map(([x, y], i) => (i ? "L" : "M") + x.toFixed(1) + " " + y.toFixed(1)).join("");

/** Lines of the plane with their labels: `marks` are [share, text on the left, text on the right]. */
function plane(n, marks) {
  const nodes = [];
  for (const [share, text, right] of marks) {
    const y = upward(share);
    nodes.push(drawn("line", { class: "grid", x1: PLANE.left, x2: PLANE.right, y1: y, y2: y }));
    nodes.push(drawn("text", { x: PLANE.left - 6, y: y + 4, "text-anchor": "end" }, text));
    if (right !== undefined) nodes.push(drawn("text", { x: PLANE.right + 6, y: y + 4 }, right));
  }
  for (const step of new Set([0, Math.round(n / 2), n])) nodes.push(drawn("text", { x: across(step, n), y: PLANE.bottom + 18, "text-anchor": "middle" }, String(step)));
  nodes.push(drawn("text", { x: (PLANE.left + PLANE.right) / 2, y: PLANE.label, "text-anchor": "middle" }, word("fill_axis")));
  nodes.push(drawn("line", { class: "now", x1: across(shown() + 1, n), x2: across(shown() + 1, n), y1: PLANE.top, y2: PLANE.bottom }));
  return nodes;
}
/** Places still hidden after each step, on the cosine that the schedule follows. */
function drawLeft({ n, count, points }) {
  const nodes = plane(n, [0, 0.5, 1].map((share) => [share, String(Math.round(share * count))]));
  const cosine = [...Array(61).keys()].map((k) => [across((k / 60) * n, n), upward(Math.cos((Math.PI / 2) * (k / 60)))]);
  nodes.push(drawn("path", { class: "plan", d: path(cosine) }));
  points.forEach(({ left }, i) => nodes.push(drawn("circle", { class: "dot", r: i === shown() ? 6 : 4, cx: across(i + 1, n), cy: upward(count ? left / count : 0) })));
  fill("left", nodes, word("fill_curve_left"), [["dot", "fill_left"], ["plan", "fill_schedule"]]);
}
/** Mean probability of what was committed in each step, and mean entropy of what was hidden before it. */
function drawSure({ n, points, bits }) {
  const nodes = plane(n, [0, 0.5, 1].map((share) => [share, 100 * share + " %", String(Number((share * bits).toFixed(1)))]));
  const placed = (name, most) => points.flatMap((point, i) => (point[name] === null ? [] : [[across(i + 1, n), upward(Math.min(point[name] / most, 1)), i]]));
  const sure = placed("confidence", 1), open = placed("entropy", bits);
  nodes.push(drawn("path", { class: "line", d: path(sure) }), drawn("path", { class: "other", d: path(open) }));
  for (const [x, y, i] of sure) nodes.push(drawn("circle", { class: "dot", r: i === shown() ? 6 : 4, cx: x, cy: y }));
  for (const [x, y, i] of open) {
    const half = i === shown() ? 5 : 3.5;
    nodes.push(drawn("rect", { class: "square", x: x - half, y: y - half, width: 2 * half, height: 2 * half }));
  }
  fill("sure", nodes, word("fill_curve_sure"), [["dot", "fill_sure"], ["square", "fill_bits"]]);
}
function fill(name, nodes, label, key) {
  const figure = curves.querySelector("." + name), svg = figure.querySelector("svg");
  svg.setAttribute("aria-label", label);
  svg.replaceChildren(...nodes);
  figure.querySelector("figcaption").replaceChildren(...key.map(([kind, text]) => {
    const entry = document.createElement("span");
    entry.className = "key " + kind;
    entry.textContent = word(text);
    return entry;
  }));
}
addEventListener("lucida-lang", draw);
draw();
