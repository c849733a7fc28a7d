"""Prompts as tokens: offsets, words, the limit; and the text encoders equal to diffusers' encode_prompt."""

import threading
from types import SimpleNamespace

import pytest
import torch
from transformers import BertConfig, BertModel

from pipelines.runtime.device import CPU
from pipelines.runtime.errors import UserError
from pipelines.text_to_image.models import wrap
from pipelines.text_to_image.prompt import encode, split_words, tokenise
from tests.pipelines.text_to_image.conftest import make_pipeline
from tests.pipelines.text_to_image.other_tokenizers import chinese_tokenizer, clip_tokenizer

LONG = "一只红色的猫坐在绿色的草地上 " * 4


def with_tokenizer(tokenizer):
    """As much of a model as tokenise looks at."""
    encoder = SimpleNamespace(config=SimpleNamespace(max_position_embeddings=tokenizer.model_max_length))
    return SimpleNamespace(family="sd", pipeline=SimpleNamespace(tokenizer=tokenizer, text_encoder=encoder))


@pytest.fixture(scope="module")
def clip():
    return with_tokenizer(clip_tokenizer())


@pytest.fixture(scope="module")
def chinese():
    return with_tokenizer(chinese_tokenizer())


def shown(tokens):
    """(text, kind, word) of what is no padding."""
    return [(chip.text, chip.kind, chip.word) for chip in tokens.chips if chip.kind != "pad"]


def test_chips_of_the_bilingual_tokenizer(tiny_model):
    tokens = tokenise(tiny_model, "Apples, 猫 ä")
    assert [chip.kind for chip in tokens.chips[:3]] == ["begin", "word", "word"]
    assert tokens.words == ("Apples", ",", "猫", "ä")
    assert [tokens.chips[place].text for place in tokens.positions(2)] == ["猫"]
    unknown = [chip for chip in tokens.chips if chip.kind == "unknown"]
    assert [chip.text for chip in unknown] == ["<0xC3>", "<0xA4>"]  # ä, byte by byte
    assert {(chip.start, chip.end, chip.word, chip.in_bytes) for chip in unknown} == {(10, 11, 3, True)}
    assert (tokens.limit, len(tokens.chips), tokens.cut_from) == (32, 32, None)
    assert tokens.used == tokens.needed == sum(chip.kind != "pad" for chip in tokens.chips)


def test_chips_of_clip(clip):
    tokens = tokenise(clip, "A reddish cat, 猫")
    assert shown(tokens) == [
        ("<|startoftext|>", "begin", None),
        ("a", "word", 0),
        ("reddish", "word", 1),
        ("cat", "word", 2),
        (",", "word", 3),
        ("<0xE7>", "word", 4),
        ("<0x8C>", "word", 4),
        ("<0xAB>", "word", 4),
        ("<|endoftext|>", "end", None),
    ]
    assert tokens.positions(4) == (5, 6, 7)
    assert [tokens.chips[place].in_bytes for place in (3, 5)] == [False, True]


def test_chips_of_a_chinese_bert(chinese):
    assert shown(tokenise(chinese, "reddish 猫 狗"))[1:-1] == [
        ("red", "word", 0),
        ("dish", "word", 0),
        ("猫", "word", 1),
        ("[UNK]", "unknown", 2),
    ]


@pytest.mark.parametrize("text", ["red apple", "一只猫 and ｆｕｌｌ width", "  two  spaces", "don't é x\u0302"])
def test_offsets_point_into_what_was_typed(tiny_model, clip, chinese, text):
    for model in (tiny_model, clip, chinese):
        tokens = tokenise(model, text)
        for chip in tokens.chips:
            assert 0 <= chip.start <= chip.end <= len(text)
            if chip.word is not None:
                start, end = split_words(text)[chip.word]
                assert chip.start < end and start < chip.end
        covered = {place for chip in tokens.chips for place in range(chip.start, chip.end)}
        # BERT drops accents that stand apart
        assert all(place in covered for place, sign in enumerate(text) if not sign.isspace() and sign != "\u0302")


def test_T04_the_limit_cuts_where_the_encoder_stops_reading(tiny_model, clip, chinese):
    for model in (tiny_model, clip, chinese):
        tokens = tokenise(model, LONG)
        read, cut = tokens.chips[: tokens.limit], tokens.chips[tokens.limit :]
        assert (read[0].kind, read[-1].kind, tokens.used) == ("begin", "end", tokens.limit)
        assert cut and {chip.kind for chip in cut} == {"cut"}
        assert tokens.cut_from == cut[0].start >= read[-2].start
        assert tokens.needed == tokens.limit + len(cut)
        ids = model.pipeline.tokenizer(LONG, padding="max_length", max_length=tokens.limit, truncation=True)[
            "input_ids"
        ]
        assert [chip.id for chip in read] == ids
        assert tokens.positions(len(tokens.words) - 1) == ()  # the last word is not read


