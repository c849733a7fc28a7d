"""Attention packed for the page: shares still sum to one, and maps are those of the pipeline."""

from types import SimpleNamespace

import numpy as np
import pytest

from demos.text_to_image import replay_views
from pipelines.text_to_image.prompt import tokenise
from pipelines.text_to_image.replay import replay, word_map


def arrays_of(packed: dict) -> list[np.ndarray]:
    """Each layer's (heads, tokens, h, w), cut out as the page does."""
    found = []
    for layer in packed["layers"]:
        shape = (layer["heads"], packed["tokens"], layer["height"], layer["width"])
        found.append(packed["array"][layer["offset"] : layer["offset"] + np.prod(shape)].reshape(shape).astype(float))
    return found


def attention(*shapes, tokens: int, seed=0) -> dict[str, np.ndarray]:
    """{layer: (2, heads, tokens, h, w)} of probabilities."""
    random = np.random.default_rng(seed)
    made = {}
    for i, (heads, height, width) in enumerate(shapes):
        values = random.random((2, heads, tokens, height, width)) ** 4
        made[f"down_blocks.{i}.attn2"] = (values / values.sum(axis=2, keepdims=True)).astype(np.float32)
    return made


@pytest.fixture(scope="module")
def tokens(tiny_model):
    return tokenise(tiny_model, "a pterodactyl, 3D emoji")


def test_chips_are_the_prompts_tokens_with_words_of_several_pieces_and_one_padding(tokens):
    chips = replay_views.chips(tokens)
    assert [chips[0]["kind"], chips[-2]["kind"], chips[-1]["kind"]] == ["begin", "end", "pad"]
    assert {tuple(chip["places"]) for chip in chips if chip["piece"]} <= {(i,) for i in range(tokens.limit)}
    whole = [chip for chip in chips if len(chip["places"]) > 1 and chip["kind"] == "word"]
    assert "pterodactyl" in [chip["text"] for chip in whole]
    once = [
        place for chip in chips if not (chip["kind"] == "word" and len(chip["places"]) > 1) for place in chip["places"]
    ]
    assert sorted(once) == list(range(tokens.limit))  # every token that is read has exactly one chip of its own


def test_what_was_cut_is_named_and_has_no_place(tiny_model):
    chips = replay_views.chips(tokenise(tiny_model, "cat " * 60))
    cut = [chip for chip in chips if chip["kind"] == "cut"]
    assert cut and all(chip["places"] == [] for chip in cut) and chips[-1]["kind"] == "cut"


def test_shares_sum_to_one_in_every_cell_of_every_head(tokens):
    packed = replay_views.packed(attention((2, 8, 8), (2, 4, 4), tokens=tokens.limit), tokens)
    for values in arrays_of(packed):
        np.testing.assert_allclose(values.sum(axis=1), 1, atol=2e-3)


def test_large_layers_are_averaged_over_blocks_and_large_models_over_heads(tokens, monkeypatch):
    maps = attention((3, 40, 20), tokens=tokens.limit)
    packed = replay_views.packed(maps, tokens)
    (values,) = arrays_of(packed)
    assert values.shape[-2:] == (16, 8) and not packed["averaged"]
    np.testing.assert_allclose(values[:, 0].mean(), maps["down_blocks.0.attn2"][-1][:, 0].mean(), rtol=0.02)
    monkeypatch.setattr(replay_views, "MOST_NUMBERS", 100)
    packed = replay_views.packed(maps, tokens)
    assert packed["averaged"] and packed["layers"][0]["heads"] == 1
    np.testing.assert_allclose(arrays_of(packed)[0][0], values.mean(axis=0), rtol=2e-3, atol=1e-4)


def test_layers_say_where_in_the_unet_they_are(run, tiny_model):
    found = replay(tiny_model, run, 0)
    layers = replay_views.packed(found.maps, found.tokens)["layers"]
    assert [layer["name"] for layer in layers] == list(found.maps)
    places = [(layer["part"], layer["block"], layer["number"]) for layer in layers]
    assert len(set(places)) == len(layers) and {part for part, *_ in places} <= {"down", "mid", "up"}
    assert any(layer["part"] == "mid" and layer["block"] == 0 for layer in layers)


def test_a_block_mean_is_that_of_its_cells():
    values = np.arange(32.0 * 32).reshape(1, 32, 32)
    np.testing.assert_allclose(replay_views.pooled(values)[0], values.reshape(16, 2, 16, 2).mean(axis=(1, 3)))
    assert replay_views.pooled(values[:, :8, :8]).shape == (1, 8, 8)


def test_the_pages_map_of_a_word_is_the_pipelines(run, tiny_model):
    """As replay.js takes it out of the array: places summed, heads averaged, on one layer."""
    found = replay(tiny_model, run, 1)
    packed = replay_views.packed(found.maps, found.tokens)
    chip = next(chip for chip in packed["chips"] if chip["text"] == "apple")
    for layer, values in zip(packed["layers"], arrays_of(packed), strict=True):
        word = next(i for i, text in enumerate(found.tokens.words) if text == "apple")
        expected = word_map(found, word=word, layers=[layer["name"]])
        np.testing.assert_allclose(values[:, chip["places"]].sum(axis=1).mean(axis=0), expected, rtol=2e-3)


def test_hostile_words_travel_as_text():
    text = '<img src=x onerror="pwn()">'
    chip = SimpleNamespace(kind="word", word=0, text=text)
    tokens = SimpleNamespace(chips=(chip,), limit=1, words=(text,), positions=lambda word: (0,))
    assert replay_views.chips(tokens)[0]["text"] == text  # replay.js writes it with textContent
