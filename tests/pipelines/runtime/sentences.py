"""The sentence of an error or a note, in both languages: a key without one, or a missing value, fails the test."""

import tomllib
from pathlib import Path

SENTENCES = tomllib.loads((Path(__file__).parents[3] / "demos/shell/errors.toml").read_text(encoding="utf-8"))


def sentence(told) -> str:
    """The English sentence of a UserError, Note or anything with key and values; the Chinese one must fill too."""
    texts = SENTENCES[told.key.removeprefix("errors.")]
    filled = {
        lang: text.format(
            **{name: value[lang] if isinstance(value, dict) else value for name, value in told.values.items()}
        )
        for lang, text in texts.items()
    }
    assert filled["zh"] and filled["en"]
    return filled["en"]
