"""What happens when the picture, its size, the model or a code changes: encode, decode, tell the page.

A new grid goes onto the board and changes `answered`; an edit is decoded for the board and changes `edited`. Whatever
the codes came from, one handler then fills what stands under the board, and the rivals follow when that is done.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import gradio as gr

from demos.shell import jobs, links, model_switch, models, parcels, results
from demos.tokenise import answer, changes, decoded, parts, result, rivals, views
from demos.tokenise import asked as asking
from demos.tokenise.parts import Shared
from pipelines.runtime.errors import UserError


@dataclass(frozen=True)
class Panel:
    """Every component that an answer fills. slow: hidden, a change lets a large model work in the line of long jobs."""

    status: gr.HTML
    stop: gr.Button
    card: gr.HTML
    notes: gr.HTML
    rivals: rivals.Rivals
    provenance: gr.HTML
    code: gr.HTML
    facts: gr.HTML
    slow: gr.Textbox


def wire(page, asked: asking.Asked, shared: Shared, panel: Panel, *, switch, starter, codes: gr.Button) -> None:
    """switch: the model's panel. codes: the button that takes the picture's codes again."""
    newest = {**jobs.SHORT, "trigger_mode": "always_last"}
    outputs = [shared.board, shared.answered, shared.decoded, shared.edited, panel.slow]
    ask = {"inputs": [*asked.inputs, asked.changes, page.lang], "outputs": outputs}

    def on(event, handler, **how):
        return event(jobs.short(handler(shared, panel)), **ask, **how)

    on(asked.picture.input, _on_picture, **newest)
    on(asked.size.input, _on_setting, **newest)
    on(codes.click, _on_codes, **newest)
    on(starter.start, _on_link, **newest)
    for event in (switch.chosen.success, switch.fetched.success):
        on(event, _on_setting, **jobs.SHORT)
    received = page.inbox.change(
        jobs.short(parcels.received_picture), [page.inbox, page.lang], asked.picture, **jobs.SHORT
    )
    on(received.success, _on_picture, **jobs.SHORT)
    _wire_slow(shared, panel, ask)
    _wire_file(page, asked, shared)
    _wire_shown(page, asked, shared, panel)
    shared.board.input(
        jobs.short(_on_edit), [shared.board, shared.answered, page.lang], [shared.decoded, shared.edited], **newest
    )


def _wire_slow(shared: Shared, panel: Panel, ask: dict) -> None:
    handler = jobs.long(_slowly(shared, panel), status=panel.status, replaces=True)
    outputs = [*ask["outputs"], panel.status, panel.stop]
    running = panel.slow.change(handler, ask["inputs"], outputs, trigger_mode="multiple", **jobs.LONG)
    jobs.wire_stop(panel.stop, [running], status=panel.status)
    panel.stop.click(None, None, panel.stop, js="() => ({ __type__: 'update', visible: false })", **links.PRIVATE)


def _wire_file(page, asked: asking.Asked, shared: Shared) -> None:
    def on_file(data, size, lang, request: gr.Request):
        return from_file(data, size, asked, shared, request) if data is not None else {shared.edited: gr.skip()}

    outputs = [shared.board, shared.answered, shared.edited, asked.picture, asked.model]
    inputs = [asked.file, asked.size, page.lang]
    asked.file.input(jobs.short(on_file), inputs, outputs, **jobs.SHORT, trigger_mode="always_last")


def _wire_shown(page, asked: asking.Asked, shared: Shared, panel: Panel) -> None:
    """After each grid and each edit: figures, notes, code. After each grid the rivals, which take longer."""
    newest = {**jobs.SHORT, "trigger_mode": "always_last"}
    inputs = [shared.board, shared.answered, asked.model, page.lang]
    own = [panel.card, panel.notes, panel.provenance, panel.code, panel.facts, asked.example, asked.changes]
    gr.on(
        [shared.answered.change, shared.edited.change], jobs.short(_on_shown(asked, panel)),
        inputs, own, **newest,
    )  # fmt: skip
    models_first = shared.answered.change(jobs.short(_on_rivals), [shared.answered, page.lang], panel.rivals, **newest)
    models_first.success(jobs.short(_on_codecs), [shared.answered, page.lang], panel.rivals, **jobs.SHORT)


# --- a new grid ---


def _on_picture(shared: Shared, panel: Panel):
    def on_picture(picture, size, model, changed, lang, request: gr.Request):
        """Another picture, or none."""
        if picture is None:
            return {shared.board: None, shared.answered: ""}
        return begin(picture, size, model, shared, panel, request)

    return on_picture


def _on_setting(shared: Shared, panel: Panel):
    def on_setting(picture, size, model, changed, lang, request: gr.Request):
        """Another size or model: for the next picture where there is none; a model to be downloaded changes nothing."""
        if picture is None or not model_switch.is_ready(parts.MODELS.known(model)):
            return {shared.edited: gr.skip()}
        return begin(picture, size, model, shared, panel, request)

    return on_setting


def _on_codes(shared: Shared, panel: Panel):
    def on_codes(picture, size, model, changed, lang, request: gr.Request):
        """The picture's codes, whatever is on the board."""
        if picture is None:
            raise UserError("errors.picture_missing")
        return begin(picture, size, model, shared, panel, request)

    return on_codes


