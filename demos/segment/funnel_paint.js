// Drawing: masks over the picture as outlines, points of the grid, boxes of a quarrel; small pictures of each mask; and
// where the pointer is. Shapes are traced once a mask, in shares of the picture.
const canvas = $("canvas"), img = $("img"), thumbs = $(".thumbs");
const PAGE = 24, THUMB_PX = 72, STEPS = 32, TAP_PX = 6;
let shapes = new Map(), field = null, page = 1, cross = null, pressedAt = null;
let masksOf = new Map(), boxes = null; // masks that the last filter changed: {masks, place}; boxes with theirs

const more = button($(".further"), "more", () => { page++; list(); });
function forgetShapes() { shapes = new Map(); forgetField(); }
function forgetField() { field = null; }
/** Masks and boxes as the model gave them, or with those that the last filter cleaned. */
function useMasks(cleaned) {
  const before = masksOf;
  [masksOf, boxes] = [new Map(), pass.boxes.slice()];
  cleaned?.touched.forEach((i, place) => {
    masksOf.set(i, { masks: { ...pass.masks, bits: cleaned.bits }, place });
    boxes.set(cleaned.boxes.subarray(4 * place, 4 * place + 4), 4 * i);
  });
  for (const i of [...before.keys(), ...masksOf.keys()]) shapes.delete(i);
}
/** Where the bits of a mask are: [masks, place among them]. */
function bitsOf(i) {
  const changed = masksOf.get(i);
  return changed ? [changed.masks, changed.place] : [pass.masks, i];
}
/** A mask's outline as a path of shares, its corners rounded: bends begin and end halfway between two of its places. */
function shape(i) {
  if (!shapes.has(i)) {
    const path = new Path2D(), half = ([x, y], [X, Y]) => [(x + X) / 2, (y + Y) / 2];
    for (const line of outlines(...bitsOf(i))) {
      path.moveTo(...half(line.at(-1), line[0]));
      line.forEach((place, at) => path.quadraticCurveTo(...place, ...half(place, line[(at + 1) % line.length])));
    }
    shapes.set(i, path);
  }
  return shapes.get(i);
}
function scaled(i, width, height) {
  const path = new Path2D();
  path.addPath(shape(i), new DOMMatrix([width, 0, 0, height, 0, 0]));
  return path;
}
/** Far apart for neighbours in number, of one lightness, the same at every setting of the sliders. */
const colour = (i, alpha = 1) => `oklch(0.74 0.15 ${(i * 137.508) % 360} / ${alpha})`;

// --- the picture ---
function paint() {
  if (!pass || !canvas.clientWidth) return;
  const width = Math.round(canvas.clientWidth * devicePixelRatio), height = Math.round(canvas.clientHeight * devicePixelRatio);
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d"), dot = Math.max(devicePixelRatio, 1);
  context.clearRect(0, 0, width, height);
  context.lineJoin = "round";
  if (chosen === "kept") paintKept(context, dot);
  else paintPoints(context, dot);
  if (hot >= 0) paintHot(context, dot);
  if (cross) paintCross(context, dot);
  canvas.dataset.hot = hot;
}
/** Large ones first, so that what lies on them is seen. */
function paintKept(context, dot) {
  const { width, height } = context.canvas;
  for (const i of [...result.kept].sort((a, b) => pass.areas[b] - pass.areas[a])) {
    const path = scaled(i, width, height);
    context.fillStyle = colour(i, hot >= 0 && i !== hot ? 0.2 : 0.45);
    context.fill(path, "evenodd");
    context.strokeStyle = "white";
    context.lineWidth = 1.2 * dot;
    context.stroke(path);
  }
}
/** A dot for each point of the grid, the larger the more of its three masks this stage threw away. */
function paintPoints(context, dot) {
  const { width, height } = context.canvas, reason = STAGES.indexOf(chosen);
  context.fillStyle = "rgb(0 0 0 / .45)";
  context.fillRect(0, 0, width, height);
  for (let first = 0; first < pass.count; first += 3) {
    const mine = [0, 1, 2].filter((output) => chosen === "grid" || result.reasons[first + output] === reason).length;
    context.beginPath();
    context.arc(pass.x[first] * width, pass.y[first] * height, (chosen === "grid" ? 2 : 1 + mine) * dot, 0, 7);
    context.fillStyle = mine ? "#f0e442" : "rgb(255 255 255 / .35)";
    context.fill();
  }
}
/** The mask that is pointed at, its point, and the kept one that suppressed it with both boxes. */
function paintHot(context, dot) {
  const { width, height } = context.canvas, path = scaled(hot, width, height), rival = result.rival[hot];
  context.fillStyle = colour(hot, 0.55);
  context.fill(path, "evenodd");
  line(context, path, colour(hot), dot);
  if (rival >= 0) {
    line(context, scaled(rival, width, height), "#56b4e9", dot, [6 * dot, 4 * dot]);
    for (const [i, stroke] of [[hot, "white"], [rival, "#56b4e9"]]) line(context, boxPath(i, width, height), stroke, dot, [2 * dot, 3 * dot]);
  }
  const x = pass.x[hot] * width, y = pass.y[hot] * height, ring = new Path2D();
  ring.arc(x, y, 5 * dot, 0, 7);
  line(context, ring, "white", dot);
}
function boxPath(i, width, height) {
  const [x0, y0, x1, y1] = boxes.subarray(4 * i, 4 * i + 4), path = new Path2D();
  path.rect((x0 / pass.width) * width, (y0 / pass.height) * height, ((x1 + 1 - x0) / pass.width) * width, ((y1 + 1 - y0) / pass.height) * height);
  return path;
}
/** A coloured line on a dark one: seen on any picture. */
function line(context, path, stroke, dot, dash = []) {
  context.setLineDash([]);
  context.strokeStyle = "rgb(0 0 0 / .7)";
  context.lineWidth = 4 * dot;
  if (!dash.length) context.stroke(path);
  context.setLineDash(dash);
  context.strokeStyle = stroke;
  context.lineWidth = 2 * dot;
  context.stroke(path);
  context.setLineDash([]);
}
function paintCross(context, dot) {
  const { width, height } = context.canvas, path = new Path2D(), [x, y] = [cross[0] * width, cross[1] * height];
  path.moveTo(x - 9 * dot, y); path.lineTo(x + 9 * dot, y); path.moveTo(x, y - 9 * dot); path.lineTo(x, y + 9 * dot);
  line(context, path, "white", dot);
}

