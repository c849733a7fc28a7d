// Everything as a funnel: five filters whose limits move here, what each threw away, the mask under the pointer. The
// model ran once, in Python; funnel_sift.js decides, funnel_paint.js draws. Words are set as text, never as HTML.
// This file comes last of the three.
const none = $(".none"), all = $(".all"), said = $(".said"), stages = $(".stages"), sum = $(".sum"), listed = $(".listed"), told = $(".told");
const STAGES = ["grid", "iou", "stability", "nms", "small", "kept"]; // a stage's place is the reason that it gives
const LIMITS = { iou: "iou", stability: "stability", nms: "nms", small: "min_area" };
const LIBRARY = { iou: 0.88, stability: 0.95 }; // segment_anything's own thresholds
const FIELDS = 9; // of a candidate: predicted IoU, stability; box (4) and area in pixels; its point as shares (2)
let pass = null, limits = null, result = null; // what the model gave, the sliders, what `sift` made of both
let small = null; // Python's answer to the last slider
let chosen = "kept", hot = -1, pinned = -1, loading = 0;

const digits = (value) => value.toFixed(2);
const percent = (share) => (share > 0 && share < 0.0005 ? "<0.1" : (100 * share).toFixed(1)) + " %";

// --- what Python sends ---
async function take() {
  const value = props.value, ticket = ++loading;
  if (!value) {
    pass = null;
    return write();
  }
  if (pass && value.serial === pass.serial) return adopt(value.small); // our own change, or the last filter's answer
  const [bits, numbers] = (await Promise.all([lucida.unpack(value.masks), lucida.unpack(value.numbers)])).map((got) => got.array);
  if (ticket !== loading) return; // a newer pass has arrived meanwhile
  pass = { ...value, ...candidates(numbers, value.masks.shape[0]), masks: { bits, ...value.cells } };
  limits ||= { ...value.thresholds };
  chosen = "kept";
  $("img").src = value.picture.data ?? (window.gradio_config?.root || "").replace(/\/$/, "") + "/" + value.picture.url;
  small = null;
  told.textContent = "";
  $(".all").style.setProperty("--aspect", value.width / value.height);
  forgetShapes();
  settle();
}
function candidates(numbers, count) {
  const column = (place) => Float32Array.from({ length: count }, (_, i) => numbers[i * FIELDS + place]);
  const boxes = new Float32Array(4 * count);
  for (let i = 0; i < count; i++) boxes.set(numbers.subarray(i * FIELDS + 2, i * FIELDS + 6), 4 * i);
  return { count, iou: column(0), stability: column(1), boxes, areas: column(6), x: column(7), y: column(8) };
}

// --- the sliders and the stages ---
/** Filters again, keeps the limits where Python reads them, and shows it all. */
function settle() {
  const key = keyOf(limits), came = limits.min_area > 0 && small?.key === key, answered = came && !small.refused;
  result = sift(pass, limits);
  result.waits = limits.min_area > 0 && !came;
  result.refused = came && small.refused;
  if (answered) result = { ...result, ...withSmall(result, small) };
  useMasks(answered ? small : null);
  if (keyOf(props.value.thresholds) !== key) props.value = { ...props.value, thresholds: limits };
  choose(chosen);
}
function moved() {
  settle();
  if (result.waits) trigger("edit");
}
/** The last filter's answer, unless the sliders have moved on. */
function adopt(answer) {
  if (!answer || small?.serial === answer.serial) return;
  const arrays = answer.refused ? {} : { bits: unpack(answer.bits), boxes: unpack(answer.boxes) };
  small = { ...answer, ...arrays, key: keyOf(answer.limits) };
  settle();
}
const keyOf = ({ iou, stability, nms, min_area }) => JSON.stringify({ iou, stability, nms, min_area });
function choose(stage) {
  chosen = stage;
  hot = pinned = -1;
  forgetField();
  page = 1;
  write();
}
/** The candidates that the chosen stage speaks of, the nearest to staying first. */
function these() {
  const everyone = [...Array(pass.count).keys()];
  if (chosen === "grid") return everyone;
  const by = chosen === "stability" ? pass.stability : pass.iou;
  return everyone.filter((i) => stageOf(i) === chosen).sort((a, b) => by[b] - by[a] || a - b);
}
const stageOf = (i) => (result.reasons[i] === KEPT ? "kept" : STAGES[result.reasons[i]]);

function buildStages() {
  stages.replaceChildren(...STAGES.map((stage) => {
    const row = document.createElement("li"), bar = document.createElement("div");
    row.dataset.stage = stage;
    const head = button(row, stage, () => choose(stage));
    head.append(...["name", "gone", "left"].map((name) => Object.assign(document.createElement("span"), { className: name })));
    bar.className = "bar";
    bar.append(...["stay", "leave"].map((name) => Object.assign(document.createElement("i"), { className: name })));
    row.append(bar);
    if (LIMITS[stage]) row.append(knob(stage));
    return row;
  }));
}
/** A slider; that of the smallest area moves the side of a square, so that small areas can be told apart. */
function knob(stage) {
  const label = document.createElement("label"), range = document.createElement("input"), name = LIMITS[stage];
  const side = name === "min_area";
  Object.assign(range, { type: "range", min: 0, max: side ? 128 : 1, step: side ? 1 : 0.01 });
  range.addEventListener("input", () => {
    limits = { ...limits, [name]: side ? Number(range.value) ** 2 : Number(range.value) };
    moved();
  });
  label.append(range, document.createElement("output"));
  return label;
}

