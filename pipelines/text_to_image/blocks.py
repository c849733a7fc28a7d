"""The model's parts as they worked on one step of a run: shapes, milliseconds, and where the text enters the UNet."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from pipelines.runtime import watch
from pipelines.runtime.watch import Part, alone
from pipelines.text_to_image import autoencode
from pipelines.text_to_image.branch import step_of
from pipelines.text_to_image.prompt import encode
from pipelines.text_to_image.repair import Doctor, call_unet
from pipelines.text_to_image.replay import layer_names, stored_call, uncompiled


@dataclass(frozen=True)
class Block:
    """One part of the model at work.

    part: "text_encoder", "text_encoder_2", "unet" or "vae". name: in the model, "down_blocks.1"; the layers of a text
    encoder are one block, "layers". shape: of the output, batch first: (2, ...) with guidance. ms: of this one call.
    parameters: numbers learnt. text_layers: names of the cross-attention layers in it: the text enters there.
    """

    part: str
    name: str
    shape: tuple[int, ...]
    ms: float
    parameters: int
    text_layers: tuple[str, ...] = ()


def blocks(model, denoising, k: int, *, picture: int = 0) -> tuple[Block, ...]:
    """Encode the prompt, make call k of a run again and decode its picture, all watched.

    Hold the device's turn meanwhile: hooks sit on the shared model while it works. The milliseconds are those of
    a call that was not compiled.

    Args:
        model: the TextToImageModel that drew the run.
        denoising: the run.
        k: index in ``denoising.steps``.
        picture: which one of the batch.

    Returns:
        Blocks in the order of work: text encoders, UNet (down, middle, up), the autoencoder's decoder.

    Raises:
        UserError: ``errors.step_outside``, ``errors.part_not_finite``.
    """
    step = step_of(model, denoising, k)
    x_t, timestep, inputs = stored_call(model, step, picture=picture)
    latents = denoising.latents[picture : picture + 1]
    runs = {
        "text_encoder": lambda model: encode(model, [step.settings.prompt]),
        "unet": lambda model: call_unet(model, x_t, timestep, inputs),
        "vae": lambda model: autoencode.decode(model.pipeline.vae, latents),
    }
    doctor, found = Doctor(uncompiled(model)), []
    with torch.inference_mode():
        for part, compute in runs.items():
            found += _watch(doctor, part, compute)
    return tuple(found)


def _watch(doctor: Doctor, part: str, compute) -> list[Block]:
    """The blocks of one part at work; where half precision fails, those of the float32 copy."""
    noted: list[Block] = []

    def watched(model):
        noted.clear()
        with watching(model, part) as found:
            result = compute(model)
        noted.extend(found)
        return result

    doctor.run(part, watched)
    return noted


@contextmanager
def watching(model, part: str) -> Iterator[list[Block]]:
    """Hooks on a part's blocks while open; when it closes, the list holds them as they worked.

    part: "text_encoder" (both of SDXL's), "unet" or "vae".
    """
    found: list[Block] = []
    cross = layer_names(model)[0] if part == "unet" else ()
    watched = dict(_parts(model, part))
    with watch.watching(watched, device=model.device) as timed:
        yield found
    for one in timed:
        name = one.part.name
        entering = tuple(layer for layer in cross if layer.startswith(name + "."))
        found.append(Block(watched[one.part], name, one.shape, one.ms, one.parameters, entering))


def _parts(model, part: str) -> Iterator[tuple[Part, str]]:
    """What is watched, and the part of the model that it belongs to."""
    pipeline = model.pipeline
    if part == "text_encoder":
        for name in ("text_encoder", "text_encoder_2"):
            if getattr(pipeline, name, None) is not None:
                yield from ((one, name) for one in _text_parts(getattr(pipeline, name)))
    elif part == "unet":
        unet = pipeline.unet
        for name in ("time_embedding", "add_embedding", "conv_in", "down_blocks", "mid_block", "up_blocks", "conv_out"):
            module = getattr(unet, name, None)
            if isinstance(module, nn.ModuleList):
                yield from ((alone(f"{name}.{number}", one), "unet") for number, one in enumerate(module))
            elif module is not None:
                yield alone(name, module), "unet"
    else:
        yield alone("decoder", pipeline.vae.decoder), "vae"


def _text_parts(encoder: nn.Module) -> Iterator[Part]:
    """Embeddings and layers of a CLIP or BERT text encoder, whatever they lie in."""
    named = dict(encoder.named_modules())
    embeddings = next(module for name, module in named.items() if name.split(".")[-1] == "embeddings")
    layers = next(module for module in named.values() if isinstance(module, nn.ModuleList))
    yield alone("embeddings", embeddings)
    yield Part("layers", layers[0], layers[-1], (layers,))
