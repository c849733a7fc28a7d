"""Calibrates a trained student and writes what the app ships: weights, features of the bank's words, taught names.

python -m training.ship --data FOLDER --run runs/zero_shot/softmax        # from a checkpoint, while the run goes on
"""

import argparse
import csv
import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from pipelines.zero_shot.background import BANK_WORDS, bank_words
from training.validation import Validation, load_validation
from training.words import LANGUAGES, Concept, all_concepts
from training.zero_shot_model import Encoder, Student

ASSETS = Path("assets/models/zero_shot")
SHIPPED = {"softmax": "clip", "sigmoid": "siglip"}
TAUGHT = {"photo": "pictures", "imagenet": "imagenet", "drawing": "drawings"}


def val_cosines(student: Student, validation: Validation) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines of val photographs with all bare photo names, both languages below each other, and the truth."""
    images = student.encode_image(validation.photos.features[:, 0].float())
    parts = []
    for language in LANGUAGES:
        names = [concept.names(language)[0] for concept in validation.concepts["photo"]]
        parts.append(images @ validation.encoder.ensemble(student, names, ("{}",)).T)
    return torch.cat(parts), validation.photos.concept.repeat(len(LANGUAGES))


def calibrate(student: Student, validation: Validation) -> None:
    """Set the scale, and the twin's bias, on val photographs among all photo names.

    Softmax: one temperature, that which makes the true names most likely (1706.04599, section 4.2). Sigmoid: scale and
    bias such that the best answer is right as often as it says (Platt scaling of the best answer): fitted to all pairs
    instead, a best answer that says 0.05 is right in one of four cases.
    """
    with torch.no_grad():
        cosines, truth = val_cosines(student, validation)
        best, answer = cosines.max(dim=1)
    right = (answer == truth).float()
    log_scale = student.logit_scale.detach().clone().requires_grad_(True)
    parameters = [log_scale]
    if student.logit_bias is not None:
        parameters.append(student.logit_bias.detach().clone().requires_grad_(True))
    optimiser = torch.optim.LBFGS(parameters, lr=0.5, max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        if len(parameters) == 1:
            loss = cross_entropy(cosines * log_scale.exp(), truth)
        else:
            loss = binary_cross_entropy_with_logits(best * log_scale.exp() + parameters[1], right)
        loss.backward()
        return loss

    optimiser.step(closure)
    with torch.no_grad():
        student.logit_scale.copy_(log_scale)
        if len(parameters) == 2:
            student.logit_bias.copy_(parameters[1])


def ship(objective: str, student: Student, validation: Validation, *, assets: Path = ASSETS) -> None:
    """Calibrate, then write fp16 weights (scale and bias in float32) and the bank's features; refresh the manifest."""
    from pipelines.runtime import manifest

    student = student.to("cpu").eval()
    calibrate(student, validation.to("cpu"))
    state = {
        name: (value.float() if name.startswith("logit_") else value.half()).contiguous().clone()
        for name, value in student.shipped_state().items()
    }
    name = SHIPPED[objective]
    weights, bank = assets / name / "model.safetensors", assets / f"bank_{name}.safetensors"
    save_file(state, weights, {"format": "pt", "objective": objective})
    save_file(bank_features(student, Encoder(assets / "tokenizer")), bank)
    for file in (weights, bank):
        file.chmod(0o644)  # safetensors writes files that only their owner may read
    write_names(assets / "names.tsv", validation.concepts)
    manifest.write_manifest()
    print(f"{name}: {weights.stat().st_size / 2**20:.2f} MiB, scale {student.logit_scale.exp().item():.2f}")


def bank_features(student: Student, encoder: Encoder) -> dict[str, torch.Tensor]:
    """Unit-length features of the bank's bare words: ``features`` (English, what the app ranks against) and ``zh``."""
    if not BANK_WORDS.exists():
        raise FileNotFoundError(BANK_WORDS)
    english, chinese = zip(*bank_words(), strict=True)
    return {
        "features": encoder.ensemble(student, list(english), ("{}",)).half(),
        "zh": encoder.ensemble(student, list(chinese), ("{}",)).half(),
    }


def write_names(path: Path, concepts: dict[str, list[Concept]]) -> None:
    """Every name that training knew, synonyms as rows of their own, with the strongest way in which it was taught."""
    rows: dict[tuple[str, str], str] = {}
    for kind, taught in TAUGHT.items():
        for concept in concepts[kind]:
            longest = max(len(concept.en), len(concept.zh))
            for place in range(longest):
                pair = tuple(names[min(place, len(names) - 1)] if names else "" for names in (concept.en, concept.zh))
                rows.setdefault(pair, taught)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_NONE, quotechar=None)
        writer.writerow(("en", "zh", "taught"))
        writer.writerows((en, zh, taught) for (en, zh), taught in rows.items())


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Calibrate and ship the moving average of a run's last checkpoint.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, default=Path("runs/zero_shot/softmax"), help="folder with checkpoint.pt")
    parser.add_argument("--features", type=Path, default=Path("runs/zero_shot/features"))
    parser.add_argument("--objective", choices=sorted(SHIPPED), default="softmax")
    options = parser.parse_args()
    concepts = all_concepts(options.data)
    validation = load_validation(options.data, options.features, concepts, Encoder(ASSETS / "tokenizer"))
    student = Student(ASSETS / SHIPPED[options.objective], {kind: len(many) for kind, many in concepts.items()})
    saved = torch.load(options.run / "checkpoint.pt", map_location="cpu", weights_only=True)
    student.load_state_dict(saved["average"])
    student.eval()
    print(json.dumps({"step": saved["state"]["step"], **validation(student)}))
    ship(options.objective, student, validation)


if __name__ == "__main__":
    main()
