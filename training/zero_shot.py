"""Trains the bundled bilingual CLIP and its sigmoid twin on a locked trunk (LiT, arXiv 2111.07991).

What is trained: the projection of the trunk's features and the text tower.

python -m training.features --data FOLDER            # once; so are training.tokenizer and training.text_teacher
python -m training.zero_shot --data FOLDER --device auto --minutes 60 --resume --ship
python -m training.zero_shot --data FOLDER --objective sigmoid --start assets/models/zero_shot/clip --minutes 15
"""

import argparse
import copy
import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import torch
from safetensors.torch import load_file

from pipelines.zero_shot.trunk import load_trunk_state
from training import text_teacher
from training.loop import LoopConfig, Trainer
from training.validation import load_validation
from training.words import LANGUAGES, all_concepts, common_words
from training.zero_shot_data import TrainingData, load_training
from training.zero_shot_model import Encoder, Student, start_projection, start_table
from training.zero_shot_steps import Config, Steps

ASSETS = Path("assets/models/zero_shot")
RUNS = Path("runs/zero_shot")
FOLDERS = {"softmax": ASSETS / "clip", "sigmoid": ASSETS / "siglip"}


def choose_device(name: str) -> str:
    """auto: CUDA if there is one."""
    return ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name


def create_student(config: Config, data: TrainingData, encoder: Encoder, start: Path | None) -> Student:
    """A student with shipped weights of a folder, or one that starts from the trunk's classifier and class means."""
    counts = {kind: len(many) for kind, many in data.concepts.items()}
    student = Student(FOLDERS[config.objective], counts, dropout=config.dropout).eval()
    if start is not None:
        student.load_shipped(load_file(start / "model.safetensors"))
        with torch.no_grad():
            for kind, concepts in data.concepts.items():
                names = [name for language in LANGUAGES for name in (one.names(language)[0] for one in concepts)]
                rows = encoder.ensemble(student, names, ("{}",))
                student.tables[kind].copy_(rows.view(len(LANGUAGES), len(concepts), -1).mean(dim=0))
        return student
    mean = data.photos.features[:, 0].float().mean(dim=0).cpu()
    start_projection(student, mean, load_trunk_state(classifier=True)["classifier.weight"].float())
    for kind, pictures in (("photo", data.photos), ("drawing", data.drawings)):
        start_table(student, kind, pictures.features[:, 0].float().cpu(), pictures.concept.cpu())
    return student


def describe(options: argparse.Namespace, config: Config, loop: LoopConfig) -> dict:
    """What a reader needs to repeat the run."""
    revision = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    said = ["FOLDER" if argument == str(options.data) else argument for argument in sys.argv[1:]]
    return {
        "command": " ".join(["python -m training.zero_shot", *said]),
        "start": str(options.start) if options.start else None,
        "config": asdict(config),
        "loop": {name: str(value) if isinstance(value, Path) else value for name, value in asdict(loop).items()},
        "device": options.device,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "revision": revision,
    }


def record(path: Path, run: dict, step: int) -> None:
    """Write what describes the run; a resumed run keeps what it was before."""
    history = json.loads(path.read_text(encoding="utf-8"))["history"] if step and path.exists() else []
    part = {"from_step": step, "dropout": run["config"]["dropout"], "minutes": run["loop"]["minutes"]}
    run["history"] = [*history, part]
    path.write_text(json.dumps(run, indent=1), encoding="utf-8")


def main() -> None:
    """Command line."""
    options = parse()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    config = replace(Config(), objective=options.objective)
    concepts = all_concepts(options.data)
    words = common_words(text_teacher.COMMON_WORDS)
    data = load_training(options.data, options.features, concepts, words).to(options.device)
    encoder = Encoder(ASSETS / "tokenizer", low_precision=options.bfloat16)
    validation = load_validation(options.data, options.features, concepts, encoder).to(options.device)
    student = create_student(config, data, encoder, options.start).to(options.device)
    loop = LoopConfig(options.out, options.minutes, options.steps, learning_rate=options.rate, seed=options.seed)
    trainer = Trainer(loop, student.train(), copy.deepcopy(student).eval().requires_grad_(False))
    if options.resume and trainer.restore():
        print(f"goes on from step {trainer.state.step}")
    loop.folder.mkdir(parents=True, exist_ok=True)
    record(loop.folder / "run.json", describe(options, config, loop), trainer.state.step)
    steps = Steps(config, data, encoder, text_teacher.load(options.teacher))
    trainer.run(steps, validation)
    if options.ship:
        from training.ship import ship

        ship(options.objective, trainer.average, validation)


def parse() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the packs")
    parser.add_argument("--features", type=Path, default=RUNS / "features", help="what training.features wrote")
    parser.add_argument("--teacher", type=Path, default=RUNS / "text_teacher.safetensors")
    parser.add_argument("--out", type=Path, help="checkpoints and curve; runs/zero_shot/OBJECTIVE without it")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--bfloat16", action="store_true", help="in the text tower; measure ten steps of each first")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--steps", type=int, help="count steps instead of minutes: then a resumed run is exact")
    parser.add_argument("--rate", type=float, default=1e-3, help="highest learning rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--objective", choices=sorted(FOLDERS), default="softmax")
    parser.add_argument("--start", type=Path, help="folder with model.safetensors to start from")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out, if there is one")
    parser.add_argument("--ship", action="store_true", help="at the end calibrate and write weights and manifest")
    options = parser.parse_args()
    options.device = choose_device(options.device)
    options.out = options.out or RUNS / options.objective
    return options


if __name__ == "__main__":
    main()
