"""A page with one component on it, chosen by ?show=..., and what Python got from it: for tests and for looking."""

import json
from contextlib import contextmanager
from pathlib import Path

import gradio as gr
import numpy as np

from demos.shell import look
from demos.shell.components.canvas import Canvas
from demos.shell.components.film import Film, frame
from demos.shell.components.heat import HeatMap, ready
from demos.shell.components.picture import PictureInput
from pipelines.runtime.pictures import open_picture

EXAMPLES = Path(__file__).parents[2] / "assets" / "examples"
TITLES = {"cat": {"en": "A cat, CC0", "zh": "一只猫，CC0"}, "coffee": {"en": "A cup, CC0", "zh": "一杯咖啡，CC0"}}
OFFERED = [(EXAMPLES / f"{name}.jpg", title) for name, title in TITLES.items()]
# What page.js of the shell does when the language is switched, without the shell.
PAGE_JS = """() => {
  window.speak = (locale) => {
    document.documentElement.lang = locale;
    dispatchEvent(new CustomEvent("lucida-lang", { detail: locale.slice(0, 2) }));
  };
  speak(new URLSearchParams(location.search).get("lang") || "en");
}"""
QUIET = {"show_progress": "hidden", "api_visibility": "private"}
LAST = {**QUIET, "trigger_mode": "always_last"}


def show_picture():
    picture = PictureInput(examples=OFFERED, elem_id="it")
    got = gr.Textbox(elem_id="got", interactive=True)
    go = gr.Button("go", elem_id="go")
    gr.on([picture.input, go.click], lambda p: json.dumps(describe(p)), picture, got, **LAST)


def describe(picture) -> dict | None:
    if picture is None:
        return None
    grid = grid_of(picture.pixels).round(1).tolist()
    return {"size": list(picture.size), "grid": grid, "notes": [note.key for note in picture.notes]}


def grid_of(pixels: np.ndarray) -> np.ndarray:
    """(4, 4, 3): the mean colour of each sixteenth of a picture."""
    rows, columns = (np.arange(side) * 4 // side for side in pixels.shape[:2])
    return np.stack(
        [[pixels[rows == row][:, columns == column].mean((0, 1)) for column in range(4)] for row in range(4)]
    )


def show_first_example():
    picture = PictureInput(OFFERED[1][0], examples=OFFERED, elem_id="it")
    got = gr.Textbox(elem_id="got", interactive=True)
    go = gr.Button("go", elem_id="go")
    go.click(lambda p: json.dumps(describe(p)), picture, got, **LAST)


def show_canvas(tools=("point", "box", "brush")):
    canvas = Canvas((OFFERED[1][0], []), tools=tools, examples=OFFERED, elem_id="it")
    got = gr.Textbox(elem_id="got", interactive=True)
    canvas.input(lambda value: json.dumps(value and marked(*value)), canvas, got, **LAST)


def marked(picture, marks) -> dict:
    """What Python has of a canvas: the marks, and the colour of the picture under each point."""
    points = [mark for mark in marks if mark["kind"] == "point"]
    under = [picture.pixels[point["y"], point["x"]].tolist() for point in points]
    return {"size": list(picture.size), "marks": marks, "under": under}


def show_crop():
    show_canvas(tools=("crop",))


def show_film():
    """Two strips of grey frames, step i as light as i; the second strip is the first one inverted."""
    film = Film(strips=("components.point", "components.box"), elem_id="it")
    go = gr.Button("go", elem_id="go")

    def run():
        for i in range(12):
            grey = np.full((64, 96, 3), 20 * i, np.uint8)
            yield frame(i, 12, grey, 255 - grey)

    go.click(run, None, film, **QUIET)


def show_heat():
    """A signed map of 6 x 6 cells on the middle square of a wide picture; "grow" streams it in row by row."""
    picture = open_picture(OFFERED[1][0])
    values = heat_values()
    width, height = picture.size
    box = ((width - height) / 2, 0, (width + height) / 2, height)
    heat = HeatMap({"picture": picture, "map": values, "box": box, "signed": True}, elem_id="it")
    plain = HeatMap({"picture": picture, "map": np.abs(values), "range": (0, 12)}, elem_id="plain")
    empty = HeatMap(elem_id="empty")
    grow = gr.Button("grow", elem_id="grow")

    def grown():
        shown = ready(picture)
        for rows in range(1, 5):
            part = np.where(np.arange(6)[:, None] < rows, values, np.nan)
            yield {"picture": shown, "map": part, "box": box, "range": (-10, 10), "signed": True}

    grow.click(grown, None, empty, **QUIET)
    return heat, plain


def heat_values() -> np.ndarray:
    """(6, 6): cell (row r, column c) holds r - c, but 8.25 at row 1, column 4."""
    values = np.subtract.outer(np.arange(6.0), np.arange(6.0))
    values[1, 4] = 8.25
    return values


SHOWN = {
    "film": show_film,
    "picture": show_picture,
    "example": show_first_example,
    "canvas": show_canvas,
    "crop": show_crop,
    "heat": show_heat,
}


def build() -> gr.Blocks:
    with gr.Blocks(title="components") as demo:

        @gr.render()
        def content(request: gr.Request):
            SHOWN[request.query_params.get("show", "picture")]()

    return demo.queue(default_concurrency_limit=8)


@contextmanager
def served(port: int):
    """The page's address while the block runs."""
    demo = build()
    _, address, _ = demo.launch(
        prevent_thread_lock=True,
        quiet=True,
        server_name="127.0.0.1",
        server_port=port,
        css=look.CSS,
        theme=look.theme(),
        js=PAGE_JS,
        max_file_size="20mb",
        ssr_mode=False,
    )
    try:
        yield address
    finally:
        demo.close()


def coded(width: int, height: int) -> np.ndarray:
    """A picture in which each pixel's colour is its own place."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x % 256, y % 256, x // 256 * 16 + y // 256], axis=-1).astype(np.uint8)


def decoded(rgb) -> tuple[int, int]:
    """(x, y) that `coded` wrote into a colour."""
    return int(rgb[0]) + int(rgb[2]) // 16 * 256, int(rgb[1]) + int(rgb[2]) % 16 * 256


if __name__ == "__main__":
    with served(7650) as address:
        print(address)
        input("Enter ends it")
