"""The VQGAN of taming-transformers written again, no longer than a test needs: its names, its forward pass.

From taming/modules/diffusionmodules/model.py and taming/models/vqgan.py. The published ones have ch = 128.
"""

import itertools

import torch
from torch import nn
from torch.nn import functional


def swish(x):
    return x * torch.sigmoid(x)


def norm(channels):
    return nn.GroupNorm(32, channels, eps=1e-6)


class ResnetBlock(nn.Module):
    def __init__(self, before, after):
        super().__init__()
        self.norm1, self.conv1 = norm(before), nn.Conv2d(before, after, 3, padding=1)
        self.norm2, self.conv2 = norm(after), nn.Conv2d(after, after, 3, padding=1)
        if before != after:
            self.nin_shortcut = nn.Conv2d(before, after, 1)

    def forward(self, x):
        h = self.conv1(swish(self.norm1(x)))
        h = self.conv2(swish(self.norm2(h)))
        return h + (self.nin_shortcut(x) if hasattr(self, "nin_shortcut") else x)


class AttnBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.norm = norm(channels)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(channels, channels, 1) for _ in range(4))

    def forward(self, x):
        h = self.norm(x)
        q, k, v = (part(h).flatten(2) for part in (self.q, self.k, self.v))  # (b, c, hw)
        weights = (q.transpose(1, 2) @ k / x.shape[1] ** 0.5).softmax(dim=2)
        return x + self.proj_out((v @ weights.transpose(1, 2)).view_as(x))


class Change(nn.Module):
    """Downsample (padded below and to the right alone) or Upsample."""

    def __init__(self, channels, *, up):
        super().__init__()
        self.up = up
        self.conv = nn.Conv2d(channels, channels, 3, padding=1) if up else nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x):
        return self.conv(functional.interpolate(x, scale_factor=2.0) if self.up else functional.pad(x, (0, 1, 0, 1)))


def level(blocks, attention, change):
    holder = nn.Module()
    holder.block, holder.attn = nn.ModuleList(blocks), nn.ModuleList(attention)
    for name, part in change.items():
        setattr(holder, name, part)
    return holder


def middle(channels):
    holder = nn.Module()
    holder.block_1, holder.attn_1 = ResnetBlock(channels, channels), AttnBlock(channels)
    holder.block_2 = ResnetBlock(channels, channels)
    return holder


def through(holder, x):
    for place, block in enumerate(holder.block):
        x = block(x)
        if len(holder.attn):
            x = holder.attn[place](x)
    return x


def through_middle(holder, x):
    return holder.block_2(holder.attn_1(holder.block_1(x)))


class Encoder(nn.Module):
    def __init__(self, ch, ch_mult, num_res_blocks, attn_levels, z_channels):
        super().__init__()
        self.conv_in, self.down = nn.Conv2d(3, ch, 3, padding=1), nn.ModuleList()
        before = ch
        for i, times in enumerate(ch_mult):
            widths = [before] + [ch * times] * num_res_blocks
            blocks = [ResnetBlock(a, b) for a, b in itertools.pairwise(widths)]
            attention = [AttnBlock(ch * times) for _ in blocks] if i in attn_levels else []
            change = {"downsample": Change(ch * times, up=False)} if i < len(ch_mult) - 1 else {}
            self.down.append(level(blocks, attention, change))
            before = ch * times
        self.mid, self.norm_out = middle(before), norm(before)
        self.conv_out = nn.Conv2d(before, z_channels, 3, padding=1)

    def forward(self, x):
        x = self.conv_in(x)
        for holder in self.down:
            x = through(holder, x)
            x = holder.downsample(x) if hasattr(holder, "downsample") else x
        return self.conv_out(swish(self.norm_out(through_middle(self.mid, x))))


class Decoder(nn.Module):
    def __init__(self, ch, ch_mult, num_res_blocks, attn_levels, z_channels):
        super().__init__()
        before = ch * ch_mult[-1]
        self.conv_in, self.mid = nn.Conv2d(z_channels, before, 3, padding=1), middle(before)
        up = []
        for i, times in reversed(list(enumerate(ch_mult))):
            widths = [before] + [ch * times] * (num_res_blocks + 1)
            blocks = [ResnetBlock(a, b) for a, b in itertools.pairwise(widths)]
            attention = [AttnBlock(ch * times) for _ in blocks] if i in attn_levels else []
            change = {"upsample": Change(ch * times, up=True)} if i else {}
            up.insert(0, level(blocks, attention, change))
            before = ch * times
        self.up, self.norm_out = nn.ModuleList(up), norm(before)
        self.conv_out = nn.Conv2d(before, 3, 3, padding=1)

    def forward(self, z):
        x = through_middle(self.mid, self.conv_in(z))
        for holder in reversed(self.up):
            x = through(holder, x)
            x = holder.upsample(x) if hasattr(holder, "upsample") else x
        return self.conv_out(swish(self.norm_out(x)))


class OriginalVQGAN(nn.Module):
    """ch_mult and attn_levels as in a config; z_channels and embed_dim may differ, as in latent-diffusion's."""

    def __init__(self, *, ch=32, ch_mult=(1, 1, 2), num_res_blocks=2, attn_levels=(2,), z_channels=8, embed_dim=6):
        super().__init__()
        shape = (ch, ch_mult, num_res_blocks, attn_levels, z_channels)
        self.encoder, self.decoder = Encoder(*shape), Decoder(*shape)
        self.loss = nn.Module()
        self.loss.perceptual_loss = nn.Conv2d(3, 4, 1)
        self.quantize = nn.Module()
        self.quantize.embedding = nn.Embedding(48, embed_dim)
        self.quant_conv = nn.Conv2d(z_channels, embed_dim, 1)
        self.post_quant_conv = nn.Conv2d(embed_dim, z_channels, 1)

    def forward(self, picture):
        """Picture in -1..1 to (reconstruction, indices), by the distances that taming's VectorQuantizer2 computes."""
        z = self.quant_conv(self.encoder(picture)).permute(0, 2, 3, 1)
        flat, codes = z.reshape(-1, z.shape[-1]), self.quantize.embedding.weight
        distances = (flat**2).sum(1, keepdim=True) + (codes**2).sum(1) - 2 * flat @ codes.T
        indices = distances.argmin(dim=1).view(z.shape[:3])
        quantised = self.quantize.embedding(indices).permute(0, 3, 1, 2)
        return self.decoder(self.post_quant_conv(quantised)), indices
