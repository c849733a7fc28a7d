"""The catalogue file says what the libraries and the sources say."""

import importlib
import json
import math
import re

import pytest
from open_clip import create_model, get_pretrained_cfg

from pipelines.runtime import diffusion_files, local
from pipelines.runtime.catalogue import MODELS, Bundled, Hub, read_catalogue
from pipelines.runtime.errors import UserError
from pipelines.runtime.memory import module_bytes
from pipelines.runtime.weights import read_header

CATALOGUE = read_catalogue()
CLIPS = CATALOGUE.of_topic("zero_shot")
HUB = [entry for entry in CLIPS if isinstance(entry.source, Hub)]
BUNDLED = [entry for entry in CLIPS if isinstance(entry.source, Bundled)]


def ids(entries):
    return [entry.id for entry in entries]


def test_the_topic_has_its_bundled_pair_first():
    assert ids(CATALOGUE.of_topic("zero_shot"))[:2] == ["lucida-clip", "lucida-siglip"]
    assert ids(CATALOGUE.of_topic("zero_shot", role="twin"))[0] == "lucida-siglip"
    assert CATALOGUE.find("lucida-clip").role == "main"


def test_every_family_that_the_tab_promises_is_there():
    architectures = {entry.architecture for entry in HUB}
    assert {"ViT-B-32", "ViT-L-14", "ViT-B-16-SigLIP", "ViT-B-16-SigLIP2"} <= architectures
    assert any(name.startswith("MobileCLIP") for name in architectures)


@pytest.mark.parametrize("entry", HUB, ids=lambda entry: entry.id)
def test_repository_is_the_one_of_open_clips_own_table(entry):
    published = get_pretrained_cfg(entry.architecture, entry.pretrained)
    assert published["hf_hub"].rstrip("/") == entry.source.repo


@pytest.mark.parametrize("entry", HUB, ids=lambda entry: entry.id)
def test_hub_entries_are_pinned_and_hold_no_pickle(entry):
    assert re.fullmatch(r"[0-9a-f]{40}", entry.source.revision)
    assert all(name.endswith(".safetensors") for name in entry.source.weights)
    assert entry.source.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", entry.source.sha256)
    assert 0.9 < entry.bytes / (4 * entry.parameters) < 1.1


@pytest.mark.parametrize("entry", HUB, ids=lambda entry: entry.id)
def test_image_size_is_the_architectures(entry):
    config = json.loads(local.architectures()[entry.architecture].read_text())
    assert config["vision_cfg"]["image_size"] == entry.image_size


@pytest.mark.parametrize("entry", CATALOGUE.entries, ids=lambda entry: entry.id)
def test_loader_and_texts(entry):
    module, function = entry.loader.split(":")
    assert callable(getattr(importlib.import_module(module), function))
    assert entry.licence
    assert all(entry.title.values())
    for figure in entry.figures:
        assert figure.source
        assert set(figure.title) == {"en", "zh"}
        assert 0 < figure.value < 100


@pytest.mark.parametrize("entry", BUNDLED, ids=lambda entry: entry.id)
def test_bundled_entries_know_their_folder(entry):
    assert entry.folder == MODELS / entry.source.folder
    assert entry.weights == entry.folder / "model.safetensors"


@pytest.mark.parametrize("entry", BUNDLED, ids=lambda entry: entry.id)
def test_bundled_numbers_are_those_of_the_shipped_config(entry):
    module = create_model(f"local-dir:{entry.folder}", load_weights=False, pretrained_text=False)
    assert sum(parameter.numel() for parameter in module.parameters()) == entry.parameters
    assert module_bytes(module) == pytest.approx(entry.memory_bytes, rel=0.02)
    trunk = sum(parameter.numel() for parameter in module.visual.trunk.parameters())
    assert 2 * (entry.parameters - trunk) == pytest.approx(entry.bytes, rel=0.02)  # shipped in half precision


def test_unknown_model():
    with pytest.raises(UserError, match="model_unknown"):
        CATALOGUE.find("../../etc/passwd")


@pytest.mark.parametrize(
    "change",
    [
        ('role = "main"', 'role = "boss"'),
        ('kind = "hub"', 'kind = "ftp"'),
        ("licence", "license"),
        ('zh = "', 'cn = "'),
    ],
)
def test_a_wrong_file_names_the_entry(change, tmp_path):
    path = tmp_path / "catalogue.toml"
    path.write_text((MODELS / "catalogue.toml").read_text(encoding="utf-8").replace(*change), encoding="utf-8")
    with pytest.raises(ValueError, match="entry"):
        read_catalogue(path)


