"""The picture input on the server: what it gives, what it refuses and in which language, also to forged requests."""

import json
import urllib.request

import gradio as gr
import pytest
from gradio_client import Client

from demos.shell.components.canvas import Canvas
from demos.shell.components.picture import PictureInput
from pipelines.runtime.pictures import open_picture
from tests import odd_pictures
from tests.conftest import free_port

EXAMPLES = [(odd_pictures.PHOTO, {"en": "A cat", "zh": "一只猫"})]


def payload_of(component, picture) -> dict:
    return component.postprocess(picture)


@pytest.mark.parametrize("kind", [PictureInput, Canvas])
def test_what_python_gives_comes_back(kind):
    component = kind(examples=EXAMPLES)
    photo = open_picture(odd_pictures.PHOTO)
    for given in (photo, photo.pixels, odd_pictures.PHOTO):
        got = component.preprocess({**payload_of(component, given), "lang": "en"})
        picture = got if kind is PictureInput else got[0]
        assert picture.sha256 == photo.sha256
    assert component.preprocess(None) is None and component.postprocess(None) is None
    assert component.preprocess("") is None  # what the page sends when the picture was taken away


def test_an_example_is_known_by_its_id_and_outlives_the_cache(tmp_path):
    component = PictureInput(odd_pictures.PHOTO, examples=EXAMPLES)
    assert component.postprocess(odd_pictures.PHOTO)["example"] == "cat"
    assert component.preprocess({"example": "cat", "picture": {"path": str(tmp_path / "swept.png")}}).size == (451, 300)


@pytest.mark.parametrize("kind", [PictureInput, Canvas])
def test_what_reaches_the_browser_names_no_path_and_no_object_of_ours(kind):
    """Gradio sends every attribute named as a parameter of the class: none may be one of ours by accident."""
    config = json.dumps(kind(examples=EXAMPLES).get_config(), default=repr, ensure_ascii=False)
    assert "一只猫" in config and str(odd_pictures.PHOTO.parent) not in config and " object at " not in config


@pytest.mark.parametrize(
    "lang, told", [("en", "no longer on the server"), ("zh", "服务器上"), (None, "no longer"), (7, "no longer")]
)
def test_a_refusal_is_in_the_language_of_the_page_and_names_no_path(lang, told):
    with pytest.raises(gr.Error) as caught:
        PictureInput().preprocess({"picture": {"path": "/etc/passwd"}, "lang": lang})
    assert told in caught.value.message and "passwd" not in caught.value.message


@pytest.mark.parametrize("payload", [7, "x.png", [[[1.0]]], True, {}, {"picture": "x"}])
def test_I28_anything_else_is_refused_with_a_sentence(payload):
    with pytest.raises(gr.Error, match="not a picture"):
        PictureInput().preprocess(payload)


def test_marks_are_checked_against_their_own_picture():
    canvas = Canvas(examples=EXAMPLES)
    point = {"kind": "point", "x": 9000, "y": 5, "label": 1}
    picture, marks = canvas.preprocess({"example": "cat", "marks": [point]})
    assert marks == [{**point, "x": picture.size[0] - 1}]
    with pytest.raises(gr.Error, match="第 1 个标记"):
        canvas.preprocess({"example": "cat", "marks": [{"kind": "script"}], "lang": "zh"})
    assert canvas.preprocess({"example": "cat", "marks": None})[1] == []


def test_a_canvas_gives_its_marks_back_and_refuses_unknown_tools():
    box = {"kind": "crop", "x0": 1.0, "y0": 2.0, "x1": 30.0, "y1": 40.0}
    canvas = Canvas(tools=("crop",), examples=EXAMPLES)
    assert canvas.postprocess((odd_pictures.PHOTO, [box]))["marks"] == [box]
    with pytest.raises(ValueError, match="tools"):
        Canvas(tools=("laser",))


@pytest.fixture(scope="module")
def server():
    """A running page with the component and one event, for requests by hand."""
    with gr.Blocks() as demo:
        picture = PictureInput(examples=EXAMPLES)
        size = gr.Textbox()
        gr.Button().click(lambda given: str(given and given.size), picture, size, api_name="size")
    _, url, _ = demo.launch(prevent_thread_lock=True, quiet=True, server_name="127.0.0.1", server_port=free_port())
    yield url, picture._id
    demo.close()


def post(url, body):
    data = json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    return json.load(urllib.request.urlopen(request, timeout=60))


@pytest.mark.parametrize("name", odd_pictures.SERVER_PATHS)
def test_I25_a_forged_look_reads_nothing(server, name):
    url, component = server
    body = {"component_id": component, "fn_name": "look", "session_hash": "x", "data": {"picture": {"path": name}}}
    told = post(f"{url}gradio_api/component_server", body)
    assert set(told) == {"refused"} and set(told["refused"]) == {"en", "zh"}
    assert "passwd" not in json.dumps(told)


@pytest.mark.parametrize(
    "data", [None, 7, [], {"example": "dog"}, {"example": ["cat"]}, {"picture": {"path": "x" * 5000}}]
)
def test_a_look_at_anything_else_is_refused(server, data):
    url, component = server
    body = {"component_id": component, "fn_name": "look", "session_hash": "x", "data": data}
    assert "refused" in post(f"{url}gradio_api/component_server", body)


def test_other_methods_cannot_be_called_from_outside(server):
    url, component = server
    for name in ("preprocess", "postprocess", "_path"):
        body = {
            "component_id": component,
            "fn_name": name,
            "session_hash": "x",
            "data": {"picture": {"path": "/etc/passwd"}},
        }
        with pytest.raises(urllib.error.HTTPError) as caught:
            post(f"{url}gradio_api/component_server", body)
        assert caught.value.code == 404


def test_I25_an_event_with_a_forged_path_gets_the_sentence_and_the_next_one_works(server):
    client = Client(server[0], verbose=False)
    for name in odd_pictures.SERVER_PATHS:
        with pytest.raises(Exception, match="no longer on the server"):
            client.predict({"picture": {"path": name}}, api_name="/size")
    assert client.predict({"example": "cat"}, api_name="/size") == "(451, 300)"
