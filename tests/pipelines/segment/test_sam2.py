"""SAM 2.1 on a tiny random model of transformers' video class, as the published files are."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    Sam2Config,
    Sam2HieraDetConfig,
    Sam2ImageProcessor,
    Sam2MaskDecoderConfig,
    Sam2Model,
    Sam2PromptEncoderConfig,
    Sam2VideoConfig,
    Sam2VideoModel,
    Sam2VisionConfig,
)

from pipelines.runtime.catalogue import read_catalogue
from pipelines.runtime.device import CPU, Placement
from pipelines.runtime.errors import UserError
from pipelines.runtime.memory import module_bytes
from pipelines.segment import sam2
from pipelines.segment.models import decode, encode_image, input_size, square, wrap

SIDE = 128
BACKBONE = {
    "tiny": {},
    "small": {"blocks_per_stage": [1, 2, 11, 2], "global_attention_blocks": [7, 10, 13]},
    "base-plus": {
        "hidden_size": 112,
        "embed_dim_per_stage": [112, 224, 448, 896],
        "num_attention_heads_per_stage": [2, 4, 8, 16],
        "num_attention_heads": 2,
        "blocks_per_stage": [2, 3, 16, 3],
        "global_attention_blocks": [12, 16, 20],
        "window_positional_embedding_background_size": [14, 14],
    },
    "large": {
        "hidden_size": 144,
        "embed_dim_per_stage": [144, 288, 576, 1152],
        "num_attention_heads_per_stage": [2, 4, 8, 16],
        "num_attention_heads": 2,
        "blocks_per_stage": [2, 6, 36, 4],
        "global_attention_blocks": [23, 33, 43],
        "window_size_per_stage": [8, 4, 16, 8],
    },
}


def tiny_config() -> dict:
    widths = [8, 16, 32, 64]
    backbone = Sam2HieraDetConfig(
        hidden_size=8,
        image_size=[SIDE, SIDE],
        blocks_per_stage=[1, 1, 2, 1],
        embed_dim_per_stage=widths,
        num_attention_heads_per_stage=[1, 1, 2, 2],
        window_size_per_stage=[4, 4, 4, 4],
        global_attention_blocks=[3],
        window_positional_embedding_background_size=[4, 4],
    )
    vision = Sam2VisionConfig(
        backbone_config=backbone,
        backbone_channel_list=widths[::-1],
        backbone_feature_sizes=[[SIDE // 4] * 2, [SIDE // 8] * 2, [SIDE // 16] * 2],
        fpn_hidden_size=32,
    )
    return {
        "vision_config": vision,
        "prompt_encoder_config": Sam2PromptEncoderConfig(hidden_size=32, image_size=SIDE, mask_input_channels=4),
        "mask_decoder_config": Sam2MaskDecoderConfig(
            hidden_size=32, mlp_dim=32, num_attention_heads=2, iou_head_hidden_dim=32
        ),
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What the published folders hold: a video model's config and weights."""
    made = tmp_path_factory.mktemp("sam2")
    torch.manual_seed(0)
    module = Sam2VideoModel(Sam2VideoConfig(**tiny_config(), image_size=SIDE)).eval()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.15)
    module.save_pretrained(made)
    return made


@pytest.fixture
def model(folder):
    return wrap("tiny", sam2.load(folder, folder / "model.safetensors"), placement=CPU, family="sam2")


@pytest.fixture(scope="module")
def reference(folder):
    """The same weights through transformers' own from_pretrained."""
    return Sam2Model.from_pretrained(folder).eval()


def picture(height: int = 60, width: int = 90) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)


def prompts(count: int = 3) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {"points": torch.rand(count, 2, 2, generator=generator) * SIDE, "labels": torch.tensor([[1, 0]] * count)}