def _on_link(shared: Shared, panel: Panel):
    def on_link(picture, size, model, changed, lang, request: gr.Request):
        """What a link asks for: the picture's codes with some of them changed."""
        made = begin(picture, size, model, shared, panel, request)
        wanted = changes.read(changed) if isinstance(changed, str) else []
        if wanted and shared.board in made:
            made |= _edited_by_link(made, wanted, shared, request)
        return made

    return on_link


def _edited_by_link(made: dict, wanted: list, shared: Shared, request: gr.Request) -> dict:
    """The changes as an edit of the server's: one undo step away from the picture's own codes."""
    begun, shown = answer.latest(request), made[shared.board]
    indices = changes.applied(begun.indices, wanted, codes=shown["codes"])
    pixels = answer.pixels_of(begun, indices, request)
    told = decoded.answer(shown["name"], shown["serial"], pixels, indices=indices, change=_change(begun.pixels, pixels))
    return {shared.decoded: told, shared.edited: secrets.token_urlsafe(6)}


def begin(picture, size, model, shared: Shared, panel: Panel, request: gr.Request) -> dict:
    """Answer at once with a model that is quick; let a large one work in the line of long jobs. Raises UserError."""
    longest, model_id = parts.size(size), parts.chosen(model)
    if not model_switch.is_ready(model_id):
        parts.load(model_id)  # says what is to be done
    if not models.is_quick(model_id):
        return {panel.slow: secrets.token_urlsafe(8)}
    return of_picture(picture.name, longest, model_id, shared, request)


def of_picture(picture: str, longest: int, model_id: str, shared: Shared, request: gr.Request) -> dict:
    """Encode and decode, each in one turn of the device; values of the board and of `answered`."""
    made = answer.of_picture(parts.ask(picture, longest, model_id), request)
    tokens = parts.encoded(picture, longest, model_id, request).tokens
    return answer.put(
        made.question,
        made.indices,
        made.pixels,
        codes=tokens.codes,
        cell=tokens.cell,
        shared=shared,
        request=request,
        original=tokens.pixels,
        ms=made.ms,
    )


def _slowly(shared: Shared, panel: Panel):
    def on_slow(picture, size, model, changed, lang, request: gr.Request):
        """A large model: between its parts it can be cancelled."""
        if picture is None:
            return
        longest, model_id = parts.size(size), parts.chosen(model)
        ended = {panel.status: "", panel.stop: gr.Button(visible=False)}
        try:
            yield {panel.status: views.working("loading"), panel.stop: gr.Button(visible=True)}
            parts.load(model_id)
            yield {panel.status: views.working("encoding")}
            parts.encoded(picture.name, longest, model_id, request)
            yield {panel.status: views.working("decoding")}
            made = of_picture(picture.name, longest, model_id, shared, request)
        except Exception:  # the sentence is told by `jobs.long`; here only the line of the run is taken away
            yield ended
            raise
        yield {**made, **ended}

    return on_slow


