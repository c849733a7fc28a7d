"""What a link puts into the fields, and what comes out of them."""

import pytest

from demos.shell import links
from demos.text_to_image import asked, examples, snippet, store
from pipelines.runtime.errors import UserError
from pipelines.text_to_image import samplers, settings


def test_the_limits_are_the_pipelines():
    """They are written twice, so that a page can be laid out before a model library is imported."""
    assert tuple(samplers.SAMPLERS) == asked.SAMPLERS
    assert asked.STEPS == (settings.LEAST_STEPS, settings.MOST_STEPS)
    assert asked.GUIDANCE == (settings.LEAST_GUIDANCE, settings.MOST_GUIDANCE)
    assert asked.BATCH == (settings.LEAST_BATCH, settings.MOST_BATCH)
    assert asked.SIDE[0] == settings.LEAST_PX and asked.MOST_CHARACTERS == settings.MOST_CHARACTERS
    assert asked.MOST_SEED == settings.SEEDS - 1
    assert tuple(settings.Settings.__dataclass_fields__) == asked.NAMES
    assert tuple(snippet.SCHEDULERS) == asked.SAMPLERS


@pytest.mark.parametrize("text", ["18446744073709551615", " 9007199254740993 ", "0", 7, "007"])
def test_a_seed_stays_exact(text):
    assert asked.read_seed(text) == int(text)


@pytest.mark.parametrize("text", ["", None, "-1"])
def test_no_seed_draws_one(text):
    assert asked.read_seed(text) == -1


@pytest.mark.parametrize("text", ["abc", "1e5", "1.5", "--1", "٣", "9" * 400, "<b>", True])
def test_what_is_no_seed_is_refused(text):
    with pytest.raises(UserError, match=r"text_to_image\.seed_digits"):
        asked.read_seed(text)


def test_a_bare_address_opens_with_the_stored_result_in_its_language():
    for lang in ("en", "zh"):
        start = asked.opening(links.parse(f"?tab=text_to_image&lang={lang}"))
        assert start.stored is store.load(lang) and start.stored is not None, "run `make stored`"
        assert start.settings["prompt"] == examples.OFFERED[0].prompt(lang) and not start.run


def test_a_link_holds_every_setting():
    link = links.parse(
        "?prompt=%E7%8C%AB&negative_prompt=dog&steps=7&guidance_scale=2.5&sampler=heun&width=96&height=72&batch=3"
        f"&seed={2**64 - 1}&model=lucida-diffusion&eta=0.5"
    )
    start = asked.opening(link)
    assert start.run and link.ignored == [] and start.model == "lucida-diffusion"
    assert start.settings == {
        "prompt": "猫", "negative_prompt": "dog", "steps": 7, "guidance_scale": 2.5, "sampler": "heun", "eta": 0.5,
        "width": 96, "height": 72, "batch": 3, "seed": 2**64 - 1, "strength": asked.START["strength"],
    }  # fmt: skip


def test_forged_settings_are_left_out_one_by_one():
    forged = {"steps": "0", "guidance_scale": "NaN", "sampler": "../x", "width": "1e9", "batch": "1000", "seed": "-1"}
    forged |= {"model": "lucida-clip", "example": "none", "eta": "2", "height": "-8"}
    link = links.Link({"prompt": "cat", **forged})
    start = asked.opening(link)
    assert set(link.ignored) == set(forged) and start.settings == {**asked.START, "prompt": "cat"}


def test_an_example_is_found_by_its_name_in_both_languages():
    one = examples.OFFERED[1]
    for lang in ("en", "zh"):
        start = asked.opening(links.Link({"example": one.id, "lang": lang}))
        assert (start.settings["prompt"], start.settings["seed"]) == (one.prompt(lang), one.seed)
    assert one.prompt("en") != one.prompt("zh")
