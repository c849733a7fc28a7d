"""What a fresh clone, a Space and a packager rely on."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "assets" / "examples"
MAX_FILE_BYTES = int(9.5 * 2**20)
TARGETS = ("run", "test", "lint", "format", "stored", "manifest", "screenshots", "bench", "train-zero_shot")


def tracked_files() -> list[Path]:
    try:
        listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout: what is tracked is unknown")
    return [ROOT / name for name in listing.split("\0") if name and (ROOT / name).is_file()]


def pins(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))


def front_matter() -> dict:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return yaml.safe_load(re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)[1])


def examples() -> list[dict]:
    return tomllib.loads((EXAMPLES / "examples.toml").read_text(encoding="utf-8"))["example"]


def test_the_licence_is_apache_2():
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text and "Version 2.0, January 2004" in text and "END OF TERMS AND CONDITIONS" in text


def test_a_space_gets_what_the_requirements_pin():
    space = front_matter()
    assert space["sdk"] == "gradio"
    assert space["sdk_version"] == pins("requirements.txt")["gradio"]
    assert (ROOT / space["app_file"]).is_file()
    assert space["license"] == "apache-2.0"
    assert tuple(map(int, space["python_version"].split("."))) >= (3, 11)


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt", "requirements-mcp.txt"])
def test_every_requirement_is_pinned(name):
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    wanted = [line for line in lines if line and not line.startswith(("#", "-r "))]
    assert wanted and all(re.fullmatch(r"[\w.\[\]-]+==[\w.]+", line) for line in wanted)


def test_training_pins_nothing_that_the_app_pins():
    assert not pins("requirements.txt").keys() & pins("training/requirements.txt").keys()
    assert {"diffusers", "accelerate"} <= pins("requirements.txt").keys()


def test_the_mcp_extra_is_the_same_gradio():
    assert pins("requirements-mcp.txt")["gradio[mcp]"] == pins("requirements.txt")["gradio"]


@pytest.mark.parametrize("target", TARGETS)
def test_make_knows(target):
    command = ["make", "--dry-run", target, f"PYTHON={sys.executable}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_make_says_what_is_missing_when_no_python_fits(tmp_path):
    (tmp_path / "Makefile").write_bytes((ROOT / "Makefile").read_bytes())
    (tmp_path / "requirements.txt").write_text("")
    done = subprocess.run(["make", "run", "PYTHON="], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0
    assert "needs Python 3.11 or newer" in done.stdout


def test_no_tracked_file_is_too_large_for_a_space():
    assert {path.name: path.stat().st_size for path in tracked_files() if path.stat().st_size > MAX_FILE_BYTES} == {}


def test_nothing_that_a_run_makes_is_tracked():
    made = re.compile(r"(^|/)(__pycache__|\.venv|runs|\.gradio)/|\.pyi$|\.py[cod]$")
    names = [path.relative_to(ROOT).as_posix() for path in tracked_files()]
    assert [name for name in names if made.search(name)] == []


def test_no_text_names_the_machine_it_was_written_on():
    here = {str(ROOT.parent) + "/", str(Path.home()) + "/"} - {"//", "/tmp/"}
    hits = [
        path.relative_to(ROOT).as_posix()
        for path in tracked_files()
        if path.suffix in {".py", ".md", ".toml", ".js", ".css", ".html", ".txt", ".tsv", ".json"}
        and any(name in path.read_text(encoding="utf-8") for name in here)
    ]
    assert hits == []


def test_every_picture_is_an_example_with_a_credit():
    pictures = {path.name for path in EXAMPLES.iterdir() if path.suffix in {".jpg", ".png", ".webp"}}
    credits = (EXAMPLES / "CREDITS.md").read_text(encoding="utf-8")
    named = [example[field] for example in examples() for field in ("file", "masks") if field in example]
    assert pictures == set(named)
    assert pictures == set(re.findall(r"^\| `([^`]+)` \|", credits, re.MULTILINE))


def test_masks_fit_their_picture_and_name_every_region():
    (entry,) = [example for example in examples() if "masks" in example]
    with Image.open(EXAMPLES / entry["file"]) as picture, Image.open(EXAMPLES / entry["masks"]) as masks:
        assert picture.size == masks.size
        present = {value for _, value in masks.getcolors()} - {0}
    objects = [set(one["regions"]) for one in entry["objects"]]
    assert set.union(*objects) == present
    assert any(a < b for a in objects for b in objects)
    assert all(one["name"].keys() == {"en", "zh"} for one in entry["objects"])


@pytest.mark.parametrize("example", examples(), ids=lambda example: example["file"])
def test_an_example_is_small_and_equal_in_both_languages(example):
    with Image.open(EXAMPLES / example["file"]) as picture:
        assert max(picture.size) <= 768
        assert not picture.getexif()
    english, chinese = example["labels"]["en"].split(", "), example["labels"]["zh"].split("，")
    assert len(english) == len(set(english)) == len(chinese) == len(set(chinese)) >= 8
    for key in ("title", "credit"):
        assert example[key]["en"] and example[key]["zh"]
    if truth := example.get("truth"):
        assert english.index(truth["en"]) == chinese.index(truth["zh"])