// --- keeping one, resetting ---
const keep = button($(".acts"), "keep", () => keepIt(hot));
const reset = button($(".back"), "reset", () => { limits = { ...pass.thresholds }; moved(); });
/** The stage gets the mask's point and the model's output, and answers them as any other click. */
function keepIt(i) {
  if (i < 0) return;
  const mark = { kind: "point", x: pixel(pass.x[i], pass.full[1]), y: pixel(pass.y[i], pass.full[0]), label: 1 };
  dispatchEvent(new CustomEvent("lucida-object-add", { detail: { marks: [mark], token: 1 + (i % 3) } }));
  told.textContent = word("funnel_added", { i: i + 1 });
}
const pixel = (share, length) => clamp(Math.round(share * length - 0.5), 0, length - 1);
/** A finger has no hover: its first tap shows a mask, and a second one on the same mask keeps it. */
function pressed(i, kind) {
  if (i < 0) return point(-1);
  if (kind === "touch" && pinned !== i) {
    pinned = i;
    return point(i);
  }
  point(i);
  keepIt(i);
}
function point(i) {
  if (hot === i) return;
  hot = i;
  paint();
  say();
}

// --- words ---
function write() {
  none.textContent = word("funnel_empty");
  none.hidden = Boolean(pass);
  all.hidden = !pass;
  if (!pass) return;
  writeStages();
  keep.textContent = word("funnel_keep");
  reset.textContent = word("funnel_reset");
  $(".lowered").textContent = Object.keys(LIBRARY).some((name) => pass.thresholds[name] < LIBRARY[name]) ? word("funnel_lowered", LIBRARY) : "";
  reset.disabled = Object.keys(limits).every((name) => limits[name] === pass.thresholds[name]);
  $("canvas").setAttribute("aria-label", word("funnel_canvas"));
  list();
  paint();
  say();
}
function writeStages() {
  let left = pass.count;
  STAGES.forEach((stage, place) => {
    const row = stages.children[place], gone = LIMITS[stage] ? result.counts[place] : 0, [head, bar, label] = row.children;
    left -= gone;
    const values = { n: left, gone, points: pass.count / 3, touched: small?.touched?.length };
    const waits = result.waits && (stage === "small" || stage === "kept");
    head.setAttribute("aria-pressed", String(stage === chosen));
    head.children[0].textContent = word("funnel_stage_" + stage);
    head.children[1].textContent = waits ? word("funnel_waits") : about(stage, values);
    head.children[2].textContent = waits ? "…" : word(stage === "kept" ? "funnel_kept" : "funnel_left", values);
    bar.children[0].style.width = (100 * left) / pass.count + "%";
    bar.children[1].style.width = (100 * gone) / pass.count + "%";
    if (label) writeKnob(label, stage);
  });
  const [kept, ...gone] = result.counts, parts = Object.fromEntries(STAGES.slice(1, 5).map((stage, place) => [stage, gone[place]]));
  sum.textContent = word("funnel_sum", { kept, ...parts, n: pass.count });
}
function about(stage, values) {
  if (stage === "grid") return word("funnel_points", values);
  if (stage === "kept") return "";
  if (stage === "small" && result.refused) return result.refused[language()];
  return word(stage === "small" && limits.min_area > 0 ? "funnel_cleaned" : "funnel_gone", values);
}
function writeKnob(label, stage) {
  const [range, out] = label.children, value = limits[LIMITS[stage]], side = Math.round(Math.sqrt(value));
  const off = stage === "small" ? (pass.stored ? "funnel_limit_later" : "funnel_limit_off") : "";
  const said = word(stage === "small" && !value ? off : "funnel_limit_" + stage, { value: digits(value), side });
  range.value = stage === "small" ? side : value;
  range.disabled = stage === "small" && Boolean(pass.stored); // its masks are not on the server
  range.setAttribute("aria-label", word("funnel_stage_" + stage));
  range.setAttribute("aria-valuetext", said);
  out.textContent = said;
}
/** The line under the picture: what the mask that is pointed at is, and why it stays or went. */
function say() {
  keep.disabled = hot < 0;
  if (hot < 0) {
    said.textContent = result.kept.length ? word("funnel_hint_" + (["kept", "grid"].includes(chosen) ? chosen : "gone")) : word("funnel_nothing");
    return;
  }
  said.textContent = described(hot) + " " + why(hot);
}
function described(i) {
  const share = percent(pass.areas[i] / (pass.width * pass.height));
  return word("funnel_mask", { i: i + 1, token: 1 + (i % 3), iou: digits(pass.iou[i]), stability: digits(pass.stability[i]), share });
}
function why(i) {
  const rival = result.rival[i], values = { iou: digits(pass.iou[i]), stability: digits(pass.stability[i]) };
  if (rival >= 0) Object.assign(values, { rival: rival + 1, better: digits(pass.iou[rival]), overlap: digits(boxIoU(boxes, rival, i)) });
  const stage = stageOf(i), touched = stage === "kept" && small && masksOf.has(i);
  return word("funnel_why_" + (touched ? "touched" : stage), { ...values, limit: digits(limits[LIMITS[stage]] ?? 0) });
}

buildStages();
watch("value", take);
addEventListener("lucida-lang", write);
take();
