// The marks of the answer on a map, so that one sees what was asked: a plus, a minus, a box. It runs behind heat.js.
const marksLayer = document.createElement("div");
marksLayer.className = "marks";
marksLayer.setAttribute("aria-hidden", "true");
plate.append(marksLayer);

/** marks: [{x, y, label}] and one marked_box [x0, y0, x1, y1] or null, in pixels of the picture as it lies under the map. */
function setMarks({ marks, marked_box: box }, width, height) {
  const percent = (part, whole) => (100 * part) / whole + "%";
  const nodes = marks.map(({ x, y, label }) => {
    const node = document.createElement("span");
    node.textContent = label ? "+" : "−";
    node.className = label ? "plus" : "minus";
    Object.assign(node.style, { left: percent(x, width), top: percent(y, height) });
    return node;
  });
  if (box) {
    const [x0, y0, x1, y1] = box, node = document.createElement("i");
    Object.assign(node.style, { left: percent(x0, width), top: percent(y0, height), width: percent(x1 - x0, width), height: percent(y1 - y0, height) });
    nodes.push(node);
  }
  marksLayer.replaceChildren(...nodes);
}
