// The same picture by others at the same bytes; see rivals.py.
const group = $(".rivals");
let pressed = null; // place of the row that is under the board's slider

const rows = () => props.value?.rows || [];
const plain = (number) => number.toLocaleString("en-US");

function line(text, kind = "") {
  const made = document.createElement("span");
  made.className = kind;
  made.textContent = text;
  return made;
}
function card(row, place) {
  const made = document.createElement("button"), image = document.createElement("img"), name = document.createElement("strong");
  made.type = "button";
  made.setAttribute("aria-pressed", String(place === pressed));
  image.src = row.src;
  image.alt = "";
  name.textContent = row.label[language()];
  const figures = [
    line(word("rival_bytes", { n: plain(row.bytes) })),
    line(word("rival_psnr", { db: row.psnr_db.toFixed(1) })),
    line(word("rival_ssim", { value: row.ssim.toFixed(2) })),
  ];
  made.append(image, name, ...figures);
  if (row.detail[language()]) made.append(line(row.detail[language()], "detail"));
  if (row.own) made.append(line(word("rival_chosen"), "chosen"));
  made.title = word("rival_compare", { label: row.label[language()] });
  made.addEventListener("click", () => press(place));
  return made;
}
/** Puts a picture under the slider; a second tap, or the grid's own, brings the original back. */
function press(place) {
  pressed = place === pressed || rows()[place].own ? null : place;
  const row = pressed === null ? null : rows()[pressed];
  dispatchEvent(new CustomEvent("lucida-compare", { detail: row ? { src: row.src, label: row.label } : { src: null } }));
  write();
  if (row) document.getElementById("tk-board")?.scrollIntoView({ block: "nearest" });
}
function write() {
  const focused = [...group.children].indexOf(document.activeElement);
  $(".about").textContent = rows().length ? word("rivals_about") : "";
  $(".waiting").textContent = props.value?.waiting ? word("rivals_waiting") : "";
  group.replaceChildren(...rows().map(card));
  group.children[focused]?.focus();
}

let shown = props.value?.name;
watch("value", () => {
  if (props.value?.name !== shown) pressed = null; // the board forgets its rival with each new grid
  shown = props.value?.name;
  write();
});
inEachLanguage(write);
