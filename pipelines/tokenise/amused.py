"""aMUSEd's own second stage (arXiv 2401.01808) with the face of the bundled one: ``second_stage.SecondStage``.

A U-shaped transformer over 16 x 16 codes of aMUSEd's autoencoder, steered by a CLIP text encoder of its own: the text's
pooled feature goes into every norm, its penultimate hidden states into cross-attention. It also wants to be told the
picture's size, its crop and how beautiful it is (micro-conditioning, arXiv 2307.01952, section 2.2).

The transformer, the text encoder and what they are given are those of diffusers' ``AmusedPipeline``; steps, drawing
and holes are fill.py's, so that both stages fill in the same way.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import UVit2DModel
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizer

from pipelines.runtime.device import Placement
from pipelines.runtime.errors import UserError
from pipelines.runtime.weights import load_strict, read_safetensors
from pipelines.tokenise.pairs import SPEAKS

CELL = 16  # pixels a token, of aMUSEd's autoencoder
CROP = (0, 0)
BEAUTY = 6  # of 10, by LAION's classifier: what AmusedPipeline says where it is not told
NOT_USED = "text_model.embeddings.position_ids"  # 0, 1, 2, ...; older files hold it


@dataclass(frozen=True, eq=False)
class AmusedStage:
    """A loaded stage. tokeniser: id of the autoencoder whose codes it speaks. reader: itself; see ``read``.

    module: transformer and text encoder. mask_token: what the transformer calls a hidden code. nothing: what no text
    reads as, (1 + T, D) float32.
    """

    id: str
    tokeniser: str
    reader: str
    module: nn.ModuleDict
    tokenizer: CLIPTokenizer
    mask_token: int
    nothing: torch.Tensor
    device: str
    dtype: torch.dtype

    @property
    def side(self) -> int:
        """Rows, and columns, of the grid that it was trained on."""
        return self.module["transformer"].config.sample_size

    @property
    def codes(self) -> int:
        """Number of codes; also the index that stands for a hidden one."""
        return self.module["transformer"].config.codebook_size

    def read(self, text: str) -> np.ndarray:
        """What a text says to the transformer, the pooled feature above the hidden states: (1 + T, D) float32."""
        return encode(self.module["text_encoder"], self.tokenizer, text).cpu().numpy()

    @torch.inference_mode()
    def logits(self, grids: torch.Tensor, condition: torch.Tensor | None) -> torch.Tensor:
        """Logits of every code at every place.

        Args:
            grids: (B, side, side) int64, ``codes`` where a code is hidden.
            condition: (1 + T, D) float32 as ``read`` gives it, for all of them, or None.

        Returns:
            (B, side, side, codes) float32, on the stage's device.
        """
        said = self.nothing if condition is None else condition
        said = said.to(self.device, self.dtype).expand(len(grids), -1, -1)
        grids = grids.to(self.device)
        px = grids.shape[1] * CELL
        micro = torch.tensor([px, px, *CROP, BEAUTY], device=self.device, dtype=self.dtype)
        logits = self.module["transformer"](
            torch.where(grids == self.codes, self.mask_token, grids),
            micro_conds=micro.expand(len(grids), -1),
            pooled_text_emb=said[:, 0],
            encoder_hidden_states=said[:, 1:],
        )
        return logits.movedim(1, -1).float()


@torch.inference_mode()
def encode(text_encoder: CLIPTextModelWithProjection, tokenizer: CLIPTokenizer, text: str) -> torch.Tensor:
    """The pooled feature above the penultimate hidden states, (1 + T, D) float32; longer texts are cut at T tokens."""
    tokens = tokenizer(
        [text], return_tensors="pt", padding="max_length", truncation=True, max_length=tokenizer.model_max_length
    )
    found = text_encoder(tokens.input_ids.to(text_encoder.device), return_dict=True, output_hidden_states=True)
    return torch.cat([found.text_embeds, found.hidden_states[-2][0]]).float()


def load(entry, placement: Placement) -> AmusedStage:
    """Load the stage from its repository's layout. The runtime calls this under its lock, once a model.

    Raises:
        UserError: ``errors.amused_files``; ``errors.weights_*`` for weights that are missing, altered or do not fit.
    """
    folder = entry.folder
    try:
        transformer = UVit2DModel.from_config(UVit2DModel.load_config(folder / "transformer"))
        config = CLIPTextConfig.from_pretrained(folder / "text_encoder", local_files_only=True)
        text_encoder = CLIPTextModelWithProjection(config)
        tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
        mask_token = json.loads((folder / "scheduler/scheduler_config.json").read_text("utf-8"))["mask_token_id"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError("errors.amused_files", name=folder.name) from error
    state = read_safetensors(weights_of(folder / "text_encoder", "model"))
    state.pop(NOT_USED, None)
    load_strict(text_encoder, state, name="text_encoder")
    load_strict(transformer, read_safetensors(entry.weights), name=entry.weights.name)
    dtype = torch.float16 if placement.dtype in ("float16", "bfloat16") else placement.torch_dtype
    module = nn.ModuleDict({"transformer": transformer, "text_encoder": text_encoder})
    module = module.eval().requires_grad_(False).to(placement.device, dtype)
    nothing = encode(module["text_encoder"], tokenizer, "")
    speaks = SPEAKS[entry.id]
    return AmusedStage(entry.id, *speaks, module, tokenizer, mask_token, nothing, placement.device, dtype)


def weights_of(folder: Path, stem: str) -> Path:
    """The half-precision file where there is one, else the whole one."""
    half = folder / f"{stem}.fp16.safetensors"
    return half if half.is_file() else folder / f"{stem}.safetensors"
