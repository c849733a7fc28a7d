// Draws the marks on a sheet over the picture: as large as the screen shows it, at most 4096 px.
const GREEN = "#0f766e", BROWN = "#b45309", WHITE = "#fff";

function paint() {
  if (!W()) return;
  const frame = img.getBoundingClientRect();
  const density = Math.min(devicePixelRatio, 4096 / Math.max(frame.width, frame.height, 1));
  canvas.width = frame.width * density;
  canvas.height = frame.height * density;
  if (!ready() || !canvas.width) return;
  const pen = { c: canvas.getContext("2d"), s: canvas.width / W(), px: density };
  own.under(pen);
  const all = [...marks().map(asDragged), ...(drawn ? [drawn] : [])];
  for (const mark of all.filter((each) => each.kind === "crop").slice(-1)) paintCrop(pen, mark);
  for (const mark of all) ({ point: paintPoint, box: paintBox, brush: paintStroke, crop: () => {} })[mark.kind](pen, mark);
  if (cross && byKeys) paintCross(pen);
  placeText.textContent = W() + " × " + H() + (cross ? " · " + word("at_place", { x: cross[0], y: cross[1] }) : "");
}
/** A point that is being dragged, shown where it would be let go. */
function asDragged(mark, i) {
  return press?.dragged && press.grabbed === i && cross ? { ...mark, x: cross[0], y: cross[1] } : mark;
}
function stroke({ c, px }, width, style) {
  c.lineWidth = width * px;
  c.strokeStyle = style;
  c.stroke();
}
/** A plus or a minus in a dot: the sign tells them apart as well as the colour. */
function paintPoint(pen, { x, y, label }) {
  const { c, s, px } = pen, [cx, cy] = [(x + 0.5) * s, (y + 0.5) * s];
  c.beginPath();
  c.arc(cx, cy, 7 * px, 0, 7);
  c.fillStyle = label ? GREEN : BROWN;
  c.fill();
  stroke(pen, 2, WHITE);
  c.beginPath();
  c.moveTo(cx - 4 * px, cy);
  c.lineTo(cx + 4 * px, cy);
  if (label) {
    c.moveTo(cx, cy - 4 * px);
    c.lineTo(cx, cy + 4 * px);
  }
  stroke(pen, 2, WHITE);
}
function paintBox(pen, { x0, y0, x1, y1 }) {
  const { c, s } = pen;
  c.beginPath();
  c.rect(x0 * s, y0 * s, (x1 - x0) * s, (y1 - y0) * s);
  stroke(pen, 4, WHITE);
  stroke(pen, 2, GREEN);
}
/** What is cut away goes grey. */
function paintCrop(pen, mark) {
  const { c, s } = pen, { x0, y0, x1, y1 } = mark;
  c.beginPath();
  c.rect(0, 0, c.canvas.width, c.canvas.height);
  c.rect(Math.min(x0, x1) * s, Math.min(y0, y1) * s, Math.abs(x1 - x0) * s, Math.abs(y1 - y0) * s);
  c.fillStyle = "rgba(20,20,20,.6)";
  c.fill("evenodd");
  paintBox(pen, mark);
}
function paintStroke({ c, s }, { path, radius }) {
  c.beginPath();
  path.forEach(([x, y], i) => (i ? c.lineTo(x * s, y * s) : c.moveTo(x * s, y * s)));
  if (path.length === 1) c.lineTo(path[0][0] * s + 0.01, path[0][1] * s); // a line of no length draws nothing
  c.lineCap = c.lineJoin = "round";
  c.lineWidth = 2 * radius * s;
  c.strokeStyle = "rgba(15,118,110,.55)";
  c.stroke();
}
function paintCross(pen) {
  const { c, s, px } = pen, [x, y] = [(cross[0] + 0.5) * s, (cross[1] + 0.5) * s];
  c.beginPath();
  c.moveTo(x - 12 * px, y);
  c.lineTo(x + 12 * px, y);
  c.moveTo(x, y - 12 * px);
  c.lineTo(x, y + 12 * px);
  stroke(pen, 4, WHITE);
  stroke(pen, 1.5, "#000");
}
