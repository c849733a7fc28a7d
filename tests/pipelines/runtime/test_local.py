"""The operator's models folder: what is listed, under which role, and what is refused with which sentence."""

import json

import pytest
import torch
from safetensors.torch import save_file

from pipelines.runtime.local import list_folder
from tests.pipelines.runtime.sentences import sentence

CONFIG = {"model_cfg": {"embed_dim": 8, "vision_cfg": {"image_size": 96}, "text_cfg": {}}}


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


def save(path, **tensors):
    save_file({"logit_scale": torch.zeros(()), "w": torch.zeros(10, 10).half(), **tensors}, path)


def only(folder):
    (listed,) = list_folder(folder)
    text = sentence(type("Said", (), {"key": listed.availability.reason_key, "values": listed.availability.values}))
    return listed.entry, listed.availability, text


def test_a_file_named_after_its_architecture(folder):
    save(folder / "ViT-B-32__mine v2.safetensors")
    entry, availability, _ = only(folder)
    assert (availability.state, entry.id) == ("ready", "local:ViT-B-32__mine v2.safetensors")
    assert (entry.architecture, entry.image_size, entry.role, entry.origin) == ("ViT-B-32", 224, "main", "local")
    assert entry.parameters == 101
    assert entry.memory_bytes == 404
    assert entry.weights == folder / "ViT-B-32__mine v2.safetensors"


def test_a_trained_bias_makes_a_twin(folder):
    save(folder / "ViT-B-16-SigLIP__x.safetensors", logit_bias=torch.zeros(()))
    assert only(folder)[0].role == "twin"


def test_a_folder_with_its_config(folder):
    (folder / "own").mkdir()
    (folder / "own/open_clip_config.json").write_text(json.dumps(CONFIG))
    save(folder / "own/open_clip_model.safetensors")
    entry, availability, _ = only(folder)
    assert (availability.state, entry.folder, entry.image_size) == ("ready", folder / "own", 96)
    assert entry.weights == folder / "own/open_clip_model.safetensors"


@pytest.mark.parametrize("name", ["epoch 3.pt", "a.pth", "b.ckpt", "c.bin"])
def test_pickles_are_listed_with_the_command(folder, name):
    (folder / name).write_bytes(b"\x80\x02 anything")
    _, availability, text = only(folder)
    assert (availability.state, availability.reason_key) == ("missing", "errors.weights_pickle")
    assert "python -m pipelines.runtime.convert" in text
    if " " in name:
        assert "'epoch 3.pt' 'epoch 3.safetensors'" in text


def test_a_folder_with_a_pickle_only(folder):
    (folder / "own").mkdir()
    (folder / "own/open_clip_config.json").write_text(json.dumps(CONFIG))
    (folder / "own/open_clip_pytorch_model.bin").write_bytes(b"x")
    assert only(folder)[1].reason_key == "errors.weights_pickle"


@pytest.mark.parametrize("name", ["model.safetensors", "Unknown-9__x.safetensors"])
def test_a_name_without_an_architecture(folder, name):
    save(folder / name)
    _, availability, text = only(folder)
    assert availability.reason_key == "errors.local_name"
    assert "ViT-B-32__" in text


def test_hidden_and_foreign_files_are_left_out(folder):
    (folder / ".cache").write_bytes(b"x")
    (folder / "README.md").write_text("x")
    (folder / "pictures").mkdir()
    assert list_folder(folder) == ()
    assert list_folder(None) == ()
    assert list_folder(folder / "absent") == ()


def test_M08_a_link_out_of_the_folder(folder, tmp_path):
    save(tmp_path / "outside.safetensors")
    (folder / "ViT-B-32__x.safetensors").symlink_to(tmp_path / "outside.safetensors")
    _, availability, text = only(folder)
    assert availability.reason_key == "errors.local_outside"
    assert str(tmp_path) not in text


def test_M08_weights_that_lead_out_of_their_folder(folder, tmp_path):
    (folder / "own").mkdir()
    (folder / "own/open_clip_config.json").write_text(json.dumps(CONFIG))
    save(tmp_path / "outside.safetensors")
    (folder / "own/model.safetensors").symlink_to(tmp_path / "outside.safetensors")
    assert only(folder)[1].reason_key == "errors.local_outside"


REMOTE = '{"model_cfg": {"vision_cfg": {"image_size": 96, "timm_model_name": "hf-hub:maker/model"}}}'


@pytest.mark.parametrize("text", [REMOTE, "{", "[]", '{"model_cfg": {"vision_cfg": {"image_size": 1e9}}}', "[" * 5000])
def test_a_config_that_cannot_be_read(folder, text):
    (folder / "own").mkdir()
    (folder / "own/open_clip_config.json").write_text(text)
    save(folder / "own/model.safetensors")
    assert only(folder)[1].reason_key == "errors.local_config"


def test_M05_a_pointer_is_listed_as_what_it_is(folder):
    (folder / "ViT-B-32__x.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1\n")
    assert only(folder)[1].reason_key == "errors.weights_pointer"


INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "scheduler": ["diffusers", "DDIMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}


def diffusers_folder(home, **index):
    for part in ("unet", "vae", "text_encoder"):
        (home / part).mkdir(parents=True)
        stem = "model" if part == "text_encoder" else "diffusion_pytorch_model"
        save_file({"w": torch.zeros(10, 10).half()}, home / part / f"{stem}.safetensors")
    (home / "unet/config.json").write_text(json.dumps({"sample_size": 64, "in_channels": 4}))
    (home / "vae/config.json").write_text(json.dumps({"latent_channels": 4, "block_out_channels": [8, 8, 8, 8]}))
    (home / "model_index.json").write_text(json.dumps(INDEX | index))


def test_a_diffusers_folder_is_for_text_to_image(folder):
    diffusers_folder(folder / "own")
    entry, availability, _ = only(folder)
    assert (availability.state, entry.id, entry.topic) == ("ready", "local:own", "text_to_image")
    assert entry.loader == "pipelines.text_to_image.models:load"
    assert (entry.architecture, entry.image_size, entry.role) == ("StableDiffusionPipeline", 512, "main")
    assert (entry.parameters, entry.memory_bytes) == (300, 1200)
    assert entry.weights == folder / "own/model_index.json"
    assert len(entry.weight_files) == 3


@pytest.mark.parametrize(
    ("index", "key"),
    [
        ({"_class_name": "FluxPipeline"}, "pipeline_class"),
        ({"unet": ["own", "Unet"]}, "pipeline_class"),
        ({"vae": "AutoencoderKL"}, "pipeline_index"),
    ],
)
def test_a_diffusers_folder_that_asks_for_other_classes(folder, index, key):
    diffusers_folder(folder / "own", **index)
    entry, availability, _ = only(folder)
    assert (entry.topic, availability.state, availability.reason_key) == ("text_to_image", "missing", f"errors.{key}")


def test_an_inpainting_unet_does_not_fit_its_autoencoder(folder):
    diffusers_folder(folder / "own")
    (folder / "own/unet/config.json").write_text(json.dumps({"sample_size": 64, "in_channels": 9}))
    assert only(folder)[1].reason_key == "errors.pipeline_index"


def test_a_diffusers_folder_with_a_pickle(folder):
    diffusers_folder(folder / "own")
    (folder / "own/unet/diffusion_pytorch_model.safetensors").unlink()
    (folder / "own/unet/diffusion_pytorch_model.bin").write_bytes(b"x")
    _, availability, text = only(folder)
    assert availability.reason_key == "errors.weights_pickle"
    assert "convert own own-safetensors" in text


UNET = "model.diffusion_model.input_blocks.0.0.weight"


@pytest.mark.parametrize(
    ("sign", "family", "px"),
    [
        ("cond_stage_model.transformer.text_model.final_layer_norm.weight", "sd1", 512),
        ("cond_stage_model.model.ln_final.weight", "sd2", 512),
        ("conditioner.embedders.1.model.ln_final.weight", "sdxl", 1024),
    ],
)
def test_a_single_file_is_told_by_its_tensors(folder, sign, family, px):
    save_file({UNET: torch.zeros(2, 4, 1, 1), sign: torch.zeros(2)}, folder / "any name.safetensors")
    entry, availability, _ = only(folder)
    assert (availability.state, entry.topic, entry.architecture) == ("ready", "text_to_image", family)
    assert (entry.image_size, entry.parameters) == (px, 10)
    assert entry.weights == folder / "any name.safetensors"


@pytest.mark.parametrize(
    ("tensors", "key"),
    [
        ({"lora_unet_a.lora_down.weight": torch.zeros(1)}, "single_lora"),
        ({"decoder.conv_in.weight": torch.zeros(1)}, "single_part"),
        ({UNET: torch.zeros(1, 4, 1, 1)}, "single_family"),
        ({UNET: torch.zeros(1, 9, 1, 1), "cond_stage_model.model.ln_final.weight": torch.zeros(1)}, "single_channels"),
    ],
)
def test_a_single_file_that_is_no_whole_model(folder, tensors, key):
    save_file(tensors, folder / "a.safetensors")
    entry, availability, text = only(folder)
    assert (entry.topic, availability.reason_key) == ("text_to_image", f"errors.{key}")
    assert "a.safetensors" in text


@pytest.mark.parametrize(
    ("patches", "shape", "architecture"),
    [
        ("image_encoder.patch_embed.proj.weight", (768, 3, 2, 2), "vit_b"),
        ("image_encoder.patch_embed.proj.weight", (1280, 3, 2, 2), "vit_h"),
        ("image_encoder.patch_embed.seq.0.c.weight", (32, 3, 3, 3), "vit_t"),
    ],
)
def test_a_sam_is_told_by_its_tensors(folder, patches, shape, architecture):
    tensors = {patches: torch.zeros(shape), "mask_decoder.iou_token.weight": torch.zeros(1, 4)}
    save_file(tensors, folder / "my sam.safetensors")
    entry, availability, _ = only(folder)
    assert (availability.state, entry.topic, entry.architecture) == ("ready", "segment", architecture)
    assert (entry.loader, entry.image_size) == ("pipelines.segment.models:load", 1024)
    assert entry.parameters == 4 + torch.zeros(shape).numel()


@pytest.mark.parametrize("shape", [(512, 3, 2, 2), ()])
def test_an_encoder_of_no_known_width_is_no_sam(folder, shape):
    tensors = {
        "image_encoder.patch_embed.proj.weight": torch.zeros(shape),
        "mask_decoder.iou_token.weight": torch.ones(1),
    }
    save_file(tensors, folder / "odd.safetensors")
    assert only(folder)[1].reason_key == "errors.local_name"
