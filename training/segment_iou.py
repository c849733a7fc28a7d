"""Fits the IoU head of a trained SAM by squared error, as the paper does (arXiv 2304.02643, appendix A).

    python -m training.segment_iou --data FOLDER --run runs/segment/sam

The run's own loss is the absolute error, whose best answer is a median: a mask that is right two times in five is given
nearly nothing, and loses against one that is always poor. The best answer to the squared error is the mean, and the
mask with the highest mean is the one to choose. Only the head changes, so the decoder's output tokens for fixed scenes
are computed once. Overwrites the weights in ``RUN/model``; ``iou.json`` says what it did on scenes of its own.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from segment_anything.modeling import Sam
from torch import nn

from pipelines.runtime.device import CPU
from pipelines.runtime.manifest import sha256_of
from pipelines.segment.models import load_folder, read_config
from training.packs import DRAWING_PACKS, SHARP_PACKS
from training.segment import OUT, save_model
from training.segment_data import load_annotated, load_cut_outs
from training.segment_model import decode, embed_prompts, encode
from training.segment_scenes import FULL_SIZE, Batch, Scenes
from training.segment_steps import best_of, correct, first_prompts, true_iou

FIRST_SCENE = 10**8  # no run comes so far
HELD_OUT = 0.2
STEPS = 600


@dataclass(frozen=True, eq=False)
class Tokens:
    """tokens (N, C): what the head reads; ious (N, 4): true IoU of the four masks; first (N,) bool: of one click."""

    tokens: torch.Tensor
    ious: torch.Tensor
    first: torch.Tensor

    def part(self, rows: slice) -> "Tokens":
        """Some of them."""
        return Tokens(self.tokens[rows], self.ious[rows], self.first[rows])


@torch.no_grad()
def tokens_of(sam: Sam, batch: Batch, *, rounds: int, generator: torch.Generator) -> Tokens:
    """What the head reads for each prompt of a batch, then for so many rounds of corrective clicks."""
    seen: list[torch.Tensor] = []
    handle = sam.mask_decoder.iou_prediction_head.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    embedding = encode(sam.image_encoder, (batch.pictures.float() - sam.pixel_mean) / sam.pixel_std)
    points, labels, is_click = first_prompts(batch)
    target, previous, ious, first = batch.targets[:, :, 0].flatten(0, 1), None, [], []
    for number in range(rounds + 1):
        logits, predicted = decode(sam, embedding, embed_prompts(sam.prompt_encoder, points, labels), previous)
        ious.append(true_iou(logits, target))
        first.append(is_click & (number == 0))
        previous = best_of(logits, predicted)
        points, labels = correct(points, labels, previous, target, generator)
    handle.remove()
    return Tokens(torch.cat(seen), torch.cat(ious), torch.cat(first))


def collect(sam: Sam, scenes: Scenes, count: int, *, rounds: int = 2) -> Tokens:
    """Tokens of ``count`` scenes at full size, those of one scene together."""
    generator = torch.Generator().manual_seed(0)
    parts = [
        tokens_of(sam, scenes.batch(FIRST_SCENE + number, 1, FULL_SIZE), rounds=rounds, generator=generator)
        for number in range(count)
    ]
    return Tokens(*(torch.cat([getattr(part, name) for part in parts]) for name in ("tokens", "ious", "first")))


def fit(head: nn.Module, data: Tokens, *, steps: int = STEPS, rate: float = 1e-3) -> None:
    """AdamW on random batches, cosine."""
    optimiser = torch.optim.AdamW(head.parameters(), lr=rate, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        rows = torch.randint(len(data.tokens), (256,), generator=generator)
        loss = (head(data.tokens[rows]) - data.ious[rows]).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()


@torch.no_grad()
def figures_of(head: nn.Module, data: Tokens) -> dict[str, float]:
    """IoU of the mask that is chosen, with one click and in all, beside the best of three; how far the head is off."""
    predicted = head(data.tokens)
    chosen = predicted[:, 1:].argmax(dim=1, keepdim=True) + 1
    ious, said = data.ious.gather(1, chosen)[:, 0], predicted.gather(1, chosen)[:, 0]
    found = {
        "chosen_one_click": ious[data.first].mean(),
        "best_one_click": data.ious[data.first, 1:].amax(dim=1).mean(),
        "chosen": ious.mean(),
        "best": data.ious[:, 1:].amax(dim=1).mean(),
        "error": (said - ious).abs().mean(),
        "bias": (said - ious).mean(),
    }
    return {name: round(value.item(), 4) for name, value in found.items()}


def refit(sam: Sam, data: Tokens) -> dict:
    """Fit the head on the first scenes and return its figures on the last ones, before and after."""
    head = sam.mask_decoder.iou_prediction_head
    border = round(len(data.tokens) * (1 - HELD_OUT))
    held_out = data.part(slice(border, None))
    before = figures_of(head, held_out)
    fit(head.requires_grad_(True), data.part(slice(border)))
    return {"prompts": len(data.tokens), "before": before, "after": figures_of(head.requires_grad_(False), held_out)}


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the packs")
    parser.add_argument("--run", type=Path, default=OUT, help="folder of the run; its model is changed")
    parser.add_argument("--packs", nargs="+", default=SHARP_PACKS, choices=SHARP_PACKS, metavar="PACK")
    parser.add_argument("--drawing-packs", nargs="*", default=DRAWING_PACKS, choices=DRAWING_PACKS, metavar="PACK")
    parser.add_argument("--scenes", type=int, default=400)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(0)
    torch.manual_seed(0)
    folder = options.run / "model"
    sam = load_folder("run", folder, placement=CPU).module
    pictures = load_annotated(options.data, "train", packs=options.packs)
    cut_outs = load_cut_outs(options.data, most=1000, packs=options.drawing_packs)
    scenes = Scenes(pictures, np.asarray(cut_outs), prompts=16, composite=0.3, seed=1)
    figures = refit(sam, collect(sam, scenes, options.scenes))
    save_model(sam, read_config(folder), folder)
    figures["weights"] = sha256_of(folder / "model.safetensors")
    (options.run / "iou.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
