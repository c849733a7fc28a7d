import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from segment_anything import SamAutomaticMaskGenerator, SamPredictor

from pipelines.runtime.device import CPU
from pipelines.runtime.errors import UserError
from pipelines.segment.models import SamConfig, create_sam, load_folder, read_config, write_config

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
