// The time machine: four strips and two curves, scrubbed together from what Python sent once. Nothing is asked of the
// server. Frames lie in one sheet a strip; the guidance map is coloured here. Words are set as text, never as HTML.
const none = $(".none"), all = $(".all"), which = $(".which"), range = $(".knobs input"), playing = $(".play"), out = $("output"), said = $(".said");
const CALM_MS = 1000, LIVELY_MS = 120; // between two frames
let run = null, picture = 0, timer = null, loading = 0, coming = Promise.resolve();

const palette = Uint8Array.from(props.colours.match(/../g), (pair) => parseInt(pair, 16));
const canvas = (strip) => $("." + strip + " canvas");
const shown = (v, digits = 3) => String(Number(v.toPrecision(digits))).replace("-", "−");
const percent = (share) => Math.round(100 * clamp(share, 0, 1)) + " %";

// --- what Python sends ---
async function sheet({ file, ...places }) {
  const image = new Image();
  image.src = file.url;
  await image.decode();
  return { image, ...places };
}
async function opened(value) {
  const pictures = await Promise.all(value.pictures.map(async ({ x_t, x0, guidance }) => {
    const [noisy, clean] = await Promise.all([sheet(x_t), sheet(x0)]);
    return { x_t: noisy, x0: clean, guidance: guidance && { ...guidance, values: unpack(guidance.map), shape: guidance.map.shape } };
  }));
  return { ...value, pictures };
}
async function take() {
  const value = props.value, ticket = ++loading;
  stop();
  if (!value) {
    run = null;
    return write();
  }
  const ready = await opened(value);
  if (ticket !== loading) return; // a newer run has arrived meanwhile
  run = ready;
  picture = Math.min(picture, run.pictures.length - 1);
  range.max = run.n - 1;
  layCurve(".sigma", run.sigma_curve);
  layCurve(".fixed", run.fixed_curve);
  offer();
  go(run.at);
}

/** Which picture of a batch is shown. */
function offer() {
  which.hidden = run.pictures.length < 2;
  which.replaceChildren();
  run.pictures.forEach((_, i) => {
    const b = button(which, String(i), () => { picture = i; offer(); paint(); });
    b.setAttribute("aria-pressed", String(i === picture));
  });
  write();
}

// --- drawing ---
function paint() {
  const at = Number(range.value), { x_t, x0, guidance } = run.pictures[picture];
  draw(canvas("x_t"), x_t, at);
  draw(canvas("x0"), x0, at);
  canvas("guidance").hidden = !guidance;
  $(".unguided").hidden = Boolean(guidance);
  if (guidance) colour(canvas("guidance"), guidance, at);
  mark(".sigma", run.sigma_curve, at);
  mark(".fixed", run.fixed_curve, at);
  write();
}
function draw(target, { image, width, height, columns }, at) {
  if (target.width !== width || target.height !== height) Object.assign(target, { width, height });
  const x = (at % columns) * width, y = Math.floor(at / columns) * height;
  target.getContext("2d").drawImage(image, x, y, width, height, 0, 0, width, height);
}
/** Each step on a scale of its own: early pulls are small in epsilon, and would be black beside the late ones. */
function colour(target, { values, shape: [, rows, columns] }, at) {
  if (target.width !== columns || target.height !== rows) Object.assign(target, { width: columns, height: rows });
  const context = target.getContext("2d"), pixels = context.createImageData(columns, rows), cells = rows * columns;
  values.subarray(at * cells, (at + 1) * cells).forEach((v, i) => {
    pixels.data.set([...palette.subarray(3 * v, 3 * v + 3), 255], 4 * i);
  });
  context.putImageData(pixels, 0, 0);
}

