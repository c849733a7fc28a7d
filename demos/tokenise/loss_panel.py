"""Where the loss comes from: the picture, decoded without codes and with them, and the error of each.

The panel opens with the stored result. Another one is worked out when the panel is in view and the picture, its size
or the model is another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np
from gradio.utils import get_upload_folder
from PIL import Image

from demos.shell import jobs
from demos.shell.components import door
from demos.shell.components.heat import HeatMap, ready
from demos.shell.components.shown import Shown, files
from demos.shell.links import PRIVATE
from demos.tokenise import level_views, loss_views, parts

if TYPE_CHECKING:
    from pipelines.tokenise.loss import Loss
    from pipelines.tokenise.models import TokeniseModel
    from pipelines.tokenise.tokens import Tokens

_WORDS = ("none", "original", "unquantised", "quantised", "zoom", "whole", "hint")
UNQUANTISED = "unquantised.png"
_NEWER = '() => dispatchEvent(new CustomEvent("lucida-loss-newer"))'


class Passages(Shown):
    """Three pictures at one zoom; its value is made by `passages`. `.seen` fires when it needs one and is in view."""

    def __init__(self, value: Mapping | None = None, **kwargs: Any):
        words = [f"tokenise.loss_{name}" for name in _WORDS]
        super().__init__(value, **files(Path(__file__).parent, "loss"), words=words, **kwargs)


@dataclass(frozen=True)
class Panel:
    passages: Passages
    said: gr.HTML
    unquantised: HeatMap
    quantised: HeatMap

    @property
    def outputs(self) -> list:
        """What a new answer writes, in the order of `shown`."""
        return [self.passages, self.said, self.unquantised, self.quantised]


def lay_out(page, shared: parts.Shared) -> Panel:
    """The panel, with the stored result where there is one."""
    first = stored(shared.stored) or (None, "", None, None)
    _html(level_views.STYLE)
    _html(level_views.about("loss_about"))
    passages = Passages(first[0], elem_id="tk-loss")
    said = _html(first[1], elem_id="tk-loss-said")
    _html(level_views.about("loss_error_about"))
    with gr.Row():
        maps = [_map(name, value) for name, value in zip(loss_views.SHOWN[1:], first[2:], strict=True)]
    panel = Panel(passages, said, *maps)

    def seen(answered, lang, request: gr.Request):
        return on_seen(answered, shared, request)

    inputs, short = [shared.answered, page.lang], {**jobs.SHORT, "trigger_mode": "always_last"}
    passages.seen(jobs.short(seen), inputs, panel.outputs, **short)
    shared.answered.change(None, None, None, js=_NEWER, **PRIVATE)
    return panel


def on_seen(answered: str, shared: parts.Shared, request: gr.Request) -> tuple:
    """The values of `Panel.outputs` for what is on the board; empty ones where no picture stands behind it."""
    if not answered or not parts.question(answered).picture:
        return None, "", None, None
    from pipelines.tokenise.loss import loss

    return shown(jobs.on_device(loss, parts.model(answered), parts.tokens(answered, shared, request)))


def _map(name: str, value: Mapping | None) -> HeatMap:
    with gr.Column(min_width=280):
        _html(level_views.heading(f"loss_error_{name}"))
        return HeatMap(value, elem_id=f"tk-loss-{name}")


def _html(value: str = "", **kwargs: Any) -> gr.HTML:
    return gr.HTML(value, apply_default_css=False, **kwargs)


def shown(loss: Loss) -> tuple:
    """The values of `Panel.outputs`."""
    under = ready(loss.original)
    maps = ({**one, "picture": under} for one in loss_views.maps(loss))
    return passages(loss), loss_views.said(loss), *maps


def passages(loss: Loss) -> dict:
    """The three pictures without any loss of their own, and what stands under them."""
    cache = get_upload_folder()
    height, width = loss.original.shape[:2]
    pictures = {name: door.cached_file(getattr(loss, name), cache) for name in loss_views.SHOWN}
    return {"width": width, "height": height, **pictures, "psnr": loss_views.captions(loss)}


# --- the stored result ---


def store(folder: Path, tokens: Tokens, model: TokeniseModel) -> None:
    """Write what `stored` reads: the picture that its latents decode to."""
    from pipelines.tokenise import code

    Image.fromarray(code.decode_latents(model, tokens.latents, size=tokens.size)).save(folder / UNQUANTISED)


def stored(found) -> tuple | None:
    """The values of `Panel.outputs` for `store.Stored`; None where it has none."""
    path = found and found.folder / UNQUANTISED
    if not path or not path.is_file():
        return None
    from pipelines.tokenise.loss import split

    with Image.open(path) as file:
        unquantised = np.asarray(file.convert("RGB"))
    return shown(split(found.tokens.pixels, unquantised=unquantised, quantised=found.pixels))