def test_the_shape_is_told_from_the_module(model):
    assert (model.image_size, model.mask_side, model.channels) == (SIDE, SIDE // 4, 32)
    assert input_size(model, 60, 90) == (SIDE, SIDE)


def test_the_square_is_the_processors(model):
    processor = Sam2ImageProcessor(size={"height": SIDE, "width": SIDE})
    assert torch.equal(square(model, picture()), processor(picture(), return_tensors="pt")["pixel_values"])


def test_all_four_tokens_equal_transformers(model, reference):
    squared = square(model, picture())
    features, extra = encode_image(model, squared)
    logits, iou = decode(model, features, **prompts(), extra=extra)
    assert (logits.shape, iou.shape) == ((3, 4, SIDE // 4, SIDE // 4), (3, 4))
    given = prompts()
    asked = {"input_points": given["points"][None], "input_labels": given["labels"][None]}
    reference.mask_decoder.dynamic_multimask_via_stability = False
    with torch.inference_mode():
        for multimask, tokens in ((True, slice(1, None)), (False, slice(0, 1))):
            answer = reference(pixel_values=squared, **asked, multimask_output=multimask)
            torch.testing.assert_close(logits[:, tokens], answer.pred_masks[0], atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(iou[:, tokens], answer.iou_scores[0], atol=1e-5, rtol=1e-5)
    assert logits.std() > 0.01


def test_boxes_and_an_earlier_mask_equal_transformers(model, reference):
    features, extra = encode_image(model, square(model, picture()))
    box = torch.tensor([[10.0, 20.0, 90.0, 100.0]])
    first, _ = decode(model, features, boxes=box, extra=extra)
    previous = first[:, :1]
    second, _ = decode(model, features, boxes=box, masks=previous, extra=extra)
    with torch.inference_mode():
        answers = [
            reference(image_embeddings=[*extra, features], input_boxes=box[None], input_masks=masks).pred_masks[0]
            for masks in (None, previous)
        ]
    torch.testing.assert_close(first[:, 1:], answers[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(second[:, 1:], answers[1], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(first, second)


def test_prompts_with_masks_of_their_own_do_not_mix(model):
    features, extra = encode_image(model, square(model, picture()))
    masks = torch.randn(3, 1, SIDE // 4, SIDE // 4, generator=torch.Generator().manual_seed(3)) * 5
    together, _ = decode(model, features, **prompts(), masks=masks, extra=extra)
    for row in range(3):
        alone = {name: value[row : row + 1] for name, value in prompts().items()}
        single, _ = decode(model, features, **alone, masks=masks[row : row + 1], extra=extra)
        torch.testing.assert_close(together[row : row + 1], single, atol=1e-5, rtol=1e-5)


def test_half_precision_leaves_the_masks(folder, model):
    half = Placement("cpu", "bfloat16", "errors.device_cuda")
    other = wrap("half", sam2.load(folder, folder / "model.safetensors"), placement=half, family="sam2")
    squared = square(model, picture())
    masks = []
    for one in (model, other):
        features, extra = encode_image(one, squared)
        assert {features.dtype, *(tensor.dtype for tensor in extra)} == {one.dtype}
        masks.append(decode(one, features, **prompts(), extra=extra)[0] > 0)
    assert (masks[0] == masks[1]).float().mean() > 0.99
    assert 0 < masks[0].float().mean() < 1


def test_weights_that_do_not_fit_and_a_config_of_something_else(folder, tmp_path):
    state = load_file(folder / "model.safetensors")
    state.pop("no_memory_embedding")
    save_file(state, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    with pytest.raises(UserError, match="weights_do_not_fit"):
        sam2.load(tmp_path, tmp_path / "model.safetensors")
    for text in ("{", "[]", json.dumps({"model_type": "sam2", "vision_config": {}})):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(UserError, match="sam2_config"):
            sam2.load(tmp_path, tmp_path / "model.safetensors")


@pytest.mark.parametrize("size", BACKBONE)
def test_the_numbers_of_the_catalogue_are_those_of_the_classes(size):
    entry = read_catalogue().find(f"sam2.1-{size}")
    backbone = Sam2HieraDetConfig(**BACKBONE[size])
    vision = Sam2VisionConfig(backbone_config=backbone, backbone_channel_list=backbone.embed_dim_per_stage[::-1])
    with torch.device("meta"):
        video = Sam2VideoModel(Sam2VideoConfig(vision_config=vision))
        module = Sam2Model(Sam2Config(vision_config=vision))
    assert sum(parameter.numel() for parameter in video.parameters()) == entry.parameters
    assert module_bytes(module) == entry.memory_bytes
    held = sum(value.numel() * 4 for value in video.state_dict().values())
    assert held < entry.bytes < held + 120_000  # the file: tensors in float32 and its header
