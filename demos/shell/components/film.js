// Frames are kept as they arrive and scrubbed here. All strips show the same step.
const strips = $(".strips"), none = $(".none"), knobs = $(".knobs"), playing = $(".play"), range = $("input"), out = $("output");
const CALM_MS = 1000, LIVELY_MS = 80; // between two frames
let frames = [], total = 0, before = 0, timer = null, follow = true;

const figures = (props.strips || []).map((caption) => {
  const figure = document.createElement("figure"), image = document.createElement("img"), text = document.createElement("figcaption");
  figure.append(image, text);
  strips.append(figure);
  return { image, text, caption };
});

function show(i) {
  if (!frames[i]) return;
  range.value = i;
  figures.forEach(({ image }, k) => { image.src = frames[i][k]; });
  write();
}

/** More frames from Python; the first of a run clears the run before. */
function take() {
  const more = props.value;
  if (!more) {
    frames = [];
    stop();
    return write();
  }
  if (more.i === 0) {
    frames = [];
    follow = true;
    stop();
  }
  more.frames.forEach((frame, k) => { frames[more.i + k] = frame; });
  total = more.n;
  before = more.first || 0;
  range.max = Math.max(frames.length - 1, 0);
  if (follow) show(frames.length - 1);
  write();
}

// --- play: never by itself; where less motion is asked for, as a slide show of one frame a second ---
function stop() {
  clearTimeout(timer);
  timer = null;
  write();
}
function next() {
  const i = Number(range.value) + 1;
  if (i >= frames.length) return stop();
  show(i);
  plan();
}
function plan() {
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  timer = setTimeout(() => (element.isConnected ? next() : stop()), calm ? CALM_MS : LIVELY_MS);
}
playing.addEventListener("click", () => {
  if (timer) return stop();
  if (Number(range.value) >= frames.length - 1) show(0);
  plan();
  write();
});
range.addEventListener("input", () => { // a visitor who looks back is left there while frames go on arriving
  stop();
  show(Number(range.value));
  follow = Number(range.value) >= frames.length - 1;
});

function write() {
  const some = frames.length > 0, i = before + Number(range.value) + 1, n = before + total;
  none.hidden = some;
  strips.hidden = knobs.hidden = !some;
  none.textContent = word("no_frames");
  playing.textContent = word(timer ? "pause" : "play");
  out.textContent = i + " / " + n;
  range.setAttribute("aria-label", word("step"));
  range.setAttribute("aria-valuetext", word("step_of", { i, n }));
  figures.forEach(({ image, text, caption }) => {
    text.textContent = caption[language()];
    text.hidden = !caption[language()];
    image.alt = [caption[language()], word("step_of", { i, n })].filter(Boolean).join(", ");
  });
}

watch("value", take);
addEventListener("lucida-lang", write);
take();
