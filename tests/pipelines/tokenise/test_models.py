"""Each family of VQModel in and out, against diffusers' own forward pass; and how its files are loaded."""

from dataclasses import replace

import pytest
import torch

from pipelines.runtime.catalogue import read_catalogue
from pipelines.runtime.device import CPU
from pipelines.runtime.errors import UserError
from pipelines.tokenise import models
from pipelines.tokenise.models import TokeniseModel, codes_of, latents_of, load_folder, nearest, pictures_of
from tests.pipelines.runtime.sentences import sentence
from tests.pipelines.tokenise.published import FAMILIES, change_config, make, save

PICTURE = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module", params=FAMILIES)
def vq(request):
    return make(request.param)


@pytest.fixture
def f8():
    return make("ldm-f8")


def held(module) -> TokeniseModel:
    return TokeniseModel("x", module, "cpu", torch.float32)


def refused(function, *args, **kwargs) -> UserError:
    with pytest.raises(UserError) as caught:
        function(*args, **kwargs)
    assert sentence(caught.value)
    return caught.value


def test_nearest_is_the_nearest_in_float64(vq):
    latents = torch.randn(2, vq.quantize.vq_embed_dim, 5, 6)
    vectors, codes = latents.movedim(1, -1).double(), vq.quantize.embedding.weight.double()
    expected = (vectors[..., None, :] - codes).square().sum(dim=-1).argmin(dim=-1)
    assert torch.equal(nearest(vq, latents), expected)
    assert torch.equal(nearest(vq, latents).flatten(), vq.quantize(latents)[2][2])


def test_codes_come_back_as_their_own_indices(vq):
    indices = torch.randint(64, (2, 3, 4))
    assert torch.equal(nearest(vq, codes_of(vq, indices)), indices)


