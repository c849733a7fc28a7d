"""The example as code."""


def snippet(level: int) -> str:
    """The lines that compute what the tab shows."""
    return f"from pipelines.example import brightness\n\nprint(brightness({level}))\n"
