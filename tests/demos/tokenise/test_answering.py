"""The handlers of picture, size, model, file, edit and link: what they put on the board and tell under it."""

from dataclasses import replace
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest

from demos.shell import links, model_switch, sessions
from demos.shell import models as shell_models
from demos.shell.arrays import unpack
from demos.shell.components.picture import Chosen
from demos.tokenise import answer, answering, asked, downloads, examples, parts, result, rivals
from pipelines.runtime.errors import UserError
from pipelines.tokenise import code, compare, container
from tests.demos.tokenise.fill_tiny import CELL, CODES, board_of, one_visitor, shared_of, tiny_models  # noqa: F401

CAT = Chosen("cat", examples.find("cat").path)


@pytest.fixture(scope="module")
def laid_out():
    """The tab's components: asked, shared, panel."""
    with gr.Blocks():
        question = asked.lay_out(asked.Opening("cat"))
        html = {name: gr.HTML() for name in ("status", "card", "notes", "provenance", "code", "facts")}
        panel = answering.Panel(stop=gr.Button(), rivals=rivals.Rivals(), slow=gr.Textbox(), **html)
        return SimpleNamespace(asked=question, shared=shared_of(), panel=panel)


@pytest.fixture(autouse=True)
def ready(monkeypatch, models):
    monkeypatch.setattr(model_switch, "is_ready", lambda model_id: True)


def ask(handler, laid_out, visitor, *, picture=CAT, size=128, model="", changed=""):
    return handler(laid_out.shared, laid_out.panel)(picture, size, model, changed, "en", visitor)


def edit(laid_out, answered, visitor, *, seed=3):
    """(board after an edit of all codes, what Decoded and `edited` get)."""
    begun = answer.grid(answered, visitor)
    board = board_of(begun.question, np.zeros(begun.indices.shape, bool), seed=seed)
    return board, answering._on_edit(board, answered, "en", visitor)


def shown(laid_out, board, answered, visitor):
    return answering._on_shown(laid_out.asked, laid_out.panel)(board, answered, "", "en", visitor)


def test_a_picture_goes_onto_the_board_as_its_codes(laid_out, visitor, models):
    made = ask(answering._on_picture, laid_out, visitor)
    board, answered = made[laid_out.shared.board], made[laid_out.shared.answered]
    tokens = parts.tokens(answered, laid_out.shared, visitor)
    assert (board["rows"], board["columns"]) == tokens.indices.shape
    assert np.array_equal(code.encode(models["autoencoder"], tokens.pixels).indices, tokens.indices)
    assert board["original"] is not None and board["codes"] == CODES and board["cell"] == CELL
    question = parts.question(answered)
    assert (question.picture, question.longest, question.source) == ("cat", 128, "picture")


def test_the_figures_are_those_of_the_grid(laid_out, visitor):
    answered = ask(answering._on_picture, laid_out, visitor)[laid_out.shared.answered]
    made = result.shown(answered, None, visitor)
    packed = container.pack(made.indices, size=made.question.size, model_id=parts.BUNDLED, codes=CODES, cell=CELL)
    around = container.HEADER.size + len(parts.BUNDLED) + container.CHECKSUM.size
    assert made.figures.bytes == len(packed) - around
    assert made.figures.psnr_db == compare.psnr_db(made.tokens.pixels, made.pixels)
    assert made.figures.edited == 0
    card = shown(laid_out, None, answered, visitor)[laid_out.panel.card]
    assert f"{made.figures.bytes:,}" in card and f"{made.figures.psnr_db:.1f} dB" in card and "tk-warn" not in card


def test_an_edit_is_decoded_and_the_figures_follow_and_say_so(laid_out, visitor, models):
    answered = ask(answering._on_picture, laid_out, visitor)[laid_out.shared.answered]
    before = result.shown(answered, None, visitor)
    board, (told, edited) = edit(laid_out, answered, visitor)
    assert told["serial"] == board.serial and told["name"] == board.name and edited
    after = result.shown(answered, board, visitor)
    assert np.array_equal(after.pixels, code.decode(models["autoencoder"], board.indices, size=before.question.size))
    assert after.figures.psnr_db != before.figures.psnr_db
    assert after.figures.edited == (board.indices != before.indices).sum() > 0
    filled = shown(laid_out, board, answered, visitor)
    assert "tk-warn" in filled[laid_out.panel.card]
    most = unpack(told["change"]["map"]).max()
    assert 0 < most <= 255


