"""What a visitor keeps of an answer: files at the size of the picture that was chosen, and parcels for other tabs."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

import gradio as gr
import numpy as np

from demos.segment import parts, views
from demos.segment.parts import Layer, Shared
from demos.shell import jobs, parcels, results, sessions
from demos.shell.arrays import address
from demos.shell.words import say, t
from pipelines.runtime.errors import UserError

KINDS = ("cut_out", "mask", "rle", "polygons", "coco")
PARCELS = (("name_cut_out", "zero_shot", "picture"), ("send_mask", "text_to_image", "mask"))  # button, tab, kind
PREVIEW_PX = 480


@dataclass(frozen=True, eq=False)
class Full:
    """The picture as it was chosen, (H, W, 3) uint8, and the objects on it."""

    pixels: np.ndarray
    layers: tuple[Layer, ...]
    active: int

    @property
    def layer(self) -> Layer:
        """The chosen object."""
        return self.layers[self.active]


def full(answered: str, shared: Shared, request: gr.Request) -> Full:
    """Open the picture again at its full size. Raises UserError where nothing is marked or kept."""
    from pipelines.runtime.pictures import open_picture

    shown = parts.layer(answered, shared, request)
    layers = parts.layers(answered, shared, request)
    pixels = open_picture(parts.picture(answered, shared, request).path).pixels
    return Full(pixels, layers, layers.index(shown))


def mask_of(layer: Layer, *, at_full_size: bool = True) -> np.ndarray:
    """(H, W) bool: an object's mask as the stage draws it."""
    return layer.masks.mask(layer.token, threshold=layer.threshold, full=at_full_size)


def preview(pixels: np.ndarray, layer: Layer) -> bytes:
    """A small PNG of the cut-out. pixels: (h, w, 3) uint8 at the size of the answer. Raises UserError."""
    from PIL import Image

    from pipelines.segment import export

    found = Image.fromarray(export.cut_out(pixels, mask_of(layer, at_full_size=False), crop=True))
    found.thumbnail((PREVIEW_PX, PREVIEW_PX), Image.Resampling.LANCZOS)
    return export.png(np.asarray(found))


def write(kind: str, kept: Full, folder: Path, *, lang: str) -> Path:
    """Write one of KINDS into a folder of its own; returns its path. Raises UserError for an empty mask."""
    from pipelines.segment import export

    made = folder / secrets.token_urlsafe(16)
    made.mkdir()
    if kind == "coco":
        return _json(made / "objects.coco.json", coco(kept, lang))
    mask = mask_of(kept.layer)
    match kind:
        case "cut_out":
            return _bytes(made / "cut_out.png", export.png(export.cut_out(kept.pixels, mask)))
        case "mask":
            return _bytes(made / "mask.png", export.png(mask))
        case "rle":
            return _json(made / "mask.rle.json", export.rle(mask))
        case "polygons":
            return _json(made / "mask.polygons.json", export.polygons(mask))
    raise ValueError(f"kind {kind!r}: choose one of {KINDS}")


def coco(kept: Full, lang: str) -> dict:
    """All objects that have a mask, in one COCO file; one mask at a time is in memory."""
    from pipelines.segment import export

    height, width = kept.pixels.shape[:2]
    objects = (
        export.Kept(
            name=each.name or say("segment.object_n", lang, n=each.number),
            mask=mask_of(each),
            iou=float(each.masks.iou[each.token]),
            stability=float(each.masks.stability[each.token]),
        )
        for each in kept.layers
        if each.masks is not None
    )
    return export.coco(objects, width, height, "picture")


def _bytes(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _json(path: Path, data) -> Path:
    path.write_text(json.dumps(data, ensure_ascii=False) + "\n", "utf-8")
    return path


# --- the buttons ---


def lay_out(page, shared: Shared) -> None:
    """A button a file; the file is made when it is asked for, since at full size it takes its time."""
    for kind in KINDS:
        button = gr.Button(t(f"segment.save_{kind}"), size="sm", min_width=60, elem_id=f"sg-save-{kind}")
        results.wire_saving(button, _saver(kind, shared), [shared.answered, page.lang])


def _saver(kind: str, shared: Shared):
    def save(answered, lang, request: gr.Request) -> str:
        kept = full(answered, shared, request)
        return address(write(kind, kept, sessions.of(request).folder, lang=lang))

    return save


def lay_out_parcels(page, shared: Shared) -> None:
    """Name this cut-out (to Zero-shot), and the mask with its picture to Text to image; where these tabs are there."""
    targets = {spec.id for spec in page.tabs if spec.id != page.tab}
    offered = [parcel for parcel in PARCELS if parcel[1] in targets]
    with results.actions():
        for name, to, kind in offered:
            button = gr.Button(t(f"segment.{name}"), size="sm", min_width=60, elem_id=f"sg-{name.replace('_', '-')}")
            sender = jobs.short(_sender(page.tab, to, kind, shared))
            button.click(sender, [shared.answered, page.lang], page.outbox, **jobs.SHORT)
    if "zero_shot" in targets:
        gr.HTML(views.framed(views.sentence("name_about", kind="sg-note")), apply_default_css=False)


def _sender(tab: str, to: str, kind: str, shared: Shared):
    make = {"picture": _on_ground, "mask": _mask}[kind]

    def send(answered, lang, request: gr.Request):
        content, ground = make(full(answered, shared, request))
        return parcels.packed(kind, content, sender=tab, to=to, folder=sessions.of(request).folder, ground=ground)

    return send


def _on_ground(kept: Full) -> tuple[np.ndarray, None]:
    """The cut-out with some margin on white paper: for a model that names pictures."""
    from pipelines.segment import export

    return export.on_ground(kept.pixels, mask_of(kept.layer)), None


def _mask(kept: Full) -> tuple[np.ndarray, np.ndarray]:
    """The mask, and the picture that it lies on."""
    mask = mask_of(kept.layer)
    if not mask.any():
        raise UserError("errors.mask_empty")
    return mask, kept.pixels
