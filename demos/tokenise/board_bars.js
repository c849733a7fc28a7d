// The bars about the grid: tools and what they need, history and zoom.
const toolbar = $(".tools"), deeds = $(".deeds"), options = $(".options"), hints = element.querySelectorAll(".hint");
const toolButtons = Object.fromEntries(TOOLS.map((name) => [name, button(toolbar, "board_" + name, () => choose(name))]));
const deedButtons = {};
for (const [name, act] of Object.entries({ undo, redo, first: backToFirst })) deedButtons[name] = button(deeds, "board_" + name, act);
for (const [name, factor] of [["zoom_out", 0.5], ["zoom_in", 2]]) {
  deedButtons[name] = button(deeds, "board_" + name, () => setZoom(zoom * factor));
}

// --- what the chosen tool needs ---
const codeLabel = $(".code"), codeText = $(".code span"), codeBox = $(".code input"), swatch = $(".swatch");
codeBox.addEventListener("change", () => {
  const value = Number(codeBox.value);
  if (codeBox.value === "" || !Number.isInteger(value) || value < 0 || value >= grid.codes) {
    tell({ key: "board_code_range", values: { last: grid.codes - 1 } });
    codeBox.value = code ?? "";
    return;
  }
  tell(null);
  takeCode(value);
});
const widths = $(".widths"), widthText = $(".widths span");
const widthButtons = WIDTHS.map((wide) => button(widths, "board_width_" + wide, () => {
  brushWidth = wide;
  write();
}));
const optionButtons = {
  again: button(options, "board_again", () => {
    clip = null;
    cancel();
    write();
  }),
  no_region: button(options, "board_no_region", () => setRegion(null)),
  all: button(options, "board_all", () => hideAll(true)),
  none: button(options, "board_none", () => hideAll(false)),
};

function writeBars() {
  for (const name of TOOLS) {
    toolButtons[name].textContent = word("board_" + name);
    toolButtons[name].setAttribute("aria-pressed", String(name === tool && viewed !== "compare"));
  }
  toolbar.setAttribute("aria-label", word("board_tools"));
  deeds.setAttribute("aria-label", word("board_deeds"));
  const signs = { zoom_in: "+", zoom_out: "−" };
  for (const [name, made] of Object.entries(deedButtons)) {
    made.textContent = signs[name] || word("board_" + name);
    if (signs[name]) {
      made.title = word("board_" + name);
      made.setAttribute("aria-label", word("board_" + name));
    }
  }
  deedButtons.first.title = word("board_first_hint");
  writeOptions();
}
function writeOptions() {
  const using = viewed === "compare" ? "compare" : tool, many = using === "paint" || using === "hole";
  codeLabel.hidden = using !== "paint";
  codeText.textContent = word("board_code");
  if (grid) codeBox.max = grid.codes - 1;
  if (document.activeElement !== codeBox) codeBox.value = code ?? "";
  widths.hidden = !many;
  widthText.textContent = word("board_width");
  widthButtons.forEach((made, i) => {
    made.textContent = WIDTHS[i];
    made.setAttribute("aria-label", word("board_width_n", { n: WIDTHS[i] }));
    made.setAttribute("aria-pressed", String(WIDTHS[i] === brushWidth));
  });
  const seen = { again: using === "copy" && clip, no_region: using === "region" && region, all: using === "hole", none: using === "hole" };
  for (const [name, made] of Object.entries(optionButtons)) {
    made.textContent = word("board_" + name);
    made.hidden = !seen[name];
  }
  for (const each of hints) each.textContent = word(using === "copy" && clip ? "board_hint_stamp" : "board_hint_" + using);
}
function able() {
  deedButtons.undo.disabled = !past.length;
  deedButtons.redo.disabled = !future.length;
  deedButtons.first.disabled = !grid || same(now.indices, first);
  deedButtons.zoom_in.disabled = zoom >= mostZoom() - 1e-6;
  deedButtons.zoom_out.disabled = zoom <= 1;
  optionButtons.none.disabled = !now?.hole.some(Boolean);
}

/** The brush's code as it looks where the picture uses it; the same code looks a little different among others. */
function drawSwatch() {
  const ink = swatch.getContext("2d"), place = code === null || !decodedFrom ? -1 : decodedFrom.indices.indexOf(code);
  swatch.hidden = place < 0 || tool !== "paint";
  if (place < 0) return;
  const chosen = selected && decodedFrom.indices[placeOf(...selected)] === code ? selected : cellOf(place), side = grid.cell;
  ink.imageSmoothingEnabled = false;
  ink.clearRect(0, 0, swatch.width, swatch.height);
  ink.drawImage(pictures.decoded, chosen[1] * side, chosen[0] * side, side, side, 0, 0, swatch.width, swatch.height);
}
