// The quantiser at one cell, written out: the nearest codes with their distances, the straight-through step, both
// losses. The numbers of all cells come once, when the level is first looked at; then hovering asks the server nothing.
// The cell is the one under the pointer, or the one picked on the board. Runs behind heat.js.
const cellwise = $(".cellwise"), best = $(".best"), vectors = $(".vectors"), edited = $(".edited");
const side = document.createElement("div");
side.className = "side";
all.before(side);
side.append(all, cellwise);
let cells = null, spot = null, board = null, asked = 0;

async function takeCells() {
  const value = props.value, ticket = ++asked;
  cellwise.hidden = !value;
  cells = null;
  if (!value) return;
  const names = Object.keys(value.files);
  const files = await Promise.all(names.map((name) => lucida.unpack(value.files[name])));
  if (ticket !== asked) return;
  cells = Object.fromEntries(names.map((name, i) => [name, files[i].array]));
  spot = board?.name === value.name && board.selected ? { row: board.selected[0], column: board.selected[1] } : value.spot;
  tell();
}

// --- numbers ---
const minus = (text) => text.replace("-", "−");
/** As many decimals as tell values of this size apart. */
const decimals = (most) => clamp(3 - Math.floor(Math.log10(most || 1)), 0, 8);
const exact = (v) => minus(v >= 1000 || !v ? v.toFixed(0) : v >= 1e-4 ? v.toPrecision(4) : v.toExponential(2));
function part(name, n) {
  const from = (spot.row * columns + spot.column) * n;
  return cells[name].subarray(from, from + n);
}

// --- what is said ---
function node(kind, text, tag = "span") {
  const made = document.createElement(tag);
  made.className = kind;
  made.textContent = text;
  return made;
}
function tell() {
  if (!cells || !props.value) return;
  const { width_of_code: n, kept, beta } = props.value, z = part("latents", n), e = part("codes", n);
  const index = part("indices", 1)[0];
  const digits = decimals(Math.max(...z.map(Math.abs), ...e.map(Math.abs))), put = (v) => minus(v.toFixed(digits));
  let distance = 0;
  for (let i = 0; i < n; i++) distance += (z[i] - e[i]) ** 2;
  $(".title").textContent = word("quantiser_title", { row: spot.row + 1, column: spot.column + 1, index });
  tellSearch({ z, e, n, index, kept, distance, put });
  tellStep({ z, e, n, put });
  $(".losses").textContent = word("quantiser_losses");
  $(".codebook").textContent = word("quantiser_codebook", { value: exact(distance) });
  $(".commitment").textContent = word("quantiser_commitment", { beta, value: exact(distance), product: exact(beta * distance) });
  $(".mean").textContent = word("quantiser_mean", { n, codebook: exact(distance / n), commitment: exact((beta * distance) / n) });
  const held = props.value.name === board?.name ? board.indices[spot.row * columns + spot.column] : index;
  edited.hidden = held === index;
  edited.textContent = word("quantiser_edited", { index, other: held });
}
function tellSearch({ z, e, n, index, kept, distance, put }) {
  const terms = [...z].slice(0, 3).map((v, i) => "(" + put(v) + " − " + (e[i] < 0 ? "(" + put(e[i]) + ")" : put(e[i])) + ")²");
  $(".search").textContent = word("quantiser_search");
  $(".distance").textContent = word(n > 3 ? "quantiser_sum" : "quantiser_terms", { index, terms: terms.join(" + "), n, value: exact(distance) });
  const codes = part("nearest", kept), distances = part("distances", kept), most = distances[kept - 1] || 1;
  const heads = ["quantiser_code", "quantiser_distance", ""].map((name, i) => node("head" + (i === 1 ? " n" : ""), name && word(name)));
  const head = node("", "", "li");
  head.append(...heads);
  best.replaceChildren(head, ...[...codes].map((code, i) => {
    const row = node(code === index ? "won" : "", "", "li"), bar = node("bar", "");
    bar.style.width = Math.max(1, (100 * distances[i]) / most) + "%";
    row.append(node("", code + (code === index ? " " + word("quantiser_chosen") : "")), node("n", exact(distances[i])), bar);
    return row;
  }));
  $(".all-codes").textContent = word(codes[0] === index ? "quantiser_all_codes" : "quantiser_not_first", { kept });
}
function tellStep({ z, e, n, put }) {
  $(".step").textContent = word("quantiser_step");
  $(".straight").textContent = word("quantiser_straight");
  $(".step-said").textContent = word("quantiser_step_said");
  vectors.setAttribute("aria-label", word("quantiser_vector"));
  const heads = ["i", "z", "e", "sg(e − z)", "z + sg(e − z)"].map((text) => node("head", text));
  const rows = [...z].flatMap((v, i) => [String(i + 1), put(v), put(e[i]), put(e[i] - v), put(v + (e[i] - v))].map((text) => node("", text)));
  vectors.replaceChildren(...heads, ...rows);
}

/** The cell that the heat map's pointer or keys are on; it stays when they leave. */
function follow() {
  if (!at || (spot && at.row === spot.row && at.column === spot.column)) return;
  spot = { ...at };
  tell();
}
for (const name of ["pointermove", "pointerdown", "keydown", "focus"]) lay.addEventListener(name, follow);
/** A cell that is pressed is picked on the board as well. */
lay.addEventListener("click", () => {
  if (spot) dispatchEvent(new CustomEvent("lucida-board-pick", { detail: { row: spot.row, column: spot.column } }));
});
addEventListener("lucida-board", ({ detail }) => {
  const moved = detail?.selected && String(detail.selected) !== String(board?.selected);
  board = detail;
  if (!cells || detail?.name !== props.value?.name) return;
  if (moved) spot = { row: detail.selected[0], column: detail.selected[1] };
  tell();
});
watch("value", takeCells);
addEventListener("lucida-lang", tell);
takeCells();
dispatchEvent(new CustomEvent("lucida-board-ask"));
