// A mask's logit under the pointer as what it is: a token's vector times the map's vector at that pixel. The vectors of
// every pixel come once, when a pixel is first asked for; then hovering asks the server nothing. Runs behind heat.js.
const own = $(".own"), sum = $(".sum"), tokens = $(".tokens"), terms = $(".terms"), formula = $(".formula"), said = $(".sum .said");
all.before(own);
const ORDER = [1, 2, 3, 0]; // the single mask last, as on the ladder
let vectors = null, shares = null, token = 0, spot = null, asked = 0;

async function takeVectors() {
  const value = props.value, ticket = ++asked;
  own.hidden = sum.hidden = !value;
  if (!value) { vectors = null; return; }
  token = value.token;
  spot = value.spot;
  vectors = unpack(value.vectors);
  setMarks(value, value.width, value.height);
  build();
  tell();
  const array = value.maps.data ? unpack(value.maps) : (await lucida.unpack(value.maps)).array;
  if (ticket !== asked) return;
  shares = array;
  recolour();
}

/** Σ of token times map at a cell; with `each`, the products. */
function products(row, column) {
  const [channels, high, wide] = props.value.maps.shape, found = [];
  for (let c = 0; c < channels; c++) {
    const a = vectors[token * channels + c], b = shares[c * high * wide + row * wide + column];
    found.push([a, b, a * b]);
  }
  return found;
}

/** The map of the chosen token, worked out here: every pixel's product. */
function recolour() {
  const [channels, high, wide] = props.value.maps.shape, n = high * wide, made = new Float32Array(n);
  for (let c = 0; c < channels; c++) {
    const a = vectors[token * channels + c], from = c * n;
    for (let i = 0; i < n; i++) made[i] += a * shares[from + i];
  }
  values = made;
  measure({ range: null, signed: true });
  paintMap();
  paintBar();
  write();
  tell();
}

// --- what is said ---
const minus = (v, digits) => v.toFixed(digits).replace("-", "−");
function cell(kind, text) {
  const node = document.createElement("span");
  node.className = kind;
  node.textContent = text;
  return node;
}
function productBar(product, most) {
  const node = cell("bar", ""), fill = document.createElement("i");
  fill.className = product < 0 ? "down" : "up";
  fill.style.width = (50 * Math.abs(product)) / most + "%";
  node.append(fill);
  return node;
}
function tell() {
  if (!vectors || !props.value) return;
  tokens.setAttribute("aria-label", word("tokens"));
  [...tokens.children].forEach((node, i) => {
    const k = ORDER[i];
    node.textContent = word("token_" + k) + (k === props.value.token ? " · " + word("token_shown") : "");
    node.setAttribute("aria-pressed", String(k === token));
  });
  if (!shares) return;
  const found = products(spot.row, spot.column), most = Math.max(...found.map(([, , product]) => Math.abs(product)), 1e-9);
  const logit = found.reduce((total, [, , product]) => total + product, 0), inside = 1 / (1 + Math.exp(-logit));
  formula.textContent = word("pixel_formula", {
    name: word("token_" + token), x: spot.column, y: spot.row, logit: minus(logit, 2),
    first: found.slice(0, 3).map(([a, b]) => "(" + minus(a, 2) + " · " + minus(b, 2) + ")").join(" + "), n: found.length,
  });
  const heads = ["pixel_channel", "pixel_token", "pixel_map", "pixel_product", "pixel_bar"].map((name) => cell("head", word(name)));
  terms.replaceChildren(...heads, ...found.flatMap(([a, b, product], c) => [
    cell("", String(c + 1)), cell("", minus(a, 2)), cell("", minus(b, 2)), cell("", minus(product, 2)), productBar(product, most),
  ]));
  said.textContent = word(logit > 0 ? "pixel_in" : "pixel_out", { logit: minus(logit, 2), share: (100 * inside).toFixed(1) + " %" });
}
/** The pixel that the heat map's pointer or keys are on; it stays when they leave. */
function follow() {
  if (!at || (spot && at.row === spot.row && at.column === spot.column)) return;
  spot = { ...at };
  tell();
}
for (const name of ["pointermove", "pointerdown", "keydown", "focus"]) lay.addEventListener(name, follow);

function build() {
  tokens.replaceChildren(...ORDER.map((k) => {
    const node = document.createElement("button");
    node.type = "button";
    node.addEventListener("click", () => { token = k; if (shares) recolour(); });
    return node;
  }));
}
watch("value", takeVectors);
addEventListener("lucida-lang", tell);
takeVectors();
