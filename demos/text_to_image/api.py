"""The tab's named functions for the Python client, REST and MCP: same limits and sentences as the page."""

from __future__ import annotations

from dataclasses import asdict

import gradio as gr

from demos.shell import sessions
from demos.shell.words import say
from demos.text_to_image import asked, parts, prompt_strip, result


def generate(
    prompt: str, negative_prompt: str = "", steps: int = 20, guidance_scale: float = 4.0, sampler: str = "ddim",
    width: int = 128, height: int = 128, batch: int = 1, seed: str = "0", eta: float = 0.0, model: str = "",
    lang: str = "en",
) -> dict:  # fmt: skip
    """Draw pictures from a prompt; the same settings give the same pictures.

    Args:
        prompt: what to draw, in English or Chinese, up to 2,000 characters
        negative_prompt: what to keep away from
        steps: 1 to 100 steps of the sampler
        guidance_scale: 0 to 30, how strongly the prompt pulls; 1 and below is without guidance
        sampler: ddim, ddpm, euler, euler_a, heun, dpmpp_2m, unipc or lcm
        width: pixels, rounded up to a multiple of 8
        height: pixels, rounded up to a multiple of 8
        batch: 1 to 4 pictures; picture i has the seed + i
        seed: a whole number from 0 to 2^64 - 1, in digits; -1 draws one
        eta: 0 to 1, for ddim: 0 adds no noise, 1 as much as ddpm
        model: an id of the model catalogue; empty for the app's choice
        lang: en or zh, the language of notes and error sentences
    """
    parts.ready()
    from pipelines.text_to_image.settings import text

    values = {
        "prompt": text(prompt), "negative_prompt": text(negative_prompt), "steps": steps,
        "guidance_scale": guidance_scale, "sampler": sampler, "eta": eta, "width": width, "height": height,
        "batch": batch, "seed": asked.read_seed(seed),
    }  # fmt: skip
    denoising = parts.finished(parts.made(parts.load(model), values))
    drawn = result.run(denoising, sessions.of(gr.Request()).folder).drawn  # of a session of its own
    return {
        "pictures": [_file(one.path) for one in drawn],
        "settings": result.plain(asdict(denoising.settings), denoising.model_id, denoising.ms),
        "notes": [say(note.key, lang, **note.values) for note in denoising.notes],
    }


def tokenise_prompt(prompt: str, model: str = "", lang: str = "en") -> dict:
    """Cut a prompt into the tokens that the model reads.

    Args:
        prompt: the text, in English or Chinese, up to 2,000 characters
        model: an id of the model catalogue; empty for the app's choice
        lang: en or zh, the language of error sentences
    """
    return prompt_strip.plain(prompt_strip.tokens(prompt, model))


def _file(path) -> dict:
    return {"path": str(path), "orig_name": path.name, "meta": {"_type": "gradio.FileData"}}


API = {"generate": generate, "tokenise_prompt": tokenise_prompt}
