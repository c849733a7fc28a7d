import dataclasses
import io
import itertools
import json
import math
import zipfile
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from training import text_to_image, text_to_image_autoencoder
from training.drawings import load_drawings, load_pixels, on_ground, on_white
from training.text_to_image_data import ByName, CaptionConfig, Captions, WeightConfig, colour_of, load_examples

TOKENIZER = Path(__file__).parents[2] / "assets/models/zero_shot/tokenizer"
COLOURS = {"apple": "red", "leaf": "green", "sea": "blue", "lemon": "yellow"}
STYLES = {"noto": {"en": "shaded emoji", "zh": "渐变表情"}, "fx": {"en": "retro emoji", "zh": "复古表情"}}
TEACHER = """
import torch
class Perceptual(torch.nn.Module):
    def forward(self, a, b):
        return (a - b).abs().mean(dim=(1, 2, 3))
"""


def picture(colour: str, style: str) -> bytes:
    """A disc or a square on nothing."""
    drawn = Image.new("RGBA", (128, 128), (0, 0, 0, 0))
    pen = ImageDraw.Draw(drawn)
    (pen.ellipse if style == "noto" else pen.rectangle)((24, 24, 104, 104), fill=colour)
    content = io.BytesIO()
    drawn.save(content, "PNG")
    return content.getvalue()


def line(name: str, style: str, split: str = "train", **more) -> dict:
    named = {"name": name, "name_zh": f"{name}名", "tags": ["food"], "tags_zh": ["食物"], "family": name}
    return {"file": f"{name}.png", "style": style, "group": "food", "split": split, **named, **more}


def write_pack(path: Path, lines: list[dict]) -> None:
    with zipfile.ZipFile(path, "w") as pack:
        pack.writestr("index.jsonl", "\n".join(json.dumps(one, ensure_ascii=False) for one in lines))
        for one in lines:
            pack.writestr(one["file"], picture(COLOURS[one["name"]], one["style"]))


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Two packs: four trained drawings, a pair that is held out, a thing that is held out in both styles."""
    folder = tmp_path_factory.mktemp("data")
    write_pack(
        folder / "emoji_noto.zip",
        [line("apple", "noto"), line("leaf", "noto"), line("sea", "noto"), line("lemon", "noto", "val")],
    )
    write_pack(
        folder / "emoji_fx.zip",
        [line("apple", "fx"), line("leaf", "fx", "heldout_pair"), line("lemon", "fx", "val")],
    )
    (folder / "drawings_styles.json").write_text(json.dumps(STYLES), encoding="utf-8")
    prompt = {
        "id": 3,
        "prompt": "an apple, retro emoji",
        "prompt_zh": "apple名，复古表情",
        "name": "apple",
        "style": "fx",
    }
    other = prompt | {"id": 4, "name": "red apple and lemon"}
    lines = [json.dumps(one, ensure_ascii=False) for one in (prompt, other)]
    (folder / "prompts64.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (folder / "load.py").write_text(TEACHER, encoding="utf-8")
    return folder


def common(data: Path, out: Path) -> list[str]:
    paths = ["--data", str(data), "--teachers", str(data), "--out", str(out), "--device", "cpu", "--threads", "1"]
    return [*paths, "--packs", "emoji_noto", "emoji_fx"]


def autoencoder_options(data: Path, out: Path, steps: int, *more: str):
    sizes = ["--width", "16", "--blocks", "0", "0", "1", "1", "--crops", "4", "--whole-crops", "2"]
    return [*common(data, out), *sizes, "--steps", str(steps), *more]


@pytest.fixture(scope="module")
def autoencoder(data, tmp_path_factory) -> Path:
    """The folder of a run of the autoencoder's script from end to end."""
    out = tmp_path_factory.mktemp("autoencoder")
    text_to_image_autoencoder.main(autoencoder_options(data, out, 160, "--rate", "5e-3"))
    return out


def painter_options(data: Path, out: Path, autoencoder: Path, steps: int, *more: str):
    sizes = ["--channels", "16", "32", "--attention", "1", "--text-width", "16", "--text-layers", "1"]
    sizes += ["--text-heads", "2", "--batch", "4", "--pairs", "6", "--recoloured", "5"]
    paths = ["--autoencoder", str(autoencoder / "vae"), "--tokenizer", str(TOKENIZER)]
    return [*common(data, out), *paths, *sizes, "--steps", str(steps), *more]


def rows_of_curve(folder: Path) -> list[dict]:
    return torch.load(folder / "checkpoint.pt", weights_only=True)["rows"]


