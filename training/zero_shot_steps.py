"""One step of the zero-shot training: what is drawn, and the parts of the loss.

A step encodes fresh names in both languages and puts them into tables with a free embedding of every name, so that each
picture is told apart from all names of its kind, not only from those of the batch.
"""

from dataclasses import dataclass, field

import torch
from torch.nn.functional import cosine_similarity, cross_entropy, log_softmax, logsigmoid

from pipelines.zero_shot.losses import clip_loss, siglip_loss
from pipelines.zero_shot.trunk import load_trunk_state
from training.words import LANGUAGES
from training.zero_shot_data import TrainingData, name_of, pick, sentence
from training.zero_shot_model import Encoder, Student


@dataclass(frozen=True)
class Config:
    """What a step draws, and how much each part of the loss weighs."""

    objective: str = "softmax"
    names: dict[str, int] = field(default_factory=lambda: {"photo": 64, "imagenet": 96, "drawing": 96})
    captions: int = 16
    words: int = 24
    pictures_by_class: dict[str, int] = field(default_factory=lambda: {"photo": 4, "drawing": 2})
    pictures_at_random: dict[str, int] = field(default_factory=lambda: {"photo": 256, "drawing": 96})
    tied_pictures: int = 128
    soft_pictures: dict[str, int] = field(default_factory=lambda: {"photos": 128, "sharp": 96, "made": 160})
    weights: dict[str, float] = field(
        default_factory=lambda: {
            "photo": 1.0,
            "soft": 1.0,
            "drawing": 0.7,
            "caption": 0.2,
            "name": 0.5,
            "teacher": 2.0,
            "tie": 0.5,
        }
    )
    dropout: float = 0.4  # of the trunk's features: a linear probe gains 3 points on sharp pictures, 2 on val
    strength_of_made: float = 10.0  # right class in 9 of 10, mean probability 0.43, length as of real features


