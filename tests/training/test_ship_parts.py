import pytest
import torch
from safetensors.torch import save_file

from pipelines.runtime.manifest import sha256_of
from training.ship_parts import check_measured, numbers_in, put, stage


def test_a_folder_is_put_in_place_of_the_old_one_or_the_old_one_stays(tmp_path):
    source, folder = tmp_path / "run", tmp_path / "shipped"
    (source / "part").mkdir(parents=True)
    (source / "part/weights").write_bytes(b"x" * 100)
    folder.mkdir()
    (folder / "old").write_bytes(b"")
    for limits, reason in (({"most": 99}, "100 bytes in all"), ({"most": 100, "most_a_file": 99}, "weights")):
        with pytest.raises(ValueError, match=reason):
            put(stage(source, folder), folder, **limits)
        assert (folder / "old").exists()
    assert put(stage(source, folder), folder, most=100) == 100
    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["weights"]
    assert not (tmp_path / "shipped.part").exists()


def test_figures_belong_to_their_weights(tmp_path):
    weights = tmp_path / "model.safetensors"
    save_file({"a": torch.zeros(2, 3), "b": torch.zeros(())}, weights)
    assert numbers_in(weights) == 7
    check_measured({"weights": sha256_of(weights)}, weights)
    with pytest.raises(ValueError, match="other weights"):
        check_measured({"weights": "0" * 64}, weights)
