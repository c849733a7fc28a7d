"""The manifest of bundled files: S11, a file that is missing, cut, or altered by one bit, is refused."""

import subprocess
from pathlib import Path

import pytest

from pipelines.runtime import manifest
from pipelines.runtime.catalogue import MODELS
from pipelines.runtime.errors import UserError
from tests.pipelines.runtime.sentences import sentence


@pytest.fixture
def models(tmp_path) -> Path:
    folder = tmp_path / "topic" / "small"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(bytes(range(200)))
    (folder / "open_clip_config.json").write_text("{}")
    (folder / "CARD.md").write_text("a card may change")
    (tmp_path / "catalogue.toml").write_text("")
    assert manifest.write_manifest(tmp_path) == 2
    return tmp_path


def test_unaltered_files_pass_and_the_card_may_change(models):
    (models / "topic/small/CARD.md").write_text("another card")
    manifest.check_folder("topic/small", models=models)


def test_sha256sum_reads_it(models):
    done = subprocess.run(["sha256sum", "--check", manifest.NAME], cwd=models, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_S11_one_bit(models):
    path = models / "topic/small/model.safetensors"
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        manifest.check_folder("topic/small", models=models)
    assert caught.value.key == "errors.bundled_altered"
    assert caught.value.values["found"] != caught.value.values["expected"]
    assert "topic/small/model.safetensors" in sentence(caught.value)


@pytest.mark.parametrize("share", [0, 0.5])
def test_S11_cut(models, share):
    path = models / "topic/small/model.safetensors"
    path.write_bytes(path.read_bytes()[: int(200 * share)])
    with pytest.raises(UserError, match="bundled_altered"):
        manifest.check_folder("topic/small", models=models)


def test_S11_missing(models):
    (models / "topic/small/open_clip_config.json").unlink()
    with pytest.raises(UserError, match="bundled_missing"):
        manifest.check_folder("topic/small", models=models)


def test_a_folder_that_is_not_listed_is_missing(models):
    with pytest.raises(UserError, match="bundled_missing"):
        manifest.check_folder("topic/sma", models=models)


def test_weights_that_are_not_listed_are_missing(models):
    (models / "topic/small/other.safetensors").write_bytes(b"x")
    with pytest.raises(UserError, match=r"small/other\.safetensors"):
        manifest.check_folder("topic/small", models=models, needed=("other.safetensors",))


def test_the_shipped_manifest_is_true():
    assert manifest.read_manifest() == manifest.list_files(MODELS)
