// How a picture gets in: choose, drop, paste, example. The file is looked at on the server before it becomes the
// value, so that a refused one leaves the picture before it where it was. The component's own script defines
// `screen(address)`, which puts a picture (or nothing) on screen, and `describe(sentence)`, which names it.
const intake = { turn: 0, told: null, values: {}, onScreen: "" };
const KEPT = 12;
const addresses = (window.lucidaPictures ||= new Map()); // of this page's pictures: one component may show another's
const bar = $(".intake"), told = $(".told"), notes = $(".notes"), offers = $(".offers"), drop = $(".drop");
const SUFFIX = { "image/jpeg": "jpg", "image/png": "png", "image/webp": "webp", "image/gif": "gif", "image/avif": "avif" };
const chosen = () => props.value || null;
const nameOf = (value) => value.example || value.picture?.path || "";

/** The visitor changed the value: keep it and tell Python. */
function commit(value) {
  props.value = value && { ...value, lang: language() };
  show();
  trigger("input");
}

/** The address under which the page shows a value; "" if it has to be asked for. */
function address(value) {
  return addresses.get(nameOf(value)) || value.preview?.url || value.picture?.url || "";
}
function remember(name, src) {
  addresses.set(name, src);
  if (addresses.size > KEPT) addresses.delete(addresses.keys().next().value);
}

function show() {
  const value = chosen(), src = value ? address(value) : "";
  element.classList.toggle("empty", !value);
  if (src !== intake.onScreen) screen((intake.onScreen = src));
  writeIntake();
  if (value && !src) ask(value);
}

/** An example that came by its name only, from a link or another component: where is its picture? */
async function ask(value) {
  const looked = await server.look({ example: value.example }).catch(() => null);
  if (!looked?.preview || nameOf(chosen() || {}) !== nameOf(value)) return;
  remember(nameOf(value), looked.preview);
  show();
}

/** `sentence` is a key of the words or a pair {en, zh}; an alert is read out at once. */
function tell(sentence, values = {}, alert = false) {
  intake.told = sentence;
  intake.values = values;
  told.classList.toggle("refused", alert);
  told.setAttribute("role", alert ? "alert" : "status");
  drop.setAttribute("aria-busy", String(sentence === "uploading" || sentence === "checking"));
  writeIntake();
}
const refuse = (sentence, values) => {
  intake.onScreen = null; // whatever was tried goes from the screen, and the picture before it comes back
  show();
  tell(sentence, values, true);
};

async function takeFile(file) {
  const mb = (bytes) => (bytes / 1024 / 1024).toFixed(1).replace(/\.0$/, "");
  if (!file) return refuse("not_a_file");
  if (file.size > props.limit_bytes) return refuse("too_big", { size: mb(file.size), limit: mb(props.limit_bytes) });
  const turn = ++intake.turn, local = URL.createObjectURL(file);
  tell("uploading");
  screen((intake.onScreen = local)); // the browser shows the original while it travels
  const sent = await upload(plainlyNamed(file)).catch(() => null);
  if (turn !== intake.turn) return URL.revokeObjectURL(local);
  if (!sent) return refuse("upload_failed");
  tell("checking");
  const picture = { path: sent.path, url: sent.url, meta: { _type: "gradio.FileData" } };
  await settle(turn, { picture }, local);
}

async function takeExample(id) {
  const turn = ++intake.turn;
  tell("checking");
  await settle(turn, { example: id }, "");
}

/** Asks the server about a choice and makes it the value, unless another choice was made meanwhile. */
async function settle(turn, choice, local) {
  const looked = await server.look(choice).catch(() => null);
  if (turn !== intake.turn) return;
  if (!looked) return refuse("upload_failed");
  if (looked.refused) return refuse(looked.refused);
  const { preview, ...rest } = looked;
  remember(nameOf(choice), preview || local);
  tell(null);
  commit({ ...choice, ...rest });
}

/** The name a file has at home is nobody's business, and some names are refused on the way. */
function plainlyNamed(file) {
  return new File([file], "picture." + (SUFFIX[file.type] || "bin"), { type: file.type });
}

// --- the buttons under the picture ---
const pick = document.createElement("label"), pickText = document.createElement("span"), input = document.createElement("input");
pick.className = "pick";
input.type = "file";
input.accept = "image/*";
pick.append(pickText, input);
bar.append(pick);
const removeButton = button(bar, "remove", () => { intake.turn++; tell(null); commit(null); });
input.addEventListener("change", () => {
  if (input.files[0]) takeFile(input.files[0]);
  input.value = ""; // so that the same file can be chosen again
});

const offered = (props.offered || []).map((offer) => {
  const made = document.createElement("button"), image = document.createElement("img");
  made.type = "button";
  made.dataset.example = offer.id;
  image.src = offer.thumbnail;
  image.alt = "";
  made.append(image);
  made.addEventListener("click", () => takeExample(offer.id));
  return { ...offer, made };
});
offers.append(...offered.map((offer) => offer.made));
offers.hidden = !offered.length || !props.picks;
bar.hidden = !props.picks;

function writeIntake() {
  const value = chosen();
  pickText.textContent = word(value ? "choose_other" : "choose");
  removeButton.textContent = word("remove");
  removeButton.hidden = !value;
  $(".hint").textContent = word("drop_here");
  offers.setAttribute("aria-label", word("offer"));
  told.textContent = !intake.told ? "" : typeof intake.told === "string" ? word(intake.told, intake.values) : intake.told[language()];
  notes.replaceChildren(...(value?.notes || []).map((note) => {
    const line = document.createElement("p");
    line.textContent = note[language()];
    return line;
  }));
  for (const { made, id, title } of offered) {
    made.title = title[language()];
    made.setAttribute("aria-label", title[language()]);
    made.setAttribute("aria-pressed", String(value?.example === id));
  }
  if (value) describe(word("picture_shown", value));
}

// --- drop and paste ---
element.addEventListener("dragover", (event) => {
  event.preventDefault();
  drop.classList.toggle("over", props.picks);
});
element.addEventListener("dragleave", () => drop.classList.remove("over"));
element.addEventListener("drop", (event) => {
  drop.classList.remove("over");
  const file = event.dataTransfer.files[0];
  if ((props.leaves || []).some((ending) => file?.name.toLowerCase().endsWith(ending))) return;
  event.preventDefault();
  if (props.picks) takeFile(file);
});
if (props.picks) document.addEventListener("paste", (event) => { // of the inputs on screen, the first takes it
  const file = [...(event.clipboardData?.files || [])].find((each) => each.type.startsWith("image/"));
  if (!file || event.defaultPrevented || !element.offsetParent) return;
  event.preventDefault();
  takeFile(file);
});

/** A new language: what Python will say to this value must be in it as well. */
function languageSwitched() {
  const value = chosen();
  if (value && value.lang !== language()) props.value = { ...value, lang: language() };
  writeIntake();
}
function begin() {
  watch("value", () => { tell(null); languageSwitched(); show(); });
  addEventListener("lucida-lang", languageSwitched);
  languageSwitched();
  show();
}
