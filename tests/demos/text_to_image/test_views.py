"""What the views write, and that nothing of a visitor's reaches it unescaped."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from demos.text_to_image import level_views, levels, prompt_strip, views
from pipelines.runtime.errors import UserError
from pipelines.text_to_image import prompt as prompts

HOSTILE = "<img src=x onerror=alert(1)> \"'&</b>"


def test_the_strip_shows_what_is_read_and_strikes_out_the_rest(tiny_model):
    tokens = prompts.tokenise(tiny_model, "红苹果 " * 20)
    html = views.strip(tokens)
    cut = sum(chip.kind == "cut" for chip in tokens.chips)
    assert cut > 0 and html.count("<s>") == cut == len(re.findall("ti-cut", html))
    assert f"last {cut} tokens" in html and "32" in html and "free" not in html
    ids = [int(number) for number in re.findall(r"<i>(\d+)</i>", html)]
    assert ids == [chip.id for chip in tokens.chips if chip.kind != "pad"]


def test_free_places_are_counted_and_bytes_marked(tiny_model):
    tokens = prompts.tokenise(tiny_model, "a cat")
    assert f"{32 - tokens.used} free" in views.strip(tokens)
    assert "ti-unknown" in views.strip(prompts.tokenise(tiny_model, "\U00012000"))


@pytest.mark.parametrize("text", [HOSTILE, "{{7*7}} ${window}", "\u202eabc"])
def test_a_hostile_prompt_is_shown_as_typed(tiny_model, text):
    html = views.strip(prompts.tokenise(tiny_model, text)) + views.pictures(
        [views.Drawn(Path("/x/'\"<b>.png"), 1)], prompt=text
    )
    assert "<img src=x" not in html and "</b>.png" not in html and 'alt="<' not in html


def test_stored_tokens_look_like_live_ones(tiny_model):
    tokens = prompts.tokenise(tiny_model, "红苹果，a cat")
    assert views.strip(prompt_strip.opened(prompt_strip.plain(tokens))) == views.strip(tokens)


def test_the_blocks_say_where_the_text_enters(tiny_model, run):
    html = levels.blocks(tiny_model, run, 1)
    entering = [name for name, _ in tiny_model.pipeline.unet.named_modules() if name.endswith("attn2")]
    assert entering and all(name in html for name in entering)
    assert "2 × " in html and "decoder" in html and "step 2 of 4" in html


def test_the_numbers_add_up_to_the_runs_own(tiny_model, run):
    html = [levels.numbers(tiny_model, run, k) for k in range(4)]
    assert len(set(html)) == 4
    differences = [float(re.search(r"at most ([\d.e+-]+)\.", text)[1]) for text in html]
    assert max(differences) < 1e-4
    with pytest.raises(UserError):
        levels.numbers(tiny_model, run, 4)


@pytest.mark.parametrize(
    ("x", "text"), [(0.0, "0.0000"), (-0.5, "−0.5000"), (12.345, "12.35"), (4096.2, "4096"), (3e-5, "3e−05")]
)
def test_numbers_are_written_shortly(x, text):
    assert level_views.number(x) == text
    assert level_views.number(float("nan")) == "–"


def test_names_of_layers_are_escaped():
    part = SimpleNamespace(part="unet", name=HOSTILE, shape=(1, 2), ms=1.0, parameters=5_000, text_layers=(HOSTILE,))
    html = level_views.blocks([part], {"text": 1.0, "total": 2.0}, k=0, n=3, calls=3)
    assert "<img" not in html and "5 k" in html
