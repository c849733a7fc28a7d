// Mouse, pen, fingers and keys on the canvas.
const TAP_PX = 6, GRAB_PX = { touch: 18, pen: 12, mouse: 10 };
const fingers = new Map(); // of touch pointers on the canvas: where each is
let press = null, pinch = null;

const labelFor = (event) => (negative !== (event.shiftKey || event.button === 2) ? 0 : 1);
const far = (event) => press && Math.hypot(event.clientX - press.x, event.clientY - press.y) >= TAP_PX;

/** The point under the pointer, as its place among the marks, or -1. */
function pointUnder(event) {
  const frame = img.getBoundingClientRect(), reach = GRAB_PX[event.pointerType] || GRAB_PX.mouse;
  const distance = ({ x, y }) => Math.hypot(
    frame.left + ((x + 0.5) * frame.width) / W() - event.clientX, frame.top + ((y + 0.5) * frame.height) / H() - event.clientY);
  return marks().findLastIndex((mark) => mark.kind === "point" && distance(mark) <= reach);
}

function startDrawing(event) {
  const [x, y] = at(event);
  if (tool === "brush") drawn = { kind: "brush", radius: (8 * W()) / img.getBoundingClientRect().width, path: [[x, y]] };
  else drawn = { kind: tool, x0: x, y0: y, x1: x, y1: y };
}
function extend(p) {
  if (drawn.kind === "brush") drawn.path.push(p);
  else [drawn.x1, drawn.y1] = p;
}
/** A box drawn backwards is turned; one without a pixel in it was a slip of the hand. */
function finishDrawing() {
  const mark = drawn;
  drawn = null;
  if (mark.kind !== "brush") {
    const { x0, y0, x1, y1 } = mark;
    Object.assign(mark, { x0: Math.min(x0, x1), y0: Math.min(y0, y1), x1: Math.max(x0, x1), y1: Math.max(y0, y1) });
    if (mark.x1 - mark.x0 < 1 || mark.y1 - mark.y0 < 1) return paint();
  }
  addMark(mark);
  if (props.tools.join() === "crop") choose(null); // one crop is enough: the finger scrolls the page again
}
function forget() {
  drawn = press = null;
  handled()?.cancel();
  paint();
}

// --- pointer events: `click` would round its place to whole CSS pixels ---
canvas.addEventListener("contextmenu", (event) => event.preventDefault());
canvas.addEventListener("pointerdown", (event) => {
  if (!ready()) return;
  if (event.pointerType === "touch") fingers.set(event.pointerId, event);
  if (fingers.size === 2) return startPinch();
  press = { x: event.clientX, y: event.clientY, left: view.scrollLeft, top: view.scrollTop, grabbed: -1 };
  if (tool === "point") press.grabbed = pointUnder(event);
  if (tool !== "point" && event.button) return;
  if (handled()) handled().down(event);
  else if (tool && tool !== "point") startDrawing(event);
  if (tool !== "point" || press.grabbed >= 0) canvas.setPointerCapture(event.pointerId);
  paint();
});
canvas.addEventListener("pointermove", (event) => {
  if (!ready()) return;
  if (fingers.has(event.pointerId)) fingers.set(event.pointerId, event);
  if (pinch) return movePinch();
  cross = pixel(at(event));
  byKeys = false;
  if (far(event)) press.dragged = true;
  handled()?.move(event);
  if (drawn) for (const each of event.getCoalescedEvents?.() || [event]) extend(at(each));
  else if (!tool && press && event.buttons) view.scrollTo(press.left + press.x - event.clientX, press.top + press.y - event.clientY);
  requestAnimationFrame(paint);
});
canvas.addEventListener("pointerup", (event) => {
  fingers.delete(event.pointerId);
  if (pinch) return endPinch();
  if (!ready() || !press) return forget();
  const { grabbed } = press, moved = press.dragged || far(event), [x, y] = pixel(at(event));
  press = null;
  if (handled()) return handled().up(event);
  if (drawn) return finishDrawing();
  if (tool !== "point") return;
  if (!moved) addMark({ kind: "point", x, y, label: labelFor(event) });
  else if (grabbed >= 0) setMarks(marks().map((mark, i) => (i === grabbed ? { ...mark, x, y } : mark)));
});
canvas.addEventListener("pointercancel", (event) => {
  fingers.delete(event.pointerId);
  if (pinch) endPinch();
  forget();
});
canvas.addEventListener("pointerleave", () => {
  if (!press) handled()?.leave();
  if (drawn || document.activeElement === canvas) return;
  cross = null;
  paint();
});

