// Four masks of one answer as cards, drawn here from their logits. Choosing one tells the stage, whose object it is.
const none = $(".none"), all = $(".all"), cards = $(".cards"), again = $(".again"), LONGEST = 320;
const MASK = [230, 159, 0], EDGE = [0, 0, 0]; // orange of Okabe and Ito, and a black line around it
let logits = null, picture = null, asked = 0;

async function take() {
  const value = props.value, ticket = ++asked;
  none.hidden = Boolean(value);
  all.hidden = !value;
  if (!value) { logits = null; return speak(); }
  const image = new Image();
  image.src = value.picture.url;
  const [array] = await Promise.all([value.logits.data ? unpack(value.logits) : lucida.unpack(value.logits).then((made) => made.array), image.decode()]);
  if (ticket !== asked) return;
  [logits, picture] = [array, image];
  build();
  speak();
}

function build() {
  const held = [...cards.children].indexOf(document.activeElement);
  cards.replaceChildren(...props.value.rungs.map((rung) => {
    const node = document.createElement("button"), canvas = document.createElement("canvas");
    node.type = "button";
    node.className = "card" + (rung.token ? "" : " single");
    node.dataset.token = rung.token;
    canvas.setAttribute("aria-hidden", "true");
    node.append(canvas);
    node.addEventListener("click", () => choose(rung.token));
    paint(canvas, rung.token);
    return node;
  }));
  if (held >= 0) cards.children[held]?.focus();
}

/** The picture without its colours, and the mask on it in one colour inside a black line. */
function paint(canvas, token) {
  const { place } = props.value, [high, wide] = place.size, n = place.rows * place.columns;
  const scale = Math.min(1, LONGEST / Math.max(high, wide)), size = [high, wide].map((side) => Math.max(1, Math.round(side * scale)));
  const field = enlarge(logits.subarray(token * n, (token + 1) * n), { ...place, size });
  [canvas.height, canvas.width] = size;
  const context = canvas.getContext("2d"), [height, width] = size;
  context.drawImage(picture, 0, 0, width, height);
  const shown = context.getImageData(0, 0, width, height), pixels = shown.data;
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const grey = 0.3 * pixels[4 * i] + 0.59 * pixels[4 * i + 1] + 0.11 * pixels[4 * i + 2], inside = field[i] > 0;
      const border = inside && (x === 0 || y === 0 || x === width - 1 || y === height - 1 || !(field[i - 1] > 0) || !(field[i + 1] > 0) || !(field[i - width] > 0) || !(field[i + width] > 0));
      for (let c = 0; c < 3; c++) pixels[4 * i + c] = border ? EDGE[c] : inside ? 0.45 * grey + 0.55 * MASK[c] : 0.6 * grey + 90;
    }
  }
  context.putImageData(shown, 0, 0);
}

function choose(token) {
  dispatchEvent(new CustomEvent("lucida-object", { detail: { token, id: props.value.object } }));
}

// --- what is said ---
const percent = (share) => (100 * share).toFixed(share < 0.1 ? 1 : 0) + " %";
function span(kind, text) {
  const node = document.createElement("span");
  node.className = kind;
  node.textContent = text;
  return node;
}
function row(name, text) {
  const node = span("row", "");
  node.append(span("", name), span("", text));
  return node;
}
function bar(share, kind) {
  const node = span("bar " + kind, ""), fill = document.createElement("i");
  fill.style.width = 100 * clamp(share, 0, 1) + "%";
  node.append(fill);
  return node;
}
/** The lines of a card, under its mask. */
function lines(rung) {
  const { token, best } = props.value, made = [row(word("token_" + rung.token), rung.token === token ? word("ladder_shown") : "")];
  made[0].className = "row name";
  made.push(row(word("ladder_iou"), rung.iou.toFixed(3)), bar(rung.iou, ""));
  if (rung.truth) {
    made.push(row(word("ladder_true"), rung.truth.iou.toFixed(3)), bar(rung.truth.iou, "true"));
    made.push(span("note", word("ladder_against", { name: rung.truth.name[language()] })));
  }
  made.push(row(word("ladder_stability"), rung.stability === null ? "–" : rung.stability.toFixed(3)));
  made.push(row(word("ladder_area"), percent(rung.area)));
  if (rung.token === best && rung.token !== token) made.push(span("note", word("ladder_highest")));
  if (rung.inside) made.push(span("note", word("ladder_inside", { share: percent(rung.inside[1]), name: word("token_" + rung.inside[0]) })));
  return made;
}
function speak() {
  none.textContent = word("ladder_none");
  cards.setAttribute("aria-label", word("ladder_cards"));
  again.textContent = word("ladder_again");
  if (!logits || !props.value) return;
  const { rungs, why, token, chosen } = props.value;
  $(".why").textContent = word(why, { name: word("token_" + token) });
  again.hidden = !chosen;
  [...cards.children].forEach((node, i) => {
    node.replaceChildren(node.firstChild, ...lines(rungs[i]));
    node.setAttribute("aria-pressed", String(rungs[i].token === token));
  });
}

again.addEventListener("click", () => choose(null));
watch("value", take);
addEventListener("lucida-lang", speak);
take();
