// The board by keys: arrows move, Enter or Space is the tool, Escape gives up, Ctrl+Z takes back.
const ARROWS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
const KEYS = {
  Enter: (cell) => useTool(cell),
  " ": (cell) => useTool(cell),
  Escape: () => {
    if (drawn) return cancel();
    if (clip) return choose("copy");
    if (region) setRegion(null);
  },
  "+": () => setZoom(zoom * 2),
  "=": () => setZoom(zoom * 2),
  "-": () => setZoom(zoom / 2),
};
const startOfKeys = () => hovered || selected || [grid.rows >> 1, grid.columns >> 1];

function moveBy([down, across], far) {
  const [row, column] = startOfKeys(), step = far ? 8 : 1, fresh = !hovered && !selected;
  const to = fresh ? [row, column] : [clamp(row + down * step, 0, grid.rows - 1), clamp(column + across * step, 0, grid.columns - 1)];
  byKeys = true;
  hovered = to;
  handled()?.move(to);
  bring(...to);
  if (tool === "look") {
    hovered = null; // what is chosen is where the keys are
    select(...to);
  }
  speak(named(to));
  writePlace();
  draw();
}
function useTool(cell) {
  byKeys = true;
  handled()?.enter(cell);
  speak(named(cell));
  write();
  draw();
}
canvas.addEventListener("keydown", (event) => {
  if (!grid) return;
  const control = event.ctrlKey || event.metaKey, key = event.key.toLowerCase();
  if (control && (key === "y" || (key === "z" && event.shiftKey))) redo();
  else if (control && key === "z") undo();
  else if (control || event.altKey) return;
  else if (viewed === "compare" && (key === "arrowleft" || key === "arrowright")) setSplit(split + (key === "arrowleft" ? -0.02 : 0.02));
  else if (viewed === "compare") return;
  else if (ARROWS[event.key]) moveBy(ARROWS[event.key], event.shiftKey);
  else if (KEYS[event.key]) KEYS[event.key](startOfKeys());
  else return;
  event.preventDefault();
});
canvas.addEventListener("blur", () => {
  if (!byKeys) return;
  [hovered, byKeys] = [null, false];
  if (grid) write();
  draw();
});
