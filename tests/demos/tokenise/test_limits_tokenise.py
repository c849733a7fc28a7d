"""Bad input to the Tokenise tab through real HTTP: a sentence or a right answer, and the good call answers as before.

The named functions, and the page's own handlers with forged values of hidden components (V10).
"""

import base64
import json
import math
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pipelines.tokenise.container import pack
from tests import odd_pictures as odd
from tests.demos.tokenise.visiting import Page
from tests.over_http import Visitor, check_sentence

SAMPLE = (
    *("I01_empty_file", "I02_text", "I03_cut_png", "I04_pixel_bomb_20000", "I12_animated_gif", "I17_a_strip"),
    *("I09_palette_with_transparency", "I20_svg", "I23_bmp_top_down"),
)
NAN, INFINITE = math.nan, math.inf
GRID = np.arange(16).reshape(4, 4)
FACTS = {"size": (32, 30), "model_id": "lucida-vqgan", "codes": 1024, "cell": 8}
GOOD = pack(GRID, **FACTS)


@pytest.fixture(scope="module")
def visitor(app_server):
    somebody = Visitor(app_server.url, timeout_s=180)
    picture = somebody.upload(odd.plain())
    before = codes(tokenise(somebody, picture))
    yield somebody
    assert codes(tokenise(somebody, picture)) == before


@pytest.fixture(scope="module")
def cat(visitor):
    return visitor.upload(odd.plain())


def tokenise(visitor, picture, size=128, model="", lang="en"):
    return visitor.call("tokenise", picture, size, model, lang)


def paint(visitor, file=None, indices=None, width=0, height=0, model="", lang="en"):
    return visitor.call("detokenise", file, indices, width, height, model, lang)


def codes(answer) -> list[list[int]]:
    assert not answer.refused, answer.sentence
    return answer.values[0]["indices"]


def refused(answer, lang="en") -> str:
    """The sentence of a refusal that is a visitor's and not a fault of ours."""
    assert answer.refused, answer.values
    check_sentence(answer.sentence, lang)
    assert "our side" not in answer.sentence and "我们这边" not in answer.sentence, answer.sentence
    return answer.sentence


# --- I: pictures ---


@pytest.mark.parametrize("name", SAMPLE)
def test_a_picture(visitor, name):
    case = next(case for case in odd.CASES if case.name == name)
    answer = tokenise(visitor, visitor.upload(case.make(), case.file), lang="zh")
    if answer.refused:
        assert case.outcome != "answer", answer.sentence
        refused(answer, "zh")
    else:
        assert case.outcome != "refuse"
        assert np.shape(codes(answer)) == (11, 16)


@pytest.mark.parametrize("orientation", [3, 6])
def test_I14_a_turned_twin_gets_the_same_codes(visitor, orientation):
    upright, turned = (codes(tokenise(visitor, visitor.upload(odd.turned(number)))) for number in (1, orientation))
    assert upright == turned


def test_a_picture_that_becomes_lower_than_a_token_is_refused(visitor):
    strip = visitor.upload(odd.saved(odd.photo().resize((1000, 55)), "PNG"))
    assert "8 × 8" in refused(tokenise(visitor, strip))


# --- V: values ---


@pytest.mark.parametrize("size", [NAN, INFINITE, -1, 0, 300, 256.5, "256", None, True, [256], 10**30], ids=repr)
def test_V01_a_size_that_is_not_offered(visitor, cat, size):
    refused(tokenise(visitor, cat, size))


@pytest.mark.parametrize(
    "model", ["nothing", "../../etc/passwd", "lucida-masked", "lucida-clip", "\ud800", 7, None, ["a"]], ids=repr
)
def test_V09_a_model_that_cannot_be_meant(visitor, cat, model):
    refused(tokenise(visitor, cat, model=model, lang="zh"), "zh")
    refused(paint(visitor, indices=[[1]], model=model))


WRONG_GRIDS = (
    [], [[]], [[1, 2], [3]], [[1.5]], [[True]], [["a"]], [[None]], "[[1,2],", "[" * 100_000, [[1024]], [[-1]],
    [[2**70]], [[NAN]], [1, 2], [[[1]]], 7, True, {"a": 1}, [[0] * 300] * 300, [[0] * 3000], [{"a": 1}],
)  # fmt: skip


@pytest.mark.parametrize("grid", WRONG_GRIDS, ids=lambda grid: str(grid)[:16])
def test_a_grid_that_cannot_be_painted(visitor, grid):
    refused(paint(visitor, indices=grid))


