"""Real diffusers pipelines, small enough to draw in a few hundredths of a second, with random weights."""

import copy
import dataclasses
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from diffusers import (
    AutoencoderTiny,
    DDIMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import AutoTokenizer, CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from pipelines.runtime.device import CPU
from pipelines.text_to_image.models import TextToImageModel, wrap
from training.text_to_image_model import (
    Painter,
    ShapeConfig,
    create_pipeline,
    create_text_encoder,
    create_unet,
    load_tokenizer,
)

TOKENIZER = Path(__file__).parents[3] / "assets/models/zero_shot/tokenizer"
SHAPE = ShapeConfig(channels=(8, 16), attention=(1,), heads=2, text_width=16, text_layers=1, text_heads=2)
LATENT_PX = 8  # 64 px


def make_tokenizer():
    """The bilingual tokenizer, 32 tokens long."""
    tokenizer = load_tokenizer(TOKENIZER)
    tokenizer.model_max_length = 32
    return tokenizer


def make_vae() -> AutoencoderTiny:
    """(B, 3, 8h, 8w) <-> (B, 4, h, w)."""
    return AutoencoderTiny(
        encoder_block_out_channels=(8,) * 4,
        decoder_block_out_channels=(8,) * 4,
        num_encoder_blocks=(0, 0, 1, 1),
        num_decoder_blocks=(1, 1, 0, 0),
        scaling_factor=0.9,
    )


def make_pipeline(
    *, prediction: str = "v_prediction", time_cond: int | None = None, seed: int = 5
) -> StableDiffusionPipeline:
    """A pipeline of the bundled model's kind: 4 x 8 x 8 latents, 64 px, 32 tokens.

    time_cond: width of the guidance scale's embedding in a consistency model.
    """
    torch.manual_seed(seed)
    tokenizer = make_tokenizer()
    unet = create_unet(SHAPE, latent_channels=4, latent_px=LATENT_PX)
    if time_cond is not None:
        unet = UNet2DConditionModel.from_config(unet.config, time_cond_proj_dim=time_cond)
    pipeline = create_pipeline(Painter(create_text_encoder(SHAPE, tokenizer), unet), make_vae(), tokenizer)
    if prediction != "v_prediction":
        pipeline.scheduler = stable_diffusion_scheduler(prediction)
    return pipeline


def stable_diffusion_scheduler(prediction: str = "epsilon") -> DDIMScheduler:
    """The schedule that Stable Diffusion 1.5 is published with."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type=prediction,
        timestep_spacing="leading",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )


def make_xl_pipeline(*, seed: int = 6) -> StableDiffusionXLPipeline:
    """A pipeline of SDXL's kind: two text encoders, pooled text and sizes as further conditions; 64 px."""
    torch.manual_seed(seed)
    unet = UNet2DConditionModel(
        sample_size=LATENT_PX,
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=(2, 4),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        transformer_layers_per_block=(1, 1),
        projection_class_embeddings_input_dim=16 + 6 * 8,
        cross_attention_dim=32,
        norm_num_groups=8,
    )
    tokenizer = make_tokenizer()
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        projection_dim=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=32,
        hidden_act="gelu",
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    pipeline = StableDiffusionXLPipeline(
        vae=make_vae(),
        text_encoder=CLIPTextModel(config),
        text_encoder_2=CLIPTextModelWithProjection(config),
        tokenizer=tokenizer,
        tokenizer_2=AutoTokenizer.from_pretrained(TOKENIZER, model_max_length=32),
        unet=unet,
        scheduler=stable_diffusion_scheduler(),
        add_watermarker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture(scope="session")
def tiny_pipeline() -> StableDiffusionPipeline:
    """v-prediction, zero terminal SNR, as the bundled model."""
    return make_pipeline()


@pytest.fixture(scope="session")
def tiny_epsilon_pipeline() -> StableDiffusionPipeline:
    """Noise prediction on Stable Diffusion's schedule."""
    return make_pipeline(prediction="epsilon")


@pytest.fixture(scope="session")
def tiny_model(tiny_pipeline) -> TextToImageModel:
    """``tiny_pipeline`` as the app holds it."""
    return wrap("tiny", tiny_pipeline, CPU)


@pytest.fixture(scope="session")
def tiny_epsilon_model(tiny_epsilon_pipeline) -> TextToImageModel:
    """``tiny_epsilon_pipeline`` as the app holds it."""
    return wrap("tiny-epsilon", tiny_epsilon_pipeline, CPU)


@pytest.fixture(scope="session")
def tiny_xl_pipeline() -> StableDiffusionXLPipeline:
    """SDXL's kind."""
    return make_xl_pipeline()


@pytest.fixture(scope="session")
def tiny_xl_model(tiny_xl_pipeline) -> TextToImageModel:
    """``tiny_xl_pipeline`` as the app holds it."""
    return wrap("tiny-xl", tiny_xl_pipeline, CPU)


class GaussianUNet(torch.nn.Module):
    """Knows the answer: what a perfect model predicts when every latent is drawn from N(mean, std^2).

    p(x_t) = N(sqrt(a) mean, a std^2 + 1 - a), so that eps = sqrt(1 - a) (x_t - sqrt(a) mean) / (a std^2 + 1 - a).
    The first half of a doubled batch (without the prompt) has the mean ``uncond_mean``.
    """

    def __init__(self, scheduler, *, mean: float, std: float, uncond_mean: float | None):
        super().__init__()
        self.alpha_bar, self.prediction = scheduler.alphas_cumprod.double(), scheduler.config.prediction_type
        self.mean, self.std, self.uncond_mean = mean, std, uncond_mean
        self.config = SimpleNamespace(time_cond_proj_dim=None, sample_size=LATENT_PX, in_channels=4)
        self.dtype = torch.float32

    def forward(self, x_t, timestep, *, encoder_hidden_states, return_dict):
        alpha_bar = float(self.alpha_bar[int(timestep)])
        mean = torch.full((len(x_t), 1, 1, 1), self.mean)
        if len(encoder_hidden_states) > 1 and self.uncond_mean is not None:
            mean[: len(x_t) // 2] = self.uncond_mean
        variance = alpha_bar * self.std**2 + 1 - alpha_bar
        eps = (1 - alpha_bar) ** 0.5 * (x_t - alpha_bar**0.5 * mean) / variance
        x0 = mean + alpha_bar**0.5 * self.std**2 * (x_t - alpha_bar**0.5 * mean) / variance
        velocity = alpha_bar**0.5 * eps - (1 - alpha_bar) ** 0.5 * x0
        return ({"epsilon": eps, "sample": x0, "v_prediction": velocity}[self.prediction],)


@pytest.fixture
def make_gaussian(tiny_model):
    """make_gaussian(mean, std, uncond_mean=None, prediction="v_prediction") -> model with a ``GaussianUNet``."""

    def make(mean: float, std: float, *, uncond_mean: float | None = None, prediction: str = "v_prediction"):
        pipeline = copy.copy(tiny_model.pipeline)
        pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config, prediction_type=prediction)
        pipeline.unet = GaussianUNet(pipeline.scheduler, mean=mean, std=std, uncond_mean=uncond_mean)
        return dataclasses.replace(tiny_model, id="gaussian", pipeline=pipeline, prediction=prediction)

    return make
