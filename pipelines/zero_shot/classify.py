"""Zero-shot classification: cosine, scale, and the two read-outs (arXiv 2103.00020, 2303.15343)."""

import time
from dataclasses import dataclass, replace

import numpy as np

from pipelines.zero_shot.blocks import (
    Block,
    Timeline,
    image_parameters,
    image_stages,
    join_runs,
    text_parameters,
    text_stages,
)
from pipelines.zero_shot.labels import BARE, fill
from pipelines.zero_shot.models import ZeroShotModel
from pipelines.zero_shot.preprocess import Crop
from pipelines.zero_shot.tokens import cut_into_pieces

TEXTS_A_BATCH = 128


@dataclass(frozen=True, eq=False)
class EncodedPicture:
    """A picture as the model has it.

    feature: (D,) float32, unit length. view: (S, S, 3) uint8, what the model saw. region_xyxy: the part of the
    picture that it shows, in the picture's pixels. dtype: what computed it.
    """

    feature: np.ndarray
    view: np.ndarray
    region_xyxy: tuple[float, float, float, float]
    blocks: tuple[Block, ...]
    ms: float
    dtype: str


@dataclass(frozen=True, eq=False)
class EncodedLabels:
    """Labels as the model has them.

    features: (L, D) float32, unit length: the mean over the templates of unit-length text features, brought to unit
    length again. tokens, kept: the pieces of each label in the first template, and how many of them the model
    reads. computed: how many of the texts were not in the cache.
    """

    labels: tuple[str, ...]
    features: np.ndarray
    tokens: tuple[tuple[str, ...], ...]
    kept: tuple[int, ...]
    blocks: tuple[Block, ...]
    computed: int
    ms: float


@dataclass(frozen=True, eq=False)
class Classification:
    """All that the three levels show of one classification, so that no control has to run the model again.

    cosines: (L,) float32. softmax: (L,) float32, sums to 1. sigmoid: (L,) float32, or None for a model without a
    trained bias. objective: the read-out that the model was trained for, "softmax" or "sigmoid". image_feature
    (D,), text_features (L, D): float32, unit length. tokens, kept, cut: the pieces of each label in the first
    template, how many the model reads, and whether that is fewer than all. view: (S, S, 3) uint8; region_xyxy: what
    it shows of the picture. ms: "preprocess", "image", "text", "total". computed_texts: texts not in the cache.
    """

    model_id: str
    labels: tuple[str, ...]
    cosines: np.ndarray
    logit_scale: float
    logit_bias: float | None
    objective: str
    softmax: np.ndarray
    sigmoid: np.ndarray | None
    image_feature: np.ndarray
    text_features: np.ndarray
    tokens: tuple[tuple[str, ...], ...]
    kept: tuple[int, ...]
    cut: tuple[bool, ...]
    view: np.ndarray
    region_xyxy: tuple[float, float, float, float]
    blocks: tuple[Block, ...]
    ms: dict[str, float]
    computed_texts: int
    device: str
    dtype: str


def classify(
    model: ZeroShotModel,
    pixels: np.ndarray,
    labels: tuple[str, ...],
    *,
    templates: tuple[str, ...] = (BARE,),
    crop: Crop | None = None,
) -> Classification:
    """Compare a picture with labels.

    Args:
        model: from ``models.load``.
        pixels: (H, W, 3) uint8, RGB.
        labels: at least one, as ``labels.parse_labels`` gives them.
        templates: each with one ``{}``; several make an ensemble.
        crop: which part of the picture; without it as the model was published.

    Raises:
        UserError: ``errors.crop_empty``, ``errors.crop_unknown``, ``errors.model_not_finite``.
        ValueError: no label, no template, or pixels of another shape.

    Example:
        >>> classify(model, pixels, ("cat", "dog")).softmax.sum()  # doctest: +SKIP
        1.0
    """
    text = encode_labels(model, labels, templates=templates)
    return compare(model, encode_picture(model, pixels, crop=crop), text)


def compare(model: ZeroShotModel, picture: EncodedPicture, text: EncodedLabels) -> Classification:
    """Put an encoded picture beside encoded labels: the cheap half of ``classify``, microseconds.

    cosine_l = image . text_l; softmax over s cosine (2103.00020, figure 3, s = exp of the learnt logit scale);
    sigmoid of s cosine + b (2303.15343, eq. (1)), for a model trained with a bias only.
    """
    started = time.perf_counter()
    cosines = text.features.astype(np.float64) @ picture.feature.astype(np.float64)
    softmax, sigmoid = read_out(cosines, logit_scale=model.logit_scale, logit_bias=model.logit_bias)
    ms = (time.perf_counter() - started) * 1000
    count = (len(text.labels),)
    read_outs = (Block("cosine", count, ms / 2, 0), Block("readout", count, ms / 2, 1 + (sigmoid is not None)))
    return Classification(
        model_id=model.id,
        labels=text.labels,
        cosines=cosines.astype(np.float32),
        logit_scale=model.logit_scale,
        logit_bias=model.logit_bias,
        objective=model.objective,
        softmax=softmax.astype(np.float32),
        sigmoid=None if sigmoid is None else sigmoid.astype(np.float32),
        image_feature=picture.feature,
        text_features=text.features,
        tokens=text.tokens,
        kept=text.kept,
        cut=tuple(kept < len(pieces) for kept, pieces in zip(text.kept, text.tokens, strict=True)),
        view=picture.view,
        region_xyxy=picture.region_xyxy,
        blocks=picture.blocks + text.blocks + read_outs,
        ms={
            "preprocess": picture.blocks[0].ms,
            "image": picture.ms - picture.blocks[0].ms,
            "text": text.ms,
            "total": picture.ms + text.ms + ms,
        },
        computed_texts=text.computed,
        device=model.device,
        dtype=picture.dtype,
    )