def test_an_id_given_twice_is_refused(tmp_path):
    path = tmp_path / "catalogue.toml"
    text = (MODELS / "catalogue.toml").read_text(encoding="utf-8")
    path.write_text(text.replace('"lucida-siglip"', '"lucida-clip"'), encoding="utf-8")
    with pytest.raises(ValueError, match="twice"):
        read_catalogue(path)


@pytest.mark.parametrize("entry", BUNDLED, ids=ids(BUNDLED))
def test_the_figure_of_a_bundled_model_is_the_one_in_its_card(entry):
    (figure,) = entry.figures
    card = (MODELS / figure.source).read_text(encoding="utf-8")
    (row,) = re.findall(r"^\| val photographs .*\| English \|.*$", card, re.MULTILINE)
    assert float(row.split("|")[5].split()[0]) == figure.value


def test_the_figures_of_the_bundled_sam_are_those_in_its_card():
    figures = {figure.name: figure for figure in CATALOGUE.find("lucida-sam").figures}
    card = (MODELS / figures["val_miou_1"].source).read_text(encoding="utf-8")
    row = re.search(r"^\| val: all four together .*$", card, re.MULTILINE)[0].split("|")
    columns = {"val_miou_1": 4, "val_miou_5": 5, "val_miou_box": 6}
    assert {name: float(row[place].split()[0]) for name, place in columns.items()} == {
        name: figure.value for name, figure in figures.items()
    }


@pytest.mark.parametrize("entry", [CATALOGUE.find(f"lucida-{name}") for name in ("vqgan", "vqvae")], ids=lambda e: e.id)
def test_the_figure_of_a_bundled_tokeniser_is_the_one_in_its_card(entry):
    (figure,) = entry.figures
    card = (MODELS / figure.source).read_text(encoding="utf-8")
    row = re.search(r"^\| the app's photographs.*\| tokens \|.*$", card, re.MULTILINE)[0].split("|")
    assert float(row[5].split()[0]) == figure.value


DIFFUSION = CATALOGUE.of_topic("text_to_image")
DIFFUSION_HUB = [entry for entry in DIFFUSION if isinstance(entry.source, Hub)]


def test_text_to_image_has_its_bundled_model_first_and_what_the_tab_promises():
    assert ids(CATALOGUE.of_topic("text_to_image", role="main")) == [
        "lucida-diffusion",
        "sd-1.5",
        "sd-turbo",
        "sdxl",
        "sdxl-turbo",
        "taiyi-sd-chinese",
    ]
    assert ids(CATALOGUE.of_topic("text_to_image", role="preview")) == ["taesd", "taesdxl"]


@pytest.mark.parametrize("entry", DIFFUSION_HUB, ids=lambda entry: entry.id)
def test_diffusion_entries_are_pinned_and_hold_no_pickle(entry):
    assert re.fullmatch(r"[0-9a-f]{40}", entry.source.revision)
    names = [name for choice in entry.source.choices for name in choice]
    assert all(name.endswith((".safetensors", ".json", ".txt")) for name in names)
    assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in entry.source.known_hashes.values())
    assert set(entry.source.known_hashes) <= set(names)
    assert entry.memory_bytes == 4 * entry.parameters


@pytest.mark.parametrize("entry", [e for e in DIFFUSION_HUB if e.role == "main"], ids=lambda entry: entry.id)
def test_every_part_of_a_diffusion_entry_is_downloaded(entry):
    family = diffusion_files.FAMILY_OF[entry.architecture]
    folders = {names[0].split("/")[0] for names in entry.source.choices} - {"model_index.json"}
    assert folders == set(diffusion_files.PARTS_OF[family])
    published = {name.split("/")[0]: name for names in entry.source.choices for name in names[:1] if "safet" in name}
    halves = all(".fp16." in name for name in published.values())
    assert 0.98 < entry.bytes / ((2 if halves else 4) * entry.parameters) < 1.02


