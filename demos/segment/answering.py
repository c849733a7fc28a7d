"""What happens when a mark, the finger, the model or the picture changes: encode where needed, decode, tell the page.

A change of marks is answered at once where the picture's embedding is there. Where it is not, the encoder runs as an
event of its own, with its clock running on the page, and then the marks as they are by then are answered: a click that
came in between is not lost, and one that belongs to a picture no longer shown is dropped by the stage.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import gradio as gr

from demos.segment import answer as answers
from demos.segment import asked as asking
from demos.segment import clocks, downloads, examples, parts, result, views, wanted
from demos.segment.answer import Answer
from demos.segment.parts import Shared
from demos.segment.stage import wire_finger
from demos.segment.wanted import Wanted
from demos.shell import jobs, links, model_switch, models, parcels, results, sessions
from demos.shell.arrays import address
from demos.shell.components.starter import Starter
from pipelines.runtime.errors import UserError

ENCODING = "segment.encoding"  # session: (SHA-256 of the picture, model) of which the encoder is running as a long job


@dataclass(frozen=True)
class Panel:
    """Every component that an answer fills. quick, slow: hidden, a change lets the encoder run, at once or in the line
    of long jobs."""

    clocks: clocks.Clocks
    status: gr.HTML
    stop: gr.Button
    notes: gr.HTML
    card: gr.HTML
    cut_out: gr.HTML
    provenance: gr.HTML
    code: gr.HTML
    quick: gr.Textbox
    slow: gr.Textbox
    facts: gr.HTML


def wire(page, asked: asking.Asked, shared: Shared, panel: Panel, switch: model_switch.Panel, starter: Starter) -> None:
    """Marks, finger, model, previous mask, a picture from another tab, a link that asks for an answer."""
    inputs = [*asked.inputs, page.lang]
    outputs = [*_outputs(asked, shared, panel), panel.quick, panel.slow]
    newest = {**jobs.SHORT, "trigger_mode": "always_last"}
    marks = {"fn": jobs.short(_marks(asked, shared, panel)), "inputs": inputs, "outputs": outputs}
    for event in (asked.stage.input, asked.previous.input, starter.start):
        event(**marks, **newest)
    for event in (switch.chosen.success, switch.fetched.success):
        event(**{**marks, "fn": jobs.short(_on_model(asked, shared, panel))}, **jobs.SHORT)
    page.inbox.change(jobs.short(parcels.received_picture), [page.inbox, page.lang], asked.stage, **jobs.SHORT).success(
        **marks, **jobs.SHORT
    )
    _wire_encoder(page, asked, panel, marks)
    wire_finger(asked.stage, jobs.short(_finger), [asked.stage, asked.model, page.lang], panel.clocks)
    shared.answered.change(jobs.short(_cut_out(shared)), [shared.answered, page.lang], panel.cut_out, **newest)


def _wire_encoder(page, asked: asking.Asked, panel: Panel, marks: dict) -> None:
    """After the encoder, the marks as they are by then are answered; where it fails or is stopped, its clock halts."""
    inputs = marks["inputs"]
    halt = {"fn": jobs.short(_halted), "inputs": [asked.stage, page.lang], "outputs": panel.clocks, **jobs.SHORT}
    quick = panel.quick.change(jobs.short(_encode_now), inputs, None, trigger_mode="always_last", **jobs.SHORT)
    handler = jobs.long(_encoder(panel), status=panel.status, replaces=True)
    slow = panel.slow.change(handler, inputs, [panel.status, panel.stop], trigger_mode="multiple", **jobs.LONG)
    for event in (quick, slow):
        event.success(**marks, **jobs.SHORT)
        event.failure(**halt)
    jobs.wire_stop(panel.stop, [slow], status=panel.status)
    panel.stop.click(**halt)
    panel.stop.click(None, None, panel.stop, js="() => ({ __type__: 'update', visible: false })", **links.PRIVATE)


def _outputs(asked: asking.Asked, shared: Shared, panel: Panel) -> list:
    """What `filled` gives."""
    own = [panel.clocks, panel.notes, panel.card, panel.provenance, panel.code, panel.facts]
    return [*own, shared.answered, asked.example, asked.objects]


# --- marks ---


def _marks(asked: asking.Asked, shared: Shared, panel: Panel):
    def on_marks(stage, model, previous, lang, request: gr.Request):
        if stage is None:
            return emptied(asked, shared, panel)
        shown, objects, active, model_id = read(stage, model, request)
        if parts.encoded(shown, model_id, request) is None:
            return _begin_to_encode(stage, shown, panel, model_id, request)
        made = answers.answer(shown, objects, active, model_id=model_id, chained=previous is not False, request=request)
        return filled(asked, shared, panel, made, objects, request)

    return on_marks


def _on_model(asked: asking.Asked, shared: Shared, panel: Panel):
    on_marks = _marks(asked, shared, panel)

    def on_model(stage, model, previous, lang, request: gr.Request):
        """The same marks by another model; one that must be downloaded first leaves everything as it is."""
        if stage is None or not model_switch.is_ready(parts.known_model(model)):
            return {panel.clocks: gr.skip()}
        return on_marks(stage, model, previous, lang, request)

    return on_model


def read(stage, model, request: gr.Request) -> tuple[parts.Pictured, tuple[Wanted, ...], int, str]:
    """(picture, objects, place of the chosen one, model's id) out of what the page sent. Raises UserError."""
    model_id = parts.chosen(model)
    shown = answers.pictured(stage, request)
    height, width = shown.full_size
    objects, active = wanted.read(stage.value, width, height, clamp=True)
    return shown, objects, active, model_id


def _begin_to_encode(stage, shown: parts.Pictured, panel: Panel, model_id: str, request: gr.Request) -> dict:
    """Set the encoder's clock going, and let the encoder run as an event of its own, unless it does so already."""
    if sessions.of(request).get(ENCODING) == (shown.sha256, model_id):
        return {panel.clocks: gr.skip()}
    if not model_switch.is_ready(model_id):
        parts.load(model_id)  # says what is to be done
    begin = panel.quick if models.is_quick(model_id) else panel.slow
    return {panel.clocks: clocks.encoding(stage.name), begin: secrets.token_urlsafe(8)}


def filled(asked: asking.Asked, shared: Shared, panel: Panel, made: Answer, objects, request: gr.Request) -> dict:
    """Every component's value for an answer."""
    model_id = made.embedding.model_id
    times = model_switch.note(parts.TOPIC, request, {model_id: made.embedding.ms})
    threshold = made.layer.threshold if made.layer else 0.0
    decoded = made.layer.masks.ms if made.layer else 0.0
    example = made.picture.name if examples.find(made.picture.name) else ""
    return {
        panel.clocks: clocks.answer(
            made.picture.name,
            layers=result.layers(made.layers),
            encoder_ms=made.embedding.ms,
            decoder_ms=made.ms or None,
        ),
        panel.notes: result.refusals(made),
        panel.card: views.card(made.layer),
        panel.provenance: results.computed(model_id, ms=made.embedding.ms + decoded, live=True),
        panel.code: result.code(made.calls, model_id, name=made.picture.name, threshold=threshold),
        panel.facts: model_switch.told(parts.TOPIC, model_id, times),
        shared.answered: made.name,
        asked.example: example,
        asked.objects: result.link_objects(objects, made.active) if example else "",  # marks mean nothing without it
    }


def emptied(asked: asking.Asked, shared: Shared, panel: Panel) -> dict:
    """What stands there when the picture was taken away."""
    return {
        panel.clocks: None,
        panel.notes: "",
        panel.card: views.no_picture(),
        panel.provenance: "",
        shared.answered: "",
        asked.example: "",
        asked.objects: "",
    }


# --- the encoder ---


def _encode_now(stage, model, previous, lang, request: gr.Request) -> None:
    """Encode in one turn of the device."""
    if stage is not None:
        shown, _, _, model_id = read(stage, model, request)
        parts.encode(shown, model_id, request)


def _halted(stage, lang):
    """The clock of an encoder that did not come to its end stands where it stood before."""
    return gr.skip() if stage is None else clocks.answer(stage.name)


def _encoder(panel: Panel):
    def on_encode(stage, model, previous, lang, request: gr.Request):
        """Encode block by block: others get the device in between, and it can be cancelled."""
        if stage is None:
            return
        shown, _, _, model_id = read(stage, model, request)
        yield {panel.status: views.word("loading"), panel.stop: gr.Button(visible=True)}
        ended = {panel.status: "", panel.stop: gr.Button(visible=False)}
        try:
            yield from _watched(panel, shown, model_id, request)
        except Exception:  # the sentence is told by `jobs.long`; here only the line of the run is taken away
            yield ended
            raise
        yield ended

    return on_encode


def _watched(panel: Panel, shown: parts.Pictured, model_id: str, request: gr.Request):
    from pipelines.runtime.pictures import open_picture
    from pipelines.segment.watched import Block, encode_blocks

    session, pixels = sessions.of(request), open_picture(shown.path).pixels
    session.put(ENCODING, (shown.sha256, model_id), nbytes=200)
    try:
        for item in jobs.steps(encode_blocks(parts.load(model_id), pixels, picture=shown.sha256)):
            if isinstance(item, Block):
                yield {panel.status: views.encoding(item.done + 1, item.total)}
            else:
                parts.keep_embedding(item, request)
    finally:
        session.put(ENCODING, None, nbytes=0)


# --- the finger ---


def _finger(stage, model, lang, request: gr.Request):
    """The mask of the one place under the finger: nothing is kept of it."""
    if stage is None or stage.finger is None:
        return gr.skip()
    shown, model_id = answers.pictured(stage, request), parts.chosen(model)
    embedding = parts.encoded(shown, model_id, request)
    if embedding is None:
        if not models.is_quick(model_id):
            return gr.skip()
        embedding = parts.encode(shown, model_id, request)
    x, y = stage.finger
    height, width = shown.full_size
    point = (min(max(x, 0), width - 1), min(max(y, 0), height - 1), 1)
    masks = answers.predict(parts.load(model_id), embedding, Wanted(0, points=(point,), order=("point",)))
    layer = clocks.layer(masks, masks.best)
    return clocks.answer(stage.name, finger=layer, encoder_ms=embedding.ms, decoder_ms=masks.ms)


# --- the cut-out, a moment after the mask ---


def _cut_out(shared: Shared):
    def on_answer(answered, lang, request: gr.Request) -> str:
        if not answered:
            return ""
        try:
            layer = parts.layer(answered, shared, request)
            data = downloads.preview(parts.pixels(answered, shared, request), layer)
        except UserError:  # nothing is marked, or the mask is empty: there is nothing to cut out
            return ""
        path = sessions.of(request).folder / f"{secrets.token_urlsafe(24)}.png"
        path.write_bytes(data)
        return views.cut_out(address(path), layer)

    return on_answer
