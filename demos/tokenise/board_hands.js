// Mouse, pen and fingers on the board. Two fingers zoom and move it; one belongs to the tool that needs it.
const TAP_PX = 8;
let press = null; // {type, x, y, moved, cell}
let pinch = null;
const fingers = new Map(); // of touch pointers on the canvas: where each is

function pointAt(event) {
  hovered = cellAt(event);
  byKeys = false;
}
canvas.addEventListener("contextmenu", (event) => event.preventDefault());
canvas.addEventListener("pointerdown", (event) => {
  if (!grid) return;
  if (event.pointerType === "touch") fingers.set(event.pointerId, event);
  if (fingers.size === 2) return startPinch();
  if (fingers.size > 2) return;
  press = { type: event.pointerType, x: event.clientX, y: event.clientY, moved: false, cell: cellAt(event) };
  pointAt(event);
  if (event.button === 2 || event.altKey) { // takes up the code that is there, whatever the tool
    press = null;
    return select(...cellAt(event));
  }
  if (event.button) return;
  if (viewed === "compare") return slide(event);
  if (tool !== "look" || event.pointerType !== "touch") canvas.setPointerCapture(event.pointerId);
  handled().down(press.cell);
  write();
  draw();
});
canvas.addEventListener("pointermove", (event) => {
  if (!grid) return;
  if (fingers.has(event.pointerId)) fingers.set(event.pointerId, event);
  if (pinch) return movePinch();
  if (press && Math.hypot(event.clientX - press.x, event.clientY - press.y) >= TAP_PX) press.moved = true;
  pointAt(event);
  if (press) {
    if (viewed === "compare") return slide(event);
    for (const each of event.getCoalescedEvents?.() || []) handled().move(cellAt(each));
    press.cell = cellAt(event);
    handled().move(press.cell);
  }
  writePlace();
  draw();
});
canvas.addEventListener("pointerup", (event) => {
  fingers.delete(event.pointerId);
  if (pinch) return endPinch();
  if (!grid || !press) return;
  const { moved, type } = press;
  press = null;
  if (type === "touch") hovered = null;
  if (viewed === "compare") return;
  if (tool !== "look" || !moved) handled().up(cellAt(event));
  write();
  draw();
});
canvas.addEventListener("pointercancel", (event) => { // the page scrolls
  fingers.delete(event.pointerId);
  if (pinch) endPinch();
  press = hovered = null;
  cancel();
});
canvas.addEventListener("pointerleave", () => {
  if (press || byKeys) return;
  hovered = null;
  if (!grid) return;
  writePlace();
  draw();
});
function slide(event) {
  canvas.setPointerCapture(event.pointerId);
  setSplit(at(event)[0] / width());
}

// --- two fingers ---
canvas.addEventListener("touchstart", (event) => {
  if (event.touches.length === 2) event.preventDefault();
}, { passive: false });
function betweenFingers() {
  const [a, b] = [...fingers.values()], frame = view.getBoundingClientRect();
  const x = (a.clientX + b.clientX) / 2 - frame.left, y = (a.clientY + b.clientY) / 2 - frame.top;
  return { x, y, apart: Math.max(1, Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY)) };
}
/** A stroke that the first finger had begun is taken back: it was the start of a zoom. */
function startPinch() {
  if (drawn?.stepped) {
    undo();
    future.pop();
    able();
  }
  press = hovered = null;
  cancel();
  const { x, y, apart } = betweenFingers();
  pinch = { apart, zoom, share: shareAt(x, y) };
}
function movePinch() {
  if (fingers.size < 2) return;
  const { x, y, apart } = betweenFingers();
  setZoom((pinch.zoom * apart) / pinch.apart, x, y, pinch.share);
}
function endPinch() {
  if (fingers.size === 0) pinch = null; // the finger that stays must not draw
}
view.addEventListener("wheel", (event) => {
  if (!event.ctrlKey || !grid) return;
  event.preventDefault();
  const frame = view.getBoundingClientRect();
  setZoom(zoom * 2 ** (-event.deltaY / 200), event.clientX - frame.left, event.clientY - frame.top);
}, { passive: false });
