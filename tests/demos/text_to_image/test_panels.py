"""What the panels' handlers answer, on a tiny real pipeline: branches, futures, replay, the latent passage."""

from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest

from demos.shell import sessions
from demos.text_to_image import (
    branch_panel,
    futures_panel,
    latent_panel,
    machine,
    machine_panel,
    panels,
    parts,
    replay_panel,
    tracks,
)
from pipelines.runtime.errors import UserError
from pipelines.text_to_image import branch as branching
from pipelines.text_to_image import replay as replaying


@pytest.fixture(scope="module")
def laid_out():
    """The panels' components, as the tab lays them out."""
    with gr.Blocks():
        page = SimpleNamespace(lang=gr.Textbox("en"), link={}, tab="text_to_image")
        shared = parts.Shared(asked=SimpleNamespace(model=gr.Dropdown([""])), finished=gr.Textbox(), stored=None)
        with gr.Tab("x") as tab:
            timeline = machine_panel.lay_out(page, shared)
            yield SimpleNamespace(
                shared=shared,
                machine=timeline,
                branch=branch_panel.lay_out(page, shared, timeline),
                futures=futures_panel.lay_out(page, shared, timeline),
                replay=replay_panel.lay_out(page, shared, timeline, tab=tab),
            )


@pytest.fixture
def request_with_run(request_of, run, runtime_model):
    request = request_of()
    sessions.of(request).put(parts.RUN, run, nbytes=run.nbytes)
    return request


def finished(generator):
    """(everything yielded, what it returned)."""
    items = []
    while True:
        try:
            items.append(next(generator))
        except StopIteration as done:
            return items, done.value


# --- the step ---
@pytest.mark.parametrize(
    "sent, k", [({"at": 3, "n": 20}, 3), ({"at": -1}, 0), ({"at": True}, 0), ({"at": "3"}, 0), (None, 0)]
)
def test_the_step_is_read_with_care(sent, k):
    assert machine.step_of(sent) == k


def test_a_step_that_the_run_does_not_have_is_refused(run):
    assert machine.check_step(3, run) == 3
    with pytest.raises(UserError) as refused:
        machine.check_step(4, run)
    assert refused.value.values == {"k": 5, "n": 4}


# --- branches ---
def test_only_what_was_changed_is_a_change(run):
    as_it_was = dict(zip(branch_panel.CHANGES, branch_panel.as_it_was(run.settings), strict=False))
    assert branch_panel.changes(run, as_it_was, noise=False) == {}
    assert branch_panel.changes(run, {**as_it_was, "guidance_scale": 9}, noise=False) == {"guidance_scale": 9}
    first, second = (branch_panel.changes(run, as_it_was, noise=True)["noise_seed"] for _ in range(2))
    assert first != second


def test_a_branch_streams_its_steps_and_ends_with_both_futures(laid_out, run, runtime_model):
    panel = laid_out.branch
    items, now = finished(branch_panel.streamed(panel, run, 1, {"guidance_scale": 20.0}))
    films = [item[panel.film] for item in items]
    assert [(film["i"], film["n"], film["first"]) for film in films] == [(0, 3, 1), (1, 3, 1), (2, 3, 1)]
    assert len(films[0]["frames"][0]) == 2
    shown = branch_panel.compared(panel, run, now, 1)
    assert "of full brightness apart" in shown[panel.result]
    assert shown[panel.heat]["map"].shape == (64, 64) and shown[panel.heat]["map"].max() > 0
    assert "t2i-fork" in shown[panel.curves]


def test_a_branch_without_a_change_is_the_run(laid_out, run, runtime_model):
    _, now = finished(branch_panel.streamed(laid_out.branch, run, 2, {}))
    np.testing.assert_array_equal(now.pictures, run.pictures)
    assert "same picture to the last bit" in branch_panel.compared(laid_out.branch, run, now, 2)[laid_out.branch.result]


def test_another_sampler_is_shown_beside_the_step_of_the_same_noise(run, laid_out, runtime_model):
    _, now = finished(branch_panel.streamed(laid_out.branch, run, 1, {"sampler": "heun"}))
    for step in now.steps[1:]:
        found = branch_panel.beside(run.steps, step)
        assert abs(np.log(found.sigma / step.sigma)) == min(abs(np.log(one.sigma / step.sigma)) for one in run.steps)


# --- tracks ---
def test_branches_belong_to_their_run_and_the_oldest_leave(run, request_with_run):
    request = request_with_run
    added = [tracks.add(run, tracks.Branch(tracks.RUN, 1, run), request) for _ in range(tracks.MOST + 2)]
    assert added == [str(i + 1) for i in range(tracks.MOST + 2)]
    assert list(tracks.branches(run, request)) == added[2:]
    assert tracks.chosen(run, added[-1], request) is run
    for track in (added[0], "nothing", 7):
        with pytest.raises(UserError, match="branch_gone"):
            tracks.chosen(run, track, request)
    assert tracks.branches(object(), request) == {}


def test_a_step_before_the_fork_belongs_to_what_was_left(run, request_with_run, tiny_model):
    items = list(branching.branch(tiny_model, run, 2, branching.Change(prompt="a cat")))
    track = tracks.add(run, tracks.Branch(tracks.RUN, 2, items[-1]), request_with_run)
    again = tracks.add(run, tracks.Branch(track, 3, items[-1]), request_with_run)
    assert tracks.owner(run, again, 1, request_with_run) is run
    assert tracks.owner(run, again, 2, request_with_run) is items[-1]
    assert tracks.owner(run, tracks.RUN, 0, request_with_run) is run


