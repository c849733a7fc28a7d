import pytest
import torch
from segment_anything.modeling.common import LayerNorm2d
from segment_anything.modeling.image_encoder import Attention

from pipelines.runtime.device import Placement
from pipelines.segment.models import SamConfig, create_sam
from pipelines.segment.speed import FusedAttention, FusedNorm2d, compute_dtype, fuse_attention, fuse_norms

TINY = SamConfig(
    image_size=96, width=16, depth=2, heads=2, window=5, global_blocks=(1,), out_channels=16, decoder_mlp=16
)


def randomised(module: torch.nn.Module) -> torch.nn.Module:
    """Relative positions start at zero, where nothing could go wrong with them."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return module.eval()


@pytest.mark.parametrize(("height", "width"), [(6, 6), (4, 7)])
def test_fused_attention_equals_the_librarys(height, width):
    attention = randomised(Attention(24, num_heads=3, use_rel_pos=True, input_size=(height, width)))
    x = torch.randn(2, height, width, 24)
    with torch.inference_mode():
        torch.testing.assert_close(FusedAttention(attention)(x), attention(x), atol=1e-5, rtol=1e-4)


def test_an_encoder_with_fused_attention_keeps_its_answer_and_its_names():
    encoder = randomised(create_sam(TINY).image_encoder)
    names = list(encoder.state_dict())
    pictures = torch.randn(1, 3, 96, 96)  # 12 x 12 patches: windows of 5 are padded
    with torch.inference_mode():
        before = encoder(pictures)
        fuse_attention(encoder)
        after = encoder(pictures)
    assert all(isinstance(block.attn, FusedAttention) for block in encoder.blocks)
    assert list(encoder.state_dict()) == names
    torch.testing.assert_close(after, before, atol=1e-4, rtol=1e-4)  # sums in another order, two blocks deep


def test_fused_norms_equal_the_librarys_and_do_not_overflow_in_half_precision():
    norm = randomised(LayerNorm2d(8))
    x = 300 * torch.randn(2, 8, 3, 4)
    with torch.inference_mode():
        exact = norm(x)
        torch.testing.assert_close(FusedNorm2d(norm)(x), exact, atol=1e-5, rtol=1e-4)
        half = norm.half()
        torch.testing.assert_close(FusedNorm2d(half)(x.half()).float(), exact, atol=1e-2, rtol=1e-2)
        assert (half(x.half()).float() - exact).abs().max() > 0.1  # the library's own: what this is for


def test_every_norm_of_encoder_and_decoder_is_exchanged():
    sam = create_sam(TINY)
    names = list(sam.state_dict())
    for part in (sam.image_encoder, sam.mask_decoder):
        fuse_norms(part)
        assert not any(isinstance(module, LayerNorm2d) for module in part.modules())
    assert sum(isinstance(module, FusedNorm2d) for module in sam.modules()) == 3
    assert list(sam.state_dict()) == names


@pytest.mark.parametrize(
    ("device", "dtype", "expected"),
    [
        ("cuda", "bfloat16", torch.float16),
        ("cuda", "float16", torch.float16),
        ("cuda", "float32", torch.float32),
        ("cpu", "float32", torch.float32),
    ],
)
def test_half_precision_is_float16(device, dtype, expected):
    assert compute_dtype(Placement(device, dtype, "errors.device_cuda")) == expected
