"""A second model that works with the chosen one: its facts and its download."""

from types import SimpleNamespace

import gradio as gr
import pytest

from demos.shell import model_switch
from demos.tokenise.panels import stage_of
from pipelines.runtime.catalogue import Availability, read_catalogue
from pipelines.runtime.hub import Progress

STAGE = "amused-256-masked"


@pytest.fixture
def downloads(monkeypatch):
    """What was downloaded, in a runtime that has the bundled models alone."""
    done = []

    def download(model_id):
        yield Progress(500_000_000, 1_457_000_000, None)
        done.append(model_id)

    def availability(entry):
        here = entry.origin == "bundled" or entry.id in done
        key = "errors.available_bundled" if here else "errors.available_download"
        return Availability("ready" if here else "download", key, {"size_mb": "1,457"}, entry.bytes)

    runtime = SimpleNamespace(catalogue=read_catalogue(), availability=availability, download=download)
    monkeypatch.setattr(model_switch.models, "runtime", lambda: runtime)
    return done


def laid_out(start: str):
    """(facts, button, the handlers of a choice and of the button)."""
    with gr.Blocks() as demo:
        page, model = SimpleNamespace(lang=gr.Textbox("en")), gr.Dropdown(allow_custom_value=True)
        chosen = model.input(lambda model: None, model, None)
        model_switch.companion(page, model, stage_of, start=start, chosen=chosen, prefix="x-stage")
    parts = {block.elem_id: block for block in demo.blocks.values() if block.elem_id}
    handlers = {fn.name: fn.fn for fn in demo.fns.values()}
    return parts["x-stage-facts"], parts["x-stage-fetch"], handlers["on_choice"], handlers["on_fetch"]


def test_the_second_stage_of_the_chosen_model_can_be_downloaded(downloads):
    facts, button, _, fetch = laid_out("amused-256")
    assert "1.46 GB" in facts.value
    assert button.visible is True
    request = gr.Request(session_hash="companion")
    answers = list(fetch("amused-256", "en", request))
    assert downloads == [STAGE]
    assert any("500.0 MB" in str(answer) for answer in answers)
    assert answers[-1][2].visible is False


def test_another_choice_brings_its_own_stage_or_none(downloads):
    facts, button, choose, _ = laid_out("")
    assert "Lucida" in facts.value and button.visible is False
    _, told, fetch, _ = choose("amused-256", "en")
    assert "aMUSEd" in told and fetch.visible is True
    _, told, fetch, _ = choose("kandinsky-movq", "en")
    assert told == "" and fetch.visible is False
