import dataclasses

import numpy as np
import pytest
import torch

pytest.importorskip("segment_anything", reason="requirements.txt is not installed: no segment_anything")

from pipelines.runtime.device import CPU
from pipelines.segment import blocks
from pipelines.segment.clicks import Click
from pipelines.segment.models import wrap
from pipelines.segment.prompt import Embedding, Prompt, encode, predict
from tests.pipelines.segment.conftest import make_picture, make_sam

PROMPT = Prompt((Click(12, 20, positive=True),))
DECODER = [
    "prompt_encoder", "layer_1", "layer_2", "final_attention", "upscaling", "hyper_networks", "iou_head",
]  # fmt: skip


def embedded(features: np.ndarray, input_size: tuple[int, int]) -> Embedding:
    """An embedding of these features (C, h, w)."""
    values = torch.from_numpy(features.astype(np.float32))[None]
    return Embedding("hand", "", values, (), input_size, input_size, input_size, 0.0, 0)


def test_parts_of_a_sam_in_order_with_shapes_by_hand(tiny_model):
    pixels = make_picture(36, 48)
    found = blocks.timings(tiny_model, pixels, PROMPT)
    by_name = {block.name: block for block in found.blocks}
    assert list(by_name) == ["patches", "block_1", "block_2", "neck", *DECODER]
    assert [block.part for block in found.blocks] == ["encoder"] * 4 + ["decoder"] * 7
    assert by_name["patches"].shape == by_name["block_1"].shape == (1, 8, 8, 16)
    assert by_name["neck"].shape == (1, 16, 8, 8)
    assert by_name["prompt_encoder"].shape == (1, 2, 16)  # click and padding
    assert by_name["layer_1"].shape == by_name["final_attention"].shape == (1, 7, 16)
    assert by_name["upscaling"].shape == (1, 2, 32, 32)
    assert by_name["hyper_networks"].shape == (1, 2)
    assert by_name["iou_head"].shape == (1, 4)
    assert (by_name["block_1"].window, by_name["block_2"].window, by_name["neck"].window) == (4, 0, None)
    assert np.array_equal(found.masks.logits, predict(tiny_model, encode(tiny_model, pixels), PROMPT).logits)


def test_parameters_are_counted_once_each(tiny_model):
    """What is left out: IoU token, mask tokens and the last norm of the two-way transformer."""
    found = blocks.timings(tiny_model, make_picture(36, 48), PROMPT)
    decoder = tiny_model.module.mask_decoder
    left_out = (decoder.iou_token, decoder.mask_tokens, decoder.transformer.norm_final_attn)
    expected = sum(one.numel() for one in tiny_model.module.parameters())
    expected -= sum(one.numel() for module in left_out for one in module.parameters())
    assert sum(block.parameters for block in found.blocks) == expected


def test_milliseconds_add_up_to_less_than_each_half_took(tiny_model):
    found = blocks.timings(tiny_model, make_picture(36, 48), PROMPT)
    for part, whole in (("encoder", found.embedding.ms), ("decoder", found.masks.ms)):
        parts = [block.ms for block in found.blocks if block.part == part]
        assert min(parts) > 0
        assert sum(parts) < whole


def test_parts_of_a_sam_2(tiny_sam2_model):
    found = blocks.timings(tiny_sam2_model, make_picture(36, 48), PROMPT)
    by_name = {block.name: block for block in found.blocks}
    assert list(by_name) == ["patches", *(f"block_{number}" for number in range(1, 6)), "neck", *DECODER]
    assert by_name["neck"].shape == tuple(found.embedding.features.shape)
    assert by_name["layer_2"].shape == (1, 1, 8, 32)  # object, IoU, four masks, click, padding
    assert by_name["upscaling"].shape == (1, 4, 16, 16)
    assert by_name["block_4"].window == 0


def test_parts_of_a_mobile_sam():
    from pipelines.segment.mobile_sam import TinyVitEncoder

    sam = make_sam()
    sam.image_encoder = torch.nn.Identity()
    model = wrap("mobile", sam, placement=CPU)
    sam.image_encoder = TinyVitEncoder()
    names = [part.name for part in blocks._encoder_parts(model)]
    assert names == ["patches", "stage_1", "stage_2", "stage_3", "stage_4", "neck"]


def test_hooks_are_gone_afterwards(tiny_model):
    blocks.timings(tiny_model, make_picture(36, 48), PROMPT)
    modules = list(tiny_model.module.modules())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in modules)


def test_components_are_found_again_with_their_signs():
    """Cells made of three directions at right angles, of lengths 5, 2 and 1, and of a constant."""
    rng = np.random.default_rng(0)
    basis, _ = np.linalg.qr(rng.normal(size=(8, 3)))
    basis = basis * np.sign(basis[np.abs(basis).argmax(axis=0), range(3)])
    places, _ = np.linalg.qr(rng.normal(size=(20, 3)) - rng.normal(size=3))
    places, _ = np.linalg.qr(places - places.mean(axis=0))
    cells = 7 + (places * (5, 2, 1)) @ basis.T
    found = blocks.principal_components(embedded(cells.T.reshape(8, 4, 5), (64, 64)))
    assert found.values.shape == (4, 5, 3)
    np.testing.assert_allclose(found.values.reshape(20, 3), places * (5, 2, 1), atol=1e-5)
    np.testing.assert_allclose(found.explained, np.array([25, 4, 1]) / 30, rtol=1e-5)


def test_padding_has_no_say_in_the_colours():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(6, 8, 8))
    wild = features.copy()
    wild[:, 4:] *= 1000
    colours = blocks.embedding_colours(embedded(wild, (36, 64)))  # 4.5 rows of cells: the fifth is shown as it falls
    assert (colours.shape, colours.dtype) == ((5, 8, 3), np.uint8)
    assert np.array_equal(colours[:4], blocks.embedding_colours(embedded(features, (36, 64)))[:4])
    assert blocks.embedding_colours(embedded(features, (1, 64))).shape == (1, 8, 3)
    assert colours.min() == 0
    assert colours.max() == 255


def test_equal_cells_are_grey_and_one_difference_gives_one_colour():
    assert set(blocks.embedding_colours(embedded(np.full((6, 8, 8), 0.1), (64, 64))).flat) == {128}
    features = np.full((6, 8, 8), 0.1)
    features[2, :, 4:] = 3
    colours = blocks.embedding_colours(embedded(features, (64, 64)))
    assert colours[0, 0].tolist() == [0, 128, 128]
    assert colours[0, 7].tolist() == [255, 128, 128]


def test_the_sign_does_not_hang_on_the_order_of_cells(tiny_model):
    embedding = encode(tiny_model, make_picture(64, 64))
    turned = dataclasses.replace(embedding, features=embedding.features.flip(2, 3))
    ours, theirs = blocks.principal_components(embedding).values, blocks.principal_components(turned).values
    np.testing.assert_allclose(ours, theirs[::-1, ::-1], atol=1e-4 * np.abs(ours).max())
