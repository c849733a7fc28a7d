"""Settings -> the lines of "Copy as Python": plain diffusers, which draw the very pictures that the tab shows."""

from __future__ import annotations

from typing import Any

MOST_LINES = 20
SCHEDULERS = {
    "ddim": "DDIMScheduler",
    "ddpm": "DDPMScheduler",
    "euler": "EulerDiscreteScheduler",
    "euler_a": "EulerAncestralDiscreteScheduler",
    "heun": "BoundedHeunScheduler",
    "dpmpp_2m": "DPMSolverMultistepScheduler",
    "unipc": "UniPCMultistepScheduler",
    "lcm": "LCMScheduler",
}
OWN = ("heun",)  # diffusers' own leaves the picture where a schedule begins at pure noise
BUNDLED = "assets/models/"


def python(settings: dict[str, Any], entry, *, device: str, dtype: str) -> str:
    """At most 20 lines. settings: of `Settings`, by field. entry: the model's of the catalogue."""
    scheduler = SCHEDULERS[settings["sampler"]]
    seeds = tuple((settings["seed"] + number) % 2**64 for number in range(settings["batch"]))
    kind = "StableDiffusionXLPipeline" if "XL" in entry.architecture else "StableDiffusionPipeline"
    move = "" if device == "cpu" else f'.to("{device}")'
    imports = f"from diffusers import {scheduler}, {kind}"
    if settings["sampler"] in OWN:
        imports = f"from diffusers import {kind}\nfrom pipelines.text_to_image.samplers import {scheduler}"
    eta = f", eta={settings['eta']:g}" if settings["sampler"] == "ddim" and settings["eta"] else ""
    return f"""\
import torch
{imports}

pipe = {kind}.{_source(entry, dtype)}{move}
pipe.scheduler = {scheduler}.from_config(pipe.scheduler.config)
pictures = pipe(
    {settings["prompt"]!r},
    negative_prompt={settings["negative_prompt"]!r},
    num_inference_steps={settings["steps"]},
    guidance_scale={settings["guidance_scale"]:g}{eta},
    width={settings["width"]},
    height={settings["height"]},
    num_images_per_prompt={settings["batch"]},
    generator=[torch.Generator("cpu").manual_seed(seed) for seed in {seeds!r}],
).images
for number, picture in enumerate(pictures):
    picture.save(f"picture_{{number}}.png")
"""


def edited(settings: dict[str, Any], model_id: str, *, kind: str) -> str:
    """The lines for image to image and inpainting, by this app's own pipeline. kind: "image" or "inpaint"."""
    mask = 'np.asarray(Image.open("mask.png").convert("L")) > 127' if kind == "inpaint" else "None"
    fields = {name: value for name, value in settings.items() if name != "eta" or value}
    return f"""\
import numpy as np
from PIL import Image
from pipelines.runtime import context
from pipelines.text_to_image.edit import Edit
from pipelines.text_to_image.sample import generate
from pipelines.text_to_image.settings import Settings

pixels = np.asarray(Image.open("picture.png").convert("RGB"))  # ({settings["height"]}, {settings["width"]}, 3)
edit = Edit({kind!r}, pixels, {mask})
settings = Settings(**{fields!r})
*_, run = generate(context.current().load({model_id!r}), settings, edit=edit)
Image.fromarray(run.pictures[0]).save("edited.png")
"""


def _source(entry, dtype: str) -> str:
    """How diffusers reads this model's files."""
    options = f"dtype=torch.{dtype}, use_safetensors=True"
    source = entry.source
    if entry.origin == "bundled":
        return f'from_pretrained("{BUNDLED}{source.folder}", {options})'
    if entry.origin == "hub":
        revision = f', revision="{source.revision}"' if source.revision else ""
        return f'from_pretrained("{source.repo}"{revision}, {options})'
    if source.name.endswith(".safetensors"):
        return f"from_single_file({source.name!r}, dtype=torch.{dtype})"
    return f"from_pretrained({source.name!r}, {options})"
