// Hands each answer to the board as an event of the window and says how long the decoder took.
const line = $(".decoded");
let last = null;

function take() {
  const value = props.value;
  if (value && value.stamp === last?.stamp) return; // Gradio gives the last value of a generator twice
  last = value || null;
  if (last) dispatchEvent(new CustomEvent("lucida-decoded", { detail: last }));
  write();
}
function write() {
  line.textContent = last?.ms == null ? word("decoded_none") : word("decoded_ms", { ms: last.ms < 10 ? last.ms.toFixed(1) : Math.round(last.ms) });
  line.dataset.stamp = last?.stamp ?? "";
}
addEventListener("lucida-decoded-ask", () => {
  if (element.isConnected && last) dispatchEvent(new CustomEvent("lucida-decoded", { detail: last }));
});
addEventListener("lucida-lang", write);
watch("value", take);
take();
