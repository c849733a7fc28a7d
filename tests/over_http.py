"""A visitor who speaks bare HTTP with the app, as REST clients do, and can therefore send anything."""

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

import httpx

CHINESE = range(0x4E00, 0xA000)


@dataclass(frozen=True)
class Answer:
    """What a call ended with: the values of a success, or a refusal with its sentence (None where Gradio has none)."""

    values: list | None
    sentence: str | None

    @property
    def refused(self) -> bool:
        return self.values is None


class Visitor:
    """Uploads and calls of one session."""

    def __init__(self, url: str, *, timeout_s: float = 60):
        self.http = httpx.Client(base_url=url + "gradio_api", timeout=timeout_s)
        self.session = secrets.token_hex(8)

    def upload(self, data: bytes, name: str = "cat.png") -> dict:
        """Send a file; returns it as a function's argument names it."""
        answer = self.http.post("/upload", files={"files": (name, data)})
        answer.raise_for_status()
        return file_named(answer.json()[0])

    def call(self, function: str, *values) -> Answer:
        """Call a named function with exactly these values."""
        body = json.dumps({"data": values, "session_hash": self.session})  # NaN goes through, as from a careless client
        begun = self.http.post(f"/call/{function}", content=body, headers={"content-type": "application/json"})
        if begun.status_code != 200:
            return Answer(None, None)
        event = begun.json()["event_id"]
        return read_events(self.http.get(f"/call/{function}/{event}").text)

    def ask(self, picture, labels="cat, dog", templates="", model="", crop="own", lang="en") -> Answer:
        return self.call("zero_shot", picture, labels, templates, model, crop, lang)


def file_named(path: str) -> dict:
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


def read_events(text: str) -> Answer:
    """The last event of a stream of server-sent events."""
    kind, data = "", ""
    for line in text.splitlines():
        kind = line.removeprefix("event: ") if line.startswith("event: ") else kind
        data = line.removeprefix("data: ") if line.startswith("data: ") else data
    if kind == "complete":
        return Answer(json.loads(data), None)
    told = json.loads(data) if data else None
    return Answer(None, told.get("error") if isinstance(told, dict) else told)


def check_sentence(text: str | None, lang: str = "en") -> None:
    """A refusal as a person wants it: a sentence in the language, with no path, trace, class name or library."""
    assert text, "a refusal without a word"
    assert any(ord(sign) in CHINESE for sign in text) == (lang == "zh"), text
    leaks = ("Traceback", "Error", "/tmp", "\\", "PIL", "gradio", "<class", "0x", str(Path.home()))
    assert [leak for leak in leaks if leak in text] == [], text
    assert len(text) < 400, text
