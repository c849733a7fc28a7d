"""The doctor for black pictures: which part gave NaN in half precision, and that part alone again in float32.

float16 ends at 65,504. The autoencoder of SDXL passes it in its decoder, other models in the UNet or in the text
encoder; what follows is NaN everywhere, and NaN becomes black. A run asks the doctor at each part.
"""

import copy
import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import torch
from accelerate.hooks import remove_hook_from_module

from pipelines.runtime.errors import Note, UserError

Result = TypeVar("Result")
# {what the visitor reads about: the pipeline's components}
PARTS = {"text_encoder": ("text_encoder", "text_encoder_2"), "unet": ("unet",), "vae": ("vae",)}


class Doctor:
    """Watches over one run. What it found out holds until the run ends; the next run starts in half precision again.

    model: what to compute with: the run's model, its faulty parts exchanged for float32 copies.
    repaired: names of those parts, in the order in which they failed.
    """

    def __init__(self, model):
        self.model = model
        self.repaired: tuple[str, ...] = ()

    def run(self, part: str, compute: Callable[..., Result]) -> Result:
        """Compute with a part and look at the numbers; when some are not finite, compute again in float32.

        Args:
            part: "text_encoder", "unet" or "vae".
            compute: takes a TextToImageModel; returns a tensor, or a dataclass, mapping or sequence of tensors. It
                gives the part what it computes in (``.dtype``), since a repaired part is float32 among halves.

        Returns:
            What ``compute`` returned, all numbers finite.

        Raises:
            UserError: ``errors.part_not_finite`` when float32 is not enough.
        """
        result = compute(self.model)
        if all_finite(result):
            return result
        if not _is_float32(self.model, part):
            self.model, self.repaired = widen(self.model, part), (*self.repaired, part)
            result = compute(self.model)
        if not all_finite(result):
            raise UserError("errors.part_not_finite", part=part, model=self.model.id)
        return result

    def notes(self) -> tuple[Note, ...]:
        """What to say beside the picture."""
        return tuple(Note(f"errors.note_repaired_{part}") for part in self.repaired)


def widen(model, part: str):
    """The same model with one part copied to float32; the model that was given stays as it is.

    Other visitors may be computing with it, so its own part is never converted in place.
    """
    pipeline = copy.copy(model.pipeline)
    for name in PARTS[part]:
        module = getattr(pipeline, name, None)
        if module is not None:
            setattr(pipeline, name, _float32_copy(module, model.device))
    return dataclasses.replace(model, pipeline=pipeline)


def call_unet(model, x_t: torch.Tensor, timestep: torch.Tensor, inputs: Mapping) -> torch.Tensor:
    """Call the UNet with everything in its own number format; the output comes back in that of ``x_t``.

    x_t: (B, C, h, w). inputs: the UNet's other keyword arguments.
    """
    unet = model.pipeline.unet
    if unet.dtype == x_t.dtype:
        return unet(x_t, timestep, return_dict=False, **inputs)[0]
    output = unet(x_t.to(unet.dtype), timestep, return_dict=False, **_cast(inputs, unet.dtype))[0]
    return output.to(x_t.dtype)


def all_finite(value) -> bool:
    """Whether no tensor in it holds NaN or infinity. On a GPU this waits for the result."""
    return all(bool(tensor.isfinite().all()) for tensor in _tensors(value) if tensor.is_floating_point())


def _tensors(value) -> Iterable[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from _tensors(getattr(value, field.name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)


def _cast(inputs: Mapping, dtype: torch.dtype) -> dict:
    """The floating-point tensors of keyword arguments in another dtype, nested ones too."""
    cast = {}
    for name, value in inputs.items():
        if isinstance(value, Mapping):
            value = _cast(value, dtype)
        elif isinstance(value, torch.Tensor) and value.is_floating_point():
            value = value.to(dtype)
        cast[name] = value
    return cast


def _is_float32(model, part: str) -> bool:
    modules = [getattr(model.pipeline, name, None) for name in PARTS[part]]
    return all(module.dtype == torch.float32 for module in modules if module is not None)


def _float32_copy(module: torch.nn.Module, device: str) -> torch.nn.Module:
    """A copy on the device, without the hooks that move an offloaded part and without what was compiled."""
    from pipelines.text_to_image.speed import eager

    wide = copy.deepcopy(eager(module))
    remove_hook_from_module(wide, recurse=True)
    return wide.to(device=device, dtype=torch.float32)
