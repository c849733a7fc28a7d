"""The levels Blocks and Numbers are worked out when they are looked at, and again when the answer is another one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from demos.shell import jobs, results
from demos.shell.components.starter import Starter


@dataclass(frozen=True)
class Writer:
    """What stands on a level. write(answered, request): the values of `outputs`, in their order."""

    write: Callable[[str, gr.Request], Sequence[Any]]
    outputs: Sequence[gr.components.Component]


def when_seen(page, switch: results.LevelSwitch, answered: gr.Textbox, *, blocks: Writer, numbers: Writer) -> None:
    """Call a writer when its level comes up, also by a link, and when `answered` changes while it is seen."""
    writers = {"blocks": blocks, "numbers": numbers}

    def on_level(level, answered, lang, request: gr.Request):
        if not isinstance(level, str) or level not in writers:
            return {blocks.outputs[0]: gr.skip()}
        writer = writers[level]
        return dict(zip(writer.outputs, writer.write(answered, request), strict=True))

    inputs, outputs = [switch, answered, page.lang], [*blocks.outputs, *numbers.outputs]
    opened = Starter(run=switch.value in writers)
    for event in (switch.change, answered.change, opened.start):
        event(jobs.short(on_level), inputs, outputs, **jobs.SHORT, trigger_mode="always_last")
