// The finger: while it is pressed, or hovers once the encoder has run, its place is asked and the mask follows. One
// request is under way; the newest place waits for its answer. Letting go makes the place the chosen object's mark.
const finger = { place: null, pressed: false, flying: false, encoding: false, waiting: false, encoded: "", asked: 0 };
const PATIENCE_MS = 20_000; // a page that lost its answer asks again

function pointTo(place) {
  if (finger.place && finger.place.x === place[0] && finger.place.y === place[1]) return;
  finger.place = { x: place[0], y: place[1] };
  finger.waiting = true;
  askNewest();
}
/** Asks for the newest place, unless an answer or the encoder is waited for. */
function askNewest() {
  const patient = performance.now() - finger.asked < PATIENCE_MS;
  if (finger.waiting && finger.place && settled() && !((finger.flying || finger.encoding) && patient)) askFinger();
}
function askFinger() {
  Object.assign(finger, { flying: true, waiting: false, asked: performance.now() });
  props.value = { ...chosen(), ...own.kept(chosen()), finger: finger.place, lang: language() };
  trigger("finger");
}
addEventListener("lucida-finger-done", () => {
  if (!element.isConnected) return;
  finger.flying = false;
  askNewest();
});

/** The answer for a place of the finger: drawn, unless the finger has left meanwhile. */
function takeFinger({ finger: packed }) {
  if (finger.place) layers.set(FINGER_LAYER, opened(packed));
}
function dropFinger() {
  Object.assign(finger, { place: null, pressed: false, waiting: false });
  if (layers.delete(FINGER_LAYER)) fill();
}
/** The finger's place becomes the only mark of the chosen object; its mask stays on screen until the answer comes. */
function keepFinger([x, y]) {
  const shown = layers.get(FINGER_LAYER), { id } = active();
  if (shown) layers.set(id, shown);
  dropFinger();
  setMarks([{ kind: "point", x, y, label: 1 }]);
}

own.tools.finger = {
  down(event) {
    finger.pressed = true;
    pointTo(pixel(at(event)));
  },
  move(event) {
    if (finger.pressed || (event.pointerType !== "touch" && finger.encoded === nameOf(chosen()))) pointTo(pixel(at(event)));
  },
  up(event) {
    if (finger.pressed) keepFinger(pixel(at(event)));
  },
  leave: dropFinger,
  cancel: dropFinger,
  at: pointTo,
  enter: keepFinger,
};
// Hovering asks only where the encoder has run in this visit: a mouse that passes by loads no model.
addEventListener("lucida-answer", ({ detail }) => {
  if (!element.isConnected) return;
  finger.encoding = Boolean(detail.running);
  if (finger.encoding) finger.asked = performance.now();
  if (detail.encoder_ms != null || detail.decoder_ms != null) finger.encoded = detail.stored ? "" : detail.picture;
  askNewest();
});
