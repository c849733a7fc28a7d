import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from pipelines.runtime.device import CPU
from pipelines.tokenise.second_stage import load_folder
from training import tokenise_second_stage as second_stage
from training.tokenise_model import VQConfig, create_vq
from training.tokenise_second_stage import Grids, StepConfig, Steps, draw_hidden
from training.tokenise_validation import save_model


def drawing(colour: str) -> bytes:
    drawn = Image.new("RGBA", (128, 128), (0, 0, 0, 0))
    ImageDraw.Draw(drawn).ellipse((24, 24, 104, 104), fill=colour)
    content = io.BytesIO()
    drawn.save(content, "PNG")
    return content.getvalue()


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Three drawings, one of them val, two photographs, one of them val, and an untrained tokeniser."""
    folder = tmp_path_factory.mktemp("data")
    with zipfile.ZipFile(folder / "emoji_fx.zip", "w") as pack:
        lines = []
        for name, split in (("red", "train"), ("blue", "train"), ("green", "val")):
            words = {"name": name, "name_zh": f"{name}色", "style": "fx", "group": "food", "family": name}
            lines.append({"file": f"{name}.png", "split": split, **words})
            pack.writestr(f"{name}.png", drawing(name))
        pack.writestr("index.jsonl", "\n".join(json.dumps(line) for line in lines))
    with zipfile.ZipFile(folder / "masks_objects.zip", "w") as pack:
        pack.writestr("index.jsonl", "\n".join(json.dumps({"file": f"{s}.png", "split": s}) for s in ("train", "val")))
        for split in ("train", "val"):
            content = io.BytesIO()
            Image.fromarray(np.random.default_rng(0).integers(0, 255, (140, 150, 3), dtype=np.uint8)).save(
                content, "PNG"
            )
            pack.writestr(f"{split}.png", content.getvalue())
    torch.manual_seed(0)
    save_model(create_vq(VQConfig(widths=(16,), layers=1, codes=32, code_width=4, latent_width=8)), folder / "vq")
    return folder


@pytest.fixture(autouse=True)
def features(monkeypatch):
    """Texts read by their length."""
    monkeypatch.setattr(
        second_stage, "text_features", lambda texts: torch.tensor([[len(text), 1.0] for text in texts]) / 10
    )


def options(data: Path, out: Path, steps: int, *more: str):
    paths = ["--data", str(data), "--tokeniser", str(data / "vq"), "--out", str(out), "--device", "cpu"]
    packs = ["--drawings", "emoji_fx", "--sharp", "masks_objects", "--crops", "3"]
    return [*paths, *packs, "--width", "16", "--layers", "1", "--heads", "2", "--steps", str(steps), *more]


def test_grids_hold_drawings_mirrored_too_and_crops(data, tmp_path):
    grids = second_stage.stored_grids(second_stage.parse(options(data, tmp_path, 1)), "train", crops=3)
    assert grids.codes.shape == (2 * 2 + 3, 16, 16)
    assert grids.names[4:].eq(-1).all()
    assert torch.equal(grids.names[:2], grids.names[2:4])
    assert len(grids.features) == 4  # two drawings in two languages
    again = second_stage.stored_grids(second_stage.parse(options(data, tmp_path, 1)), "train", crops=99)
    assert torch.equal(again.codes, grids.codes)  # read from the file


def test_hidden_parts_are_rectangles_or_scattered():
    scattered = draw_hidden(300, 8, 0.0, torch.Generator().manual_seed(0))
    assert scattered.flatten(1).sum(dim=1).min() >= 1
    assert scattered.float().mean().item() == pytest.approx(2 / np.pi, abs=0.04)  # the mean of the cosine
    for one in draw_hidden(100, 8, 1.0, torch.Generator().manual_seed(0)):
        assert torch.equal(one, one.any(dim=1)[:, None] & one.any(dim=0)[None])
        assert one.any()


def test_only_hidden_codes_are_asked_for():
    grids = Grids(torch.zeros(4, 4, 4, dtype=torch.int16), torch.full((4, 2), -1), torch.zeros(1, 2))
    asked = []

    class Oracle:
        config = type("Config", (), {"side": 4})
        hidden = 9

        def __call__(self, seen, condition, given):
            asked.append((seen == 9).float().mean().item())
            assert not given.any()
            logits = torch.zeros(*seen.shape, 9)
            logits[..., 0] = torch.where(seen == 9, 50.0, -50.0)  # wrong wherever a code is shown
            return logits

    loss = Steps(StepConfig(smoothing=0.0), grids, device="cpu")(Oracle(), torch.Generator().manual_seed(0))
    assert loss["codes"].item() < 1e-6
    assert 0 < asked[0] < 1


def test_a_run_learns_and_writes_what_the_app_loads(data, tmp_path):
    second_stage.main(options(data, tmp_path, 30, "--rate", "1e-2", "--average", "0.5"))
    rows = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["rows"]
    assert rows[-1]["codes"] < np.log(32)
    assert rows[-1]["val_bits"] < 5.0
    assert (tmp_path / "sheet.png").stat().st_size > 1000
    assert load_folder(tmp_path / "model", placement=CPU).config.codes == 32


def test_a_resumed_run_is_the_same_to_the_bit(data, tmp_path):
    def made(folder: str, *more: str) -> second_stage.Run:
        return second_stage.create(second_stage.parse(options(data, tmp_path / folder, 4, *more)))

    whole, first = made("whole"), made("parts")
    for _ in range(3):
        whole.trainer.step(whole.steps)
    first.trainer.step(first.steps)
    first.trainer.save()
    second = made("parts", "--resume")
    for _ in range(2):
        second.trainer.step(second.steps)
    pairs = zip(whole.trainer.model.parameters(), second.trainer.model.parameters(), strict=True)
    assert all(torch.equal(ours, theirs) for ours, theirs in pairs)
