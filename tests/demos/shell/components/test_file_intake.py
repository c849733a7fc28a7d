"""Files made here come as they are: only uploads are read, up to a limit; a refusal speaks the page's language."""

import base64

import gradio as gr
import pytest

from demos.shell import sessions
from demos.shell.components import file_intake
from pipelines.runtime.errors import UserError


@pytest.mark.parametrize(
    "payload", [{"path": "/etc/passwd"}, {"path": 5}, {"path": "a\0b"}, "x", {"path": "../app.py"}]
)
def test_a_forged_path_is_not_opened(payload):
    with pytest.raises(UserError, match="picture_gone"):
        file_intake.opened(payload)


def test_base64_is_no_path():
    data = "data:image/png;base64," + base64.b64encode(b"x").decode()
    with pytest.raises(UserError, match="picture_gone"):
        file_intake.opened({"path": data})


def test_an_upload_comes_byte_by_byte(tmp_path, monkeypatch):
    monkeypatch.setattr(sessions, "is_own_file", lambda path: True)
    path = tmp_path / "file.vq"
    path.write_bytes(bytes(range(256)))
    intake = file_intake.FileIntake(words="tokenise.vq", suffix=".vq")
    assert intake.preprocess({"path": str(path), "lang": "en"}) == bytes(range(256))
    assert intake.preprocess(None) is None


def test_a_file_over_the_limit_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(sessions, "is_own_file", lambda path: True)
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(file_intake.MOST_BYTES + 1)
    with pytest.raises(UserError, match="too_heavy"):
        file_intake.opened({"path": str(path)})


def test_a_refusal_speaks_the_language_of_the_page():
    intake = file_intake.FileIntake(words="text_to_image.png", suffix=".png")
    with pytest.raises(gr.Error) as refused:
        intake.preprocess({"path": "/etc/passwd", "lang": "zh"})
    assert any("一" <= sign <= "鿿" for sign in refused.value.message)
