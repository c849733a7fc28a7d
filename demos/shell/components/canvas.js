// A picture that takes marks, exact to the pixel at any zoom. All marks are kept in pixels of the picture itself.
// This file: state, toolbar, geometry. canvas_paint.js draws, canvas_hands.js takes mouse, pen, finger and keys.
const view = $(".view"), sheet = $(".sheet"), img = $(".sheet img"), canvas = $("canvas"), placeText = $(".place"), spoken = $(".spoken");
const MAX_ZOOM = 64;
let tool = props.tools.join() === "crop" ? null : props.tools[0]; // null: the hand, which moves the view and marks nothing
let negative = false, zoom = 1, cross = null, drawn = null;
let past = [], future = [], markedPicture = "";

const marks = () => chosen()?.marks || [];
const W = () => chosen()?.width || img.naturalWidth;
const H = () => chosen()?.height || img.naturalHeight;
/** Marks belong to the picture on screen: none while another one is on its way. */
const ready = () => chosen() && img.naturalWidth > 0 && intake.onScreen === address(chosen());

// --- marks and their history ---
function setMarks(next) {
  past.push(marks());
  future = [];
  commitMarks(next);
}
function commitMarks(next) {
  commit({ ...chosen(), marks: next });
  spoken.textContent = word("marks_said", { n: next.length });
}
function undo() {
  if (!past.length) return;
  future.push(marks());
  commitMarks(past.pop());
}
function redo() {
  if (!future.length) return;
  past.push(marks());
  commitMarks(future.pop());
}
/** A picture has one crop; every other mark is added. */
function addMark(mark) {
  setMarks([...marks().filter((each) => mark.kind !== "crop" || each.kind !== "crop"), mark]);
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
  tool = name;
  drawn = null;
  label();
  paint();
}
function label() {
  const signs = { zoom_in: "+", zoom_out: "−" }, hints = { negative: "negative_hint", crop: "crop_hint" };
  for (const [name, made] of Object.entries(buttons)) {
    made.textContent = signs[name] || word(name);
    made.title = word(hints[name] || name);
    if (signs[name]) made.setAttribute("aria-label", word(name));
    if (props.tools.includes(name)) made.setAttribute("aria-pressed", String(name === tool));
  }
  if (buttons.negative) {
    buttons.negative.hidden = tool !== "point";
    buttons.negative.setAttribute("aria-pressed", String(negative));
  }
  toolbar.setAttribute("aria-label", word("tools"));
  canvas.setAttribute("aria-label", word("canvas"));
  canvas.dataset.tool = tool || "hand";
  canvas.style.touchAction = !tool || tool === "point" ? "pan-x pan-y" : "none"; // one finger scrolls unless it draws
  able();
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
  const scale = fit() * zoom;
  sheet.style.width = W() * scale + "px";
  sheet.style.height = H() * scale + "px";
  img.style.imageRendering = scale > 2 ? "pixelated" : "auto";
  paint();
}
/** Zooms so that what is at (x, y) of the view, in CSS pixels from its corner, stays there. */
function setZoom(wanted, x = view.clientWidth / 2, y = view.clientHeight / 2) {
  const frame = view.getBoundingClientRect(), before = img.getBoundingClientRect();
  const across = (frame.left + x - before.left) / before.width, down = (frame.top + y - before.top) / before.height;
  zoom = clamp(wanted, 1, MAX_ZOOM);
  layout();
  const after = img.getBoundingClientRect();
  view.scrollLeft += after.left + across * after.width - (frame.left + x);
  view.scrollTop += after.top + down * after.height - (frame.top + y);
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
