"""A page without a browser: its tab laid out by the app, and each of its handlers called with whatever one likes."""

import json
import re
from typing import Any

import httpx

from demos.shell.tabs import TABS
from tests.over_http import Answer, Visitor


class Page(Visitor):
    """The open tab of one visitor. Handlers are named by their functions."""

    def __init__(self, url: str, *, tab: str = "tokenise", lang: str = "en"):
        super().__init__(url, timeout_s=180)
        config = httpx.get(url + "config", timeout=60).json()
        self.parts = {part["id"]: part for part in config["components"]}
        renders = [each["id"] for each in config["dependencies"] if each.get("render_id") is not None]
        place = [spec.id for spec in TABS].index(tab)
        laid_out = self._run(renders[place], [f"?tab={tab}&lang={lang}"])["output"]["render_config"]
        self.parts |= {part["id"]: part for part in laid_out["components"]}
        self.handlers = {}
        for each in laid_out["dependencies"]:  # of several of one name, which Gradio numbers, the first
            self.handlers.setdefault(re.sub(r"_\d+$", "", each["api_name"]), each)

    def given(self, handler: str) -> list[Any]:
        """What the page would send to a handler now: what its components were laid out with."""
        return [self.parts[part]["props"].get("value") for part in self.handlers[handler]["inputs"]]

    def act(self, handler: str, values: list[Any]) -> Answer:
        """Call a handler with these values."""
        told = self._run(self.handlers[handler]["id"], values)
        return Answer(told["output"]["data"], None) if told["success"] else Answer(None, told["output"].get("error"))

    def _run(self, function: int, values: list[Any]) -> dict:
        """Join the queue and wait for the end of this event."""
        body = json.dumps({"data": values, "fn_index": function, "session_hash": self.session})
        joined = self.http.post("/queue/join", content=body, headers={"content-type": "application/json"})
        joined.raise_for_status()
        event = joined.json()["event_id"]
        with self.http.stream("GET", "/queue/data", params={"session_hash": self.session}) as stream:
            for line in stream.iter_lines():
                told = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {}
                if told.get("event_id") == event and told["msg"] == "process_completed":
                    return told
        raise ConnectionError(f"the stream ended before {event}")
