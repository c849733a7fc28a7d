"""The command line and its environment variables."""

from pathlib import Path

import pytest

from demos.shell import options
from demos.shell.options import Options, read


def test_defaults_are_for_this_computer_only():
    assert read([], {}) == Options()
    assert read([], {"SPACE_ID": "a/b"}).host == "0.0.0.0"


def test_every_option_has_an_environment_variable(tmp_path):
    environment = {
        "LUCIDA_HOST": "0.0.0.0", "LUCIDA_PORT": "7901", "LUCIDA_SHARE": "1", "LUCIDA_AUTH": "me:a:b",
        "LUCIDA_DEVICE": "cpu", "LUCIDA_MODELS": "bundled", "LUCIDA_MODELS_DIR": str(tmp_path),
        "LUCIDA_MEMORY": "2.5", "LUCIDA_ONLY": "zero_shot",
    }  # fmt: skip
    assert read([], environment) == Options(
        host="0.0.0.0", port=7901, share=True, auth=("me", "a:b"), device="cpu", models="bundled",
        models_dir=tmp_path.resolve(), memory=2.5, only="zero_shot",
    )  # fmt: skip
    assert read(["--port", "7902"], environment).port == 7902
    assert read([], {"LUCIDA_SHARE": "0", "LUCIDA_PORT": ""}) == Options()


WRONG = [
    (["--port", "70000"], {}, "70000"),
    (["--port", "x"], {}, "'x'"),
    (["--auth", "nocolon"], {}, "colon"),
    (["--device", "tpu"], {}, "tpu"),
    (["--memory", "nan"], {}, "nan"),
    (["--memory", "0"], {}, "0.1"),
    (["--models-dir", "/no/such/folder"], {}, "/no/such/folder"),
    (["--only", "none"], {}, "none"),
    (["--hots", "x"], {}, "--hots"),
    ([], {"LUCIDA_PORT": "0"}, "LUCIDA_PORT"),
    ([], {"LUCIDA_DEVICE": "tpu"}, "LUCIDA_DEVICE"),
    ([], {"LUCIDA_SHARE": "maybe"}, "LUCIDA_SHARE"),
]


@pytest.mark.parametrize(("arguments", "environment", "named"), WRONG)
def test_a_wrong_value_is_one_clear_line(arguments, environment, named, capsys):
    with pytest.raises(SystemExit) as end:
        read(arguments, environment)
    told = capsys.readouterr().err
    assert end.value.code == 2
    assert named in told and told.startswith("app.py: ") and told.count("\n") == 1


def test_help_names_every_option_and_variable(capsys):
    with pytest.raises(SystemExit) as end:
        read(["--help"], {})
    told = capsys.readouterr().out
    assert end.value.code == 0
    for field in Options.__dataclass_fields__:
        assert f"--{field.replace('_', '-')}" in told
    assert "LUCIDA_PORT" in told


@pytest.mark.parametrize(
    ("chosen", "warned"),
    [
        (Options(), False),
        (Options(host="localhost"), False),
        (Options(host="::1"), False),
        (Options(host="0.0.0.0"), True),
        (Options(host="192.168.1.5"), True),
        (Options(share=True), True),
        (Options(host="0.0.0.0", auth=("a", "b")), False),
    ],
)
def test_an_open_door_is_warned_of(chosen, warned, monkeypatch):
    monkeypatch.delenv("SPACE_ID", raising=False)
    assert bool(chosen.warning) is warned
    monkeypatch.setenv("SPACE_ID", "a/b")
    assert chosen.warning is None


def test_options_are_told_by_the_readme():
    readme = (Path(options.__file__).parents[2] / "README.md").read_text("utf-8")
    for field in Options.__dataclass_fields__:
        assert f"--{field.replace('_', '-')}" in readme