def test_empty_prompt_is_begin_end_and_padding(tiny_model, clip, chinese):
    for model in (tiny_model, clip, chinese):
        tokens = tokenise(model, "")
        assert [chip.kind for chip in tokens.chips] == ["begin", "end", *["pad"] * (tokens.limit - 2)]
        assert (tokens.used, tokens.words, tokens.cut_from) == (2, (), None)


@pytest.mark.parametrize("control", ["<s>", "</s>", "<pad>", "<|endoftext|>", "<|startoftext|>", "[SEP]", "[PAD]"])
def test_T13_typed_control_tokens_stay_a_text(tiny_model, clip, chinese, control):
    for model in (tiny_model, clip, chinese):
        kinds = [chip.kind for chip in tokenise(model, f"red {control} apple").chips]
        assert (kinds.count("begin"), kinds.count("end")) == (1, 1)
        used = kinds[: kinds.index("end")]
        assert len(used) > 4 and set(used) <= {"begin", "word", "unknown"}


def test_T05_control_characters_become_spaces_and_offsets_stay(tiny_model):
    tokens = tokenise(tiny_model, "red\x00\ud800\napple")
    assert tokens.words == ("red", "apple")
    assert next(chip.start for chip in tokens.chips if chip.word == 1) in (5, 6)


def test_T03_T15_refused_at_once(tiny_model):
    for text, key in (
        (None, "errors.prompt_not_text"),
        (7, "errors.prompt_not_text"),
        ("x" * 2001, "errors.prompt_long"),
    ):
        for read in (lambda text: tokenise(tiny_model, text), lambda text: encode(tiny_model, [text])):
            with pytest.raises(UserError) as caught:
                read(text)
            assert caught.value.key == key


@pytest.mark.parametrize(
    ("prompt", "negative"), [("a red apple", ""), ("一只猫", "blur, 狗"), ("", ""), (LONG, "dark " * 50)]
)
def test_encode_equals_encode_prompt_to_the_bit(tiny_model, tiny_pipeline, prompt, negative):
    with torch.inference_mode():
        expected = tiny_pipeline.encode_prompt(prompt, "cpu", 1, True, negative)
    assert torch.equal(encode(tiny_model, [prompt]).embeds, expected[0])
    assert torch.equal(encode(tiny_model, [negative], negative=True).embeds, expected[1])
    both = encode(tiny_model, [negative, prompt])
    assert torch.equal(both.embeds, torch.cat([expected[1], expected[0]])) and both.pooled is None


@pytest.mark.parametrize(("prompt", "negative"), [("a red apple", "blur"), ("一只猫", ""), (LONG, "x")])
def test_encode_equals_encode_prompt_of_sdxl(tiny_xl_model, tiny_xl_pipeline, prompt, negative):
    with torch.inference_mode():
        # diffusers takes zeros where no negative prompt is given
        embeds, negative_embeds, pooled, negative_pooled = tiny_xl_pipeline.encode_prompt(
            prompt, device="cpu", negative_prompt=negative or None
        )
    found, without = encode(tiny_xl_model, [prompt]), encode(tiny_xl_model, [negative], negative=True)
    assert torch.equal(found.embeds, embeds) and torch.equal(found.pooled, pooled)
    assert torch.equal(without.embeds, negative_embeds) and torch.equal(without.pooled, negative_pooled)
    assert bool(without.embeds.any()) == bool(negative)


def test_encode_equals_encode_prompt_of_a_chinese_bert():
    pipeline = make_pipeline()
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=16, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=16,
    )  # fmt: skip
    pipeline.register_modules(text_encoder=BertModel(config), tokenizer=chinese_tokenizer())
    model = wrap("tiny-chinese", pipeline, CPU)
    with torch.inference_mode():
        expected = pipeline.encode_prompt("一只红猫", "cpu", 1, False)[0]
    assert torch.equal(encode(model, ["一只红猫"]).embeds, expected)


def test_several_visitors_may_type_at_once(tiny_model):
    """A fast tokenizer ends in "Already borrowed" when two threads change its limit."""
    failures = []

    def type_on(number: int) -> None:
        try:
            for _ in range(20):
                tokenise(tiny_model, LONG[: 10 * number])
                encode(tiny_model, ["a cat"])
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=type_on, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
