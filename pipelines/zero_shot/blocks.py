"""The model's parts as they worked on one input: real shapes and milliseconds, read off by forward hooks."""

import itertools
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

MOST_LAYER_GROUPS = 4


@dataclass(frozen=True)
class Block:
    """One part of the model at work.

    name: "preprocess", "stem", "stage_3", "layers_1_3" (first and last layer), "norm", "pool", "projection", ...;
    those of the text tower begin with "text_". shape: of its output, batch first. ms: from the end of the part
    before to the end of this one; 0 where a cached result made the work unnecessary. parameters: numbers learnt.
    """

    name: str
    shape: tuple[int, ...]
    ms: float
    parameters: int


@dataclass(frozen=True)
class Stage:
    """A part to watch: its name, the layer whose end is its end, and what it has learnt."""

    name: str
    end: nn.Module
    owns: tuple[nn.Module | nn.Parameter, ...]


class Timeline:
    """Watches one forward pass. Use it as a context manager, hold the device's turn meanwhile.

    Hooks sit on the shared model while it is open, so that one pass at a time may be watched.
    """

    def __init__(self, stages: list[Stage], *, device: str):
        self._stages = stages
        self._device = device
        self._handles: list = []
        self._blocks: list[Block] = []
        self._last = 0.0

    def __enter__(self) -> "Timeline":
        for stage in self._stages:
            self._handles.append(stage.end.register_forward_hook(self._hook(stage)))
        self._last = self._now()
        return self

    def __exit__(self, *_exception) -> None:
        for handle in self._handles:
            handle.remove()

    def close(self, prefix: str, output: np.ndarray, *, parameters: int) -> tuple[Block, ...]:
        """Add what remained after the last watched layer, and return all blocks in order.

        That is the projection with the scaling to unit length, or the scaling alone where nothing learnt remains.
        """
        remaining = parameters - sum(block.parameters for block in self._blocks)
        self._add(prefix + ("projection" if remaining else "unit_length"), output, remaining)
        return tuple(self._blocks)

    def _hook(self, stage: Stage):
        owned = sum(map(_count, stage.owns))

        def read(_module, _inputs, output):
            self._add(stage.name, output, owned)

        return read

    def _add(self, name: str, output, parameters: int) -> None:
        now = self._now()
        tensor = output[0] if isinstance(output, tuple) else output
        self._blocks.append(Block(name, tuple(tensor.shape), (now - self._last) * 1000, parameters))
        self._last = self._now()

    def _now(self) -> float:
        if self._device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()


def image_stages(visual: nn.Module) -> list[Stage]:
    """The parts of an open_clip image tower, up to the pooling; the projection is what remains."""
    trunk = getattr(visual, "trunk", visual)
    if hasattr(trunk, "conv_stem"):  # timm EfficientNet
        ends = [Stage("stem", trunk.bn1, (trunk.conv_stem, trunk.bn1))]
        ends += [_alone(f"stage_{number}", stage) for number, stage in enumerate(trunk.blocks, start=1)]
        ends += [Stage("head_conv", trunk.bn2, (trunk.conv_head, trunk.bn2)), _alone("pool", trunk.global_pool)]
        return ends
    if hasattr(trunk, "patch_embed"):  # timm ViT, as SigLIP has
        embeddings = [part for part in (trunk.pos_embed, trunk.cls_token) if part is not None]
        ends = [Stage("patches", trunk.patch_embed, (trunk.patch_embed, *embeddings))]
        ends += [*_layers("layers", trunk.blocks), _alone("norm", trunk.norm)]
        return ends + ([_alone("pool", trunk.attn_pool)] if getattr(trunk, "attn_pool", None) else [])
    if hasattr(trunk, "stem") and hasattr(trunk, "stages"):  # timm FastViT, as MobileCLIP has
        ends = [_alone("stem", trunk.stem)]
        ends += [_alone(f"stage_{number}", stage) for number, stage in enumerate(trunk.stages, start=1)]
        return [*ends, _alone("head_conv", trunk.final_conv)]
    if hasattr(visual, "transformer"):  # open_clip's own ViT
        embeddings = (visual.conv1, visual.class_embedding, visual.positional_embedding, visual.ln_pre)
        layers = _layers("layers", visual.transformer.resblocks)
        return [Stage("patches", visual.ln_pre, embeddings), *layers, _alone("norm", visual.ln_post)]
    if hasattr(visual, "layer4"):  # open_clip's ResNet
        stem = (visual.conv1, visual.bn1, visual.conv2, visual.bn2, visual.conv3, visual.bn3)
        stages = [_alone(f"stage_{number}", getattr(visual, f"layer{number}")) for number in (1, 2, 3, 4)]
        return [Stage("stem", visual.avgpool, stem), *stages, _alone("pool", visual.attnpool)]
    return []


def text_stages(module: nn.Module) -> list[Stage]:
    """The parts of an open_clip text tower; the projection is what remains."""
    tower = getattr(module, "text", module)
    if hasattr(tower, "token_embedding"):
        layers = _layers("text_layers", tower.transformer.resblocks)
        embeddings = (tower.token_embedding, tower.positional_embedding)
        first = Stage("text_embedding", tower.token_embedding, embeddings)
        return [first, *layers, _alone("text_norm", tower.ln_final)]
    if hasattr(tower, "transformer"):  # a transformers model, as in xlm-roberta towers
        inner = tower.transformer
        return [_alone("text_embedding", inner.embeddings), *_layers("text_layers", inner.encoder.layer)]
    return []


def join_runs(runs: list[tuple[Block, ...]]) -> tuple[Block, ...]:
    """Add up the passes of several batches: milliseconds summed, batch sizes summed, other sizes as they are."""
    return tuple(
        Block(
            name=same[0].name,
            shape=(sum(block.shape[0] for block in same), *same[0].shape[1:]),
            ms=sum(block.ms for block in same),
            parameters=same[0].parameters,
        )
        for same in zip(*runs, strict=True)
    )


def text_parameters(module: nn.Module) -> int:
    """How many numbers the text tower has learnt."""
    if hasattr(module, "text"):
        return _count(module.text)
    return _count(module) - _count(module.visual) - module.logit_scale.numel()


def image_parameters(module: nn.Module) -> int:
    """How many numbers the image tower has learnt."""
    return _count(module.visual)


def _count(part: nn.Module | nn.Parameter) -> int:
    return part.numel() if isinstance(part, nn.Parameter) else sum(one.numel() for one in part.parameters())


def _alone(name: str, module: nn.Module) -> Stage:
    return Stage(name, module, (module,))


def _layers(prefix: str, layers) -> list[Stage]:
    """Equal layers in at most four groups: "layers_1_3" watches the third and counts the first three."""
    layers = list(layers)
    groups = min(len(layers), MOST_LAYER_GROUPS)
    bounds = [round(number * len(layers) / groups) for number in range(groups + 1)]
    return [
        Stage(f"{prefix}_{start + 1}_{end}", layers[end - 1], tuple(layers[start:end]))
        for start, end in itertools.pairwise(bounds)
    ]
