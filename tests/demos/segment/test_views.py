"""What a visitor wrote is shown as it was written, in both languages."""

from types import SimpleNamespace

import numpy as np

from demos.segment import views
from demos.segment.parts import Layer


def layer(name="", **given) -> Layer:
    masks = SimpleNamespace(
        iou=np.array([0.5, 0.61, 0.72, 0.83], np.float32),
        stability=np.array([0.9, np.nan, 0.8, 0.7], np.float32),
        area=np.array([0.1, 0.2, 0.3, 0.4], np.float32),
        ms=12.3,
    )
    return Layer(1, 1, name, masks, **{"token": 2, **given})


def test_T07_a_name_with_tags_is_text():
    shown = views.card(layer("<img src=x onerror=alert(1)>"))
    assert "<img" not in shown and "&lt;img" in shown


def test_the_card_tells_the_token_that_is_shown():
    shown = views.card(layer())
    assert "0.72" in shown and "30.0%" in shown and "12 ms" in shown and "对象 1" in shown


def test_an_empty_mask_has_no_stability():
    assert "nan" not in views.card(layer(token=1)) and "–" in views.card(layer(token=1))


def test_without_a_mask_the_card_says_what_to_do():
    assert 'lang="zh-CN"' in views.card(None)


def test_the_cut_out_is_told_by_name_or_by_number():
    assert "&lt;b&gt;cup" in views.cut_out("x.png", layer("<b>cup")) and "<b>cup" not in views.cut_out(
        "x.png", layer("<b>cup")
    )
    assert "object 1" in views.cut_out("x.png", layer())
