"""Our path and the libraries' own, on the same weights; coordinates by closed forms; whose picture is whose."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from segment_anything import SamPredictor
from segment_anything.utils.transforms import ResizeLongestSide
from transformers import Sam2ImageProcessor, Sam2Processor

from pipelines.runtime.device import Placement
from pipelines.runtime.errors import UserError
from pipelines.runtime.picture_pixels import fitted_size
from pipelines.runtime.pictures import content_key
from pipelines.segment import models
from pipelines.segment.clicks import Click, intersection_over_union
from pipelines.segment.prompt import (
    DISPLAY_PX,
    Embedding,
    Prompt,
    encode,
    fitted,
    inputs,
    predict,
    predict_all,
    require,
    to_display,
    to_square,
)
from tests.pipelines.segment.conftest import make_model, make_picture, make_sam, make_sam2

ON, BESIDE = Click(9, 12, positive=True), Click(3, 5, positive=False)
PROMPTS = {
    "a click": Prompt((ON,)),
    "clicks": Prompt((ON, BESIDE, Click(14, 2, positive=True))),
    "a box": Prompt(box=(2, 3, 14.5, 15)),
    "both": Prompt((ON, BESIDE), box=(2, 3, 14.5, 15)),
}
SIZES = {"square": (64, 64), "wide": (60, 200), "tall": (300, 37), "tiny": (16, 16), "as large as it gets": (700, 1024)}


def frame(*, full_size, size, input_size) -> Embedding:
    """An embedding without features: what the coordinates need."""
    return Embedding("tiny", "0", torch.zeros(0), (), full_size, size, input_size, 0.0, 0)


def library_answer(predictor, prompt, *, multimask: bool):
    """SamPredictor's masks, predicted IoU and logits."""
    return predictor.predict(
        point_coords=np.array([(click.x, click.y) for click in prompt.points]) if prompt.points else None,
        point_labels=np.array([int(click.positive) for click in prompt.points]) if prompt.points else None,
        box=None if prompt.box is None else np.array(prompt.box),
        mask_input=prompt.previous,
        multimask_output=multimask,
    )


def assert_equal_to_the_library(masks, predictor):
    for multimask, tokens in ((True, [1, 2, 3]), (False, [0])):
        pixels, iou, logits = library_answer(predictor, masks.prompt, multimask=multimask)
        np.testing.assert_array_equal(masks.logits[tokens], logits)
        np.testing.assert_array_equal(masks.iou[tokens], iou)
        for token, mask in zip(tokens, pixels, strict=True):
            np.testing.assert_array_equal(masks.mask(token), mask)
            np.testing.assert_array_equal(masks.mask(token, full=True), mask)


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_equal_to_sam_predictor_to_the_bit(tiny_model, size):
    picture = make_picture(*size)
    predictor = SamPredictor(tiny_model.module)
    predictor.set_image(picture)
    embedding = encode(tiny_model, picture)
    assert torch.equal(embedding.features, predictor.features)
    assert embedding.input_size == predictor.input_size
    for prompt in PROMPTS.values():
        masks = predict(tiny_model, embedding, prompt)
        assert_equal_to_the_library(masks, predictor)
        again = predict(tiny_model, embedding, Prompt(masks.prompt.points, masks.prompt.box, masks.as_prompt(2)))
        assert not np.array_equal(again.logits, masks.logits)
        assert_equal_to_the_library(again, predictor)


def test_a_large_picture_is_answered_as_the_library_answers_the_smaller_one(tiny_model):
    picture = make_picture(900, 2048)
    display = fitted(picture)
    assert display.shape == (450, DISPLAY_PX, 3)
    predictor = SamPredictor(tiny_model.module)
    predictor.set_image(display)
    masks = predict(tiny_model, encode(tiny_model, picture), Prompt((Click(401, 201, positive=True),)))
    pixels, _, logits = predictor.predict(np.array([[200.25, 100.25]]), np.array([1]))
    np.testing.assert_array_equal(masks.logits[1:], logits)
    np.testing.assert_array_equal(masks.mask(3), pixels[2])
    assert masks.mask(3, full=True).shape == (900, 2048)
    coarse = masks.mask(3, full=True).reshape(450, 2, 1024, 2).mean(axis=(1, 3)) > 0.5
    assert intersection_over_union(coarse, masks.mask(3)) > 0.98


