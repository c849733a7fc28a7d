import io
import json
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from pipelines.runtime.device import CPU
from pipelines.tokenise.models import load_folder
from training import evaluate_tokenise, tokenise
from training.tokenise_data import Crops, centre
from training.tokenise_model import Student, VQConfig, hinge, k_means

TEACHER = """
import torch
class Perceptual(torch.nn.Module):
    def forward(self, a, b):
        return (a - b).abs().mean(dim=(1, 2, 3))
"""
TINY = VQConfig(patch=4, layers=1, widths=(16, 16), codes=16, code_width=4, latent_width=8, restart_after=3)


def picture(seed: int, height: int, width: int) -> np.ndarray:
    """Soft stripes of a colour of its own."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x * rng.uniform(0.05, 0.2) + y * rng.uniform(0.05, 0.2)) for _ in range(3)]
    return (127 + 100 * np.stack(waves, axis=2)).astype(np.uint8)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Sharp pictures, one of them val and one as large as the evaluation wants; no other packs."""
    folder = tmp_path_factory.mktemp("data")
    sizes = {
        "a.png": (96, 128, "train"),
        "b.png": (128, 96, "train"),
        "c.png": (96, 96, "val"),
        "d.png": (270, 300, "val"),
    }
    with zipfile.ZipFile(folder / "masks_objects.zip", "w") as pack:
        lines = [{"file": name, "split": split, "source": "ecssd"} for name, (_, _, split) in sizes.items()]
        pack.writestr("index.jsonl", "\n".join(json.dumps(line) for line in lines))
        for seed, (name, (height, width, _)) in enumerate(sizes.items()):
            content = io.BytesIO()
            Image.fromarray(picture(seed, height, width)).save(content, "PNG")
            pack.writestr(name, content.getvalue())
    (folder / "load.py").write_text(TEACHER, encoding="utf-8")
    return folder


def options(data: Path, out: Path, steps: int, *more: str) -> list[str]:
    paths = ["--data", str(data), "--teachers", str(data), "--out", str(out), "--device", "cpu"]
    packs = ["--photos", "--drawings", "--sharp", "masks_objects"]
    widths = ["--widths", "16", "16", "--code-width", "4", "--latent-width", "8"]
    shape = ["--patch", "4", "--layers", "1", "--codes", "16", *widths]
    sizes = ["--crops", "4", "--crop-px", "32", "--large-crops", "2", "--large-px", "64"]
    return [*paths, *packs, *shape, *sizes, "--steps", str(steps), *more]


def test_crops_are_drawn_by_number_and_lie_in_their_picture():
    whole = picture(0, 40, 60)
    crops = Crops({"sharp": [whole], "drawing": []}, seed=0)
    assert np.array_equal(crops.crop(7, 32), crops.crop(7, 32))
    windows = np.lib.stride_tricks.sliding_window_view(whole, (32, 32, 3))[:, :, 0].reshape(-1, 32, 32, 3)
    for index in range(4):
        crop = crops.crop(index, 32)
        assert any(np.array_equal(crop, one) or np.array_equal(crop[:, ::-1], one) for one in windows)


def test_transparent_drawings_stand_on_white_or_on_a_colour():
    drawing = np.zeros((1, 128, 128, 4), np.uint8)
    corners = [Crops({"drawing": drawing}, seed=0).crop(index, 64) for index in range(20)]
    assert all((corner == corner[0, 0]).all() for corner in corners)
    white = [bool((corner == 255).all()) for corner in corners]
    assert 3 < sum(white) < 17


def test_centre_is_the_middle_in_whole_cells():
    assert centre(np.zeros((270, 300, 3), np.uint8), 256).shape == (256, 256, 3)
    assert centre(np.arange(30)[:, None, None].repeat(20, 1), 256).shape == (24, 16, 1)
    assert centre(np.arange(30)[:, None, None].repeat(20, 1), 256)[0, 0, 0] == 3


def test_gradients_pass_straight_through_and_codes_stay():
    student = Student(TINY)
    latents = torch.randn(1, 4, 3, 3, requires_grad=True)
    quantised = student.quantise(latents)
    (quantised.straight * torch.arange(36.0).view(1, 4, 3, 3)).sum().backward()
    assert torch.equal(latents.grad, torch.arange(36.0).view(1, 4, 3, 3))
    torch.testing.assert_close(quantised.straight, quantised.codes)
    assert not student.vq.quantize.embedding.weight.requires_grad
    assert Student(VQConfig(widths=(16,), ema=0.0)).vq.quantize.embedding.weight.requires_grad


def test_k_means_finds_separate_clouds():
    generator = torch.Generator().manual_seed(0)
    clouds = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    vectors = clouds.repeat_interleave(50, dim=0) + 0.1 * torch.randn(150, 2, generator=generator)
    centres = k_means(vectors, 3, generator)
    assert sorted(torch.cdist(centres, clouds).argmin(dim=1).tolist()) == [0, 1, 2]
    with pytest.raises(ValueError, match="too few"):
        k_means(vectors[:2], 3, generator)


