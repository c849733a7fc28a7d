"""NaN in half precision: traced to its part, only that part in float32, said; never a black picture without a word."""

import dataclasses

import pytest
import torch

from pipelines.runtime.device import CPU
from pipelines.runtime.errors import UserError
from pipelines.text_to_image import repair
from pipelines.text_to_image.models import wrap
from pipelines.text_to_image.prompt import Conditioning
from pipelines.text_to_image.repair import Doctor, all_finite, widen
from pipelines.text_to_image.sample import generate
from pipelines.text_to_image.settings import Settings
from tests.pipelines.runtime.sentences import sentence
from tests.pipelines.text_to_image.conftest import make_pipeline, make_xl_pipeline

SETTINGS = Settings("a red apple", steps=3, width=64, height=64, seed=4)


def overflow_in_half(module: torch.nn.Module) -> None:
    """Make a part give NaN as long as it computes in half precision, as values beyond 65,504 would."""
    inner = (layer for name, layer in module.named_modules() if name.endswith(("embeddings", "decoder")))
    next(inner, module).register_forward_hook(lambda layer, _arguments, output: spoil_in_half(layer, output))


def spoil_in_half(layer: torch.nn.Module, output) -> None:
    """A forward hook: the first output becomes NaN unless the layer computes in float32."""
    if next(layer.parameters()).dtype != torch.float32:
        (output[0] if isinstance(output, tuple) else output).fill_(torch.nan)


def half_model(make=make_pipeline):
    """A small model whose parts are all in half precision: bfloat16, which a CPU computes; the doctor asks only
    whether numbers are finite."""
    model = wrap("half", make(), CPU)
    for part in ("text_encoder", "text_encoder_2", "unet", "vae"):
        module = getattr(model.pipeline, part, None)
        if module is not None:
            module.to(torch.bfloat16)
    return dataclasses.replace(model, dtype=torch.bfloat16)


def last(run):
    *_, result = run
    return result


@pytest.mark.parametrize("part", ["text_encoder", "unet", "vae"])
@pytest.mark.parametrize("make", [make_pipeline, make_xl_pipeline])
def test_V13_the_faulty_part_alone_is_repaired(make, part):
    plain = last(generate(half_model(make), SETTINGS))
    assert plain.repaired == ()

    model = half_model(make)
    overflow_in_half(getattr(model.pipeline, part))
    run = last(generate(model, SETTINGS))
    assert run.repaired == (part,)
    assert f"errors.note_repaired_{part}" in [note.key for note in run.notes]
    assert all(sentence(note) for note in run.notes)
    assert all_finite([run.latents, *(step.x0 for step in run.steps)])
    # The same picture but for rounding, and no black one.
    assert run.pictures.std() > 0
    assert abs(run.pictures.astype(float) - plain.pictures).mean() < 12
    # The model that others compute with is as it was.
    assert model.pipeline.unet.dtype == model.pipeline.vae.dtype == torch.bfloat16


def test_two_faulty_parts_are_both_named():
    model = half_model()
    overflow_in_half(model.pipeline.text_encoder)
    overflow_in_half(model.pipeline.vae)
    assert last(generate(model, SETTINGS)).repaired == ("text_encoder", "vae")


@pytest.mark.parametrize("part", ["text_encoder", "unet", "vae"])
def test_nan_in_float32_is_a_sentence(part):
    model = wrap("broken", make_pipeline(), CPU)
    layer = getattr(model.pipeline, part)
    next(layer.decoder.parameters() if part == "vae" else layer.parameters()).data.fill_(torch.nan)
    with pytest.raises(UserError, match="part_not_finite") as caught:
        last(generate(model, SETTINGS))
    assert caught.value.values["part"] == part
    assert "float32" in sentence(caught.value)


def test_the_doctor_computes_once_when_nothing_is_wrong():
    calls = []
    doctor = Doctor(half_model())
    doctor.run("unet", lambda model: calls.append(model) or torch.zeros(3))
    assert calls == [doctor.model]
    assert doctor.repaired == ()


def test_what_was_repaired_stays_so_for_the_run():
    doctor, dtypes = Doctor(half_model()), []

    def compute(model):
        dtype = model.pipeline.unet.dtype
        dtypes.append(dtype)
        return torch.tensor(torch.nan if dtype != torch.float32 else 1.0)

    for _ in range(3):
        doctor.run("unet", compute)
    assert dtypes == [torch.bfloat16] + [torch.float32] * 3
    assert doctor.repaired == ("unet",)


def test_widening_one_part_leaves_the_others_and_the_original():
    model = half_model(make_xl_pipeline)
    wide = widen(model, "text_encoder").pipeline
    assert wide.text_encoder.dtype == wide.text_encoder_2.dtype == torch.float32
    assert wide.unet is model.pipeline.unet
    assert wide.vae is model.pipeline.vae
    assert model.pipeline.text_encoder.dtype == torch.bfloat16


@pytest.mark.parametrize("hole", [torch.nan, torch.inf])
def test_holes_are_found_wherever_they_are(hole):
    bad = torch.tensor([0.0, hole])
    good = torch.zeros(2)
    assert all_finite([good, {"a": (good, None)}, torch.zeros(2, dtype=torch.int64)])
    assert not all_finite({"a": [good, (bad,)]})
    assert not all_finite(Conditioning(bad, None))


def test_the_unet_gets_its_own_number_format(tiny_model):
    x = torch.randn(1, 4, 8, 8)
    inputs = {"encoder_hidden_states": torch.randn(1, 32, 16)}
    with torch.inference_mode():
        plain = repair.call_unet(tiny_model, x, torch.tensor(500), inputs)
        halves = {name: value.bfloat16() for name, value in inputs.items()}
        mixed = repair.call_unet(tiny_model, x.bfloat16(), torch.tensor(500), halves)
    assert (plain.dtype, mixed.dtype) == (torch.float32, torch.bfloat16)
    assert (plain - mixed).abs().max() < 0.1