// --- small pictures of what the stage speaks of ---
function list() {
  const shown = these();
  listed.textContent = word("funnel_list_" + chosen, { n: shown.length });
  thumbs.setAttribute("aria-label", listed.textContent);
  thumbs.replaceChildren(...shown.slice(0, PAGE * page).map(thumb));
  more.hidden = shown.length <= PAGE * page;
  more.textContent = word("funnel_more", { n: shown.length - PAGE * page });
}
function thumb(i) {
  const made = document.createElement("button"), small = document.createElement("canvas"), score = document.createElement("span");
  made.type = "button";
  made.dataset.index = i;
  made.setAttribute("aria-label", described(i) + " " + why(i));
  Object.assign(small, { width: THUMB_PX, height: THUMB_PX });
  paintThumb(small, i);
  score.textContent = chosen === "stability" ? digits(pass.stability[i]) : digits(pass.iou[i]);
  made.append(small, score);
  for (const name of ["pointerenter", "focus"]) made.addEventListener(name, () => point(i));
  made.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") point(-1); });
  made.addEventListener("click", (event) => pressed(i, event.pointerType));
  return made;
}
/** The thing alone, cut out of the picture by its mask, with a little room around its box. */
function paintThumb(small, i) {
  if (!img.naturalWidth) return;
  const [x0, y0, x1, y1] = boxes.subarray(4 * i, 4 * i + 4), side = 1.15 * Math.max(x1 - x0 + 1, y1 - y0 + 1, 8);
  const context = small.getContext("2d"), scale = THUMB_PX / side, left = (x0 + x1 + 1 - side) / 2, top = (y0 + y1 + 1 - side) / 2;
  context.setTransform(scale, 0, 0, scale, -left * scale, -top * scale);
  context.globalAlpha = 0.25;
  context.drawImage(img, 0, 0, pass.width, pass.height);
  context.globalAlpha = 1;
  context.clip(scaled(i, pass.width, pass.height), "evenodd");
  context.drawImage(img, 0, 0, pass.width, pass.height);
}

// --- the mask under the pointer: no server is asked ---
function under(x, y) {
  field ||= hoverField(pass.masks, pass.areas, these(), bitsOf);
  const { rows, columns, extent } = pass.masks;
  return field[clamp(Math.floor(y * extent[0]), 0, rows - 1) * columns + clamp(Math.floor(x * extent[1]), 0, columns - 1)];
}
function placeOf(event) {
  const frame = canvas.getBoundingClientRect();
  return [(event.clientX - frame.left) / frame.width, (event.clientY - frame.top) / frame.height];
}
canvas.addEventListener("pointermove", (event) => {
  cross = null;
  if (pass) point(under(...placeOf(event)));
});
canvas.addEventListener("pointerdown", (event) => { pressedAt = [event.clientX, event.clientY]; });
canvas.addEventListener("pointerup", (event) => {
  const moved = !pressedAt || Math.hypot(event.clientX - pressedAt[0], event.clientY - pressedAt[1]) > TAP_PX;
  if (pass && !moved && event.button === 0) pressed(under(...placeOf(event)), event.pointerType);
});
canvas.addEventListener("pointerleave", (event) => { if (pass && event.pointerType === "mouse") point(-1); });
canvas.addEventListener("keydown", (event) => {
  const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  if (event.key === "Enter" && pass) pressed(hot, "");
  if (!steps || !pass) return;
  event.preventDefault();
  const from = cross || [0.5, 0.5], far = (event.shiftKey ? 4 : 1) / STEPS;
  cross = from.map((place, axis) => clamp(place + steps[axis] * far, 0, 1));
  hot = under(...cross);
  paint();
  say();
});
canvas.addEventListener("blur", () => { cross = null; paint(); });
img.addEventListener("load", () => { if (pass) write(); });
new ResizeObserver(paint).observe(canvas);
