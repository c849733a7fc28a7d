"""The named functions: the same limits and sentences as the page, over HTTP, and a PNG that comes back whole."""

import io

import numpy as np
import pytest
from PIL import Image

from pipelines.text_to_image.metadata import read_png
from tests.over_http import Visitor

DEFAULTS = ("", 20, 4.0, "ddim", 128, 128, 1, "0", 0.0, "", "en")
NAMES = (
    "negative_prompt",
    "steps",
    "guidance_scale",
    "sampler",
    "width",
    "height",
    "batch",
    "seed",
    "eta",
    "model",
    "lang",
)


def call(visitor, prompt, **given):
    values = dict(zip(NAMES, DEFAULTS, strict=True)) | given
    return visitor.call("generate", prompt, *values.values())


def test_pictures_come_back_with_their_settings(app_server):
    visitor = Visitor(app_server.url, timeout_s=180)
    answer = call(visitor, "红苹果", steps=2, batch=2, seed=str(2**53 + 1), width=100, lang="zh").values[0]
    assert answer["settings"]["seed"] == 2**53 + 1 and answer["settings"]["width"] == 104
    assert any("104" in note for note in answer["notes"])
    png = [visitor.http.get(f"/file={file['path']}").content for file in answer["pictures"]]
    assert [read_png(one)[0]["seed"] for one in png] == [2**53 + 1, 2**53 + 2]
    assert np.asarray(Image.open(io.BytesIO(png[0]))).shape == (128, 104, 3)


@pytest.mark.parametrize(
    "given",
    [{"steps": 0}, {"steps": 10**9}, {"guidance_scale": float("nan")}, {"batch": 5}, {"width": 10**6}, {"seed": "x"},
     {"seed": str(2**64)}, {"sampler": "no"}, {"model": "lucida-clip"}, {"steps": 2.5}, {"eta": None}],
)  # fmt: skip
def test_what_is_outside_gets_a_sentence(app_server, given):
    answer = call(Visitor(app_server.url, timeout_s=180), "cat", lang="zh", **{name: v for name, v in given.items()})
    assert answer.refused and any("\u4e00" <= sign <= "\u9fff" for sign in answer.sentence)


def test_tokens_are_told(app_server):
    visitor = Visitor(app_server.url, timeout_s=180)
    told = visitor.call("tokenise_prompt", "红苹果 " * 20, "", "en").values[0]
    assert told["limit"] == 32 and told["cut_from"] is not None and told["chips"][0]["kind"] == "begin"
    assert visitor.call("tokenise_prompt", "x" * 3000, "", "en").refused
