"""The named functions: the same limits and sentences as the page, over HTTP, and files that come back whole."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from demos.tokenise import examples
from pipelines.tokenise import container
from tests.over_http import CHINESE, Visitor


@pytest.fixture(scope="module")
def visitor(app_server) -> Visitor:
    return Visitor(app_server.url, timeout_s=300)


@pytest.fixture(scope="module")
def picture(visitor) -> dict:
    return visitor.upload(examples.find("cat").path.read_bytes(), "cat.jpg")


@pytest.fixture(scope="module")
def answer(visitor, picture) -> dict:
    return visitor.call("tokenise", picture, 128, "", "en").values[0]


def file_of(visitor, made: dict) -> bytes:
    return visitor.http.get(f"/file={made['path']}").content


def pixels_of(visitor, made: dict) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(file_of(visitor, made))))


def back(visitor, *, file=None, indices=None, width=0, height=0, model="", lang="en"):
    return visitor.call("detokenise", file, indices, width, height, model, lang)


def test_a_picture_becomes_a_grid_and_a_picture_again(visitor, answer):
    indices = np.array(answer["indices"])
    assert indices.shape == (answer["rows"], answer["columns"]) and indices.max() < answer["codes"]
    assert max(answer["width"], answer["height"]) == 128
    assert answer["bytes"] == -(-indices.size * answer["bits_per_token"] // 8)
    assert pixels_of(visitor, answer["reconstruction"]).shape == (answer["height"], answer["width"], 3)
    json.dumps(answer, allow_nan=False)


def test_its_file_and_its_numbers_paint_the_same_picture(visitor, answer):
    data = file_of(visitor, answer["vq"])
    assert container.unpack(data).indices.tolist() == answer["indices"]
    from_file = back(visitor, file=visitor.upload(data, "tokens.vq")).values[0]
    size = {"width": answer["width"], "height": answer["height"]}
    from_numbers = back(visitor, indices=answer["indices"], **size).values[0]
    expected = pixels_of(visitor, answer["reconstruction"])
    for made in (from_file, from_numbers):
        assert made["model"] == answer["model"]
        assert np.array_equal(pixels_of(visitor, made["reconstruction"]), expected)


@pytest.mark.parametrize(
    "given",
    [{"indices": None}, {"indices": []}, {"indices": [[1, 2], [3]]}, {"indices": [[1.5]]}, {"indices": [[-1]]},
     {"indices": [[1024]]}, {"indices": [1, 2]}, {"indices": "[["}, {"indices": [["a"]]}, {"indices": [[2**70]]},
     {"indices": [[1]], "width": 9}, {"indices": [[1, 2]], "width": 7}, {"indices": [[1]], "height": -1},
     {"indices": [[1]], "width": float("nan")}, {"indices": [[1]], "model": "lucida-masked"},
     {"indices": [[1]], "model": "lucida-clip"}, {"indices": [[1]], "model": "nobody"},
     {"file": {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}}],
)  # fmt: skip
def test_what_is_no_grid_is_refused_in_a_sentence(visitor, given):
    refused = back(visitor, **given, lang="zh")
    assert refused.refused, refused
    if "file" not in given:
        assert any(ord(letter) in CHINESE for letter in refused.sentence), refused


def test_a_damaged_file_is_refused_in_a_sentence(visitor, answer):
    data = bytearray(file_of(visitor, answer["vq"]))
    data[-9] ^= 255
    refused = back(visitor, file=visitor.upload(bytes(data), "tokens.vq"))
    assert "damaged" in refused.sentence


@pytest.mark.parametrize("given", [(300, ""), (0, ""), ("256", ""), (None, ""), (128, "lucida-masked"), (128, "x")])
def test_a_size_or_model_that_the_page_does_not_offer_is_refused(visitor, picture, given):
    refused = visitor.call("tokenise", picture, *given, "zh")
    assert refused.refused and any(ord(letter) in CHINESE for letter in refused.sentence), refused


def test_without_a_picture_there_is_nothing_to_do(visitor):
    assert "picture" in visitor.call("tokenise", None, 128, "", "en").sentence
