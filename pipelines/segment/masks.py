"""The answer to a prompt: four masks as logits with what the model says of each, and their enlargement to pixels."""

from dataclasses import dataclass

import numpy as np

from pipelines.segment.marks import Prompt

SINGLE, MULTIMASK = 0, (1, 2, 3)  # the decoder's mask tokens
STABILITY_OFFSET = 1.0  # logits; the library's default
BAND_BYTES = 32 * 2**20
RULES = ("best", "single")


@dataclass(frozen=True, eq=False)
class Masks:
    """The four masks of one prompt, as the decoder gives them; arrays on the CPU.

    logits: (4, side, side) float32 over the model's square, index 0 the single-mask token, 1 to 3 the multimask ones.
    iou: (4,) float32, what the model predicts. stability: (4,) float32, see ``stability_of``. area: (4,) float32,
    share of the picture, see ``area_of``. valid: (rows, columns) of the logits that lie on the picture; the others lie
    on the padding. square: side to which the logits are enlarged before the picture's part, ``input_size`` (h, w) of
    it, is cut out and enlarged to the picture (SAM); where the square is the logits' own side, this is one step
    (SAM 2). size: (h, w) of the picture as answered; full_size: as it came. picture_key: of the full picture
    (``pictures.content_key``).
    """

    logits: np.ndarray
    iou: np.ndarray
    stability: np.ndarray
    area: np.ndarray
    valid: tuple[int, int]
    square: int
    input_size: tuple[int, int]
    size: tuple[int, int]
    full_size: tuple[int, int]
    ms: float
    prompt: Prompt
    model_id: str
    picture_key: str

    @property
    def best(self) -> int:
        """Of the tokens 1 to 3 the one with the highest predicted IoU; the lower one of equals."""
        return MULTIMASK[int(np.argmax(self.iou[1:]))]

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        previous = 0 if self.prompt.previous is None else self.prompt.previous.nbytes
        return self.logits.nbytes + self.iou.nbytes + self.stability.nbytes + self.area.nbytes + previous

    def chosen(self, rule: str = "best") -> int:
        """The token whose mask is shown when nobody has chosen one.

        One click may mean a button, a shirt or a person, so the model answers with three masks and says how good
        each is: with "best" the highest predicted IoU wins, always; this is how click curves are measured, here and
        in the paper. With "single" it wins for one click alone; anything that says more (a box, several clicks, a
        previous mask) is answered by the single-mask token, which was trained for these prompts only
        (arXiv 2304.02643, appendix A; the library's example notebook does so by ``multimask_output=False``).

        Raises:
            ValueError: another rule.
        """
        if rule not in RULES:
            raise ValueError(f"rule {rule!r}: choose one of {RULES}")
        return self.best if rule == "best" or self.prompt.is_one_click else SINGLE

    def as_prompt(self, token: int) -> np.ndarray:
        """(1, side, side) float32: the logits of one mask in the form of ``Prompt.previous``."""
        return self.logits[token : token + 1]

    def part(self, token: int) -> np.ndarray:
        """(rows, columns) float32: the logits of one mask that lie on the picture; a view."""
        rows, columns = self.valid
        return self.logits[token, :rows, :columns]

    def enlarged(self, token: int) -> np.ndarray:
        """(h, w) float32: the logits at ``size``, to the bit as ``Sam.postprocess_masks`` enlarges them on the CPU."""
        return enlarge(self._on_picture(token), self.size)

    def mask(self, token: int, *, threshold: float = 0.0, full: bool = False) -> np.ndarray:
        """One mask as pixels: where the enlarged logits are above the threshold.

        Args:
            token: 0 to 3.
            threshold: in logits; the library's is 0.
            full: at the full picture's size instead of ``size``, for export. The logits are enlarged to it in
                bands of rows, so that 16 megapixels need some 50 MB and not a gigabyte; up to rounding of the last
                bit of a logit these are the library's masks at that size.

        Returns:
            (H, W) bool.
        """
        if not full or self.full_size == self.size:
            return self.enlarged(token) > threshold
        return enlarged_mask(self._on_picture(token), self.full_size, threshold=threshold)

    def _on_picture(self, token: int) -> np.ndarray:
        """(h, w) float32: the logits in the model's square, cut to the picture's part of it."""
        height, width = self.input_size
        return enlarge(self.logits[token], (self.square, self.square))[:height, :width]


def enlarge(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bilinear, with pixels taken as areas (``align_corners=False``): (h, w) float32 to size (H, W), by torch."""
    if values.shape == size:
        return values
    import torch

    tensor = torch.from_numpy(np.ascontiguousarray(values))[None, None]
    with torch.inference_mode():
        return torch.nn.functional.interpolate(tensor, size, mode="bilinear", align_corners=False)[0, 0].numpy()


def enlarged_mask(values: np.ndarray, size: tuple[int, int], *, threshold: float) -> np.ndarray:
    """``enlarge(values, size) > threshold`` without holding the enlarged logits: (h, w) float32 to (H, W) bool.

    Row Y of the result lies at y = (Y + 1/2) h / H - 1/2 of ``values``, cut to [0, h - 1]: a mix of the rows floor(y)
    and floor(y) + 1, both enlarged along the row before.
    """
    height, width = size
    rows = enlarge(values, (len(values), width))
    place = np.clip((np.arange(height, dtype=np.float64) + 0.5) * (len(values) / height) - 0.5, 0, len(values) - 1)
    above = place.astype(np.int64)
    below = np.minimum(above + 1, len(values) - 1)
    weight = (place - above).astype(np.float32)[:, None]
    mask = np.empty(size, dtype=bool)
    step = max(1, BAND_BYTES // (4 * 3 * width))
    for start in range(0, height, step):
        band = slice(start, start + step)
        mixed = rows[above[band]] * (1 - weight[band]) + rows[below[band]] * weight[band]
        np.greater(mixed, threshold, out=mask[band])
    return mask


def stability_of(logits: np.ndarray, *, offset: float = STABILITY_OFFSET) -> np.ndarray:
    """How far the edge moves with the threshold: IoU of the masks at logits above ``offset`` and above ``-offset``.

    The library's ``calculate_stability_score`` with threshold 0, on the decoder's own logits, as its ONNX model
    takes it. Its automatic generator takes logits enlarged to the picture, which gives nearly the same share of areas.

    Args:
        logits: (N, rows, columns) float32, the part on the picture.

    Returns:
        (N,) float32; NaN where both masks are empty, as in the library.
    """
    inner = (logits > offset).sum(axis=(1, 2), dtype=np.int64)
    outer = (logits > -offset).sum(axis=(1, 2), dtype=np.int64)
    with np.errstate(invalid="ignore"):
        return inner.astype(np.float32) / outer.astype(np.float32)


def area_of(logits: np.ndarray, extent: tuple[float, float]) -> np.ndarray:
    """Share of the picture that the masks cover, counted in the logits' own cells.

    Args:
        logits: (N, rows, columns) float32, the part on the picture.
        extent: rows and columns of the picture in cells; the last ones may be cut, 0 < extent - (rows - 1) <= 1.

    Returns:
        (N,) float32 in [0, 1].
    """
    weights = [np.clip(length - np.arange(count), 0, 1) for length, count in zip(extent, logits.shape[1:], strict=True)]
    covered = np.einsum("nrc,r,c->n", logits > 0, *weights)
    return (covered / (extent[0] * extent[1])).astype(np.float32)
