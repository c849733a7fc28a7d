"""What the catalogue says of models -> HTML in both languages. Pure: no gradio, no torch."""

import html
from collections.abc import Sequence

from demos.shell.results import milliseconds
from demos.shell.words import pair, spans


def one(entry, availability, *, measured_ms: float | None) -> str:
    """The facts of a model, its published figures with their sources, and what a download would fetch."""
    facts = [
        ("fact_parameters", f"{entry.parameters / 1e6:,.1f} M"),
        ("fact_size", size(entry.bytes)),
        ("fact_licence", html.escape(entry.licence)),
        ("fact_pixels", f"{entry.image_size} × {entry.image_size}"),
        ("fact_time", milliseconds(measured_ms) if measured_ms is not None else _word("not_yet")),
    ]
    rows = "".join(f"<dt>{_word(name)}</dt><dd>{text}</dd>" for name, text in facts)
    rows += "".join(
        f'<dt>{pair(figure.title)}</dt><dd>{figure.text} <span class="lucida-note">({_source(figure.source)})'
        "</span></dd>"
        for figure in entry.figures
    )
    name = f"<h4>{pair(entry.title)}</h4>"
    return f'<div class="lucida-model">{name}<dl class="lucida-facts">{rows}</dl>{_state(availability)}</div>'


def side_by_side(rows: Sequence[tuple], *, chosen: str) -> str:
    """All models of a topic. rows: (entry, availability, milliseconds measured here or None)."""
    names = ("fact_parameters", "fact_size", "fact_figure", "fact_time")
    head = "".join(f'<th scope="col" class="n">{_word(name)}</th>' for name in names)
    head = f'<tr><th scope="col">{_word("model_choice")}</th>{head}<th scope="col">{_word("fact_state")}</th></tr>'
    body = "".join(_row(*row, on=row[0].id == chosen) for row in rows)
    table = f'<table class="lucida-models"><thead>{head}</thead><tbody>{body}</tbody></table>'
    return f'<div class="lucida-model"><h4>{_word("all_models")}</h4><div class="lucida-wide">{table}</div></div>'


def size(n_bytes: int) -> str:
    """ "8.2 MB", "1.71 GB"."""
    return f"{n_bytes / 1e9:,.2f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:,.1f} MB"


def _word(name: str, **values) -> str:
    return spans(f"shell.{name}", **values)


def _state(availability) -> str:
    """Whether it can be used now; for one that cannot, why."""
    if availability.state == "missing" and availability.reason_key:
        told = spans(availability.reason_key, **availability.values)
    else:
        told = spans(f"shell.state_{availability.state}", size=size(availability.bytes))
    return f'<p class="lucida-note">{told}</p>'


def _row(entry, availability, measured_ms: float | None, *, on: bool) -> str:
    first = entry.figures[0] if entry.figures else None
    published = f'{first.text}<br><span class="lucida-note">{pair(first.title)}</span>' if first else "–"
    cells = (
        f"{entry.parameters / 1e6:,.1f} M",
        size(entry.bytes),
        published,
        milliseconds(measured_ms) if measured_ms is not None else "–",
    )
    numbers = "".join(f'<td class="n">{cell}</td>' for cell in cells)
    marked = ' class="on"' if on else ""
    name = f'<th scope="row">{pair(entry.title)}</th>'
    return f"<tr{marked}>{name}{numbers}<td>{_word(f'short_{availability.state}')}</td></tr>"


def _source(source: str) -> str:
    """A published figure's source: a link where it is an address, else its text."""
    shown = html.escape(source)
    if source.startswith("https://"):
        return f'<a href="{shown}" target="_blank" rel="noopener">{_word("source")}</a>'
    return shown
