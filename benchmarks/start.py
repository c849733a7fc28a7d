"""CPU time until the app answers /config, against importing torch and gradio; interleaved.

python -m benchmarks.start
"""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np

REPO = Path(__file__).resolve().parents[1]
LIMIT = 0.8
PATIENCE_S = 120


def app_cpu_seconds() -> float:
    """Start the app, wait until /config answers, kill it: user and system seconds that it used."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "app.py", "--port", str(port)], cwd=REPO, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_for(f"http://127.0.0.1:{port}/config", process)
    finally:
        process.send_signal(signal.SIGKILL)
    return _cpu_seconds(process)


def imports_cpu_seconds() -> float:
    """The same for ``python -c "import torch, gradio"``."""
    return _cpu_seconds(subprocess.Popen([sys.executable, "-c", "import torch, gradio"], cwd=REPO))


def _wait_for(address: str, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=PATIENCE_S) as answer:
                answer.read()
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.02)
    raise SystemExit(f"the app did not answer {address}")


def _cpu_seconds(process: subprocess.Popen) -> float:
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0  # waited for here, so that subprocess does not wait again
    return usage.ru_utime + usage.ru_stime


def time_to_config(*, rounds: int) -> str:
    """A line of text: medians and the median of paired ratios."""
    app_cpu_seconds(), imports_cpu_seconds()  # files into the system's cache
    seconds = np.array([(app_cpu_seconds(), imports_cpu_seconds()) for _ in range(rounds)])
    ratio = float(np.median(seconds[:, 0] / seconds[:, 1]))
    app, imports = seconds.min(axis=0)
    return (
        f"/config answers after {app:.2f} s of CPU time, import torch and gradio takes {imports:.2f} s: "
        f"ratio {ratio:.2f} (limit {LIMIT}), {rounds} interleaved rounds"
    )


if __name__ == "__main__":
    print(time_to_config(rounds=5))
