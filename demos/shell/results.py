"""What stands beside every result, the same in every tab: levels, provenance, the code, the download.

Three levels: Picture (the result), Blocks (the model's parts as they worked on this input), Numbers (the formula with
the live values). Moving between them asks the server for nothing.
"""

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import gradio as gr

from demos.shell import jobs, models
from demos.shell.links import PRIVATE, choice
from demos.shell.words import spans, t

LEVELS = ("picture", "blocks", "numbers")
SOURCES = ("bundled", "local", "hub")


# Radio buttons of one name, so that arrow keys move between them; gr.Radio gives each button a name of its own.
_SWITCH_JS = """
const root = element.closest(".lucida-leveled"), radios = [...element.querySelectorAll("input")];
const show = () => {
  root.dataset.level = props.value;
  radios.forEach((radio) => { radio.name = root.id; radio.checked = radio.value === props.value; });
};
radios.forEach((radio) => { radio.onchange = () => { props.value = radio.value; show(); trigger("change"); }; });
watch("value", show);
show();
"""


class LevelSwitch(gr.HTML):
    """The three levels as one control; its value is the name of a level."""

    def __init__(self, value: str = LEVELS[0], **kwargs):
        options = "".join(
            f'<label><input type="radio" value="{name}"><span>{spans(f"shell.level_{name}")}</span></label>'
            for name in LEVELS
        )
        template = f'<fieldset><legend class="lucida-unseen">{spans("shell.level")}</legend>{options}</fieldset>'
        super().__init__(
            value,
            html_template=template,
            js_on_load=_SWITCH_JS,
            apply_default_css=False,
            elem_classes="lucida-levels",
            **kwargs,
        )

    def api_info(self) -> dict:
        return {"type": "string", "enum": list(LEVELS)}


@dataclass(frozen=True)
class Levels:
    """The switch (a setting to put into a link) and the three columns to lay a tab's results into."""

    switch: LevelSwitch
    picture: gr.Column
    blocks: gr.Column
    numbers: gr.Column


def levels(page) -> Levels:
    """Lay out the switch and three columns: `with results.levels(page).picture: ...`. Reads `level` of the link."""
    with gr.Column(elem_id=f"levels-{page.tab}", elem_classes="lucida-leveled"):
        switch = LevelSwitch(choice(page.link, "level", LEVELS[0], LEVELS))
        columns = [gr.Column(elem_classes=["lucida-level", f"lucida-level-{name}"]) for name in LEVELS]
    return Levels(switch, *columns)


def actions() -> gr.Row:
    """A row for the small buttons under a result: link, download, send to."""
    return gr.Row(elem_classes="lucida-actions")


def provenance(
    *,
    live: bool,
    title: Mapping[str, str],
    source: str,
    device: str,
    dtype: str,
    reason: tuple[str, Mapping] | None = None,
    ms: float | None = None,
    seed: int | None = None,
) -> str:
    """The line under a result as HTML in both languages: live or stored, model, source, device and why, time, seed.

    title: {"en", "zh"}. source: bundled, local or hub. reason: key and values of the sentence that says why this
    device. ms: milliseconds that the computation took.
    """
    state = "live" if live else "stored"
    parts = [
        f'<strong class="lucida-{state}">{spans(f"shell.{state}")}</strong>',
        spans("shell.model", title=title),
        spans(f"shell.source_{source}"),
        f'<span class="numbers">{html.escape(device)}, {html.escape(dtype)}</span>',
    ]
    if ms is not None:
        parts.append(f'<span class="numbers">{milliseconds(ms)}</span>')
    if seed is not None:
        parts.append(spans("shell.seed", seed=seed))
    line = '<span class="dot" aria-hidden="true"> · </span>'.join(parts)
    why = f"<details><summary>{spans('shell.why')}</summary>{spans(reason[0], **reason[1])}</details>" if reason else ""
    return f'<div class="lucida-provenance">{line}{why}</div>'


def computed(
    model_id: str, *, ms: float, live: bool, device: str = "", dtype: str = "", seed: int | None = None
) -> str:
    """The provenance line of what a model of the catalogue computed.

    device, dtype: of a stored result, which was computed elsewhere: why there is not its question. Of a live one they
    are this process's own where nothing is given.
    """
    runtime = models.runtime()
    entry, placement = runtime.catalogue.find(model_id), runtime.placement if live else None
    return provenance(
        live=live,
        title=entry.title,
        source=entry.origin,
        device=device or placement.device,
        dtype=dtype or placement.dtype,
        reason=(placement.reason_key, placement.reason_values) if placement else None,
        ms=ms,
        seed=seed,
    )


def running(prefix: str) -> tuple[gr.HTML, gr.Button]:
    """The line that says how far long work is, and its Cancel; seen only while there is something to say."""
    with gr.Row(elem_id=f"{prefix}-running", elem_classes="lucida-actions lucida-running"):
        status = jobs.status_line(elem_id=f"{prefix}-status")
        stop = gr.Button(t("shell.cancel"), size="sm", visible=False, elem_id=f"{prefix}-stop")
    return status, stop


def milliseconds(ms: float) -> str:
    """A duration for the page: "4.2 ms", "137 ms", "2.4 s"."""
    if ms >= 1000:
        return f"{ms / 1000:.1f} s"
    return f"{ms:.1f} ms" if ms < 10 else f"{ms:.0f} ms"


def copy_as_python(code: str = "") -> gr.HTML:
    """Lay out a closed "Copy as Python"; give the component `snippet(code)` whenever the result changes."""
    with gr.Accordion(t("shell.python"), open=False, elem_classes="lucida-python"):
        return gr.HTML(snippet(code))


def snippet(code: str) -> str:
    """The code as HTML with a button that copies it."""
    copy = f'<button type="button" class="lucida-copy" data-copy>{spans("shell.copy")}</button>'
    return f'<div class="lucida-code">{copy}<pre><code>{html.escape(code)}</code></pre></div>'


_FETCH = (
    """url => { if (!url) return; const a = document.createElement("a"); a.href = url; a.download = ""; a.click(); }"""
)


def wire_saving(button: gr.Button, handler: Callable, inputs: Sequence) -> None:
    """Let a button save a file that is made when it is asked for: the handler gives its address (`arrays.address`)."""
    address = gr.Textbox("", visible="hidden")
    made = button.click(jobs.short(handler), list(inputs), address, **jobs.SHORT)
    made.success(None, address, None, js=_FETCH, **PRIVATE)


def download(value: str | None = None, **kwargs) -> gr.DownloadButton:
    """The button that saves the result; an event gives it the path of a file in the session's folder."""
    return gr.DownloadButton(t("shell.download"), value=value, size="sm", min_width=60, **kwargs)
