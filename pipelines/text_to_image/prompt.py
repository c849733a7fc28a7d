"""What the model reads of a prompt: its tokens one by one, where the limit cuts, and the text encoder's output.

CLIP's text encoder reads a fixed number of tokens, begin- and end-of-text included (77 in arXiv 2103.00020, section
2.4; 32 in the bundled model); what comes after them never reaches the picture.
"""

import re
import threading
from dataclasses import dataclass

import torch
from transformers.convert_slow_tokenizer import bytes_to_unicode

from pipelines.text_to_image.settings import text as clean

# A word, for the eye: one Chinese character, kana or Hangul syllable; a run of letters, digits and marks; one sign.
_CJK = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_LETTER = rf"(?:(?![{_CJK}_])\w|[\u0300-\u036f])"
_WORD = re.compile(rf"[{_CJK}]|{_LETTER}+(?:['’]{_LETTER}+)*|[^\w\s]|_")
_SPACE = "▁"  # how a SentencePiece-like vocabulary writes the space before a word
_BYTE_PIECE = re.compile(r"<0x[0-9A-F]{2}>")
_BYTE_OF_SIGN = {sign: byte for byte, sign in bytes_to_unicode().items()}

# Fast tokenizers keep truncation and padding as their own state: two threads in one of them end in an error.
_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class Chip:
    """One token.

    text: the piece as the model's vocabulary has it, without the marks that say where words begin or end; bytes that
    are no whole character as "<0xE7><0x8C>". id: in the vocabulary. kind: "begin", "end", "pad" (control tokens),
    "word", "unknown" (stands for a character that the vocabulary lacks, whole or byte by byte) or "cut" (past the
    limit, never read). word: index of the visitor's word it belongs to, None for control tokens and bare spaces.
    start, end: offsets in the prompt, in characters. in_bytes: the piece is a part of a character.
    """

    text: str
    id: int
    kind: str
    word: int | None
    start: int
    end: int
    in_bytes: bool = False


@dataclass(frozen=True)
class PromptTokens:
    """A prompt as tokens.

    chips: the ``limit`` tokens that the text encoder reads, in its order (chip i is token i of its output), then
    those that were cut. words: the visitor's words. used: tokens read that are no padding, begin and end included.
    cut_from: offset in the prompt from where nothing is read, None where all is.
    """

    chips: tuple[Chip, ...]
    words: tuple[str, ...]
    limit: int
    used: int
    cut_from: int | None

    @property
    def needed(self) -> int:
        """Tokens that the whole prompt would take, begin and end included."""
        return self.used + sum(chip.kind == "cut" for chip in self.chips)

    def positions(self, word: int) -> tuple[int, ...]:
        """Where the tokens of a word stand among those that the encoder reads; () where all were cut."""
        return tuple(place for place, chip in enumerate(self.chips[: self.limit]) if chip.word == word)


@dataclass(frozen=True, eq=False)
class Conditioning:
    """Texts as the UNet gets them.

    embeds: (B, T, D), on the model's device, in its dtype. pooled: (B, P) where the model wants it (SDXL), else None.
    """

    embeds: torch.Tensor
    pooled: torch.Tensor | None = None


def split_words(text: str) -> tuple[tuple[int, int], ...]:
    """Offsets (start, end) of the words of a text. Chinese has no spaces: each character is a word of its own."""
    return tuple(match.span() for match in _WORD.finditer(text))


def tokenise(model, text: str) -> PromptTokens:
    """Cut a prompt into the model's tokens; no encoder runs. SDXL has two tokenizers: the first one's are shown.

    Control tokens typed by the visitor stay a text.

    Args:
        model: TextToImageModel.
        text: up to 2,000 characters, not tidied: offsets refer to it.

    Raises:
        UserError: as ``settings.text``.
    """
    text = clean(text)
    tokenizer, limit = model.pipeline.tokenizer, token_limit(model.pipeline, 0)
    read = _call(tokenizer, [text], limit, return_offsets_mapping=True)
    with _one_at_a_time:
        whole = tokenizer(
            text,
            add_special_tokens=False,
            split_special_tokens=True,
            return_offsets_mapping=True,
            verbose=False,
        )
    sequence, attended = read.sequence_ids(0), read["attention_mask"][0]
    kept = sum(part is not None for part in sequence)
    first = next((place for place, part in enumerate(sequence) if part is not None), 1)
    spans = split_words(text)
    cutter = _Cutter(tokenizer, spans)
    pieces = [
        cutter.chip(token, *offsets, cut=place >= kept)
        for place, (token, offsets) in enumerate(zip(whole["input_ids"], whole["offset_mapping"], strict=True))
    ]
    chips = []
    for place, token in enumerate(read["input_ids"][0]):
        kind = "pad" if not attended[place] else "begin" if place < first else "end"
        at = 0 if kind == "begin" else pieces[kept - 1].end if kept else 0
        control = Chip(tokenizer.convert_ids_to_tokens(int(token)), int(token), kind, None, at, at)
        chips.append(control if sequence[place] is None else pieces[place - first])
    cut_from = pieces[kept].start if kept < len(pieces) else None
    words = tuple(text[start:end] for start, end in spans)
    return PromptTokens((*chips, *pieces[kept:]), words, len(chips), int(sum(attended)), cut_from)


