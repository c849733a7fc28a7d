"""Where parts compute: decisions from given numbers, and that what makes a pipeline faster leaves its picture alone."""

import importlib.util

import pytest
import torch

from pipelines.runtime.device import CPU, Placement
from pipelines.text_to_image import speed
from pipelines.text_to_image.models import wrap
from pipelines.text_to_image.sample import generate
from pipelines.text_to_image.settings import Settings
from pipelines.text_to_image.speed import Plan, Sizes, apply_plan, choose_plan, compile_in_background, eager
from tests.pipelines.runtime.sentences import sentence
from tests.pipelines.text_to_image.conftest import make_pipeline, make_xl_pipeline

GIB = 2**30
SD = Sizes(weights=2 * GIB, largest_part=int(1.6 * GIB), unet_work=GIB // 8, decoder_work=GIB // 2)
XL = Sizes(weights=7 * GIB, largest_part=int(4.8 * GIB), unet_work=GIB // 2, decoder_work=3 * GIB)
SETTINGS = Settings("a red apple", steps=3, width=64, height=64, seed=4)


def gpu(dtype: str) -> Placement:
    return Placement("cuda", dtype, "errors.device_cuda", {"name": "Test", "capability": "9.0"})


def decide(sizes: Sizes, free_gib: float, *, dtype="bfloat16", force_upcast=False) -> Plan:
    return choose_plan(gpu(dtype), sizes, force_upcast=force_upcast, free_bytes=int(free_gib * GIB))


@pytest.mark.parametrize(
    ("sizes", "free_gib", "offload", "tiled"),
    [
        (SD, 8, False, False),
        (SD, 2.9, False, False),  # weights and 1.5 times the decoder's work: 2.75 GiB
        (SD, 2.5, True, False),
        (SD, 2, True, True),
        (XL, 24, False, False),
        (XL, 10, True, False),
        (XL, 8, True, True),
    ],
)
def test_what_fits_stays_and_what_does_not_is_said(sizes, free_gib, offload, tiled):
    plan = decide(sizes, free_gib)
    assert (plan.offload, plan.tiled) == (offload, tiled)
    expected = ["errors.note_offload"] * offload + ["errors.note_tiled"] * tiled
    assert [note.key for note in plan.notes] == expected
    assert all(sentence(note) for note in plan.notes)
    assert not (plan.offload and plan.compiled)


@pytest.mark.parametrize(
    ("dtype", "force_upcast", "expected"),
    [
        ("bfloat16", False, (torch.float16, torch.float16)),
        ("float16", False, (torch.float16, torch.float16)),
        ("bfloat16", True, (torch.float16, torch.float32)),
        ("float32", True, (torch.float32, torch.float32)),
    ],
)
def test_number_formats_on_a_gpu(dtype, force_upcast, expected):
    plan = decide(SD, 24, dtype=dtype, force_upcast=force_upcast)
    assert (plan.dtype, plan.vae_dtype) == expected
    assert plan.channels_last
    assert plan.fused
    says_so = [note.key for note in plan.notes] == ["errors.note_vae_float32"]
    assert says_so == (expected[0] != expected[1])


@pytest.mark.parametrize("has_triton", [True, False])
def test_compiling_needs_triton(monkeypatch, has_triton):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if has_triton else None)
    assert decide(SD, 24).compiled is has_triton


@pytest.mark.parametrize("device", ["cpu", "mps"])
def test_elsewhere_nothing_is_changed(device):
    placement = Placement(device, "float32", "errors.device_cpu_asked")
    plan = choose_plan(placement, SD, force_upcast=True, free_bytes=0)
    assert plan == Plan(device, torch.float32, torch.float32)


def test_the_sizes_of_a_pipeline_are_counted():
    pipeline = make_pipeline()
    sizes = speed.measure_sizes(pipeline, dtype=torch.float16, vae_dtype=torch.float32)
    numbers = {name: sum(p.numel() for p in part.parameters()) for name, part in speed.models_of(pipeline).items()}
    assert sizes.weights == 2 * (numbers["unet"] + numbers["text_encoder"]) + 4 * numbers["vae"]
    assert sizes.decoder_work == speed.DECODER_NUMBERS * 64 * 64 * 4
    assert sizes.unet_work == 2 * speed.UNET_NUMBERS * 64 * 64 * 2


@pytest.mark.parametrize("make", [make_pipeline, make_xl_pipeline])
def test_channels_last_and_fused_projections_draw_the_same_picture(make):
    plain, fast = wrap("plain", make(), CPU), wrap("fast", make(), CPU)
    apply_plan(fast.pipeline, Plan("cpu", torch.float32, torch.float32, channels_last=True, fused=True))
    processors = {type(processor).__name__ for processor in fast.pipeline.unet.attn_processors.values()}
    assert processors == {"FusedAttnProcessor2_0"}
    (*_, one), (*_, other) = generate(plain, SETTINGS), generate(fast, SETTINGS)
    assert abs(one.pictures.astype(int) - other.pictures).max() <= 1  # rounding


def test_offload_and_tiles_are_asked_of_the_library(monkeypatch):
    pipeline, asked = make_pipeline(), []
    monkeypatch.setattr(pipeline, "enable_model_cpu_offload", lambda device: asked.append(device), raising=False)
    apply_plan(pipeline, Plan("cuda", torch.float32, torch.float32, offload=True, tiled=True))
    assert asked == ["cuda"]
    assert pipeline.vae.use_tiling
    assert next(pipeline.unet.parameters()).device.type == "cpu"


def test_the_first_picture_is_drawn_uncompiled_and_the_twin_put_in_when_ready():
    model = wrap("compiled", make_pipeline(), CPU)
    plain, warmed = model.pipeline.unet, []
    *_, before = generate(model, SETTINGS)
    inputs = speed.warm_up_inputs(model.pipeline)

    def warm_up(unet):
        assert model.pipeline.unet is plain  # not before it has run
        warmed.append(unet(**inputs))

    compile_in_background(model.pipeline, warm_up, backend="eager").join()
    twin = model.pipeline.unet
    assert twin is not plain
    assert eager(twin) is plain
    assert len(warmed) == 1
    own = {tensor.data_ptr() for tensor in plain.parameters()}
    assert {tensor.data_ptr() for tensor in twin.parameters()} == own  # no second copy of the weights
    *_, after = generate(model, SETTINGS)
    assert (before.pictures == after.pictures).all()


def test_when_compiling_fails_the_picture_is_drawn_all_the_same(caplog):
    pipeline = make_pipeline()
    plain = pipeline.unet

    def warm_up(_unet):
        raise RuntimeError("no compiler")

    compile_in_background(pipeline, warm_up, backend="eager").join()
    assert pipeline.unet is plain
    assert "goes on uncompiled" in caplog.text


@pytest.mark.parametrize("make", [make_pipeline, make_xl_pipeline])
def test_the_warm_up_has_the_shapes_of_a_guided_picture(make):
    model, seen = wrap("shapes", make(), CPU), {}

    def note(_module, arguments, keywords):
        seen["sample"] = (arguments[0] if arguments else keywords["sample"]).shape
        seen["text"] = keywords["encoder_hidden_states"].shape
        seen["added"] = {name: value.shape for name, value in (keywords.get("added_cond_kwargs") or {}).items()}

    model.pipeline.unet.register_forward_pre_hook(note, with_kwargs=True)
    [*generate(model, Settings("a cat", steps=1, width=64, height=64, seed=1))]
    drawn = dict(seen)
    with torch.inference_mode():
        model.pipeline.unet(**speed.warm_up_inputs(model.pipeline))
    assert seen == drawn
