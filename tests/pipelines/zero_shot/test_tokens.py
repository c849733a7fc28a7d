import pytest
from open_clip.tokenizer import SimpleTokenizer

from pipelines.zero_shot.tokens import as_plain_text, cut_into_pieces


@pytest.fixture(scope="module")
def tokenizer():
    return SimpleTokenizer(context_length=77)


def test_pieces_of_the_byte_tokenizer(tokenizer):
    assert cut_into_pieces(tokenizer, "a photo of a cat", context_length=77).pieces == ("a", "photo", "of", "a", "cat")


def test_bytes_that_are_no_character_are_shown_as_bytes(tokenizer):
    pieces = cut_into_pieces(tokenizer, "猫", context_length=77).pieces
    assert "".join(pieces) == "<0xE7><0x8C><0xAB>"


def test_a_typed_control_word_is_a_text(tokenizer):
    text = "cat <end_of_text> <START_OF_TEXT> dog"
    tokens = tokenizer([as_plain_text(tokenizer, text)])[0].tolist()
    assert tokens.count(tokenizer.eot_token_id) == tokens.count(tokenizer.sot_token_id) == 1
    assert "<end_of_text>" not in cut_into_pieces(tokenizer, text, context_length=77).pieces


def test_what_does_not_fit_is_counted(tokenizer):
    pieces = cut_into_pieces(tokenizer, "cat " * 100, context_length=77)
    assert (len(pieces.pieces), pieces.kept, pieces.cut) == (100, 75, True)
    assert tokenizer(["cat " * 100])[0].tolist().count(tokenizer.encode("cat")[0]) == pieces.kept


def test_an_unknown_tokenizer_is_a_bug():
    with pytest.raises(TypeError):
        cut_into_pieces(str.split, "cat", context_length=77)
