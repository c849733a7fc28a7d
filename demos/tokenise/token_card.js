// One token laid open: its patch alone beside what stood there in the picture, how well it fits, and its nearest codes.
// A code that is pressed goes into the token's place on the board, as an edit like any other.
const none = $(".none"), all = $(".all"), seen = $(".seen"), codes = $(".codes");
let strip = null, asked = 0; // the picture with all patches side by side
let board = null; // what the board told last

async function take() {
  const value = props.value, ticket = ++asked;
  if (!value) {
    strip = null;
    return write();
  }
  const image = new Image();
  image.src = value.strip;
  await image.decode();
  if (ticket !== asked) return;
  strip = image;
  build();
  write();
}

/** The patch at that place of the strip, pixel by pixel; the style sheet enlarges it. */
function patch(place) {
  const { cell } = props.value, canvas = document.createElement("canvas");
  Object.assign(canvas, { width: cell, height: cell });
  canvas.setAttribute("aria-hidden", "true");
  canvas.getContext("2d").drawImage(strip, place * cell, 0, cell, cell, 0, 0, cell, cell);
  return canvas;
}
function node(name, kind, ...inside) {
  const made = document.createElement(name);
  made.className = kind;
  made.append(...inside);
  return made;
}
function build() {
  const { neighbours, shown } = props.value, held = [...codes.children].indexOf(document.activeElement);
  seen.replaceChildren(...shown.map((kind, place) => {
    const figure = node("figure", "", patch(place), node("figcaption", ""));
    figure.dataset.kind = kind;
    return figure;
  }));
  codes.replaceChildren(...neighbours.map(({ index }, place) => {
    const made = node("button", "", patch(shown.length + place), node("span", "index"), node("span", "far"));
    made.type = "button";
    made.dataset.code = index;
    made.addEventListener("click", () => put(index));
    return made;
  }));
  if (held >= 0) codes.children[held]?.focus();
}
function put(code) {
  const { row, column } = props.value;
  dispatchEvent(new CustomEvent("lucida-board-put", { detail: { code, row, column } }));
}
const back = button($(".back"), "back", () => put(props.value.fit.best));

// --- what is said ---
const digits = (value) => String(Number(value.toPrecision(3)));
function fitted(fit) {
  if (!fit) return word("surgery_no_fit");
  const values = Object.fromEntries(["distance", "best_distance", "margin", "typical"].map((name) => [name, digits(fit[name])]));
  const key = fit.rank === 0 ? "surgery_fit" : fit.rank === 1 ? "surgery_unfit_one" : "surgery_unfit";
  return word(key, { ...values, best: fit.best, rank: fit.rank });
}
function write() {
  const value = strip && props.value;
  none.textContent = word("surgery_none");
  none.hidden = Boolean(value);
  all.hidden = !value;
  if (!value) return;
  const { index, row, column, uses, total, fit, neighbours } = value;
  $("h4").textContent = word("surgery_token", { index, row: row + 1, column: column + 1 });
  $(".uses").textContent = word(uses === 1 ? "surgery_used_once" : "surgery_uses", { n: uses, total });
  $(".fit").textContent = fitted(fit);
  $(".back").hidden = !fit || fit.rank === 0;
  back.textContent = fit ? word("surgery_back", { best: fit.best }) : "";
  $(".alone").textContent = word("surgery_alone_note");
  for (const figure of seen.children) figure.lastChild.textContent = word("surgery_" + figure.dataset.kind);
  $(".near").textContent = word("surgery_near");
  [...codes.children].forEach((made, place) => {
    const distance = digits(neighbours[place].distance);
    made.children[1].textContent = neighbours[place].index;
    made.children[2].textContent = distance;
    made.setAttribute("aria-label", word("surgery_put", { index: neighbours[place].index, distance }));
  });
  age();
}
/** Pale while the board already shows another token than this card. */
function age() {
  const value = props.value;
  if (!value || !board) return;
  const place = board.selected && board.selected[0] * board.columns + board.selected[1];
  const now = board.name === value.name && place === value.row * board.columns + value.column && board.indices[place] === value.index;
  all.classList.toggle("old", !now);
}

addEventListener("lucida-board", ({ detail }) => {
  if (!element.isConnected) return;
  board = detail;
  age();
});
addEventListener("lucida-lang", write);
watch("value", take);
take();
