"""The rules of the house (DESIGN.md, section 4): each is a function of the repository's folder, and holds for it.

Rules 5 to 8 (weights, pictures, escaping, files) are tested beside the code that keeps them.
"""

import ast
import importlib.util
import re
import string
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from demos.shell import words

REPO = Path(__file__).parents[1]
MODEL_LIBRARIES = ("torch", "torchvision", "timm", "open_clip", "transformers", "diffusers")
SPEAKING = ("t", "say", "spans", "svg_spans")  # functions of words.py whose first argument is a key
WORDY = ("label", "placeholder", "info", "title", "description", "submit_btn", "stop_btn")
FACED = ("Markdown", "Button", "Tab", "Accordion", "DownloadButton", "UploadButton", "HTML", "Label")
NOT_SENTENCES = ("Camera Lucida", "中文 / EN")  # the name, and the switch that is itself in both languages


def sources(folder: Path, *parts: str) -> Iterator[tuple[Path, ast.Module]]:
    """(path, syntax tree) of every Python file below the parts of the folder."""
    for part in parts:
        for path in sorted((folder / part).rglob("*.py")):
            yield path, ast.parse(path.read_text("utf-8"))


def imported(tree: ast.Module) -> set[str]:
    """Full names of what a module imports, also inside its functions."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def registry(folder: Path):
    """The tabs of a folder's registry."""
    spec = importlib.util.spec_from_file_location(f"registry_{abs(hash(folder))}", folder / "demos/shell/tabs.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module.TABS


def wrong_imports(folder: Path) -> list[str]:
    """Rule 1: who imports what it must not."""
    tabs = {spec.id for spec in registry(folder)}
    wrong = []
    for path, tree in sources(folder, "pipelines"):
        wrong += [f"{path}: {name}" for name in imported(tree) if name.split(".")[0] in ("gradio", "demos")]
    for path, tree in sources(folder, "demos"):
        own = path.relative_to(folder / "demos").parts[0]
        for name in imported(tree):
            parts = name.split(".")
            if parts[0] == "demos" and len(parts) > 1 and parts[1] in tabs - {own} and own in {*tabs, "shell"}:
                wrong.append(f"{path}: {name}")
    return wrong


def missing_keys(folder: Path) -> list[str]:
    """Rule 3: keys that code uses and no words file has, or whose {values} the code does not give."""
    table, wrong = words.read(folder / "demos"), []
    for path, tree in sources(folder, "demos", "pipelines"):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                wrong += [f"{path}:{node.lineno}: {why}" for why in wrong_key(node, table)]
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                is_error = re.fullmatch(r"errors\.(?!toml)[a-z0-9_]+", node.value)
                begun = node.value.endswith("_") and any(key.startswith(node.value) for key in table)
                unknown = is_error and node.value not in table and not begun
                wrong += [f"{path}:{node.lineno}: {node.value}"] if unknown else []
    return wrong


def wrong_key(call: ast.Call, table: dict) -> Iterator[str]:
    """What is wrong with the key of a call of t, say, spans, UserError or Note, if it is one."""
    name = called(call)
    if name not in (*SPEAKING, "UserError", "Note") or not call.args:
        return
    key = call.args[0]
    if isinstance(key, ast.JoinedStr):
        pattern = "".join(re.escape(p.value) if isinstance(p, ast.Constant) else r".+" for p in key.values)
        if not any(re.fullmatch(pattern, known) for known in table):
            yield f"no key like {pattern}"
    elif isinstance(key, ast.Constant) and isinstance(key.value, str):
        if key.value not in table:
            yield f"no key {key.value}"
        elif name != "t" and not any(keyword.arg is None for keyword in call.keywords):
            given = {keyword.arg for keyword in call.keywords}
            needed = words.fields(table[key.value]["en"])
            if name != "Note" and needed - given:
                yield f"{key.value} needs {sorted(needed - given)}"


def called(call: ast.Call) -> str:
    """The last name of what is called: "Button" for gr.Button(...)."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def written(node: ast.AST | None) -> str:
    """The text that a literal shows: without tags and entities, without what is filled in."""
    if isinstance(node, ast.JoinedStr):
        node = ast.Constant("".join(p.value if isinstance(p, ast.Constant) else " " for p in node.values))
    if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
        return ""
    text = re.sub(r"<[^>]*>|&\w+;", " ", node.value)
    for allowed in NOT_SENTENCES:
        text = text.replace(allowed, "")
    return text.strip()


def literal_sentences(folder: Path) -> list[str]:
    """Rule 3: literals that reach a component, and Chinese anywhere in code, besides words files."""
    wrong = []
    for path, tree in sources(folder, "demos"):
        documentation = {id(node) for node in docstrings(tree)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                shown = [keyword.value for keyword in node.keywords if keyword.arg in WORDY]
                shown += node.args[:1] if called(node) in FACED and on_gradio(node) else []
                wrong += [f"{path}:{node.lineno}: {text}" for text in map(written, shown) if re.search(r"\w\w", text)]
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
                chinese = re.search(r"[\u4e00-\u9fff]", node.value)
                wrong += [f"{path}:{node.lineno}: {node.value}"] if chinese and written(node) else []
    return wrong


def on_gradio(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and getattr(call.func.value, "id", "") == "gr"


def docstrings(tree: ast.Module) -> Iterator[ast.Constant]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                yield first.value


def undocumented(folder: Path) -> list[str]:
    """Rule 4: public functions, methods and classes of pipelines without a docstring; modules as well."""
    wrong = []
    for path, tree in sources(folder, "pipelines"):
        if tree.body and not ast.get_docstring(tree):
            wrong.append(f"{path}: module")
        for node in tree.body:
            inside = node.body if isinstance(node, ast.ClassDef) else []
            for item in [node, *inside]:
                public = isinstance(item, ast.FunctionDef | ast.ClassDef) and not item.name.startswith("_")
                if public and not ast.get_docstring(item):
                    wrong.append(f"{path}: {item.name}")
    return wrong


def incomplete_tabs(folder: Path, *, browser_tests: Path) -> list[str]:
    """Rule 4: what a tab of the registry lacks."""
    table, wrong = words.read(folder / "demos"), []
    for spec in registry(folder):
        home = folder / Path(*spec.module.split(".")[:-1])
        api = [node for node in ast.walk(ast.parse((home / "tab.py").read_text("utf-8"))) if is_api(node)]
        has = {
            "title": f"{spec.id}.title" in table,
            "chapter": f"shell.chapter_{spec.chapter}" in table,
            "snippet": (home / "snippet.py").is_file(),
            "stored result": any((folder / "assets/stored" / spec.id).glob("*")),
            "API name": bool(api),
            "browser test": (browser_tests / f"test_{spec.id}.py").is_file(),
        }
        wrong += [f"{spec.id}: no {name}" for name, there in has.items() if not there]
    return wrong


def is_api(node: ast.AST) -> bool:
    """Whether a statement sets or imports `API`, and if it sets it, to something that is not empty."""
    if isinstance(node, ast.ImportFrom):
        return any(alias.name == "API" or alias.asname == "API" for alias in node.names)
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    named = any(getattr(target, "id", "") == "API" for target in targets)
    return named and not (isinstance(node.value, ast.Dict) and not node.value.keys)


def test_imports_point_one_way():
    assert wrong_imports(REPO) == []


def test_no_model_library_is_imported_with_the_page():
    """Rule 2, in a process of its own: importing the shell, then the tabs, then building the page."""
    code = f"""if True:
        import importlib, pkgutil, sys
        import app
        import demos.shell
        for module in pkgutil.iter_modules(demos.shell.__path__):
            importlib.import_module(f"demos.shell.{{module.name}}")
        app.build()
        print([name for name in {MODEL_LIBRARIES} if name in sys.modules])
    """
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_every_key_has_its_sentences_and_values():
    assert missing_keys(REPO) == []


def test_every_words_file_is_complete():
    assert len(words.read(REPO / "demos")) > 50  # read() checks each pair


def test_no_literal_sentence_reaches_a_component():
    assert literal_sentences(REPO) == []


def test_public_functions_of_pipelines_are_documented():
    assert undocumented(REPO) == []


def test_every_tab_is_complete():
    assert incomplete_tabs(REPO, browser_tests=REPO / "tests/browser") == []


@pytest.mark.parametrize("part", ["app.py", "demos", "pipelines", "training", "benchmarks", "tests"])
def test_files_and_functions_stay_short(part):
    paths = [REPO / part] if part.endswith(".py") else sorted((REPO / part).rglob("*.py"))
    for path in paths:
        text = path.read_text("utf-8")
        assert text.count("\n") <= 400, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 45, f"{path}: {node.name}"


def test_the_checks_find_what_they_look_for(tmp_path):
    """Each check is shown a folder that breaks every rule."""
    (tmp_path / "demos/shell").mkdir(parents=True)
    (tmp_path / "demos/a").mkdir()
    (tmp_path / "pipelines").mkdir()
    lines = "".join(f'    TabSpec(id="{n}", chapter="c", module="demos.{n}.tab"),\n' for n in "ab")
    tabs = (REPO / "demos/shell/tabs.py").read_text("utf-8")
    (tmp_path / "demos/shell/tabs.py").write_text(re.sub(r"TABS = \(.*?\n\)", f"TABS = (\n{lines})", tabs, flags=re.S))
    (tmp_path / "demos/a/tab.py").write_text('import demos.b\ngr.Button("Go on")\nsay("a.none", lang)\nAPI = {}\n')
    (tmp_path / "demos/b").mkdir()
    (tmp_path / "demos/b/tab.py").write_text('UserError("errors.none")\nspans("b.title")\nx = "\u732b"\n')
    (tmp_path / "demos/b/words.toml").write_text('title = {en = "B {n}", zh = "B {n}"}')
    (tmp_path / "pipelines/p.py").write_text("import gradio\ndef f():\n    pass\n")
    assert len(wrong_imports(tmp_path)) == 2
    assert len(missing_keys(tmp_path)) == 4  # no a.none; b.title without n; errors.none as key and as text
    assert len(literal_sentences(tmp_path)) == 2
    assert len(undocumented(tmp_path)) == 2
    assert len(incomplete_tabs(tmp_path, browser_tests=tmp_path)) == 11


def test_words_with_a_missing_language_or_other_values_are_refused():
    for pair in ({"en": "A"}, {"en": "A", "zh": " "}, {"en": "{n}", "zh": "{m}"}, "A"):
        with pytest.raises(ValueError, match=r"x\.y"):
            words.check("x.y", pair)
    assert set(string.ascii_lowercase[:2]) == words.fields("{a} and {b:.2f}")