@pytest.mark.parametrize("side", [17, -1, 8, NAN, INFINITE, "16", None, True, [1], 10**30], ids=repr)
def test_a_side_that_its_codes_do_not_cover(visitor, side):
    refused(paint(visitor, indices=[[1, 2], [3, 4]], width=side))


@pytest.mark.parametrize(
    ("place", "value"),
    [(2, 7), (2, ["a"]), (2, "x" * 201), (3, NAN), (3, 11), (3, "1"), (4, 0), (4, 2.5), (4, 10**9), (5, -0.1),
     (5, None), (6, -1), (6, 2**53 + 1), (8, "lucida-vqvae"), (1, [[NAN] * 4]), (1, [[5, 5, 1, 1]]), (1, "all")],
)  # fmt: skip
def test_a_hole_that_cannot_be_filled(visitor, cat, place, value):
    wanted = [cat, [[0, 0, 50, 50]], "", 2, 1, 1, 0, 128, "lucida-vqgan", "en"]
    refused(visitor.call("fill_hole", *wanted[:place], value, *wanted[place + 1 :]))


# --- .vq files ---


def sealed(content: bytes) -> bytes:
    return content + struct.pack("<I", zlib.crc32(content))


def altered(**facts) -> bytes:
    return pack(np.zeros((4, 4), int), **FACTS | facts)


