"""Trains the second stage of the tokeniser: a masked transformer on its codes, steered by names (arXiv 2202.04200).

    python -m training.tokenise_second_stage --data FOLDER --tokeniser runs/tokenise/vqgan/model --minutes 60 --resume

All drawings on white, and crops of 128 px of the masks packs, become grids of 16 x 16 codes once; they are kept in
``codes.pt``. Names and captions, in English and Chinese, are read by the bundled CLIP's text tower. Some codes are
hidden (anywhere, or in a rectangle, as visitors paint); the transformer names them. One condition in ten is left out.
On a GPU: ``--batch 256 --bfloat16``. Writes ``runs/tokenise/second_stage``: checkpoint, curve, sheet (picture, hole,
two fillings; below them pictures from names alone), run.json and ``model``.
"""

import argparse
import math
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from pipelines.runtime.device import CPU
from pipelines.tokenise.models import TokeniseModel, codes_of, latents_of, load_folder, nearest, pictures_of
from pipelines.tokenise.second_stage import MaskedTransformer, SecondStageConfig, fill, write_config
from training.drawings import load_drawings, load_pixels, on_white
from training.loop import Trainer, save_atomically
from training.packs import DRAWING_PACKS, SHARP_PACKS
from training.report import to_bytes, write_sheet
from training.runner import add_fields, add_run_options, begin, loop_of, of_options, save_half, train
from training.tokenise_data import Crops, load_pictures

OUT = Path("runs/tokenise/second_stage")
PX = 128
SHEET = 8
NAMES = ("red apple", "cat face", "sun", "tree", "car", "fish", "rose", "star")
ENCODED_AT_ONCE = 32


@dataclass(frozen=True)
class StepConfig:
    """hole: share of steps' pictures whose hidden part is a rectangle. no_condition: share without a name."""

    batch: int = 16
    hole: float = 0.4
    no_condition: float = 0.1
    smoothing: float = 0.1
    bfloat16: bool = False


@dataclass(frozen=True, eq=False)
class Grids:
    """codes (N, 16, 16) int16; names (N, 2) int64: rows of ``features`` by language, -1 where there is none."""

    codes: torch.Tensor
    names: torch.Tensor
    features: torch.Tensor

    def to(self, device: str) -> "Grids":
        """The same on another device."""
        return Grids(*(value.to(device) for value in vars(self).values()))


def text_features(texts: list[str]) -> torch.Tensor:
    """Unit-length features of the bundled CLIP: (N, 320)."""
    from pipelines.runtime.context import Settings, configure
    from pipelines.zero_shot.classify import encode_labels

    clip = configure(Settings(device="cpu", models="bundled")).load("lucida-clip")
    return torch.from_numpy(encode_labels(clip, tuple(texts)).features)


@torch.no_grad()
def encode(tokeniser: TokeniseModel, pictures: torch.Tensor) -> torch.Tensor:
    """(N, 3, 128, 128) uint8 to codes (N, 16, 16) int16."""
    parts = pictures.split(ENCODED_AT_ONCE)
    grids = [
        nearest(tokeniser.module, latents_of(tokeniser.module, part.to(tokeniser.device).float() / 255))
        for part in parts
    ]
    return torch.cat(grids).to(torch.int16).cpu()


def make_grids(options: argparse.Namespace, split: str, *, crops: int) -> Grids:
    """Codes of the drawings of a split, as they are and mirrored, and of ``crops`` crops of photographs."""
    tokeniser = load_folder("tokeniser", options.tokeniser, placement=replace(CPU, device=options.device))
    drawings = load_drawings(options.data, split, packs=options.drawings)[:: options.every]
    white = (on_white(load_pixels(options.data, drawings)) * 255).round().to(torch.uint8)
    photographs = Crops({"sharp": load_pictures(options.data, options.sharp, split, every=options.every)}, seed=0)
    cut = [photographs.batch(first, 1, PX) for first in range(crops)] if photographs.large_enough(PX) else []
    texts = sorted({drawing.names[language] for drawing in drawings for language in ("en", "zh")})
    row = {text: place for place, text in enumerate(texts)}
    names = torch.tensor([[row[drawing.names[language]] for language in ("en", "zh")] for drawing in drawings])
    nameless = torch.full((len(cut), 2), -1)
    return Grids(
        encode(tokeniser, torch.cat([white, white.flip(-1), *cut])),
        torch.cat([names, names, nameless]),
        text_features(texts),
    )


