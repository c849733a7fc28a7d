"""Sentences in both languages."""

import re

import pytest

from demos.shell import words


def test_every_sentence_is_there_in_both_languages():
    table = words.read(words.DEMOS)
    assert table
    for key, texts in table.items():
        assert set(texts) == {"en", "zh"}, key
        same_kind = re.search(r"[\u4e00-\u9fff]", texts["zh"]) or texts["zh"] == texts["en"] or "{" in texts["zh"]
        assert same_kind or not re.search(r"[a-z]{4,} [a-z]{2,} ", texts["zh"]), f"{key} is not Chinese"
        assert not re.search(r"[\u4e00-\u9fff]", texts["en"]) or "zh" in key or "中" in texts["en"], key


def test_say_fills_values_and_picks_the_language_of_each():
    title = {"en": "Grey", "zh": "灰"}
    assert words.say("shell.model", "en", title=title) == "Grey"
    assert words.say("shell.model", "zh", title=title) == "灰"
    assert words.say("shell.run", "fr") == words.say("shell.run", "en")


def test_values_in_html_are_escaped_and_braces_in_them_stay():
    assert words.spans("shell.model", title="<b>{x}&") == (
        '<span lang="en">&lt;b&gt;{x}&amp;</span><span lang="zh-CN">&lt;b&gt;{x}&amp;</span>'
    )
    assert words.svg_spans("shell.run").startswith('<tspan lang="en">Run</tspan>')
    assert words.pair({"en": "<", "zh": ">"}) == '<span lang="en">&lt;</span><span lang="zh-CN">&gt;</span>'


def test_both_gives_javascript_the_last_part_of_each_key():
    assert words.both("shell.run", "shell.cancel")["zh"] == {"run": "运行", "cancel": "取消"}


def test_an_unknown_key_is_a_fault_at_once():
    for ask in (words.t, words.spans, lambda key: words.say(key, "en"), words.both):
        with pytest.raises(KeyError, match=r"shell\.none"):
            ask("shell.none")


def test_a_folder_gives_its_name_to_its_keys(tmp_path):
    (tmp_path / "pose").mkdir()
    (tmp_path / "pose" / "words.toml").write_text('title = {en = "Pose", zh = "姿态"}', "utf-8")
    (tmp_path / "pose" / "errors.toml").write_text('none = {en = "No.", zh = "没有。"}', "utf-8")
    assert set(words.read(tmp_path)) == {"pose.title", "errors.none"}


def test_components_get_keys_that_the_page_translates():
    translations = words.i18n().translations
    assert set(translations) == {"en", "zh-CN"}
    assert translations["zh-CN"]["shell.run"] == "运行"
    assert "shell.run" in str(words.t("shell.run").to_dict())
