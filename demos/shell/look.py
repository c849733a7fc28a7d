"""Theme, style sheet and the page's own JavaScript."""

import json
from pathlib import Path

import gradio as gr

from demos.shell.words import LANGUAGES, both

_HERE = Path(__file__).parent
_SAID = (
    "link_copied",
    "link_by_hand",
    "link_too_long",
    "link_no_tab",
    "copied",
    "error",
)  # sentences that page.js writes
FAVICON = _HERE / "favicon.svg"
CSS = (_HERE / "look.css").read_text("utf-8")
ACCENT, ACCENT_DARK, DEEP = "#0f766e", "#2dd4bf", "#115e59"
_COLOURS = {
    "body_background_fill": "#fbfaf7",
    "body_text_color": "#1c1917",
    "body_text_color_subdued": "#57534e",
    "background_fill_primary": "#ffffff",
    "background_fill_secondary": "#f5f4f0",
    "block_label_text_color": "#44403c",
    "block_title_text_color": "#44403c",
    "block_info_text_color": "#57534e",
    "border_color_primary": "#dedad3",
    "color_accent": ACCENT,
    "slider_color": ACCENT,
    "link_text_color": ACCENT,
    "link_text_color_hover": DEEP,
    "checkbox_background_color_selected": ACCENT,
    "checkbox_border_color_selected": ACCENT,
    "checkbox_label_background_fill": "transparent",
    "checkbox_label_border_width": "1px",
    "input_placeholder_color": "#716a65",
    "input_border_color_focus": ACCENT,
    "button_primary_background_fill": ACCENT,
    "button_primary_background_fill_hover": DEEP,
    "button_primary_text_color": "#ffffff",
    "button_secondary_background_fill": "transparent",
    "button_secondary_background_fill_hover": "#f0eee8",
    "button_secondary_border_color": "#c9c4ba",
    "button_secondary_text_color": "#1c1917",
    "button_border_width": "1px",
    "button_large_text_size": "*text_md",
    "button_large_text_weight": "500",
    "button_small_text_size": "*text_sm",
    "button_small_padding": "6px 12px",
    "block_shadow": "none",
    "block_border_width": "1px",
}
_DARK = {
    "body_background_fill": "#161513",
    "body_text_color": "#ece9e3",
    "body_text_color_subdued": "#b5afa5",
    "background_fill_primary": "#1e1d1a",
    "background_fill_secondary": "#24221f",
    "block_background_fill": "#1e1d1a",
    "block_label_text_color": "#cfc9bf",
    "block_title_text_color": "#cfc9bf",
    "block_info_text_color": "#b5afa5",
    "border_color_primary": "#3b3833",
    "slider_color": ACCENT_DARK,
    "link_text_color": ACCENT_DARK,
    "link_text_color_hover": "#99f6e4",
    "checkbox_background_color_selected": ACCENT,
    "checkbox_border_color_selected": ACCENT_DARK,
    "checkbox_label_background_fill": "transparent",
    "input_background_fill": "#1e1d1a",
    "input_placeholder_color": "#968f84",
    "input_border_color_focus": ACCENT_DARK,
    "button_primary_background_fill": ACCENT,
    "button_primary_background_fill_hover": DEEP,
    "button_primary_text_color": "#ffffff",
    "button_secondary_background_fill": "transparent",
    "button_secondary_background_fill_hover": "#2b2925",
    "button_secondary_border_color": "#57534e",
    "button_secondary_text_color": "#ece9e3",
}


def page_js() -> str:
    """page.js with the locales and its sentences put in."""
    script = (_HERE / "page.js").read_text("utf-8")
    words = json.dumps(both(*(f"shell.{name}" for name in _SAID)), ensure_ascii=False)
    return script.replace("LOCALES", json.dumps(LANGUAGES), 1).replace("WORDS", words, 1)


def theme() -> gr.themes.Base:
    """Paper and ink, one accent; system fonts, so that nothing is fetched from another host."""
    fonts = "system-ui, -apple-system, Segoe UI, PingFang SC, Microsoft YaHei, Noto Sans CJK SC, sans-serif"
    return gr.themes.Base(
        primary_hue=gr.themes.colors.teal,
        neutral_hue=gr.themes.colors.stone,
        radius_size=gr.themes.sizes.radius_sm,
        font=fonts.split(", "),
        font_mono=["ui-monospace", "Consolas", "monospace"],
    ).set(**_COLOURS, **{f"{name}_dark": value for name, value in _DARK.items()})
