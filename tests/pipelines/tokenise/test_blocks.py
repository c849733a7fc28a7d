import numpy as np
import torch
from diffusers import VQModel

from pipelines.tokenise import code
from pipelines.tokenise.blocks import blocks, colours
from pipelines.tokenise.models import TokeniseModel
from tests.pipelines.tokenise.conftest import make_model, make_picture

ENCODER = ["patches", "conv_in", "level_1", "level_2", "middle", "conv_out", "quant_conv"]
DECODER = ["post_quant_conv", "conv_in", "middle", "level_1", "level_2", "conv_out", "pixels"]


def make_movq() -> TokeniseModel:
    """As Kandinsky's: pixels, attention, and norms that look at the codes."""
    torch.manual_seed(0)
    down = ("DownEncoderBlock2D", "AttnDownEncoderBlock2D")
    up = ("AttnUpDecoderBlock2D", "UpDecoderBlock2D")
    sizes = {"block_out_channels": (32, 32), "latent_channels": 4, "num_vq_embeddings": 20, "vq_embed_dim": 4}
    module = VQModel(down_block_types=down, up_block_types=up, **sizes, norm_type="spatial")
    return TokeniseModel("movq", module.eval().requires_grad_(False), "cpu", torch.float32)


def whole(run) -> np.ndarray:
    """What the run painted, as `code` gives it."""
    return (run.picture.clip(0, 1) * 255).round().astype(np.uint8).transpose(1, 2, 0)


def test_parts_in_order_with_shapes_by_hand(tiny_model):
    run = blocks(tiny_model, code.encode(tiny_model, make_picture(45, 63)))
    told = [(block.part, block.name) for block in run.blocks]
    assert told == [
        *(("encoder", name) for name in ENCODER),
        *(("quantiser", name) for name in ("nearest", "codebook")),
        *(("decoder", name) for name in DECODER),
    ]
    shapes = dict(zip(told, (block.shape for block in run.blocks), strict=True))
    assert shapes["encoder", "patches"] == (1, 48, 12, 16)
    assert shapes["encoder", "level_1"] == shapes["encoder", "middle"] == (1, 16, 6, 8)
    assert shapes["encoder", "quant_conv"] == (1, 4, 6, 8)
    assert shapes["quantiser", "nearest"] == (1, 6, 8)
    assert shapes["quantiser", "codebook"] == (1, 6, 8, 4)
    assert shapes["decoder", "conv_out"] == (1, 48, 12, 16)
    assert shapes["decoder", "pixels"] == (1, 3, 48, 64)
    assert run.size == (48, 64)
    assert all(block.ms > 0 for block in run.blocks)


def test_what_is_watched_is_the_plain_path_to_the_bit_for_both_families():
    for model in (make_model(), make_movq()):
        tokens = code.encode(model, make_picture(45, 63))
        run = blocks(model, tokens)
        assert np.array_equal(run.latents, tokens.latents)
        assert np.array_equal(run.indices, tokens.indices)
        painted = code.decode(model, tokens.indices, size=tokens.size)
        assert np.array_equal(whole(run)[:45, :63], painted)
        assert not any(one._forward_hooks or one._forward_pre_hooks for one in model.module.modules())


def test_every_parameter_is_counted_once():
    for model in (make_model(), make_movq()):
        run = blocks(model, code.encode(model, make_picture()))
        assert sum(block.parameters for block in run.blocks) == model.module.num_parameters()


def test_of_a_picture_in_tiles_the_first_is_shown(monkeypatch):
    model, picture = make_model(), make_picture(100, 60)
    monkeypatch.setattr("pipelines.tokenise.models.AT_ONCE", 16)
    tokens = code.encode(model, picture)
    assert tokens.tiles != (1, 1)
    run = blocks(model, tokens)
    assert run.size == (64, 64)
    alone = code.encode(model, np.ascontiguousarray(picture[:64]))
    assert np.array_equal(run.latents, alone.latents)


def test_what_overflows_in_half_precision_is_run_in_single(tiny_model):
    module = make_model().module
    module.post_quant_conv.weight.fill_(6e4)  # times codes of some units: beyond 65,504
    tokens = code.encode(tiny_model, make_picture(16, 16))
    run = blocks(TokeniseModel("half", module.half(), "cpu", torch.float16), tokens)
    assert np.isfinite(run.picture).all()


def test_codes_equal_to_their_latents_have_their_colours_and_others_the_same_directions():
    rng = np.random.default_rng(0)
    latents = (rng.normal(size=(6, 8, 5)) * (4, 3, 2, 0.1, 0.1)).astype(np.float32)
    same = colours(latents, latents)
    assert np.array_equal(same.latents, same.codes)
    assert (same.latents.shape, same.latents.dtype) == ((6, 8, 3), np.uint8)
    assert same.explained.sum() > 0.99
    moved = latents.copy()
    moved[0, 0] = latents[3, 3]
    found = colours(latents, moved)
    assert np.array_equal(found.codes[0, 0], found.latents[3, 3])
    assert np.array_equal(found.latents, same.latents)