@pytest.mark.parametrize("size", [(48, 80), (90, 40)])
def test_equal_to_transformers_sam2(tiny_sam2_model, size):
    picture = make_picture(*size)
    processor = Sam2Processor(Sam2ImageProcessor(size={"height": 64, "width": 64}))
    points, labels, box = [[9, 12], [3, 5]], [1, 0], [2, 3, 30, 35]
    given = processor(
        images=picture, input_points=[[points]], input_labels=[[labels]], input_boxes=[[box]], return_tensors="pt"
    )
    sizes = given.pop("original_sizes")
    with torch.no_grad():
        said = make_sam2()(**given, multimask_output=True)
    expected = processor.post_process_masks(said.pred_masks, sizes)[0][0].numpy()
    masks = predict(tiny_sam2_model, encode(tiny_sam2_model, picture), Prompt((ON, BESIDE), box=tuple(box)))
    np.testing.assert_allclose(masks.logits[1:], said.pred_masks[0, 0].numpy(), atol=1e-4)
    np.testing.assert_allclose(masks.iou[1:], said.iou_scores[0, 0].numpy(), atol=1e-6)
    assert (masks.valid, masks.size) == ((16, 16), size)
    for token in (1, 2, 3):
        assert (masks.mask(token) == expected[token - 1]).mean() > 0.999


def test_sam2_takes_its_own_answer_as_a_prompt(tiny_sam2_model):
    embedding = encode(tiny_sam2_model, make_picture(48, 80))
    first = predict(tiny_sam2_model, embedding, Prompt((ON,)))
    again = predict(tiny_sam2_model, embedding, Prompt((ON,), previous=first.as_prompt(first.best)))
    assert again.logits.shape == (4, 16, 16)
    assert not np.array_equal(again.logits, first.logits)


def test_half_precision_gives_nearly_the_same_masks(tiny_model):
    picture = make_picture(60, 64)
    half = models.wrap("half", make_sam(), placement=Placement("cpu", "bfloat16", "errors.device_cpu_asked"))
    exact, rough = (predict(model, encode(model, picture), Prompt((ON,))) for model in (tiny_model, half))
    assert rough.logits.dtype == np.float32
    np.testing.assert_allclose(rough.logits, exact.logits, atol=0.25)
    assert not np.array_equal(rough.logits, exact.logits)


def test_a_quarter_of_the_size_puts_pixels_by_their_middles():
    quarter = frame(full_size=(4000, 4096), size=(1000, 1024), input_size=(250, 256))
    points = np.array([(0.0, 0.0), (4095, 3999), (1.5, 1.5), (4 * 70 + 1.5, 4 * 33 + 1.5)])
    expected = [(-0.375, -0.375), (1023.375, 999.375), (0, 0), (70, 33)]
    np.testing.assert_allclose(to_display(quarter, points), expected, atol=1e-12)
    corners = np.array([(0.0, 0.0), (4096, 4000)])
    np.testing.assert_allclose(to_display(quarter, corners, edges=True), [(0, 0), (1024, 1000)], atol=1e-12)


def test_the_way_into_the_square_is_the_librarys():
    for height, width in ((683, 1024), (1024, 90), (17, 23)):
        rows_columns = ResizeLongestSide.get_preprocess_shape(height, width, 256)
        points = np.random.default_rng(0).random((50, 2)) * (width - 1, height - 1)
        ours = to_square(frame(full_size=(height, width), size=(height, width), input_size=rows_columns), points)
        np.testing.assert_array_equal(ours, ResizeLongestSide(256).apply_coords(points, (height, width)))


