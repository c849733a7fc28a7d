"""The last place in an image tower where features still have a place in the picture."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from pipelines.runtime.errors import UserError


@dataclass(eq=False)
class SpatialTap:
    """The watched activation, batch of 1: a graph leaf, filled by the forward pass.

    channels: the dimension of its channels. as_map: from (1, ...) without channels to (h, w).
    """

    channels: int
    as_map: Callable[[torch.Tensor], torch.Tensor]
    activation: torch.Tensor | None = None

    def hold(self, activation: torch.Tensor) -> torch.Tensor:
        """Cut the graph here: what comes before needs no gradient and keeps no memory."""
        self.activation = activation.detach().requires_grad_()
        return self.activation


@contextmanager
def watch_map(visual: nn.Module) -> Iterator[SpatialTap]:
    """Watch one forward pass of an open_clip image tower at its last spatial map.

    After average pooling's network: the map before the pooling. A ViT with a class token: the input of its last
    block, since afterwards only that token is read. A ViT with attention pooling: the tokens before the pooling.
    Hold the device's turn meanwhile: the hook sits on the shared model.

    Raises:
        UserError: ``errors.evidence_no_map``.
    """
    layer, at_input, tap = _find(visual)
    if at_input:
        handle = layer.register_forward_pre_hook(lambda _module, args: (tap.hold(args[0]), *args[1:]))
    else:
        handle = layer.register_forward_hook(lambda _module, _args, output: tap.hold(output))
    try:
        yield tap
    finally:
        handle.remove()


def _find(visual: nn.Module) -> tuple[nn.Module, bool, SpatialTap]:
    """(layer, watch its input instead of its output, tap)."""
    trunk = getattr(visual, "trunk", visual)
    if hasattr(trunk, "patch_embed"):  # timm ViT
        grid, prefix = trunk.patch_embed.grid_size, trunk.num_prefix_tokens
        reads_class_token = getattr(trunk, "attn_pool", None) is None and trunk.global_pool == "token"
        layer = trunk.blocks[-1] if reads_class_token else trunk.norm
        return layer, reads_class_token, _token_tap(grid, prefix)
    if hasattr(visual, "transformer") and getattr(visual, "attn_pool", None) is None:  # open_clip's own ViT
        reads_class_token = visual.pool_type == "tok"
        layer = visual.transformer.resblocks[-1]
        return layer, reads_class_token, _token_tap(visual.grid_size, 1)
    for name in ("bn2", "final_conv", "layer4"):  # timm EfficientNet; FastViT; open_clip's ResNet
        owner = visual if name == "layer4" else trunk
        if hasattr(owner, name) and (name != "bn2" or hasattr(owner, "conv_head")):
            return getattr(owner, name), False, SpatialTap(1, lambda values: values[0])
    raise UserError("errors.evidence_no_map")


def _token_tap(grid: tuple[int, int], prefix: int) -> SpatialTap:
    return SpatialTap(2, lambda values: values[0, prefix:].reshape(grid))
