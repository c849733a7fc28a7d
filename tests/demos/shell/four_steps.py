"""The four steps of CONTRIBUTING.md, done with the example tab in a copy of the app.

The copy has two tabs of it, in two chapters, so that bars, lazy tabs and "Send to" have something to move between.
"""

import shutil
from pathlib import Path

REPO = Path(__file__).parents[3]
EXAMPLE = Path(__file__).parent / "example"
NAMES = ("example", "second")


CATALOGUE_ENTRY = """
[[model]]
id = "example-grey"
topic = "example"
role = "main"
title = { en = "Grey, 8 bit", zh = "8 位灰度" }
source = { kind = "bundled", folder = "example" }
loader = "pipelines.example:load"
architecture = "a division"
licence = "Apache-2.0"
parameters = 1
bytes = 100
memory_bytes = 100
image_size = 8
"""


def copy_of_the_app(folder: Path) -> Path:
    """What the app needs to run, copied."""
    skip = shutil.ignore_patterns("__pycache__", "*.pyi")
    for name in ("demos", "pipelines", "assets"):
        shutil.copytree(REPO / name, folder / name, ignore=skip)
    shutil.copy(REPO / "app.py", folder)
    return folder


def four_steps(folder: Path) -> None:
    """Add both tabs, each by the four steps."""
    for name in NAMES:
        add_packages(folder, name)
        add_to_registry(folder, name)
        add_to_catalogue(folder, name)
    append(folder / "demos/shell/words.toml", 'chapter_second = {en = "More", zh = "更多"}')
    append(folder / "demos/shell/errors.toml", 'example_level = {en = "At most {most}, please.", zh = "最多 {most}。"}')


def add_packages(folder: Path, name: str) -> None:
    """Steps 1 and 2: a package in pipelines/ and one in demos/."""
    shutil.copytree(EXAMPLE / "pipelines", folder / "pipelines" / "example", dirs_exist_ok=True)
    target = folder / "demos" / name
    shutil.copytree(EXAMPLE / "demos", target, ignore=shutil.ignore_patterns("__pycache__"))
    for path in target.iterdir():
        text = path.read_text("utf-8")
        for old in ("demos.example", '"example.', "'example.", '{"example"'):
            text = text.replace(old, old.replace("example", name))
        path.write_text(text.replace("Example", name.capitalize()), "utf-8")


def add_to_registry(folder: Path, name: str) -> None:
    """Step 3: a line in demos/shell/tabs.py."""
    path = folder / "demos/shell/tabs.py"
    takes = '("prompt",)' if name == "example" else '("picture", "prompt")'
    chapter = "models" if name == "example" else name
    line = f'    TabSpec(id="{name}", chapter="{chapter}", module="demos.{name}.tab", takes={takes}),\n'
    before, after = path.read_text("utf-8").split("TABS = (\n")
    inside, after = after.split("\n)\n", 1)
    path.write_text(f"{before}TABS = (\n{inside}\n{line})\n{after}", "utf-8")


def add_to_catalogue(folder: Path, name: str) -> None:
    """Step 4: an entry in the catalogue, and a stored result."""
    append(folder / "assets/models/catalogue.toml", CATALOGUE_ENTRY.replace("example", name, 2))
    stored = folder / "assets/stored" / name
    stored.mkdir(parents=True)
    (stored / "grey.json").write_text('{"share": 0.251}', "utf-8")


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text("utf-8") + "\n" + text + "\n", "utf-8")