def stored_grids(options: argparse.Namespace, split: str, *, crops: int) -> Grids:
    """``make_grids``, once for a tokeniser: its codes decide everything that is learnt here."""
    path = options.out / f"codes_{split}.pt"
    mark = (options.tokeniser / "diffusion_pytorch_model.safetensors").stat().st_mtime
    if path.exists():
        saved = torch.load(path, weights_only=True)
        if saved.pop("mark") == mark:
            return Grids(**saved)
    grids = make_grids(options, split, crops=crops)
    save_atomically({"mark": mark, **vars(grids)}, path)
    return grids


def draw_hidden(count: int, side: int, hole: float, generator: torch.Generator) -> torch.Tensor:
    """Which codes are hidden: (count, side, side) bool, at least one each; shares follow the cosine schedule."""
    shares = torch.cos(math.pi / 2 * torch.rand(count, generator=generator))
    order = torch.rand(count, side * side, generator=generator).argsort(dim=1).argsort(dim=1)
    hidden = (order < (shares * side * side).clamp_min(1)[:, None]).view(count, side, side)
    sizes = (1 + torch.rand(count, 2, generator=generator) * side).long().clamp_max(side)
    corners = (torch.rand(count, 2, generator=generator) * (side + 1 - sizes)).long()
    place = torch.arange(side)
    rows, columns = ((place >= corners[:, axis, None]) & (place < (corners + sizes)[:, axis, None]) for axis in (0, 1))
    rectangle = rows[:, :, None] & columns[:, None]
    return torch.where((torch.rand(count, generator=generator) < hole)[:, None, None], rectangle, hidden)


class Steps:
    """The loss of one step on codes that lie on the device."""

    def __init__(self, config: StepConfig, grids: Grids, *, device: str):
        self.config, self.grids, self.device = config, grids.to(device), device

    def __call__(self, model: MaskedTransformer, generator: torch.Generator) -> dict[str, torch.Tensor]:
        config, grids = self.config, self.grids
        chosen = torch.randint(len(grids.codes), (config.batch,), generator=generator).to(self.device)
        language = torch.randint(2, (config.batch,), generator=generator).to(self.device)
        hidden = draw_hidden(config.batch, model.config.side, config.hole, generator).to(self.device)
        named = (torch.rand(config.batch, generator=generator) >= config.no_condition).to(self.device)
        codes, names = grids.codes[chosen].long(), grids.names[chosen, language]
        features, given = grids.features[names.clamp_min(0)], named & (names >= 0)
        with torch.autocast(self.device, torch.bfloat16) if config.bfloat16 else nullcontext():
            logits = model(torch.where(hidden, model.hidden, codes), features, given)
        loss = functional.cross_entropy(logits[hidden].float(), codes[hidden], label_smoothing=config.smoothing)
        return {"codes": loss}


