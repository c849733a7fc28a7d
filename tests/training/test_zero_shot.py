"""The student and its losses on a few made-up names; the real open_clip class, features at random."""

import copy
import json
from pathlib import Path

import pytest
import torch
from torch.nn.functional import normalize

from training import ship
from training.packs import Row
from training.validation import ranks, top
from training.words import Concept
from training.zero_shot_data import Pictures, TrainingData, name_of, sentence
from training.zero_shot_model import Encoder, Student, start_projection
from training.zero_shot_steps import Config, MadePictures, Steps

ASSETS = Path(__file__).parents[2] / "assets" / "models" / "zero_shot"
COUNTS = {"photo": 6, "imagenet": 1000, "drawing": 5}


def concepts_of(kind: str, count: int) -> list[Concept]:
    return [Concept(kind, (f"{kind} {number}", "thing"), (f"第{number}",)) for number in range(count)]


def pictures(count: int, names: int, *, captions: bool = False) -> Pictures:
    generator = torch.Generator().manual_seed(count)
    concept = torch.arange(count) % names
    features = torch.rand(count, 2, 1280, generator=generator).half()
    said = {"en": ("a caption",), "zh": ()} if captions else {"en": (), "zh": ()}
    row = Row(file="x", split="train", names={"en": ("x",), "zh": ()}, captions=said, group="photo", source="")
    return Pictures(features, concept, (row,) * count)


@pytest.fixture(scope="module")
def data() -> TrainingData:
    concepts = {kind: concepts_of(kind, count) for kind, count in COUNTS.items()}
    return TrainingData(
        concepts, pictures(24, 6), pictures(20, 5), pictures(8, 6, captions=True), pictures(10, 6), ["word", "词"]
    )


@pytest.fixture(scope="module")
def teacher(data) -> dict[str, torch.Tensor]:
    names = [name for many in data.concepts.values() for one in many for name in (*one.en, *one.zh)]
    generator = torch.Generator().manual_seed(0)
    return {name: normalize(torch.randn(512, generator=generator), dim=0) for name in [*names, "word"]}


@pytest.fixture(scope="module")
def untouched() -> Student:
    torch.manual_seed(0)
    return Student(ASSETS / "siglip", COUNTS)


@pytest.fixture
def student(untouched) -> Student:
    return copy.deepcopy(untouched)


def small(objective: str) -> Config:
    return Config(
        objective=objective,
        names={"photo": 4, "imagenet": 6, "drawing": 3},
        captions=4,
        words=2,
        pictures_at_random={"photo": 6, "drawing": 4},
        soft_pictures={"photos": 4, "sharp": 4, "made": 4},
        tied_pictures=4,
    )


def test_cut_texts_give_what_open_clips_tower_gives(student):
    encoder = Encoder(ASSETS / "tokenizer")
    texts = ["cat", "一张猫的照片", "a photo of a very large goldfish"]
    with torch.no_grad():
        ours = encoder(student, texts)
        theirs = normalize(student.text(encoder.tokenizer(texts)), dim=-1)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def test_shipped_tensors_fill_the_open_clip_model(student):
    import open_clip

    model = open_clip.create_model(f"local-dir:{ASSETS / 'siglip'}", load_weights=False)
    missing = model.load_state_dict(student.shipped_state(), strict=False)
    assert not missing.unexpected_keys
    assert all(name.startswith("visual.trunk.") for name in missing.missing_keys)


@pytest.mark.parametrize("objective", ["softmax", "sigmoid"])
def test_every_part_of_the_loss_teaches(objective, data, teacher, student):
    steps = Steps(small(objective), data, Encoder(ASSETS / "tokenizer"), teacher)
    optimiser = torch.optim.Adam(student.parameters(), lr=1e-3)
    first = last = None
    for _ in range(12):
        parts = steps(student, torch.Generator().manual_seed(3))
        assert set(parts) == {"photo", "drawing", "soft", "caption", "name", "teacher", "tie"}
        optimiser.zero_grad()
        sum(parts.values()).backward()
        optimiser.step()
        last = {name: part.item() for name, part in parts.items()}
        first = first or last
    assert all(last[name] < first[name] for name in ("photo", "drawing", "teacher", "tie")), (first, last)
    assert student.text.token_embedding.weight.grad.abs().sum() > 0
    assert student.projection.weight.grad.abs().sum() > 0