def same_weights(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def resumed(script, options, out: Path, *, at: int, steps: int):
    """The trainer of a run that was stopped after ``at`` steps and resumed."""
    first = script.create(script.parse(options(out, steps)))
    for _ in range(at):
        first.trainer.step(first.steps)
    first.trainer.save()
    second = script.create(script.parse([*options(out, steps), "--resume"]))
    assert second.trainer.state.step == at
    for _ in range(steps - at):
        second.trainer.step(second.steps)
    return second.trainer


# Drawings


def test_drawings_lie_on_their_ground():
    rgba = torch.zeros(1, 4, 2, 1, dtype=torch.uint8)
    rgba[0, :, 0, 0] = torch.tensor([255, 0, 0, 255])
    rgba[0, :, 1, 0] = torch.tensor([255, 0, 0, 51])  # a fifth opaque
    laid = on_ground(rgba, torch.tensor([[0.0, 1.0, 0.5]]))
    assert laid[0, :, 0, 0].tolist() == [1.0, 0.0, 0.0]
    assert laid[0, :, 1, 0].tolist() == pytest.approx([0.2, 0.8, 0.4])
    assert on_white(rgba)[0, :, 1, 0].tolist() == pytest.approx([1.0, 0.8, 0.8])


def test_splits_do_not_mix(data):
    by_split = {
        split: {(one.pack, one.file) for one in load_drawings(data, split, packs=("emoji_noto", "emoji_fx"))}
        for split in ("train", "val", "heldout_pair")
    }
    assert by_split["heldout_pair"] == {("emoji_fx", "leaf.png")}
    assert by_split["val"] == {("emoji_noto", "lemon.png"), ("emoji_fx", "lemon.png")}
    assert len(by_split["train"]) == 4
    with pytest.raises(ValueError, match="heldout"):
        load_drawings(data, "heldout", packs=("emoji_fx",))


def test_held_out_and_val_are_in_neither_training(data, autoencoder, tmp_path):
    first = text_to_image_autoencoder.create(
        text_to_image_autoencoder.parse(autoencoder_options(data, tmp_path / "a", 1))
    )
    trained = load_pixels(data, load_drawings(data, "train", packs=("emoji_noto", "emoji_fx")))
    assert torch.equal(first.steps.pixels, trained)
    second = text_to_image.create(text_to_image.parse(painter_options(data, tmp_path / "b", autoencoder, 1)))
    named = {(one.names["en"], one.style) for one in second.steps.examples.drawings}
    assert named == {("apple", "noto"), ("leaf", "noto"), ("sea", "noto"), ("apple", "fx")}
    drawn = itertools.chain(*second.steps.by_name.places)
    assert sorted(itertools.chain(*drawn)) == list(range(4))
    made = second.steps.made
    assert len(second.steps.latents) == 4 + len(made)
    assert {(part.names["en"], part.style) for one in made for part in one.parts} <= named
    held_out = second.evaluation.held_out
    assert held_out.steps.latents.shape[0] == 1
    assert held_out.captions[0].startswith(("leaf", "a leaf"))


@pytest.mark.parametrize(
    ("fill", "name"),
    [("red", "red"), ("#ffd800", "yellow"), ("#1060ff", "blue"), ("#6b4423", "brown"), ("#222", "black")],
)
def test_colours_have_their_names(fill, name):
    rgba = np.asarray(Image.open(io.BytesIO(picture(fill, "noto")))).transpose(2, 0, 1)
    assert colour_of(torch.from_numpy(rgba.copy())) == name


def test_nothing_and_a_mixture_have_no_colour():
    assert colour_of(torch.zeros(4, 8, 8, dtype=torch.uint8)) is None
    thirds = torch.zeros(4, 12, 12, dtype=torch.uint8)
    thirds[3] = 255
    for channel in range(3):
        thirds[channel, :, 4 * channel : 4 * channel + 4] = 255
    assert colour_of(thirds) is None


# Captions and draws


def test_a_share_of_a_batch_is_made(data, autoencoder, tmp_path):
    steps = text_to_image.create(text_to_image.parse(painter_options(data, tmp_path, autoencoder, 1))).steps
    assert {one.colour is None for one in steps.made} == {True, False}
    generator = torch.Generator().manual_seed(0)
    places = steps.draw(4000, generator)
    made = [place for place in places if place >= len(steps.examples)]
    assert len(made) == pytest.approx(400, abs=5 * (4000 * 0.1 * 0.9) ** 0.5)
    assert set(made) == set(range(4, 4 + len(steps.made)))
    assert steps.caption(4, torch.Generator().manual_seed(4)) == steps.made[0].caption(
        steps.captions, torch.Generator().manual_seed(4)
    )


def captions(**settings) -> Captions:
    silent = {"drop": 0.0, "style": 0.0, "article": 0.0, "tag": 0.0, "colour": 0.0, "chinese": 0.0}
    return Captions(CaptionConfig(**(silent | settings)), STYLES)


def first_drawing(data: Path):
    return load_drawings(data, "train", packs=("emoji_noto",))[0]


@pytest.mark.parametrize(
    ("settings", "caption"),
    [
        ({}, "apple"),
        ({"style": 1.0}, "apple, shaded emoji"),
        ({"style": 1.0, "chinese": 1.0}, "apple名，渐变表情"),
        ({"article": 1.0, "tag": 1.0}, "an apple, food"),
        ({"article": 1.0, "colour": 1.0}, "a green apple"),
        ({"colour": 1.0, "chinese": 1.0, "tag": 1.0}, "绿色的apple名，食物"),
        ({"drop": 1.0, "style": 1.0}, ""),
    ],
)
def test_parts_of_a_caption(data, settings, caption):
    drawn = captions(**settings).draw(first_drawing(data), "green", torch.Generator().manual_seed(0))
    assert drawn == caption


def test_captions_have_their_parts_as_often_as_asked(data):
    generator = torch.Generator().manual_seed(0)
    writer = Captions(CaptionConfig(), STYLES)
    drawing = first_drawing(data)
    drawn = [writer.draw(drawing, "red", generator) for _ in range(4000)]
    kept = [one for one in drawn if one]
    assert 1 - len(kept) / len(drawn) == pytest.approx(0.12, abs=0.02)
    assert sum("emoji" in one or "表情" in one for one in kept) / len(kept) == pytest.approx(0.7, abs=0.03)


def test_names_are_drawn_evenly_then_styles_and_people_less(data):
    apples = [first_drawing(data)] * 6
    fx = load_drawings(data, "train", packs=("emoji_fx",))
    woman = dataclasses.replace(fx[0], group="people", names={"en": "woman", "zh": "女人"})
    drawings = [*apples, *fx, woman]
    places = ByName(drawings, WeightConfig(groups={"people": 0.25})).draw(8000, torch.Generator().manual_seed(0))
    share = np.bincount(places, minlength=8) / 8000
    assert share[7] == pytest.approx(0.2, abs=0.02)  # a quarter of the apple's weight
    assert share[6] == pytest.approx(0.4, abs=0.02)  # one of the apple's two styles
    assert share[:6].sum() == pytest.approx(0.4, abs=0.02)


# Whole runs


def test_autoencoder_learns_four_pictures(data, autoencoder):
    pictures = on_white(load_pixels(data, load_drawings(data, "train", packs=("emoji_noto", "emoji_fx"))))
    trained = diffusers.AutoencoderTiny.from_pretrained(autoencoder / "vae")
    decoded = text_to_image_autoencoder.reconstruct(trained, pictures)
    assert text_to_image_autoencoder.psnr_db(pictures, decoded).mean() > 12  # about 1.5 dB before the first step
    rows = rows_of_curve(autoencoder)
    assert rows[0]["perceptual"] == 0 < rows[-1]["perceptual"]
    record = json.loads((autoencoder / "run.json").read_text(encoding="utf-8"))
    assert record["figures"]["val_pictures"] == 2
    assert record["settings"]["loop"]["seed"] == 0
    assert record["versions"]["diffusers"] == diffusers.__version__
    with Image.open(autoencoder / "sheet.png") as sheet:
        assert sheet.height == 2 * (128 + 4)


def test_latents_have_unit_variance_and_are_kept(data, autoencoder, tmp_path):
    vae = diffusers.AutoencoderTiny.from_pretrained(autoencoder / "vae")
    drawings = load_drawings(data, "train", packs=("emoji_noto", "emoji_fx"))
    examples = load_examples(vae, data, drawings, tmp_path / "latents.safetensors")
    assert examples.latents.shape == (4, 4, 16, 16)
    assert examples.latents.std().item() == pytest.approx(1.0, abs=0.01)
    again = load_examples(vae, data, drawings, tmp_path / "latents.safetensors")
    assert torch.equal(again.latents, examples.latents)
    assert again.colours == examples.colours == ("red", "green", "blue", "red")
    fewer = load_examples(vae, data, drawings[:2], tmp_path / "latents.safetensors")
    assert len(fewer.latents) == 2


def test_psnr_of_a_known_error():
    pictures = torch.full((2, 3, 4, 4), 0.5)
    others = torch.stack([pictures[0] + 0.1, pictures[1] + 0.01])
    assert text_to_image_autoencoder.psnr_db(pictures, others).tolist() == pytest.approx([20.0, 40.0], abs=1e-3)


def test_autoencoder_resumes_to_the_bit(data, tmp_path):
    def options(out, steps):
        return autoencoder_options(data, out, steps)

    whole = text_to_image_autoencoder.create(text_to_image_autoencoder.parse(options(tmp_path / "whole", 6)))
    for _ in range(6):
        whole.trainer.step(whole.steps)
    parts = resumed(text_to_image_autoencoder, options, tmp_path / "parts", at=2, steps=6)
    assert same_weights(parts.model, whole.trainer.model)
    assert same_weights(parts.average, whole.trainer.average)


def test_painter_resumes_to_the_bit(data, autoencoder, tmp_path):
    def options(out, steps):
        return painter_options(data, out, autoencoder, steps)

    whole = text_to_image.create(text_to_image.parse(options(tmp_path / "whole", 6)))
    for _ in range(6):
        whole.trainer.step(whole.steps)
    parts = resumed(text_to_image, options, tmp_path / "parts", at=4, steps=6)
    assert same_weights(parts.model, whole.trainer.model)
    assert same_weights(parts.average, whole.trainer.average)


def test_painter_learns_four_pictures_and_becomes_a_pipeline(data, autoencoder, tmp_path):
    text_to_image.main(painter_options(data, tmp_path, autoencoder, 60, "--rate", "4e-3", "--average", "0.9"))
    first = text_to_image.create(text_to_image.parse(painter_options(data, tmp_path / "fresh", autoencoder, 1)))
    record = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert record["figures"]["seen"] < 0.8 * first.evaluation.seen(first.trainer.average)
    assert math.isfinite(record["figures"]["held_out"])
    assert record["figures"]["distance_zh"] > 0  # only the first prompt has a real drawing
    for name in ("sheet_en.png", "sheet_zh.png", "curve.csv", "curve.png"):
        assert (tmp_path / name).stat().st_size > 100
    files = [file for file in (tmp_path / "pipeline").rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) == record["figures"]["pipeline_bytes"]
    assert max(file.stat().st_size for file in files) < 9.5 * 2**20
    assert not [file for file in files if ".fp16." in file.name]

    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(
        tmp_path / "pipeline", dtype=torch.float32, use_safetensors=True
    )
    generator = torch.Generator().manual_seed(0)
    drawn = pipeline(["apple", ""], num_inference_steps=3, generator=generator, output_type="np").images
    assert drawn.shape == (2, 128, 128, 3)
    assert np.isfinite(drawn).all()
    assert drawn.std() > 0
    assert pipeline.scheduler.config.prediction_type == "v_prediction"
    saved, trained = pipeline.unet.conv_in.weight, torch.load(tmp_path / "checkpoint.pt", weights_only=True)["average"]
    torch.testing.assert_close(saved, trained["unet.conv_in.weight"].half().float())


def test_moments_penalty_is_nought_for_unit_channels_alone():
    values = torch.tensor([-1.0, 1.0, -1.0, 1.0]).view(1, 1, 2, 2)
    unit = values / values.std()
    assert text_to_image_autoencoder.moments_penalty(unit).item() == pytest.approx(0, abs=1e-12)
    assert text_to_image_autoencoder.moments_penalty(unit + 2).item() == pytest.approx(4)
    assert text_to_image_autoencoder.moments_penalty(3 * unit).item() == pytest.approx(4)


def test_an_autoencoder_starts_from_another_ones_weights(data, autoencoder, tmp_path):
    options = autoencoder_options(data, tmp_path / "next", 1, "--start", str(autoencoder / "vae"))
    run = text_to_image_autoencoder.create(text_to_image_autoencoder.parse(options))
    first = diffusers.AutoencoderTiny.from_pretrained(autoencoder / "vae").state_dict()
    for model in (run.trainer.model, run.trainer.average):
        for name, value in model.state_dict().items():
            torch.testing.assert_close(value, first[name], rtol=0, atol=0)


def test_with_the_decoder_alone_latents_stay(data, autoencoder, tmp_path):
    options = autoencoder_options(data, tmp_path, 3, "--start", str(autoencoder / "vae"), "--decoder-only")
    text_to_image_autoencoder.main(options)
    old, new = (diffusers.AutoencoderTiny.from_pretrained(folder / "vae") for folder in (autoencoder, tmp_path))
    assert same_weights(old.encoder, new.encoder)
    assert not same_weights(old.decoder, new.decoder)
    assert new.config.scaling_factor == old.config.scaling_factor
    with pytest.raises(SystemExit):
        text_to_image_autoencoder.parse(autoencoder_options(data, tmp_path, 3, "--decoder-only"))
