// One mask as the page draws it: logits -> field at the picture's size (enlarge.js) -> mask at a threshold -> outline.
// Functions of their arguments alone.
const INKS = ["#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7"]; // Okabe and Ito's
const DASHES = [[], [10, 5], [3, 4], [14, 4, 3, 4]]; // so that colour is never alone
const inkOf = (number) => INKS[(number - 1) % INKS.length];
const dashOf = (number) => DASHES[(number - 1) % DASHES.length];

/** What a packed layer is drawn from. The field is kept, so that a threshold moves without enlarging again. */
function opened(packed) {
  const [rows, columns] = packed.logits.shape, { side, square, input, size } = packed;
  const field = enlarge(unpack(packed.logits), { rows, columns, side, square, input, size });
  return { packed, field, width: size[1], height: size[0], threshold: null, mask: null, path: null, spot: null };
}

/** The layer cut at a threshold: its mask, its outline as a Path2D in its pixels, and where its number stands. */
function cutAt(layer, threshold) {
  if (layer.threshold === threshold && layer.mask) return layer;
  const { field, width, height } = layer, mask = (layer.mask ||= new Uint8Array(field.length));
  for (let i = 0; i < mask.length; i++) mask[i] = field[i] > threshold ? 1 : 0;
  layer.threshold = threshold;
  layer.path = pathOf(outline(mask, width, height));
  layer.spot = above(mask, width, height);
  return layer;
}

// --- the outline: along the pixels' edges, from the middle of one edge to the middle of the next ---
const STEP_X = [1, 0, -1, 0], STEP_Y = [0, 1, 0, -1]; // right, down, left, up; what belongs lies on the right-hand side
/** Closed lines [x, y, x, y, ...] around a mask (0 or 1 a pixel); a hole has a line of its own. */
function outline(mask, width, height) {
  const lines = [], seen = new Uint8Array(mask.length);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      if (mask[i] && !seen[i] && !(y && mask[i - width])) lines.push(around(mask, width, height, seen, x, y));
    }
  }
  return lines;
}
function around(mask, width, height, seen, startX, startY) {
  const inside = (x, y) => x >= 0 && y >= 0 && x < width && y < height && mask[y * width + x];
  // The pixel to the right of a step in direction d from the corner (x, y), and the one to its left.
  const right = (d, x, y) => inside(x - (d === 1 || d === 2), y - (d === 2 || d === 3));
  const left = (d, x, y) => inside(x - (d === 2 || d === 3), y - (d === 0 || d === 3));
  const line = [];
  let [x, y, d, before, run] = [startX, startY, 0, -1, 0];
  do {
    if (d === 0) seen[y * width + x] = 1;
    run = d === before ? run + 1 : 1;
    if (run > 2) line.length -= 2; // of a straight run its ends suffice
    line.push(x + STEP_X[d] / 2, y + STEP_Y[d] / 2);
    x += STEP_X[d];
    y += STEP_Y[d];
    before = d;
    d = [1, 0, 3].map((turn) => (d + turn) % 4).find((next) => right(next, x, y) && !left(next, x, y));
  } while (x !== startX || y !== startY || d !== 0);
  return line;
}
function pathOf(lines) {
  const path = new Path2D();
  for (const line of lines) {
    path.moveTo(line[0], line[1]);
    for (let k = 2; k < line.length; k += 2) path.lineTo(line[k], line[k + 1]);
    path.closePath();
  }
  return path;
}

/** The edge straight above the middle of a mask's broadest row, [x, y]: no click is there. Null for an empty mask. */
function above(mask, width, height) {
  let best = 0, x = 0, y = 0;
  for (let row = 0, i = 0; row < height; row++) {
    for (let column = 0, run = 0; column < width; column++, i++) {
      run = mask[i] ? run + 1 : 0;
      if (run > best) [best, x, y] = [run, column - ((run - 1) >> 1), row];
    }
  }
  while (y > 0 && mask[(y - 1) * width + x]) y--;
  return best ? [x + 0.5, y] : null;
}

/** All masks in one picture; where two overlap, the last one is seen. strengths: 0 to 1 each. Gives ImageData. */
function fills(layers, width, height) {
  const image = new ImageData(width, height), pixels = new Uint32Array(image.data.buffer);
  for (const { mask, ink, strength } of layers) {
    const [r, g, b] = [1, 3, 5].map((k) => parseInt(ink.slice(k, k + 2), 16));
    const colour = ((Math.round(255 * strength) << 24) | (b << 16) | (g << 8) | r) >>> 0;
    for (let i = 0; i < mask.length; i++) if (mask[i]) pixels[i] = colour;
  }
  return image;
}
