"""CONTRIBUTING's four steps, done in a copy of the app: the new tab is there, by page and by program."""

import json
import subprocess
import sys
import urllib.request

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from tests.demos.shell.four_steps import NAMES
from tests.test_house import incomplete_tabs, literal_sentences, missing_keys, undocumented, wrong_imports


@pytest.fixture(scope="module")
def client(example_server):
    return Client(example_server.url, verbose=False)


def test_the_new_tab_keeps_the_rules_of_the_house(example_app):
    assert wrong_imports(example_app) == missing_keys(example_app) == literal_sentences(example_app) == []
    assert [told for told in undocumented(example_app) if "example" in told.rsplit("pipelines")[-1]] == []
    lacking = incomplete_tabs(example_app, browser_tests=example_app)
    assert {f"{name}: no browser test" for name in NAMES} == {told for told in lacking if told.split(":")[0] in NAMES}


def test_the_new_tab_is_on_the_page_in_both_languages(example_server):
    config = json.load(urllib.request.urlopen(example_server.url + "config"))
    tabs = {c["props"].get("id") for c in config["components"] if c["type"] == "tabitem"}
    assert {"example", "second"} <= tabs
    translations = config["i18n_translations"]
    assert translations["en"]["example.title"] == "Example"
    assert translations["zh-CN"]["example.title"] == "示例页"


def test_the_new_tab_can_be_called_by_name(client):
    endpoints = client.view_api(return_format="dict")["named_endpoints"]
    assert {"/example", "/second"} <= set(endpoints)
    assert not [name for name in endpoints if "lambda" in name or name.startswith("/_")]
    told = {p["parameter_name"]: p for p in endpoints["/example"]["parameters"]}
    assert told["level"]["python_type"]["type"] == "int"
    assert client.predict(level=51, api_name="/example") == {"share": 0.2}


@pytest.mark.parametrize(("lang", "sentence"), [("en", "At most 255, please."), ("zh", "最多 255。")])
def test_its_errors_are_sentences(client, lang, sentence):
    with pytest.raises(AppError, match=sentence):
        client.predict(level=256, lang=lang, api_name="/example")


def test_its_model_is_in_the_catalogue(example_app):
    code = (
        "from pipelines.runtime.catalogue import read_catalogue; entry = read_catalogue().find('example-grey')\n"
        "print(entry.topic, entry.title['zh'])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=example_app, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["example", "8", "位灰度"], done.stderr
