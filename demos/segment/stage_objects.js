// The bar of objects: choose, add, remove, rename, hide. Names are a visitor's text: written with textContent alone.
const objectBar = $(".objects"), list = $(".objects .list"), nameBox = $(".objects .name"), nameText = $(".objects label span");
const nameOfObject = (object) => object.name || word("object_n", { n: numberOf(object) });
const addObject = button(objectBar, "object_add", () => addNew());
list.after(addObject);
const showObject = button($(".objects .deeds"), "object_show", () => change(withObject(active().id, { visible: active().visible === false })));
const removeObject = button($(".objects .deeds"), "object_remove", () => {
  const rest = objects().filter((each) => each !== active());
  change({ objects: rest.length ? rest : [blank(++newest)], active: Math.min(activeAt(), Math.max(rest.length - 1, 0)) });
});
nameBox.addEventListener("change", () => change(withObject(active().id, { name: nameBox.value.trim() })));

/** One button an object: its line as it is drawn, its number, its name. */
function objectButton(object, place) {
  const made = document.createElement("button"), line = sample(place + 1), text = document.createElement("span");
  made.type = "button";
  made.dataset.object = object.id;
  made.setAttribute("aria-pressed", String(place === activeAt()));
  made.classList.toggle("hidden-one", object.visible === false);
  text.textContent = place + 1 + (object.name ? " " + object.name : "");
  made.setAttribute("aria-label", word("object_said", { name: nameOfObject(object), n: (object.marks || []).length }));
  made.append(line, text);
  made.addEventListener("click", () => place !== activeAt() && change({ active: place }));
  return made;
}
function sample(number) {
  const SVG = "http://www.w3.org/2000/svg", drawing = document.createElementNS(SVG, "svg"), line = document.createElementNS(SVG, "path");
  drawing.setAttribute("viewBox", "0 0 28 10");
  drawing.setAttribute("aria-hidden", "true");
  line.setAttribute("d", "M1 5H27");
  line.setAttribute("stroke", inkOf(number));
  line.setAttribute("stroke-width", "4");
  line.setAttribute("stroke-dasharray", dashOf(number).map((part) => part * 0.8).join(" "));
  drawing.append(line);
  return drawing;
}

function writeObjects() {
  const at = [...list.children].indexOf(document.activeElement);
  list.replaceChildren(...objects().map(objectButton));
  if (at >= 0) list.children[Math.min(at, list.children.length - 1)].focus(); // the keys stay where they were
  objectBar.setAttribute("aria-label", word("stage_objects"));
  addObject.textContent = word("object_add");
  addObject.disabled = objects().length >= MOST_OBJECTS;
  removeObject.textContent = word("object_remove");
  removeObject.disabled = objects().length === 1 && !active().marks?.length && !active().name;
  showObject.textContent = word("object_show");
  showObject.setAttribute("aria-pressed", String(active().visible !== false));
  nameText.textContent = word("object_name");
  nameBox.placeholder = word("object_n", { n: activeAt() + 1 });
  if (document.activeElement !== nameBox) nameBox.value = active().name || "";
  able();
}
