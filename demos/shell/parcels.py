""" "Send to...": a result of one tab becomes the input of another.

A tab's registry line names what it takes. The sending tab lays out `send_menu`; the receiving one listens to its inbox:

    parcels.send_menu(page, "picture", make=lambda picture: picture, inputs=[picture])
    page.inbox.change(jobs.short(receive), [page.inbox, page.lang], [picture], **jobs.SHORT)

    def receive(parcel: Parcel, lang): ...

Pictures and masks travel as files of the sender's session; prompts and skeletons as text and JSON.
"""

import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import gradio as gr
import numpy as np
from gradio.data_classes import FileData, GradioModel
from PIL import Image

from demos.shell import jobs, sessions
from demos.shell.tabs import PARCELS
from demos.shell.words import t
from pipelines.runtime.errors import UserError

FILES, MAX_TEXT = ("picture", "mask"), 200_000


@dataclass(frozen=True)
class Parcel:
    """kind: picture, mask (each with `path`), prompt (`text`) or skeleton (`data`). sender: the tab it comes from.

    ground: the picture that a mask lies on, where it was sent along.
    """

    kind: str
    sender: str
    path: Path | None = None
    ground: Path | None = None
    text: str | None = None
    data: dict | list | None = None


class ParcelData(GradioModel):
    """The form in which a parcel goes through the browser."""

    to: str = ""
    sender: str = ""
    kind: str = ""
    text: str | None = None
    file: FileData | None = None
    ground: FileData | None = None
    serial: int = 0


# A component without a face: on the page it hands over what arrives for its tab, also what came before it was there.
_INBOX_JS = """
const accept = (parcel) => { props.value = parcel; trigger('change'); };
if (props.tab) lucida.inbox(props.tab, accept);
"""


class Box(gr.HTML):
    """Holds a parcel: the sender's outbox, or a tab's inbox. A handler gets a `Parcel`, checked, or None."""

    data_model = ParcelData

    def __init__(self, tab: str = "", **kwargs):
        super().__init__(None, html_template="<i hidden></i>", js_on_load=_INBOX_JS, apply_default_css=False, tab=tab,
                         elem_classes="lucida-box", **kwargs)  # fmt: skip

    def preprocess(self, payload: ParcelData | None) -> Parcel | None:
        return None if payload is None or not payload.kind else opened(payload)

    def postprocess(self, value: ParcelData | None) -> ParcelData | None:
        return value

    def api_info(self) -> dict:
        return {"type": "object"}


def opened(payload: ParcelData) -> Parcel:
    """The parcel, everything in it checked: it comes from outside. Raises UserError."""
    if payload.kind not in PARCELS or not payload.sender.isidentifier():
        raise UserError("errors.parcel")
    if payload.kind in FILES:
        files = [file for file in (payload.file, payload.ground) if file is not None]
        if payload.file is None or not all(sessions.is_own_file(file.path) for file in files):
            raise UserError("errors.parcel")
        ground = Path(payload.ground.path) if payload.ground else None
        return Parcel(payload.kind, payload.sender, path=Path(payload.file.path), ground=ground)
    if payload.text is None or len(payload.text) > MAX_TEXT:
        raise UserError("errors.parcel")
    if payload.kind == "prompt":
        return Parcel(payload.kind, payload.sender, text=payload.text)
    try:
        return Parcel(payload.kind, payload.sender, data=json.loads(payload.text))
    except (json.JSONDecodeError, RecursionError) as error:
        raise UserError("errors.parcel") from error


def packed(kind: str, content, *, sender: str, to: str, folder: Path, ground=None) -> ParcelData:
    """The content ready to travel: an RGB or mask array, a text, or what JSON can say.

    ground: the picture that a mask lies on, an RGB array, if it shall go along.
    """
    text = file = under = None
    if kind in FILES:
        file = _stored(content, folder, f"{kind}.png")
        under = None if ground is None else _stored(ground, folder, "picture.png")
    else:
        text = content if kind == "prompt" else json.dumps(content)
    serial = secrets.randbits(50)
    return ParcelData(to=to, sender=sender, kind=kind, text=text, file=file, ground=under, serial=serial)


def _stored(array, folder: Path, name: str) -> FileData:
    path = folder / f"{secrets.token_urlsafe(24)}.png"
    Image.fromarray(np.asarray(array)).save(path, compress_level=1)
    return FileData(path=str(path), orig_name=name, mime_type="image/png")


def received_picture(parcel: Parcel | None, lang):
    """The value of a picture input for a parcel that came; what is no picture leaves it as it is."""
    return str(parcel.path) if parcel is not None and parcel.kind == "picture" else gr.skip()


def send_menu(page, kind: str, *, make: Callable, inputs: Sequence) -> None:
    """Lay out a button for each other tab that takes this kind; `make(*values)` gives the content, or raises UserError.

    Where no tab takes it, nothing is laid out.
    """
    targets = [spec for spec in page.tabs if kind in spec.takes and spec.id != page.tab]
    if not targets:
        return
    with gr.Row(elem_classes="lucida-send"):
        gr.Markdown(t(f"shell.send_{kind}"))
        for spec in targets:
            send = gr.Button(t(spec.title), size="sm", min_width=60, elem_classes=f"lucida-send-{spec.id}")
            handler = jobs.short(_sender(page.tab, spec.id, kind, make))
            send.click(handler, [page.lang, *inputs], page.outbox, **jobs.SHORT)


def _sender(sender: str, to: str, kind: str, make: Callable) -> Callable:
    def send(lang: str, request: gr.Request, *values):
        folder = sessions.of(request).folder
        return packed(kind, make(*values), sender=sender, to=to, folder=folder)

    return send
