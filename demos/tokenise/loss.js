// Three pictures of one size at one zoom: what is moved in one moves in all. Asks for its value when it comes into view.
const none = $(".none"), all = $(".all"), zoom = $("input"), whole = $(".whole");
const figures = [...element.querySelectorAll("figure")], plates = figures.map((figure) => figure.querySelector(".plate"));
let middle = [0.5, 0.5]; // what stands in the middle of each plate, as shares of the picture's sides
let stale = !props.value, inView = false, held = null;

// --- when it is seen ---
function ask() {
  if (!stale || !inView) return;
  stale = false;
  trigger("seen");
}
new IntersectionObserver(([entry]) => {
  inView = entry.isIntersecting;
  ask();
}).observe(element);
addEventListener("lucida-loss-newer", () => {
  stale = true;
  ask();
});

// --- what is shown ---
function take() {
  const value = props.value;
  none.hidden = Boolean(value);
  all.hidden = !value;
  if (value) {
    figures.forEach(({ dataset }, i) => {
      plates[i].firstElementChild.src = value[dataset.name].url;
      plates[i].style.aspectRatio = value.width + " / " + value.height;
    });
    place();
  }
  write();
}
function place() {
  const scale = Number(zoom.value), half = 0.5 / scale;
  middle = middle.map((share) => clamp(share, half, 1 - half));
  for (const plate of plates) {
    const [x, y] = middle.map((share) => 100 * (0.5 - share * scale));
    plate.firstElementChild.style.transform = "translate(" + x + "%, " + y + "%) scale(" + scale + ")";
    plate.classList.toggle("near", scale > 1);
  }
}
function write() {
  none.textContent = word("loss_none");
  if (!props.value) return;
  $("label span").textContent = word("loss_zoom");
  whole.textContent = word("loss_whole");
  $(".hint").textContent = word("loss_hint");
  figures.forEach((figure, i) => {
    const { name } = figure.dataset, caption = figure.lastElementChild, psnr = props.value.psnr[name], told = word("loss_" + name);
    const figureOf = document.createElement("b");
    figureOf.textContent = psnr || "";
    caption.replaceChildren(told + " ", figureOf);
    plates[i].setAttribute("aria-label", told);
  });
}

// --- hands ---
function shareOf(plate, event) {
  const frame = plate.getBoundingClientRect(), scale = Number(zoom.value);
  return [(event.clientX - frame.left) / frame.width, (event.clientY - frame.top) / frame.height].map(
    (share, axis) => middle[axis] + (share - 0.5) / scale,
  );
}
function nearer(to, at = middle) {
  zoom.value = to;
  middle = [...at];
  place();
}
for (const plate of plates) {
  plate.addEventListener("pointerdown", (event) => {
    held = { plate, at: shareOf(plate, event), moved: false };
    if (Number(zoom.value) > 1) plate.setPointerCapture(event.pointerId);
  });
  plate.addEventListener("pointermove", (event) => {
    if (!held || Number(zoom.value) === 1) return;
    const at = shareOf(plate, event);
    held.moved ||= Math.hypot(at[0] - held.at[0], at[1] - held.at[1]) * Number(zoom.value) > 0.01;
    middle = middle.map((share, axis) => share + held.at[axis] - at[axis]);
    place();
  });
  plate.addEventListener("pointerup", () => {
    if (held && !held.moved && Number(zoom.value) === 1) nearer(4, held.at);
    held = null;
  });
  plate.addEventListener("pointercancel", () => { held = null; });
  plate.addEventListener("keydown", (event) => {
    const step = 0.1 / Number(zoom.value);
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    if (moves[event.key]) middle = middle.map((share, axis) => share + moves[event.key][axis]);
    else if (event.key === "+" || event.key === "-") zoom.value = Number(zoom.value) + (event.key === "+" ? 1 : -1);
    else return;
    place();
    event.preventDefault();
  });
}
zoom.addEventListener("input", place);
whole.addEventListener("click", () => nearer(1));

watch("value", take);
addEventListener("lucida-lang", write);
take();
