"""Tables at the levels Blocks and Numbers, the same in every tab, as HTML in both languages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from demos.shell.results import milliseconds
from demos.shell.words import spans


@dataclass(frozen=True)
class Row:
    """A part of a model that has worked. name: HTML. shape: of its output, batch first. parameters: numbers learnt."""

    name: str
    shape: Sequence[int]
    parameters: int
    ms: float


def parts(rows: Sequence[Row], *, slowest: float) -> str:
    """The parts with their shapes, parameters and times. slowest: milliseconds of the longest bar."""
    heads = heading(spans("shell.part"), spans("shell.part_output"))
    heads += heading(spans("shell.part_parameters"), spans("shell.part_time"), numbers=True)
    return table(heads, [_part(row, slowest) for row in rows], kind="lucida-parts")


def _part(row: Row, slowest: float) -> str:
    shape = " × ".join(map(str, row.shape))
    bar = f'<i style="width:{100 * row.ms / (slowest or 1.0):.0f}%"></i>'
    return (
        f'<tr><th scope="row">{row.name}</th><td class="shape">{shape}</td>'
        f'<td class="n">{counted(row.parameters)}</td><td class="n">{milliseconds(row.ms)}{bar}</td></tr>'
    )


def table(heads: str, rows: Sequence[str], *, kind: str = "") -> str:
    """heads: of `heading`. rows: HTML of each <tr>; one of class "on" stands out, cells of class "n" are numbers.
    kind: a further class."""
    body = f"<thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return f'<div class="lucida-wide"><table class="lucida-table {kind}">{body}</table></div>'


def heading(*names: str, numbers: bool = False) -> str:
    """Heads of columns, each already HTML."""
    return "".join(f'<th class="n">{name}</th>' if numbers else f"<th>{name}</th>" for name in names)


def counted(n: int) -> str:
    """928, 14 k, 1.65 M."""
    if n < 1_000:
        return str(n)
    return f"{n / 1e3:.0f} k" if n < 1e6 else f"{n / 1e6:.2f} M"