def test_the_bundled_diffusion_numbers_are_those_of_its_files():
    entry = CATALOGUE.find("lucida-diffusion")
    assert entry.weights == entry.folder / "model_index.json"
    headers = [read_header(path) for path in entry.weight_files]
    tensors = [tensor for header in headers for tensor in header.values()]
    assert sum(math.prod(tensor.shape) for tensor in tensors) == pytest.approx(entry.parameters, rel=0.02)
    assert sum(path.stat().st_size for path in entry.folder.rglob("*")) == pytest.approx(entry.bytes, rel=0.05)
    assert entry.memory_bytes == pytest.approx(4 * entry.parameters, rel=0.02)


TOKENISE = CATALOGUE.of_topic("tokenise")
TOKENISE_HUB = [entry for entry in TOKENISE if isinstance(entry.source, Hub)]
DOWN, UP = "DownEncoderBlock2D", "UpDecoderBlock2D"
# What the repositories' config.json say, as far as it is not VQModel's default.
VQ_SHAPES = {
    "amused-256": {
        "block_out_channels": (128, 256, 256, 512, 768),
        "down_block_types": (DOWN,) * 5,
        "up_block_types": (UP,) * 5,
        "latent_channels": 64,
        "num_vq_embeddings": 8192,
        "mid_block_add_attention": False,
    },
    "kandinsky-movq": {
        "block_out_channels": (128, 256, 256, 512),
        "down_block_types": (DOWN,) * 3 + (f"Attn{DOWN}",),
        "up_block_types": (f"Attn{UP}",) + (UP,) * 3,
        "latent_channels": 4,
        "num_vq_embeddings": 16384,
        "norm_type": "spatial",
    },
    "ldm-vq-f4": {
        "block_out_channels": (128, 256, 512),
        "down_block_types": (DOWN,) * 3,
        "up_block_types": (UP,) * 3,
        "latent_channels": 3,
        "num_vq_embeddings": 8192,
    },
}


def test_tokenise_has_its_bundled_models_first_and_what_the_tab_promises():
    assert ids(CATALOGUE.of_topic("tokenise", role="main")) == ["lucida-vqgan", *VQ_SHAPES]
    assert ids(CATALOGUE.of_topic("tokenise", role="twin")) == ["lucida-vqvae"]
    assert ids(CATALOGUE.of_topic("tokenise", role="second_stage")) == ["lucida-masked", "amused-256-masked"]


@pytest.mark.parametrize("entry", TOKENISE_HUB, ids=lambda entry: entry.id)
def test_tokenise_entries_are_pinned_and_their_weights_known(entry):
    assert re.fullmatch(r"[0-9a-f]{40}", entry.source.revision)
    names = [name for choice in entry.source.choices for name in choice]
    assert set(entry.source.known_hashes) == {name for name in names if not name.endswith((".json", ".txt"))}
    assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in entry.source.known_hashes.values())
    halves = ".fp16." in entry.source.weights[0]
    assert entry.bytes == pytest.approx((2 if halves else 4) * entry.parameters, rel=0.01)
    assert entry.memory_bytes == 4 * entry.parameters
    pickles = [entry.source.known_hashes[name] for name in names if name.endswith(".bin")]
    assert set(pickles) <= {published.sha256 for published in CATALOGUE.published}


@pytest.mark.parametrize("model_id", VQ_SHAPES)
def test_the_parameters_of_a_published_vqmodel_are_those_of_its_shape(model_id):
    torch = pytest.importorskip("torch")
    from diffusers import VQModel

    with torch.device("meta"):
        module = VQModel(layers_per_block=2, **VQ_SHAPES[model_id])
    assert sum(parameter.numel() for parameter in module.parameters()) == CATALOGUE.find(model_id).parameters


def test_the_parameters_of_amuseds_second_stage_are_those_of_its_two_parts():
    torch = pytest.importorskip("torch")
    from diffusers import UVit2DModel
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    text = {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12, "projection_dim": 768}
    with torch.device("meta"):
        parts = UVit2DModel(sample_size=16), CLIPTextModelWithProjection(CLIPTextConfig(**text, num_hidden_layers=12))
    parameters = sum(parameter.numel() for part in parts for parameter in part.parameters())
    assert CATALOGUE.find("amused-256-masked").parameters == parameters


def test_a_figure_says_its_unit():
    figures = {figure.name: figure.text for figure in CATALOGUE.find("ldm-vq-f4").figures}
    assert figures == {"rfid": "0.58", "psnr": "27.43 dB"}
    assert CATALOGUE.find("clip-vit-b-32").figures[0].text == "66.6 %"