def test_codes_follow_the_mean_of_what_chose_them_and_idle_ones_restart():
    generator, student = torch.Generator().manual_seed(0), Student(TINY)
    student.start(torch.randn(8, 4, 4, 4, generator=generator), generator)
    target = torch.full((1, 4, 4, 4), 0.7)
    chosen = student.quantise(target).indices.unique()
    assert len(chosen) == 1
    for _ in range(600):
        student.follow(student.quantise(target), generator, restart=False)
    torch.testing.assert_close(student.vq.quantize.embedding.weight[chosen[0]], target[0, :, 0, 0], atol=1e-2, rtol=0)
    assert (student.idle > 3).sum() == 15
    student.follow(student.quantise(target), generator, restart=True)
    assert (student.vq.quantize.embedding.weight - 0.7).abs().max() < 1e-2
    assert student.idle.max() <= 1


def test_hinge_by_hand():
    assert hinge(torch.tensor([2.0, 0.0]), torch.tensor([-3.0, 1.0])).item() == pytest.approx(0.5 * (0.5 + 1.0))


@pytest.fixture(scope="module")
def run(data, tmp_path_factory) -> Path:
    """The folder of a run of the L2 twin from end to end."""
    out = tmp_path_factory.mktemp("vqvae")
    tokenise.main(options(data, out, 90, "--rate", "1e-2", "--codes", "64", "--average", "0.9"))
    return out


def test_a_run_learns_and_writes_what_the_app_loads(run):
    record = json.loads((run / "run.json").read_text())["figures"]
    rows = torch.load(run / "checkpoint.pt", weights_only=True)["rows"]
    assert rows[-1]["l2"] < 0.25  # grey alone has 0.31
    assert record["psnr"] > 11.5
    assert {"ssim", "jpeg_psnr", "webp_psnr", "codes_used", "bytes"} <= set(record)
    model = load_folder("run", run / "model", placement=CPU)
    assert (model.cell, model.codes) == (8, 64)
    assert (run / "sheet.png").stat().st_size > 1000


def vqgan_options(run: Path) -> list[str]:
    return ["--model", "vqgan", "--start", str(run), "--codes", "64", "--discriminator", "8", "--adversarial-from", "0"]


def test_until_its_time_the_encoder_and_the_codes_stay_as_they_are(data, run, tmp_path):
    made = tokenise.create(tokenise.parse(options(data, tmp_path, 4, *vqgan_options(run), "--encoder-from", "0.5")))
    before = {name: value.clone() for name, value in made.trainer.model.state_dict().items()}
    changed = []
    for _ in range(4):
        parts = made.trainer.step(made.steps)
        after = made.trainer.model.state_dict()
        changed.append(
            {name.split(".")[1] for name in before if name.startswith("vq.") and (before[name] != after[name]).any()}
        )
        assert ("commitment" in parts) == (len(changed) > 2)
    assert changed[1] == {"decoder", "post_quant_conv"}
    assert changed[3] == {"decoder", "post_quant_conv", "encoder", "quant_conv", "quantize"}


def test_a_shifted_pair_shows_the_same_place_of_both():
    picture = torch.arange(20.0 * 24).view(1, 1, 20, 24)
    corners = set()
    for seed in range(60):
        ours, theirs = tokenise.shifted(picture + 0.5, picture, torch.Generator().manual_seed(seed))
        assert torch.equal(ours, theirs + 0.5)
        corners.add(divmod(int(theirs[0, 0, 0, 0]), 24))
    assert {row for row, _ in corners} == {column for _, column in corners} == set(range(tokenise.SHIFT_PX))


def test_the_vqgan_begins_where_the_twin_ended_and_trains_both_players(data, run, tmp_path):
    more = [*vqgan_options(run), "--encoder-from", "0"]
    made = tokenise.create(tokenise.parse(options(data, tmp_path, 4, *more)))
    twin = torch.load(run / "checkpoint.pt", weights_only=True)["average"]
    assert torch.equal(made.trainer.model.vq.encoder.conv_in.weight, twin["vq.encoder.conv_in.weight"])
    judge = [value.clone() for value in made.trainer.model.discriminator.parameters()]
    made.trainer.step(made.steps)  # the first step has no rate yet
    parts = made.trainer.step(made.steps)
    assert {"l2", "commitment", "perceptual", "fool", "judge"} == set(parts)
    assert any(not torch.equal(a, b) for a, b in zip(judge, made.trainer.model.discriminator.parameters(), strict=True))


def test_a_resumed_run_is_the_same_to_the_bit(data, tmp_path):
    def made(folder: str, *more: str) -> tokenise.Run:
        return tokenise.create(tokenise.parse(options(data, tmp_path / folder, 8, "--codes-from", "0.1", *more)))

    whole, first = made("whole"), made("parts")
    for _ in range(4):
        whole.trainer.step(whole.steps)
    for _ in range(2):
        first.trainer.step(first.steps)
    first.trainer.save()
    second = made("parts", "--resume")
    for _ in range(2):
        second.trainer.step(second.steps)
    states = whole.trainer.model.state_dict(), second.trainer.model.state_dict()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert states[0]["started"]


def test_the_evaluation_takes_large_pictures_alone(data, run):
    model = load_folder("run", run / "model", placement=CPU)
    chosen = SimpleNamespace(pack=data / "masks_objects.zip", split=None, perceptual=None)
    figures = evaluate_tokenise.evaluate(model, chosen)
    assert (figures["n"], figures["skipped"]) == (1, 1)
    assert figures["bytes"] == 32 * 32 * 6 // 8  # 64 codes are 6 bits
    assert {"psnr", "ssim", "jpeg_psnr", "jpeg_ssim", "webp_psnr", "webp_ssim", "codes_used"} <= set(figures)
    assert 1 <= figures["codes_used"] <= 64
