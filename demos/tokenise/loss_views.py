"""Where the loss comes from -> HTML in both languages, and the maps of both errors. Pure: no gradio, no torch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from demos.shell import tables
from demos.shell.arrays import pack
from demos.tokenise.decoded import averaged
from demos.tokenise.level_views import number
from demos.tokenise.views import framed, sentence, word

if TYPE_CHECKING:
    from pipelines.tokenise.loss import Loss

MAP_CELLS = 128  # longest side of an error map: a page needs no more
SHOWN = ("original", "unquantised", "quantised")


def captions(loss: Loss) -> dict[str, str]:
    """PSNR of both decoded pictures, as it stands under them."""
    return {name: _decibel(getattr(loss, f"{name}_psnr")) for name in SHOWN[1:]}


def _decibel(psnr: float) -> str:
    return "∞ dB" if math.isinf(psnr) else f"{psnr:.1f} dB"


def said(loss: Loss) -> str:
    """What share of the squared error was there before rounding to codes, and the three summands that make it up."""
    if not loss.total:
        return framed(sentence("loss_nothing"))
    return framed(
        _lead(loss), _table(loss), sentence(_cross(loss), kind="tk-note"), sentence("loss_trained", kind="tk-note")
    )


def _lead(loss: Loss) -> str:
    values = {"before": _percent(loss.bottleneck / loss.total), "after": _percent(loss.share)}
    name = "loss_lead" if loss.share >= 0 else "loss_lead_helped"
    return sentence(name, **values, from_db=_decibel(loss.unquantised_psnr), to_db=_decibel(loss.quantised_psnr))


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _cross(loss: Loss) -> str:
    """Which sentence explains the third summand: next to nothing, or of either sign."""
    if abs(loss.cross) < 0.02 * loss.total:
        return "loss_cross_none"
    return "loss_cross_more" if loss.cross > 0 else "loss_cross_less"


def _table(loss: Loss) -> str:
    heads = tables.heading(word("loss_part"))
    heads += tables.heading(word("loss_mean"), word("loss_share"), numbers=True)
    rows = (
        ("loss_bottleneck", "(x − u)²", loss.bottleneck),
        ("loss_rounding", "(u − q)²", loss.rounding),
        ("loss_cross", "2 (x − u)(u − q)", loss.cross),
        ("loss_total", "(x − q)²", loss.total),
    )
    return tables.table(heads, [_row(*row, total=loss.total) for row in rows])


def _row(name: str, formula: str, value: float, *, total: float) -> str:
    kind = " class=on" if name == "loss_total" else ""
    share = f"{100 * value / total:.1f} %".replace("-", "−")
    return (
        f'<tr{kind}><th scope="row">{word(name)}<br><small class="tk-note">{formula}</small></th>'
        f'<td class="n">{number(value)}</td><td class="n">{share}</td></tr>'
    )


def maps(loss: Loss) -> tuple[dict, dict]:
    """Both errors as values for `HeatMap`, without their picture: root mean squares, with one range of colours."""
    made = [_coarse(error) for error in (loss.unquantised_error, loss.quantised_error)]
    limits = (0.0, max(1.0, *(float(one.max()) for one in made)))
    first, second = ({"map": pack(one.astype(np.float16)), "range": limits} for one in made)
    return first, second


def _coarse(error: np.ndarray) -> np.ndarray:
    """(h, w) float32, no side above MAP_CELLS: the root of the mean square of each block of pixels."""
    factor = -(-max(error.shape) // MAP_CELLS)
    return np.sqrt(averaged(np.square(error.astype(np.float64)), factor)).astype(np.float32)
