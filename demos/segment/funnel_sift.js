// What the funnel computes: the filters of `pipelines/segment/everything.py` on the numbers of one model pass, the mask
// under a place, and outlines. Functions of their arguments alone: a test gives them and Python the same numbers.
const KEPT = 0, IOU = 1, STABILITY = 2, NMS = 3, SMALL = 4; // why a candidate is out, as in the pipeline

/** all: {count, iou, stability: Float32Array, boxes: 4 a candidate}. limits: {iou, stability, nms}.
 * Gives {reasons, rival: which kept mask suppressed it or -1, kept: candidates, best first, counts: by reason}. */
function sift(all, limits) {
  const reasons = new Int8Array(all.count), rival = new Int32Array(all.count).fill(-1);
  // A threshold of 0 is none, and comparisons are made in single precision, both as in the library.
  const iou = Math.fround(limits.iou), stability = Math.fround(limits.stability), passed = [];
  for (let i = 0; i < all.count; i++) {
    if (iou > 0 && !(all.iou[i] > iou)) reasons[i] = IOU;
    else if (stability > 0 && !(all.stability[i] >= stability)) reasons[i] = STABILITY;
    else passed.push(i);
  }
  const kept = suppress(all, passed, limits.nms, reasons, rival);
  return { reasons, rival, kept, counts: counted(reasons) };
}
function counted(reasons) {
  const counts = [0, 0, 0, 0, 0];
  reasons.forEach((reason) => { counts[reason]++; });
  return counts;
}

/** The result with the last filter, which looks at pixels and is therefore Python's: see `everything_views.cleaned`. */
function withSmall({ reasons, rival }, { kept, gone }) {
  const after = { reasons: reasons.slice(), rival: rival.slice(), kept };
  for (const [i, better] of gone) [after.reasons[i], after.rival[i]] = [SMALL, better];
  return { ...after, counts: counted(after.reasons) };
}

/** Greedy non-maximum suppression of boxes: the best by predicted IoU stays, and who overlaps it too much goes. */
function suppress(all, passed, most, reasons, rival) {
  const kept = [];
  for (const i of [...passed].sort((a, b) => all.iou[b] - all.iou[a] || a - b)) {
    rival[i] = kept.find((k) => boxIoU(all.boxes, k, i) > most) ?? -1;
    if (rival[i] < 0) kept.push(i);
    else reasons[i] = NMS;
  }
  return kept;
}

/** Intersection over union of two boxes (x0, y0, x1, y1). A box without area has none: 0 / 0 is not above a limit. */
function boxIoU(boxes, a, b) {
  const [ax, ay, aX, aY] = boxes.subarray(4 * a, 4 * a + 4), [bx, by, bX, bY] = boxes.subarray(4 * b, 4 * b + 4);
  const inner = Math.max(Math.min(aX, bX) - Math.max(ax, bx), 0) * Math.max(Math.min(aY, bY) - Math.max(ay, by), 0);
  return Math.fround(inner / ((aX - ax) * (aY - ay) + (bX - bx) * (bY - by) - inner));
}

// --- masks: {bits, rows, columns, extent}: one bit a cell, rows of whole bytes. The picture ends `extent` rows and
// columns from the corner, perhaps within the last cells ---
function inside(masks, i, row, column) {
  const stride = Math.ceil(masks.columns / 8);
  return (masks.bits[i * masks.rows * stride + row * stride + (column >> 3)] >> (7 - (column & 7))) & 1;
}

/** For each cell the smallest of these masks that covers it, or -1: what a pointer there means. bitsOf(i): [masks, place
 * in them] of a candidate. */
function hoverField({ rows, columns }, areas, these, bitsOf) {
  const field = new Int32Array(rows * columns).fill(-1);
  for (const i of [...these].sort((a, b) => areas[b] - areas[a] || b - a)) {
    const [masks, place] = bitsOf(i);
    for (let row = 0, at = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++, at++) if (inside(masks, place, row, column)) field[at] = i;
    }
  }
  return field;
}

/** The outlines of a mask as closed lines of [x, y] in shares of the picture: marching squares halfway between cells. */
function outlines(masks, i) {
  const { rows, columns } = masks, wide = columns + 2;
  const cell = (row, column) => row >= 0 && column >= 0 && row < rows && column < columns && inside(masks, i, row, column);
  const next = new Int32Array(2 * wide * (rows + 2)).fill(-1);
  for (let row = -1; row < rows; row++) {
    for (let column = -1; column < columns; column++) {
      const corners = [cell(row, column), cell(row, column + 1), cell(row + 1, column + 1), cell(row + 1, column)];
      const sum = corners[0] + corners[1] + corners[2] + corners[3];
      if (sum > 0 && sum < 4) link(next, corners, 2 * ((row + 1) * wide + column + 1), wide);
    }
  }
  return walked(next, wide, masks.extent);
}
/** Within one square of four cells: each side where the line comes in leads to the side where it goes out. Sides are
 * numbered by the cell at their upper left end: even for the one to the right of it, odd for the one below it. */
function link(next, corners, first, wide) {
  const sides = [first, first + 3, first + 2 * wide, first + 1]; // above, right, below, left
  const goesOut = (side) => !corners[side] && corners[(side + 1) % 4];
  for (let side = 0; side < 4; side++) {
    if (!corners[side] || corners[(side + 1) % 4]) continue;
    let out = (side + 3) % 4;
    while (!goesOut(out)) out = (out + 3) % 4;
    next[sides[side]] = sides[out];
  }
}
function walked(next, wide, [rows, columns]) {
  const lines = [];
  for (let from = 0; from < next.length; from++) {
    const line = [];
    for (let at = from; next[at] >= 0;) {
      const place = at >> 1, below = at & 1, column = place % wide, row = Math.floor(place / wide);
      line.push([(column - 0.5 + (below ? 0 : 0.5)) / columns, (row - 0.5 + (below ? 0.5 : 0)) / rows]);
      const to = next[at];
      next[at] = -1; // a side is walked once
      at = to;
    }
    if (line.length) lines.push(line);
  }
  return lines;
}
