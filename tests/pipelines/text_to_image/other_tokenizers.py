"""The other two tokenizers that Stable Diffusion's kin come with, built without a download."""

import gzip
from pathlib import Path

import open_clip
from transformers import BertTokenizer, CLIPTokenizer
from transformers.convert_slow_tokenizer import bytes_to_unicode

CHINESE = ("一", "只", "猫", "红", "red", "##dish", "apple", ",", "[", "]", "sep")


def clip_tokenizer() -> CLIPTokenizer:
    """CLIP's own 49,408 tokens, from the table that open_clip carries; 77 tokens long."""
    table = Path(open_clip.__file__).with_name("bpe_simple_vocab_16e6.txt.gz")
    merges = gzip.decompress(table.read_bytes()).decode().split("\n")[1 : 49152 - 256 - 2 + 1]
    signs = list(bytes_to_unicode().values())
    tokens = [*signs, *(f"{sign}</w>" for sign in signs), *("".join(merge.split()) for merge in merges)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    return CLIPTokenizer(vocab=vocabulary, merges=[tuple(merge.split()) for merge in merges], model_max_length=77)


def chinese_tokenizer() -> BertTokenizer:
    """A WordPiece tokenizer as Taiyi's, with next to no words; 16 tokens long."""
    tokens = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *CHINESE)
    return BertTokenizer(vocab={token: number for number, token in enumerate(tokens)}, model_max_length=16)
