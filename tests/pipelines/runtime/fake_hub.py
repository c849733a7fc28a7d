"""A model hub on loopback that answers, refuses, hangs, sends a web page or breaks off: as a test wants it."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "c" * 40
PAGE = b"<!DOCTYPE html><html><body>Please log in to this network</body></html>"


class FakeHub:
    """files: {name: bytes} of its one repository. mode: how it behaves; may be changed between requests.

    good, hang (never answers), page (a web page to everything), an HTTP status as a number, half (sends half of
    each file, then closes the connection), stall (sends half of each file, then nothing more).
    """

    def __init__(self, files: dict[str, bytes]):
        self.files = files
        self.mode: str | int = "good"
        self.requests: list[tuple[str, str, str | None]] = []  # method, path, Range
        self.end = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self) -> None:
        self.end.set()
        self.server.shutdown()
        self.server.server_close()

    def _handler(self):
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def do_HEAD(self):
                hub.answer(self)

            def do_GET(self):
                hub.answer(self)

        return Handler

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.requests.append((request.command, request.path, request.headers.get("Range")))
        if self.mode == "hang":
            self.end.wait(60)
            request.close_connection = True
        elif self.mode == "page":
            self.send(request, 200, PAGE, {"Content-Type": "text/html"})
        elif isinstance(self.mode, int):
            self.send(request, self.mode, b'{"error": "no"}', {"Content-Type": "application/json"})
        elif request.path.startswith("/api/models/"):
            siblings = [{"rfilename": name, "size": len(data)} for name, data in self.files.items()]
            answer = {"id": "maker/model", "sha": COMMIT, "siblings": siblings}
            self.send(request, 200, json.dumps(answer).encode(), {"Content-Type": "application/json"})
        else:
            self.send_file(request, request.path.split("/resolve/")[1].split("/", 1)[1])

    def send_file(self, request: BaseHTTPRequestHandler, name: str) -> None:
        data = self.files[name]
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha256(data).hexdigest()}"', "Accept-Ranges": "bytes"}
        status, start = 200, 0
        if (wanted := request.headers.get("Range")) and request.command == "GET":
            start = int(wanted.removeprefix("bytes=").split("-")[0])
            status, headers["Content-Range"] = 206, f"bytes {start}-{len(data) - 1}/{len(data)}"
        body = data[start:]
        sent = body[: len(body) // 2] if self.mode in ("half", "stall") else body
        self.send(request, status, sent, headers, length=len(body))
        if self.mode == "stall" and request.command == "GET":
            self.end.wait(60)
        if self.mode in ("half", "stall") and request.command == "GET":
            request.close_connection = True
            self.mode = "hang" if self.mode == "half" else self.mode

    def send(self, request, status: int, body: bytes, headers: dict[str, str], *, length: int | None = None) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(body) if length is None else length))
        request.end_headers()
        if request.command == "GET":
            request.wfile.write(body)
            request.wfile.flush()