@pytest.mark.parametrize(("height", "width"), [(3000, 4000), (5000, 700), (600, 800), (64, 64)])
def test_a_click_lands_on_its_pixel(tiny_model, height, width):
    """The place in the square is at most half of its pixels off, and the other way round it is the same pixel."""
    size = fitted_size(height, width, DISPLAY_PX)
    embedding = frame(full_size=(height, width), size=size, input_size=models.input_size(tiny_model, *size))
    scale = np.array(embedding.input_size[::-1]) / (width, height)
    for x, y in ((0, 0), (width - 1, height - 1), (width // 3, height // 2)):
        given = inputs(tiny_model, embedding, Prompt((Click(x, y, positive=True),)))
        landed = given["points"][0, 0].numpy() + 0.5  # the prompt encoder adds the half pixel
        exact = (np.array((x, y)) + 0.5) * scale
        np.testing.assert_allclose(landed - exact, (1 - np.array(embedding.input_size) / size)[::-1] / 2, atol=1e-4)
        assert np.abs(landed - exact).max() < 0.5


def test_one_embedding_does_not_disturb_another(tiny_model):
    """Two visitors with two pictures, asking in turns and at once."""
    pictures = [make_picture(50, 64, seed=seed) for seed in (1, 2)]
    alone = [predict(tiny_model, encode(tiny_model, picture), Prompt((ON,))).logits for picture in pictures]
    embeddings = [encode(tiny_model, picture) for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        turns = [turn % 2 for turn in range(24)]
        answers = list(pool.map(lambda turn: predict(tiny_model, embeddings[turn], Prompt((ON,))).logits, turns))
    assert not np.array_equal(*alone)
    for turn, logits in zip(turns, answers, strict=True):
        np.testing.assert_array_equal(logits, alone[turn])


def test_an_old_embedding_never_meets_a_new_picture(tiny_model):
    old, new = make_picture(40, 40, seed=1), make_picture(40, 40, seed=2)
    embedding = encode(tiny_model, old)
    assert embedding.picture_key == content_key(old) != content_key(new)
    predict(tiny_model, embedding, Prompt((ON,)), picture=content_key(old))
    with pytest.raises(UserError, match="embedding_picture"):
        predict(tiny_model, embedding, Prompt((ON,)), picture=content_key(new))
    with pytest.raises(UserError, match="embedding_model"):
        require(embedding, make_model("another"))


def test_the_size_belongs_to_the_content_of_a_picture():
    pixels = np.zeros((4, 6, 3), np.uint8)
    assert content_key(pixels) != content_key(pixels.reshape(6, 4, 3))
    assert content_key(pixels) == content_key(np.asfortranarray(pixels))


def test_a_known_key_is_taken(tiny_model):
    assert encode(tiny_model, make_picture(20, 20), picture="known").picture_key == "known"


def test_objects_of_a_picture_are_answered_each_for_itself(tiny_model):
    embedding = encode(tiny_model, make_picture(40, 60))
    prompts = list(PROMPTS.values())
    for prompt, masks in zip(prompts, predict_all(tiny_model, embedding, prompts), strict=True):
        np.testing.assert_array_equal(masks.logits, predict(tiny_model, embedding, prompt).logits)
    with pytest.raises(UserError, match=r"objects_many \(count=21, most=20\)"):
        predict_all(tiny_model, embedding, [Prompt((ON,))] * 21)


def test_the_prompt_is_checked_in_pixels_of_the_full_picture(tiny_model):
    embedding = encode(tiny_model, make_picture(1200, 1600))
    assert embedding.size == (768, 1024)
    predict(tiny_model, embedding, Prompt((Click(1599, 1199, positive=True),)))
    with pytest.raises(UserError, match=r"mark_outside .*x=1600.*last_x=1599"):
        predict(tiny_model, embedding, Prompt((Click(1600, 0, positive=True),)))


def test_logits_of_another_model_are_no_prompt(tiny_model):
    embedding = encode(tiny_model, make_picture(40, 40))
    with pytest.raises(UserError, match=r"previous_logits \(shape=1 × 128 × 128\)"):
        predict(tiny_model, embedding, Prompt((ON,), previous=np.zeros((1, 128, 128), np.float32)))


def test_numbers_that_are_not_finite_are_refused():
    broken = make_model()
    with torch.no_grad():
        broken.module.image_encoder.pos_embed.fill_(float("nan"))
    with pytest.raises(UserError, match="model_not_finite"):
        encode(broken, make_picture(20, 20))


def test_pixels_of_another_kind_are_a_bug_of_the_caller(tiny_model):
    for wrong in (np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8), np.zeros((8, 8, 3))):
        with pytest.raises(ValueError, match="uint8"):
            encode(tiny_model, wrong)


def test_what_an_answer_says_of_itself(tiny_model):
    masks = predict(tiny_model, encode(tiny_model, make_picture(30, 64)), Prompt((ON,)))
    assert (masks.valid, masks.size, masks.full_size, masks.model_id) == ((15, 32), (30, 64), (30, 64), "tiny")
    for token in range(4):
        part = masks.part(token) > 0
        assert masks.area[token] == pytest.approx(part.mean())
        assert 0 < part.mean() < 1
    assert masks.nbytes == 4 * 32 * 32 * 4 + 3 * 4 * 4
