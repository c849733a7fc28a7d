"""What a tokeniser's run shows of itself: figures on held-out pictures, a sheet, the folder that ships."""

import copy
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from diffusers import VQModel

from pipelines.tokenise.code import decode, decode_latents, encode
from pipelines.tokenise.compare import coded, psnr_db, ssim
from pipelines.tokenise.models import WEIGHTS, TokeniseModel
from pipelines.tokenise.tokens import packed_bytes
from training.report import write_sheet
from training.tokenise_data import centre
from training.tokenise_model import Student

SHEET_PICTURES = 16
SHEET_PX = 192


def there_and_back(vq: VQModel, pixels: np.ndarray, *, quantised: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """A picture (H, W, 3) uint8 through the codes and back: the same shape, and the indices (h, w)."""
    weight = vq.quantize.embedding.weight
    model = TokeniseModel("training", vq, str(weight.device), weight.dtype)
    tokens = encode(model, pixels)
    if quantised:
        return decode(model, tokens.indices, size=tokens.size), tokens.indices
    return decode_latents(model, tokens.latents, size=tokens.size), tokens.indices


@dataclass(frozen=True, eq=False)
class Validation:
    """PSNR and use of codes on centre crops of val pictures; writes a sheet."""

    pictures: Sequence[np.ndarray]
    folder: Path
    most: int

    def __call__(self, student: Student) -> dict[str, float]:
        """Figures of the curve."""
        return self.figures(student, codecs=False)

    def figures(self, student: Student, *, codecs: bool) -> dict[str, float]:
        """Means over the crops (at most 256 px); with ``codecs`` also JPEG and WebP at as many bytes."""
        step = max(1, -(-len(self.pictures) // self.most))
        crops = [centre(picture, 256) for picture in self.pictures[::step]]
        quantised, vq = bool(student.started), student.vq.eval()
        rows, used = [], set()
        for crop in crops:
            back, indices = there_and_back(vq, crop, quantised=quantised)
            used |= set(indices.flatten().tolist())
            row = {"psnr": psnr_db(crop, back), "ssim": ssim(crop, back)}
            if codecs:
                most_bytes = packed_bytes(indices.size, student.config.codes)
                for codec in ("JPEG", "WEBP"):
                    row[f"{codec.lower()}_psnr"] = psnr_db(crop, coded(crop, codec, most_bytes=most_bytes).pixels)
            rows.append(row)
        self.write_sheet(vq, quantised=quantised)
        means = {name: round(float(np.mean([row[name] for row in rows])), 3) for name in rows[0]}
        return {"val_pictures": len(crops), **means, "codes_used": len(used)}

    def write_sheet(self, vq: VQModel, *, quantised: bool) -> None:
        """Pictures, each row above the row of their reconstructions."""
        large = [picture for picture in self.pictures if min(picture.shape[:2]) >= SHEET_PX] or self.pictures
        step = max(1, len(large) // SHEET_PICTURES)
        shown = [centre(picture, SHEET_PX) for picture in large[::step][:SHEET_PICTURES]]
        shown = [picture for picture in shown if picture.shape == shown[0].shape]
        half, tiles = max(1, len(shown) // 2), []
        for start in range(0, len(shown) - half + 1, half):
            real = shown[start : start + half]
            tiles += [*real, *(there_and_back(vq, picture, quantised=quantised)[0] for picture in real)]
        write_sheet(self.folder / "sheet.png", tiles, columns=half)


def save_model(vq: VQModel, folder: Path) -> dict[str, int]:
    """Write the fp16 folder that diffusers and the app load; returns its parameters and bytes."""
    vq = copy.deepcopy(vq).cpu().half()
    partial = folder.with_name(folder.name + ".part")
    shutil.rmtree(partial, ignore_errors=True)
    vq.save_pretrained(partial)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(partial, folder)
    count = sum(parameter.numel() for parameter in vq.parameters())
    return {"parameters": count, "bytes": (folder / WEIGHTS).stat().st_size}
