"""aMUSEd's second stage, made small, laid out as its repository is, against AmusedPipeline's own calls."""

import json
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("open_clip", reason="requirements.txt is not installed: no open_clip")

import torch
from diffusers import AmusedPipeline, AmusedScheduler, UVit2DModel
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

from pipelines.runtime import hub
from pipelines.runtime.catalogue import read_catalogue
from pipelines.runtime.device import CPU
from pipelines.runtime.errors import UserError
from pipelines.runtime.memory import module_bytes
from pipelines.tokenise import amused, fill
from tests.pipelines.runtime.sentences import sentence
from tests.pipelines.text_to_image.other_tokenizers import clip_tokenizer
from tests.pipelines.tokenise.published import make

ENTRY = read_catalogue().find("amused-256-masked")
CODES, MASK, WIDTH = 64, 71, 16
TEXT = "a red apple on a table"


def make_transformer() -> UVit2DModel:
    torch.manual_seed(0)
    widths = {"hidden_size": WIDTH, "cond_embed_dim": WIDTH, "encoder_hidden_size": WIDTH, "intermediate_size": 24}
    micro = {"micro_cond_encode_dim": 4, "micro_cond_embed_dim": 5 * 4}
    counts = {"num_res_blocks": 1, "block_num_heads": 1, "num_hidden_layers": 2, "num_attention_heads": 2}
    tokens = {"vocab_size": MASK + 1, "codebook_size": CODES, "in_channels": 8, "block_out_channels": 8}
    return UVit2DModel(**widths, **micro, **counts, **tokens, sample_size=4).eval()


def make_text_encoder() -> CLIPTextModelWithProjection:
    torch.manual_seed(1)
    shape = {"hidden_size": WIDTH, "intermediate_size": 20, "projection_dim": WIDTH, "vocab_size": 49408}
    return CLIPTextModelWithProjection(CLIPTextConfig(**shape, num_hidden_layers=3, num_attention_heads=2)).eval()


@pytest.fixture(scope="module")
def pipeline():
    parts = {"transformer": make_transformer(), "text_encoder": make_text_encoder(), "tokenizer": clip_tokenizer()}
    pipeline = AmusedPipeline(vqvae=make("amused"), scheduler=AmusedScheduler(mask_token_id=MASK), **parts)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.vae_scale_factor = amused.CELL  # the small autoencoder has fewer levels
    return pipeline


@pytest.fixture(scope="module")
def folder(pipeline, tmp_path_factory):
    """models/amused-256-masked/ as a download of the repository fills it."""
    models = tmp_path_factory.mktemp("models")
    home = models / ENTRY.id
    pipeline.transformer.half().save_pretrained(home / "transformer", variant="fp16")
    pipeline.text_encoder.half().save_pretrained(home / "text_encoder", variant="fp16")
    pipeline.transformer.float()
    pipeline.text_encoder.float()
    pipeline.scheduler.save_pretrained(home / "scheduler")
    (home / "tokenizer").mkdir()
    tokenizer = json.loads(pipeline.tokenizer.backend_tokenizer.to_str())["model"]
    merges = (" ".join(pair) for pair in tokenizer["merges"])
    (home / "tokenizer/vocab.json").write_text(json.dumps(tokenizer["vocab"]))
    (home / "tokenizer/merges.txt").write_text("\n".join(("#version: 0.2", *merges)))
    special = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
    special |= {"pad_token": "<|endoftext|>"}
    (home / "tokenizer/special_tokens_map.json").write_text(json.dumps(special))
    config = {"model_max_length": 77, "tokenizer_class": "CLIPTokenizer", "add_prefix_space": False, **special}
    (home / "tokenizer/tokenizer_config.json").write_text(json.dumps(config))
    return models


@pytest.fixture(scope="module")
def stage(folder):
    found = hub.present(ENTRY, models_dir=folder)
    assert found is not None  # every file that the catalogue names lies there, under that name
    return amused.load(found, CPU)


