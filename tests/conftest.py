"""Servers for tests: the real app as a process of its own, and a copy of it with the example tabs."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

REPO = Path(__file__).parents[1]
PATIENCE_S = 120  # for a start on a busy machine
CALM = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "GRADIO_ANALYTICS_ENABLED": "False"}
os.environ.update({name: value for name, value in CALM.items() if name not in os.environ})


@dataclass(frozen=True)
class Server:
    """A running app: where it is, its process, and the file that its output goes to."""

    url: str
    process: subprocess.Popen
    log: Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running(folder: Path, log: Path, *arguments: str, **environment: str) -> Iterator[Server]:
    """`python app.py` in a folder until the block is left; fails with its output when it does not start."""
    port = free_port()
    temporary = {"GRADIO_TEMP_DIR": str(log.parent / "uploads")}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "app.py", "--port", str(port), *arguments],
            cwd=folder,
            env={**os.environ, **CALM, **temporary, **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        url = f"http://127.0.0.1:{port}/"
        _wait_until_open(url, process, log)
        yield Server(url, process, log)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def _wait_until_open(url: str, process: subprocess.Popen, log: Path) -> None:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(url + "config", timeout=10).close()
            return
        except urllib.error.HTTPError:  # it asks for a password
            return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.1)
    pytest.fail(f"the app did not start:\n{log.read_text('utf-8', 'replace')}")


@pytest.fixture(scope="session")
def app_server(tmp_path_factory) -> Iterator[Server]:
    """The app as it is, with its bundled models, on the processor."""
    log = tmp_path_factory.mktemp("app") / "log.txt"
    with running(REPO, log, "--models", "bundled", "--device", "cpu") as server:
        yield server


@pytest.fixture(scope="session")
def example_app(tmp_path_factory) -> Path:
    """The folder of a copy of the app to which the four steps of CONTRIBUTING.md have added tabs."""
    from tests.demos.shell.four_steps import copy_of_the_app, four_steps

    folder = copy_of_the_app(tmp_path_factory.mktemp("example"))
    four_steps(folder)
    return folder


@pytest.fixture(scope="session")
def example_server(example_app, tmp_path_factory) -> Iterator[Server]:
    """That copy, running, on every address of this machine."""
    log = tmp_path_factory.mktemp("example_log") / "log.txt"
    options = ("--models", "bundled", "--device", "cpu", "--host", "0.0.0.0")
    with running(example_app, log, *options) as server:
        yield server
