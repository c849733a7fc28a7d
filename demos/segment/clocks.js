// Two clocks and the answers that move them. The milliseconds are the server's; only while the encoder runs does the
// page's own clock stand in. Each answer is handed to the stage as an event.
const encoder = $(".encoder"), decoder = $(".decoder");
const RATE_MS = 2000; // answers a second are counted over this long
const STEP_DEGREES = 15; // of the decoder's hand, an answer
let known = null; // the last answer, with all layers of its picture
let encoded = { picture: "", ms: null }, started = 0, count = 0, last = null, times = [];

function take() {
  const value = props.value;
  if (!value) {
    [known, encoded, started, count, last, times] = [null, { picture: "", ms: null }, 0, 0, null, []];
    return write();
  }
  if (value.serial === known?.serial) return; // Gradio gives the last value of a generator twice
  if (value.picture !== known?.picture) [encoded, count, last, times] = [{ picture: value.picture, ms: null }, 0, null, []];
  known = value.picture === known?.picture ? { ...value, layers: { ...known.layers, ...value.layers } } : value;
  if (value.running) run();
  if (value.encoder_ms != null) {
    encoded = { picture: value.picture, ms: value.encoder_ms, stored: value.stored };
    started = 0;
  } else if (!value.running) started = 0;
  if (value.decoder_ms != null) tick(value);
  dispatchEvent(new CustomEvent("lucida-answer", { detail: value }));
  write();
}
function run() {
  const alone = !started;
  started = performance.now();
  if (alone) frame();
}
function frame() {
  if (!started || !element.isConnected) return;
  write();
  requestAnimationFrame(frame);
}
function tick({ decoder_ms, stored }) {
  last = decoder_ms;
  if (stored) return;
  const now = performance.now();
  count++;
  times = [...times.filter((time) => now - time < RATE_MS), now];
  clearTimeout(tick.later);
  tick.later = setTimeout(write, RATE_MS);
}
/** Answers a second, while they come quickly. */
function rate() {
  const now = performance.now(), recent = times.filter((time) => now - time < RATE_MS);
  return recent.length > 2 ? (recent.length - 1) / ((now - recent[0]) / 1000) : 0;
}

const shown = (ms) => word("clock_ms", { ms: ms < 10 ? ms.toFixed(1) : Math.round(ms) });
const turn = (clock, degrees) => clock.querySelector(".hand").style.setProperty("transform", `rotate(${degrees}deg)`);
function tell(clock, name, ms, what) {
  clock.querySelector("b").textContent = word(name);
  clock.querySelector(".ms").textContent = ms == null ? "–" : shown(ms);
  clock.querySelector(".what").textContent = what;
}
function write() {
  const going = started ? performance.now() - started : null, calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const what = going != null ? "clock_runs" : encoded.ms == null ? "clock_wait" : encoded.stored ? "clock_stored" : "clock_once";
  encoder.classList.toggle("running", going != null);
  tell(encoder, "clock_encoder", going ?? encoded.ms, word(what));
  turn(encoder, calm && going != null ? 0 : ((going ?? encoded.ms ?? 0) / 1000) * 360);
  const pace = rate(), said = pace ? word("clock_rate", { n: count, rate: pace.toFixed(pace < 10 ? 1 : 0) }) : word("clock_answers", { n: count });
  tell(decoder, "clock_decoder", last, count ? said : word(last == null ? "clock_none" : "clock_stored"));
  decoder.dataset.answers = count; // the words change with the pace too
  turn(decoder, count * STEP_DEGREES);
}

addEventListener("lucida-answer-ask", () => {
  if (element.isConnected && known) dispatchEvent(new CustomEvent("lucida-answer", { detail: known }));
});
addEventListener("lucida-lang", write);
watch("value", take);
take();
