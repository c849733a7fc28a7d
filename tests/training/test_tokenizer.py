from pathlib import Path

import pytest
from open_clip.tokenizer import HFTokenizer

from training.tokenizer import END, START, save, train

SHIPPED = Path(__file__).parents[2] / "assets" / "models" / "zero_shot" / "tokenizer"


@pytest.fixture(scope="module")
def shipped() -> HFTokenizer:
    return HFTokenizer(str(SHIPPED), context_length=32, local_files_only=True)


def pieces(tokenizer: HFTokenizer, text: str) -> list[str]:
    return tokenizer.tokenizer.tokenize(text)


def test_size_and_the_place_of_the_end(shipped):
    inner = shipped.tokenizer
    assert len(inner) <= 8000
    assert inner.convert_tokens_to_ids(END) == len(inner) - 1
    assert inner.pad_token_id == 0


def test_open_clip_gets_start_text_end_padding(shipped):
    row = shipped(["cat"])[0].tolist()
    inner = shipped.tokenizer
    assert len(row) == 32
    assert row[0] == inner.bos_token_id
    end = row.index(inner.eos_token_id)
    assert set(row[end + 1 :]) == {0}
    assert inner.decode(row[1:end]) == "cat"


def test_a_long_text_is_cut_and_still_ends(shipped):
    row = shipped(["cat " * 100])[0].tolist()
    assert row[-1] == shipped.tokenizer.eos_token_id


@pytest.mark.parametrize("character", ["猫", "金", "鱼", "车", "。"])
def test_a_chinese_character_is_one_token_wherever_it_stands(shipped, character):
    assert character in pieces(shipped, character)
    assert character in pieces(shipped, f"一张{character}的照片")


@pytest.mark.parametrize("text", ["goldfish", "a photo of a dachshund", "一张金鱼的照片", "龘", "🦊", "boeing 747"])
def test_texts_come_back(shipped, text):
    row = shipped([text])[0].tolist()
    assert shipped.tokenizer.decode(row, skip_special_tokens=True) == text


def test_case_and_width_do_not_matter(shipped):
    assert pieces(shipped, "African Elephant") == pieces(shipped, "african elephant")
    assert pieces(shipped, "ＣＡＴ") == pieces(shipped, "cat")


@pytest.mark.parametrize("control", [START, END])
def test_typed_control_tokens_stay_texts(shipped, control):
    row = shipped([f"{control} cat"])[0].tolist()
    assert row.count(shipped.tokenizer.bos_token_id) == 1
    assert row.count(shipped.tokenizer.eos_token_id) == 1


def test_training_gives_the_same_form(tmp_path):
    tokenizer = train(["cat cats kitten", "猫 小猫"] * 10, vocabulary=400, han="猫狗")
    save(tokenizer, tmp_path)
    small = HFTokenizer(str(tmp_path), context_length=16, local_files_only=True)
    assert tokenizer.get_vocab_size() <= 400
    assert small.tokenizer.convert_tokens_to_ids(END) == tokenizer.get_vocab_size() - 1
    assert pieces(small, "猫狗") == ["▁", "猫", "狗"]
    assert pieces(small, "cat") == ["▁cat"]