def token_limit(pipeline, number: int) -> int:
    """How many tokens a text encoder of the pipeline (0, or 1 in SDXL) reads, begin and end included."""
    suffix = "_2" if number else ""
    tokenizer, encoder = getattr(pipeline, "tokenizer" + suffix), getattr(pipeline, "text_encoder" + suffix)
    return min(tokenizer.model_max_length, encoder.config.max_position_embeddings)


def encode(model, texts: list[str], *, negative: bool = False) -> Conditioning:
    """Run the text encoder (SDXL: both), each text by itself, so that its numbers do not depend on its company.

    Equal to the bit to diffusers' ``encode_prompt`` for a single prompt; longer texts are cut at the limit, as
    ``tokenise`` shows. It differs for typed control tokens alone, which stay a text here.

    Args:
        model: TextToImageModel.
        texts: B texts; "" is the unconditional one.
        negative: the texts are negative prompts: SDXL takes zeros instead of an empty one, as its config says.

    Returns:
        Conditioning of batch B.

    Raises:
        UserError: as ``settings.text``.
    """
    with torch.inference_mode():
        rows = [_encode_one(model, clean(text), negative=negative) for text in texts]
        embeds = torch.cat([row.embeds for row in rows])
        pooled = None if rows[0].pooled is None else torch.cat([row.pooled for row in rows])
    return Conditioning(embeds, pooled)


def _encode_one(model, text: str, *, negative: bool) -> Conditioning:
    pipeline = model.pipeline
    if model.family != "sdxl":
        ids, mask = _ids(pipeline, 0, text)
        masked = getattr(pipeline.text_encoder.config, "use_attention_mask", False)
        embeds = pipeline.text_encoder(ids.to(model.device), attention_mask=mask.to(model.device) if masked else None)
        return Conditioning(embeds[0].to(model.device, model.dtype))
    hidden, pooled = [], None
    for number, encoder in enumerate((pipeline.text_encoder, pipeline.text_encoder_2)):
        ids, _ = _ids(pipeline, number, text)
        output = encoder(ids.to(model.device), output_hidden_states=True)
        hidden.append(output.hidden_states[-2])
        pooled = output[0]  # the second encoder's, with its projection
    embeds = torch.cat(hidden, dim=-1).to(model.device, model.dtype)
    pooled = pooled.to(model.device, model.dtype)
    if negative and not text and pipeline.config.force_zeros_for_empty_prompt:
        return Conditioning(torch.zeros_like(embeds), torch.zeros_like(pooled))
    return Conditioning(embeds, pooled)


def _ids(pipeline, number: int, text: str) -> tuple[torch.Tensor, torch.Tensor]:
    tokenizer = pipeline.tokenizer_2 if number else pipeline.tokenizer
    read = _call(tokenizer, [text], token_limit(pipeline, number), return_tensors="pt")
    return read["input_ids"], read["attention_mask"]


def _call(tokenizer, texts: list[str], limit: int, **more):
    """The tokenizer as diffusers calls it, but that typed control tokens stay a text."""
    with _one_at_a_time:
        return tokenizer(
            texts,
            padding="max_length",
            max_length=limit,
            truncation=True,
            return_attention_mask=True,
            split_special_tokens=True,
            verbose=False,
            **more,
        )


class _Cutter:
    """Makes chips of one text; lives as long as that."""

    def __init__(self, tokenizer, spans: tuple[tuple[int, int], ...]):
        self._tokenizer = tokenizer
        model = tokenizer.backend_tokenizer.model
        # CLIP writes every byte as a sign and ends words with </w>; WordPiece continues them with ##.
        self._word_end = getattr(model, "end_of_word_suffix", None)
        self._continues = getattr(model, "continuing_subword_prefix", None)
        self._word_at = {place: number for number, (start, end) in enumerate(spans) for place in range(start, end)}

    def chip(self, token: int, start: int, end: int, *, cut: bool) -> Chip:
        """The chip of a token of the text. start, end: its offsets; cut: past the limit."""
        piece = self._tokenizer.convert_ids_to_tokens(token)
        text, in_bytes, unknown = self._show(piece)
        unknown = unknown or token == self._tokenizer.unk_token_id
        kind = "cut" if cut else "unknown" if unknown else "word"
        inside = range(start, end) if text != _SPACE else ()
        word = next((self._word_at[place] for place in inside if place in self._word_at), None)
        return Chip(text, token, kind, word, start, end, in_bytes)

    def _show(self, piece: str) -> tuple[str, bool, bool]:
        """(text, whether it is bytes only, whether the vocabulary lacks the character) of a piece."""
        if self._word_end:
            data = bytes(_BYTE_OF_SIGN[sign] for sign in piece.removesuffix(self._word_end) if sign in _BYTE_OF_SIGN)
            try:
                return data.decode(), False, False
            except UnicodeDecodeError:
                return "".join(f"<0x{byte:02X}>" for byte in data), True, False
        if _BYTE_PIECE.fullmatch(piece):
            return piece, True, True
        if self._continues and piece != self._continues:
            piece = piece.removeprefix(self._continues)
        return piece.replace(_SPACE, "") or piece, False, False
