"""Diffusers folders: every tensor or a refusal, only classes on the list, no code, no pickles, no network."""

import json
import shutil
import socket

import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertModel, BertTokenizer

from pipelines.runtime import convert
from pipelines.runtime.context import Runtime
from pipelines.runtime.context import Settings as RuntimeSettings
from pipelines.runtime.device import CPU
from pipelines.runtime.errors import UserError
from pipelines.text_to_image.folders import load_folder
from pipelines.text_to_image.models import wrap
from pipelines.text_to_image.sample import generate
from pipelines.text_to_image.settings import Settings
from tests.pipelines.runtime.sentences import sentence
from tests.pipelines.text_to_image.conftest import make_pipeline, make_xl_pipeline

UNET = "unet/diffusion_pytorch_model.safetensors"
VAE = "vae/diffusion_pytorch_model.safetensors"
TEXT = "text_encoder/model.safetensors"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("folders")
    make_pipeline().save_pretrained(folder / "own-sd")
    make_xl_pipeline().save_pretrained(folder / "own-sdxl")
    return folder


@pytest.fixture
def copy(saved, tmp_path):
    """A copy of the small Stable Diffusion folder, to be spoilt."""
    return shutil.copytree(saved / "own-sd", tmp_path / "model")


def same_weights(one, other) -> bool:
    state = other.state_dict()
    return all(torch.equal(tensor, state[key]) for key, tensor in one.state_dict().items())


def refused(folder, key: str) -> str:
    with pytest.raises(UserError, match=key) as caught:
        load_folder(folder, dtype=torch.float32)
    text = sentence(caught.value)
    assert str(folder.parent) not in text
    return text


@pytest.mark.parametrize(("name", "make"), [("sd", make_pipeline), ("sdxl", make_xl_pipeline)])
def test_what_is_saved_comes_back_and_no_hub_is_asked(saved, name, make, monkeypatch):
    monkeypatch.setattr(socket.socket, "connect", pytest.fail)
    loaded, made = load_folder(saved / f"own-{name}", dtype=torch.float32), make()
    assert type(loaded) is type(made)
    for part in ("unet", "vae", "text_encoder", *(["text_encoder_2"] if name == "sdxl" else [])):
        assert same_weights(getattr(made, part), getattr(loaded, part))
    assert torch.equal(loaded.scheduler.alphas_cumprod, made.scheduler.alphas_cumprod)
    assert loaded.scheduler.config.prediction_type == made.scheduler.config.prediction_type
    assert loaded.tokenizer("a cat").input_ids == made.tokenizer("a cat").input_ids


@pytest.mark.parametrize("name", ["sd", "sdxl"])
def test_a_folder_of_ones_own_loads_through_the_runtime(saved, name):
    runtime = Runtime(RuntimeSettings(device="cpu", models_dir=saved))
    model = runtime.load(f"local:own-{name}")
    assert (model.id, model.family, model.default_px) == (f"local:own-{name}", name, 64)
    entry = runtime.catalogue.find(f"local:own-{name}")
    assert runtime.memory.used_bytes == pytest.approx(entry.memory_bytes, rel=0.02)


def test_half_precision_files_in_pieces(tmp_path):
    made = make_pipeline()
    for part in ("unet", "vae", "text_encoder"):
        getattr(made, part).half()
    made.save_pretrained(tmp_path / "half", variant="fp16", max_shard_size="20KB")
    assert len(list((tmp_path / "half/unet").glob("*.fp16-*.safetensors"))) > 1
    loaded = load_folder(tmp_path / "half", dtype=torch.float16)
    assert (loaded.unet.dtype, loaded.vae.dtype) == (torch.float16, torch.float32)
    assert same_weights(made.unet, loaded.unet)


def test_files_in_the_hubs_cache_are_links_out_of_their_folder(saved, tmp_path):
    snapshot = tmp_path / "models--maker--model/snapshots/abc"
    blobs = snapshot.parents[1] / "blobs"
    shutil.copytree(saved / "own-sd", snapshot)
    blobs.mkdir()
    for number, path in enumerate(sorted(snapshot.rglob("*.safetensors"))):
        path.rename(blobs / str(number))
        path.symlink_to(blobs / str(number))
    assert same_weights(make_pipeline().unet, load_folder(snapshot, dtype=torch.float32).unet)


