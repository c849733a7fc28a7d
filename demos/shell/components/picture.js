// A picture, as large as its column, and the ways to get one in.
const img = $(".stage img");
function screen(src) {
  img.hidden = !src;
  if (src) img.src = src;
  else img.removeAttribute("src");
}
const describe = (sentence) => { img.alt = sentence; };
begin();
