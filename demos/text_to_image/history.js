// The session's runs as thumbnails. Prompts are written as attributes, never as HTML.
const title = $(".title"), list = $(".runs");

function draw() {
  const value = props.value || { runs: [], on: "" };
  title.hidden = !value.runs.length;
  title.textContent = word("history");
  list.setAttribute("aria-label", word("history"));
  list.replaceChildren(...value.runs.map((run) => {
    const made = document.createElement("button"), image = document.createElement("img");
    made.type = "button";
    made.title = run.prompt;
    made.setAttribute("aria-label", word("history_run", { prompt: run.prompt }));
    made.setAttribute("aria-pressed", String(run.name === value.on));
    image.src = run.thumbnail;
    image.alt = "";
    made.append(image);
    made.addEventListener("click", () => {
      props.value = { ...props.value, chosen: run.name };
      trigger("input");
    });
    return made;
  }));
}
watch("value", draw);
addEventListener("lucida-lang", draw);
draw();
