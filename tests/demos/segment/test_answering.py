"""The handlers of marks, finger and encoder: what they compute, keep and tell, for a visitor's session."""

from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest

from demos.segment import answering, asked, clocks, parts, tab
from demos.shell import links, model_switch, parcels, results
from demos.shell.arrays import unpack
from pipelines.runtime.errors import UserError
from pipelines.segment.watched import blocks
from tests.demos.segment.sessions_of import on_stage, picture_file, point


@pytest.fixture(scope="module")
def laid_out():
    """The tab's components without a stored result: asked, shared, panel."""
    with gr.Blocks():
        page = SimpleNamespace(
            lang=gr.Textbox("en"), link=links.Link(), tab="segment", tabs=(), outbox=parcels.Box(), inbox=parcels.Box()
        )
        start = asked.Opening("cat")
        question = asked.lay_out_controls(start, asked.lay_out_stage(start))
        shared = tab._shared(page, question, start)
        made = tab._picture_level(page, shared, start) | dict(
            zip(("status", "stop"), results.running("sg"), strict=True)
        )
        boxes = {name: gr.Textbox() for name in ("quick", "slow")}
        html = {name: gr.HTML() for name in ("facts", "code")}
        panel = answering.Panel(clocks=clocks.Clocks(), **made, **boxes, **html)
    return SimpleNamespace(asked=question, shared=shared, panel=panel)


@pytest.fixture
def ready(monkeypatch, tiny):
    monkeypatch.setattr(model_switch, "is_ready", lambda model_id: True)
    return tiny


def marks(laid_out, stage, visitor, *, model="", previous=True):
    handler = answering._marks(laid_out.asked, laid_out.shared, laid_out.panel)
    return handler(stage, model, previous, "en", visitor)


def test_the_first_mark_lets_the_encoder_run_and_then_is_answered(laid_out, ready, tmp_path, visitors):
    stage = on_stage(picture_file(tmp_path), {"id": 1, "marks": [point(9, 9)]})
    begun = marks(laid_out, stage, visitors[0])
    assert begun[laid_out.panel.clocks]["running"] and begun[laid_out.panel.quick]
    answering._encode_now(stage, "", True, "en", visitors[0])
    made = marks(laid_out, stage, visitors[0])
    told = made[laid_out.panel.clocks]
    assert told["picture"] == stage.name and told["encoder_ms"] > 0 and told["decoder_ms"] > 0
    shown = parts.masks(made[laid_out.shared.answered], laid_out.shared, visitors[0])
    sent = unpack(told["layers"]["1"]["logits"]).astype(np.float32)
    rows, columns = shown.valid
    assert np.allclose(sent[:rows, :columns], shown.part(shown.best), atol=0.05)


def test_without_a_picture_everything_is_cleared(laid_out, ready, visitors):
    cleared = marks(laid_out, None, visitors[0])
    assert cleared[laid_out.panel.clocks] is None and cleared[laid_out.shared.answered] == ""


def test_G06_forged_marks_are_refused_before_anything_runs(laid_out, ready, tmp_path, visitors):
    with pytest.raises(UserError):
        marks(laid_out, on_stage(picture_file(tmp_path), {"id": 1, "marks": "x"}), visitors[0])


def test_a_model_that_is_not_here_is_named_and_no_clock_runs(laid_out, tmp_path, visitors):
    stage = on_stage(picture_file(tmp_path), {"id": 1, "marks": [point(9, 9)]})
    away = next(entry.id for entry in model_switch.entries(parts.TOPIC) if not model_switch.is_ready(entry.id))
    with pytest.raises(UserError, match="model_not_here"):
        marks(laid_out, stage, visitors[0], model=away)
    chosen = answering._on_model(laid_out.asked, laid_out.shared, laid_out.panel)
    assert list(chosen(stage, away, True, "en", visitors[0])) == [laid_out.panel.clocks]


def test_V09_a_model_of_another_tab_is_refused(laid_out, tmp_path, visitors):
    with pytest.raises(UserError, match="model_of_other_tab"):
        marks(laid_out, on_stage(picture_file(tmp_path)), visitors[0], model="lucida-clip")


def test_the_finger_gets_the_best_mask_of_its_one_place(ready, tmp_path, visitors):
    path = picture_file(tmp_path)
    told = answering._finger(on_stage(path, finger=(30, 20)), "", "en", visitors[0])
    from pipelines.segment.clicks import Click
    from pipelines.segment.prompt import Prompt, predict

    embedding = parts.encoded(parts_picture(path, visitors[0]), parts.BUNDLED, visitors[0])
    masks = predict(ready, embedding, Prompt((Click(30, 20, True),)))
    assert told["finger"] == clocks.layer(masks, masks.best) and told["decoder_ms"] > 0
    beside = answering._finger(on_stage(path, finger=(10**6, -5)), "", "en", visitors[0])
    assert beside["finger"]["size"] == told["finger"]["size"]


def parts_picture(path, visitor):
    from demos.segment import answer

    return answer.pictured(on_stage(path), visitor)


def slow(laid_out, stage, visitor):
    return answering._encoder(laid_out.panel)(stage, "", True, "en", visitor)


def test_a_large_encoder_tells_its_blocks_and_keeps_the_embedding(laid_out, ready, tmp_path, visitors):
    stage = on_stage(picture_file(tmp_path))
    updates = list(slow(laid_out, stage, visitors[0]))
    bars = [update[laid_out.panel.status] for update in updates if "progress" in str(update[laid_out.panel.status])]
    assert len(bars) == len(blocks(ready)) and updates[-1][laid_out.panel.status] == ""
    shown = parts_picture(stage.path, visitors[0])
    assert parts.encoded(shown, parts.BUNDLED, visitors[0]) is not None


def test_S03_a_large_encoder_that_is_cancelled_leaves_nothing_behind(laid_out, ready, tmp_path, visitors):
    stage = on_stage(picture_file(tmp_path))
    run = slow(laid_out, stage, visitors[0])
    next(run), next(run)
    while_it_runs = marks(laid_out, stage, visitors[0])
    assert list(while_it_runs) == [laid_out.panel.clocks]  # a click meanwhile does not begin again
    run.close()
    assert parts.encoded(parts_picture(stage.path, visitors[0]), parts.BUNDLED, visitors[0]) is None
    assert laid_out.panel.quick in marks(laid_out, stage, visitors[0])  # a click afterwards does


def test_a_link_holds_marks_with_their_example_and_never_those_of_an_upload(laid_out, ready, tmp_path, visitors):
    from demos.segment import examples
    from demos.segment.stage import Asked

    first, objects = examples.offered()[0], [{"id": 1, "marks": [point(9, 9)]}]
    stages = [Asked(first.id, first.path, objects, 0), on_stage(picture_file(tmp_path), *objects)]
    told = []
    for stage in stages:
        answering._encode_now(stage, "", True, "en", visitors[0])
        made = marks(laid_out, stage, visitors[0])
        told.append((made[laid_out.asked.example], made[laid_out.asked.objects]))
    link = links.Link({"example": told[0][0], "objects": told[0][1]})
    start = asked.opening(link)
    assert start.run and start.objects["objects"][0]["marks"] == [point(9, 9)] and link.ignored == []
    assert told[1] == ("", "")
