"""Colours that can be read, and scripts and styles that fetch nothing."""

import re

import pytest

from demos.shell import look


def luminance(colour: str) -> float:
    """Relative luminance of "#rrggbb" (WCAG 2.2)."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_contrast_of_black_and_white():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


TEXTS = (
    "body_text_color", "body_text_color_subdued", "block_label_text_color", "block_title_text_color",
    "block_info_text_color", "link_text_color", "link_text_color_hover", "button_secondary_text_color",
    "input_placeholder_color",
)  # fmt: skip
PAPERS = ("body_background_fill", "background_fill_primary", "background_fill_secondary")


@pytest.mark.parametrize("colours", [look._COLOURS, look._DARK], ids=["light", "dark"])
@pytest.mark.parametrize("text", TEXTS)
def test_words_stand_out_from_every_paper(colours, text):
    for paper in PAPERS:
        assert contrast(colours[text], colours[paper]) >= 4.5, paper


@pytest.mark.parametrize("colours", [look._COLOURS, look._DARK], ids=["light", "dark"])
def test_words_on_the_main_button_stand_out(colours):
    for fill in ("button_primary_background_fill", "button_primary_background_fill_hover"):
        assert contrast(colours["button_primary_text_color"], colours[fill]) >= 4.5


def test_accents_in_the_style_sheet_stand_out():
    for block, colours in ((":root", look._COLOURS), (".dark", look._DARK)):
        inside = re.search(rf"^{re.escape(block)} {{(.*?)}}", look.CSS, re.M)[1]
        accents = dict(re.findall(r"--([\w-]+): (#\w{6})", inside))
        for name in ("accent-text", "contrary"):
            assert contrast(accents[name], colours["body_background_fill"]) >= 4.5
        assert contrast("#ffffff", accents["accent"]) >= 4.5


def test_the_page_loads_nothing_from_elsewhere():
    for text in (look.CSS, look.page_js()):
        assert "http:" not in text and "https:" not in text and "@import" not in text


def test_the_script_has_its_locales_and_sentences():
    script = look.page_js()
    assert "LOCALES" not in script and "WORDS" not in script
    assert '"zh": "zh-CN"' in script and "链接已复制" in script