def test_the_layout_is_loaded_strictly(stage, pipeline):
    for name in ("transformer", "text_encoder"):
        theirs = getattr(pipeline, name).state_dict()
        ours = stage.module[name].state_dict()
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert (stage.side, stage.codes, stage.mask_token, stage.tokeniser) == (4, CODES, MASK, "amused-256")
    assert module_bytes(stage) == sum(module_bytes(part) for part in stage.module.values())


def calls_of(pipeline, grid, **settings) -> torch.Tensor:
    """The logits that AmusedPipeline's own call of its transformer gives in its first step, (B, h, w, codes)."""
    found = []
    hook = pipeline.transformer.register_forward_hook(lambda module, inputs, output: found.append(output))
    try:
        pipeline(latents=grid, num_inference_steps=1, output_type="latent", **settings)
    finally:
        hook.remove()
    return found[0].movedim(1, -1)


def test_logits_are_those_of_the_librarys_pipeline(stage, pipeline):
    grid = torch.randint(CODES, (1, 4, 4), generator=torch.Generator().manual_seed(2))
    hidden = torch.rand(1, 4, 4, generator=torch.Generator().manual_seed(3)) < 0.5
    theirs = calls_of(pipeline, torch.where(hidden, MASK, grid), prompt=TEXT, guidance_scale=5.0)
    asked = torch.where(hidden, stage.codes, grid)
    condition = torch.from_numpy(stage.read(TEXT))
    assert (stage.logits(asked, None) - theirs[:1]).abs().max() < 1e-5
    assert (stage.logits(asked, condition) - theirs[1:]).abs().max() < 1e-5
    assert (theirs[0] - theirs[1]).abs().max() > 1e-3


def test_several_windows_are_asked_at_once(stage):
    grids = torch.randint(CODES, (3, 4, 4))
    condition = torch.from_numpy(stage.read(TEXT))
    apart = torch.cat([stage.logits(grid[None], condition) for grid in grids])
    torch.testing.assert_close(stage.logits(grids, condition), apart, atol=1e-5, rtol=0)


def test_the_first_step_is_drawn_from_the_pipelines_guided_logits(stage, pipeline):
    """fill.py with this stage: the surest code of an empty grid, temperature 0, is the pipeline's likeliest one."""
    empty = torch.full((1, 4, 4), MASK)
    without, with_text = calls_of(pipeline, empty, prompt=TEXT, guidance_scale=3.0)
    shares = (without + 3.0 * (with_text - without)).softmax(dim=-1)
    hole = np.ones((4, 4), bool)
    condition = fill.read(stage, TEXT)
    (filled,) = fill.fill(
        stage, np.zeros((4, 4), int), hole, condition=condition, guidance=3.0, steps=1, temperature=0.0
    )
    assert np.array_equal(filled.indices, shares.argmax(dim=-1).numpy())
    assert np.abs(filled.confidence - shares.max(dim=-1).values.numpy()).max() < 1e-5


def test_a_hole_in_a_larger_grid_is_filled(stage):
    grid = np.random.default_rng(0).integers(0, CODES, (5, 7))
    hole = np.zeros((5, 7), bool)
    hole[1:4, 2:6] = True
    *_, last = fill.fill(stage, grid, hole, steps=4, seed=1)
    assert np.array_equal(last.indices[~hole], grid[~hole])
    assert last.indices.max() < CODES
    assert last.left == 0


def test_a_file_that_is_missing_or_wrong(folder, tmp_path):
    import shutil

    home = tmp_path / ENTRY.id
    shutil.copytree(folder / ENTRY.id, home)
    entry = hub.present(ENTRY, models_dir=tmp_path)
    config = home / "transformer/config.json"
    config.write_text(config.read_text().replace(f'"codebook_size": {CODES}', '"codebook_size": 63'))
    with pytest.raises(UserError) as caught:
        amused.load(entry, CPU)
    assert "mlm_layer" in caught.value.values["wrong"]
    (home / "scheduler/scheduler_config.json").write_text("{}")
    with pytest.raises(UserError) as caught:
        amused.load(replace(entry, folder=home), CPU)
    assert ENTRY.id in sentence(caught.value)
