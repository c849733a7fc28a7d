// Where things are. The sheet is as large as the magnified picture and scrolls in the view; the canvas covers the view
// alone and stays in it, so that 128 x 128 cells at any zoom are one canvas of the screen's size.
const view = $(".view"), sheet = $(".sheet"), canvas = $("canvas.grid"), pen = canvas.getContext("2d");
const LARGEST_CELL = 96, READABLE_CELL = 30, LARGE_CELL = 36; // CSS pixels; a large one is seen beside a thumb
let zoom = 1, scale = 1; // scale: CSS pixels a pixel of the picture
let enlarged = false; // by the view of numbers, which goes back afterwards

const cellSide = () => scale * grid.cell;
const height = () => grid.size[0], width = () => grid.size[1];
/** CSS pixels a pixel of the picture where all of it is seen; 1 where the board is hidden. */
function fit() {
  const room = view.offsetWidth, most = Math.max(200, innerHeight * 0.72);
  return room ? Math.min(room / width(), most / height(), 40 / grid.cell) : 1;
}
const mostZoom = () => Math.max(1, LARGEST_CELL / (fit() * grid.cell));

function layout() {
  if (!grid || !element.offsetParent) return;
  zoom = clamp(zoom, 1, mostZoom());
  scale = fit() * zoom;
  view.style.height = Math.ceil(height() * fit()) + "px"; // a magnified picture stays in the frame of the whole one
  sheet.style.width = width() * scale + "px";
  sheet.style.height = height() * scale + "px";
  const density = Math.min(devicePixelRatio, 3);
  const seen = [Math.min(view.clientWidth, width() * scale), Math.min(view.clientHeight, height() * scale)];
  [canvas.style.width, canvas.style.height] = seen.map((side) => side + "px");
  const [across, down] = seen.map((side) => Math.max(1, Math.round(side * density)));
  if (canvas.width !== across || canvas.height !== down) Object.assign(canvas, { width: across, height: down });
  comparingBox.style.width = canvas.style.width; // so that the slider's hand stands under the line
  draw();
}
function refit() {
  [zoom, enlarged] = [1, false];
  layout();
  if (grid && viewed === "numbers") makeReadable();
}

/** What share of the picture lies at a place of the view, in CSS pixels from its corner. */
function shareAt(x, y) {
  return [(view.scrollLeft + x - edge()) / (width() * scale), (view.scrollTop + y) / (height() * scale)];
}
/** A sheet that is narrower than the view stands in its middle. */
const edge = () => Math.max(0, (view.clientWidth - width() * scale) / 2);
/** Zooms so that `share` of the picture comes to lie at (x, y) of the view: what is there already, if left out. */
function setZoom(wanted, x = view.clientWidth / 2, y = view.clientHeight / 2, share = shareAt(x, y)) {
  zoom = clamp(wanted, 1, mostZoom());
  layout();
  view.scrollLeft = share[0] * width() * scale + edge() - x;
  view.scrollTop = share[1] * height() * scale - y;
  write();
}
/** Zooms in on a cell, or on the chosen one, so far that its number can be read. */
function makeReadable() {
  if (cellSide() >= READABLE_CELL) return;
  enlarged = true;
  const [row, column] = selected || [grid.rows / 2, grid.columns / 2];
  const share = [((column + 0.5) * grid.cell) / width(), ((row + 0.5) * grid.cell) / height()];
  setZoom(READABLE_CELL / (fit() * grid.cell), view.clientWidth / 2, view.clientHeight / 2, share);
}
/** Scrolls the view, and only it, so far that a cell is seen. */
function bring(row, column) {
  const side = cellSide(), [x, y] = [column * side, row * side];
  view.scrollLeft = clamp(view.scrollLeft, x + side - view.clientWidth + 8, Math.max(0, x - 8));
  view.scrollTop = clamp(view.scrollTop, y + side - view.clientHeight + 8, Math.max(0, y - 8));
}

/** Where an event is on the picture, in pixels of it. */
function at(event) {
  const frame = sheet.getBoundingClientRect();
  return [(event.clientX - frame.left) / scale, (event.clientY - frame.top) / scale];
}
/** The [row, column] under an event; the nearest cell if it is beside the grid. */
function cellAt(event) {
  const [x, y] = at(event);
  return [clamp(Math.floor(y / grid.cell), 0, grid.rows - 1), clamp(Math.floor(x / grid.cell), 0, grid.columns - 1)];
}
/** Calls f(place, row, column) for each cell of [top, left, bottom, right]. */
function eachIn([top, left, bottom, right], f) {
  for (let row = top; row < bottom; row++) for (let column = left; column < right; column++) f(placeOf(row, column), row, column);
}
/** The cells that are seen now, as a region. */
function seenCells() {
  const side = cellSide(), down = view.scrollTop, across = view.scrollLeft;
  return [
    Math.max(0, Math.floor(down / side)), Math.max(0, Math.floor(across / side)),
    Math.min(grid.rows, Math.ceil((down + view.clientHeight) / side)), Math.min(grid.columns, Math.ceil((across + view.clientWidth) / side)),
  ];
}
/** The square of `width` cells a side about a cell, cut at the grid's edges. */
function block(row, column, wide) {
  const half = (wide - 1) >> 1, [top, left] = [row - half, column - half];
  return [Math.max(0, top), Math.max(0, left), Math.min(grid.rows, top + wide), Math.min(grid.columns, left + wide)];
}
/** All cells on the straight line between two, both included: a quick brush leaves no gaps. */
function line([row0, column0], [row1, column1]) {
  const steps = Math.max(Math.abs(row1 - row0), Math.abs(column1 - column0), 1);
  return Array.from({ length: steps + 1 }, (_, i) => [
    Math.round(row0 + ((row1 - row0) * i) / steps), Math.round(column0 + ((column1 - column0) * i) / steps),
  ]);
}
/** Two cells as opposite corners of a region. */
const between = ([r0, c0], [r1, c1]) => [Math.min(r0, r1), Math.min(c0, c1), Math.max(r0, r1) + 1, Math.max(c0, c1) + 1];