class Validation:
    """Cross entropy of hidden codes of val pictures at fixed holes, in bits; writes a sheet."""

    def __init__(self, grids: Grids, tokeniser: TokeniseModel, features: torch.Tensor, folder: Path):
        self.grids, self.tokeniser, self.features, self.folder = grids, tokeniser, features, folder

    @torch.no_grad()
    def __call__(self, model: MaskedTransformer) -> dict[str, float]:
        model.eval()
        device, generator = model.bias.device, torch.Generator().manual_seed(0)
        hidden = draw_hidden(len(self.grids.codes), model.config.side, 0.5, generator)
        losses = []
        for part in torch.arange(len(self.grids.codes)).split(ENCODED_AT_ONCE):
            codes, names = self.grids.codes[part].long().to(device), self.grids.names[part, 0]
            seen = torch.where(hidden[part].to(device), model.hidden, codes)
            features = self.grids.features[names.clamp_min(0)].to(device)
            logits = model(seen, features, (names >= 0).to(device))
            losses.append(functional.cross_entropy(logits[hidden[part]].float(), codes[hidden[part]], reduction="none"))
        self.write_sheet(model)
        return {"val_bits": torch.cat(losses).mean().item() / math.log(2)}

    def write_sheet(self, model: MaskedTransformer) -> None:
        """Pictures, the same with a hole, two fillings; then pictures from names alone, in two rows."""
        places = torch.linspace(0, len(self.grids.codes) - 1, SHEET).long().tolist()
        side = model.config.side
        hole = torch.zeros(side, side, dtype=torch.bool)
        hole[side // 4 : 3 * side // 4, side // 4 : 3 * side // 4] = True
        columns = [self._filled(model, self.grids.codes[place].long(), hole, place) for place in places]
        rows = [list(row) for row in zip(*columns, strict=True)]
        everything = torch.ones_like(hole)
        nothing = torch.zeros(side, side, dtype=torch.long)
        for seed in range(2):
            rows.append([self._last(model, nothing, everything, feature, seed) for feature in self.features])
        write_sheet(self.folder / "sheet.png", [tile for row in rows for tile in row], columns=SHEET)

    def _filled(self, model: MaskedTransformer, codes: torch.Tensor, hole: torch.Tensor, seed: int) -> list[np.ndarray]:
        whole = self._decode(codes)
        holed = whole.copy()
        holed[hole.numpy().repeat(8, axis=0).repeat(8, axis=1)] = 128
        return [whole, holed, *(self._last(model, codes, hole, None, seed + 100 * turn) for turn in range(2))]

    def _last(self, model, codes: torch.Tensor, hole: torch.Tensor, condition, seed: int) -> np.ndarray:
        generator = torch.Generator().manual_seed(seed)
        *_, step = fill(model, codes, hole, condition=condition, generator=generator)
        return self._decode(step.indices)

    @torch.no_grad()
    def _decode(self, codes: torch.Tensor) -> np.ndarray:
        vq = self.tokeniser.module
        return to_bytes(pictures_of(vq, codes_of(vq, codes[None])))[0]


@dataclass(frozen=True, eq=False)
class Run:
    """All parts of a run, ready to start."""

    trainer: Trainer
    steps: Steps
    validation: Validation


def create(options: argparse.Namespace) -> Run:
    """Make or load the codes and build model, loss and loop; go on from the checkpoint if that is asked."""
    torch.manual_seed(options.seed)
    grids = stored_grids(options, "train", crops=options.crops)
    val = stored_grids(options, "val", crops=max(1, options.crops // 50))
    tokeniser = load_folder("tokeniser", options.tokeniser, placement=CPU)
    config = SecondStageConfig(
        codes=tokeniser.codes,
        width=options.width,
        layers=options.layers,
        heads=options.heads,
        condition=grids.features.shape[1],
    )
    trainer = begin(loop_of(options), MaskedTransformer(config).to(options.device), resume=options.resume)
    validation = Validation(val, tokeniser, text_features(list(NAMES)), options.out)
    return Run(trainer, Steps(of_options(StepConfig, options), grids, device=options.device), validation)


def save_model(model: MaskedTransformer, folder: Path) -> int:
    """Write config and fp16 weights as the app loads them; returns the bytes."""
    write_config(model.config, folder)
    return save_half(model, folder / "model.safetensors")


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    options = parse(arguments)
    torch.set_num_threads(options.threads)
    run = create(options)
    average = run.trainer.average

    def finish() -> dict:
        size = save_model(average, options.out / "model")
        return {"pictures": len(run.steps.grids.codes), "bytes": size, **run.validation(average)}

    settings = {"model": average.config, "steps": run.steps.config}
    train(run.trainer, run.steps, run.validation, settings=settings, finish=finish)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_run_options(parser, out=OUT, minutes=60, rate=1.5e-3)
    parser.add_argument("--teachers", type=Path, help="not needed")
    parser.add_argument("--tokeniser", type=Path, default=Path("runs/tokenise/vqgan/model"), help="folder of its model")
    parser.add_argument("--drawings", nargs="+", default=DRAWING_PACKS, choices=DRAWING_PACKS, metavar="PACK")
    parser.add_argument("--sharp", nargs="*", default=SHARP_PACKS, choices=SHARP_PACKS, metavar="PACK")
    parser.add_argument("--crops", type=int, default=20000, help="of 128 px, from the masks packs, encoded once")
    parser.add_argument("--every", type=int, default=1, help="take every n-th picture of the packs")
    for name in ("width", "layers", "heads"):
        parser.add_argument(f"--{name}", type=int, default=getattr(SecondStageConfig, name))
    add_fields(parser, StepConfig)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
