"""The levels Blocks and Numbers: what is told of a tiny real VQModel, and what the browser gets of its quantiser."""

import re
from dataclasses import replace

import numpy as np
import pytest

from demos.shell import sessions
from demos.tokenise import level_views, levels
from pipelines.tokenise import blocks, code, formula
from tests.demos.tokenise.opened import one_visitor, opened_page, tiny_model  # noqa: F401
from tests.pipelines.tokenise.conftest import make_picture


@pytest.fixture(scope="module")
def tokens(model):
    return code.encode(model, make_picture(45, 63))


@pytest.fixture(scope="module")
def found(model, tokens):
    return formula.quantising(model, tokens)


# --- Blocks ---


def test_each_part_has_a_row_in_the_order_of_work(model, tokens):
    run = blocks.blocks(model, tokens)
    told = level_views.blocks(run, tiles=(1, 1))
    assert told.count('<th scope="row">') == len(run.blocks) == 16
    order = [
        "Encoder:",
        "Patches",
        "Level 2",
        "Quantiser:",
        "Nearest code",
        "Codebook",
        "Decoder:",
        "Level 1",
        "Pixels",
    ]
    places = [told.index(f">{name}") for name in order[:6]] + [told.rindex(f">{name}") for name in order[6:]]
    assert places == sorted(places)
    assert "4 × 4 pixels become" in told and "tiles" not in told
    assert "1 × 48 × 12 × 16" in told and "1 × 6 × 8 × 4" in told


def test_the_clocks_are_the_sums_of_their_parts_and_tiles_are_told(tokens):
    block = blocks.Block("encoder", "patches", (1, 48, 12, 16), 2000.0, 0)
    made = (block, replace(block, part="quantiser", name="nearest", ms=40.0), replace(block, part="decoder", ms=1.0))
    run = blocks.Run((*made, replace(made[0], name="conv_in")), None, None, None, (64, 128))
    told = level_views.blocks(run, tiles=(2, 3))
    assert "The encoder took 4.0 s, choosing codes 40 ms, the decoder 1.0 ms." in told
    assert "2 × 3 tiles" in told and "64 × 128 pixels" in told
    assert told.count("width:100%") == 2 and told.count("width:2%") == 1


def test_cells_that_reach_over_the_edge_keep_their_place(model, tokens):
    told = level_views.colours(blocks.coloured(model, tokens), tokens)
    assert told.count("<img") == 3
    assert re.findall(r'class="cells" style="width:([\d.]+)%;height:([\d.]+)%"', told) == [("101.59", "106.67")] * 2
    assert told.count("aspect-ratio:63/45") == 3


# --- Numbers ---


def test_losses_of_the_whole_picture_are_told_with_how_they_were_used(found):
    told = level_views.numbers(found, codes=32, bundled=True)
    for value in (found.codebook_loss, found.commitment_loss):
        assert f'<td class="n">{level_views.number(value)}</td>' in told
    assert "β = 0.25 and without" in told and "48 cells" in told
    assert "diffusers' VQModel" in level_views.numbers(found, codes=32, bundled=False).replace("&#x27;", "'")


@pytest.mark.parametrize(
    ("value", "text"), [(0.02, "0.02000"), (77.306, "77.31"), (1234.5, "1,234"), (-0.25, "−0.2500"), (3e-7, "3.00e−07")]
)
def test_numbers_have_four_digits_that_count(value, text):
    assert level_views.number(value) == text


def test_the_browser_gets_every_cell_and_begins_where_rounding_moved_most(found):
    made = level_views.cells(found, cell=8)
    spot = made["spot"]["row"], made["spot"]["column"]
    assert spot == np.unravel_index(found.errors.argmax(), (6, 8))
    assert made["box"] == (0, 0, 64, 48) and made["range"] == (0, found.errors.max())
    assert (made["width_of_code"], made["kept"], made["beta"]) == (4, 8, 0.25)
    cell, arrays = found.cell(*map(int, spot)), made["arrays"]
    assert arrays["indices"][spot] == cell.index
    assert np.array_equal(arrays["nearest"][spot], cell.nearest)
    assert np.square(arrays["latents"][spot] - arrays["codes"][spot]).sum() == pytest.approx(cell.codebook, rel=1e-5)


# --- what the handlers answer ---


def test_both_levels_of_a_visitors_picture(visitor):
    parts, time, colours = levels._blocks(visitor.answered, visitor.shared, visitor.request)
    assert "Nearest code" in parts and not time.visible and colours.count("<img") == 3
    assert levels._blocks(visitor.answered, visitor.shared, visitor.request)[0] == parts  # timed once for a picture
    numbers, value = levels._numbers(visitor.answered, visitor.shared, visitor.request)
    assert "β = 0.25 and without" in numbers
    assert value["name"] == visitor.asked.name
    assert value["files"]["latents"]["shape"] == list(visitor.tokens.latents.shape)
    assert value["files"]["nearest"]["dtype"] == "uint16"
    folder = sessions.of(visitor.request).folder
    assert all((folder / one["url"].rsplit("/", 1)[-1]).is_file() for one in value["files"].values())
    assert levels.Quantiser().postprocess(value)["spot"] == value["spot"]


def test_without_a_picture_both_say_so(visitor):
    empty = replace(visitor.asked, picture="", source="file").text
    for answered in ("", empty):
        assert "no picture" in levels._blocks(answered, visitor.shared, visitor.request)[0]
        numbers, value = levels._numbers(answered, visitor.shared, visitor.request)
        assert "no picture" in numbers and value is None


def test_a_slow_model_runs_again_only_when_asked(visitor, monkeypatch):
    sessions.of(visitor.request).put(levels.TIMED, None, nbytes=0)
    monkeypatch.setattr(levels, "SOON_MS", -1)
    parts, time, colours = levels._blocks(visitor.answered, visitor.shared, visitor.request)
    assert time.visible and "Nearest code" not in parts and colours
    timed = levels._timed(visitor.answered, visitor.shared, visitor.request)
    assert "Nearest code" in timed
    assert levels._blocks(visitor.answered, visitor.shared, visitor.request)[0] == timed
