// A file that was made here, dropped anywhere on the tab or chosen: its bytes go to the server as they are.
// Other places that take pictures (canvas, mask, a panel's input) come first: they prevent the default before us.
const input = $("input"), pickText = $(".pick span"), hint = $(".hint"), told = $(".told");
const ground = element.closest("[role=tabpanel]") || document.body;
const own = (name, values) => word(`${props.prefix}_${name}`, values);
input.accept = props.suffix;
let turn = 0, said = null;

function write() {
  pickText.textContent = own("choose");
  hint.textContent = own(element.classList.contains("over") ? "over" : "drop");
  told.textContent = said ? own(said) : "";
}
function tell(name) {
  said = name;
  write();
}
function over(is) {
  element.classList.toggle("over", is);
  write();
}

async function take(file) {
  if (!file) return;
  if (file.size > props.most_bytes) return tell("too_big");
  const mine = ++turn;
  tell("sending");
  const sent = await upload(new File([file], "file" + props.suffix, { type: file.type })).catch(() => null);
  if (mine !== turn) return;
  tell(sent ? null : "failed");
  if (!sent) return;
  props.value = { path: sent.path, lang: language() };
  trigger("input");
}

const files = (event) => [...(event.dataTransfer?.types || [])].includes("Files");
ground.addEventListener("dragover", (event) => {
  if (!files(event) || event.defaultPrevented) return over(false);
  event.preventDefault();
  over(true);
});
ground.addEventListener("dragleave", (event) => { if (!ground.contains(event.relatedTarget)) over(false); });
ground.addEventListener("drop", (event) => {
  over(false);
  if (!files(event) || event.defaultPrevented) return;
  event.preventDefault();
  take(event.dataTransfer.files[0]);
});
input.addEventListener("change", () => {
  take(input.files[0]);
  input.value = ""; // so that the same file can be chosen again
});
inEachLanguage(write);
