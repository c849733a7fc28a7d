"""The part of the bundled CLIP that is trained: projection of the locked trunk's features, and the text tower."""

from pathlib import Path

import open_clip
import torch
from open_clip.tokenizer import HFTokenizer
from torch import nn
from torch.nn.functional import normalize

from pipelines.zero_shot.labels import fill

TEACHER_WIDTH = 512
BUCKET = 64  # texts of like length are encoded together, so that little padding is computed


class Student(nn.Module):
    """Projection, text tower and scale of the open_clip model in a config folder.

    For training only: a head for the text teacher, and tables with a free embedding of every name. Pictures are told
    apart by the tables, the text tower learns to say the tables' rows.
    """

    def __init__(self, config_folder: Path, counts: dict[str, int], *, dropout: float = 0.0):
        super().__init__()
        model = open_clip.create_model(f"local-dir:{config_folder}", load_weights=False)
        self.projection = model.visual.head.proj  # (1280 -> D), with bias
        self.text = model.text
        self.logit_scale = model.logit_scale
        self.logit_bias = model.logit_bias
        self.dropout = nn.Dropout(dropout)
        width = self.projection.out_features
        self.teacher_head = nn.Linear(width, TEACHER_WIDTH)
        self.tables = nn.ParameterDict({kind: torch.zeros(count, width) for kind, count in counts.items()})

    def encode_image(self, features: torch.Tensor) -> torch.Tensor:
        """Pooled trunk features (B, 1280) to unit length (B, D); in training some features are dropped."""
        return normalize(self.projection(self.dropout(features)), dim=-1)

    def table(self, kind: str) -> torch.Tensor:
        """Embeddings of all names of a kind, unit length (N, D)."""
        return normalize(self.tables[kind], dim=-1)

    def encode_tokens(self, tokens: torch.Tensor) -> torch.Tensor:
        """Tokens (T, L), cut to the longest text, to unit length (T, D): what open_clip's tower computes on (T, 32)."""
        tower, length = self.text, tokens.shape[1]
        x = tower.token_embedding(tokens) + tower.positional_embedding[:length]
        x = tower.ln_final(tower.transformer(x, attn_mask=tower.attn_mask[:length, :length]))
        end = (tokens == tower.eos_id).int().argmax(dim=1)
        return normalize(x[torch.arange(len(x)), end] @ tower.text_projection, dim=-1)

    def shipped_state(self) -> dict[str, torch.Tensor]:
        """open_clip's names for what is shipped: all but the trunk and the teacher's head."""
        state = {f"visual.head.proj.{name}": value for name, value in self.projection.state_dict().items()}
        state |= {f"text.{name}": value for name, value in self.text.state_dict().items()}
        state["logit_scale"] = self.logit_scale.detach()
        if self.logit_bias is not None:
            state["logit_bias"] = self.logit_bias.detach()
        return state

    def load_shipped(self, state: dict[str, torch.Tensor]) -> None:
        """Take over shipped weights but scale and bias, which are the objective's own; strictly."""
        state = {name: value.float() for name, value in state.items()}
        head = "visual.head.proj."
        self.projection.load_state_dict({k.removeprefix(head): v for k, v in state.items() if k.startswith(head)})
        self.text.load_state_dict({k.removeprefix("text."): v for k, v in state.items() if k.startswith("text.")})


class Encoder:
    """Tokenises and encodes texts in buckets of like length."""

    def __init__(self, tokenizer_folder: Path, *, low_precision: bool = False):
        self.low_precision = low_precision  # bfloat16 in the text tower: 1.7 times faster with AVX512-BF16
        self.tokenizer = HFTokenizer(str(tokenizer_folder), context_length=32, split_special_tokens=True)

    def __call__(self, student: Student, texts: list[str]) -> torch.Tensor:
        """Texts to unit length (T, D)."""
        tokens, device = self.tokenizer(texts), student.projection.weight.device
        lengths = (tokens != student.text.pad_id).sum(dim=1)
        order = lengths.argsort()
        with torch.autocast(device.type, torch.bfloat16, enabled=self.low_precision):
            parts = [
                student.encode_tokens(tokens[chosen, : int(lengths[chosen].max())].to(device))
                for chosen in order.split(BUCKET)
            ]
        return normalize(torch.cat(parts)[order.argsort().to(device)].float(), dim=-1)

    @torch.no_grad()
    def ensemble(self, student: Student, names: list[str], templates: tuple[str, ...]) -> torch.Tensor:
        """Mean over templates, of unit length again: (N, D)."""
        texts = [fill(template, name) for name in names for template in templates]
        parts = [self(student, texts[start : start + 1024]) for start in range(0, len(texts), 1024)]
        return normalize(torch.cat(parts).view(len(names), len(templates), -1).mean(dim=1), dim=-1)


@torch.no_grad()
def start_projection(student: Student, mean: torch.Tensor, classifier: torch.Tensor) -> None:
    """Start from the directions in which the trunk's own classifier tells its 1,000 classes apart, centred.

    They are orthonormal and span the classifier's rows, so that <P (f - mean), P w_c> is class c's logit but for a
    constant: the table of ImageNet names can start as P w_c.
    """
    centred = classifier - classifier.mean(dim=0)
    _, _, directions = torch.linalg.svd(centred, full_matrices=False)  # (1000, 1280)
    weight = directions[: student.projection.out_features]
    student.projection.weight.copy_(weight)
    student.projection.bias.copy_(-(weight @ mean))
    student.tables["imagenet"].copy_(normalize(centred @ weight.T, dim=-1))


@torch.no_grad()
def start_table(student: Student, kind: str, features: torch.Tensor, concept: torch.Tensor) -> None:
    """Start a table from the mean of each name's pictures; names without pictures start at random."""
    images = student.encode_image(features)
    images = images - images.mean(dim=0)
    table = student.tables[kind]
    sums = torch.zeros_like(table).index_add_(0, concept, images)
    noise = 0.01 * torch.randn(table.shape).to(table.device)
    table.copy_(normalize(normalize(sums, dim=-1) + noise, dim=-1))