// --- curves: drawn by Python, the marker moves here; a press or a drag on one scrubs too ---
function layCurve(place, { svg }) { // constant markup of our own curves.py: nothing of a visitor's is in it
  $(place + " .curve").innerHTML = svg;
}
function mark(place, { x, y }, at) {
  const line = $(place + " .t2i-at"), dot = $(place + " .t2i-mark");
  line.setAttribute("x1", x[at]);
  line.setAttribute("x2", x[at]);
  dot.setAttribute("cx", x[at]);
  dot.setAttribute("cy", y[at] ?? 0);
  dot.style.display = y[at] === null ? "none" : "";
}
function scrubbed(place, event) {
  const svg = $(place + " svg");
  if (!run || !svg) return;
  const { x } = run[place.slice(1) + "_curve"], frame = svg.getBoundingClientRect();
  const units = ((event.clientX - frame.left) / frame.width) * svg.viewBox.baseVal.width;
  stop();
  go(x.reduce((best, v, i) => (Math.abs(v - units) < Math.abs(x[best] - units) ? i : best), 0));
}
for (const place of [".sigma", ".fixed"]) {
  const area = $(place + " .curve");
  area.addEventListener("pointerdown", (event) => { area.setPointerCapture(event.pointerId); scrubbed(place, event); });
  area.addEventListener("pointermove", (event) => { if (event.buttons) scrubbed(place, event); });
}

// --- moving: the whole tab stands at one step, which every panel hears of ---
function go(at) {
  range.value = at;
  paint();
  tell();
}
function tell() {
  const at = Number(range.value);
  const told = { at, n: run.n, sigma: run.sigma[at], fixed: run.fixed[at] };
  dispatchEvent(new CustomEvent("lucida-step", { detail: { ...told, from: element, sigmas: run.sigma } }));
}
addEventListener("lucida-step", ({ detail }) => {
  if (detail.from === element || !run || !element.isConnected || detail.at >= run.n) return;
  stop();
  range.value = detail.at;
  paint();
});
addEventListener("lucida-step-ask", () => { if (run && element.isConnected) tell(); });
range.addEventListener("input", () => { stop(); go(Number(range.value)); });

// --- play: never by itself; where less motion is asked for, as a slide show of one frame a second ---
function stop() {
  clearTimeout(timer);
  timer = null;
  write();
}
function next() {
  const at = Number(range.value) + 1;
  if (at >= run.n) return stop();
  go(at);
  plan();
}
function plan() {
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  timer = setTimeout(() => (element.isConnected ? next() : stop()), calm ? CALM_MS : LIVELY_MS);
}
playing.addEventListener("click", () => {
  if (timer) return stop();
  if (Number(range.value) >= run.n - 1) go(0);
  plan();
  write();
});

// --- words ---
function caption(strip, text) {
  const node = $("." + strip + " figcaption"), name = document.createElement("b");
  name.textContent = word("strip_" + strip);
  node.replaceChildren(name, text);
  canvas(strip)?.setAttribute("aria-label", name.textContent + ", " + out.textContent);
}
function write() {
  none.textContent = word("machine_empty");
  none.hidden = Boolean(run);
  all.hidden = !run;
  if (!run) return;
  const at = Number(range.value), guidance = run.pictures[picture].guidance;
  const values = { i: at + 1, n: run.n, t: shown(run.timesteps[at], 4), sigma: shown(run.sigma[at]), share: percent(run.fixed[at]) };
  playing.textContent = word(timer ? "pause" : "play");
  out.textContent = values.i + " / " + values.n;
  range.setAttribute("aria-label", word("step"));
  range.setAttribute("aria-valuetext", word("machine_said", values));
  which.setAttribute("aria-label", word("machine_which"));
  which.querySelectorAll("button").forEach((b, i) => { b.textContent = word("machine_picture", { i: i + 1 }); });
  caption("x_t", word("strip_x_t_about"));
  caption("x0", word("strip_x0_about"));
  caption("guidance", guidance ? word("strip_guidance_about", { mean: shown(guidance.mean[at]), most: shown(guidance.most[at]) }) : "");
  caption("sigma", word("strip_sigma_about", values));
  $(".unguided").textContent = word("machine_unguided");
  caption("fixed", word("strip_fixed_about", values));
  said.textContent = word("machine_said", values);
}

watch("value", take);
addEventListener("lucida-lang", write);
take();
