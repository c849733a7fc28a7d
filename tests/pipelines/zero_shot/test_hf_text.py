"""CLIP with a Hugging Face text tower (XLM-RoBERTa, which reads Chinese): built without asking the hub for a config."""

import json
import socket
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoConfig, AutoModel

from pipelines.runtime.catalogue import MODELS, LocalFile, read_catalogue
from pipelines.runtime.device import CPU
from pipelines.runtime.errors import UserError
from pipelines.zero_shot import files
from pipelines.zero_shot.files import find_files
from pipelines.zero_shot.models import create_module, load

LETTERS = "abcdefghijklmnopqrstuvwxyz 猫狗"


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*arguments, **keywords):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def small_tower(tmp_path, monkeypatch):
    """The shipped config with fewer and narrower layers, where the pipeline looks for it."""
    shipped = json.loads((MODELS / "zero_shot/xlm-roberta-base/config.json").read_text())
    small = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    folder = tmp_path / "models/zero_shot/xlm-roberta-base"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({**shipped, **small, "intermediate_size": 64}))
    monkeypatch.setattr(files, "MODELS", tmp_path / "models")


def write_model(folder, *, tower="xlm-roberta-base"):
    """Config and tokenizer.json alone, as in the published repository."""
    folder.mkdir()
    vision = {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16}
    text = {"hf_model_name": tower, "hf_tokenizer_name": tower, "hf_pooler_type": "mean_pooler"}
    config = {"model_cfg": {"embed_dim": 16, "vision_cfg": vision, "text_cfg": text}, "preprocess_cfg": {}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    vocabulary = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3} | {sign: n for n, sign in enumerate(LETTERS, start=4)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    save_file({"nothing": torch.zeros(1)}, folder / "model.safetensors")
    entry = replace(read_catalogue().find("clip-xlm-roberta-b-32"), source=LocalFile(folder.name), architecture="own")
    return replace(entry, folder=folder, weights=folder / "model.safetensors")


def test_it_comes_back_from_a_folder_and_tells_texts_apart(tmp_path, small_tower, no_network):
    entry = write_model(tmp_path / "own")
    module = create_module(find_files(entry))
    published = {**module.state_dict(), "text.transformer.embeddings.position_ids": torch.arange(514)[None]}
    save_file(published, entry.weights)
    model = load(entry, CPU)
    assert all(torch.equal(module.state_dict()[name], tensor) for name, tensor in model.module.state_dict().items())
    features, _ = model.text_features(["猫", "狗", "猫"])
    assert features.shape == (3, 16)
    assert features[0] == pytest.approx(features[2], abs=1e-6)
    assert abs(features[0] - features[1]).max() > 1e-3
    # Padding carries nothing: a longer text beside it does not move a short one.
    beside, _ = model.text_features(["猫", "a long text of many letters"])
    assert beside[0] == pytest.approx(features[0], abs=1e-5)


def test_another_tower_is_refused_instead_of_downloaded(tmp_path, small_tower, no_network):
    entry = write_model(tmp_path / "own", tower="maker/anything")
    with pytest.raises(UserError, match="architecture_unknown"):
        load(entry, CPU)


def test_the_shipped_config_has_the_published_size(no_network):
    """366 M parameters (open_clip docs/openclip_results.csv), of which the text tower holds 278 M."""
    config = AutoConfig.from_pretrained(MODELS / "zero_shot/xlm-roberta-base")
    with torch.device("meta"):
        tower = AutoModel.from_config(config, add_pooling_layer=False)
    assert sum(parameter.numel() for parameter in tower.parameters()) == pytest.approx(277.5e6, rel=0.001)
