"""The page: header, chapters, tabs. A tab is laid out when it is first opened, once a visit.

A tab module has `build(page: Page) -> None` and `API: dict[str, Callable]`. It may have `warm() -> None`, called once
in the background after its first layout, to import and load what its first computation needs; and a file `page.js`
beside it may be given to its own components.
"""

import functools
import json
import threading
from dataclasses import dataclass

import gradio as gr

from demos.shell import jobs, links, parcels, sessions
from demos.shell.links import PRIVATE, Link
from demos.shell.tabs import TabSpec
from demos.shell.words import LANGUAGES, say, spans, t

DELETE_AFTER_S = 3600  # Gradio's temporary files: uploads, results
API_AT_ONCE = 4


@dataclass(frozen=True)
class Page:
    """What a tab gets from the frame.

    lang: hidden, "en" or "zh"; the last input of each handler that may fail or speak.
    link: the settings of the address that opened the tab, read with `links.number` and its like.
    inbox: its `.change` brings a `parcels.Parcel` for this tab. outbox: where `parcels.send_menu` puts one.
    tabs: every tab of this page.
    """

    tab: str
    lang: gr.Textbox
    link: Link
    inbox: parcels.Box
    outbox: parcels.Box
    tabs: tuple[TabSpec, ...]


def build(specs: tuple[TabSpec, ...]) -> gr.Blocks:
    """The whole page with these tabs."""
    with gr.Blocks(title="Camera Lucida", fill_width=True, delete_cache=(600, DELETE_AFTER_S)) as demo:
        lang = gr.Textbox("en", visible="hidden", elem_id="lang")
        outbox = parcels.Box()
        note = _header(lang)
        chapters, bars, opened, titles = _chapters(specs, lang, outbox)
        _footer()
        places = [chapters, *bars.values()]
        plan = json.dumps({spec.id: spec.chapter for spec in specs})
        start = f"() => lucida.start({plan})"
        demo.load(None, None, [lang, note, *places, *opened.values()], js=start, **PRIVATE)
        outbox.change(None, outbox, places, js=f"parcel => lucida.send(parcel, {plan})", **PRIVATE)
        names = json.dumps({code: [say(key, code) for key in titles] for code in LANGUAGES})
        lang.change(None, lang, list(titles.values()), js=f"now => lucida.titles(now, {names})", **PRIVATE)
        demo.unload(sessions.forget)
        _api(specs)
    return demo


def _header(lang: gr.Textbox) -> gr.HTML:
    """Name, motto and the two switches. Returns the line for notes about the address."""
    with gr.Row(elem_id="head"):
        gr.HTML(f"<h1>Camera Lucida</h1><p>{spans('shell.motto')}</p>", elem_id="brand")
        switch = gr.Button("中文 / EN", size="sm", elem_id="switch", min_width=60)
        theme = gr.Button(t("shell.theme"), size="sm", elem_id="theme", min_width=60)
    switch.click(None, lang, lang, js="now => lucida.language(now === 'zh' ? 'en' : 'zh')", **PRIVATE)
    theme.click(None, js="() => lucida.theme()", **PRIVATE)
    return gr.HTML("", elem_id="note")


def _chapters(specs, lang, outbox):
    """The bars. Returns chapters' bar, {chapter: its bar}, {tab: hidden `opened`}, {title key: component}."""
    names = tuple(dict.fromkeys(spec.chapter for spec in specs))
    bars, opened, titles = {}, {}, {}
    with gr.Tabs(elem_id="chapters", elem_classes=_alone(names)) as chapters:
        for name in names:
            inside = [spec for spec in specs if spec.chapter == name]
            with gr.Tab(t(f"shell.chapter_{name}"), id=name) as chapter:
                titles[f"shell.chapter_{name}"] = chapter
                with gr.Tabs(elem_classes=_alone(inside)) as bars[name]:
                    for spec in inside:
                        titles[spec.title], opened[spec.id] = _lazy_tab(spec, lang, outbox, specs)
            first = inside[0].id
            chapter.select(None, None, opened[first], js=f"() => lucida.open('{first}')", **PRIVATE)
    return chapters, bars, opened, titles


def _alone(things) -> list[str]:
    """A bar with one entry would be an ornament: the style sheet hides it."""
    return ["lucida-alone"] if len(things) == 1 else []


def _lazy_tab(spec: TabSpec, lang, outbox, specs):
    """A tab rendered once, when `opened` gets the address it was opened by. Returns the tab and `opened`."""
    with gr.Tab(t(spec.title), id=spec.id, elem_id=f"tab-{spec.id}") as tab:
        opened = gr.Textbox("", visible="hidden")

        @gr.render(inputs=[opened], triggers=[opened.change], show_progress="hidden")
        def content(address):
            if address:
                try:
                    _lay_out(spec, address, lang, outbox, specs)
                except Exception as error:  # a tab that cannot be laid out must say so
                    told = jobs.explained(error)
                    gr.HTML(f'<p class="lucida-note" role="alert">{spans(told.key, **told.values)}</p>')

        tab.select(None, None, opened, js=f"() => lucida.open('{spec.id}')", **PRIVATE)
    return tab, opened


def _lay_out(spec: TabSpec, address: str, lang, outbox, specs) -> None:
    """Build the tab, with a note on the settings of the address that it could not use."""
    link = links.parse(address)
    link = link if link.get("tab") == spec.id else Link({"lang": link.get("lang", "en")})
    gr.HTML(f'<h2 class="lucida-title">{spans(spec.title)}</h2>')
    with gr.Column(elem_classes="lucida-notes") as notes:
        pass
    inbox = parcels.Box(tab=spec.id)
    spec.load().build(Page(spec.id, lang, link, inbox, outbox, specs))
    if link.ignored:
        with notes:
            names = ", ".join(name[:40] for name in link.ignored)
            gr.HTML(f'<p class="lucida-note">{spans("shell.link_ignored", names=names)}</p>')
    _warm(spec)


@functools.cache
def _warm(spec: TabSpec) -> None:
    """Call the tab's `warm` once, in the background: the page already shows a stored result."""
    if warm := getattr(spec.load(), "warm", None):
        threading.Thread(target=warm, name=f"warm-{spec.id}", daemon=True).start()


def _footer() -> None:
    gr.HTML(f"<p>{spans('shell.privacy')}</p>", elem_id="foot")


def _api(specs) -> None:
    """The named functions of every tab, for the Python client, REST and MCP."""
    for spec in specs:
        for name, function in spec.load().API.items():
            gr.api(jobs.api(function), api_name=name, concurrency_id="api", concurrency_limit=API_AT_ONCE)