def test_an_edit_of_a_grid_that_is_gone_from_the_board_is_dropped(laid_out, visitor):
    older = ask(answering._on_picture, laid_out, visitor)[laid_out.shared.answered]
    board, _ = edit(laid_out, older, visitor)
    newer = ask(answering._on_codes, laid_out, visitor)[laid_out.shared.answered]
    assert parts.question(newer).name != board.name
    assert answering._on_edit(board, newer, "en", visitor) == (gr.skip(), gr.skip())
    assert result.shown(newer, board, visitor).figures.edited == 0


def test_no_picture_empties_the_board_and_what_stands_under_it(laid_out, visitor):
    made = ask(answering._on_picture, laid_out, visitor, picture=None)
    assert made == {laid_out.shared.board: None, laid_out.shared.answered: ""}
    filled = shown(laid_out, None, "", visitor)
    assert filled[laid_out.asked.example] == filled[laid_out.panel.notes] == ""
    with pytest.raises(UserError, match="picture_missing"):
        ask(answering._on_codes, laid_out, visitor, picture=None)


def test_a_setting_without_a_picture_waits_for_one(laid_out, visitor):
    assert ask(answering._on_setting, laid_out, visitor, picture=None) == {laid_out.shared.edited: gr.skip()}


@pytest.mark.parametrize("size", [0, 257, "256", None, True, 1e9])
def test_a_size_that_is_not_offered_is_refused(laid_out, visitor, size):
    with pytest.raises(UserError, match="size_unknown"):
        ask(answering._on_setting, laid_out, visitor, size=size)


def test_a_large_model_works_in_the_line_of_long_jobs(laid_out, visitor, monkeypatch):
    monkeypatch.setattr(shell_models, "is_quick", lambda model_id: False)
    begun = ask(answering._on_picture, laid_out, visitor)
    assert list(begun) == [laid_out.panel.slow]
    *said, last = answering._slowly(laid_out.shared, laid_out.panel)(CAT, 128, "", "", "en", visitor)
    assert len(said) == 3 and all(each[laid_out.panel.status] for each in said)
    assert last[laid_out.panel.status] == "" and last[laid_out.shared.board]["source"] == "picture"


def test_a_link_brings_its_changes_as_one_edit(laid_out, visitor):
    made = ask(answering._on_link, laid_out, visitor, changed="0-1-5_2-0-9")
    board, told = made[laid_out.shared.board], made[laid_out.shared.decoded]
    before, after = unpack_16(board["indices"]), unpack_16(told["indices"])
    assert (told["name"], told["serial"]) == (board["name"], board["serial"])
    assert after[0, 1] == 5 and after[2, 0] == 9
    assert set(zip(*np.nonzero(before != after), strict=True)) <= {(0, 1), (2, 0)}


def test_the_link_of_an_edited_grid_gives_that_grid_again(laid_out, visitor):
    made = ask(answering._on_link, laid_out, visitor, changed="0-1-5_2-0-9")
    answered = made[laid_out.shared.answered]
    edited = unpack_16(made[laid_out.shared.decoded]["indices"])
    now = replace(board_of(parts.question(answered), np.zeros((1, 1), bool)), indices=edited)
    filled = shown(laid_out, now, answered, visitor)
    assert filled[laid_out.asked.example] == "cat"
    again = ask(answering._on_link, laid_out, visitor, changed=filled[laid_out.asked.changes])
    assert np.array_equal(unpack_16(again[laid_out.shared.decoded]["indices"]), now.indices)


def unpack_16(packed) -> np.ndarray:
    return unpack(packed).astype(np.int32)