def drop(state):
    state.pop(sorted(state)[3])


def add(state):
    state["foo.bar"] = torch.zeros(3)


def reshape(state):
    key = sorted(state)[3]
    state[key] = torch.zeros([side + 1 for side in state[key].shape])


def spoil(state):
    state[sorted(state)[3]].fill_(torch.nan)


@pytest.mark.parametrize("file", [UNET, VAE, TEXT])
@pytest.mark.parametrize("change", [drop, add, reshape, spoil])
def test_M02_M06_weights_that_do_not_fit(copy, file, change):
    state = load_file(copy / file)
    change(state)
    save_file(state, copy / file)
    refused(copy, "weights_not_finite" if change is spoil else "weights_do_not_fit")


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("_class_name", "FluxPipeline"),
        ("_class_name", ["pipeline", "Mine"]),
        ("unet", ["own_code", "UNet2DConditionModel"]),
        ("unet", ["diffusers", "UNet3DConditionModel"]),
        ("scheduler", ["os", "system"]),
        ("text_encoder", ["transformers", "AutoModel"]),
    ],
)
def test_classes_that_are_not_on_the_list(copy, part, value):
    index = json.loads((copy / "model_index.json").read_text())
    (copy / "model_index.json").write_text(json.dumps(index | {part: value}))
    (copy / "own_code.py").write_text("raise SystemExit('the code in the folder ran')")
    refused(copy, "pipeline_class")


@pytest.mark.parametrize("text", ["{", "[]", "[" * 5000, '{"_class_name": "StableDiffusionPipeline"}'])
def test_an_index_that_cannot_be_read(copy, text):
    (copy / "model_index.json").write_text(text)
    refused(copy, "pipeline_index")


def test_a_config_that_builds_nothing(copy):
    (copy / "unet/config.json").write_text('{"_class_name": "UNet2DConditionModel", "down_block_types": ["Nothing"]}')
    refused(copy, "pipeline_load")


def test_a_part_without_weights(copy):
    (copy / VAE).unlink()
    assert "vae" in refused(copy, "pipeline_part")


def test_M08_weights_that_lead_out_of_their_folder(copy, tmp_path):
    (copy / UNET).rename(tmp_path / "outside.safetensors")
    (copy / UNET).symlink_to(tmp_path / "outside.safetensors")
    refused(copy, "local_outside")


def test_M01_pickles_are_refused_and_the_command_makes_the_folder_usable(copy, tmp_path):
    for file, name in ((UNET, "diffusion_pytorch_model.bin"), (TEXT, "pytorch_model.bin")):
        torch.save(load_file(copy / file), (copy / file).with_name(name))
        (copy / file).unlink()
    assert "convert model model-safetensors" in refused(copy, "weights_pickle")
    assert convert.convert_folder(copy, tmp_path / "safe") > 0
    assert same_weights(make_pipeline().unet, load_folder(tmp_path / "safe", dtype=torch.float32).unet)
    with pytest.raises(ValueError, match="new folder"):
        convert.convert_folder(copy, tmp_path / "safe")


def test_a_chinese_bert_reads_the_prompt(tmp_path):
    """Of Taiyi's kind: BertModel and BertTokenizer in StableDiffusionPipeline."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "一", "只", "猫", "狗"]
    (tmp_path / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    made = make_pipeline(prediction="epsilon")
    torch.manual_seed(3)
    made.tokenizer = BertTokenizer(str(tmp_path / "vocab.txt"), model_max_length=32)
    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    made.text_encoder = BertModel(BertConfig(vocab_size=len(words), max_position_embeddings=32, **size)).eval()
    made.save_pretrained(tmp_path / "model")
    model = wrap("taiyi", load_folder(tmp_path / "model", dtype=torch.float32), CPU)
    assert isinstance(model.pipeline, StableDiffusionPipeline)
    assert type(model.pipeline.text_encoder) is BertModel
    pictures = []
    for prompt in ("一只猫", "一只狗"):
        *_, run = generate(model, Settings(prompt, steps=1, width=64, height=64, seed=1))
        pictures.append(run.pictures)
    assert (pictures[0] != pictures[1]).any()
