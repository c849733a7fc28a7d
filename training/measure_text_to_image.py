"""Measures a text-to-image pipeline for its card: names read back, memory, the autoencoder, time.

    python -m training.measure_text_to_image --data FOLDER --teachers FOLDER --pairs 300

Known pairs are names and styles that were trained together, drawn by name; held-out pairs were trained apart. A picture
takes about 0.6 s of one CPU core; everything is drawn in both languages with the same noise. Writes
``runs/text_to_image/figures.json`` and the sheets beside it.
"""

import argparse
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from pipelines.runtime.context import Settings, configure
from training.drawings import Drawing, load_drawings, load_perceptual, load_pixels, load_styles, on_white
from training.evaluate_text_to_image import Pair, draw, load, read, report
from training.evaluate_zero_shot import interval
from training.report import choose_device, to_bytes, write_sheet
from training.text_to_image_autoencoder import psnr_db, reconstruct
from training.text_to_image_data import LANGUAGES, ByName, WeightConfig
from training.text_to_image_memory import TrainingDrawings, threshold_of
from training.text_to_image_reading import Reader, Readings, all_drawings, names_of, read_real
from training.text_to_image_sheet import COLUMNS, STEPS, Prompt, load_prompts

OUT = Path("runs/text_to_image")
PIPELINE = OUT / "painter/pipeline"
APART = ("people", "flags", "symbols")  # near twins of one another, letters and signs
FIRST_SEED = 1000  # those below are the sheet's
FAILURES = 16


def prompts_for(drawings: Sequence[Drawing], styles: dict, *, kind: str) -> list[Prompt]:
    """``red apple, 3D emoji`` and ``红苹果，立体表情`` for each drawing."""
    return [
        Prompt(
            FIRST_SEED + place,
            {
                "en": f"{drawing.names['en']}, {styles[drawing.style]['en']}",
                "zh": f"{drawing.names['zh']}，{styles[drawing.style]['zh']}",
            },
            drawing.names,
            drawing.style,
            kind,
            drawing.group,
        )
        for place, drawing in enumerate(drawings)
    ]


def known_pairs(drawings: Sequence[Drawing], count: int) -> list[Drawing]:
    """``count`` trained drawings of different names: names drawn with the training's weights, then a style."""
    by_name, chosen = ByName(drawings, WeightConfig()), {}
    order = torch.multinomial(by_name.weights, len(by_name.places), generator=torch.Generator().manual_seed(0))
    generator = np.random.default_rng(0)
    for name in order[:count].tolist():
        pictures = by_name.places[name][generator.integers(len(by_name.places[name]))]
        chosen[name] = drawings[pictures[generator.integers(len(pictures))]]
    return list(chosen.values())


def held_out_pairs(drawings: Sequence[Drawing], count: int) -> list[Drawing]:
    """``count`` held-out drawings, or all, in a fixed random order."""
    order = torch.randperm(len(drawings), generator=torch.Generator().manual_seed(0))
    return [drawings[place] for place in order[:count].tolist()]


@dataclass(frozen=True, eq=False)
class Drawn:
    """One set in one language: its pictures and where their names stood."""

    pictures: torch.Tensor
    readings: Readings

    def figures(self) -> dict:
        """As ``training.evaluate``, and without people, flags and symbols."""
        things = self.readings.part([prompt.group not in APART for prompt in self.readings.prompts])
        found = report(self.readings)
        if len(things.drawn):
            found["things"] = report(things)
        return found


def measure_sets(pair: Pair, data: Path, sets: dict[str, list[Prompt]]) -> dict[tuple[str, str], Drawn]:
    """Draw and read every set in both languages."""
    drawings, found = all_drawings(data), {}
    for language in LANGUAGES:
        more = [prompt.names[language] for prompts in sets.values() for prompt in prompts]
        reader = Reader(pair.clip, names_of(drawings, language), language, more=more)
        for name, prompts in sets.items():
            pictures = draw(pair.painter, prompts, language)
            real = read_real(reader, data, drawings, prompts)
            found[name, language] = Drawn(pictures, read(reader, prompts, pictures, real))
            print(name, language, found[name, language].readings.figures(), flush=True)
    return found


def memory(
    data: Path,
    drawn: dict[tuple[str, str], Drawn],
    held_out: Sequence[Drawing],
    *,
    perceptual: torch.nn.Module | None,
) -> dict:
    """Distance to the nearest training drawing, of generated pictures and of real ones that were never trained on."""
    trained = TrainingDrawings(data, load_drawings(data, "train"), perceptual)
    val = load_drawings(data, "val")
    pictures = {
        "val_real": (on_white(load_pixels(data, val)), pairs_of(val)),
        "held_out_real": (on_white(load_pixels(data, held_out)), pairs_of(held_out)),
    }
    for name in ("known", "held_out"):
        one = drawn[name, "en"]
        pictures[f"{name}_drawn"] = (one.pictures, [(prompt.name, prompt.style) for prompt in one.readings.prompts])
    nearest = {name: trained.nearest(values) for name, (values, _) in pictures.items()}
    threshold = threshold_of(nearest["val_real"])
    figures = {name: one.figures(threshold) | trained.whose(one, pictures[name][1]) for name, one in nearest.items()}
    return {"distance": "pixels" if perceptual is None else "perceptual", "threshold": round(threshold, 4)} | figures


