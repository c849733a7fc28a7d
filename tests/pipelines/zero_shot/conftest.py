"""Models small enough to be solved by hand, and real open_clip classes small enough to be quick."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from open_clip.tokenizer import SimpleTokenizer
from open_clip.transform import PreprocessCfg

from pipelines.runtime.device import CPU
from pipelines.zero_shot.files import Files
from pipelines.zero_shot.models import ZeroShotModel, create_module, load_files
from pipelines.zero_shot.preprocess import Preprocess

GRID, CELL = 4, 7


class ToyVisual(torch.nn.Module):
    """Mean colour of 4 x 4 cells, then one linear map: features = weight @ cells."""

    def __init__(self, weight: torch.Tensor):
        super().__init__()
        self.final_conv = torch.nn.AvgPool2d(CELL)
        self.weight = torch.nn.Parameter(weight)  # (D, 3 * 4 * 4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.final_conv(images).flatten(1) @ self.weight.T


class ToyModule(torch.nn.Module):
    """Text features by the first word: a table. Counts how many texts it encoded."""

    def __init__(self, weight: torch.Tensor, table: dict[str, tuple[float, ...]], tokenizer: SimpleTokenizer):
        super().__init__()
        self.visual = ToyVisual(weight)
        self.logit_scale = torch.nn.Parameter(torch.zeros(()))
        self.rows = {tokenizer.encode(word)[0]: torch.tensor(row) for word, row in table.items()}
        self.encoded_texts = 0

    def encode_image(self, images: torch.Tensor) -> torch.Tensor:
        return self.visual(images)

    def encode_text(self, tokens: torch.Tensor) -> torch.Tensor:
        self.encoded_texts += len(tokens)
        return torch.stack([self.rows[first] for first in tokens[:, 1].tolist()])


@pytest.fixture
def make_toy():
    """make_toy(weight (D, 48), {"cat": (1, 0), ...}, logit_scale=, logit_bias=) -> ZeroShotModel on 28 px."""

    def make(weight, table, *, logit_scale=1.0, logit_bias=None, dtype=torch.float32) -> ZeroShotModel:
        tokenizer = SimpleTokenizer(context_length=16)
        weight = torch.as_tensor(np.asarray(weight), dtype=torch.float32)
        config = PreprocessCfg(size=GRID * CELL, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
        return ZeroShotModel(
            id="toy",
            module=ToyModule(weight, table, tokenizer).to(dtype).eval().requires_grad_(False),
            tokenizer=tokenizer,
            preprocess=Preprocess(config),
            device="cpu",
            dtype=dtype,
            logit_scale=logit_scale,
            logit_bias=logit_bias,
            objective="softmax" if logit_bias is None else "sigmoid",
            context_length=16,
        )

    return make


@pytest.fixture
def picture() -> np.ndarray:
    """(40, 60, 3) uint8 noise."""
    return np.random.default_rng(7).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def write_config(folder: Path, *, sigmoid: bool = False) -> Path:
    """A tiny CLIP (two layers a tower) in open_clip's own format."""
    model = {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
    }
    if sigmoid:
        model |= {"custom_text": True, "init_logit_scale": 2.3, "init_logit_bias": -10.0}
    folder.mkdir(parents=True, exist_ok=True)
    preprocess = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "shortest"}
    config = {"model_cfg": model, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def save_random(files: Files, *, dtype: torch.dtype = torch.float32) -> torch.nn.Module:
    """Write random weights for these files, as a publisher would; returns the open_clip module that holds them."""
    from safetensors.torch import save_file

    torch.manual_seed(3)
    module = create_module(files).eval()
    state = {
        name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in module.state_dict().items()
    }
    module.load_state_dict(state)  # what the file holds, rounding included
    save_file({name: tensor.contiguous().clone() for name, tensor in state.items()}, files.weights)
    return module


def files_in(folder: Path) -> Files:
    return Files(
        config_folder=folder,
        architecture="",
        pretrained=None,
        weights=folder / "model.safetensors",
        tokenizer_folder=None,
    )


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory) -> ZeroShotModel:
    """A real open_clip.CLIP, tiny, random weights, softmax."""
    files = files_in(write_config(tmp_path_factory.mktemp("tiny_clip")))
    save_random(files)
    return load_files("tiny-clip", files, placement=CPU)


@pytest.fixture(scope="session")
def tiny_siglip(tmp_path_factory) -> ZeroShotModel:
    """A real open_clip.CustomTextCLIP, tiny, random weights, with a bias."""
    files = files_in(write_config(tmp_path_factory.mktemp("tiny_siglip"), sigmoid=True))
    save_random(files)
    return load_files("tiny-siglip", files, placement=CPU)
