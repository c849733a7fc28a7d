import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from segment_anything import SamAutomaticMaskGenerator, SamPredictor, sam_model_registry
from segment_anything.modeling import Sam

from pipelines.runtime.catalogue import Catalogue, Published, Web, read_catalogue
from pipelines.runtime.context import Runtime, Settings
from pipelines.runtime.device import CPU, Placement
from pipelines.runtime.errors import UserError
from pipelines.runtime.manifest import sha256_of
from pipelines.runtime.memory import module_bytes
from pipelines.segment import models
from pipelines.segment.models import (
    FULL_SIZE,
    SamConfig,
    create_published,
    create_sam,
    decode,
    encode_image,
    input_size,
    load_checkpoint,
    load_folder,
    read_config,
    square,
    wrap,
    write_config,
)

FULL = [entry for entry in read_catalogue().of_topic("segment") if entry.architecture in FULL_SIZE]
TINY = SamConfig(
    image_size=64, width=16, depth=2, heads=2, window=4, global_blocks=(1,), out_channels=16, decoder_mlp=16
)


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)


def test_the_bundled_shape_fits_and_has_masks_of_128_cells():
    sam = create_sam(SamConfig())
    assert sum(value.numel() for value in sam.state_dict().values()) * 2 <= 6 * 2**20
    predictor = SamPredictor(sam.eval())
    predictor.set_image(picture(100, 200))
    masks, predicted, logits = predictor.predict(point_coords=np.array([[50, 50]]), point_labels=np.array([1]))
    assert (masks.shape, predicted.shape, logits.shape) == ((3, 100, 200), (3,), (3, 128, 128))


def test_the_library_generates_masks_with_a_small_sam():
    generator = SamAutomaticMaskGenerator(
        create_sam(TINY).eval(), points_per_side=2, pred_iou_thresh=-10, stability_score_thresh=0
    )
    assert all(found["segmentation"].shape == (40, 64) for found in generator.generate(picture(40, 64)))


def test_a_folder_comes_back_as_it_was(tmp_path):
    torch.manual_seed(0)
    sam = create_sam(TINY)
    write_config(TINY, tmp_path)
    save_file(
        {name: value.half().contiguous() for name, value in sam.state_dict().items()}, tmp_path / "model.safetensors"
    )
    assert read_config(tmp_path) == TINY
    model = load_folder("tiny", tmp_path, placement=CPU)
    assert (model.id, model.device, model.dtype) == ("tiny", "cpu", torch.float32)
    weight = model.module.image_encoder.patch_embed.proj.weight
    assert torch.equal(weight, sam.image_encoder.patch_embed.proj.weight.half().float())
    assert not weight.requires_grad
    assert not model.module.training


def test_weights_of_another_shape_are_refused(tmp_path):
    write_config(SamConfig(), tmp_path)
    save_file(
        {name: value.contiguous() for name, value in create_sam(TINY).state_dict().items()},
        tmp_path / "model.safetensors",
    )
    with pytest.raises(UserError, match="weights_do_not_fit"):
        load_folder("tiny", tmp_path, placement=CPU)


def tiny_checkpoint(folder, monkeypatch, *, published: bool = True) -> tuple[Path, Sam]:
    """A pickle named and shaped as vit_b's, whose shape is a tiny one here; listed as published or not."""
    monkeypatch.setitem(sam_model_registry, "vit_b", lambda: create_sam(TINY))
    torch.manual_seed(0)
    sam = create_sam(TINY).eval()
    path = folder / "sam_vit_b_01ec64.pth"
    torch.save(sam.state_dict(), path)
    listed = (Published(path.name, sha256_of(path), "test"),) if published else ()
    monkeypatch.setattr(models, "read_catalogue", lambda: Catalogue((), listed))
    return path, sam


def test_a_published_checkpoint_gives_the_librarys_model(tmp_path, monkeypatch):
    path, sam = tiny_checkpoint(tmp_path, monkeypatch)
    model = load_checkpoint("sam-vit-b", "vit_b", path, placement=CPU)
    assert (model.family, model.image_size, model.mask_side, model.channels) == ("sam", 64, 32, 16)
    ours, theirs = SamPredictor(model.module), SamPredictor(sam)
    for predictor in (ours, theirs):
        predictor.set_image(picture(30, 50))
    one, two = (p.predict(point_coords=np.array([[9, 9]]), point_labels=np.array([1]))[2] for p in (ours, theirs))
    assert np.array_equal(one, two)


def test_a_published_file_in_the_models_folder_is_loaded_by_the_runtime(tmp_path, monkeypatch):
    path, _ = tiny_checkpoint(tmp_path, monkeypatch)
    known = read_catalogue().find("sam-vit-b")
    assert known.source.name == path.name
    entry = replace(known, source=Web(known.source.url, sha256_of(path)))
    runtime = Runtime(Settings(device="cpu", models_dir=tmp_path), catalogue=Catalogue((entry,), ()))
    assert runtime.availability(entry).state == "ready"
    assert runtime.choose("segment").entry.id == "sam-vit-b"  # there is no bundled one in this catalogue
    model = runtime.load("sam-vit-b")
    assert model is runtime.load("sam-vit-b")
    assert (model.id, model.image_size) == ("sam-vit-b", 64)