def pairs_of(drawings: Sequence[Drawing]) -> list[tuple[str, str]]:
    """(English name, style) of each."""
    return [(drawing.names["en"], drawing.style) for drawing in drawings]


def autoencoder_figures(pair: Pair, data: Path) -> dict:
    """PSNR of val drawings on white, there and back, mean over pictures with its 95 % interval."""
    vae = pair.painter.pipeline.vae
    pictures = on_white(load_pixels(data, load_drawings(data, "val"))).to(vae.device, vae.dtype)
    with torch.inference_mode():
        values = psnr_db(pictures, reconstruct(vae, pictures)).cpu().numpy()
    return {"n": len(values), "psnr_db": round(float(values.mean()), 2), "psnr_db_95": interval(values)}


def time_figures(pair: Pair, *, threads: Sequence[int], repeats: int = 5) -> dict:
    """Seconds of 20 guided steps of one picture with its decoding: median and least of some calls after one more."""
    prompt, usual, figures = load_prompt(), torch.get_num_threads(), {}
    for count in threads:
        torch.set_num_threads(count)
        seconds = []
        for _ in range(repeats + 1):
            begun = time.perf_counter()
            draw(pair.painter, [prompt], "en")
            seconds.append(time.perf_counter() - begun)
        figures[str(count)] = {"median_s": round(float(np.median(seconds[1:])), 3), "least_s": round(min(seconds), 3)}
    torch.set_num_threads(usual)
    return {"steps": STEPS, "device": pair.painter.device, "load": os.getloadavg()[0], "by_threads": figures}


def load_prompt() -> Prompt:
    """What is drawn when only time counts."""
    return Prompt(1, {"en": "a red apple, 3D emoji"}, {"en": "red apple"}, "fluent")


def write_sheets(out: Path, drawn: dict[tuple[str, str], Drawn]) -> None:
    """The fixed prompts in both languages; known pairs that were not read back although the real drawings are."""
    for language in LANGUAGES:
        one = drawn["prompts", language]
        write_titled(out / f"sheet_{language}.png", one.pictures, one.readings.prompts)
    known = drawn["known", "en"]
    readable = known.readings.ceiling(5) == 1
    failed = np.flatnonzero(readable & (known.readings.drawn >= 5))[:FAILURES].tolist()
    if failed:
        prompts = [known.readings.prompts[place] for place in failed]
        write_titled(out / "failures.png", known.pictures[failed], prompts)


def write_titled(path: Path, pictures: torch.Tensor, prompts: Sequence[Prompt]) -> None:
    """A sheet under English titles: the default font knows no Chinese."""
    titles = [prompt.words["en"] for prompt in prompts]
    write_sheet(path, list(to_bytes(pictures)), columns=min(COLUMNS, len(pictures)), titles=titles)


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    options = parse(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    runtime = configure(Settings(device=options.device, models="bundled"))
    pair, styles = load(runtime, options), load_styles(options.data)
    known = known_pairs(load_drawings(options.data, "train"), options.pairs)
    held_out = held_out_pairs(load_drawings(options.data, "heldout_pair"), options.pairs)
    sets = {
        "prompts": load_prompts(options.prompts or options.data / "prompts64.jsonl"),
        "known": prompts_for(known, styles, kind="known"),
        "held_out": prompts_for(held_out, styles, kind="held_out"),
    }
    drawn = measure_sets(pair, options.data, sets)
    write_sheets(options.out, drawn)
    perceptual = load_perceptual(options.teachers) if options.teachers else None
    figures = {name: {language: drawn[name, language].figures() for language in LANGUAGES} for name in sets}
    figures |= {
        "memory": memory(options.data, drawn, held_out, perceptual=perceptual),
        "autoencoder": autoencoder_figures(pair, options.data),
        "time": time_figures(pair, threads=(1, 2)),
        "names": len(names_of(all_drawings(options.data), "en")),
        "guidance_scale": pair.painter.default_guidance,
    }
    (options.out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(figures, indent=1))


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the packs")
    parser.add_argument("--teachers", type=Path, help="folder with load.py; without it nearness is that of pixels")
    parser.add_argument("--pipeline", type=Path, default=PIPELINE, help="folder of the pipeline")
    parser.add_argument("--pairs", type=int, default=300, help="known pairs, and as many held-out ones")
    parser.add_argument("--prompts", type=Path, help="lines of the sheet; prompts64.jsonl of --data without it")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int)
    options = parser.parse_args(arguments)
    options.device = choose_device(options.device)
    return options


if __name__ == "__main__":
    main()
