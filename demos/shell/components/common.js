// What every component needs: its words in the page's language, and arrays out of what Python packed.
// Words are written with textContent or setAttribute, never as HTML.
const $ = (selector) => element.querySelector(selector);
const language = () => (document.documentElement.lang.startsWith("zh") ? "zh" : "en");

/** The sentence `key` in the page's language, its {name} places filled. */
function word(key, values = {}) {
  return filled(props.words[language()][key], values);
}

function filled(sentence, values) {
  return sentence.replace(/\{(\w+)\}/g, (whole, name) => (Object.hasOwn(values, name) ? String(values[name]) : whole));
}

/** Calls `write` now and whenever the visitor switches the language. */
function inEachLanguage(write) {
  addEventListener("lucida-lang", write);
  write();
}

/** A toolbar button whose text and name the caller writes. */
function button(bar, name, act) {
  const made = document.createElement("button");
  made.type = "button";
  made.dataset.name = name;
  made.addEventListener("click", act);
  bar.append(made);
  return made;
}

/** What arrays.py packed, {dtype, shape, data: base64 of little-endian numbers}, as a typed array. */
function unpack(packed) {
  const text = atob(packed.data), { buffer } = new Uint8Array(text.length), bytes = new Uint8Array(buffer);
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i); // five times as fast as Uint8Array.from
  if (packed.dtype === "float16") {
    const bits = new Uint16Array(buffer), values = new Float32Array(bits.length);
    for (let i = 0; i < bits.length; i++) values[i] = half(bits[i]);
    return values;
  }
  return new { float32: Float32Array, uint8: Uint8Array, uint16: Uint16Array }[packed.dtype](buffer);
}

/** A number out of the 16 bits of a half: sign, 5 bits of exponent, 10 of fraction. */
function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
}

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
