// The ways to look at the grid, the slider, the second picture, and the lines that say what is pointed at.
const VIEWS = ["picture", "grid", "numbers", "compare", "change"];
const viewBar = $(".views"), slider = $(".slider"), ends = $(".ends"), comparingBox = $(".comparing"), sides = $(".sides"), legend = $(".legend");
const placeLine = $(".place"), spoken = $(".spoken"), toldLine = $(".told"), emptyLine = $(".empty-hint");
const otherBox = $(".other"), otherCanvas = $(".other canvas"), otherText = $(".other p");
let compared = "original"; // or "rival"

const viewButtons = Object.fromEntries(VIEWS.map((name) => [name, button(viewBar, "view_" + name, () => setView(name))]));
const sideButtons = Object.fromEntries(["original", "rival"].map((name) => [name, button(sides, "side_" + name, () => setView("compare", name))]));
const otherButtons = {
  swap: button($(".other .does"), "board_swap", swap),
  remove: button($(".other .does"), "board_remove_other", removeOther),
};
const comparedPicture = () => pictures[compared] || pictures.original || pictures.rival;

function setView(name, side = compared) {
  compared = side === "rival" && pictures.rival ? "rival" : "original";
  if (name === "compare" && !comparedPicture()) return;
  const back = viewed === "numbers" && name !== "numbers" && enlarged;
  viewed = name;
  if (back) refit();
  if (name === "numbers") makeReadable();
  cancel();
  write();
  layout();
}
slider.addEventListener("input", () => setSplit(slider.value / 100));
function setSplit(share) {
  split = clamp(share, 0, 1);
  slider.value = Math.round(100 * split);
  sayShare();
  draw();
}
function sayShare() {
  slider.setAttribute("aria-valuetext", word("board_split", { share: Math.round(100 * split) }));
}

// --- words ---
/** Everything that is written, in the page's language. Cheap: called after each change. */
function write() {
  element.classList.toggle("empty", !grid);
  emptyLine.textContent = word("board_empty");
  writeBars();
  if (!grid) return;
  writeViews();
  writePlace();
  writeOther();
  toldLine.textContent = !told ? "" : told.key ? word(told.key, told.values) : told[language()];
  canvas.setAttribute("aria-label", word("board_label", { rows: grid.rows, columns: grid.columns }));
  canvas.dataset.tool = viewed === "compare" ? "compare" : tool;
  // One finger scrolls page and view, unless a tool needs it; two zoom.
  canvas.style.touchAction = viewed === "compare" ? "pan-y" : handled()?.precise ? "none" : "pan-x pan-y";
  able();
  drawSwatch();
}
function writeViews() {
  viewBar.setAttribute("aria-label", word("board_views"));
  for (const [name, made] of Object.entries(viewButtons)) {
    made.textContent = word("view_" + name);
    made.setAttribute("aria-pressed", String(name === viewed));
  }
  viewButtons.compare.disabled = !pictures.original && !pictures.rival;
  const comparing = viewed === "compare";
  comparingBox.hidden = !comparing;
  placeLine.hidden = comparing;
  slider.setAttribute("aria-label", word("board_slider"));
  sayShare();
  const left = compared === "rival" && rivalLabel ? rivalLabel[language()] : word("side_original");
  [ends.firstElementChild.textContent, ends.lastElementChild.textContent] = [left, word("side_decoded")];
  sides.hidden = !comparing || !pictures.rival || !pictures.original;
  for (const [name, made] of Object.entries(sideButtons)) {
    made.textContent = name === "rival" ? rivalLabel?.[language()] || "" : word("side_original");
    made.setAttribute("aria-pressed", String(name === compared));
  }
  legend.hidden = viewed !== "change";
  legend.textContent = word(!change ? "board_change_none" : "board_change", { most: change ? rounded(change.most) : 0 });
}
const rounded = (value) => (value < 10 ? value.toFixed(1) : String(Math.round(value)));

/** What is under the pointer, else what is chosen; how often its code is used; what else there is to say of the grid. */
function writePlace() {
  const cell = hovered || selected, parts = [];
  if (cell) parts.push(named(cell));
  else parts.push(word("board_size", { rows: grid.rows, columns: grid.columns, n: count().toLocaleString("en"), codes: grid.codes.toLocaleString("en") }));
  const hidden = now.hole.reduce((sum, each) => sum + each, 0);
  if (hidden) parts.push(word("board_hidden", { n: hidden }));
  if (region) parts.push(word("board_region_size", { rows: region[2] - region[0], columns: region[3] - region[1] }));
  placeLine.textContent = parts.join(" · ");
  element.dataset.waiting = String(waiting());
}
function named([row, column]) {
  const index = now.indices[placeOf(row, column)], spot = { row: row + 1, column: column + 1 };
  if (now.hole[placeOf(row, column)]) return word("board_at_hole", spot);
  return word("board_at", { ...spot, index, uses: now.indices.reduce((sum, each) => sum + (each === index), 0) });
}
/** For those who hear the page: only what keys or a choice brought about. */
function speak(sentence) {
  spoken.textContent = sentence;
}

// --- the second picture ---
function writeOther() {
  otherBox.hidden = !now.other;
  if (!now.other) return;
  otherText.textContent = word("board_other");
  otherCanvas.setAttribute("aria-label", word("board_other"));
  otherButtons.swap.textContent = word(region ? "board_swap_region" : "board_swap_all");
  otherButtons.remove.textContent = word("board_remove_other");
  const side = Math.min(160 / width(), 160 / height()) * 2, ink = otherCanvas.getContext("2d");
  Object.assign(otherCanvas, { width: width() * side, height: height() * side });
  otherCanvas.style.width = otherCanvas.width / 2 + "px";
  if (pictures.other) ink.drawImage(pictures.other, 0, 0, otherCanvas.width, otherCanvas.height);
  if (!region) return;
  const [x, y, w, h] = [region[1], region[0], region[3] - region[1], region[2] - region[0]].map((each) => each * grid.cell * side);
  for (const [colour, thick] of [[DARK, 6], [LIGHT, 3]]) {
    ink.lineWidth = thick;
    ink.strokeStyle = colour;
    ink.strokeRect(x, y, w, h);
  }
}
