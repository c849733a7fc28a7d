// A picture that takes marks, exact to the pixel at any zoom. All marks are kept in pixels of the picture itself.
// This file: state, toolbar, geometry. canvas_paint.js draws, canvas_hands.js takes mouse, pen, finger and keys, and
// canvas_begin.js starts it all; scripts before that one may replace what `own` holds.
const view = $(".view"), sheet = $(".sheet"), img = $(".sheet img"), canvas = $("canvas"), placeText = $(".place"), spoken = $(".spoken");
const MAX_ZOOM = 64;
let tool = props.tools.join() === "crop" ? null : props.tools[0]; // null: the hand, which moves the view and marks nothing
let negative = false, zoom = 1, drawn = null;
let cross = null, byKeys = false; // the pixel that is pointed at; only keys need a cross to see it
let past = [], future = [], markedPicture = "";

const own = {
  marks: (value) => value?.marks || [],
  put: (next) => ({ marks: next }), // what changes in the value when these become its marks
  kept: (value) => ({ marks: value.marks || [] }), // what undo brings back
  single: ["crop"], // kinds of which there is one
  hints: { negative: "negative_hint", crop: "crop_hint" },
  tools: {}, // name: {down, move, up, leave, cancel, at, enter}, for tools that do not draw a mark
  fresh() {}, // another picture came
  shown() {}, // the value or the language changed
  under() {}, // draws below the marks
};
const marks = () => own.marks(chosen());
const handled = () => own.tools[tool];
/** Marks belong to the picture on screen: none while another one is on its way. */
const settled = () => chosen() && intake.onScreen === address(chosen());
const ready = () => settled() && img.naturalWidth > 0;
const W = () => (settled() ? chosen().width : img.naturalWidth);
const H = () => (settled() ? chosen().height : img.naturalHeight);

// --- marks and their history ---
const setMarks = (next) => change(own.put(next));
function change(patch) {
  past.push(own.kept(chosen()));
  future = [];
  commitPatch(patch);
}
function commitPatch(patch) {
  commit({ ...chosen(), ...patch });
  spoken.textContent = word("marks_said", { n: marks().length });
}
function undo() {
  if (!past.length) return;
  future.push(own.kept(chosen()));
  commitPatch(past.pop());
}
function redo() {
  if (!future.length) return;
  past.push(own.kept(chosen()));
  commitPatch(future.pop());
}
/** A picture has one crop; every other mark is added. */
function addMark(mark) {
  setMarks([...marks().filter((each) => !own.single.includes(mark.kind) || each.kind !== mark.kind), mark]);
}

// --- toolbar ---
const toolbar = $(".tools"), buttons = {};
const addButton = (name, act) => { buttons[name] = button(toolbar, name, act); };
for (const name of props.tools) addButton(name, () => choose(tool === name ? null : name));
if (props.tools.includes("point")) addButton("negative", () => { negative = !negative; label(); });
addButton("undo", undo);
addButton("redo", redo);
addButton("clear", () => marks().length && setMarks([]));
addButton("zoom_in", () => setZoom(zoom * 2));
addButton("zoom_out", () => setZoom(zoom / 2));
function choose(name) {
  handled()?.cancel();
  tool = name;
  drawn = null;
  label();
  paint();
}
function label() {
  const signs = { zoom_in: "+", zoom_out: "−" };
  for (const [name, made] of Object.entries(buttons)) {
    made.textContent = signs[name] || word(name);
    made.title = word(own.hints[name] || name);
    if (signs[name]) made.setAttribute("aria-label", word(name));
    if (props.tools.includes(name)) made.setAttribute("aria-pressed", String(name === tool));
  }
  if (buttons.negative) {
    buttons.negative.hidden = tool !== "point";
    buttons.negative.setAttribute("aria-pressed", String(negative));
  }
  toolbar.setAttribute("aria-label", word("toolbar"));
  canvas.setAttribute("aria-label", word("canvas"));
  canvas.dataset.tool = tool || "hand";
  canvas.style.touchAction = !tool || tool === "point" ? "pan-x pan-y" : "none"; // one finger scrolls unless it draws
  able();
  own.shown();
}
function able() {
  buttons.undo.disabled = !past.length;
  buttons.redo.disabled = !future.length;
  buttons.clear.disabled = !marks().length;
  buttons.zoom_in.disabled = zoom >= MAX_ZOOM;
  buttons.zoom_out.disabled = zoom <= 1;
}

// --- geometry ---
function fit() {
  return Math.min(view.clientWidth / W(), Math.max(160, innerHeight * 0.7 - 4) / H(), 24);
}
function layout() {
  if (!W() || !view.clientWidth) return;
  const scale = fit() * zoom, fitted = H() * fit();
  // A magnified picture stays in its frame; only that of a wide strip grows, to be worth looking through.
  view.style.height = zoom > 1 ? Math.max(fitted, Math.min(fitted * zoom, view.clientWidth / 2)) + "px" : "";
  sheet.style.width = W() * scale + "px";
  sheet.style.height = H() * scale + "px";
  img.style.imageRendering = scale > 2 ? "pixelated" : "auto";
  paint();
}
/** What share of the picture lies left of and above a place of the view, in CSS pixels from its corner. */
function shareAt(x, y) {
  const frame = view.getBoundingClientRect(), sheetFrame = img.getBoundingClientRect();
  return [(frame.left + x - sheetFrame.left) / sheetFrame.width, (frame.top + y - sheetFrame.top) / sheetFrame.height];
}
/** Zooms so that `share` of the picture comes to lie at (x, y) of the view: what is there already, if left out. */
function setZoom(wanted, x = view.clientWidth / 2, y = view.clientHeight / 2, share = shareAt(x, y)) {
  zoom = clamp(wanted, 1, MAX_ZOOM);
  layout();
  const frame = view.getBoundingClientRect(), sheetFrame = img.getBoundingClientRect();
  view.scrollLeft += sheetFrame.left + share[0] * sheetFrame.width - (frame.left + x);
  view.scrollTop += sheetFrame.top + share[1] * sheetFrame.height - (frame.top + y);
  able();
}
/** Where an event is in the picture. Its rectangle is measured now, so that this is right at any zoom and scroll;
 * half a device pixel leads to the middle of the screen's pixel. */
function at(event) {
  const frame = img.getBoundingClientRect(), half = 0.5 / devicePixelRatio;
  const x = ((event.clientX + half - frame.left) * W()) / frame.width;
  const y = ((event.clientY + half - frame.top) * H()) / frame.height;
  return [clamp(x, 0, W()), clamp(y, 0, H())];
}
const pixel = ([x, y]) => [clamp(Math.floor(x), 0, W() - 1), clamp(Math.floor(y), 0, H() - 1)];
