// Where each token of the decoder looks: a token, a layer, a head, chosen here from maps that came once. It runs behind
// heat.js and marks_over.js in one scope; the map is the heat map's own.
const own = $(".own"), chips = $(".chips"), layer = $(".layer"), head = $(".head"), EVERY = "all";
all.before(own);
let maps = null, chosen = 0, asked = 0;

async function takeMaps() {
  const value = props.value, ticket = ++asked;
  own.hidden = !value;
  if (!value) { maps = null; return; }
  const array = value.maps.data ? unpack(value.maps) : (await lucida.unpack(value.maps)).array;
  if (ticket !== asked) return;
  const before = maps && value.tokens[chosen]?.kind === maps.kind && chosen;
  chosen = before === false || before === null ? value.token : before;
  maps = { array, kind: value.tokens[chosen].kind };
  fill();
  build();
  setMarks(value, value.width, value.height);
  show();
}

/** (cells) the mean over the chosen heads of one token's attention in one layer. */
function attention() {
  const one = props.value.layers[Number(layer.value)], [high, wide] = props.value.map.shape, cells = high * wide;
  const heads = head.value === EVERY ? [...Array(one.heads).keys()] : [Number(head.value)], mean = new Float32Array(cells);
  for (const h of heads) {
    const from = one.offset + (h * props.value.tokens.length + chosen) * cells;
    for (let i = 0; i < cells; i++) mean[i] += maps.array[from + i] / heads.length;
  }
  return mean;
}
function show() {
  values = attention();
  measure({ range: [0, Math.max(values.reduce((a, b) => Math.max(a, b), 0), 1e-6)], signed: false });
  paintMap();
  paintBar();
  write();
  speakOwn();
}

// --- the choices ---
function option(value) {
  const made = document.createElement("option");
  made.value = value;
  return made;
}
function fill() {
  const kept = [layer.value, head.value], { layers } = props.value;
  layer.replaceChildren(...layers.map((one, i) => option(i)));
  layer.value = kept[0] && Number(kept[0]) < layers.length ? kept[0] : layers.length - 1;
  fillHeads(kept[1]);
}
function fillHeads(kept) {
  const { heads } = props.value.layers[Number(layer.value)];
  head.replaceChildren(option(EVERY), ...[...Array(heads > 1 ? heads : 0).keys()].map(option));
  head.value = [...head.options].some((one) => one.value === kept) ? kept : EVERY;
  head.disabled = heads < 2;
}
function build() {
  chips.replaceChildren(...props.value.tokens.map((token, i) => {
    const made = document.createElement("button");
    made.type = "button";
    made.addEventListener("click", () => { chosen = i; maps.kind = token.kind; show(); });
    return made;
  }));
}

// --- what is said ---
const share = (part) => (100 * part).toFixed(1) + " %";
function speakOwn() {
  if (!maps || !props.value) return;
  const { tokens, layers, map, averaged } = props.value, names = element.querySelectorAll(".choice span");
  $(".own .lead").textContent = word("attention_lead");
  chips.setAttribute("aria-label", word("attention_chips"));
  [...chips.children].forEach((node, i) => {
    node.textContent = word("attention_" + tokens[i].kind, { n: tokens[i].n, name: word("token_" + tokens[i].n) });
    node.setAttribute("aria-pressed", String(i === chosen));
  });
  names[0].textContent = word("attention_layer");
  names[1].textContent = word("attention_head");
  [...layer.options].forEach((node, i) => { node.textContent = word(layers[i].final ? "attention_final" : "attention_layer_n", { n: i + 1 }); });
  [...head.options].forEach((node) => { node.textContent = node.value === EVERY ? word("attention_heads") : String(Number(node.value) + 1); });
  const sum = values.reduce((a, b) => a + b, 0), best = hottest(), [high, wide] = map.shape;
  const said = word("attention_said", { share: share(sum), times: (values[best.row * wide + best.column] * high * wide / Math.max(sum, 1e-9)).toFixed(1) });
  $(".own .said").textContent = said + (averaged ? " " + word("attention_averaged") : "");
}

layer.addEventListener("change", () => { fillHeads(head.value); show(); });
head.addEventListener("change", show);
watch("value", takeMaps);
addEventListener("lucida-lang", speakOwn);
takeMaps();
