"""Makes the bilingual tokenizer of the bundled models: at most 8,000 tokens, English words and Chinese characters.

    python -m training.tokenizer --data FOLDER --out assets/models/zero_shot/tokenizer

Byte pairs are merged inside words (arXiv 1508.07909). Chinese characters always stand alone, so that a character means
the same in every word and in every template; what the vocabulary lacks falls back to UTF-8 bytes. ``</s>`` has the
highest id, because open_clip's and transformers' pooling look for the largest one.
"""

import argparse
import json
import string
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from training.words import all_concepts, captions_of, common_words, tags_of

VOCABULARY = 8000
CONTEXT_LENGTH = 32
PAD, START, END = "<pad>", "<s>", "</s>"
BYTES = tuple(f"<0x{value:02X}>" for value in range(256))
HAN = r"[\u3400-\u9fff]"
PUNCTUATION = "。、“”‘’《》…·—"  # what NFKC does not turn into ASCII


def train(texts: Iterable[str], *, vocabulary: int = VOCABULARY, han: Iterable[str] = ()) -> Tokenizer:
    """Train the tokenizer.

    Args:
        texts: corpus; repeat a text to give it weight.
        vocabulary: number of tokens, control and byte tokens included.
        han: Chinese characters that get a token of their own even if the corpus lacks them.

    Returns:
        Tokenizer; ids: ``<pad>`` 0, bytes 1..256, pieces, ``<s>``, ``</s>`` last.
    """
    learner = _empty(models.BPE())
    pieces = vocabulary - len(BYTES) - 3
    alphabet = [*han, *PUNCTUATION, *string.digits, *string.ascii_lowercase, *string.punctuation]
    trainer = trainers.BpeTrainer(
        vocab_size=pieces, initial_alphabet=alphabet, min_frequency=2, show_progress=False, special_tokens=[]
    )
    learner.train_from_iterator(texts, trainer)
    learnt = json.loads(learner.to_str())["model"]
    names = [PAD, *BYTES, *sorted(learnt["vocab"], key=learnt["vocab"].get), START, END]
    ids = {name: number for number, name in enumerate(names)}
    merges = [tuple(pair) for pair in learnt["merges"]]
    tokenizer = _empty(models.BPE(vocab=ids, merges=merges, byte_fallback=True, unk_token=None))
    tokenizer.add_special_tokens([PAD, START, END])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}", special_tokens=[(START, ids[START]), (END, ids[END])]
    )
    return tokenizer


def _empty(model: models.Model) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first"),
            pre_tokenizers.Split(Regex(HAN), behavior="isolated"),
            pre_tokenizers.Punctuation(behavior="isolated"),
            pre_tokenizers.Digits(individual_digits=True),
        ]
    )
    return tokenizer


def save(tokenizer: Tokenizer, folder: Path) -> None:
    """Write the two files that transformers' AutoTokenizer reads; a typed ``<s>`` stays a text."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": CONTEXT_LENGTH,
        "pad_token": PAD,
        "bos_token": START,
        "eos_token": END,
        "split_special_tokens": True,
        "clean_up_tokenization_spaces": False,
        "padding_side": "right",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def corpus(data: Path) -> tuple[list[str], list[str]]:
    """Texts with their weights, and the Chinese characters that must have a token."""
    from pipelines.zero_shot.templates import TEMPLATES

    names = [name for many in all_concepts(data).values() for one in many for name in (*one.en, *one.zh)]
    captions, tags, words = captions_of(data), tags_of(data), common_words(12000)
    templates = [template.replace("{}", " ") for language in TEMPLATES for template in TEMPLATES[language]]
    texts = 4 * names + captions + tags + words + 20 * templates
    bank = Path("assets/models/zero_shot/bank.tsv")
    if bank.exists():
        texts += 3 * bank.read_text(encoding="utf-8").replace("\t", "\n").splitlines()
    counted = Counter(character for text in texts for character in text if "\u3400" <= character <= "\u9fff")
    frequent = sorted(character for character, times in counted.items() if times >= 2)
    return texts, frequent


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("assets/models/zero_shot/tokenizer"))
    options = parser.parse_args()
    texts, han = corpus(options.data)
    tokenizer = train(texts, han=han)
    save(tokenizer, options.out)
    print(f"{tokenizer.get_vocab_size()} tokens, {len(han)} Chinese characters, {len(texts)} texts")


if __name__ == "__main__":
    main()
