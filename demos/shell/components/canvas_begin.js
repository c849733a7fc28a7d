// After all scripts of a canvas: names its buttons and shows what it holds.
img.addEventListener("load", layout);
addEventListener("lucida-lang", label);
new ResizeObserver(layout).observe(view);
label();
begin();
