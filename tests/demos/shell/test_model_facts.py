"""What is said of a model before anything is downloaded."""

from demos.shell import model_facts, model_switch
from pipelines.runtime.catalogue import Availability, read_catalogue


def test_a_model_names_its_figures_and_what_it_would_fetch():
    entry = read_catalogue().find("clip-vit-b-32")
    html = model_facts.one(
        entry, Availability("download", "errors.available_download", {}, entry.bytes), measured_ms=None
    )
    assert "66.6 %" in html and "openclip_results.csv" in html and html.count("605.1 MB") >= 2 and "MIT" in html


def test_a_model_that_cannot_be_used_says_why():
    entry = read_catalogue().find("clip-vit-b-32")
    why = Availability("missing", "errors.available_no_package", {"package": "<b>thing</b>"})
    assert "&lt;b&gt;thing" in model_facts.one(entry, why, measured_ms=1234.0)


def test_the_chosen_model_is_marked_among_all():
    entries = model_switch.entries("zero_shot")
    rows = [(entry, Availability("ready", "errors.available_bundled"), 12.0) for entry in entries]
    html = model_facts.side_by_side(rows, chosen=entries[1].id)
    assert html.count("<tr>") == len(entries) and html.count('<tr class="on">') == 1
    assert html.index(entries[1].title["en"]) > html.index('class="on"') > html.index(entries[0].title["en"])
