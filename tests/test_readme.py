"""What the README shows is run, against the real app; what it names exists."""

import contextlib
import io
import json
import re
import shutil
import subprocess

import pytest

from demos.shell import options, tabs
from demos.shell.words import say
from tests.conftest import REPO

READMES = ("README.md", "README.zh.md")
ADDRESS = "http://127.0.0.1:7860"


def text_of(name: str) -> str:
    return (REPO / name).read_text(encoding="utf-8")


def blocks(name: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text_of(name), re.MULTILINE | re.DOTALL)


def shown_python() -> list:
    found = [(name, i, code) for name in READMES for i, code in enumerate(blocks(name, "python"))]
    return [pytest.param(code, id=f"{name}-{i}") for name, i, code in found]


@pytest.mark.snippet
@pytest.mark.parametrize("code", shown_python())
def test_the_python_that_is_shown_finds_the_cat(code, app_server, monkeypatch):
    monkeypatch.chdir(REPO)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code.replace(ADDRESS, app_server.url.rstrip("/")), "README", "exec"), {})
    shares = dict(line.rsplit(" ", 1) for line in printed.getvalue().splitlines() if re.search(r" [\d.e-]+$", line))
    assert len(shares) == 3
    assert max(shares, key=lambda label: float(shares[label])) in ("cat", "猫")


@pytest.mark.snippet
def test_the_http_calls_that_are_shown_find_the_cat(app_server):
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    (code,) = blocks("README.md", "bash")
    code = code.replace(ADDRESS, app_server.url.rstrip("/"))
    done = subprocess.run(["bash", "-eu", "-c", code], cwd=REPO, capture_output=True, text=True, timeout=120)
    assert "event: complete" in done.stdout, done.stdout + done.stderr
    answer = json.loads(done.stdout.split("data: ", 1)[1])[0]
    assert [item["label"] for item in answer["labels"]] == ["cat", "dog", "老虎"]
    assert max(answer["softmax"]["probabilities"]) == answer["softmax"]["probabilities"][0]


@pytest.mark.parametrize("name", READMES)
def test_every_file_that_is_named_exists(name):
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text_of(name))
    assert len(links) > 5
    assert [link for link in links if not (REPO / link).exists()] == []


@pytest.mark.parametrize(("name", "lang"), [("README.md", "en"), ("README.zh.md", "zh")])
def test_the_table_lists_exactly_the_tabs_that_exist(name, lang):
    named = re.findall(r"^\| \*\*(.+?)\*\* \|", text_of(name), re.MULTILINE)
    assert named == [say(spec.title, lang) for spec in tabs.TABS]


@pytest.mark.parametrize("name", READMES)
def test_the_table_lists_exactly_the_options_that_exist(name):
    named = set(re.findall(r"`(--[a-z-]+)", "\n".join(re.findall(r"^\| `--.*$", text_of(name), re.MULTILINE))))
    known = {flag for action in options._parser(False)._actions for flag in action.option_strings}
    assert named == known - {"-h", "--help"}


def test_both_languages_show_the_same_commands():
    commands = [re.findall(r"^```\n(make .*?)\n```", text_of(name), re.MULTILINE) for name in READMES]
    assert commands[0] == commands[1] == ["make run", "make test"]
