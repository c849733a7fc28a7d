import timm
import torch
from PIL import Image

from training.features import SIZE, fold_batch_norms, pooled, render, views_of


def test_folded_batch_norms_change_nothing():
    torch.manual_seed(0)
    model = timm.create_model("test_efficientnet.r160_in1k", pretrained=False).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.5, 0.5)
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
    folded = fold_batch_norms(model)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    batch = torch.randn(2, 3, 96, 96)
    torch.testing.assert_close(pooled(folded, batch), pooled(model, batch), atol=1e-4, rtol=1e-4)


def test_views_are_what_the_app_sees_or_near_it():
    picture = Image.new("RGB", (80, 60), (200, 10, 10))
    for view in ("full", "crop"):
        seen = render(picture, view, "seed")
        assert seen.size == (SIZE, SIZE)
        assert seen.getpixel((100, 100)) == (200, 10, 10)


def test_a_drawing_stands_on_white_or_somewhere_on_a_colour():
    drawing = Image.new("RGBA", (128, 128), (0, 0, 0, 0))
    drawing.paste((255, 0, 0, 255), (32, 32, 96, 96))
    full = render(drawing, "full", "seed")
    assert full.getpixel((2, 2)) == (255, 255, 255)
    assert full.getpixel((112, 112)) == (255, 0, 0)
    grounds = {render(drawing, "place", f"seed {number}").getpixel((0, 0)) for number in range(6)}
    assert len(grounds) == 6


def test_the_same_seed_gives_the_same_view():
    picture = Image.linear_gradient("L").convert("RGB")
    assert render(picture, "crop", "a").tobytes() == render(picture, "crop", "a").tobytes()
    assert render(picture, "crop", "a").tobytes() != render(picture, "crop", "b").tobytes()


def test_drawings_and_photographs_have_views_of_their_own():
    assert views_of("emoji_noto") == ("full", "place")
    assert views_of("photos_tiny") == views_of("sharp_proxy") == ("full", "crop")
