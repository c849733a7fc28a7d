"""Errors carry a key and values, read well in a notebook, and have their sentences."""

import re
from pathlib import Path

from pipelines.runtime.errors import Note, UserError
from tests.pipelines.runtime.sentences import SENTENCES

RUNTIME = Path(__file__).parents[3] / "pipelines/runtime"


def test_an_error_reads_well_without_its_sentence():
    error = UserError("errors.picture_too_heavy", size_mb=23.1, limit_mb=20)
    assert str(error) == "errors.picture_too_heavy (size_mb=23.1, limit_mb=20)"
    assert str(Note("errors.note_transparent")) == "errors.note_transparent"


def test_every_key_of_the_runtime_has_a_sentence():
    keys = set()
    for path in RUNTIME.glob("*.py"):
        keys |= set(re.findall(r'"errors\.([a-z0-9_]+)"', path.read_text(encoding="utf-8")))
    assert len(keys) > 50
    assert keys <= set(SENTENCES), sorted(keys - set(SENTENCES))