def read_out(
    cosines: np.ndarray, *, logit_scale: float, logit_bias: float | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Both read-outs of cosines (L,), in float64 without overflow.

    Returns:
        (softmax (L,), sigmoid (L,) or None where there is no bias). Infinite scale gives the limits: the softmax
        goes to the largest cosine, shared among equals.
    """
    cosines = cosines.astype(np.float64)
    with np.errstate(invalid="ignore"):  # infinity times zero, for the largest cosine
        logits = np.nan_to_num(logit_scale * (cosines - cosines.max()), nan=0.0, neginf=-np.inf)
    powers = np.exp(logits)
    softmax = powers / powers.sum()
    return softmax, None if logit_bias is None else sigmoid(logit_scale * cosines + logit_bias)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)) for any float64 x, as (1 + tanh(x / 2)) / 2, which does not overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * logits))


def encode_picture(model: ZeroShotModel, pixels: np.ndarray, *, crop: Crop | None = None) -> EncodedPicture:
    """Cut, scale and encode a picture (H, W, 3) uint8.

    Raises:
        UserError: ``errors.crop_empty``, ``errors.crop_unknown``, ``errors.model_not_finite``.
    """
    started = time.perf_counter()
    view = model.preprocess.view(pixels, crop)
    images = model.preprocess.tensor(view.pixels)[None]
    prepared = Block("preprocess", tuple(images.shape), (time.perf_counter() - started) * 1000, 0)
    with Timeline(image_stages(model.module.visual), device=model.device) as timeline:
        features, dtype = model.image_features(images)
        blocks = timeline.close("", features, parameters=image_parameters(model.module))
    ms = (time.perf_counter() - started) * 1000
    return EncodedPicture(features[0], view.pixels, view.region_xyxy, (prepared, *blocks), ms, dtype)


def encode_labels(
    model: ZeroShotModel, labels: tuple[str, ...], *, templates: tuple[str, ...] = (BARE,)
) -> EncodedLabels:
    """Encode labels, each as the mean over the templates (2103.00020, section 3.1.4), through the text cache.

    Raises:
        UserError: ``errors.model_not_finite``.
        ValueError: no label or no template.
    """
    if not labels or not templates:
        raise ValueError(f"{len(labels)} labels and {len(templates)} templates: at least one of each is needed")
    started = time.perf_counter()
    texts = [fill(template, label) for label in labels for template in templates]
    features, blocks, computed = _features_of(model, texts)
    mean = features.reshape(len(labels), len(templates), -1).mean(axis=1)
    unit = mean / np.linalg.norm(mean, axis=1, keepdims=True)
    ms = (time.perf_counter() - started) * 1000
    pieces = [
        cut_into_pieces(model.tokenizer, text, context_length=model.context_length) for text in texts[:: len(templates)]
    ]
    return EncodedLabels(
        labels=tuple(labels),
        features=unit.astype(np.float32),
        tokens=tuple(piece.pieces for piece in pieces),
        kept=tuple(piece.kept for piece in pieces),
        blocks=blocks,
        computed=computed,
        ms=ms,
    )


def _features_of(model: ZeroShotModel, texts: list[str]) -> tuple[np.ndarray, tuple[Block, ...], int]:
    """Features (T, D) of texts, the text tower's blocks over all batches, and how many texts were computed."""
    known = {text: model.text_cache.get(text) for text in dict.fromkeys(texts)}
    missing = [text for text, feature in known.items() if feature is None]
    runs = []
    for start in range(0, len(missing), TEXTS_A_BATCH):
        batch = missing[start : start + TEXTS_A_BATCH]
        with Timeline(text_stages(model.module), device=model.device) as timeline:
            features, _dtype = model.text_features(batch)
            runs.append(timeline.close("text_", features, parameters=text_parameters(model.module)))
        for text, feature in zip(batch, features, strict=True):
            known[text] = feature.copy()
            model.text_cache.put(text, known[text])
    if runs:
        model.text_cache.blocks = join_runs(runs)
        return np.stack([known[text] for text in texts]), model.text_cache.blocks, len(missing)
    idle = tuple(replace(block, ms=0.0) for block in model.text_cache.blocks)
    return np.stack([known[text] for text in texts]), idle, 0


@dataclass(frozen=True, eq=False)
class TemplateLab:
    """What the sentence around the label changes.

    templates: T of them. softmax: (T + 1, L) float32, a row for each template, the ensemble of all last. sigmoid:
    the same, or None without a trained bias. cosines: (T + 1, L) float32.
    """

    templates: tuple[str, ...]
    labels: tuple[str, ...]
    softmax: np.ndarray
    sigmoid: np.ndarray | None
    cosines: np.ndarray


def compare_templates(
    model: ZeroShotModel, picture: EncodedPicture, labels: tuple[str, ...], *, templates: tuple[str, ...]
) -> TemplateLab:
    """Classify with each template alone and with their ensemble. The text cache shares the work with ``classify``.

    Args:
        picture: from ``encode_picture``.
        templates: at least one, checked by ``templates.check_template``.
    """
    encode_labels(model, labels, templates=templates)  # all texts in one go, so that batches are full
    sets = [(template,) for template in templates] + [tuple(templates)]
    rows = [compare(model, picture, encode_labels(model, labels, templates=one)) for one in sets]
    return TemplateLab(
        templates=tuple(templates),
        labels=tuple(labels),
        softmax=np.stack([row.softmax for row in rows]),
        sigmoid=None if model.logit_bias is None else np.stack([row.sigmoid for row in rows]),
        cosines=np.stack([row.cosines for row in rows]),
    )