def test_a_file_brings_its_codes_without_a_picture(laid_out, visitor, models):
    indices = np.random.default_rng(2).integers(0, CODES, (4, 5)).astype(np.int32)
    question = replace(parts.ask("", 128, parts.TWIN, "file"), size=(30, 40))
    data = downloads.vq(question, indices)
    made = answering.from_file(data, 128, laid_out.asked, laid_out.shared, visitor)
    answered = made[laid_out.shared.answered]
    assert made[laid_out.asked.picture] is None and made[laid_out.asked.model] == parts.TWIN
    assert np.array_equal(answer.grid(answered, visitor).indices, indices)
    filled = shown(laid_out, None, answered, visitor)
    assert "PSNR" in filled[laid_out.panel.card] and " dB" not in filled[laid_out.panel.card]
    assert answering._on_rivals(answered, "en", visitor) is None


@pytest.mark.parametrize(
    ("model_id", "codes", "cell", "key"),
    [("another", 32, 8, "vq_model"), ("lucida-masked", 32, 8, "vq_model"), ("lucida-vqgan", 64, 8, "vq_other"),
     ("lucida-vqgan", 32, 16, "vq_other")],
)  # fmt: skip
def test_a_file_of_a_model_that_is_not_here_is_refused(laid_out, visitor, model_id, codes, cell, key):
    data = container.pack(np.zeros((1, 1), np.int32), size=(cell, cell), model_id=model_id, codes=codes, cell=cell)
    with pytest.raises(UserError, match=key):
        answering.from_file(data, 128, laid_out.asked, laid_out.shared, visitor)


def test_a_file_cut_short_is_refused(laid_out, visitor):
    data = container.pack(np.zeros((1, 1), np.int32), size=(8, 8), model_id=parts.BUNDLED, codes=32, cell=8)
    with pytest.raises(UserError, match="vq_cut"):
        answering.from_file(data[:-3], 128, laid_out.asked, laid_out.shared, visitor)


def test_rivals_are_the_twin_and_two_codecs_within_the_same_bytes(laid_out, visitor):
    answered = ask(answering._on_picture, laid_out, visitor)[laid_out.shared.answered]
    first = answering._on_rivals(answered, "en", visitor)
    assert first["waiting"] and [row["own"] for row in first["rows"]] == [True, False]
    rows = answering._on_codecs(answered, "en", visitor)["rows"]
    assert [row["label"]["en"] for row in rows[2:]] == ["JPEG", "WebP"]
    made = result.shown(answered, None, visitor)
    assert rows[0]["psnr_db"] == round(made.figures.psnr_db, 2) and rows[0]["bytes"] == made.figures.bytes
    ask(answering._on_codes, laid_out, visitor)
    assert answering._on_codecs(answered, "en", visitor) == gr.skip()


def test_two_visitors_do_not_mix(laid_out, visitor):
    other = SimpleNamespace(session_hash="tokenise-other")
    try:
        coffee = Chosen("coffee", examples.find("coffee").path)
        ours = ask(answering._on_picture, laid_out, visitor)[laid_out.shared.answered]
        theirs = ask(answering._on_picture, laid_out, other, picture=coffee)[laid_out.shared.answered]
        edit(laid_out, theirs, other)
        assert result.shown(ours, None, visitor).figures.edited == 0
        assert answer.latest(visitor).question.picture == "cat" and answer.latest(other).question.picture == "coffee"
    finally:
        sessions.forget(other)


def test_a_link_is_checked_setting_by_setting():
    link = links.parse("?tab=tokenise&example=nope&size=257&model=lucida-masked&changes=1-2")
    start = asked.opening(link)
    assert (start.example, start.size, start.model, start.changes) == (examples.offered()[0].id, 256, "", "")
    assert set(link.ignored) == {"example", "size", "model", "changes"}
    good = asked.opening(links.parse("?tab=tokenise&example=coffee&size=512&changes=1-2-3"))
    assert (good.example, good.size, good.changes, good.stored) == ("coffee", 512, "1-2-3", None)