FILES = {
    "empty": (b"", "cut off"),
    "cut": (GOOD[:30], "cut off"),
    "longer": (GOOD + b"\0", "something was added"),
    "one_bit": (GOOD[:40] + bytes([GOOD[40] ^ 1]) + GOOD[41:], "damaged"),
    "newer": (GOOD[:4] + b"\x09" + GOOD[5:], "version 9"),
    "picture": (odd.plain()[:5000], "not a .vq file"),
    "large": (GOOD + bytes(2**20), "largest"),
    "huge_in_its_header": (sealed(GOOD[:12] + b"\xff" * 8 + GOOD[20:-4]), "65536"),
    "beyond_the_codebook": (sealed(GOOD[:8] + struct.pack("<I", 520) + GOOD[12:32] + b"\xff" * 20), "codes are 0 to"),
    "unknown_model": (altered(model_id="<b>x</b>"), "<b>x</b>"),
    "another_tabs_model": (altered(model_id="lucida-clip"), "lucida-clip"),
    "second_stage": (altered(model_id="lucida-masked"), "lucida-masked"),
    "other_codebook": (altered(codes=2048), "2048 codes"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_vq_file_that_is_none_or_not_for_here(visitor, name):
    data, says = FILES[name]
    assert says in refused(paint(visitor, visitor.upload(data, "tokens.vq")))


def test_a_vq_file_that_was_saved_here_is_painted(visitor, cat):
    made = tokenise(visitor, cat).values[0]
    data = visitor.http.get(f"/file={made['vq']['path']}").content
    assert len(data) == made["bytes"] + 36
    painted = paint(visitor, visitor.upload(data, "tokens.vq")).values[0]
    assert (painted["width"], painted["height"]) == (made["width"], made["height"])
    pictures = [visitor.http.get(f"/file={each['reconstruction']['path']}").content for each in (made, painted)]
    assert pictures[0] == pictures[1]


@pytest.mark.parametrize("thing", ["/etc/passwd", {"path": "app.py"}, 7, True, [1], {"path": 7}, "a\0b", "\ud800"])
def test_I25_a_file_that_was_not_uploaded(visitor, thing):
    refused(paint(visitor, thing))


# --- V10: what the page holds, forged ---


@pytest.fixture(scope="module")
def page(app_server):
    return Page(app_server.url)


def packed(array: np.ndarray) -> dict:
    data = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
    return {"dtype": str(array.dtype), "shape": list(array.shape), "data": data}


@pytest.fixture(scope="module")
def sent(page):
    """What the page sends to the handler of an edit: the board as it stands, `answered`, the language."""
    shown, answered, _ = page.given("_on_edit")
    names = ("name", "rows", "columns", "codes", "indices", "source")
    board = {name: shown[name] for name in names}
    rest = {"other": None, "hole": None, "selected": [0, 0], "region": None, "serial": 1}
    assert not page.act("_on_edit", [board | rest, answered, "en"]).refused
    return board | rest, answered


BOARDS = (
    {"rows": 10**9}, {"rows": 65_536, "columns": 65_536}, {"rows": 1.0}, {"rows": True}, {"codes": 0},
    {"codes": 65_537}, {"indices": None}, {"indices": {}}, {"name": 7}, {"name": ""}, {"source": ["a"]}, {"serial": -1},
    {"selected": [-1, 0]}, {"selected": [NAN, 0]}, {"region": [5, 5, 1, 1]}, {"hole": 7}, {"other": "x"},
)  # fmt: skip


@pytest.mark.parametrize("handler", ["_on_edit", "save", "on_look", "on_shuffle", "on_shown"])
def test_V10_a_forged_board_is_refused(page, sent, handler):
    board, answered = sent
    shape = (board["rows"], board["columns"])
    forged = [board | changed for changed in BOARDS]
    for wrong in (1024, 65_535):  # beyond the codebook that is claimed, and beyond the model's where more is claimed
        beyond = packed(np.full(shape, wrong, np.uint16))
        forged += [board | {"indices": beyond}, board | {"indices": beyond, "codes": 65_536}]
    garbled = {**board["indices"], "data": "!" * len(board["indices"]["data"])}
    forged += [board | {"indices": garbled}, board | {"indices": packed(np.zeros((3, 3), np.uint16))}, 7, "x", [1], {}]
    values = page.given(handler)
    for wrong in forged:
        told = page.act(handler, [wrong, answered, *values[2:-1], "en"])
        if not (handler == "on_look" and not told.refused):  # a look at a code beyond the model's is a refusal as well
            refused(told)


@pytest.mark.parametrize("handler", ["_on_edit", "on_shown", "save", "_on_rivals", "on_random", "seen"])
def test_V10_a_forged_question_is_refused(page, sent, handler):
    board, answered = sent
    question, values = json.loads(answered), page.given(handler)
    forged = [{**question, **changed} for changed in (
        {"picture": 7}, {"longest": 300}, {"longest": None}, {"model_id": "lucida-masked"}, {"model_id": ["a"]},
        {"source": "x"}, {"size": [1]}, {"size": [NAN, 1]}, {"more": 1},
    )]  # fmt: skip
    at = next(place for place, value in enumerate(values) if isinstance(value, str) and value == answered)
    for wrong in [*map(json.dumps, forged), "{", "[" * 100_000, "7", "null", '"a"']:
        sending = [board if place < at else value for place, value in enumerate(values)]
        sending[at], sending[-1] = wrong, "en"
        refused(page.act(handler, sending))


@pytest.mark.parametrize("changed", [{"longest": 128}, {"picture": "/etc/passwd"}, {"picture": "app.py"}], ids=repr)
def test_V10_a_question_that_is_not_the_boards_is_refused(app_server, sent, changed):
    """In a session that holds no grid yet, so that the question is looked up."""
    board, answered = sent
    refused(Page(app_server.url).act("on_shown", [board, json.dumps({**json.loads(answered), **changed}), "", "en"]))


@pytest.mark.parametrize("level", [{}, [], {"a": 1}, 7, None, "nothing"], ids=repr)
def test_V10_a_level_that_does_not_exist_shows_nothing(page, level):
    answered = page.given("on_level")[1]
    assert not page.act("on_level", [level, answered, "en"]).refused


def test_T05_a_lone_surrogate_does_not_end_the_stream(page):
    refused(page.act("on_choice", ["\ud800", "en"]))
    assert not page.act("on_choice", ["", "en"]).refused


# --- S: sessions ---


def test_S01_two_visitors_each_get_their_own(app_server, visitor):
    pictures = [odd.plain(), (odd.PHOTO.parent / "bee.jpg").read_bytes()]
    alone = [codes(tokenise(visitor, visitor.upload(data))) for data in pictures]

    def thrice(number: int) -> list:
        somebody = Visitor(app_server.url, timeout_s=180)
        picture = somebody.upload(pictures[number % 2])
        return [codes(tokenise(somebody, picture)) for _ in range(3)]

    with ThreadPoolExecutor(4) as pool:
        for number, answers in enumerate(pool.map(thrice, range(4))):
            assert answers == [alone[number % 2]] * 3
    assert alone[0] != alone[1]


def test_S01_one_visitors_grid_is_not_anothers(app_server, page, sent):
    """Random codes lie in the session that asked for them: another page that names them gets a sentence."""
    board, answered = sent
    values = page.given("on_random")
    shown, named = page.act("on_random", [answered, *values[1:-1], "en"]).values
    assert json.loads(named)["source"] == "random"
    somebody = Page(app_server.url)
    stranger = {**board, "name": shown["name"], "source": "random", "indices": shown["indices"]}
    refused(somebody.act("_on_edit", [stranger, named, "en"]))
    assert not page.act("_on_edit", [stranger, named, "en"]).refused
