"""The attention of one call of the UNet, packed for the page: chips of the prompt and every layer's maps. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

SIDE = 16  # longest side of a map that is sent; finer layers are averaged down to it
MOST_NUMBERS = 2_000_000  # sent with every head; above, heads are averaged


def chips(tokens) -> list[dict]:
    """The prompt's chips: [{"text", "kind", "places", "piece"}], places among the tokens that the encoder reads.

    A word of several pieces gets a chip of its own before them; all padding is one chip; what was cut has no place.
    """
    read, made, padding = tokens.chips[: tokens.limit], [], []
    for place, chip in enumerate(read):
        if chip.kind == "pad":
            padding.append(place)
            continue
        pieces = tokens.positions(chip.word) if chip.word is not None else (place,)
        if len(pieces) > 1 and place == pieces[0]:
            made.append(_chip(tokens.words[chip.word], "word", pieces))
        made.append(_chip(chip.text, chip.kind, (place,), piece=len(pieces) > 1))
    if padding:
        made.append(_chip("", "pad", padding))
    return made + [_chip(chip.text, "cut", ()) for chip in tokens.chips[tokens.limit :]]


def _chip(text: str, kind: str, places, *, piece: bool = False) -> dict:
    return {"text": text.replace("▁", "␣"), "kind": kind, "places": [int(place) for place in places], "piece": piece}


def used_places(made: list[dict]) -> list[int]:
    """The tokens that some chip names one by one, in order."""
    return sorted({place for chip in made if chip["kind"] != "pad" for place in chip["places"]})


def packed(maps: Mapping[str, np.ndarray], tokens) -> dict:
    """{"array": float16, "layers", "tokens", "chips", "averaged"} of the prompt's own row.

    maps: {layer: (rows, heads, tokens, h, w)}, the prompt in the last row. The padding's attention is summed into one
    token, so that what is sent does not grow with the model's limit.
    """
    made = chips(tokens)
    kept, padding = used_places(made), next((chip["places"] for chip in made if chip["kind"] == "pad"), [])
    rows = {name: _fewer_tokens(values[-1], kept, padding) for name, values in maps.items()}
    averaged = sum(values.size for values in rows.values()) > MOST_NUMBERS
    layers, arrays, offset = [], [], 0
    for name, values in rows.items():  # in the order in which the layers work
        values = values.mean(axis=0, keepdims=True) if averaged else values
        heads, _, height, width = values.shape
        place = {**_where(name), "number": 1 + sum(_where(name).items() <= layer.items() for layer in layers)}
        size = {
            "cells_high": maps[name].shape[-2],
            "cells_wide": maps[name].shape[-1],
            "height": height,
            "width": width,
        }
        layers.append({"name": name, **place, **size, "heads": heads, "offset": offset})
        arrays.append(values.astype(np.float16).ravel())
        offset += values.size
    return {
        "array": np.concatenate(arrays),
        "layers": layers,
        "tokens": len(kept) + bool(padding),
        "chips": [_moved(chip, kept) for chip in made],
        "averaged": averaged,
    }


def _where(name: str) -> dict:
    """{"part": "down", "mid" or "up", "block": from 1} of a layer's name in the UNet, "down_blocks.1.attentions..."."""
    part, *rest = name.split(".")
    return {"part": part.split("_")[0], "block": int(rest[0]) + 1 if rest and rest[0].isdigit() else 0}


def _fewer_tokens(values: np.ndarray, kept: list[int], padding: list[int]) -> np.ndarray:
    """(heads, tokens, h, w) -> (heads, kept and one for the padding, at most SIDE, at most SIDE)."""
    parts = [values[:, kept]]
    if padding:
        parts.append(values[:, padding].sum(axis=1, keepdims=True))
    return pooled(np.concatenate(parts, axis=1))


def _moved(chip: dict, kept: list[int]) -> dict:
    """The chip with its places among the tokens that are sent; `count` is how many tokens it stands for."""
    places = [len(kept)] if chip["kind"] == "pad" else [kept.index(place) for place in chip["places"]]
    return {**chip, "places": places, "count": len(chip["places"])}


def pooled(values: np.ndarray) -> np.ndarray:
    """(..., h, w) with the mean over blocks, so that no side passes SIDE; smaller ones stay."""
    height, width = values.shape[-2:]
    share = min(1.0, SIDE / max(height, width))
    for axis, side in ((-2, height), (-1, width)):
        edges = np.round(np.linspace(0, side, max(1, round(side * share)) + 1)).astype(int)
        values = np.add.reduceat(values, edges[:-1], axis=axis) / np.diff(edges).reshape(
            [-1 if a == axis % values.ndim else 1 for a in range(values.ndim)]
        )
    return values