def test_the_same_generator_gives_the_same_batch(data, teacher, student):
    steps = Steps(small("softmax"), data, Encoder(ASSETS / "tokenizer"), teacher)
    one, two = (steps(student, torch.Generator().manual_seed(7)) for _ in range(2))
    assert {name: part.item() for name, part in one.items()} == {name: part.item() for name, part in two.items()}


def test_the_projection_starts_as_the_classifier(student):
    generator = torch.Generator().manual_seed(0)
    low_rank = torch.randn(1000, 100, generator=generator) @ torch.randn(100, 1280, generator=generator)
    mean = torch.rand(1280, generator=generator)
    start_projection(student, mean, low_rank)
    features = torch.rand(3, 1280, generator=generator)
    logits = (features - mean) @ (low_rank - low_rank.mean(dim=0)).T
    rows = low_rank - low_rank.mean(dim=0)
    ours = student.projection(features) @ student.table("imagenet").T * rows.norm(dim=1)
    torch.testing.assert_close(ours, logits, atol=0.05, rtol=1e-3)


def test_made_features_move_towards_their_class(data):
    weight = torch.randn(1000, 1280, generator=torch.Generator().manual_seed(1)) / 30
    made = MadePictures(data, weight, torch.zeros(1000))
    wanted = torch.tensor([17])
    generator = torch.Generator().manual_seed(0)
    weak = made.draw(wanted, 8, generator, strength=0.0) @ weight.T
    generator.manual_seed(0)
    strong = made.draw(wanted, 8, generator, strength=50.0) @ weight.T
    assert (strong[:, 17] > weak[:, 17]).all()


def test_names_and_sentences():
    generator = torch.Generator().manual_seed(0)
    concept = Concept("photo", ("couch", "sofa"), ())
    assert {name_of(concept, "zh", generator) for _ in range(40)} == {"couch", "sofa"}
    said = {sentence("猫", "zh", generator) for _ in range(100)}
    assert "猫" in said
    assert len(said) > 10
    assert all("猫" in text and "{}" not in text for text in said)


def test_places_of_the_true_name():
    places = ranks(torch.tensor([[0.1, 0.9], [0.3, 0.2]]), torch.tensor([0, 0]))
    assert places.tolist() == [1, 0]
    assert top(places, 1) == 0.5


def test_calibration_finds_the_temperature_that_made_the_answers(student, monkeypatch):
    generator = torch.Generator().manual_seed(0)
    cosines = torch.rand(4000, 8, generator=generator) * 2 - 1
    truth = torch.multinomial((6.0 * cosines).softmax(dim=1), 1, generator=generator)[:, 0]
    student.logit_bias = None
    monkeypatch.setattr(ship, "val_cosines", lambda *_: (cosines, truth))
    ship.calibrate(student, None)
    assert student.logit_scale.exp().item() == pytest.approx(6.0, rel=0.05)


def test_calibration_of_the_twin_makes_the_best_answer_right_as_often_as_it_says(student, monkeypatch):
    generator = torch.Generator().manual_seed(0)
    cosines = torch.rand(20000, 2, generator=generator) * 2 - 1
    best, answer = cosines.max(dim=1)
    right = torch.rand(20000, generator=generator) < torch.sigmoid(5.0 * best - 1.0)
    monkeypatch.setattr(ship, "val_cosines", lambda *_: (cosines, torch.where(right, answer, 1 - answer)))
    ship.calibrate(student, None)
    assert student.logit_scale.exp().item() == pytest.approx(5.0, rel=0.1)
    assert student.logit_bias.item() == pytest.approx(-1.0, abs=0.1)


def test_shipped_sizes_and_names():
    for name in ("clip", "siglip"):
        config = json.loads((ASSETS / name / "open_clip_config.json").read_text())["model_cfg"]
        assert config["text_cfg"]["eos_id"] == config["text_cfg"]["vocab_size"] - 1
        assert (ASSETS / name / "model.safetensors").stat().st_size <= 9.5 * 2**20
