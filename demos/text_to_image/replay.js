// The attention of one call of the UNet: chips with each token's share, a layer, a head. Chosen and averaged here, from
// arrays that came once; the map itself is drawn by the heat map, which gets it as its value. Text is never HTML.
const none = $(".none"), all = $(".all"), chips = $(".chips"), layer = $(".layer"), head = $(".head"), said = $(".said");
const EVERY = "all";
let numbers = null, chosen = 0, loading = 0;

const percent = (share) => (share > 0 && share < 0.0005 ? "<0.1" : (100 * share).toFixed(1)) + " %";

async function take() {
  const value = props.value, ticket = ++loading;
  if (!value) {
    numbers = null;
    return write();
  }
  if (numbers && value.serial === numbers.serial) return; // our own change of the chosen map
  const array = value.maps.data ? unpack(value.maps) : (await lucida.unpack(value.maps)).array;
  if (ticket !== loading) return;
  const same = numbers?.prompt === value.prompt;
  numbers = { array, serial: value.serial, prompt: value.prompt };
  if (!same) chosen = first();
  fill();
  build();
  show();
}

/** The longest of the visitor's words: seldom an article. */
function first() {
  const lengths = props.value.chips.map((chip) => (chip.kind === "word" && !chip.piece && chip.text !== "␣" ? chip.text.length : 0));
  return lengths.indexOf(Math.max(...lengths));
}

// --- averages: shares and maps of what is chosen ---
const layers = () => (layer.value === EVERY ? props.value.layers : [props.value.layers[Number(layer.value)]]);
const heads = ({ heads: n }) => (head.value === EVERY || layer.value === EVERY ? [...Array(n).keys()] : [Number(head.value)]);

/** (cells) of one layer: the mean over the chosen heads of the sum over the chip's places. */
function mapOf(one, places) {
  const cells = one.height * one.width, tokens = props.value.tokens, chosenHeads = heads(one), sum = new Float32Array(cells);
  for (const h of chosenHeads) {
    for (const place of places) {
      const from = one.offset + (h * tokens + place) * cells;
      for (let i = 0; i < cells; i++) sum[i] += numbers.array[from + i] / chosenHeads.length;
    }
  }
  return sum;
}
function share(chip) {
  const parts = layers().map((one) => mapOf(one, chip.places).reduce((a, b) => a + b, 0) / (one.height * one.width));
  return parts.reduce((a, b) => a + b, 0) / parts.length;
}
/** The mean over the chosen layers at the size of the finest of them, the coarser ones enlarged bilinearly. */
function heat(chip) {
  const those = layers(), finest = those.reduce((a, b) => (b.height * b.width > a.height * a.width ? b : a));
  const { height: rows, width: columns } = finest, mean = new Float32Array(rows * columns);
  for (const one of those) {
    const map = mapOf(one, chip.places);
    for (let y = 0; y < rows; y++) {
      const [top, bottom, down] = between(y, rows, one.height);
      for (let x = 0; x < columns; x++) {
        const [left, right, along] = between(x, columns, one.width), at = (row, column) => map[row * one.width + column];
        const above = at(top, left) * (1 - along) + at(top, right) * along;
        const below = at(bottom, left) * (1 - along) + at(bottom, right) * along;
        mean[y * columns + x] += (above * (1 - down) + below * down) / those.length;
      }
    }
  }
  return { map: mean, rows, columns };
}
/** Where cell `i` of `many` lies among `few`: the cells on both sides, and how far it is from the first one. */
function between(i, many, few) {
  const place = Math.max(((i + 0.5) * few) / many - 0.5, 0), low = Math.floor(place);
  return [low, Math.min(low + 1, few - 1), place - low];
}

// --- what is shown ---
function packed(values, shape) {
  let text = "";
  new Uint8Array(values.buffer).forEach((byte) => { text += String.fromCharCode(byte); });
  return { dtype: "float32", shape, data: btoa(text) };
}
function show() {
  const { picture, width, height, chips: list } = props.value, { map, rows, columns } = heat(list[chosen]);
  const shown = { picture, width, height, map: packed(map, [rows, columns]), box: [0, 0, width, height], signed: false };
  props.value = { ...props.value, heat: { ...shown, range: [0, Math.max(...map, 1e-6)] } };
  trigger("edit");
  write();
}
function fill() {
  const kept = [layer.value, head.value];
  layer.replaceChildren(option(EVERY), ...props.value.layers.map((one, i) => option(i)));
  layer.value = [...layer.options].some((o) => o.value === kept[0]) ? kept[0] : EVERY;
  fillHeads();
  head.value = [...head.options].some((o) => o.value === kept[1]) ? kept[1] : EVERY;
}
function fillHeads() {
  const n = layer.value === EVERY ? 0 : props.value.layers[Number(layer.value)].heads;
  head.replaceChildren(option(EVERY), ...[...Array(n > 1 ? n : 0).keys()].map((h) => option(h, String(h + 1))));
  head.disabled = n < 2;
  write();
}
function option(value, text) {
  const made = document.createElement("option");
  made.value = value;
  if (text !== undefined) made.textContent = text;
  return made;
}
function build() {
  chips.replaceChildren(...props.value.chips.map((chip, i) => {
    const made = document.createElement("button"), bar = document.createElement("span"), fill = document.createElement("i");
    made.type = "button";
    made.className = "chip " + chip.kind + (chip.piece ? " piece" : "");
    made.disabled = chip.kind === "cut";
    const parts = ["text", "bar", "share"].map((name) => Object.assign(document.createElement("span"), { className: name }));
    parts[1].append(fill);
    made.append(...parts);
    made.addEventListener("click", () => { chosen = i; show(); });
    return made;
  }));
}
function write() {
  none.textContent = word("replay_empty");
  none.hidden = Boolean(numbers);
  all.hidden = !numbers;
  if (!numbers) return;
  const value = props.value, names = element.querySelectorAll(".knobs span");
  names[0].textContent = word("replay_layer");
  names[1].textContent = word("replay_head");
  value.layers.forEach(({ name, part, block, number, cells_high, cells_wide }, i) => {
    const node = layer.options[i + 1];
    if (!node) return;
    node.textContent = word("layer_" + part, { block, number, height: cells_high, width: cells_wide });
    node.title = name;
  });
  for (const [select, key] of [[layer, "replay_layers"], [head, "replay_heads"]]) {
    const every = select.querySelector("option");
    if (every) every.textContent = word(key);
  }
  $(".lead").textContent = word("replay_lead", { k: value.at + 1, n: value.n });
  chips.setAttribute("aria-label", word("replay_chips"));
  [...chips.children].forEach((node, i) => {
    const chip = value.chips[i], part = chip.kind === "cut" ? 0 : share(chip);
    node.querySelector(".text").textContent = ["begin", "end", "pad"].includes(chip.kind) ? word("token_" + chip.kind, { n: chip.count }) : chip.text;
    node.querySelector("i").style.width = 100 * part + "%";
    node.querySelector(".share").textContent = chip.kind === "cut" ? word("token_cut") : percent(part);
    node.setAttribute("aria-pressed", String(i === chosen));
  });
  said.textContent = word("replay_checked", { difference: value.difference, ms: value.ms }) + (value.averaged ? " " + word("replay_averaged") : "");
}

layer.addEventListener("change", () => { fillHeads(); show(); });
head.addEventListener("change", show);
watch("value", take);
addEventListener("lucida-lang", write);
take();
