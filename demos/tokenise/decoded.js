// Hands each answer to the board as an event of the window and says how long the decoder took.
const line = $(".decoded");
let last = null, ms = null; // ms: of the last answer that was timed

function take() {
  const value = props.value;
  if (value && value.stamp === last?.stamp) return; // Gradio gives the last value of a generator twice
  last = value || null;
  ms = value ? value.ms ?? ms : null;
  if (last) dispatchEvent(new CustomEvent("lucida-decoded", { detail: last }));
  write();
}
function write() {
  line.textContent = ms === null ? word("decoded_none") : word("decoded_ms", { ms: ms < 10 ? ms.toFixed(1) : Math.round(ms) });
}
addEventListener("lucida-decoded-ask", () => {
  if (element.isConnected && last) dispatchEvent(new CustomEvent("lucida-decoded", { detail: last }));
});
addEventListener("lucida-lang", write);
watch("value", take);
take();
