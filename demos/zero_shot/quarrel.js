// CLIP's softmax beside SigLIP's sigmoid, from the cosines alone. Words are set as text, never as HTML.
const table = $(".table"), more = $(".more button"), knob = $(".knob"), slider = $("input"), said = $(".said"), path = $(".path");
const SHOWN = 12, SIDES = ["softmax", "sigmoid"];
let off = new Set(), temperature = 1, chosen = 0, pinned = 0, before = null, all = false, cells = [];

const titled = (title) => title[language()];
const fixed = (p) => (p > 0 && p < 0.001 ? "<0.001" : p.toFixed(p < 0.0995 ? 3 : 2));
const number = (x, digits) => x.toFixed(digits).replace("-", "−");
const make = (tag, name, text) => {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (text !== undefined) node.textContent = text;
  return node;
};

// --- the two read-outs ---
const logits = (m) => m.cosines.map((c) => (c * m.scale + (m.bias ?? 0)) / temperature);
function softmax(z, on) { // exp(z_i) / sum_j exp(z_j) over the labels that are switched on
  const top = Math.max(...z.filter((_, i) => on(i)));
  const e = z.map((x, i) => (on(i) ? Math.exp(x - top) : 0)), sum = e.reduce((a, b) => a + b, 0);
  return e.map((x) => (sum ? x / sum : 0));
}
const sigmoid = (z) => z.map((x) => 1 / (1 + Math.exp(-x)));
function readings() {
  const v = props.value, on = (i) => !off.has(i);
  return {
    softmax: v.softmax && softmax(logits(v.softmax), on),
    sigmoid: v.sigmoid && sigmoid(logits(v.sigmoid)),
  };
}

// --- marks: a shape and a word ---
const SHAPES = {
  pictures: "<circle cx='6' cy='6' r='5'/>", imagenet: "<rect x='1.5' y='1.5' width='9' height='9'/>",
  drawings: "<path d='M6 1 11 11H1z'/>", captions: "<path d='M6 .5 11.5 6 6 11.5.5 6z'/>",
  never: "<circle cx='6' cy='6' r='4.2' fill='none' stroke='currentColor' stroke-width='1.6' stroke-dasharray='2.6 1.8'/>",
  unknown: "<path d='M2 6h8' stroke='currentColor' stroke-width='2'/>",
};
function shape(mark) { // constant markup of this file: nothing of a visitor's is in it
  const box = make("span", "shape");
  box.setAttribute("aria-hidden", "true");
  box.innerHTML = "<svg viewBox='0 0 12 12' width='12' height='12' fill='currentColor'>" + SHAPES[mark] + "</svg>";
  return box;
}

// --- the table, made anew for each result ---
function head(side) {
  const model = props.value[side], cell = make("th", side);
  cell.scope = "col";
  cell.append(make("b", "", word(side + "_title")), make("span", "model", model ? titled(model.title) : word("no_model")));
  const choice = make("span", "choice");
  choice.setAttribute("role", "group");
  choice.setAttribute("aria-label", word("read_out"));
  for (const name of SIDES) {
    const b = make("button", "", word(name));
    b.type = "button";
    b.setAttribute("aria-pressed", name === side);
    if (name !== side) {
      b.setAttribute("aria-disabled", "true");
      b.setAttribute("aria-describedby", "why-" + side);
      b.title = word(side + "_why");
    }
    choice.append(b);
  }
  const why = make("span", "why", word(side + "_why"));
  why.id = "why-" + side;
  cell.append(choice, why);
  return cell;
}
function bar(side, row) {
  const cell = make("td", "bar " + side), track = make("div", "track"), fill = make("div", "fill"), tick = make("div", "tick");
  track.append(fill, tick);
  const out = make("span", "out numbers");
  cell.append(make("span", "name", word(side)), track, out);
  row[side] = { cell, fill, tick, out };
  return cell;
}
function line(i) {
  const { text, mark } = props.value.labels[i], tr = make("tr"), th = make("th", "label"), chip = make("button", "chip");
  th.scope = "row";
  chip.type = "button";
  chip.append(shape(mark), make("bdi", "", text));
  chip.onclick = () => toggle(i);
  chip.onfocus = () => choose(i);
  const row = { i, tr, chip };
  th.append(chip, make("span", "mark", word("mark_" + mark)));
  tr.append(th, ...SIDES.map((side) => bar(side, row)));
  tr.onpointerenter = () => choose(i);
  tr.onclick = (e) => { if (!e.target.closest("button")) { pinned = i; choose(i); } };
  cells.push(row);
  return tr;
}
function order() { // the likeliest first, and it stays so while chips are switched
  const c = (props.value.softmax || props.value.sigmoid).cosines;
  return c.map((_, i) => i).sort((a, b) => c[b] - c[a]);
}
function build() {
  const v = props.value;
  table.replaceChildren();
  cells = [];
  element.hidden = !v;
  if (!v) return;
  const t = make("table"), top = make("thead"), row = make("tr"), body = make("tbody"), ranked = order();
  t.append(make("caption", "", word("caption")), top, body);
  row.append(make("th", "label", word("labels")), ...SIDES.map(head));
  top.append(row);
  body.append(...ranked.slice(0, all ? ranked.length : SHOWN).map(line));
  t.onpointerleave = () => choose(pinned);
  // On a phone the table is laid out as a grid, so its roles are said outright.
  const roles = { table: [t], rowgroup: [top, body], row: t.querySelectorAll("tr"), columnheader: top.querySelectorAll("th"), rowheader: body.querySelectorAll("th"), cell: body.querySelectorAll("td") };
  for (const [role, nodes] of Object.entries(roles)) for (const node of nodes) node.setAttribute("role", role);
  table.append(t);
  more.hidden = ranked.length <= SHOWN;
  more.textContent = word(all ? "show_few" : "show_all", { n: ranked.length, few: SHOWN });
  knob.querySelector("label span").textContent = word("temperature");
  knob.querySelector(".learnt").textContent = word("learnt");
  knob.querySelector(".all").textContent = word("switch_on");
  paint();
}

