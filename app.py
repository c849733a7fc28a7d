"""Camera Lucida: options -> page -> server. `python app.py --help` tells the options."""

from demos.shell import options, server


def build(only: str | None = None):
    """The page as Gradio Blocks, ready to be launched with `launch_options()`."""
    return server.build(only)


def launch_options() -> dict:
    """What `launch` gets besides the address: the same in production and in tests."""
    return server.launch_options()


if __name__ == "__main__":
    server.serve(options.read())
