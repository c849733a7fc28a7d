"""The app as a process: how it starts, refuses to start, ends, and what its routes give away."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from gradio_client import Client

from demos.shell import server
from tests.conftest import REPO, free_port, running


def app(*arguments: str) -> subprocess.CompletedProcess:
    """Run app.py where it is expected to end by itself."""
    command = [sys.executable, "app.py", *arguments]
    return subprocess.run(command, cwd=REPO, capture_output=True, text=True, timeout=120)


def test_a_port_in_use_is_one_clear_line():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = app("--port", str(port))
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert f"port {port} is in use" in ended.stderr and f"--port {port + 1}" in ended.stderr


@pytest.mark.parametrize("host", ["no such host", "192.0.2.1", "example.invalid"])
def test_an_address_that_is_not_ours_is_told(host):
    assert "no address of this computer" in server.refused(host, 7860)


def test_a_free_port_is_not_refused():
    assert server.refused("127.0.0.1", free_port()) is None


def test_help_needs_no_library():
    code = """if True:
        import runpy, sys
        sys.argv = ["app.py", "--help"]
        try:
            runpy.run_path("app.py", run_name="__main__")
        except SystemExit:
            print("gradio" in sys.modules)
    """
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "False"


def test_an_open_door_is_warned_of(example_server):
    assert "Warning: everybody who can reach this address" in example_server.log.read_text("utf-8")


def test_a_crowd_is_served(example_server):
    client = Client(example_server.url, verbose=False)
    with ThreadPoolExecutor(20) as crowd:
        answers = list(crowd.map(lambda level: client.predict(level=level, api_name="/example")["share"], range(50)))
    assert answers == [level / 255 for level in range(50)]


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "app.py",
        "demos/shell/../../app.py",
        "..%2f..%2fapp.py",
        "/proc/self/environ",
        "http://127.0.0.1:1/x.png",
        ".git/config",
    ],
)
def test_no_file_of_the_machine_is_served(example_server, path):
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{example_server.url}gradio_api/file={path}", timeout=30)
    assert refused.value.code in (400, 403, 404)


def test_a_large_upload_is_refused(example_server):
    body = (
        b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
        + bytes(21 * 2**20)
        + b"\r\n--b--"
    )
    request = urllib.request.Request(
        example_server.url + "gradio_api/upload", data=body, headers={"Content-Type": "multipart/form-data; boundary=b"}
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=60)
    assert refused.value.code == 413


def test_a_password_one_tab_and_a_request_to_end(example_app, tmp_path):
    """One start for three things, since starting is slow."""
    log = tmp_path / "log.txt"
    with running(example_app, log, "--only", "example", LUCIDA_AUTH="me:secret") as locked:
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(locked.url + "gradio_api/info", timeout=30)
        assert refused.value.code == 401
        client = Client(locked.url, auth=("me", "secret"), verbose=False)
        assert set(client.view_api(return_format="dict")["named_endpoints"]) == {"/example"}
        assert client.predict(level=255, api_name="/example") == {"share": 1}
        locked.process.send_signal(signal.SIGTERM)
        locked.process.wait(timeout=10)
    assert "Traceback" not in log.read_text("utf-8")


def test_leftovers_of_a_killed_run_are_swept_and_new_files_stay(tmp_path):
    for name in ("old", "new"):
        (tmp_path / name / "inside").mkdir(parents=True)
        (tmp_path / f"{name}.bin").write_bytes(b"1")
    long_ago = time.time() - 10_000
    for path in (tmp_path / "old", tmp_path / "old.bin"):
        os.utime(path, (long_ago, long_ago))
    server.sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"new", "new.bin"}
    server.sweep(tmp_path / "none")
