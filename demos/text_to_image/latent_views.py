"""A picture, its latent channels in signed colours, and the picture that came back. Pure: no gradio, no torch."""

from __future__ import annotations

import math

import numpy as np

from demos.text_to_image.panel_views import channel_picture, coarsened, figure, framed, grid, sentence, word


def passage(it) -> str:
    """A `LatentPassage`: in, the channels, out, and what the autoencoder alone cost."""
    ends = grid(figure(it.original, word("latent_in")), figure(it.decoded, word("latent_out")), columns=2)
    most = float(np.abs(it.latents).max())
    channels = grid(
        *(
            figure(channel_picture(one, most), word("latent_channel", i=i + 1), coarse=True)
            for i, one in enumerate(it.latents)
        ),
        columns=min(len(it.latents), 4),
    )
    scale = sentence("latent_scale", kind="t2i-note", most=f"{most:.2f}")
    return framed(ends, _cost(it), f"<h4>{word('latent_channels')}</h4>", scale, channels, _facts(it))


def _cost(it) -> str:
    if math.isinf(it.psnr_db):
        return sentence("latent_equal", kind="t2i-lead")
    return sentence(
        "latent_cost", kind="t2i-lead", psnr=f"{it.psnr_db:.1f}", ratio=f"{it.bytes_picture / it.bytes_latents:.0f}"
    )


def _facts(it) -> str:
    (height, width), (channels, rows, columns) = it.original.shape[:2], it.latents.shape
    rows_of = {
        "latent_bytes_picture": f"{width} × {height} × 3 = {it.bytes_picture:,}",
        "latent_bytes_latents": f"{columns} × {rows} × {channels} × 2 = {it.bytes_latents:,}",
        "latent_ms": f"{it.ms['encode']:.0f} + {it.ms['decode']:.0f} ms",
    }
    return '<dl class="t2i-facts">' + "".join(f"<dt>{word(k)}</dt><dd>{v}</dd>" for k, v in rows_of.items()) + "</dl>"


def difference_of(it) -> np.ndarray:
    """(h, w) float32: |out - in| in percent of full brightness, mean over colours."""
    return coarsened(it.difference.astype(np.float32) / 255 * 100)
