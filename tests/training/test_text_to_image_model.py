"""Schedule, loss weights and shapes of the text-to-image model, against closed forms and the library."""

from pathlib import Path

import diffusers
import pytest
import torch

from training import text_to_image
from training.text_to_image_model import (
    LEAST_ALPHA_BAR,
    ShapeConfig,
    create_scheduler,
    create_text_encoder,
    create_unet,
    load_tokenizer,
    tower_state,
)

TOKENIZER = Path(__file__).parents[2] / "assets/models/zero_shot/tokenizer"

# Schedule and loss


def test_schedule_ends_in_pure_noise_but_not_below_the_bound():
    alpha_bar = create_scheduler().alphas_cumprod
    assert 0.5 * LEAST_ALPHA_BAR < alpha_bar[-1] < 2 * LEAST_ALPHA_BAR
    assert (alpha_bar[1:] < alpha_bar[:-1]).all()
    usual = diffusers.DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear").alphas_cumprod
    assert alpha_bar[0].item() == pytest.approx(usual[0].item(), abs=1e-6)


@pytest.mark.parametrize(
    "name",
    [
        "DDIMScheduler",
        "DDPMScheduler",
        "EulerDiscreteScheduler",
        "EulerAncestralDiscreteScheduler",
        "HeunDiscreteScheduler",
        "DPMSolverMultistepScheduler",
        "UniPCMultistepScheduler",
        "LCMScheduler",
    ],
)
def test_every_sampler_takes_the_schedule(name):
    scheduler = getattr(diffusers, name).from_config(create_scheduler().config)
    assert scheduler.config.prediction_type == "v_prediction"
    torch.testing.assert_close(scheduler.alphas_cumprod.float(), create_scheduler().alphas_cumprod, rtol=1e-3, atol=0)
    scheduler.set_timesteps(10)
    x = torch.ones(1, 4, 2, 2) * scheduler.init_noise_sigma
    stepped = scheduler.step(torch.zeros_like(x), scheduler.timesteps[0], x).prev_sample
    assert torch.isfinite(stepped).all()


def test_v_gives_picture_and_noise_back():
    x, noise = torch.randn(2, 5, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    alpha_bar = torch.tensor([1.0, 0.9, 0.5, 0.1, 0.0])
    z, v = text_to_image.add_noise(x, noise, alpha_bar)
    alpha, sigma = alpha_bar.sqrt().view(-1, 1, 1, 1), (1 - alpha_bar).sqrt().view(-1, 1, 1, 1)
    torch.testing.assert_close(alpha * z - sigma * v, x)
    torch.testing.assert_close(sigma * z + alpha * v, noise)
    scheduler = create_scheduler()
    timesteps = torch.tensor([0, 100, 500, 900, 999])
    z, v = text_to_image.add_noise(x, noise, scheduler.alphas_cumprod[timesteps])
    torch.testing.assert_close(z, scheduler.add_noise(x, noise, timesteps))
    torch.testing.assert_close(v, scheduler.get_velocity(x, noise, timesteps))


def test_min_snr_weight_is_the_papers_above_its_floor():
    alpha_bar = torch.tensor([0.3, 0.9, 0.99])
    snr = alpha_bar / (1 - alpha_bar)
    weight = text_to_image.min_snr_weight(alpha_bar, limit=5.0, least=0.0)
    torch.testing.assert_close(weight, snr.clamp_max(5) / (snr + 1))
    assert text_to_image.min_snr_weight(torch.zeros(1), limit=5.0, least=0.1).item() == pytest.approx(0.1)


def test_batches_grow():
    assert [text_to_image.batch_at(p, text_to_image.batches_from(8)) for p in (0.0, 0.59, 0.6, 0.9)] == [8, 8, 16, 32]
    assert text_to_image.batch_at(0.9, text_to_image.batches_from(8, grow=False)) == 8


def test_draws_lean_to_noise():
    even = (torch.arange(1000) + 0.5) / 1000
    torch.testing.assert_close(text_to_image.lean_to_noise(even, 0.0), even)
    leaning = text_to_image.lean_to_noise(even, 0.6)
    assert (leaning > 0.5).float().mean().item() == pytest.approx(0.8, abs=0.002)  # 0.6, and half of the other 0.4
    assert leaning.diff().min() > 0
    assert 0 < leaning[0] < 0.01 < 0.99 < leaning[-1] < 1


# Models


def test_text_encoder_equals_the_towers_own():
    open_clip = pytest.importorskip("open_clip.transformer")
    tokenizer = load_tokenizer(TOKENIZER)
    shape = ShapeConfig(text_width=16, text_layers=2, text_heads=2)
    tower = open_clip.TextTransformer(
        context_length=32, vocab_size=len(tokenizer), width=16, heads=2, layers=2, output_dim=8, output_tokens=True
    ).eval()
    torch.nn.init.normal_(tower.positional_embedding)
    ours = create_text_encoder(shape, tokenizer).eval()
    ours.load_state_dict(tower_state({f"text.{name}": value for name, value in tower.state_dict().items()}))
    ids = text_to_image.Words(tokenizer, "cpu")(["a red apple", "红苹果"])
    assert ids.shape == (2, 32)
    with torch.no_grad():
        torch.testing.assert_close(ours(ids).last_hidden_state, tower(ids)[1], rtol=1e-4, atol=1e-5)


def test_the_usual_unet_attends_at_8_and_in_the_middle():
    unet = create_unet(ShapeConfig(), latent_channels=4, latent_px=16)
    assert sum(parameter.numel() for parameter in unet.parameters()) == pytest.approx(7.0e6, rel=0.05)
    attended = {name.split(".attentions")[0] for name, _ in unet.named_modules() if name.endswith("attn2")}
    assert attended == {"down_blocks.1", "mid_block", "up_blocks.1"}
