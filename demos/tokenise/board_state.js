// What the board holds, its history, and what goes up to Python. Grids are never written to once they are held: each
// edit makes a new one, so that history, answers and screen can share them.
const MOST_STEPS = 300; // of undo: 128 x 128 codes each take 33 kB
let grid = null; // what Python gave: name, begun, rows, columns, codes, cell, size, source, picture, original
let now = null; // {indices: Uint16Array, other: Uint16Array or null, hole: Uint8Array}
let first = null; // the codes that the grid began with
let past = [], future = [];
let serial = 0; // of the newest edit
let made = new Map(); // serial -> its codes, until an answer to it or to a later one came
let adopted = null; // {from, to}: the serial that a server-made edit answered, and the one it got
let selected = null, region = null, code = null; // [row, column]; [top, left, bottom, right]; the brush's code
let lit = true; // whether the uses of that code light up: until a brush paints with it

const count = () => grid.rows * grid.columns;
const placeOf = (row, column) => row * grid.columns + column;
const cellOf = (place) => [Math.floor(place / grid.columns), place % grid.columns];

/** A typed array as arrays.py packs it. */
function packed(array, dtype) {
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength), parts = [];
  for (let i = 0; i < bytes.length; i += 8192) parts.push(String.fromCharCode(...bytes.subarray(i, i + 8192)));
  return { dtype, shape: [grid.rows, grid.columns], data: btoa(parts.join("")) };
}

/** The value that Python gets, with whatever of it is asked for by an event. */
function store() {
  const hidden = now.hole.some(Boolean);
  props.value = {
    ...grid,
    serial,
    lang: language(),
    indices: packed(now.indices, "uint16"),
    other: now.other && packed(now.other, "uint16"),
    hole: hidden ? packed(now.hole, "uint8") : null,
    selected,
    region,
  };
}

/** Another grid came from Python; the board's own value comes back here too and is known by its beginning. */
function take() {
  const value = props.value || null;
  if ((value?.begun ?? null) === (grid?.begun ?? null)) return;
  grid = value;
  [past, future, made, adopted] = [[], [], new Map(), null];
  [selected, region, code] = [null, null, null];
  forgetPictures();
  forgetTools();
  if (grid) begin();
  refit();
  changed();
}
function begin() {
  now = {
    indices: unpack(grid.indices),
    other: grid.other ? unpack(grid.other) : null,
    hole: grid.hole ? unpack(grid.hole) : new Uint8Array(count()),
  };
  first = now.indices;
  serial = grid.serial;
  [selected, region] = [grid.selected, grid.region];
  if (selected) code = now.indices[placeOf(...selected)];
  openPictures();
  dispatchEvent(new CustomEvent("lucida-decoded-ask")); // an answer may have come before this script ran
}

// --- edits and their history ---
const same = (a, b) => a === b || (a && b && a.length === b.length && a.every((each, i) => each === b[i]));

/** The grid becomes `patch` over what it is; gives whether that changed anything. step: false goes on with the undo step
 * before. */
function edit(patch, { step = true } = {}) {
  const next = { ...now, ...patch }, codesSame = same(next.indices, now.indices) && same(next.other, now.other);
  if (codesSame && same(next.hole, now.hole)) return false;
  if (step) {
    past.push(now);
    past.splice(0, past.length - MOST_STEPS);
    future = [];
  }
  become(next, !codesSame);
  return true;
}
function become(next, codesChanged) {
  now = next;
  if (codesChanged) made.set(++serial, now.indices);
  store();
  if (codesChanged) trigger("input");
  else trigger("hole");
  changed();
}
function stepBetween(from, to) {
  if (!from.length) return;
  to.push(now);
  const next = from.pop();
  become(next, !(same(next.indices, now.indices) && same(next.other, now.other)));
}
const undo = () => stepBetween(past, future);
const redo = () => stepBetween(future, past);
const backToFirst = () => edit({ indices: first });

// --- what is chosen ---
function select(row, column) {
  selected = [clamp(row, 0, grid.rows - 1), clamp(column, 0, grid.columns - 1)];
  takeUp(now.indices[placeOf(...selected)]);
  picked();
}
function takeUp(value) {
  [code, lit] = [value, true];
}
function setRegion(next) {
  if (same(next, region)) return;
  region = next;
  picked();
}
function picked() {
  store();
  trigger("pick");
  changed();
}

// --- panels of the tab ---
function tellPanels() {
  if (!grid) return dispatchEvent(new CustomEvent("lucida-board", { detail: null }));
  const hole = now.hole.reduce((sum, each) => sum + each, 0);
  const { name, rows, columns, codes, cell } = grid;
  const detail = { name, serial, rows, columns, codes, cell, indices: now.indices, selected, region, code, hole, other: Boolean(now.other) };
  dispatchEvent(new CustomEvent("lucida-board", { detail }));
}
/** After every change of what is held or chosen. */
function changed() {
  tellPanels();
  write();
  draw();
}
