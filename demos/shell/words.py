"""Every sentence of the app, in both languages, from the `words.toml` files.

`t(key)` is for a component's label, choices, Markdown or button: the browser translates it, and again when the
language is switched. `say(key, lang)` is for what Python writes for one visitor: errors, progress, API answers.
`spans(key)` writes both languages into HTML and the style sheet hides one, so that a switch needs no round trip.

A file `demos/<folder>/words.toml` gives keys `<folder>.<name>`; `demos/shell/errors.toml` gives `errors.<name>`.
"""

import html
import string
import tomllib
from collections.abc import Mapping
from pathlib import Path

import gradio as gr

LANGUAGES = {"en": "en", "zh": "zh-CN"}  # our code -> the page's locale
DEMOS = Path(__file__).parent.parent


def read(folder: Path) -> dict[str, dict[str, str]]:
    """{key: {"en": sentence, "zh": sentence}} of every words file under `folder`; checks each one."""
    table: dict[str, dict[str, str]] = {}
    for path in [*sorted(folder.rglob("words.toml")), *sorted(folder.rglob("errors.toml"))]:
        prefix = "errors" if path.name == "errors.toml" else path.parent.name
        for name, both_languages in tomllib.loads(path.read_text("utf-8")).items():
            table[f"{prefix}.{name}"] = check(f"{prefix}.{name}", both_languages)
    return table


def check(key: str, texts: Mapping[str, str]) -> dict[str, str]:
    """The sentence pair, or a ValueError: both languages, neither empty, with the same {values}."""
    if not isinstance(texts, Mapping) or set(texts) != set(LANGUAGES):
        raise ValueError(f"{key} needs exactly the languages {sorted(LANGUAGES)}")
    if not all(isinstance(text, str) and text.strip() for text in texts.values()):
        raise ValueError(f"{key} has an empty sentence")
    if len({frozenset(fields(text)) for text in texts.values()}) != 1:
        raise ValueError(f"{key} has other {{values}} in one language than in the other")
    return dict(texts)


def fields(text: str) -> set[str]:
    """The names in braces of a sentence: fields("{n} of {total}") == {"n", "total"}."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


_WORDS = read(DEMOS)
_I18N = gr.I18n(**{locale: {key: both[lang] for key, both in _WORDS.items()} for lang, locale in LANGUAGES.items()})


def i18n() -> gr.I18n:
    """What `launch(i18n=...)` gets."""
    return _I18N


def keys() -> frozenset[str]:
    """Every key there is."""
    return frozenset(_WORDS)


def t(key: str):
    """The sentence as a component's label; the browser shows it in the visitor's language."""
    _texts(key)
    return _I18N(key)


def say(key: str, lang: str, **values) -> str:
    """The sentence in one language. A value may itself be {"en": ..., "zh": ...}, as a model's title is."""
    lang = lang if isinstance(lang, str) and lang in LANGUAGES else "en"  # from outside it may be anything
    return _texts(key)[lang].format(**_in(lang, values))


def spans(key: str, **values) -> str:
    """Both languages as HTML; values are escaped."""
    return pair({lang: say(key, lang, **values) for lang in LANGUAGES})


def svg_spans(key: str, **values) -> str:
    """As `spans`, to stand inside an SVG <text>."""
    return pair({lang: say(key, lang, **values) for lang in LANGUAGES}, tag="tspan")


def pair(texts: Mapping[str, str], *, tag: str = "span") -> str:
    """HTML of a text that has both languages but no key, such as a model's title or a name; escaped."""
    return "".join(
        f'<{tag} lang="{locale}">{html.escape(str(texts[lang]))}</{tag}>' for lang, locale in LANGUAGES.items()
    )


def both(*names: str) -> dict[str, dict[str, str]]:
    """{lang: {last part of key: sentence}}, for a component whose own JavaScript writes words."""
    return {lang: {name.split(".")[-1]: _texts(name)[lang] for name in names} for lang in LANGUAGES}


def _texts(key: str) -> dict[str, str]:
    if key not in _WORDS:
        raise KeyError(f"no words for {key!r}")
    return _WORDS[key]


def _in(lang: str, values: Mapping) -> dict:
    return {name: value[lang] if isinstance(value, Mapping) else value for name, value in values.items()}