def test_the_same_tensors_as_safetensors(tmp_path, monkeypatch):
    _, sam = tiny_checkpoint(tmp_path, monkeypatch)
    path = tmp_path / "sam_vit_b_01ec64.safetensors"
    save_file({name: value.contiguous() for name, value in sam.state_dict().items()}, path)
    model = load_checkpoint("sam-vit-b", "vit_b", path, placement=CPU)
    assert torch.equal(model.module.mask_decoder.iou_token.weight, sam.mask_decoder.iou_token.weight)


def test_another_pickle_is_refused_unread(tmp_path, monkeypatch):
    path, _ = tiny_checkpoint(tmp_path, monkeypatch, published=False)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("the pickle was opened"))
    with pytest.raises(UserError) as caught:
        load_checkpoint("sam-vit-b", "vit_b", path, placement=CPU)
    assert caught.value.key == "errors.weights_pickle"
    assert "pipelines.runtime.convert sam_vit_b_01ec64.pth" in caught.value.values["command"]


def test_an_unknown_architecture_names_the_known_ones(tmp_path):
    with pytest.raises(UserError) as caught:
        load_checkpoint("x", "vit_z", tmp_path / "x.pth", placement=CPU)
    assert caught.value.key == "errors.sam_unknown"
    assert "vit_h" in caught.value.values["choices"]


@pytest.mark.parametrize("entry", FULL, ids=lambda entry: entry.id)
def test_the_numbers_of_the_catalogue_are_those_of_the_classes(entry):
    assert Path(entry.source.name).suffix == ".pth"
    with torch.device("meta"):
        module = sam_model_registry[entry.architecture]()
    assert sum(parameter.numel() for parameter in module.parameters()) == entry.parameters
    assert module_bytes(module) == entry.memory_bytes
    held = sum(value.numel() * 4 for value in module.state_dict().values())
    assert held < entry.bytes < held + 250_000  # the file: tensors in float32, their names, and a table of contents


def test_the_numbers_of_the_bundled_model_are_those_of_its_config():
    entry = read_catalogue().of_topic("segment")[0]
    assert entry.id == "lucida-sam"
    module = create_sam(read_config(entry.folder))
    assert sum(parameter.numel() for parameter in module.parameters()) == entry.parameters
    assert module_bytes(module) == entry.memory_bytes
    assert 2 * entry.parameters == pytest.approx(entry.bytes, rel=0.02)  # shipped in half precision
    assert module.image_encoder.img_size == entry.image_size


def test_a_module_without_random_numbers_has_its_buffers(monkeypatch):
    monkeypatch.setitem(sam_model_registry, "vit_b", lambda: create_sam(TINY))
    module, known = create_published("vit_b"), create_sam(TINY)
    assert not any(value.is_meta for value in (*module.parameters(), *module.buffers()))
    assert torch.equal(module.pixel_mean, known.pixel_mean)
    assert torch.equal(module.pixel_std, known.pixel_std)


def prompts(count: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {"points": torch.rand(count, 2, 2, generator=generator) * 40, "labels": torch.ones(count, 2)}


def test_all_four_tokens_are_the_librarys_multimask_and_single_answers():
    torch.manual_seed(0)
    model = wrap("tiny", create_sam(TINY), placement=CPU)
    features, extra = encode_image(model, square(model, picture(40, 64)))
    logits, iou = decode(model, features, **prompts(3), extra=extra)
    assert (logits.shape, iou.shape, extra) == ((3, 4, 32, 32), (3, 4), ())
    predictor = SamPredictor(model.module)
    predictor.set_image(picture(40, 64))
    assert torch.equal(features, predictor.features)
    given = prompts(3)
    for multimask, tokens in ((True, slice(1, None)), (False, slice(0, 1))):
        _, theirs, low = predictor.predict_torch(given["points"], given["labels"], multimask_output=multimask)
        assert torch.equal(logits[:, tokens], low)
        assert torch.equal(iou[:, tokens], theirs)


def test_a_picture_keeps_its_proportions_in_the_square():
    model = wrap("tiny", create_sam(TINY), placement=CPU)
    assert input_size(model, 40, 80) == (32, 64)
    padded = square(model, picture(40, 80))
    assert padded.shape == (1, 3, 64, 64)
    assert not padded[..., 32:, :].any()


def test_half_precision_leaves_the_masks_and_repairs_what_overflows():
    torch.manual_seed(0)
    half = Placement("cpu", "bfloat16", "errors.device_cuda")
    sam = create_sam(TINY)
    exact, model = wrap("a", copy.deepcopy(sam), placement=CPU), wrap("b", sam, placement=half)
    assert (model.dtype, model.module.prompt_encoder.no_mask_embed.weight.dtype) == (torch.float16, torch.float32)
    squared = square(model, picture(64, 64))
    masks = [decode(one, encode_image(one, squared)[0], **prompts(8))[0] > 0 for one in (exact, model)]
    assert (masks[0] & masks[1]).sum() > 0.99 * (masks[0] | masks[1]).sum() > 0
    huge = 200 * squared * 65504 / squared.abs().max()
    assert encode_image(model, huge / 250)[0].isfinite().all()
    assert not model.module.image_encoder(huge.half()).isfinite().all()
    assert encode_image(model, huge)[0].isfinite().all()
