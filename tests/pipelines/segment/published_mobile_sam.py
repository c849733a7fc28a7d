"""The published checkpoint of MobileSAM as its own code names and shapes it, with random weights; and that code's
arithmetic, written from those names: the reference for our loader.

Source: ChaoningZhang/MobileSAM, mobile_sam/build_sam.py (vit_t) and mobile_sam/modeling/tiny_vit_sam.py.
"""

import math

import torch
from segment_anything import sam_model_registry
from torch.nn import functional

WIDTHS, DEPTHS, HEADS, WINDOWS = (64, 128, 160, 320), (2, 2, 6, 2), (2, 4, 5, 10), (7, 7, 14, 7)
CLASSES = 1000


def shapes() -> dict[str, tuple[int, ...]]:
    """{name: shape} of the image encoder's tensors."""
    found: dict[str, tuple[int, ...]] = {}

    def conv_norm(name: str, rows: int, columns: int, side: int) -> None:
        found[f"{name}.c.weight"] = (rows, columns, side, side)
        for part in ("weight", "bias", "running_mean", "running_var"):
            found[f"{name}.bn.{part}"] = (rows,)
        found[f"{name}.bn.num_batches_tracked"] = ()

    def affine(name: str, *shape: int) -> None:
        found[f"{name}.weight"], found[f"{name}.bias"] = shape, shape[:1]

    conv_norm("patch_embed.seq.0", WIDTHS[0] // 2, 3, 3)
    conv_norm("patch_embed.seq.2", WIDTHS[0], WIDTHS[0] // 2, 3)
    for layer, width in enumerate(WIDTHS):
        for block in range(DEPTHS[layer]):
            name = f"layers.{layer}.blocks.{block}"
            if layer == 0:
                conv_norm(f"{name}.conv1", 4 * width, width, 1)
                conv_norm(f"{name}.conv2", 4 * width, 1, 3)
                conv_norm(f"{name}.conv3", width, 4 * width, 1)
                continue
            found[f"{name}.attn.attention_biases"] = (HEADS[layer], WINDOWS[layer] ** 2)
            affine(f"{name}.attn.norm", width)
            affine(f"{name}.attn.qkv", 3 * width, width)
            affine(f"{name}.attn.proj", width, width)
            affine(f"{name}.mlp.norm", width)
            affine(f"{name}.mlp.fc1", 4 * width, width)
            affine(f"{name}.mlp.fc2", width, 4 * width)
            conv_norm(f"{name}.local_conv", width, 1, 3)
        if layer < 3:
            wider, name = WIDTHS[layer + 1], f"layers.{layer}.downsample"
            conv_norm(f"{name}.conv1", wider, width, 1)
            conv_norm(f"{name}.conv2", wider, 1, 3)
            conv_norm(f"{name}.conv3", wider, wider, 1)
    affine("norm_head", WIDTHS[3])
    affine("head", CLASSES, WIDTHS[3])
    found["neck.0.weight"], found["neck.2.weight"] = (256, WIDTHS[3], 1, 1), (256, 256, 3, 3)
    affine("neck.1", 256)
    affine("neck.3", 256)
    return found


def checkpoint(seed: int = 0) -> dict[str, torch.Tensor]:
    """A state dict of the published names and shapes; weights random, small enough that nothing overflows."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, shape in shapes().items():
        if name.endswith("num_batches_tracked"):
            value = torch.tensor(1)
        elif name.endswith(("running_var", "bn.weight", "norm.weight", "neck.1.weight", "neck.3.weight")):
            value = 0.5 + torch.rand(shape, generator=generator)
        else:
            value = torch.randn(shape, generator=generator) * (0.5 if len(shape) == 1 else math.prod(shape[1:]) ** -0.5)
        state[f"image_encoder.{name}"] = value
    with torch.device("meta"):
        rest = {k: v for k, v in sam_model_registry["vit_b"]().state_dict().items() if "image_encoder" not in k}
    return state | {name: torch.randn(value.shape, generator=generator) * 0.05 for name, value in rest.items()}


class Encoder:
    """The image encoder's arithmetic on the published names: (B, 3, S, S) to (B, 256, S/16, S/16)."""

    def __init__(self, state: dict[str, torch.Tensor]):
        self.get = {name.removeprefix("image_encoder."): value for name, value in state.items()}

    def __call__(self, pictures: torch.Tensor) -> torch.Tensor:
        x = functional.gelu(self.conv_norm(pictures, "patch_embed.seq.0", stride=2))
        x = self.conv_norm(x, "patch_embed.seq.2", stride=2)
        for layer, depth in enumerate(DEPTHS):
            for number in range(depth):
                name = f"layers.{layer}.blocks.{number}"
                x = self.inverted(x, name) if layer == 0 else self.block(x, name, layer)
            if layer < 3:  # the last step keeps the size
                x = self.merge(x, f"layers.{layer}.downsample", stride=1 if layer == 2 else 2)
        x = functional.conv2d(x, self.get["neck.0.weight"]).permute(0, 2, 3, 1)
        x = self.norm(x, "neck.1", 1e-6).permute(0, 3, 1, 2)
        x = functional.conv2d(x, self.get["neck.2.weight"], padding=1).permute(0, 2, 3, 1)
        return self.norm(x, "neck.3", 1e-6).permute(0, 3, 1, 2)

    def conv_norm(self, x, name, *, stride=1, groups=1):
        weight = self.get[f"{name}.c.weight"]
        x = functional.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2, groups=groups)
        statistics = (self.get[f"{name}.bn.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return functional.batch_norm(x, *statistics)

    def affine(self, x, name):
        return functional.linear(x, self.get[f"{name}.weight"], self.get[f"{name}.bias"])

    def norm(self, x, name, eps=1e-5):
        return functional.layer_norm(x, x.shape[-1:], self.get[f"{name}.weight"], self.get[f"{name}.bias"], eps)

    def inverted(self, x, name):
        y = functional.gelu(self.conv_norm(x, f"{name}.conv1"))
        y = functional.gelu(self.conv_norm(y, f"{name}.conv2", groups=y.shape[1]))
        return functional.gelu(x + self.conv_norm(y, f"{name}.conv3"))

    def merge(self, x, name, *, stride):
        y = functional.gelu(self.conv_norm(x, f"{name}.conv1"))
        y = functional.gelu(self.conv_norm(y, f"{name}.conv2", stride=stride, groups=y.shape[1]))
        return self.conv_norm(y, f"{name}.conv3")

    def attend(self, x, name, layer):
        qkv = self.affine(self.norm(x, f"{name}.norm"), f"{name}.qkv")
        q, k, v = qkv.unflatten(2, (HEADS[layer], -1)).chunk(3, dim=3)
        scores = torch.einsum("bqhc,bkhc->bhqk", q, k) * q.shape[-1] ** -0.5
        scores = scores + self.get[f"{name}.attention_biases"][:, offsets(WINDOWS[layer])]
        return self.affine(torch.einsum("bhqk,bkhc->bqhc", scores.softmax(-1), v).flatten(2), f"{name}.proj")

    def block(self, x, name, layer):
        batch, width, height, _ = x.shape
        side = WINDOWS[layer]
        padded = functional.pad(x, (0, -height % side, 0, -height % side))
        count = padded.shape[-1] // side
        cells = padded.view(batch, width, count, side, count, side).permute(0, 2, 4, 3, 5, 1)
        answer = self.attend(cells.reshape(-1, side * side, width), f"{name}.attn", layer)
        answer = answer.view(batch, count, count, side, side, width).permute(0, 5, 1, 3, 2, 4)
        x = x + answer.reshape(padded.shape)[..., :height, :height]
        x = self.conv_norm(x, f"{name}.local_conv", groups=width).permute(0, 2, 3, 1)
        hidden = functional.gelu(self.affine(self.norm(x, f"{name}.mlp.norm"), f"{name}.mlp.fc1"))
        return (x + self.affine(hidden, f"{name}.mlp.fc2")).permute(0, 3, 1, 2)


def offsets(side: int) -> torch.Tensor:
    """(side^2, side^2): which bias a pair of cells has; biases are numbered as distances are first met."""
    cells = [(y, x) for y in range(side) for x in range(side)]
    numbers: dict[tuple[int, int], int] = {}
    pairs = [(abs(a[0] - b[0]), abs(a[1] - b[1])) for a in cells for b in cells]
    return torch.tensor([numbers.setdefault(pair, len(numbers)) for pair in pairs]).view(side**2, side**2)
