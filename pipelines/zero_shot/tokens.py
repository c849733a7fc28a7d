"""How a text is cut into tokens, for the eye: the pieces, and how many of them the model reads."""

import re
from dataclasses import dataclass

from open_clip.tokenizer import HFTokenizer, SimpleTokenizer

# open_clip's own tokenizer turns these, when typed, into its two control tokens: a label must stay a text.
_CONTROL_WORDS = re.compile(r"<(start_of_text|end_of_text)>", re.IGNORECASE)
MOST_PIECES_SHOWN = 400


@dataclass(frozen=True)
class Pieces:
    """pieces: the text's tokens without control tokens; kept: how many of them fit into the context length."""

    pieces: tuple[str, ...]
    kept: int

    @property
    def cut(self) -> bool:
        """True where the model does not read the whole text."""
        return self.kept < len(self.pieces)


def as_plain_text(tokenizer, text: str) -> str:
    """Take the brackets off typed control words, which would otherwise end the text for the model."""
    return _CONTROL_WORDS.sub(r"\1", text) if isinstance(tokenizer, SimpleTokenizer) else text


def cut_into_pieces(tokenizer, text: str, *, context_length: int) -> Pieces:
    """Cut a text as the tokenizer does.

    Args:
        tokenizer: open_clip's SimpleTokenizer or HFTokenizer.
        text: any string.
        context_length: tokens that the text tower reads, control tokens included.

    Returns:
        Pieces, at most 400 of them.
    """
    if isinstance(tokenizer, SimpleTokenizer):
        ids = tokenizer.encode(as_plain_text(tokenizer, text))
        pieces, control = [_simple_piece(tokenizer, token) for token in ids], 2
    elif isinstance(tokenizer, HFTokenizer):
        inner = tokenizer.tokenizer
        ids = inner(tokenizer.clean_fn(text), add_special_tokens=False, verbose=False)["input_ids"]
        pieces, control = inner.convert_ids_to_tokens(ids), inner.num_special_tokens_to_add()
    else:
        raise TypeError(f"a tokenizer of another kind: {type(tokenizer).__name__}")
    return Pieces(tuple(pieces[:MOST_PIECES_SHOWN]), min(len(pieces), context_length - control))


def _simple_piece(tokenizer: SimpleTokenizer, token: int) -> str:
    """One token of open_clip's byte BPE as a text; bytes that are no whole character as <0xE7><0x8C>."""
    symbols = tokenizer.decoder[token].removesuffix("</w>")
    data = bytes(tokenizer.byte_decoder[symbol] for symbol in symbols)
    try:
        return data.decode()
    except UnicodeDecodeError:
        return "".join(f"<0x{byte:02X}>" for byte in data)
