"""Single checkpoints: every family written in the original names loads to the bit; everything else is refused."""

import socket

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from open_clip.tokenizer import SimpleTokenizer
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from pipelines.runtime.device import CPU
from pipelines.runtime.errors import UserError
from pipelines.text_to_image.models import wrap
from pipelines.text_to_image.sample import generate
from pipelines.text_to_image.settings import Settings
from pipelines.text_to_image.single_file import CONFIGS, create_tokenizer, load_single_file
from tests.pipelines.runtime.sentences import sentence
from tests.pipelines.text_to_image import original_names

FAMILIES = ("sd1", "sd2", "sdxl")
# Parameters as published: UNet, autoencoder, text encoders (PERF: 859.5 M, 83.7 M, 123 M; SDXL's UNet 2,567 M).
PUBLISHED = {
    "sd1": {"unet": 859_520_964, "vae": 83_653_863, "text_encoder": 123_060_480},
    "sd2": {"unet": 865_910_724, "vae": 83_653_863, "text_encoder": 340_387_840},
    "sdxl": {"unet": 2_567_463_684, "vae": 83_653_863, "text_encoder": 123_060_480, "text_encoder_2": 694_659_840},
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """{family: (file, configs, parts that were written)}"""
    folder = tmp_path_factory.mktemp("single")
    made = {}
    for family in FAMILIES:
        configs = original_names.small_config(family, folder / "configs")
        parts = original_names.random_parts(family, configs)
        path = folder / f"{family}.safetensors"
        original_names.write(family, parts, path)
        made[family] = (path, configs, parts)
    return made


@pytest.mark.parametrize("family", FAMILIES)
def test_every_tensor_arrives_and_no_hub_is_asked(saved, family, monkeypatch):
    monkeypatch.setattr(socket.socket, "connect", pytest.fail)
    path, configs, parts = saved[family]
    pipeline = load_single_file(path, dtype=torch.float32, configs=configs)
    for name, written in parts.items():
        read = getattr(pipeline, name).state_dict()
        assert read.keys() == written.state_dict().keys()
        assert all(torch.equal(value, read[key]) for key, value in written.state_dict().items())


@pytest.mark.parametrize("family", FAMILIES)
def test_a_loaded_file_draws(saved, family):
    path, configs, _ = saved[family]
    model = wrap("small", load_single_file(path, dtype=torch.float32, configs=configs), CPU)
    *_, run = generate(model, Settings("a cat", steps=2, width=64, height=64))
    assert run.pictures.shape == (1, 64, 64, 3)
    assert model.family == ("sdxl" if family == "sdxl" else "sd")


def test_half_precision_is_for_unet_and_text_only(saved):
    path, configs, _ = saved["sd1"]
    pipeline = load_single_file(path, dtype=torch.float16, configs=configs)
    assert (pipeline.unet.dtype, pipeline.text_encoder.dtype) == (torch.float16, torch.float16)
    assert pipeline.vae.dtype == torch.float32


@pytest.mark.parametrize("family", FAMILIES)
def test_shipped_configs_are_those_of_the_published_sizes(family):
    home = CONFIGS / family
    with torch.device("meta"):
        parts = {
            "unet": UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(home / "unet")),
            "vae": AutoencoderKL.from_config(AutoencoderKL.load_config(home / "vae")),
            "text_encoder": CLIPTextModel(CLIPTextConfig.from_pretrained(home / "text_encoder")),
        }
        if family == "sdxl":
            config = CLIPTextConfig.from_pretrained(home / "text_encoder_2")
            parts["text_encoder_2"] = CLIPTextModelWithProjection(config)
    counts = {name: sum(tensor.numel() for tensor in part.parameters()) for name, part in parts.items()}
    assert counts == PUBLISHED[family]


@pytest.mark.parametrize("text", ["a photo of a cat", "一只猫 Hello  World! it's 3.14 ünïcode 🎉", "", " x\n y "])
def test_the_tokenizer_is_clips_own(text):
    ids = create_tokenizer()(text, padding="max_length", truncation=True, max_length=77).input_ids
    (published,) = SimpleTokenizer()(text).tolist()
    end = published.index(49_407) + 1
    assert ids[:end] == published[:end]
    assert set(ids[end:]) <= {49_407}


def test_the_second_encoder_pads_with_an_exclamation_mark():
    tokenizer = create_tokenizer("!")
    ids = tokenizer("cat", padding="max_length", max_length=5).input_ids
    assert ids == [49_406, 2368, 49_407, 0, 0]


@pytest.mark.parametrize("answer", ["noise", "v"])
def test_a_model_of_version_2_is_asked_what_it_predicts(saved, answer, tmp_path):
    _, configs, parts = saved["sd2"]
    # The last layer alone decides: it returns the input's number for noise, and far less than that for v.
    level = 0.5 if answer == "noise" else -2.0
    zero = {"model.diffusion_model.out.2.weight": torch.zeros(4, 32, 3, 3)}
    zero["model.diffusion_model.out.2.bias"] = torch.full((4,), level)
    original_names.write("sd2", parts, tmp_path / "a.safetensors", **zero)
    pipeline = load_single_file(tmp_path / "a.safetensors", dtype=torch.float32, configs=configs)
    expected = "epsilon" if answer == "noise" else "v_prediction"
    assert pipeline.scheduler.config.prediction_type == expected


def test_a_mark_says_that_an_xl_file_predicts_v(saved, tmp_path):
    _, configs, parts = saved["sdxl"]
    marks = {"v_pred": torch.zeros(0), "ztsnr": torch.zeros(0)}
    original_names.write("sdxl", parts, tmp_path / "a.safetensors", **marks)
    config = load_single_file(tmp_path / "a.safetensors", dtype=torch.float32, configs=configs).scheduler.config
    assert (config.prediction_type, config.rescale_betas_zero_snr) == ("v_prediction", True)


CHANGES = {
    "missing": ({"model.diffusion_model.out.0.weight": None}, "pipeline_load"),
    "missing_text": ({"cond_stage_model.transformer.text_model.final_layer_norm.bias": None}, "weights_do_not_fit"),
    "shape": ({"model.diffusion_model.out.0.weight": torch.zeros(5)}, "pipeline_load"),
    "nan": ({"first_stage_model.decoder.norm_out.bias": torch.full((32,), torch.nan)}, "weights_not_finite"),
    "inpainting": ({"model.diffusion_model.input_blocks.0.0.weight": torch.zeros(32, 9, 3, 3)}, "single_channels"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_M02_M06_a_file_that_does_not_fit(saved, case, tmp_path):
    _, configs, parts = saved["sd1"]
    changes, key = CHANGES[case]
    original_names.write("sd1", parts, tmp_path / "a.safetensors", **changes)
    with pytest.raises(UserError, match=key) as caught:
        load_single_file(tmp_path / "a.safetensors", dtype=torch.float32, configs=configs)
    sentence(caught.value)


OTHERS = {
    "lora": ({"lora_unet_down_blocks_0.lora_down.weight": torch.zeros(2, 2)}, "single_lora"),
    "autoencoder": ({"decoder.conv_in.weight": torch.zeros(2, 2)}, "single_part"),
    "other": ({"double_blocks.0.img_attn.norm.key_norm.scale": torch.zeros(2)}, "single_family"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_M09_what_is_no_whole_model(case, tmp_path):
    tensors, key = OTHERS[case]
    save_file(tensors, tmp_path / "a.safetensors")
    with pytest.raises(UserError, match=key) as caught:
        load_single_file(tmp_path / "a.safetensors", dtype=torch.float32)
    assert "a.safetensors" in sentence(caught.value)
