"""Lines and parts that stand beside a result."""

import re

import pytest

from demos.shell import results

TITLE = {"en": "Small <CLIP>", "zh": "小 CLIP"}


def shown(html_text: str, lang: str) -> str:
    """The text of one language, without tags."""
    other = {"en": "zh-CN", "zh": "en"}[lang]
    return re.sub(r"<[^>]+>", "", re.sub(rf'<span lang="{other}">.*?</span>', "", html_text))


def test_provenance_says_all_in_both_languages():
    line = results.provenance(
        live=True, title=TITLE, source="hub", device="cuda", dtype="bfloat16", ms=12.4, seed=7,
        reason=("errors.line_full", {"places": "<i>"}),
    )  # fmt: skip
    assert shown(line, "en").startswith(
        "Live · Small &lt;CLIP&gt; · from Hugging Face · cuda, bfloat16 · 12 ms · seed 7"
    )
    assert "现场计算 · 小 CLIP · 来自 Hugging Face" in shown(line, "zh")
    assert "&lt;i&gt;" in line and "<i>" not in line
    stored = results.provenance(live=False, title=TITLE, source="bundled", device="cpu", dtype="float32")
    assert shown(stored, "en").startswith("Stored")
    assert "ms" not in shown(stored, "en") and "<details>" not in stored


@pytest.mark.parametrize(("ms", "text"), [(0.04, "0.0 ms"), (4.25, "4.2 ms"), (137.4, "137 ms"), (2400, "2.4 s")])
def test_milliseconds(ms, text):
    assert results.milliseconds(ms) == text


def test_code_is_escaped():
    assert "<script>" not in results.snippet('print("<script>")')
    assert "&lt;script&gt;" in results.snippet('print("<script>")')
