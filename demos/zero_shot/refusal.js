// "None of these": where the labels' cosines fall among those of the bank, and a threshold on the best percentile.
const NS = "http://www.w3.org/2000/svg", HEIGHT = 160, FLOOR = 128, MOST = 5;
const slider = $("input"), drawing = $(".drawing"), verdict = $(".verdict"), shares = $(".shares"), out = $("output");
let at = 0, seen = "", WIDTH = 620; // as wide as the drawing is seen, so that its letters keep their size

const percent = (share, digits = 1) => (100 * share).toFixed(digits) + " %";
function node(name, attributes, content) {
  const made = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (content !== undefined) made.textContent = content;
  return made;
}
const short = (label) => ([...label].length > 14 ? [...label].slice(0, 13).join("") + "…" : label);
const threshold = () => props.value.thresholds[at];
const best = () => props.value.labels[0]; // Python sends the labels best first

function draw() {
  WIDTH = Math.min(620, Math.max(300, drawing.clientWidth || 620));
  const v = props.value, [low, high] = v.range, x = (cosine) => 8 + ((cosine - low) / (high - low)) * (WIDTH - 16);
  const svg = node("svg", { viewBox: "0 0 " + WIDTH + " " + HEIGHT, role: "img", "aria-label": word("histogram") });
  const most = Math.max(...v.counts), step = (WIDTH - 16) / v.counts.length;
  v.counts.forEach((count, i) => {
    const h = (count / most) * (FLOOR - 50);
    svg.append(node("rect", { class: "bin", x: 8 + i * step + 0.5, y: FLOOR - h, width: step - 1, height: h }));
  });
  svg.append(node("line", { class: "axis", x1: 8, x2: WIDTH - 8, y1: FLOOR, y2: FLOOR }));
  const limit = x(v.quantiles[at]);
  svg.append(node("line", { class: "limit", x1: limit, x2: limit, y1: 40, y2: FLOOR + 6 }));
  pins(svg, x);
  svg.append(node("text", { x: 8, y: HEIGHT - 4 }, word(WIDTH < 480 ? "bank_axis_short" : "bank_axis", { n: v.n_bank })));
  drawing.replaceChildren(svg);
}
function pins(svg, x) { // names under the axis where there is room, a number of rows at most
  const rows = [-99, -99, -99];
  for (const label of props.value.labels.slice(0, MOST)) {
    const place = x(label.cosine), name = short(label.text) + " " + percent(label.percentile), half = 3.6 * name.length;
    svg.append(node("line", { class: label.percentile < threshold() ? "pin below" : "pin", x1: place, x2: place, y1: 44, y2: FLOOR }));
    const middle = clamp(place, half + 4, WIDTH - half - 4), row = rows.findIndex((taken) => Math.abs(middle - taken) > 2 * half + 12);
    const free = row === -1 ? null : row;
    if (free === null) continue;
    rows[free] = middle;
    svg.append(node("text", { class: "name", x: middle, y: 12 + 14 * free, "text-anchor": "middle" }, name));
  }
}
function speak() {
  const v = props.value, refused = best().percentile < threshold();
  verdict.textContent = word(refused ? "refused" : "accepted", { label: best().text, share: percent(best().percentile), limit: percent(threshold()) });
  out.textContent = percent(threshold());
  slider.setAttribute("aria-valuetext", percent(threshold()));
  shares.textContent = v.refused_listed
    ? word("shares", { refused: percent(v.refused_listed[at]), caught: percent(v.caught_unlisted[at]), n: v.n_measured, size: v.list_size })
    : word("not_measured");
}
function show() {
  element.hidden = !props.value;
  if (!props.value) return;
  $(".knob label span").textContent = word("threshold");
  draw();
  speak();
}
function take() {
  const v = props.value, key = JSON.stringify(v);
  if (key === seen) return;
  seen = key;
  if (v) {
    slider.max = v.thresholds.length - 1;
    at = v.chosen;
    slider.value = at;
  }
  show();
}
new ResizeObserver(() => { if (props.value && drawing.clientWidth && Math.abs(Math.min(620, drawing.clientWidth) - WIDTH) > 1) draw(); }).observe(drawing);
slider.oninput = () => { at = +slider.value; draw(); speak(); };
watch("value", take);
take();
inEachLanguage(show);
