import io
import json
import zipfile

import pytest
from PIL import Image

from training.packs import coco_id, held_out_coco_ids, open_picture, row_of, rows_of


def png(mode: str, size: tuple[int, int], colour) -> bytes:
    content = io.BytesIO()
    Image.new(mode, size, colour).save(content, "PNG")
    return content.getvalue()


def write_pack(path, lines: list[dict], pictures: dict[str, bytes]):
    with zipfile.ZipFile(path, "w") as pack:
        pack.writestr("index.jsonl", "\n".join(json.dumps(line, ensure_ascii=False) for line in lines))
        for name, content in pictures.items():
            pack.writestr(name, content)
    return path


def test_a_photograph_and_a_drawing_have_one_form():
    photo = row_of({"file": "a.webp", "label": "cat", "label_zh": "猫", "synonyms": ["kitty"], "split": "train"})
    assert photo.names == {"en": ("cat", "kitty"), "zh": ("猫",)}
    drawing = row_of(
        {"file": "b.webp", "name": "red apple", "name_zh": "红苹果", "split": "heldout_pair", "group": "food"}
    )
    assert (drawing.names["en"], drawing.names["zh"]) == (("red apple",), ("红苹果",))
    assert (photo.group, drawing.group) == ("photo", "food")


def test_a_picture_without_label_keeps_its_captions():
    row = row_of({"file": "c.webp", "label": None, "caption": "a", "captions": ["a", "b"], "split": "train"})
    assert row.names == {"en": (), "zh": ()}
    assert row.captions["en"] == ("a", "b")


def test_a_row_without_split_is_for_testing():
    assert row_of({"file": "d.jpg", "label": "dog"}).split == "val"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("images/coco_000000000009.webp", "000000000009"),
        ("train2017/000000484641.jpg", "000000484641"),
        ("images/coco_000000000139_0.webp", "000000000139"),
        ("tiny-imagenet-200/train/n01443537/images/n01443537_147.JPEG", None),
    ],
)
def test_coco_numbers(text, number):
    assert coco_id(text) == number


def test_a_coco_picture_held_out_in_one_pack_is_held_out(tmp_path):
    train = {"file": "x.png", "source": "train2017/000000000001.jpg", "split": "train"}
    write_pack(tmp_path / "photos.zip", [train], {})
    masks = {"file": "images/coco_000000000001.webp", "source": "coco", "split": "val"}
    write_pack(tmp_path / "masks.zip", [masks, train | {"source": "train2017/000000000002.jpg"}], {})
    assert held_out_coco_ids(tmp_path) == {"000000000001"}


def test_pictures_keep_their_alpha_and_tiles_grow(tmp_path):
    pictures = {"tile.png": png("RGBA", (32, 32), (255, 0, 0, 128)), "photo.png": png("RGB", (80, 60), (1, 2, 3))}
    path = write_pack(tmp_path / "p.zip", [{"file": name} for name in pictures], pictures)
    assert [row.file for row in rows_of(path)] == list(pictures)
    with zipfile.ZipFile(path) as pack:
        tile, photo = open_picture(pack, "tile.png"), open_picture(pack, "photo.png")
    assert (tile.mode, tile.size, tile.getpixel((5, 5))) == ("RGBA", (128, 128), (255, 0, 0, 128))
    assert (photo.mode, photo.size) == ("RGB", (80, 60))
