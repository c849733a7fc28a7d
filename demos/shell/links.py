"""Settings <-> the page's address: ?tab=zero_shot&labels=cat%2Cdog&temperature=0.5

A link is outside input. Each reader below gives the default for a value that is missing, and for a bad one as well,
whose name it then keeps in `Link.ignored`; the frame tells the visitor which settings were left out.
"""

import json
import math
from collections.abc import Collection, Mapping
from urllib.parse import parse_qs

import gradio as gr

from demos.shell.words import t

MAX_VALUE = 8_000  # characters of one setting
PRIVATE = {"show_progress": "hidden", "api_visibility": "private"}


class Link(dict):
    """The settings of an address by name, and the names of those that could not be used."""

    def __init__(self, settings: Mapping[str, str] = {}):
        super().__init__(settings)
        self.ignored: list[str] = []

    def ignore(self, name: str) -> None:
        if name not in self.ignored:
            self.ignored.append(name)


def parse(query: str) -> Link:
    """The settings of an address's query part; of a repeated name the first counts."""
    try:
        pairs = parse_qs(query.lstrip("?"), max_num_fields=100, errors="strict")
    except (ValueError, UnicodeDecodeError):
        return Link()
    link = Link({name: values[0] for name, values in pairs.items() if len(values[0]) <= MAX_VALUE})
    for name in pairs.keys() - link.keys():
        link.ignore(name)
    return link


def number(link: Mapping, name: str, default: float, low: float, high: float) -> float:
    """A finite number of low..high, or the default."""
    if name not in link:
        return default
    try:
        value = float(link[name])
    except ValueError:
        value = math.nan
    return value if low <= value <= high else _default(link, name, default)


def integer(link: Mapping, name: str, default: int, low: int, high: int) -> int:
    """A whole number of low..high, or the default. Digits only, so that 2**53 + 1 stays exact."""
    if name not in link:
        return default
    digits = link[name].strip().removeprefix("-")
    good = digits.isascii() and digits.isdigit() and len(digits) <= 20 and low <= int(link[name]) <= high
    return int(link[name]) if good else _default(link, name, default)


def choice(link: Mapping, name: str, default: str, allowed: Collection[str]) -> str:
    """One of the allowed values, or the default."""
    if name not in link:
        return default
    return link[name] if link[name] in allowed else _default(link, name, default)


def text(link: Mapping, name: str, default: str, *, longest: int = MAX_VALUE) -> str:
    """A text without control characters, at most `longest` characters, or the default."""
    if name not in link:
        return default
    value = link[name].replace("\r\n", "\n")
    good = len(value) <= longest and all(sign.isprintable() or sign in "\n\u200d\u3000" for sign in value)
    return value if good else _default(link, name, default)


def button(page, **settings) -> None:
    """Lay out "Link to this": it writes these components' values into the address and copies it.

    A click asks the server for nothing. Where the browser does not let a page copy, the address is shown to be copied
    by hand.
    """
    share = gr.Button(t("shell.link"), size="sm", elem_classes="lucida-link-button", min_width=60)
    shown = gr.HTML("", elem_classes="lucida-linked")
    js = f"(...values) => lucida.link({json.dumps(page.tab)}, {json.dumps(list(settings))}, values)"
    share.click(None, list(settings.values()), shown, js=js, **PRIVATE)


def _default(link: Mapping, name: str, default):
    if isinstance(link, Link):
        link.ignore(name)
    return default
