"""Nothing of a visitor's can run in this tab's own parts: templates are constants, scripts write text."""

import re
from pathlib import Path

import pytest

from demos.segment import over_heat, threshold_panel
from demos.shell.components import parts

FOLDER = Path(over_heat.__file__).parent
TEMPLATES = sorted(path.name for suffix in ("html", "css") for path in FOLDER.glob(f"*.{suffix}"))
SCRIPTS = sorted(path.name for path in FOLDER.glob("*.js"))


@pytest.mark.parametrize("name", TEMPLATES)
def test_templates_hold_nothing_that_gradio_evaluates(name):
    text = (FOLDER / name).read_text("utf-8")
    assert text and [sign for sign in parts._EVALUATED if sign in text] == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_write_no_html(name):
    text = (FOLDER / name).read_text("utf-8")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", text)


def test_a_component_over_the_heat_map_goes_on_in_its_scope():
    made = threshold_panel.Threshold()
    order = [made.js_on_load.index(f"function {name}(") for name in ("unpack", "paintMap", "enlarge", "contour")]
    assert order == sorted(order)
    assert made.html_template.index('class="plate"') < made.html_template.index('class="cut"')
    assert made.postprocess(None) is None
