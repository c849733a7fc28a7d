// After all its scripts: the board begins.
view.addEventListener("scroll", draw);
new ResizeObserver(layout).observe(view);
new MutationObserver(draw).observe(document.body, { attributes: true, attributeFilter: ["class"] }); // light and dark
addEventListener("lucida-lang", () => {
  if (grid) store(); // what Python refuses, it says in this language
  write();
});
watch("value", take);
write();
take();
