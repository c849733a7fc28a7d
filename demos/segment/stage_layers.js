// Objects on the picture and the masks that answer them. canvas.js holds the value and its history; here is what an
// object is, which layers there are, and how they are drawn.
const MOST_OBJECTS = 20, FINGER_LAYER = "finger";
const blank = (id) => ({ id, name: "", marks: [], token: null, visible: true, threshold: 0 });
const FIRST = [blank(1)]; // what a new picture begins with
const objects = (value = chosen()) => (value?.objects?.length ? value.objects : FIRST);
const activeAt = (value = chosen()) => clamp(value?.active || 0, 0, objects(value).length - 1);
const active = (value = chosen()) => objects(value)[activeAt(value)];
const layers = new Map(); // object's id, or FINGER_LAYER: what layer.js draws it from
let live = null; // {id, threshold, of: the objects then}: while a slider outside is dragged
let newest = 0; // the highest id that an object of this picture has had
let begun = false, refusal = null; // what is told of the last answer, if it was a refusal

/** Another object, which is then the chosen one. */
const addNew = (patch = {}) => change({ objects: [...objects(), { ...blank(++newest), ...patch }], active: objects().length });
/** The objects with one of them changed. */
const withObject = (id, patch) => ({ objects: objects().map((each) => (each.id === id ? { ...each, ...patch } : each)) });

own.marks = (value) => active(value).marks || [];
own.put = (next) => withObject(active().id, { marks: next });
own.kept = (value) => ({ objects: objects(value), active: activeAt(value) });
own.single = ["box"];
own.hints = { negative: "negative_hint", finger: "finger_hint", point: "point_hint", box: "box_hint" };
own.fresh = () => {
  layers.clear();
  live = null;
  newest = 0;
  dropFinger();
  if (!begun) dispatchEvent(new CustomEvent("lucida-answer-ask")); // an answer may have come before this script ran
  begun = true;
};
own.shown = () => {
  newest = Math.max(newest, ...objects().map((each) => each.id));
  if (live && live.of !== chosen()?.objects) live = null;
  fill();
  writeObjects();
};

// --- what the stage shows ---
const thresholdOf = (object) => (live?.id === object.id ? live.threshold : object.threshold || 0);
const numberOf = (object) => objects().indexOf(object) + 1;
/** The layers to draw, the last one on top: of seen objects with marks; of the chosen one what is under the finger. */
function drawnLayers() {
  if (!settled()) return [];
  const touched = layers.has(FINGER_LAYER), found = [];
  for (const each of objects()) {
    const kept = each.visible !== false && each.marks?.length ? layers.get(each.id) : null;
    const layer = touched && each === active() ? layers.get(FINGER_LAYER) : kept; // what letting go would leave
    if (!layer) continue;
    const number = numberOf(each), strength = each === active() ? 0.5 : 0.3;
    found.push({ ...cutAt(layer, thresholdOf(each)), ink: inkOf(number), dash: dashOf(number), number, strength });
  }
  return found;
}

// --- the fill: one sheet between picture and marks, in the pixels of the masks ---
const sheetOfFills = document.createElement("canvas");
sheetOfFills.className = "fills";
sheetOfFills.setAttribute("aria-hidden", "true");
img.after(sheetOfFills);
let painted = ""; // what the sheet holds, so that it is painted only when that changes

function fill() {
  const all = drawnLayers();
  const named = all.map((each) => [each.number, each.strength, each.threshold, serialOf(each.packed)].join()).join(";");
  if (named === painted) return;
  painted = named;
  const [width, height] = all.length ? [all[0].width, all[0].height] : [1, 1];
  if (sheetOfFills.width !== width || sheetOfFills.height !== height) Object.assign(sheetOfFills, { width, height });
  sheetOfFills.getContext("2d").putImageData(fills(all, width, height), 0, 0);
  paint();
}
const serials = new WeakMap();
let serial = 0;
function serialOf(packed) {
  if (!serials.has(packed)) serials.set(packed, ++serial);
  return serials.get(packed);
}

/** Outlines and numbers, as sharp as the screen, and the marks of the objects that are not chosen. */
own.under = (pen) => {
  sheetOfFills.style.imageRendering = img.style.imageRendering;
  const all = drawnLayers();
  for (const each of all) paintOutline(pen, each);
  const others = objects().filter((each) => each !== active() && each.visible !== false);
  pen.c.globalAlpha = 0.55;
  for (const mark of others.flatMap((each) => each.marks || [])) ({ point: paintPoint, box: paintBox })[mark.kind]?.(pen, mark);
  pen.c.globalAlpha = 1;
  if (objects().length > 1) for (const each of all) paintNumber(pen, each);
};
function paintOutline({ c, px }, { path, width, height, ink, dash }) {
  const [across, down] = [c.canvas.width / width, c.canvas.height / height], unit = px / across;
  c.save();
  c.scale(across, down);
  c.lineJoin = "round";
  for (const [colour, thick, pattern] of [["#fff", 4, []], ["#000", 2.5, []], [ink, 2.5, dash]]) {
    c.lineWidth = thick * unit;
    c.strokeStyle = colour;
    c.setLineDash(pattern.map((part) => part * unit));
    c.stroke(path);
  }
  c.restore();
}
function paintNumber({ c, px }, { spot, width, height, ink, number }) {
  if (!spot) return;
  const margin = 13 * px, [across, down] = [c.canvas.width, c.canvas.height];
  const x = clamp((spot[0] * across) / width, margin, across - margin), y = clamp((spot[1] * down) / height, margin, down - margin);
  c.beginPath();
  c.arc(x, y, 11 * px, 0, 7);
  c.fillStyle = "#111";
  c.fill();
  stroke({ c, px }, 2.5, ink);
  c.fillStyle = "#fff";
  c.font = `600 ${13 * px}px system-ui, sans-serif`;
  c.textAlign = "center";
  c.textBaseline = "middle";
  c.fillText(String(number), x, y);
}

// --- answers, from the clocks ---
addEventListener("lucida-answer", ({ detail }) => {
  if (!element.isConnected || !chosen() || detail.picture !== nameOf(chosen())) return; // of another picture
  for (const [id, packed] of Object.entries(detail.layers || {})) {
    if (!packed) layers.delete(Number(id));
    else if (layers.get(Number(id))?.packed.logits.data !== packed.logits.data) layers.set(Number(id), opened(packed));
  }
  if (detail.finger) takeFinger(detail);
  if (refusal && intake.told === refusal) tell((refusal = null));
  if (detail.refused) tell((refusal = { en: detail.refused, zh: detail.refused }), {}, true);
  fill();
});

// --- what panels may change ---
addEventListener("lucida-object", ({ detail }) => {
  if (!element.isConnected || !settled()) return;
  const { id = active().id, live: dragging, ...patch } = detail;
  if (dragging) {
    live = { id, threshold: Number(patch.threshold) || 0, of: chosen().objects };
    return fill();
  }
  live = null;
  change(withObject(id, patch));
});
/** Objects found elsewhere, such as by "Everything", come behind those that are there; an empty one makes room. */
addEventListener("lucida-object-add", ({ detail }) => {
  if (!element.isConnected || !settled()) return;
  const kept = objects().filter((each) => each.marks?.length || each.name), room = MOST_OBJECTS - kept.length;
  const added = [detail].flat().slice(0, room).map((each) => ({ ...blank(++newest), ...each }));
  if (added.length) change({ objects: [...kept, ...added], active: kept.length + added.length - 1 });
});
