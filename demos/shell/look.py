"""Theme, style sheet and the page's own JavaScript."""

import json
from pathlib import Path

import gradio as gr

from demos.shell.words import LANGUAGES, both

_HERE = Path(__file__).parent
_SAID = ("link_copied", "link_by_hand", "link_too_long", "link_no_tab", "copied")  # sentences that page.js writes
FAVICON = _HERE / "favicon.svg"
CSS = (_HERE / "look.css").read_text("utf-8")


def page_js() -> str:
    """page.js with the locales and its sentences put in."""
    script = (_HERE / "page.js").read_text("utf-8")
    words = json.dumps(both(*(f"shell.{name}" for name in _SAID)), ensure_ascii=False)
    return script.replace("LOCALES", json.dumps(LANGUAGES), 1).replace("WORDS", words, 1)


def theme() -> gr.themes.Base:
    """Paper and ink, one accent; system fonts, so that nothing is fetched from another host."""
    sans = [
        "system-ui",
        "-apple-system",
        "Segoe UI",
        "PingFang SC",
        "Microsoft YaHei",
        "Noto Sans CJK SC",
        "sans-serif",
    ]
    return gr.themes.Base(
        primary_hue=gr.themes.colors.teal,
        neutral_hue=gr.themes.colors.stone,
        radius_size=gr.themes.sizes.radius_sm,
        font=sans,
        font_mono=["ui-monospace", "Consolas", "monospace"],
    ).set(
        body_background_fill="#fbfaf7",
        body_background_fill_dark="#161513",
        button_primary_background_fill="#0f766e",
        button_primary_background_fill_hover="#115e59",
        button_primary_background_fill_dark="#0f766e",
        button_primary_background_fill_hover_dark="#115e59",
        button_primary_text_color="#ffffff",
        block_shadow="none",
        block_border_width="1px",
    )
