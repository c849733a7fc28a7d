import io
import json
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from training.drawings import load_drawings, load_pixels, on_white
from training.text_to_image_data import CaptionConfig, Captions, Examples, colour_of
from training.text_to_image_made import (
    Made,
    asked_compositions,
    draw_pairs,
    draw_recoloured,
    load_made,
    name_without_colour,
    pictures_of,
    recolour,
    side_by_side,
)

STYLES = {"noto": {"en": "shaded emoji", "zh": "渐变表情"}}
THINGS = {  # name: Chinese name, colour, tags
    "red apple": ("红苹果", "red", ["fruit"]),
    "sea": ("海", "blue", ["water"]),
    "automobile": ("汽车", "#ff9100", ["car"]),
    "elephant": ("大象", "#909090", ["animal"]),
    "coal": ("煤", "black", ["fuel"]),
    "dark red potion": ("深红药水", "red", []),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """One pack of plain squares, and prompts that ask for three combinations."""
    folder = tmp_path_factory.mktemp("data")
    lines = []
    with zipfile.ZipFile(folder / "emoji_noto.zip", "w") as pack:
        for name, (chinese, colour, tags) in THINGS.items():
            picture = Image.new("RGBA", (128, 128), (0, 0, 0, 0))
            picture.paste(Image.new("RGBA", (64, 64), colour), (32, 32))
            content = io.BytesIO()
            picture.save(content, "PNG")
            pack.writestr(f"{name}.png", content.getvalue())
            line = {"file": f"{name}.png", "name": name, "name_zh": chinese, "tags": tags, "tags_zh": []}
            lines.append(line | {"style": "noto", "group": "objects", "split": "train", "family": name})
        pack.writestr("index.jsonl", "\n".join(json.dumps(line, ensure_ascii=False) for line in lines))
    asked = [("blue apple", "composition"), ("purple car", "composition"), ("red apple and sea", "composition")]
    prompts = [json.dumps({"name": name, "kind": kind}) for name, kind in [*asked, ("coal", "seen")]]
    (folder / "prompts64.jsonl").write_text("\n".join(prompts), encoding="utf-8")
    return folder


def examples_of(data: Path) -> Examples:
    drawings = load_drawings(data, "train", packs=("emoji_noto",))
    return Examples(tuple(drawings), torch.empty(0), tuple(map(colour_of, load_pixels(data, drawings))))


def drawing(data: Path, name: str):
    return next(one for one in load_drawings(data, "train", packs=("emoji_noto",)) if one.names["en"] == name)


def square(colour: str) -> torch.Tensor:
    red, green, blue = Image.new("RGB", (1, 1), colour).getpixel((0, 0))
    return torch.tensor([red, green, blue, 255], dtype=torch.uint8)[:, None, None].expand(4, 8, 8)


def test_what_the_prompts_ask_for_is_never_made(data):
    avoided = asked_compositions(data / "prompts64.jsonl")
    assert avoided == {frozenset({"blue", "apple"}), frozenset({"purple", "car"}), frozenset({"red apple", "sea"})}
    tinted = {(one.parts[0].names["en"], one.colour) for one in draw_recoloured(examples_of(data), 99, avoided=avoided)}
    assert ("red apple", "blue") not in tinted
    assert ("automobile", "purple") not in tinted  # its tags say that it is a car
    assert {("red apple", "green"), ("automobile", "blue"), ("sea", "purple")} <= tinted
    assert ("red apple", "blue") in {
        (one.parts[0].names["en"], one.colour) for one in draw_recoloured(examples_of(data), 99, avoided=set())
    }
    pairs = draw_pairs(load_drawings(data, "train", packs=("emoji_noto",)), 300, avoided=avoided)
    names = [{part.names["en"] for part in one.parts} for one in pairs]
    assert len(pairs) == 300
    assert {"red apple", "sea"} not in names
    assert {"red apple", "coal"} in names
    assert all(len(pair) == 2 for pair in names)


def test_without_prompts_nothing_is_avoided(data):
    assert asked_compositions(data / "missing.jsonl") == set()


def test_one_thing_alone_makes_no_pair(data):
    assert draw_pairs([drawing(data, "sea")], 5, avoided=set()) == []


def test_recoloured_drawings_take_turns_by_name(data):
    chosen = draw_recoloured(examples_of(data), 4, avoided=set())
    assert {one.parts[0].names["en"] for one in chosen} == {"red apple", "sea", "automobile", "elephant"}
    every = draw_recoloured(examples_of(data), 99, avoided=set())
    assert len({(one.parts[0].names["en"], one.colour) for one in every}) == len(every)
    assert all(one.colour != one.was for one in every)


@pytest.mark.parametrize(
    ("fill", "was"), [("red", "red"), ("#ffd800", "yellow"), ("#c0c0c0", "grey"), ("#fff", "white")]
)
@pytest.mark.parametrize("colour", ["orange", "green", "blue", "purple", "pink"])
def test_a_colour_becomes_another_and_the_rest_stays(fill, was, colour):
    rgba = square(fill).clone()
    rgba[:3, :2] = 0  # a black edge
    rgba[:3, 2:4] = square("#10a0a0")[:3, 2:4]  # turquoise, far from all of these
    rgba[3, 7] = 0
    changed = recolour(rgba, was=was, colour=colour)
    assert colour_of(torch.cat([changed[:3, 4:], rgba[3:, 4:]])) == colour
    assert torch.equal(changed[:, :4], rgba[:, :4])
    assert torch.equal(changed[3], rgba[3])


def test_pairs_stand_side_by_side_at_half_their_size():
    left, right = torch.zeros(1, 3, 128, 128), torch.full((1, 3, 128, 128), 0.5)
    canvas = side_by_side(left, right)
    assert (canvas[..., 32:96, :64] == 0).all()
    assert (canvas[..., 32:96, 64:] == 0.5).all()
    assert (canvas[..., :32, :] == 1).all()
    assert (canvas[..., 96:, :] == 1).all()


def test_names_lose_their_colour_only_where_it_is_plain(data):
    assert name_without_colour(drawing(data, "red apple")) == {"en": "apple", "zh": "苹果"}
    assert name_without_colour(drawing(data, "sea")) == {"en": "sea", "zh": "海"}
    assert name_without_colour(drawing(data, "dark red potion")) is None


@pytest.mark.parametrize(
    ("settings", "pair", "tinted"),
    [
        ({}, "red apple and sea", {"green apple"}),
        ({"article": 1.0, "style": 1.0}, "a red apple and a sea, shaded emoji", {"a green apple, shaded emoji"}),
        ({"chinese": 1.0}, "红苹果和海", {"绿色的苹果", "绿色苹果", "绿苹果"}),
        (
            {"chinese": 1.0, "style": 1.0},
            "红苹果和海，渐变表情",
            {f"绿{form}苹果，渐变表情" for form in ("色的", "色", "")},
        ),
        ({"drop": 1.0}, "", {""}),
    ],
)
def test_captions(data, settings, pair, tinted):
    silent = {"drop": 0.0, "style": 0.0, "article": 0.0, "tag": 0.0, "colour": 0.0, "chinese": 0.0}
    captions = Captions(CaptionConfig(**(silent | settings)), STYLES)
    apple, sea = drawing(data, "red apple"), drawing(data, "sea")
    generator = torch.Generator().manual_seed(0)
    assert Made((apple, sea)).caption(captions, generator) == pair
    assert {Made((apple,), "green", "red").caption(captions, generator) for _ in range(60)} == tinted


class Shrinking(torch.nn.Linear):
    """An autoencoder whose latents are the picture at 16 x 16 px."""

    def __init__(self):
        super().__init__(1, 1)
        self.config, self.device = SimpleNamespace(scaling_factor=2.0), torch.device("cpu")

    def encode(self, pictures: torch.Tensor) -> SimpleNamespace:
        return SimpleNamespace(latents=torch.nn.functional.avg_pool2d(pictures, 8))


def test_latents_are_those_of_the_pictures_and_failures_are_left_out(data, tmp_path):
    apple, coal, sea = (drawing(data, name) for name in ("red apple", "coal", "sea"))
    made = [Made((apple, sea)), Made((coal,), "blue", "grey"), Made((apple,), "green", "red")]
    kept, latents = load_made(Shrinking(), data, made, tmp_path / "made.safetensors")
    assert kept == [made[0], made[2]]  # black has no hue to turn
    pictures, right = pictures_of(data, made)
    assert right == [True, False, True]
    expected = 2 * torch.nn.functional.avg_pool2d(pictures * 2 - 1, 8)[[0, 2]]
    torch.testing.assert_close(latents, expected)
    white = on_white(load_pixels(data, [apple]))
    assert pictures[2, 1].sum() > white[0, 1].sum()  # it is green now


def test_latents_are_computed_once_and_anew_for_another_list(data, tmp_path, monkeypatch):
    vae, cache = Shrinking(), tmp_path / "made.safetensors"
    made = draw_recoloured(examples_of(data), 3, avoided=set())
    first = load_made(vae, data, made, cache)
    monkeypatch.setattr(Shrinking, "encode", None)
    again = load_made(vae, data, made, cache)
    assert again[0] == first[0]
    assert torch.equal(again[1], first[1])
    with pytest.raises(TypeError):
        load_made(vae, data, made[:2], cache)
