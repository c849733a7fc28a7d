"""The parts at work: real shapes, all of the UNet's parameters but its last norm, and no hook left behind."""

import math

import pytest

from pipelines.text_to_image.blocks import blocks
from pipelines.text_to_image.replay import layer_names
from pipelines.text_to_image.sample import generate
from pipelines.text_to_image.settings import Settings


def run(model, **changes):
    *_, denoising = generate(model, Settings("a red apple", steps=2, width=80, height=64, **changes))
    return denoising


@pytest.fixture(scope="module")
def found(tiny_model):
    return blocks(tiny_model, run(tiny_model, batch=2), 1, picture=1)


def test_parts_in_the_order_of_work(found):
    assert [(block.part, block.name) for block in found] == [
        *(("text_encoder", name) for name in ("embeddings", "layers")),
        *(("unet", name) for name in ("time_embedding", "conv_in", "down_blocks.0", "down_blocks.1", "mid_block")),
        *(("unet", name) for name in ("up_blocks.0", "up_blocks.1", "conv_out")),
        ("vae", "decoder"),
    ]


def test_shapes_are_those_of_the_call(found):
    shapes = {block.name: block.shape for block in found}
    assert shapes["layers"] == (1, 32, 16)
    assert shapes["conv_in"] == (2, 8, 8, 10)  # both rows of guidance, one picture
    assert shapes["down_blocks.0"] == (2, 8, 4, 5)
    assert shapes["mid_block"] == (2, 16, 4, 5)
    assert shapes["conv_out"] == (2, 4, 8, 10)
    assert shapes["decoder"] == (1, 3, 64, 80)


def test_parameters_and_milliseconds(found, tiny_model):
    unet = tiny_model.pipeline.unet
    counted = sum(block.parameters for block in found if block.part == "unet")
    assert counted == unet.num_parameters() - sum(p.numel() for p in unet.conv_norm_out.parameters())
    assert all(block.ms > 0 and math.isfinite(block.ms) for block in found)


def test_text_enters_where_the_cross_attention_is(found, tiny_model):
    entering = {block.name: block.text_layers for block in found if block.text_layers}
    assert set(entering) == {"down_blocks.1", "mid_block", "up_blocks.0"}
    assert sum(entering.values(), ()) == layer_names(tiny_model)[0]


def test_without_guidance_there_is_one_row_and_sdxl_has_two_text_encoders(tiny_xl_model):
    found = blocks(tiny_xl_model, run(tiny_xl_model, guidance_scale=1.0), 0)
    assert next(block for block in found if block.name == "conv_in").shape[0] == 1
    assert [block.part for block in found[:4]] == ["text_encoder"] * 2 + ["text_encoder_2"] * 2
    assert "add_embedding" in [block.name for block in found]


def test_no_hook_is_left(tiny_model):
    blocks(tiny_model, run(tiny_model), 0)
    for part in (tiny_model.pipeline.unet, tiny_model.pipeline.text_encoder, tiny_model.pipeline.vae):
        assert not any(module._forward_hooks or module._forward_pre_hooks for module in part.modules())
