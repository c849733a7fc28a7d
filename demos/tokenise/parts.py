"""What the tab and its panels share: the model, what is asked, the picture's tokens.

A panel is a module with `lay_out(page, shared)`. It listens to `shared.answered.change`, which fires after each new
grid (another picture, size, model or source), and to `shared.edited.change`, which fires after each decoded edit. It
takes `shared.answered` and `page.lang` among its inputs and reads with `question(answered)`, `tokens(answered, shared,
request)` and `model(answered)`; the grid as it is edited now comes from `shared.board`, as an `Edited`.

`answered` says in words what is shown (`Question`), so that nothing depends on what the session's store still holds:
`tokens` encodes the picture again where it let go of it, and where only the stored result has been shown so far.
Long work goes through `jobs.long` and `jobs.steps`, short work through `jobs.short` and `jobs.on_device`.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr

from demos.shell import jobs, model_switch, models, sessions
from demos.shell.models import Models
from demos.tokenise import examples
from pipelines.runtime.errors import UserError

if TYPE_CHECKING:
    from pipelines.tokenise.models import TokeniseModel
    from pipelines.tokenise.tokens import Tokens

TOPIC = "tokenise"
BUNDLED = "lucida-vqgan"
TWIN = "lucida-vqvae"
SECOND_STAGE = "lucida-masked"
MODELS = Models(TOPIC, pipeline="pipelines.tokenise.code")
ready, load_any = MODELS.ready, MODELS.load  # load_any: also the second stage, by its id
SIZES = (128, 256, 512, 1024)  # pixels, the longer side
SIZE = 256
SOURCES = ("picture", "random", "second_stage", "file")
TOKENS = "tokenise.tokens"  # session: {(picture, longest, model): Encoded}


@dataclass(frozen=True)
class Question:
    """What a grid answers. name: of the answer, never used twice.

    picture: an example's id or the path of an uploaded file; "" where there is none. longest: pixels that its longer
    side may have. source: where the grid's codes come from, one of SOURCES. size: (H, W) pixels that the grid paints.
    """

    name: str
    picture: str
    longest: int
    model_id: str
    source: str = "picture"
    size: tuple[int, int] = (0, 0)

    @property
    def text(self) -> str:
        """As the hidden box `answered` holds it."""
        return json.dumps(asdict(self))


@dataclass(frozen=True, eq=False)
class Encoded:
    """A picture's tokens. full_size: (H, W) of the picture before it was brought to its size."""

    tokens: Tokens
    full_size: tuple[int, int]


@dataclass(frozen=True)
class Shared:
    """What the panels need of the tab.

    board: the grid, see `board.py`. decoded: what answers of edits go to, see `decoded.py`. picture, model, size: what
    the visitor chose. lang: hidden, "en" or "zh". answered: hidden, the `Question` of the grid on the board as text.
    edited: hidden, another text after each edit that was decoded. stored: the finished result that the tab opened
    with (`store.Stored`), or None.
    """

    board: gr.components.Component
    decoded: gr.components.Component
    picture: gr.components.Component
    model: gr.Dropdown
    size: gr.Radio
    lang: gr.Textbox
    answered: gr.Textbox
    edited: gr.Textbox
    stored: object | None


def ask(picture: str, longest: int, model_id: str, source: str = "picture") -> Question:
    """A new question with a name of its own."""
    return Question(secrets.token_urlsafe(9), picture, longest, model_id, source)


def question(answered: str) -> Question:
    """What is shown now. Raises UserError where nothing is, and where the text is not ours."""
    if not answered:
        raise UserError("tokenise.nothing_shown")
    try:
        found = Question(**json.loads(answered))
    except (TypeError, ValueError, RecursionError):
        raise UserError("tokenise.gone") from None
    if not all(isinstance(each, str) for each in (found.name, found.picture)) or found.source not in SOURCES:
        raise UserError("tokenise.gone")
    side = found.size
    if not isinstance(side, list) or len(side) != 2 or any(type(each) is not int or each < 1 for each in side):
        raise UserError("tokenise.gone")
    size(found.longest)
    chosen(found.model_id)
    return replace(found, size=tuple(side))


def tokens(answered: str, shared: Shared, request: gr.Request) -> Tokens:
    """The tokens of the picture that the question names, whatever the grid on the board came from.

    Encodes it where the session does not hold them. Raises UserError, also where there is no picture.
    """
    asked = question(answered)
    return encoded(asked.picture, asked.longest, asked.model_id, request).tokens


def model(answered: str) -> TokeniseModel:
    """The model that the grid on the board belongs to. Raises UserError."""
    return load(question(answered).model_id)


# --- models ---


def chosen(model_id) -> str:
    """The autoencoder of this id, or the app's choice if it is empty. Raises UserError."""
    found = MODELS.chosen(model_id)
    if models.runtime().catalogue.find(found).role not in model_switch.ROLES:
        raise UserError("tokenise.model_second_stage", model=found)
    return found


def load(model_id) -> TokeniseModel:
    """The loaded autoencoder of this id, or the app's choice if it is empty. Raises UserError."""
    return load_any(chosen(model_id))


def size(longest) -> int:
    """One of SIZES. Raises UserError."""
    if isinstance(longest, bool) or longest not in SIZES:
        raise UserError("tokenise.size_unknown", size=str(longest)[:20], choices=", ".join(map(str, SIZES)))
    return int(longest)


# --- the picture and its tokens ---


def encoded(picture: str, longest: int, model_id: str, request: gr.Request) -> Encoded:
    """The tokens of a picture at a size: the session's, else encoded in one turn of the device. Raises UserError."""
    if not picture:
        raise UserError("tokenise.picture_first")
    loaded = load(model_id)
    key = (picture, longest, loaded.id)
    known = _kept(request).get(key)
    if known is not None:
        return known
    from pipelines.runtime.pictures import open_picture
    from pipelines.tokenise import code

    opened = open_picture(path_of(picture))
    pixels = code.prepared(opened.pixels, longest=longest)

    def run() -> Encoded:
        known = _kept(request).get(key)  # another call may have encoded it meanwhile
        return known or Encoded(code.encode(loaded, pixels, picture=opened.sha256), opened.pixels.shape[:2])

    made = jobs.on_device(run)
    _keep(key, made, request)
    return made


def _keep(key: tuple[str, int, str], made: Encoded, request: gr.Request) -> None:
    """Keep tokens in the visitor's session, beside those of the same picture and size by other models."""
    same = {old: each for old, each in _kept(request).items() if old[:2] == key[:2]}
    same[key] = made
    held = sum(each.tokens.latents.nbytes + each.tokens.pixels.nbytes for each in same.values())
    sessions.of(request).put(TOKENS, same, nbytes=held)


def path_of(picture: str) -> Path:
    """Where a question's picture lies. Raises UserError for any file that is not the app's or an upload."""
    known = examples.find(picture)
    if known is not None:
        return known.path
    if not sessions.is_own_file(picture):
        raise UserError("errors.picture_gone")
    return Path(picture)


def _kept(request: gr.Request) -> dict:
    return sessions.of(request).get(TOKENS) or {}