// --- what moves ---
function paint() {
  const now = readings();
  for (const { i, tr, chip, ...row } of cells) {
    const out = off.has(i);
    chip.setAttribute("aria-pressed", !out);
    chip.title = word(out ? "chip_on" : "chip_off");
    tr.classList.toggle("off", out);
    for (const side of SIDES) {
      const { fill, tick, out: text } = row[side], p = now[side]?.[i];
      const silent = p === undefined || p === null || (side === "softmax" && out);
      fill.style.width = silent ? "0" : 100 * p + "%";
      text.textContent = silent ? "–" : fixed(p);
      tick.hidden = !before?.[side];
      if (!tick.hidden) tick.style.left = 100 * before[side][i] + "%";
    }
  }
  slider.value = Math.log10(temperature);
  slider.setAttribute("aria-valuetext", temperature.toFixed(2));
  $("output").textContent = temperature.toFixed(2);
  knob.querySelector(".learnt").hidden = temperature === 1;
  knob.querySelector(".all").hidden = off.size === 0;
  walk(now);
}
function choose(i) {
  chosen = i;
  for (const { i: k, tr } of cells) tr.classList.toggle("chosen", k === i);
  walk(readings());
}

// --- the path of one label, with live numbers ---
const step = (value, name) => { const s = make("span", "step"); s.append(make("b", "numbers", value), make("small", "", name)); return s; };
function walk(now) {
  const v = props.value, label = v.labels[chosen];
  path.replaceChildren();
  if (!label) return;
  const title = make("p", "of", word("path") + " ");
  title.append(make("bdi", "", label.text));
  path.append(title);
  for (const side of SIDES) {
    const m = v[side];
    if (!m) continue;
    const p = now[side][chosen], z = logits(m)[chosen], n = v.labels.length - off.size, flow = make("div", "flow " + side);
    flow.append(step(number(m.cosines[chosen], 3), word("cosine")), "×", step(number(m.scale, 1), word("scale")));
    if (m.bias !== null) flow.append(m.bias < 0 ? "−" : "+", step(number(Math.abs(m.bias), 1), word("bias")));
    if (temperature !== 1) flow.append("÷", step(temperature.toFixed(2), word("temperature")));
    flow.append("=", step(number(z, 2), word("logit")));
    const end = make("span", "end", "→");
    end.append(step(side === "softmax" && off.has(chosen) ? "–" : fixed(p), side === "softmax" ? word("softmax_over", { n }) : word("sigmoid_alone")));
    flow.append(end);
    path.append(flow);
  }
}

// --- chips and slider ---
const commit = () => { props.value = { ...props.value, temperature, off: [...off] }; trigger("edit"); };
function toggle(i) {
  before = readings();
  off.has(i) ? off.delete(i) : off.add(i);
  pinned = i;
  paint();
  report(i);
  commit();
}
function report(i) {
  const text = props.value.labels[i].text, left = props.value.labels.length - off.size;
  const share = before.softmax ? fixed(before.softmax[i]) : "–";
  if (left === 0) said.textContent = word("none_on");
  else if (left === 1) said.textContent = word("one_on");
  else said.textContent = word(off.has(i) ? "went_off" : "came_on", { label: text, share, n: left });
}
slider.onpointerdown = slider.onkeydown = () => { before = readings(); };
slider.oninput = () => {
  temperature = +slider.value === 0 ? 1 : +(10 ** slider.value).toFixed(3);
  said.textContent = word(temperature < 1 ? "cold" : temperature > 1 ? "hot" : "as_learnt");
  paint();
};
slider.onchange = commit;
knob.querySelector(".learnt").onclick = () => { before = readings(); temperature = 1; said.textContent = word("as_learnt"); paint(); commit(); slider.focus(); };
knob.querySelector(".all").onclick = () => { before = readings(); off = new Set(); said.textContent = word("all_on"); paint(); commit(); };
more.onclick = () => { all = !all; build(); };

// --- what Python sends ---
let seen = "";
function take() {
  const v = props.value, key = v ? JSON.stringify([v.labels, v.softmax, v.sigmoid]) : "";
  if (key === seen) return;
  seen = key;
  temperature = v?.temperature ?? 1;
  off = new Set(v?.off ?? []);
  before = null;
  all = false;
  said.textContent = v && v.labels.length === 1 ? word("one_on") : word("try_it");
  pinned = chosen = v ? order()[0] : 0;
  build();
  if (v) choose(chosen);
}
addEventListener("lucida-lang", () => { build(); if (props.value) { said.textContent = word("try_it"); choose(pinned); } });
watch("value", take);
take();
if (props.start) trigger("start"); // a link's settings: classify as soon as the page stands
