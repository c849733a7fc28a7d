"""The command line of app.py. Every option is also an environment variable, which a Space can set."""

import argparse
import ipaddress
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from demos.shell.tabs import TABS

ABOUT = "Camera Lucida: see how vision models work, on a picture of your own."
AFTER = """\
Examples:
  python app.py                            open it for this computer only
  python app.py --port 8080                when port 7860 is in use
  python app.py --host 0.0.0.0 --auth me:a-long-password
                                           open it for your network, behind a password
  python app.py --models full --device cuda
                                           large models on a GPU; nothing is downloaded before you click

Each option can be an environment variable instead: LUCIDA_PORT=8080 is --port 8080, LUCIDA_MODELS_DIR is
--models-dir, LUCIDA_SHARE=1 is --share. An option on the command line comes first."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the person who starts the app chose."""

    host: str = "127.0.0.1"
    port: int = 7860
    share: bool = False
    auth: tuple[str, str] | None = None
    device: str = "auto"
    models: str = "auto"
    models_dir: Path | None = None
    memory: float = 4.0
    only: str | None = None

    @property
    def warning(self) -> str | None:
        """What to say when strangers can open the page without a password."""
        if self.auth or "SPACE_ID" in os.environ or not (self.share or not _is_loopback(self.host)):
            return None
        return (
            "Warning: everybody who can reach this address can use the app and this computer's processor. "
            "Add --auth USER:PASSWORD to ask for a password."
        )


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):
        """One line and exit code 2; argparse would print the whole usage before it."""
        print(f"app.py: {message}", file=sys.stderr)
        raise SystemExit(2)


def read(arguments: Sequence[str] | None = None, environment: Mapping[str, str] = os.environ) -> Options:
    """The options of the command line, then of the environment, then the defaults. Ends the program on a bad one."""
    parser = _parser("SPACE_ID" in environment)
    for action in parser._actions:
        if (value := environment.get(f"LUCIDA_{action.dest.upper()}", "")) and action.dest != "help":
            action.default = _from_environment(parser, action, value)
    return Options(**vars(parser.parse_args(arguments)))


def _parser(on_space: bool) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="app.py", description=ABOUT, epilog=AFTER, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--host", default="0.0.0.0" if on_space else "127.0.0.1", metavar="ADDRESS",
        help="address to listen on: 127.0.0.1 (this computer only) or 0.0.0.0 (your network)")  # fmt: skip
    add("--port", default=7860, type=_port, metavar="NUMBER", help="port to listen on (7860)")
    add("--share", action="store_true", help="also make a public address through Gradio's relay; needs the internet")
    add("--auth", default=None, type=_auth, metavar="USER:PASSWORD", help="ask visitors for this name and password")
    add("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"),
        help="where models compute: auto takes a GPU if there is one, else the processor")  # fmt: skip
    add("--models", default="auto", choices=("auto", "bundled", "full"),
        help="bundled: the small ones that come with the app; full: the large ones; auto: the large ones if there is "
        "a GPU and their files are here, else the small ones")  # fmt: skip
    add("--models-dir", default=None, type=_folder, metavar="DIR", help="a folder with model files of your own")
    add("--memory", default=4.0, type=_gibibytes, metavar="GIB", help="memory that loaded models may take, in GiB (4)")
    add("--only", default=None, choices=tuple(spec.id for spec in TABS), metavar="TAB",
        help="show this tab alone: " + ", ".join(spec.id for spec in TABS))  # fmt: skip
    return parser


def _from_environment(parser: argparse.ArgumentParser, action: argparse.Action, value: str):
    """The value of an environment variable, checked as on the command line."""
    name = f"LUCIDA_{action.dest.upper()}"
    if isinstance(action.const, bool):
        if value.lower() not in ("1", "true", "yes", "0", "false", "no"):
            parser.error(f"{name} must be 1 or 0, got {value!r}")
        return value.lower() in ("1", "true", "yes")
    try:
        value = action.type(value) if action.type else value
    except argparse.ArgumentTypeError as error:
        parser.error(f"{name}: {error}")
    if action.choices and value not in action.choices:
        parser.error(f"{name} must be one of {', '.join(action.choices)}, got {value!r}")
    return value


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"a port is a number from 1 to 65535, got {text!r}")
    return int(text)


def _auth(text: str) -> tuple[str, str]:
    user, colon, password = text.partition(":")
    if not (user and colon and password):
        raise argparse.ArgumentTypeError("give a name and a password with a colon between them, as in me:secret")
    return user, password


def _folder(text: str) -> Path:
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {text!r}")
    return Path(text).resolve()


def _gibibytes(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.1 <= value <= 10_000:
        raise argparse.ArgumentTypeError(f"memory is a number of GiB from 0.1 to 10000, got {text!r}")
    return value


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
