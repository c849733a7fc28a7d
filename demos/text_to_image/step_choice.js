// The step that a panel works from: the same in the whole tab. It follows the time machine, and moves it. `edit` tells
// that it was moved, by hand or from elsewhere while it is seen.
const range = $("input"), out = $("output");
let sigmas = props.sigmas || [];

const shown = (v) => String(Number(v.toPrecision(3)));
function put(at, n) {
  range.max = Math.max(n - 1, 0);
  range.value = at;
  write();
}
function commit() { // a new object each time, so that Gradio sees that it changed
  props.value = { at: Number(range.value), n: Number(range.max) + 1 };
}
addEventListener("lucida-step", ({ detail }) => {
  if (detail.from === element || !element.isConnected) return;
  sigmas = detail.sigmas;
  put(detail.at, detail.n);
  commit();
  if (element.offsetParent) trigger("edit"); // unseen, it only remembers: scrubbing must not ask the server
});
range.addEventListener("input", () => {
  write();
  commit();
  tell();
});
function take() { // a step chosen by a button: tell the others
  const { at, n } = props.value || {};
  if (n === undefined || (at === Number(range.value) && n === Number(range.max) + 1)) return;
  put(at, n);
  tell();
}
function tell() {
  const step = { at: Number(range.value), n: Number(range.max) + 1 };
  dispatchEvent(new CustomEvent("lucida-step", { detail: { ...step, sigmas, from: element } }));
}
function write() {
  const at = Number(range.value), values = { i: at + 1, n: Number(range.max) + 1 };
  $(".name").textContent = word("step_from");
  const sigma = sigmas[at] === undefined ? "" : " · σ " + shown(sigmas[at]);
  out.textContent = values.i + " / " + values.n + sigma;
  range.setAttribute("aria-valuetext", word("step_of", values));
}
range.addEventListener("change", () => trigger("edit")); // let go: a panel that computes at once does so now
watch("value", take);
addEventListener("lucida-lang", write);
take();
write();
dispatchEvent(new CustomEvent("lucida-step-ask"));
