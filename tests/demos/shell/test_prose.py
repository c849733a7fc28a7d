"""A tab's sentences as HTML: both languages, values escaped, nothing where there is nothing to say."""

from demos.shell.prose import Prose

PROSE = Prose("shell", "xy")


def test_a_word_has_both_languages_and_its_values_are_escaped():
    told = PROSE.word("waiting", place="<b>3</b>")
    assert 'lang="en"' in told and 'lang="zh-CN"' in told
    assert told.count("&lt;b&gt;3&lt;/b&gt;") == 2 and "<b>" not in told


def test_frames_and_paragraphs_carry_the_classes_of_the_style_sheet():
    assert PROSE.framed("a", "b") == '<div class="xy">ab</div>'
    assert PROSE.sentence("cancelled").startswith("<p><span")
    assert PROSE.sentence("cancelled", kind="xy-note").startswith('<p class="xy-note">')


def test_warnings_are_one_paragraph_each_and_none_is_no_frame():
    assert PROSE.warnings([]) == ""
    assert PROSE.warnings(["<i>a</i>", "b"]) == (
        '<div class="xy"><p class="xy-note xy-warn"><i>a</i></p><p class="xy-note xy-warn">b</p></div>'
    )
