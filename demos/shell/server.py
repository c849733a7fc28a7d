"""From options to a running server: environment, models, page, signals."""

import errno
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from importlib.util import find_spec
from pathlib import Path

from demos.shell import tabs
from demos.shell.options import Options
from pipelines.runtime.device import set_environment_defaults

QUEUE_PLACES = 400  # of everything together; long jobs have their own line with fewer, see jobs.py
THREADS = 80
CLOSING_S = 6.0


def set_defaults() -> None:
    """Environment variables that torch and Gradio read while they are imported; one that is set stays."""
    set_environment_defaults()
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    user = os.getuid() if hasattr(os, "getuid") else "app"
    os.environ.setdefault("GRADIO_TEMP_DIR", str(Path(tempfile.gettempdir()) / f"camera-lucida-{user}"))


def build(only: str | None = None):
    """The page with all tabs, or with one."""
    set_defaults()
    from demos.shell import frame

    return frame.build(tabs.shown(only)).queue(max_size=QUEUE_PLACES)


def launch_options() -> dict:
    """What `launch` gets besides the address."""
    set_defaults()
    from demos.shell import look, words

    return {
        "theme": look.theme(),
        "css": look.CSS,
        "js": look.page_js(),
        "i18n": words.i18n(),
        "favicon_path": str(look.FAVICON),
        "footer_links": ["api"],
        "show_error": False,
        "max_file_size": "20mb",
        "max_threads": THREADS,
        "ssr_mode": False,
        "mcp_server": find_spec("mcp") is not None,
    }


def serve(chosen: Options) -> None:
    """Serve until stopped. A port that is in use ends the program with one line."""
    set_defaults()
    if refusal := refused(chosen.host, chosen.port):
        sys.exit(f"app.py: {refusal}")
    from pipelines.runtime import context

    context.configure(
        context.Settings(
            device=chosen.device,
            models=chosen.models,
            models_dir=chosen.models_dir,
            memory_gib=chosen.memory,
        )
    )
    sweep(Path(os.environ["GRADIO_TEMP_DIR"]))
    if chosen.warning:
        print(chosen.warning, file=sys.stderr, flush=True)
    signal.signal(signal.SIGTERM, _stop)
    address = {"server_name": chosen.host, "server_port": chosen.port, "share": chosen.share, "auth": chosen.auth}
    try:
        build(chosen.only).launch(**address, **launch_options())
    except KeyboardInterrupt:  # asked to end before the page was open
        sys.exit(130)


def sweep(folder: Path, *, older_than_s: float = 7200.0) -> None:
    """Remove what an earlier run left behind, for example when it was killed. Newer files may be another run's."""
    for path in folder.glob("*"):
        if time.time() - path.lstat().st_mtime > older_than_s:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def refused(host: str, port: int) -> str | None:
    """Why nothing can listen on this address, as a sentence; None when it is free."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except PermissionError:
            return f"port {port} needs administrator rights. Choose one above 1023: --port 7860"
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return f"port {port} is in use on {host}. Choose another one: --port {port % 65535 + 1}"
            return f"{host!r} is no address of this computer. Use --host 127.0.0.1 or --host 0.0.0.0"
    return None


def _stop(_signal, _frame) -> None:
    """End as after Ctrl-C; when a computation does not let go in time, end without it."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    timer = threading.Timer(CLOSING_S, os._exit, args=(143,))
    timer.daemon = True
    timer.start()
    raise KeyboardInterrupt