def test_tracks_are_named_in_the_language_of_the_page(run, request_with_run):
    tracks.add(run, tracks.Branch(tracks.RUN, 2, run), request_with_run)
    tracks.add(run, tracks.Branch("1", 3, run), request_with_run)
    those = tracks.branches(run, request_with_run)
    assert [name for name, _ in tracks.choices(those, "en")] == [
        "The run", "Branch 1, from step 3", "Branch 2, from step 4 of branch 1",
    ]  # fmt: skip
    assert tracks.choices(those, "zh")[1] == ("分支 1，从第 3 步起", "1")
    assert tracks.selector(run, request_with_run, track="9", lang="en").value == tracks.RUN


def test_without_a_run_a_sentence_says_what_to_do(laid_out, request_of):
    with pytest.raises(UserError, match="run_first"):
        next(tracks.traced(tracks.RUN, request_of(), laid_out.shared))


def test_the_time_machine_gets_the_run_that_was_finished(request_with_run, run):
    value, selector = machine_panel.on_finished("run-1", "en", request_with_run)
    assert value["n"] == 4 and len(value["pictures"]) == 2 and not selector.visible
    track = tracks.add(run, tracks.Branch(tracks.RUN, 1, run), request_with_run)
    assert machine_panel.on_track(track, "en", request_with_run)["n"] == 4


def test_a_run_whose_trace_was_freed_leaves_the_machine_empty(request_of):
    value, selector = machine_panel.on_finished("run-1", "en", request_of())
    assert value is None and not selector.visible


# --- futures ---
def test_futures_without_noise_are_one_picture_and_with_it_four(laid_out, request_with_run, monkeypatch):
    panel, drawn = laid_out.futures, []
    original = branching.futures
    monkeypatch.setattr(branching, "futures", lambda *args, **kwargs: drawn.append(1) or original(*args, **kwargs))

    def ask(k, etas):
        asked = {"track": tracks.RUN, "k": k, "etas": etas, "request": request_with_run}
        shown = {}
        for update in futures_panel.shown(laid_out.shared, panel, **asked):
            shown.update(update)
        return shown

    shown = ask(1, (1.0, 0.0))
    assert "same picture, to the last bit" in shown[panel.fixed]
    assert "same picture" not in shown[panel.random] and shown[panel.random].count("<img") == 4
    assert "Distance from x̂₀" in shown[panel.average] and shown[panel.heat]["map"].max() > 0
    assert len(drawn) == 2
    assert ask(1, (1.0, 0.0))[panel.random] == shown[panel.random] and len(drawn) == 2  # kept for the session
    later = ask(2, (0.5,))
    assert later[panel.random] == later[panel.fixed] == later[panel.average] == ""  # no rows of another step
    assert "η = 0.5" in later[panel.between] and len(drawn) == 3
    assert ask(2, (1.0,))[panel.tried].count("t2i-dot") == 2


@pytest.mark.parametrize("eta", [-0.1, 1.5, float("nan"), "1", None, True])
def test_an_eta_that_is_none_is_refused(eta):
    with pytest.raises(UserError, match="eta_range"):
        futures_panel.read_eta(eta)


# --- replay and the latent passage ---
def test_a_step_is_replayed_once_a_session(request_with_run, run, monkeypatch):
    calls, original = [], replaying.replay
    monkeypatch.setattr(replaying, "replay", lambda *args: calls.append(args[2]) or original(*args))
    first = replay_panel.looked_into(run, 2, request_with_run)
    assert replay_panel.looked_into(run, 2, request_with_run) is first and calls == [2]
    assert first["at"] == 2 and first["n"] == 4 and float(first["difference"]) < 1e-4
    assert "apple" in [chip["text"] for chip in first["chips"]]
    replay_panel.looked_into(run, 3, request_with_run)
    assert calls == [2, 3]


def test_a_large_array_goes_to_the_page_as_a_private_file(request_with_run, run, monkeypatch):
    monkeypatch.setattr(replay_panel, "SMALL_BYTES", 10)
    value = replay_panel.looked_into(run, 0, request_with_run)
    assert "data" not in value["maps"] and sessions.of(request_with_run).folder.name in value["maps"]["url"]


def test_a_picture_goes_in_and_comes_out(runtime_model):
    html, heat = latent_panel.on_picture(SimpleNamespace(pixels=np.full((90, 130, 3), 128, np.uint8)), "", "en")
    assert "dB PSNR" in html and heat["picture"]["width"] == 64  # the tiny model's own size
    assert latent_panel.on_picture(None, "", "en") == ("", None)


def test_every_example_has_its_credit():
    assert len(latent_panel.offered()) == len(latent_panel.OFFERED)
    assert all("(" in one.title["en"] and "（" in one.title["zh"] for one in latent_panel.offered())


def test_the_panels_lay_themselves_out_with_more_tabs_behind():
    seen = []
    with gr.Blocks():
        page = SimpleNamespace(lang=gr.Textbox("en"), link={}, tab="text_to_image")
        shared = parts.Shared(asked=SimpleNamespace(model=gr.Dropdown([""])), finished=gr.Textbox(), stored=None)
        panels.lay_out(page, shared, last=seen.append)
    assert isinstance(seen[0], gr.Tabs)
