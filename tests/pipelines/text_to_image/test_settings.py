"""Bad values and extremes (LIMITS of the house, group V, and prompts of group T): a sentence at once, or a number."""

import dataclasses
import time

import pytest

from pipelines.runtime.errors import UserError
from pipelines.text_to_image.settings import Settings, check, is_guided

NAN, INF = float("nan"), float("inf")
ASKED = Settings("a red apple", width=64, height=64)


def refused(model, **changes) -> UserError:
    with pytest.raises(UserError) as caught:
        check(dataclasses.replace(ASKED, **changes), model)
    return caught.value


@pytest.mark.parametrize("field", ["guidance_scale", "eta", "strength", "steps", "seed", "batch", "width", "height"])
@pytest.mark.parametrize("value", [NAN, INF, -INF, 1e308, "many", [1], {}, True, "", None])
def test_V01_V02_V03_what_is_no_number_or_far_outside_is_refused(tiny_model, field, value):
    assert refused(tiny_model, **{field: value}).key == f"errors.setting_{field}"


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"steps": 0}, "0"),
        ({"steps": -5}, "-5"),
        ({"steps": 10**9}, "1000000000"),
        ({"steps": 101}, "101"),
        ({"steps": 2.5}, "2.5"),
        ({"batch": 0}, "0"),
        ({"batch": 1000}, "1000"),
        ({"guidance_scale": -0.1}, "-0.1"),
        ({"guidance_scale": 30.5}, "30.5"),
        ({"width": 0}, "0"),
        ({"width": 63}, "63"),
        ({"height": 10**6}, "1000000"),
        ({"seed": -2}, "-2"),
        ({"seed": 2**64}, "18446744073709551616"),
        ({"seed": 10**308}, "1" + "0" * 19),
        ({"seed": 10**10_000}, "?"),
    ],
)
def test_V05_to_V08_numbers_outside_their_range_are_refused_and_shown(tiny_model, changes, shown):
    assert refused(tiny_model, **changes).values["value"] == shown


def test_V01_minus_zero_is_zero(tiny_model):
    assert str(check(dataclasses.replace(ASKED, guidance_scale=-0.0), tiny_model).settings.guidance_scale) == "0.0"


def test_V04_a_fraction_that_is_whole_counts_as_whole(tiny_model):
    settings = check(dataclasses.replace(ASKED, steps=20.0, seed=7.0), tiny_model).settings
    assert (settings.steps, settings.seed) == (20, 7)
    assert type(settings.steps) is int


@pytest.mark.parametrize("seed", [0, 2**53 + 1, 2**63, 2**64 - 1])
def test_V05_seeds_are_exact(tiny_model, seed):
    checked = check(dataclasses.replace(ASKED, seed=seed), tiny_model)
    assert checked.settings.seed == seed
    assert checked.notes == ()


def test_V05_minus_one_draws_a_seed_and_shows_it(tiny_model):
    one, two = (check(dataclasses.replace(ASKED, seed=-1), tiny_model) for _ in range(2))
    assert one.settings.seed != two.settings.seed
    assert [note.key for note in one.notes] == ["errors.note_seed_drawn"]
    assert one.notes[0].values["seed"] == one.settings.seed
    assert check(one.settings, tiny_model).settings == one.settings


def test_seeds_of_a_batch_go_round_at_two_to_the_64():
    assert Settings("", seed=2**64 - 2, batch=4).seeds == (2**64 - 2, 2**64 - 1, 0, 1)


def test_V07_sizes_go_up_to_the_next_multiple_of_eight_and_it_is_said(tiny_model):
    checked = check(dataclasses.replace(ASKED, width=65, height=72), tiny_model)
    assert (checked.settings.width, checked.settings.height) == (72, 72)
    assert [note.key for note in checked.notes] == ["errors.note_size_rounded"]
    assert checked.notes[0].values == {"width": 72, "height": 72}


def test_V07_the_longest_side_is_the_models(tiny_model):
    assert tiny_model.max_px == 128
    assert check(dataclasses.replace(ASKED, width=128), tiny_model).settings.width == 128
    assert refused(tiny_model, width=129).values["most"] == 128


@pytest.mark.parametrize("sampler", ["magic", "", None, 7, "../ddim", ["ddim"], "DDIM", "x" * 10_000])
def test_V09_a_sampler_that_is_not_offered_is_refused_with_the_choice(tiny_model, sampler):
    error = refused(tiny_model, sampler=sampler)
    assert error.key == "errors.sampler_unknown"
    assert "unipc" in error.values["choices"]
    assert len(error.values["sampler"]) <= 40


@pytest.mark.parametrize("field", ["prompt", "negative_prompt"])
def test_T03_ten_megabytes_are_refused_before_they_are_read(tiny_model, field):
    started = time.process_time()
    error = refused(tiny_model, **{field: "苹" * 10_000_000})
    assert time.process_time() - started < 1
    assert (error.key, error.values) == ("errors.prompt_long", {"length": 10_000_000, "most": 2_000})


@pytest.mark.parametrize("field", ["prompt", "negative_prompt"])
@pytest.mark.parametrize("value", [None, 7, ["a"], b"a", NAN])
def test_T15_what_is_no_text_is_refused(tiny_model, field, value):
    assert refused(tiny_model, **{field: value}).key == "errors.prompt_not_text"


def test_T01_an_empty_prompt_is_a_prompt(tiny_model):
    assert check(dataclasses.replace(ASKED, prompt=""), tiny_model).settings.prompt == ""


def test_T05_control_characters_and_lone_surrogates_become_spaces(tiny_model):
    settings = check(dataclasses.replace(ASKED, prompt="a\0b\ud800c\r\nd\x1b"), tiny_model).settings
    assert settings.prompt == "a b c  d "


def test_guidance_begins_above_one(tiny_model):
    assert not is_guided(Settings("", guidance_scale=1.0), tiny_model)
    assert not is_guided(Settings("", guidance_scale=0.0), tiny_model)
    assert is_guided(Settings("", guidance_scale=1.01), tiny_model)
