"""VQ models in the operator's folder: what is listed, loaded, and refused with which sentence."""

import pytest

pytest.importorskip("diffusers", reason="requirements.txt is not installed: no diffusers")

import torch
from safetensors.torch import save_file

from pipelines.runtime import vq_files
from pipelines.runtime.context import Runtime, Settings
from pipelines.runtime.local import list_folder
from pipelines.tokenise.convert import convert
from tests.pipelines.runtime.sentences import sentence
from tests.pipelines.tokenise.original_vqgan import OriginalVQGAN
from tests.pipelines.tokenise.published import change_config, make, save


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


def only(folder):
    (listed,) = list_folder(folder)
    reason = type("Said", (), {"key": listed.availability.reason_key, "values": listed.availability.values})
    return listed.entry, listed.availability, sentence(reason)


def load(folder, model_id):
    return Runtime(Settings(device="cpu", models_dir=folder)).load(model_id)


@pytest.mark.parametrize("half", [False, True], ids=["whole", "fp16"])
def test_a_vqmodel_folder_is_for_tokenise(folder, half):
    module = make("movq")
    weights = save(module, folder / "my movq", half=half)
    entry, availability, _ = only(folder)
    assert (availability.state, entry.id, entry.topic, entry.role) == ("ready", "local:my movq", "tokenise", "main")
    assert (entry.architecture, entry.image_size, entry.weights) == ("VQModel", 256, weights)
    assert entry.parameters == sum(parameter.numel() for parameter in module.parameters())
    assert entry.memory_bytes == 4 * entry.parameters
    assert load(folder, entry.id).codes == 64


def test_a_converted_checkpoint_is_listed_and_loaded(folder, tmp_path):
    torch.save({"state_dict": OriginalVQGAN().state_dict()}, tmp_path / "last.ckpt")
    convert(tmp_path / "last.ckpt", folder / "f16")
    entry, availability, _ = only(folder)
    assert (availability.state, entry.id, entry.topic) == ("ready", "local:f16", "tokenise")
    assert load(folder, entry.id).codes == 48


def test_a_file_with_the_original_names_is_listed_and_loaded(folder):
    save_file(OriginalVQGAN().state_dict(), folder / "any name.safetensors")
    entry, availability, _ = only(folder)
    assert (availability.state, entry.topic, entry.architecture) == ("ready", "tokenise", vq_files.ORIGINAL)
    assert load(folder, entry.id).codes == 48


def test_an_autoencoder_without_a_codebook_is_none(folder):
    state = {key: values for key, values in OriginalVQGAN().state_dict().items() if not key.startswith("quantize")}
    save_file(state, folder / "kl.safetensors")
    assert only(folder)[1].reason_key == "errors.single_part"


def test_the_models_picture_size_is_its_configs_where_that_says_one(folder):
    save(make("ldm-f8"), folder / "x")
    change_config(folder / "x", sample_size=512)
    assert only(folder)[0].image_size == 512
    change_config(folder / "x", sample_size=[160, 240])
    assert only(folder)[0].image_size == 256


def test_a_folder_with_a_pickle_alone_or_nothing(folder):
    weights = save(make("ldm-f4"), folder / "x", pickled=True)
    assert only(folder)[1].reason_key == "errors.weights_pickle"
    assert weights.name in only(folder)[2]
    weights.unlink()
    assert only(folder)[1].reason_key == "errors.vq_no_weights"


def test_a_config_with_impossible_numbers(folder):
    save(make("ldm-f4"), folder / "x")
    change_config(folder / "x", layers_per_block=10**12)
    assert only(folder)[1].reason_key == "errors.vq_config"


def test_M08_weights_that_lead_out_of_their_folder(folder, tmp_path):
    weights = save(make("ldm-f4"), folder / "x")
    weights.rename(tmp_path / "outside.safetensors")
    weights.symlink_to(tmp_path / "outside.safetensors")
    assert only(folder)[1].reason_key == "errors.local_outside"
