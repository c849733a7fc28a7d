"""What a visitor keeps of the grid as it is on the board: the codes as a file, the picture that they paint."""

from __future__ import annotations

import io
import secrets
from pathlib import Path

import gradio as gr
import numpy as np
from PIL import Image

from demos.shell import parcels, results, sessions
from demos.shell.arrays import address
from demos.shell.words import t
from demos.tokenise import answer, parts
from demos.tokenise.parts import Question, Shared
from pipelines.runtime.errors import UserError

KINDS = {"vq": "tokens.vq", "png": "reconstruction.png"}


def lay_out(page, shared: Shared) -> None:
    """A button a file, made when it is asked for; and the picture for other tabs."""
    with results.actions():
        for kind in KINDS:
            button = gr.Button(t(f"tokenise.save_{kind}"), size="sm", min_width=60, elem_id=f"tk-save-{kind}")
            results.wire_saving(button, _saver(kind), [shared.board, shared.answered, page.lang])
    parcels.send_menu(page, "picture", make=_pixels, inputs=[shared.board, shared.answered])


def _saver(kind: str):
    def save(board, answered, lang, request: gr.Request) -> str:
        asked = _on_board(board, answered)
        data = vq(asked, board.indices) if kind == "vq" else png(_pixels(board, answered))
        return address(write(data, KINDS[kind], sessions.of(request).folder))

    return save


def _on_board(board, answered: str) -> Question:
    """The question of the grid on the board. Raises UserError where there is none."""
    asked = parts.question(answered)
    if board is None or board.name != asked.name:
        raise UserError("tokenise.nothing_shown")
    return asked


def _pixels(board, answered: str) -> np.ndarray:
    asked = _on_board(board, answered)
    return answer.painted(asked.model_id, board.indices, size=asked.size)[0]


def vq(asked: Question, indices: np.ndarray) -> bytes:
    """A .vq file. indices: (h, w). Raises UserError."""
    loaded = parts.load(asked.model_id)
    from pipelines.tokenise.container import pack

    return pack(indices, size=asked.size, model_id=loaded.id, codes=loaded.codes, cell=loaded.cell)


def png(pixels: np.ndarray) -> bytes:
    """(H, W, 3) uint8 as a file without loss."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def write(data: bytes, name: str, folder: Path) -> Path:
    """Write a file into a folder of its own below `folder`, so that it keeps its name. Returns its path."""
    made = folder / secrets.token_urlsafe(16)
    made.mkdir()
    (made / name).write_bytes(data)
    return made / name