def test_the_path_through_indices_is_the_librarys(vq):
    cell, patch = held(vq).cell, held(vq).patch
    latents = latents_of(vq, PICTURE)
    assert latents.shape[2:] == (32 // cell, 48 // cell)
    indices = nearest(vq, latents)
    assert len(indices.unique()) > 1
    ours = pictures_of(vq, codes_of(vq, indices))
    theirs = vq(torch.nn.functional.pixel_unshuffle(PICTURE * 2 - 1, patch)).sample
    assert (ours - torch.nn.functional.pixel_shuffle(theirs, patch) / 2 - 0.5).abs().max() < 1e-5


def test_indices_are_painted_as_amuseds_own_pipeline_does():
    vq = make("amused")
    indices = torch.randint(64, (1, 3, 4))
    theirs = vq.decode(indices, force_not_quantize=True, shape=(1, 3, 4, vq.config.latent_channels)).sample
    assert (pictures_of(vq, codes_of(vq, indices)) - theirs / 2 - 0.5).abs().max() < 1e-5


def test_latents_that_are_no_codes_are_painted_as_they_are(vq):
    latents = torch.randn(1, vq.quantize.vq_embed_dim, 4, 5)
    assert not torch.allclose(pictures_of(vq, latents), pictures_of(vq, codes_of(vq, nearest(vq, latents))), atol=1e-3)
    if not vq.config.lookup_from_codebook:
        theirs = vq.decode(latents, force_not_quantize=True).sample
        theirs = torch.nn.functional.pixel_shuffle(theirs, held(vq).patch)
        assert (pictures_of(vq, latents) - theirs / 2 - 0.5).abs().max() < 1e-5


@pytest.mark.parametrize(
    ("family", "cell", "attends", "tile"),
    [
        ("patches", 8, None, 2048),
        ("ldm-f4", 4, 4, 256),
        ("ldm-f8", 4, 4, 256),
        ("movq", 4, 4, 256),
        ("amused", 8, None, 512),
    ],
)
def test_attention_takes_smaller_squares_at_once(family, cell, attends, tile):
    model = held(make(family))
    assert (model.cell, model.attends, model.tile) == (cell, attends, tile)
    assert model.tile % model.cell == 0


def test_attention_at_a_finer_level_counts_there():
    from diffusers import VQModel

    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
    blocks["up_block_types"] = ("UpDecoderBlock2D", "AttnUpDecoderBlock2D")  # the decoder ends with its finest level
    assert held(VQModel(**blocks, block_out_channels=(32, 32))).attends == 1


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("half", [False, True], ids=["whole", "fp16"])
def test_a_folder_is_loaded_strictly(family, half, tmp_path):
    module = make(family)
    weights = save(module, tmp_path, half=half)
    model = load_folder("tiny", tmp_path, placement=CPU, weights=weights.name)
    assert model.codes == 64
    assert model.dtype == torch.float32
    for name, values in model.module.state_dict().items():
        assert torch.equal(values, module.state_dict()[name].float()), name
    assert not any(parameter.requires_grad for parameter in model.module.parameters())


def test_weights_of_another_shape_are_refused(f8, tmp_path):
    save(f8, tmp_path)
    change_config(tmp_path, num_vq_embeddings=65)
    assert "quantize.embedding.weight" in refused(load_folder, "x", tmp_path, placement=CPU).values["wrong"]


@pytest.mark.parametrize(
    "change",
    [
        {"_class_name": "AutoencoderKL"},
        {"in_channels": 4},
        {"block_out_channels": [10**9] * 3},
        {"block_out_channels": []},
        {"layers_per_block": 10**9},
        {"num_vq_embeddings": -1},
        {"down_block_types": ["os.system"] * 3},
        {"norm_num_groups": 7},
        {"norm_type": "none"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_config_that_is_no_vqmodels_is_refused(change, f8, tmp_path):
    save(f8, tmp_path)
    change_config(tmp_path, **change)
    assert refused(load_folder, "x", tmp_path, placement=CPU).key == "errors.vq_config"


def test_a_folder_without_weights_or_config(f8, tmp_path):
    save(f8, tmp_path).write_bytes(b"no weights")
    assert refused(load_folder, "x", tmp_path, placement=CPU).key.startswith("errors.weights_")
    (tmp_path / "config.json").unlink()
    assert refused(load_folder, "x", tmp_path, placement=CPU).key == "errors.vq_config"


def old_names(module):
    """As diffusers 0.1.2 wrote them, and CompVis/ldm-celebahq-256 has them."""
    names = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    state = module.state_dict()
    for now, before in names.items():
        state = {name.replace(f".{now}.", f".{before}."): values for name, values in state.items()}
    return state


def test_a_published_pickle_with_the_names_of_2022(tmp_path, monkeypatch):
    module = make("ldm-f4")
    weights = save(module, tmp_path, pickled=True)
    torch.save(old_names(module), weights)
    assert refused(load_folder, "x", tmp_path, placement=CPU, weights=weights.name).key == "errors.weights_pickle"

    from pipelines.runtime.catalogue import Catalogue, Published
    from pipelines.runtime.manifest import sha256_of

    published = Catalogue((), (Published(weights.name, sha256_of(weights), "here"),))
    monkeypatch.setattr(models, "read_catalogue", lambda: published)
    model = load_folder("x", tmp_path, placement=CPU, weights=weights.name)
    assert (pictures_of(model.module, latents_of(model.module, PICTURE)) - old_answer(module)).abs().max() < 1e-5


def old_answer(module):
    return pictures_of(module, latents_of(module, PICTURE))


@pytest.mark.parametrize(
    ("family", "dtype", "expected"),
    [
        ("movq", "bfloat16", torch.float16),
        ("movq", "float32", torch.float32),
        ("amused", "bfloat16", torch.float32),  # its config says force_upcast
    ],
)
def test_half_precision_is_float16_and_none_where_the_model_overflows(family, dtype, expected, tmp_path):
    save(make(family), tmp_path)
    model = load_folder("x", tmp_path, placement=replace(CPU, dtype=dtype))
    assert model.dtype == expected
    assert {parameter.dtype for parameter in model.module.parameters()} == {expected}


HUB = [e for e in read_catalogue().of_topic("tokenise", role="main") if e.origin == "hub"]


@pytest.mark.parametrize("entry", HUB, ids=lambda entry: entry.id)
def test_an_entry_of_the_catalogue_is_found_in_its_repositorys_layout(entry, tmp_path, monkeypatch):
    """The loading code on tiny weights in the published folders: subfolder, fp16 variant, pickle."""
    from pipelines.runtime import hub

    weights = tmp_path / entry.id / entry.source.weights[0]
    module = make("amused")
    made = save(module, weights.parent, half=".fp16." in weights.name, pickled=weights.suffix == ".bin")
    assert made == weights
    found = hub.present(entry, models_dir=tmp_path)
    assert found.weights == weights
    monkeypatch.setattr(models, "read_published_pickle", lambda path, published: torch.load(path, weights_only=True))
    model = models.load(found, CPU)
    assert model.id == entry.id
    assert torch.equal(model.module.quant_conv.weight, module.quant_conv.weight.float())
