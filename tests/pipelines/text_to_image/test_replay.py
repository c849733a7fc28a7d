"""Attention replayed: the open processor computes what the fused one does, and its maps are the softmax itself."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from diffusers.models.attention_processor import AttnProcessor2_0

from pipelines.runtime.device import CPU
from pipelines.runtime.errors import UserError
from pipelines.text_to_image import replay as module
from pipelines.text_to_image.edit import Edit
from pipelines.text_to_image.models import wrap
from pipelines.text_to_image.replay import layer_names, replay, stored_call, uncompiled, word_map
from pipelines.text_to_image.sample import generate
from pipelines.text_to_image.samplers import SAMPLERS
from pipelines.text_to_image.settings import Settings
from tests.pipelines.text_to_image.conftest import make_pipeline


def run(model, **changes):
    asked = {"prompt": "reddish 苹果 apple", "steps": 3, "width": 112, "height": 72, "seed": 5, **changes}
    *_, denoising = generate(model, Settings(**asked))
    return denoising


@pytest.fixture(scope="module")
def denoising(tiny_model):
    return run(tiny_model, batch=2)


@pytest.fixture(scope="module")
def attention(tiny_model, denoising):
    return replay(tiny_model, denoising, 1, picture=1, self_layers=layer_names(tiny_model)[1])


def test_the_output_equals_the_fused_processors(attention):
    assert attention.max_difference < 1e-5


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_replay_equals_run_at_every_step_of_every_sampler(tiny_model, sampler):
    denoising = run(tiny_model, sampler=sampler)
    assert all(replay(tiny_model, denoising, k).max_difference < 1e-5 for k in range(len(denoising.steps)))


def test_replay_of_other_kinds_of_run(tiny_model, tiny_epsilon_model, tiny_xl_model):
    for model, changes in (
        (tiny_epsilon_model, {"guidance_scale": 1.0}),
        (tiny_epsilon_model, {"sampler": "euler_a", "eta": 0.0}),
        (tiny_xl_model, {"negative_prompt": "blur"}),
    ):
        denoising = run(model, **changes)
        found = replay(model, denoising, 2)
        assert found.max_difference < 1e-5
        rows = 1 if denoising.settings.guidance_scale == 1 else 2
        assert {len(values) for values in found.maps.values()} == {rows}
    pixels = np.zeros((72, 112, 3), np.uint8)
    *_, edited = generate(
        tiny_model, Settings("a", steps=4, width=112, height=72, strength=0.5), edit=Edit("image", pixels)
    )
    assert replay(tiny_model, edited, 1).max_difference < 1e-5


def test_shapes_and_sums(attention, tiny_model):
    cross, own = layer_names(tiny_model)
    assert tuple(attention.maps) == cross and tuple(attention.self_maps) == own
    assert all(name.endswith("attn2") for name in cross) and all(name.endswith("attn1") for name in own)
    for name, values in attention.maps.items():
        assert values.shape == (2, 2, 32, 5, 7), name  # 9 x 14 latents, attention at half of that
    for name, values in attention.self_maps.items():
        assert values.shape == (1, 2, 35, 5, 7), name
    for values in (*attention.maps.values(), *attention.self_maps.values()):
        assert values.dtype == np.float32 and values.min() >= 0
        np.testing.assert_allclose(values.sum(axis=2), 1, atol=1e-5)
    assert attention.nbytes == sum(map(np.size, (*attention.maps.values(), *attention.self_maps.values()))) * 4


def test_the_maps_are_the_softmax_of_what_the_fused_run_computed(tiny_model, denoising, attention):
    """Queries and keys taken from the unchanged model by hooks, the softmax written out."""
    unet = tiny_model.pipeline.unet
    x_t, timestep, inputs = stored_call(tiny_model, denoising.steps[1], picture=1)
    for name, values in attention.maps.items():
        layer = unet.get_submodule(name)
        projected = projections(layer, lambda: unet(x_t, timestep, **inputs))
        query, key = (part.unflatten(-1, (layer.heads, -1)) for part in projected)
        scores = torch.einsum("bqhd,bkhd->bhkq", query, key) / query.shape[-1] ** 0.5
        expected = scores.softmax(dim=2).unflatten(-1, (5, 7))
        np.testing.assert_allclose(values, expected.numpy(), atol=1e-5)


def projections(layer, call) -> list[torch.Tensor]:
    """What to_q and to_k of a layer give during a call."""
    seen = []
    handles = [
        part.register_forward_hook(lambda _m, _i, output: seen.append(output)) for part in (layer.to_q, layer.to_k)
    ]
    with torch.inference_mode():
        call()
    for handle in handles:
        handle.remove()
    return seen


def test_the_models_own_processors_are_put_back(tiny_model, denoising, monkeypatch):
    processors = tiny_model.pipeline.unet.attn_processors
    replay(tiny_model, denoising, 0)
    monkeypatch.setattr(module, "MOST_BYTES", 1000)
    with pytest.raises(UserError) as caught:
        replay(tiny_model, denoising, 0)
    assert caught.value.key == "errors.attention_too_large"
    after = tiny_model.pipeline.unet.attn_processors
    assert all(after[name] is processors[name] for name in processors)
    assert all(isinstance(processor, AttnProcessor2_0) for processor in after.values())


def test_fused_projections_are_replayed_too():
    """On a GPU the layers of the run compute queries, keys and values in one product."""
    pipeline = make_pipeline()
    pipeline.unet.fuse_qkv_projections()
    model = wrap("tiny-fused", pipeline, CPU)
    assert replay(model, run(model), 1).max_difference < 1e-5


def test_a_compiled_unet_is_looked_into_as_it_was_written(tiny_model):
    pipeline = copy.copy(tiny_model.pipeline)
    twin = copy.deepcopy(pipeline.unet)
    object.__setattr__(twin, "uncompiled", pipeline.unet)
    pipeline.unet = twin
    model = dataclasses.replace(tiny_model, pipeline=pipeline)
    assert uncompiled(model).pipeline.unet is tiny_model.pipeline.unet
    assert model.pipeline.unet is twin and uncompiled(tiny_model) is tiny_model


def test_large_pictures_keep_half_precision_and_the_prompts_row(tiny_model, denoising, attention, monkeypatch):
    monkeypatch.setattr(module, "SMALL_CELLS", 1)
    found = replay(tiny_model, denoising, 1, picture=1)
    for name, values in found.maps.items():
        assert values.dtype == np.float16 and len(values) == 1
        np.testing.assert_allclose(values[-1], attention.maps[name][-1], atol=1e-3)
    assert found.self_maps == {}


def test_a_words_map_adds_its_pieces_and_averages_heads_and_layers(attention):
    tokens = attention.tokens
    assert tokens.words == ("reddish", "苹", "果", "apple") and len(tokens.positions(0)) > 1
    pieces = list(tokens.positions(0))
    layers = [values[-1][:, pieces].sum(axis=1).mean(axis=0) for values in attention.maps.values()]
    by_hand = np.mean(layers, axis=0)
    np.testing.assert_allclose(word_map(attention, word=0), by_hand, atol=1e-6)
    apple = word_map(attention, word=(1, 2))
    np.testing.assert_allclose(apple, word_map(attention, word=1) + word_map(attention, word=2), atol=1e-6)
    layer = next(iter(attention.maps))
    one = word_map(attention, token=0, layers=[layer], heads=[1])
    np.testing.assert_allclose(one, attention.maps[layer][-1][1, 0], atol=1e-6)
    everything = word_map(attention, token=tuple(range(tokens.limit)))
    np.testing.assert_allclose(everything, 1, atol=1e-5)


def test_coarser_layers_are_enlarged_to_the_finest():
    fine, coarse = np.zeros((1, 1, 2, 4, 4), np.float32), np.full((1, 1, 2, 2, 2), 0.5, np.float32)
    found = module.Attention({"a": fine, "b": coarse}, {}, tokens=_TwoTokens, max_difference=0.0, ms=0.0)
    np.testing.assert_allclose(word_map(found, token=1), np.full((4, 4), 0.25))


class _TwoTokens:
    limit = 2


def test_what_does_not_exist_is_refused(tiny_model, denoising, attention):
    for asked in (
        {}, {"token": 32}, {"token": -1}, {"word": 9}, {"word": ()}, {"token": 1, "layers": []},
        {"token": 1, "layers": ["no.layer"]}, {"token": 1, "heads": [5]}, {"token": 1, "heads": []},
    ):  # fmt: skip
        with pytest.raises(UserError) as caught:
            word_map(attention, **asked)
        assert caught.value.key == "errors.attention_none"
    for bad in (3, -1, True, None):
        with pytest.raises(UserError, match="step_outside"):
            replay(tiny_model, denoising, bad)
    with pytest.raises(UserError, match="attention_layer"):
        replay(tiny_model, denoising, 0, self_layers=["mid_block"])
