"""Checkpoints of taming-transformers and latent-diffusion: by command to a folder, or as they are in safetensors."""

import subprocess
import sys
import types
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pipelines.runtime import convert as general
from pipelines.runtime.device import CPU
from pipelines.runtime.errors import UserError
from pipelines.runtime.weights import check_finite
from pipelines.tokenise import taming
from pipelines.tokenise.convert import convert
from pipelines.tokenise.models import codes_of, latents_of, load_folder, load_original, nearest, pictures_of
from tests.pipelines.runtime.sentences import sentence
from tests.pipelines.tokenise.original_vqgan import OriginalVQGAN

ROOT = Path(__file__).resolve().parents[3]
SHAPES = {
    "taming": {"attn_levels": (2,)},  # attention at the coarsest level, as in imagenet_vqgan.yaml
    "ldm-f4": {"attn_levels": (), "ch_mult": (1, 2), "z_channels": 3, "embed_dim": 3},
    "fine": {"attn_levels": (0,), "ch_mult": (1, 2), "num_res_blocks": 1},
}


@pytest.fixture(scope="module", params=SHAPES)
def original(request):
    torch.manual_seed(0)
    return OriginalVQGAN(**SHAPES[request.param]).eval()


@pytest.fixture
def vqgan():
    torch.manual_seed(1)
    return OriginalVQGAN().eval()


def lightning_checkpoint(state, path, monkeypatch):
    """As Lightning 1.0 saved it: the callbacks' classes are keys, and the file names them by their module."""
    name = "pytorch_lightning.callbacks.model_checkpoint"
    callback = type("ModelCheckpoint", (), {"__module__": name})
    content = {"epoch": 3, "global_step": 9, "callbacks": {callback: {"best_model_score": torch.tensor(0.5)}}}
    with monkeypatch.context() as patch:
        parts = name.split(".")
        for count in range(1, len(parts) + 1):
            patch.setitem(sys.modules, ".".join(parts[:count]), types.ModuleType(".".join(parts[:count])))
        sys.modules[name].ModelCheckpoint = callback
        torch.save(content | {"state_dict": state, "optimizer_states": [{"state": {0: {"step": 1}}}]}, path)
    return path


def run(*arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "pipelines.tokenise.convert", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def answers_alike(model, original):
    picture = torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        theirs, indices = original(picture * 2 - 1)
        found = nearest(model.module, latents_of(model.module, picture))
        ours = pictures_of(model.module, codes_of(model.module, found))
    assert torch.equal(found, indices)
    assert (ours - theirs / 2 - 0.5).abs().max() < 1e-5


def test_the_converted_model_answers_like_the_original(original, tmp_path):
    path = tmp_path / "last.ckpt"
    torch.save({"state_dict": original.state_dict()}, path)
    convert(path, tmp_path / "folder")
    answers_alike(load_folder("x", tmp_path / "folder", placement=CPU), original)


def test_the_same_tensors_in_safetensors_are_loaded_as_they_are(original, tmp_path):
    save_file(original.state_dict(), tmp_path / "x.safetensors")
    answers_alike(load_original("x", tmp_path / "x.safetensors", placement=CPU), original)


def test_original_names_are_those_that_the_authors_published(vqgan):
    """A few of each kind, from taming's source; every other one in the test's model is mapped, or fails the load."""
    names = set(vqgan.state_dict())
    assert {
        "encoder.down.0.block.0.norm1.weight",
        "encoder.down.2.attn.1.proj_out.bias",
        "encoder.down.1.downsample.conv.weight",
        "encoder.down.2.block.0.nin_shortcut.weight",
        "decoder.up.1.upsample.conv.weight",
        "decoder.mid.attn_1.q.weight",
        "encoder.norm_out.weight",
        "quantize.embedding.weight",
        "loss.perceptual_loss.weight",
    } <= names
    config, state = taming.convert(vqgan.state_dict(), name="x")
    assert not any(key.startswith("loss") for key in state)
    assert config["block_out_channels"] == [32, 32, 64]
    assert state["decoder.up_blocks.0.attentions.2.to_q.weight"].shape == (64, 64)


def test_the_command_reads_a_lightning_checkpoint_in_a_process_of_its_own(vqgan, tmp_path, monkeypatch):
    path = lightning_checkpoint(vqgan.state_dict(), tmp_path / "last.ckpt", monkeypatch)
    done = run(path, "--out", tmp_path / "f4")
    assert done.returncode == 0, done.stderr
    assert "48 codes" in done.stdout
    assert sorted(path.name for path in (tmp_path / "f4").iterdir()) == [
        "config.json",
        "diffusion_pytorch_model.safetensors",
    ]
    answers_alike(load_folder("x", tmp_path / "f4", placement=CPU), vqgan)
    with pytest.raises(ValueError, match="new folder"):
        convert(path, tmp_path / "f4")


def test_what_the_general_command_makes_of_it_is_loaded_too(vqgan, tmp_path, monkeypatch):
    """The sentence that refuses a pickle in the models folder names pipelines.runtime.convert."""
    path = lightning_checkpoint(vqgan.state_dict(), tmp_path / "last.ckpt", monkeypatch)
    general.convert(path, tmp_path / "last.safetensors")
    answers_alike(load_original("x", tmp_path / "last.safetensors", placement=CPU), vqgan)


class Bomb:
    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


def test_a_checkpoint_that_names_more_than_callbacks_runs_no_code(vqgan, tmp_path):
    path, marker = tmp_path / "x.ckpt", tmp_path / "marker"
    torch.save({"state_dict": vqgan.state_dict(), "callbacks": Bomb(marker)}, path)
    with pytest.raises(ValueError, match="code"):
        convert(path, tmp_path / "out")
    assert not marker.exists()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state.pop("quantize.embedding.weight"),
        lambda state: state.pop("encoder.down.1.block.0.conv1.weight"),
        lambda state: state.pop("decoder.mid.block_1.norm1.bias"),
        lambda state: state.update({"quantize.proj.weight": torch.zeros(1)}),  # Gumbel's
        lambda state: state.update({"encoder.up.0.block.0.conv1.weight": torch.zeros(1)}),
        lambda state: state.update({"encoder.down.0.block.0.conv1.weight": torch.zeros(32, 32, 1, 1)}),
        lambda state: state.clear(),
    ],
)
def test_what_is_not_quite_a_vqgan_is_refused(change, vqgan, tmp_path):
    state = dict(vqgan.state_dict())
    change(state)
    path = tmp_path / "x.ckpt"
    torch.save({"state_dict": state}, path)
    with pytest.raises((UserError, ValueError)) as caught:
        convert(path, tmp_path / "out")
    if isinstance(caught.value, UserError):
        assert "x.ckpt" in sentence(caught.value)
    assert not (tmp_path / "out").exists()


def test_the_averaged_copy_is_left_out(vqgan):
    state = vqgan.state_dict() | {"model_ema.decay": torch.tensor(0.9)}
    config, found = taming.convert(state, name="x")
    check_finite(found, name="x")
    assert len(found) == len([key for key in state if not key.startswith(("loss", "model_ema"))])
    assert config["num_vq_embeddings"] == 48