def from_file(data: bytes, size, asked: asking.Asked, shared: Shared, request: gr.Request) -> dict:
    """The grid in a .vq file, painted by the model that it names. Raises UserError."""
    from pipelines.tokenise import container

    parts.ready()
    found = container.unpack(data)
    model_id = model_of(found)
    pixels, ms = answer.painted(model_id, found.indices, size=found.size)
    question = parts.ask("", parts.size(size), model_id, "file")
    made = answer.put(
        question, found.indices, pixels, codes=found.codes, cell=found.cell, shared=shared, request=request, ms=ms
    )
    return {**made, asked.picture: None, asked.model: model_id}


def model_of(found) -> str:
    """The model that a `VqFile` names, if it is here and its codebook is the file's. Raises UserError."""
    here = {entry.id for entry in model_switch.entries(parts.TOPIC)}
    if found.model_id not in here or not model_switch.is_ready(found.model_id):
        raise UserError("tokenise.vq_model", model=found.model_id[:60])
    loaded = parts.load(found.model_id)
    if (loaded.codes, loaded.cell) != (found.codes, found.cell):
        raise UserError("tokenise.vq_other", model=loaded.id, codes=found.codes, cell=found.cell)
    return loaded.id


# --- an edit ---


def _on_edit(board, answered, lang, request: gr.Request):
    """The picture of the codes as they are now, with the map of what changed."""
    if board is None or not answered or board.name != parts.question(answered).name:
        return gr.skip(), gr.skip()
    begun = answer.grid(answered, request)
    made = answer.edited(begun.question, board, request)
    told = decoded.answer(
        board.name,
        board.serial,
        made.pixels,
        change=_change(begun.pixels, made.pixels),
        ms=round(made.ms, 1),
        other_pixels=made.other,
    )
    return told, secrets.token_urlsafe(6)


def _change(before, after):
    from pipelines.tokenise.surgery import difference

    return difference(before, after)


# --- what stands under the board ---


def _on_shown(asked: asking.Asked, panel: Panel):
    def on_shown(board, answered, model, lang, request: gr.Request):
        if not answered:
            return emptied(asked, panel)
        made = result.shown(answered, board, request)
        times = model_switch.note(parts.TOPIC, request, {made.question.model_id: made.ms})
        return {
            panel.card: views.card(made.figures),
            panel.notes: result.notes(made),
            panel.provenance: results.computed(made.question.model_id, ms=made.ms, live=True),
            panel.code: result.code(made),
            panel.facts: model_switch.told(parts.TOPIC, parts.MODELS.known(model), times),
            asked.example: result.example(made.question),
            asked.changes: result.link_changes(made),
        }

    return on_shown


def emptied(asked: asking.Asked, panel: Panel) -> dict:
    """What stands there when the picture was taken away."""
    return {
        panel.card: views.nothing(),
        panel.notes: "",
        panel.provenance: "",
        asked.example: "",
        asked.changes: "",
    }


def _on_rivals(answered, lang, request: gr.Request):
    """The autoencoders' rows; none where the codes are of no picture."""
    if not answered or parts.question(answered).source != "picture":
        return None
    return rivals.value(parts.question(answered), rivals.autoencoders(answered, request), waiting=True)


def _on_codecs(answered, lang, request: gr.Request):
    """All rows; an answer to a grid that is no longer on the board is dropped."""
    if not answered or parts.question(answered).source != "picture":
        return gr.skip()
    asked = parts.question(answered)
    tokens = parts.encoded(asked.picture, asked.longest, asked.model_id, request).tokens
    rows = [*rivals.autoencoders(answered, request), *rivals.codecs(tokens.pixels, tokens.bytes)]
    kept = answer.latest(request)
    if kept is not None and kept.question.name != asked.name:
        return gr.skip()
    return rivals.value(asked, rows)
