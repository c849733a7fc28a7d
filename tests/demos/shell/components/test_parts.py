"""Nothing of a visitor's can run: templates are constants, scripts write text."""

import re
from pathlib import Path

import pytest

from demos.shell.components import parts

FOLDER = Path(parts.__file__).parent
TEMPLATES = sorted(path.name for suffix in ("html", "css") for path in FOLDER.glob(f"*.{suffix}"))
SCRIPTS = sorted(path.name for path in FOLDER.glob("*.js"))


@pytest.mark.parametrize("name", TEMPLATES)
def test_templates_hold_nothing_that_gradio_evaluates(name):
    assert parts.template(name) == (FOLDER / name).read_text("utf-8")


def test_a_template_with_a_place_for_a_value_is_refused(monkeypatch, tmp_path):
    (tmp_path / "bad.html").write_text("<p>{{value}}</p>")
    monkeypatch.setattr(parts, "_HERE", tmp_path)
    with pytest.raises(ValueError, match="would run as code"):
        parts.template.__wrapped__("bad.html")


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_write_no_html(name):
    text = (FOLDER / name).read_text("utf-8")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", text)


def test_a_script_is_its_parts_in_order():
    text = parts.script("common.js", "film.js")
    assert text.index("function unpack") < text.index("function take")
