"""The stage: a picture with a finger on it, points, boxes, and objects as layers.

    stage = Stage((path, {"objects": [...], "active": 0}), examples=EXAMPLES)    # or Stage(path), Stage()
    clocks = Clocks(answer("cat", layers={1: layer(masks, 2)}, encoder_ms=310, stored=True))      # of clocks.py
    stage.input(jobs.short(on_marks), [stage, page.lang], [clocks, ...], **jobs.SHORT, trigger_mode="always_last")
    wire_finger(stage, jobs.short(on_finger), [stage, page.lang], clocks)

**Up.** A handler that takes the stage gets an `Asked`, or None without a picture. The picture is not opened for that:
`asked.open()` does it, when its `name` is new. In the browser the value is

    {"picture": file | "example": id, "width", "height", "notes", "lang",
     "objects": [{"id": 1, "name": "", "marks": [...], "token": None, "visible": True, "threshold": 0.0}], "active": 0,
     "finger": {"x": 10, "y": 20}}

marks: the points and boxes of the shell's `marks.py` in the order in which they were set, in pixels of the full
picture; one box an object, a second replaces it. active: the place of the chosen object. No id is used twice for one
picture. Objects and active are as the browser sent them: `wanted.read` checks them.

- `.input` fires after every change of the picture or of its objects, undo and redo included: adding, choosing,
  removing, renaming, hiding an object, its marks, its token, its threshold. All of this is done on the stage itself.
- `.finger` fires for a place of the finger (pressed, or hovering once the encoder has run): answer with the mask of
  that one positive point, nothing else. Wire it with `wire_finger`: one request is under way, the newest place is sent
  when its answer came. Letting go sets that point in place of the chosen object's marks: `.input` fires, and undo
  brings the old marks back.

**Down.** Answers go to the clocks, which hand them to the stage; the stage itself is an output only where Python puts
another picture on it: a picture, or (picture, {"objects", "active"}). An answer names the picture that it belongs to,
as `asked.name`; the stage drops it if another one is on screen. A layer stays until one with its id replaces it.

**In the browser** panels speak with the stage by events of the window:

- `lucida-object`, to the stage: {token?, threshold?, name?, visible?, id?} changes the chosen object (or that of `id`),
  with an undo step and `.input`. With {live: true} a threshold is only drawn, for as long as a slider is dragged.
- `lucida-object-add`, to the stage: {marks, token?, name?}, or a list of such, become further objects; one that is
  empty makes room.
- `lucida-answer`, from the clocks: each answer as it arrived; `lucida-answer-ask` repeats the last one.
"""

import functools
import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from demos.segment.clocks import Clocks, answer
from demos.shell.components.canvas import CANVAS_SCRIPTS, CANVAS_WORDS, Canvas
from demos.shell.components.parts import script, template
from demos.shell.components.picture import WORDS, Chosen, PictureInput

TOOLS = ("finger", "point", "box")
_HERE = Path(__file__).parent
_SCRIPTS = ("enlarge.js", "layer.js", "stage_layers.js", "stage_objects.js", "stage_finger.js")
_WORDS = (
    *("finger", "finger_hint", "point_hint", "box_hint", "stage_objects", "object_n", "object_add", "object_remove"),
    *("object_name", "object_show", "object_said"),
)
FINGER = {"concurrency_limit": None, "show_progress": "hidden", "api_visibility": "private", "trigger_mode": "multiple"}


@dataclass(frozen=True)
class Asked(Chosen):
    """What is on the stage. objects, active: as the browser sent them.

    finger: (x, y), the pixel of the full picture under the finger, or None.
    """

    objects: Any
    active: Any
    finger: tuple[int, int] | None = None

    @property
    def value(self) -> dict:
        """The objects in the form that `wanted.read` takes."""
        return {"objects": self.objects, "active": self.active}


class Stage(Canvas):
    """See the head of this file. examples, picks: as the picture input's."""

    def __init__(self, value: Any = None, **kwargs: Any):
        super().__init__(value, tools=TOOLS, **kwargs)

    def _offers(self) -> Sequence[str]:
        return TOOLS

    def _files(self) -> dict[str, str]:
        own = "\n".join((_HERE / name).read_text("utf-8") for name in _SCRIPTS)
        return {
            "html_template": (_HERE / "stage.html").read_text("utf-8"),
            "css_template": template("picture.css") + template("canvas.css") + (_HERE / "stage.css").read_text("utf-8"),
            "js_on_load": "\n".join([script(*CANVAS_SCRIPTS), own, script("canvas_begin.js")]),
        }

    def _words(self) -> list[str]:
        return [*WORDS, *CANVAS_WORDS, *(f"segment.{name}" for name in _WORDS)]

    def preprocess(self, payload: Any) -> Asked | None:
        found = self._chosen(payload)
        if found is None:
            return None
        objects, active = payload.get("objects") or [], payload.get("active") or 0
        return Asked(found.name, found.path, objects, active, finger_of(payload))

    def postprocess(self, value: Any) -> dict | None:
        picture, state = value if isinstance(value, tuple) else (value, {})
        shown = PictureInput.postprocess(self, picture)
        return shown and {**shown, **state}


def finger_of(payload: Mapping) -> tuple[int, int] | None:
    """The finger's pixel in what the browser sent, None if there is none or it is no pixel."""
    place = payload.get("finger")
    found = [place.get(axis) for axis in "xy"] if isinstance(place, Mapping) else []
    fits = len(found) == 2 and all(isinstance(side, int) and not isinstance(side, bool) for side in found)
    return tuple(found) if fits else None


def wire_finger(stage: Stage, handler: Callable, inputs: Sequence, clocks: Clocks) -> gr.events.Dependency:
    """Answer places of the finger: the page sends the next when this answer, or its refusal, has come.

    handler: of `inputs`, the first of which is the stage; returns `answer(asked.name, finger=..., decoder_ms=...)`.
    It runs beside Gradio's queue, which would double the time of an answer. An error there would not reach the page:
    its sentence is told by the stage instead.
    """
    asked = stage.finger(_with_refusals(handler), inputs, clocks, queue=False, **FINGER)
    asked.then(None, js="() => { dispatchEvent(new CustomEvent('lucida-finger-done')); }", **FINGER)
    return asked


def _with_refusals(handler: Callable) -> Callable:
    @functools.wraps(handler)
    def run(asked: Asked | None, *rest):
        try:
            return handler(asked, *rest)
        except gr.Error as error:
            return answer(asked.name, refused=html.unescape(error.message)) if asked else gr.skip()

    return run
