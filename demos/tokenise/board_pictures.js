// The pictures of the board: what the codes decode to, the original, a rival, the second picture, the change map; and
// the answers that bring them. A picture counts for the edit whose codes it was decoded from: until that is the newest
// edit, the cells that differ are marked.
const pictures = { decoded: null, original: null, rival: null, other: null }; // Image each, once it has loaded
let decodedFrom = null; // {serial, indices}: what `pictures.decoded` was decoded from
let change = null; // {sheet: canvas of the map's size, px: pixels that each of its values stands for, most}
let rivalLabel = null; // {en, zh}
let arrival = 0, told = null; // told: {key, values} or a pair {en, zh}, shown under the board

const colourTable = Uint8Array.from(props.colours.match(/../g), (pair) => parseInt(pair, 16));
const addressOf = (file) => (typeof file === "string" ? file : file?.url || "");

/** Loads a picture and gives it, or null where there is none; what cannot be loaded is told. */
async function loaded(src) {
  if (!src) return null;
  const image = new Image();
  image.src = src;
  try {
    await image.decode();
  } catch {
    tell({ key: "board_no_picture" });
    return null;
  }
  return image;
}

function forgetPictures() {
  arrival++;
  Object.assign(pictures, { decoded: null, original: null, rival: null, other: null });
  [decodedFrom, change, rivalLabel, told] = [null, null, null, null];
}
/** The pictures that came with the grid. */
function openPictures() {
  const of = grid;
  const open = async (name, file) => {
    const image = await loaded(addressOf(file));
    if (grid !== of || (name === "decoded" && decodedFrom)) return; // another grid or an answer came meanwhile
    pictures[name] = image;
    if (name === "decoded") decodedFrom = { serial: grid.serial, indices: first, turn: 0 };
    changed();
  };
  open("decoded", grid.picture);
  open("original", grid.original);
  open("other", grid.other_picture);
}

/** Places whose code is not the one that the picture on screen was decoded from. */
const pending = (place) => decodedFrom !== null && decodedFrom.indices[place] !== now.indices[place];
const waiting = () => decodedFrom !== null && !same(decodedFrom.indices, now.indices);

// --- answers, from Decoded ---
addEventListener("lucida-decoded", ({ detail }) => {
  if (!element.isConnected || !grid || detail.name !== grid.name) return;
  if (detail.serial < grid.begun || detail.serial > serial) return; // of another grid under the same name
  tell(detail.note);
  if (detail.other) takeOther(detail);
  const serialOfAnswer = detail.indices ? adopt(detail) : detail.serial;
  if (serialOfAnswer === null) return tell({ key: "board_late" });
  if (!detail.indices && detail.hole) edit({ hole: unpack(detail.hole) });
  if (detail.picture && serialOfAnswer >= (decodedFrom?.serial ?? 0)) showDecoded(detail, serialOfAnswer);
});

/** Codes that the server edited: one undo step. Gives the serial that they get, or null if they come too late. */
function adopt(detail) {
  const goesOn = adopted?.from === detail.serial && adopted.to === serial;
  if (!goesOn && detail.serial !== serial) return null;
  const hole = detail.hole ? unpack(detail.hole) : now.hole;
  if (!goesOn) {
    past.push(now);
    future = [];
    adopted = { from: serial, to: ++serial };
  }
  now = { ...now, indices: unpack(detail.indices), hole };
  made.set(serial, now.indices);
  store();
  changed();
  return serial;
}
async function showDecoded(detail, from) {
  const turn = ++arrival, of = grid, indices = made.get(from) || (from === grid.serial ? first : null);
  const [image, second] = await Promise.all([loaded(detail.picture), loaded(detail.other_picture)]);
  const shown = decodedFrom || { serial: 0, turn: 0, indices: first };
  if (!image || grid !== of || shown.serial > from || (shown.serial === from && shown.turn > turn)) return;
  pictures.decoded = image;
  if (second && now.other) pictures.other = second;
  if (detail.change) change = coloured(detail.change);
  decodedFrom = { serial: from, indices: indices || shown.indices, turn };
  for (const known of made.keys()) if (known < from) made.delete(known);
  changed();
}

// --- the second picture ---
/** A second grid to swap with. It was there at every step that can still be undone. */
async function takeOther(detail) {
  const [rows, columns] = detail.other.shape, other = unpack(detail.other);
  if (rows !== grid.rows || columns !== grid.columns) return;
  for (const each of [...past, ...future]) each.other = other;
  now = { ...now, other };
  store();
  changed();
  const image = await loaded(detail.other_picture);
  if (now.other !== other) return;
  pictures.other = image;
  changed();
}
function removeOther() {
  for (const each of [...past, ...future]) each.other = null;
  now = { ...now, other: null };
  pictures.other = null;
  store();
  changed();
}
/** Exchanges the codes of the region, or all of them, between the two grids. */
function swap() {
  if (!now.other) return;
  const indices = now.indices.slice(), other = now.other.slice();
  eachIn(region || [0, 0, grid.rows, grid.columns], (place) => {
    [indices[place], other[place]] = [other[place], indices[place]];
  });
  edit({ indices, other });
}

// --- the change map: colours of the shell, from nothing to its largest value ---
function coloured({ map, most, px }) {
  const [rows, columns] = map.shape, values = unpack(map), sheet = document.createElement("canvas");
  const image = new ImageData(columns, rows);
  for (let i = 0; i < values.length; i++) {
    const from = 3 * values[i];
    image.data.set([colourTable[from], colourTable[from + 1], colourTable[from + 2], 255], 4 * i);
  }
  Object.assign(sheet, { width: columns, height: rows });
  sheet.getContext("2d").putImageData(image, 0, 0);
  return { sheet, px, most };
}

// --- a rival of the original, for the slider ---
addEventListener("lucida-compare", async ({ detail }) => {
  if (!element.isConnected || !grid) return;
  const { src, label } = detail, of = grid;
  const image = await loaded(src);
  if (grid !== of) return;
  [pictures.rival, rivalLabel] = [image, image && label];
  if (image) setView("compare", "rival");
  else setView(viewed, "original");
});

function tell(what) {
  told = what || null;
  if (grid) write();
}
