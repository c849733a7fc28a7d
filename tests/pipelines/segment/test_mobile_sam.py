"""MobileSAM's loader on a checkpoint of the published names and shapes, against that code's own arithmetic."""

import numpy as np
import pytest
import torch
from segment_anything import SamPredictor

from pipelines.runtime.catalogue import Catalogue, Published, read_catalogue
from pipelines.runtime.device import CPU
from pipelines.runtime.errors import UserError
from pipelines.runtime.manifest import sha256_of
from pipelines.runtime.memory import module_bytes
from pipelines.segment import models
from tests.pipelines.segment.published_mobile_sam import Encoder, checkpoint


@pytest.fixture(scope="module")
def state():
    return checkpoint()


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Write a state dict as mobile_sam.pt, list it as published, and load it."""

    def run(state):
        path = tmp_path / "mobile_sam.pt"
        torch.save(state, path)
        listed = (Published(path.name, sha256_of(path), "test"),)
        monkeypatch.setattr(models, "read_catalogue", lambda: Catalogue((), listed))
        return models.load_checkpoint("mobile-sam", "vit_t", path, placement=CPU)

    return run


def test_the_checkpoint_is_loaded_as_its_own_code_computes(state, load):
    model = load(state)
    assert (model.family, model.image_size, model.mask_side, model.channels) == ("sam", 1024, 256, 256)
    generator = torch.Generator().manual_seed(2)
    small = torch.randn(1, 3, 160, 160, generator=generator)  # the encoder takes any size; windows are padded
    with torch.inference_mode():
        ours, reference = model.module.image_encoder(small), Encoder(state)(small)
    assert ours.shape == (1, 256, 10, 10)
    torch.testing.assert_close(ours, reference, atol=1e-4, rtol=1e-4)  # another order of the same sums
    assert ours.std() > 0.5
    for name in ("prompt_encoder.no_mask_embed.weight", "mask_decoder.iou_prediction_head.layers.2.bias"):
        assert torch.equal(model.module.state_dict()[name], state[name])


def test_it_goes_into_the_librarys_predictor(state, load):
    predictor = SamPredictor(load(state).module)
    predictor.set_image(np.random.default_rng(0).integers(0, 255, (300, 400, 3), dtype=np.uint8))
    masks, _, logits = predictor.predict(point_coords=np.array([[50, 60]]), point_labels=np.array([1]))
    assert (predictor.features.shape, masks.shape, logits.shape) == ((1, 256, 64, 64), (3, 300, 400), (3, 256, 256))
    assert np.isfinite(logits).all()


@pytest.mark.parametrize("change", ["missing", "extra", "shape"])
def test_a_checkpoint_that_differs_is_refused(state, load, change):
    state, name = dict(state), "image_encoder.layers.2.blocks.5.attn.attention_biases"
    value = state.pop(name)
    if change != "missing":
        state[name if change == "shape" else "image_encoder.layers.2.blocks.6.attn.attention_biases"] = value[:, 1:]
    with pytest.raises(UserError, match="weights_do_not_fit"):
        load(state)


def test_the_numbers_of_the_catalogue(state):
    entry = read_catalogue().find("mobile-sam")
    from pipelines.segment.mobile_sam import create

    module = create()
    assert sum(parameter.numel() for parameter in module.parameters()) == entry.parameters
    assert module_bytes(module) == entry.memory_bytes
    held = sum(value.numel() * value.element_size() for value in state.values())
    assert held < entry.bytes < held + 200_000  # the published file has exactly these tensors, names and a table
