import socket

import numpy as np
import pytest
import torch
from open_clip.transform import image_transform_v2
from PIL import Image
from safetensors.torch import load_file, save_file

from pipelines.runtime.catalogue import Bundled, Entry, Hub, LocalFile
from pipelines.runtime.device import CPU
from pipelines.runtime.errors import UserError
from pipelines.zero_shot.classify import classify, encode_picture
from pipelines.zero_shot.evidence import gradient_map
from pipelines.zero_shot.files import CONFIG_NAME, Files, find_files
from pipelines.zero_shot.models import adapt_state, create_module, load, load_files
from tests.pipelines.zero_shot.conftest import files_in, save_random, write_config


def entry_for(folder, *, source, architecture="", pretrained=None) -> Entry:
    return Entry(
        id="given",
        topic="zero_shot",
        role="main",
        title={"en": "Given", "zh": "给定"},
        source=source,
        loader="pipelines.zero_shot.models:load",
        architecture=architecture,
        pretrained=pretrained,
        licence="MIT",
        parameters=1,
        bytes=1,
        memory_bytes=1,
        image_size=32,
        folder=folder,
        weights=folder / "model.safetensors",
    )


def write_tokenizer(folder, *, vocabulary_size: int) -> None:
    """A tokenizer of one token a letter, padded with 1, as SigLIP's T5 tokenizer is."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    letters = {letter: number for number, letter in enumerate("abcdefghijklmnopqrstuvwxyz ", start=3)}
    vocabulary = {"<unk>": 0, "</s>": 1, "<x>": vocabulary_size - 1} | letters
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", pad_token="</s>", unk_token="<unk>")
    fast.save_pretrained(folder)


@pytest.fixture
def no_network(monkeypatch):
    """Any connection is a failure."""

    def refuse(*_arguments, **_names):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


# Real architectures, random weights, fp16 files:
# (name, published tag, size of the view, how it resizes, objective, cells of the gradient map a side).
REAL = [
    ("ViT-B-32", "laion2b_s34b_b79k", 224, "shortest", "softmax", 7),
    ("ViT-B-16-SigLIP", "webli", 224, "squash", "sigmoid", 14),
    ("MobileCLIP-S1", "datacompdr", 256, "shortest", "softmax", 8),
]


@pytest.mark.parametrize(("name", "tag", "size", "resize", "objective", "cells"), REAL)
def test_a_published_architecture_comes_back_from_a_folder(
    tmp_path, no_network, picture, name, tag, size, resize, objective, cells
):
    if objective == "sigmoid":
        write_tokenizer(tmp_path, vocabulary_size=32000)
    source = Hub(repo="owner/name", revision=None, weights=("model.safetensors",))
    entry = entry_for(tmp_path, source=source, architecture=name, pretrained=tag)
    reference = save_random(
        Files(config_folder=None, architecture=name, pretrained=tag, weights=entry.weights, tokenizer_folder=None),
        dtype=torch.float16,
    )
    model = load(entry, CPU)
    entry.weights.unlink()  # 170 to 410 MB, which pytest would keep
    labels = ("cat", "a photo of a dog")
    result = classify(model, picture, labels)
    assert (result.view.shape, model.preprocess.config.resize_mode) == ((size, size, 3), resize)
    assert model.objective == objective
    transform = image_transform_v2(model.preprocess.config, is_train=False)
    with torch.no_grad():
        logits, _ = reference.get_logits(transform(Image.fromarray(picture))[None], model.tokenizer(list(labels)))
    ours = result.logit_scale * result.cosines + (result.logit_bias or 0.0)
    assert ours == pytest.approx(logits[0].numpy(), abs=2e-3)
    total = sum(parameter.numel() for parameter in reference.parameters())
    counted = sum(block.parameters for block in result.blocks)
    assert counted == total
    found = gradient_map(model, picture, result.text_features[0])
    assert found.values.shape == (cells, cells) and np.ptp(found.values) > 0
    assert found.score == pytest.approx(result.cosines[0], abs=1e-4)
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.module.modules())


def test_the_bundled_config_takes_its_trunk_from_the_package(tmp_path, no_network, bundled_config_folder, picture):
    folder = tmp_path / "clip"
    folder.mkdir()
    (folder / CONFIG_NAME).write_bytes((bundled_config_folder / CONFIG_NAME).read_bytes())
    entry = entry_for(folder, source=Bundled("zero_shot/clip"))
    full = save_random(files_in(folder))
    shipped = {name: tensor for name, tensor in full.state_dict().items() if not name.startswith("visual.trunk.")}
    save_file({name: tensor.clone() for name, tensor in shipped.items()}, entry.weights)
    tokenizer = bundled_config_folder.parent / "tokenizer"
    (tmp_path / "tokenizer").symlink_to(tokenizer, target_is_directory=True)
    model = load(entry, CPU)
    stem = model.module.visual.trunk.conv_stem.weight
    assert not torch.equal(stem, full.visual.trunk.conv_stem.weight)
    assert torch.equal(model.module.visual.head.proj.weight, full.visual.head.proj.weight)
    result = classify(model, picture, ("猫", "cat"))
    shapes = {block.name: block.shape for block in result.blocks}
    assert shapes["head_conv"] == (1, 1280, 7, 7)
    assert result.tokens[0][-1] == "猫"
    assert sum(block.parameters for block in result.blocks) == sum(p.numel() for p in model.module.parameters())


@pytest.fixture
def bundled_config_folder():
    from pipelines.runtime.catalogue import MODELS

    return MODELS / "zero_shot" / "clip"


def test_a_folder_of_ones_own_in_the_models_folder(tmp_path, no_network, picture):
    write_config(tmp_path)
    reference = save_random(files_in(tmp_path))
    model = load(entry_for(tmp_path, source=LocalFile("mine")), CPU)
    assert torch.equal(model.module.visual.proj, reference.visual.proj)
    assert model.logit_scale == pytest.approx(1 / 0.07, rel=1e-5)
    assert not any(parameter.requires_grad for parameter in model.module.parameters())


def test_weights_of_another_architecture_are_refused(tmp_path):
    files = files_in(write_config(tmp_path))
    save_random(files)
    state = load_file(files.weights)
    del state["visual.proj"]
    save_file(state, files.weights)
    with pytest.raises(UserError) as error:
        load_files("given", files, placement=CPU)
    assert error.value.key == "errors.weights_do_not_fit" and "visual.proj" in error.value.values["wrong"]


def test_a_missing_tokenizer_is_said_before_anything_is_built(tmp_path):
    entry = entry_for(tmp_path, source=Hub("owner/name", None, ("model.safetensors",)), architecture="ViT-B-16-SigLIP")
    entry.weights.write_bytes(b"not read")
    with pytest.raises(UserError) as error:
        load(entry, CPU)
    assert error.value.key == "errors.tokenizer_missing"
    assert error.value.values["name"] == "timm/ViT-B-16-SigLIP"


@pytest.mark.parametrize(
    ("architecture", "present", "key"),
    [("ViT-B-32", False, "errors.model_files_missing"), ("ViT-Z-99", True, "errors.architecture_unknown")],
)
def test_missing_files_and_unknown_architectures(tmp_path, architecture, present, key):
    entry = entry_for(tmp_path, source=LocalFile("mine.safetensors"), architecture=architecture)
    if present:
        entry.weights.write_bytes(b"")
    with pytest.raises(UserError) as error:
        find_files(entry)
    assert error.value.key == key


def test_scales_of_one_number_in_a_list_are_taken(tmp_path):
    module = create_module(files_in(write_config(tmp_path, sigmoid=True)))
    state = {"logit_scale": torch.tensor([2.0]), "logit_bias": torch.tensor([-3.0])}
    adapted = adapt_state(state, module)
    assert adapted["logit_scale"].shape == adapted["logit_bias"].shape == ()


def test_half_precision_on_the_cpu_stays_close_to_float32(tiny_clip, tmp_path, picture):
    import dataclasses

    half = dataclasses.replace(CPU, dtype="bfloat16")
    files = files_in(write_config(tmp_path))
    save_random(files)
    model = load_files("given", files, placement=half)
    encoded = encode_picture(model, picture)
    assert encoded.dtype == "bfloat16" and encoded.feature.dtype == np.float32
    assert encoded.feature @ encode_picture(tiny_clip, picture).feature > 0.995
