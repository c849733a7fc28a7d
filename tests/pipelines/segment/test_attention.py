import dataclasses

import numpy as np
import pytest
import torch

pytest.importorskip("segment_anything", reason="requirements.txt is not installed: no segment_anything")

from pipelines.runtime.errors import UserError
from pipelines.segment.attention import Token, attention, listening
from pipelines.segment.clicks import Click
from pipelines.segment.prompt import Prompt, encode, predict
from tests.pipelines.segment.conftest import make_picture

CLICKS = (Click(12, 20, positive=True), Click(40, 9, positive=False))
BOX = (4.0, 5.0, 44.0, 30.0)
LEARNT = (Token("iou"), *(Token("mask", number) for number in range(4)))
NAMED = (Token("click", 0), Token("click", 1, positive=False))
CORNERS = (Token("corner", 0), Token("corner", 1))
PADDING = Token("padding")


@pytest.fixture(params=["tiny_model", "tiny_sam2_model"])
def model(request):
    """Both families."""
    return request.getfixturevalue(request.param)


def prompts(model) -> dict[str, Prompt]:
    previous = np.full((1, model.mask_side, model.mask_side), 0.5, dtype=np.float32)
    return {
        "clicks": Prompt(CLICKS),
        "box": Prompt(box=BOX),
        "both": Prompt(CLICKS, BOX),
        "mask": Prompt(previous=previous),
        "clicks and mask": Prompt(CLICKS, previous=previous),
    }


@pytest.mark.parametrize("kind", ["clicks", "box", "both", "mask", "clicks and mask"])
def test_rows_sum_to_one_and_have_names_and_the_masks_are_the_answer(model, kind):
    embedding, prompt = encode(model, make_picture(36, 48)), prompts(model)[kind]
    found = attention(model, embedding, prompt)
    heads = 4
    side = embedding.features.shape[-1]
    assert list(found.layers) == ["layer_1", "layer_2", "final"]
    for values in found.layers.values():
        assert values.shape == (heads, len(found.tokens), side, side)
        assert values.min() >= 0
        np.testing.assert_allclose(values.sum(axis=(2, 3)), 1, rtol=1e-5)
    plain = predict(model, embedding, prompt)
    assert np.array_equal(found.masks.logits, plain.logits)
    assert np.array_equal(found.masks.iou, plain.iou)


def test_tokens_of_sam_are_in_the_order_of_its_prompt_encoder(tiny_model):
    embedding = encode(tiny_model, make_picture(36, 48))
    names = {kind: attention(tiny_model, embedding, prompt).tokens for kind, prompt in prompts(tiny_model).items()}
    assert names["clicks"] == names["clicks and mask"] == (*LEARNT, *NAMED, PADDING)
    assert names["box"] == (*LEARNT, *CORNERS)
    assert names["both"] == (*LEARNT, *NAMED, *CORNERS)
    assert names["mask"] == LEARNT


def test_tokens_of_sam_2_are_in_the_order_of_its_prompt_encoder(tiny_sam2_model):
    model = tiny_sam2_model
    embedding = encode(model, make_picture(36, 48))
    names = {kind: attention(model, embedding, prompt).tokens for kind, prompt in prompts(model).items()}
    learnt = (Token("object"), *LEARNT)
    assert names["clicks"] == names["clicks and mask"] == (*learnt, *NAMED, PADDING)
    assert names["box"] == (*learnt, *CORNERS, PADDING)
    assert names["both"] == (*learnt, *NAMED, *CORNERS, PADDING)
    assert names["mask"] == (*learnt, PADDING, PADDING)


@pytest.mark.parametrize("kind", ["clicks", "both"])
def test_a_moved_click_changes_the_token_of_that_click_first(model, kind):
    """What a row is called is what it hangs on: what came into the first layer differs in that row alone."""
    embedding, prompt = encode(model, make_picture(36, 48)), prompts(model)[kind]
    moved = dataclasses.replace(prompt, points=(CLICKS[0], Click(30, 30, positive=False)))
    entered = []
    first = model.module.mask_decoder.transformer.layers[0].self_attn
    handle = first.register_forward_hook(
        lambda _m, _i, named, _o: entered.append(named["query" if model.is_sam2 else "q"].flatten(0, -3)[0].clone()),
        with_kwargs=True,
    )
    try:
        names = attention(model, embedding, prompt).tokens
        attention(model, embedding, moved)
    finally:
        handle.remove()
    changed = (entered[0] != entered[1]).any(dim=-1)
    assert [name for name, is_changed in zip(names, changed, strict=True) if is_changed] == [NAMED[1]]


def test_probabilities_times_values_are_what_the_module_answered(model):
    embedding = encode(model, make_picture(36, 48))
    with torch.inference_mode(), listening(model) as calls:
        predict(model, embedding, Prompt(CLICKS))
        assert len(calls) == 3
        for call in calls.values():
            ours, theirs = call.answer(), call.output.reshape(-1, *call.output.shape[-2:])
            assert theirs.abs().max() > 0
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_maps_are_cut_to_the_picture_and_the_rest_lies_on_padding(tiny_model):
    embedding = encode(tiny_model, make_picture(36, 48))  # 48 x 64 of the square: 6 of 8 rows of cells
    found = attention(tiny_model, embedding, Prompt(CLICKS))
    assert found.extent == (6, 8)
    assert found.map("final", 1).shape == (6, 8)
    np.testing.assert_allclose(found.map("final", 1), found.layers["final"][:, 1, :6].mean(axis=0))
    assert np.array_equal(found.map("layer_1", 5, head=2), found.layers["layer_1"][2, 5, :6])
    beyond = found.layers["layer_2"][1, 5, 6:].sum()
    assert found.on_padding("layer_2", 5, head=1) == pytest.approx(beyond, abs=1e-6)
    assert found.on_padding("layer_2", 5) > 0
    assert found.nbytes == 3 * 4 * 8 * 64 * 4


def test_hooks_are_gone_afterwards_even_when_the_prompt_is_refused(tiny_model):
    embedding = encode(tiny_model, make_picture(36, 48))
    attention(tiny_model, embedding, Prompt(CLICKS))
    with pytest.raises(UserError):
        attention(tiny_model, embedding, Prompt())
    assert not any(module._forward_hooks for module in tiny_model.module.modules())