// --- two fingers: zoom and move; the browser's own zoom of the whole page stays out ---
canvas.addEventListener("touchstart", (event) => { // comes after pointerdown: a grabbed point moves, the page does not
  if (event.touches.length === 2 || press?.grabbed >= 0) event.preventDefault();
}, { passive: false });
function between() {
  const [a, b] = [...fingers.values()], frame = view.getBoundingClientRect();
  const x = (a.clientX + b.clientX) / 2 - frame.left, y = (a.clientY + b.clientY) / 2 - frame.top;
  return { x, y, apart: Math.max(1, Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY)) };
}
function startPinch() {
  forget();
  const { x, y, apart } = between();
  pinch = { apart, zoom, share: shareAt(x, y) };
}
function movePinch() { // what was between the fingers stays between them
  if (fingers.size < 2) return;
  const { x, y, apart } = between();
  setZoom((pinch.zoom * apart) / pinch.apart, x, y, pinch.share);
}
function endPinch() {
  if (fingers.size === 0) pinch = null; // the finger that stays must not mark
}
view.addEventListener("wheel", (event) => {
  if (!event.ctrlKey || !ready()) return;
  event.preventDefault();
  const frame = view.getBoundingClientRect();
  setZoom(zoom * 2 ** (-event.deltaY / 200), event.clientX - frame.left, event.clientY - frame.top);
}, { passive: false });

// --- keys ---
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const KEYS = {
  Delete: () => marks().length && setMarks(marks().slice(0, -1)),
  Escape: forget,
  "+": () => setZoom(zoom * 2),
  "=": () => setZoom(zoom * 2),
  "-": () => setZoom(zoom / 2),
};
KEYS.Backspace = KEYS.Delete;

function moveCross([dx, dy], far) {
  const from = cross || [W() >> 1, H() >> 1], k = far ? 10 : 1;
  cross = pixel([from[0] + dx * k, from[1] + dy * k]);
  byKeys = true;
  if (drawn) drawn.kind === "brush" ? extend(centre()) : extend([cross[0] + 1, cross[1] + 1]);
  spoken.textContent = word("at_place", { x: cross[0], y: cross[1] });
  handled()?.at(cross);
  reveal();
  paint();
}
const centre = () => [cross[0] + 0.5, cross[1] + 0.5];
/** Scrolls the view so that the cross is seen. */
function reveal() {
  const frame = view.getBoundingClientRect(), sheetFrame = img.getBoundingClientRect();
  const x = sheetFrame.left + (centre()[0] * sheetFrame.width) / W() - frame.left;
  const y = sheetFrame.top + (centre()[1] * sheetFrame.height) / H() - frame.top;
  view.scrollLeft += Math.min(x - 20, 0) + Math.max(x + 20 - view.clientWidth, 0);
  view.scrollTop += Math.min(y - 20, 0) + Math.max(y + 20 - view.clientHeight, 0);
}
/** Enter marks a point at the cross; for a box, a crop or a stroke it begins one there, and ends it. */
function enter(event) {
  cross ||= [W() >> 1, H() >> 1];
  byKeys = true;
  const [x, y] = cross;
  if (handled()) return handled().enter(cross);
  if (drawn) return finishDrawing();
  if (tool === "point") return addMark({ kind: "point", x, y, label: labelFor(event) });
  if (tool === "brush") drawn = { kind: "brush", radius: (8 * W()) / img.getBoundingClientRect().width, path: [centre()] };
  else if (tool) drawn = { kind: tool, x0: x, y0: y, x1: x + 1, y1: y + 1 };
  paint();
}
canvas.addEventListener("keydown", (event) => {
  if (!ready()) return;
  const control = event.ctrlKey || event.metaKey, key = event.key.toLowerCase();
  if (control && (key === "y" || (key === "z" && event.shiftKey))) redo();
  else if (control && key === "z") undo();
  else if (control || event.altKey) return;
  else if (ARROWS[event.key]) moveCross(ARROWS[event.key], event.shiftKey);
  else if (event.key === "Enter") enter(event);
  else if (KEYS[event.key]) KEYS[event.key]();
  else return;
  event.preventDefault();
});

// --- a picture comes on screen ---
function screen(src) {
  zoom = 1;
  cross = drawn = null;
  if (src) img.src = src;
  else img.removeAttribute("src");
}
/** After each change of the value: the picture's name, its marks, and which buttons can be pressed. */
function describe(sentence) {
  const name = nameOf(chosen());
  if (name !== markedPicture) {
    [past, future, markedPicture] = [[], [], name];
    own.fresh();
  }
  img.alt = sentence;
  own.shown();
  able();
  layout();
}