class Steps:
    """Draws batches and computes the parts of the loss. ``__call__`` is the loop's ``loss_of``."""

    def __init__(self, config: Config, data: TrainingData, encoder: Encoder, teacher: dict[str, torch.Tensor]):
        self.config, self.data, self.encoder = config, data, encoder
        device = data.photos.features.device
        self.teacher = {text: row.to(device) for text, row in teacher.items()}
        state = load_trunk_state(classifier=True)
        self.classifier = state["classifier.weight"].to(device), state["classifier.bias"].to(device)
        self.by_concept = {
            "photo": _by_concept(data.photos.concept, len(data.concepts["photo"])),
            "drawing": _by_concept(data.drawings.concept, len(data.concepts["drawing"])),
        }
        self.chance = {kind: _chances(data, kind) for kind in data.concepts}
        self.made = MadePictures(data, *self.classifier)

    def __call__(self, student: Student, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """One batch's parts of the loss, weighted."""
        chosen = {
            kind: torch.multinomial(self.chance[kind], count, generator=generator)
            for kind, count in self.config.names.items()
        }
        captioned = torch.randperm(len(self.data.captioned), generator=generator)[: self.config.captions]
        texts, targets = self._texts(chosen, captioned, generator)
        embedded = self.encoder(student, texts)
        fresh = dict(zip([*chosen, "caption", "word"], embedded.split(self._counts(captioned)), strict=True))
        known = [row for row, target in enumerate(targets) if target is not None]
        wanted = torch.stack([targets[row] for row in known])
        tied, tied_targets = self._tied(student, generator)
        parts = {
            "photo": self._named(student, "photo", chosen["photo"], fresh["photo"], generator),
            "drawing": self._named(student, "drawing", chosen["drawing"], fresh["drawing"], generator),
            "soft": self._soft(student, chosen["imagenet"], fresh["imagenet"], generator),
            "caption": self._captions(student, captioned, fresh["caption"], generator),
            "name": sum(self._said(student, kind, numbers, fresh[kind]) for kind, numbers in chosen.items()) / 3,
            "teacher": (1 - cosine_similarity(student.teacher_head(embedded[known]), wanted)).mean(),
            "tie": (1 - cosine_similarity(student.teacher_head(tied), tied_targets)).mean(),
        }
        return {name: self.config.weights[name] * value for name, value in parts.items()}

    def _counts(self, captioned: torch.Tensor) -> list[int]:
        return [*self.config.names.values(), len(captioned), self.config.words]

    def _texts(self, chosen: dict[str, torch.Tensor], captioned: torch.Tensor, generator: torch.Generator):
        """Texts of a step, in the order of ``_counts``, and the teacher's embedding of each name or None."""
        texts, targets = [], []
        for kind, numbers in chosen.items():
            for number in numbers.tolist():
                language = pick(LANGUAGES, generator)
                name = name_of(self.data.concepts[kind][number], language, generator)
                texts.append(sentence(name, language, generator))
                targets.append(self.teacher.get(name))
        for index in captioned.tolist():
            captions = self.data.captioned.rows[index].captions
            language = "zh" if captions["zh"] and torch.rand((), generator=generator) < 0.5 else "en"
            texts.append(pick(captions[language], generator))
            targets.append(self.teacher.get(texts[-1]))
        for _ in range(self.config.words):
            word = pick(self.data.words, generator)
            language = "zh" if word > "\u3000" else "en"
            texts.append(sentence(word, language, generator))
            targets.append(self.teacher.get(word))
        return texts, targets

    def _columns(self, student: Student, kind: str, numbers: torch.Tensor, fresh: torch.Tensor) -> torch.Tensor:
        """Embeddings of all names of a kind: the table's rows, and the text tower's for the fresh names."""
        return student.table(kind).index_copy(0, numbers.to(fresh.device), fresh)

    def _said(self, student: Student, kind: str, numbers: torch.Tensor, fresh: torch.Tensor) -> torch.Tensor:
        """A name's text must point at its own row of the table; the row comes towards the text as well."""
        table, numbers = student.table(kind), numbers.to(fresh.device)
        logits = student.logit_scale.exp().detach() * fresh @ table.detach().T
        return cross_entropy(logits, numbers) + (1 - cosine_similarity(table[numbers], fresh.detach())).mean()

    def _named(self, student, kind, numbers, fresh, generator) -> torch.Tensor:
        """Pictures with a name: half drawn by name, half by picture, against all names of the kind."""
        pictures = self.data.photos if kind == "photo" else self.data.drawings
        by_class = [
            pick(self.by_concept[kind][number], generator)
            for number in numbers.tolist()
            for _ in range(self.config.pictures_by_class[kind])
        ]
        at_random = torch.randint(len(pictures), (self.config.pictures_at_random[kind],), generator=generator)
        chosen = torch.cat([torch.tensor(by_class), at_random])
        images = student.encode_image(pictures.draw(chosen, generator))
        columns = self._columns(student, kind, numbers, fresh)
        named = pictures.concept[chosen.to(images.device)]
        positives = named[:, None] == torch.arange(len(columns), device=images.device)
        return self._pair_loss(student, images, columns, positives, fresh_columns=numbers)

    def _pair_loss(self, student, images, columns, positives, *, fresh_columns) -> torch.Tensor:
        if self.config.objective == "sigmoid":
            scale, bias = student.logit_scale.exp(), student.logit_bias
            return siglip_loss(images, columns, logit_scale=scale, logit_bias=bias, positives=positives)
        scale = student.logit_scale.exp()
        rows = log_softmax(scale * images @ columns.T, dim=1)
        to_text = -rows[positives].mean()
        fresh = clip_loss(
            images,
            columns[fresh_columns.to(columns.device)],
            logit_scale=scale,
            positives=positives[:, fresh_columns.to(columns.device)],
        )
        return 0.75 * to_text + 0.25 * fresh

    def _soft(self, student, numbers, fresh, generator) -> torch.Tensor:
        """The classifier's probabilities of its 1,000 names, on any picture and on features made from its rows."""
        counts = self.config.soft_pictures
        features = torch.cat(
            [
                self.data.photos.draw(
                    torch.randint(len(self.data.photos), (counts["photos"],), generator=generator), generator
                ),
                self.data.sharp.draw(
                    torch.randint(len(self.data.sharp), (counts["sharp"],), generator=generator), generator
                ),
                self.made.draw(numbers, counts["made"], generator, strength=self.config.strength_of_made),
            ]
        )
        weight, bias = self.classifier
        probabilities = torch.softmax(features @ weight.T + bias, dim=1)
        images = student.encode_image(features)
        logits = student.logit_scale.exp() * images @ self._columns(student, "imagenet", numbers, fresh).T
        if self.config.objective == "sigmoid":
            logits = logits + student.logit_bias
            return -(probabilities * logsigmoid(logits) + (1 - probabilities) * logsigmoid(-logits)).sum() / len(logits)
        return -(probabilities * log_softmax(logits, dim=1)).sum(dim=1).mean()

    def _captions(self, student, captioned, fresh, generator) -> torch.Tensor:
        images = student.encode_image(self.data.captioned.draw(captioned, generator))
        positives = torch.eye(len(captioned), dtype=torch.bool, device=images.device)
        return self._pair_loss(student, images, fresh, positives, fresh_columns=torch.arange(len(captioned)))

    def _tied(self, student, generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Pictures through the teacher's head, and the teacher's embedding of their names."""
        chosen = torch.randint(len(self.data.photos), (self.config.tied_pictures,), generator=generator)
        concepts = [self.data.concepts["photo"][number] for number in self.data.photos.concept.cpu()[chosen].tolist()]
        wanted = torch.stack([self.teacher[concept.names(pick(LANGUAGES, generator))[0]] for concept in concepts])
        return student.encode_image(self.data.photos.draw(chosen, generator)), wanted


class MadePictures:
    """Features for ImageNet classes without a picture: a real picture's deviation around the class's mean.

    A linear classifier of Gaussian classes has rows w_c = S^-1 m_c (S within-class covariance, m_c class mean), so
    m_c - m_k = S (w_c - w_k): a picture that the classifier takes for k is moved to c by adding S (w_c - w_k), times a
    strength, since weight decay keeps the published rows short.
    """

    def __init__(self, data: TrainingData, weight: torch.Tensor, bias: torch.Tensor):
        self.pictures = data.photos
        features = data.photos.features[:, 0].float()
        means = features.new_zeros(len(data.concepts["photo"]), features.shape[1])
        counts = torch.bincount(data.photos.concept, minlength=len(means)).clamp(min=1)
        means.index_add_(0, data.photos.concept, features)
        deviations = features - (means / counts[:, None])[data.photos.concept]
        covariance = deviations.T @ deviations / len(deviations)
        self.moves = weight @ covariance  # (1000, 1280): S w_c
        self.taken_for = (features @ weight.T + bias).argmax(dim=1)

    def draw(self, classes: torch.Tensor, count: int, generator: torch.Generator, *, strength: float) -> torch.Tensor:
        """(count, 1280) features, evenly of the given classes."""
        wanted = classes[torch.randint(len(classes), (count,), generator=generator)]
        chosen = torch.randint(len(self.pictures), (count,), generator=generator)
        device = self.moves.device
        wanted, chosen = wanted.to(device), chosen.to(device)
        moved = strength * (self.moves[wanted] - self.moves[self.taken_for[chosen]])
        return (self.pictures.features[chosen, 0].float() + moved).clamp(min=0)


def _by_concept(concept: torch.Tensor, count: int) -> list[list[int]]:
    members: list[list[int]] = [[] for _ in range(count)]
    for picture, number in enumerate(concept.tolist()):
        if number >= 0:
            members[number].append(picture)
    return members


def _chances(data: TrainingData, kind: str) -> torch.Tensor:
    """How often a name is drawn: names without training pictures never, skin tones rarely."""
    concepts = data.concepts[kind]
    chances = torch.tensor([0.25 if "skin tone" in concept.en[0] else 1.0 for concept in concepts])
    if kind != "imagenet":
        pictures = data.photos if kind == "photo" else data.drawings
        present = torch.bincount(pictures.concept[pictures.concept >= 0], minlength=len(concepts)) > 0
        chances = chances * present
    return chances
