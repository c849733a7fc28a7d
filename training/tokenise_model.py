"""The tokeniser while it trains: a VQModel, its codebook's running means, and a patch discriminator."""

from dataclasses import dataclass

import torch
from diffusers import VQModel
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from pipelines.tokenise.models import codes_of, nearest

K_MEANS_ROUNDS = 12


@dataclass(frozen=True)
class VQConfig:
    """Shape of the tokeniser. patch: pixels a side that the network takes at once; each further level halves them."""

    patch: int = 8
    widths: tuple[int, ...] = (112,)  # one a level, finest first
    layers: int = 2
    codes: int = 1024
    code_width: int = 8
    latent_width: int = 64
    ema: float = 0.99  # decay of the codes' running means; 0: codes learn by the codebook loss
    restart_after: int = 200  # steps without use, then the code takes a vector of the batch; 0: never
    discriminator: int = 0  # width; 0: none


def create_vq(config: VQConfig) -> VQModel:
    """An untrained VQModel without attention: its cost grows with the picture's area and no faster."""
    levels = len(config.widths)
    module = VQModel(
        in_channels=3 * config.patch**2,
        out_channels=3 * config.patch**2,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=config.widths,
        layers_per_block=config.layers,
        latent_channels=config.latent_width,
        num_vq_embeddings=config.codes,
        vq_embed_dim=config.code_width,
        mid_block_add_attention=False,
        norm_num_groups=16,
        sample_size=256,
    )
    module.quantize.legacy = False  # diffusers' default puts the commitment weight on the wrong term
    return module


def create_discriminator(width: int) -> nn.Sequential:
    """Judges patches of some 34 pixels (1611.07004, section 3.2.2), spectral norm in place of batch norm."""
    layers: list[nn.Module] = []
    for before, after, stride in ((3, width, 2), (width, 2 * width, 2), (2 * width, 4 * width, 1)):
        layers += [spectral_norm(nn.Conv2d(before, after, 4, stride, 1)), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, spectral_norm(nn.Conv2d(4 * width, 1, 4, 1, 1)))


@dataclass(frozen=True, eq=False)
class Quantised:
    """latents, straight (gradient passes to the latents), codes (gradient passes to the codebook): (B, D, h, w)."""

    latents: torch.Tensor
    straight: torch.Tensor
    codes: torch.Tensor
    indices: torch.Tensor


class Student(nn.Module):
    """What a run trains. The buffers belong to the running means of the codes (1711.00937, appendix A.1)."""

    def __init__(self, config: VQConfig):
        super().__init__()
        self.config = config
        self.vq = create_vq(config)
        self.discriminator = create_discriminator(config.discriminator) if config.discriminator else None
        self.register_buffer("started", torch.tensor(False))
        self.register_buffer("counts", torch.zeros(config.codes))
        self.register_buffer("sums", torch.zeros(config.codes, config.code_width))
        self.register_buffer("idle", torch.zeros(config.codes, dtype=torch.long))  # steps since the last use
        self.vq.quantize.embedding.requires_grad_(not config.ema)

    def quantise(self, latents: torch.Tensor) -> Quantised:
        """Nearest codes, with the straight-through estimator (1711.00937, section 3.2)."""
        latents = latents.float()
        indices = nearest(self.vq, latents.detach())
        codes = codes_of(self.vq, indices)
        return Quantised(latents, latents + (codes - latents).detach(), codes, indices)

    @torch.no_grad()
    def start(self, latents: torch.Tensor, generator: torch.Generator) -> None:
        """Put the codes where k-means puts them: latents (B, D, h, w) with more vectors than codes."""
        vectors = latents.float().movedim(1, -1).flatten(0, -2)
        centres = k_means(vectors, self.config.codes, generator)
        self.vq.quantize.embedding.weight.copy_(centres)
        self.counts.fill_(1.0)
        self.sums.copy_(centres)
        self.idle.zero_()
        self.started.fill_(True)

    @torch.no_grad()
    def follow(self, quantised: Quantised, generator: torch.Generator, *, restart: bool) -> None:
        """Move the codes after the latents that chose them, if they follow means, and restart idle ones."""
        vectors = quantised.latents.detach().movedim(1, -1).flatten(0, -2)
        indices = quantised.indices.flatten()
        used = torch.bincount(indices, minlength=self.config.codes)
        self.idle.add_(1).mul_(used == 0)
        weight = self.vq.quantize.embedding.weight
        if self.config.ema:
            sums = torch.zeros_like(self.sums).index_add_(0, indices, vectors)
            self.counts.lerp_(used.float(), 1 - self.config.ema)
            self.sums.lerp_(sums, 1 - self.config.ema)
            total = self.counts.sum()
            smooth = (self.counts + 1e-5) / (total + self.config.codes * 1e-5) * total  # no division by nothing
            weight.copy_(torch.where((self.counts > 1e-3)[:, None], self.sums / smooth[:, None], weight))
        if restart and self.config.restart_after:
            idle = (self.idle >= self.config.restart_after).nonzero()[:, 0]
            chosen = torch.randint(len(vectors), (len(idle),), generator=generator).to(vectors.device)
            weight[idle], self.sums[idle], self.counts[idle], self.idle[idle] = vectors[chosen], vectors[chosen], 1.0, 0


def k_means(vectors: torch.Tensor, count: int, generator: torch.Generator) -> torch.Tensor:
    """Lloyd's algorithm from random vectors: (N, D) to (count, D). An empty cluster takes a random vector anew."""
    if len(vectors) < count:
        raise ValueError(f"{len(vectors)} vectors are too few for {count} codes")
    centres = vectors[torch.randperm(len(vectors), generator=generator)[:count].to(vectors.device)]
    for _ in range(K_MEANS_ROUNDS):
        nearest_centre = torch.cdist(vectors, centres).argmin(dim=1)
        used = torch.bincount(nearest_centre, minlength=count)
        sums = torch.zeros_like(centres).index_add_(0, nearest_centre, vectors)
        anew = vectors[torch.randint(len(vectors), (count,), generator=generator).to(vectors.device)]
        centres = torch.where((used > 0)[:, None], sums / used.clamp_min(1)[:, None], anew)
    return centres


def hinge(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """The discriminator's loss (1705.02894): pictures above 1, reconstructions below -1."""
    return 0.5 * (functional.relu(1 - real).mean() + functional.relu(1 + fake).mean())
