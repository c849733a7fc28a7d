import pytest
import torch
from diffusers import VQModel

from pipelines.runtime.device import CPU
from pipelines.runtime.errors import UserError
from pipelines.tokenise.models import WEIGHTS, codes_of, latents_of, load_folder, nearest, pictures_of


@pytest.fixture(scope="module")
def vq():
    """Patches of 4 px, two levels: 8 px a token."""
    torch.manual_seed(0)
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
    sizes = {"block_out_channels": (16, 16), "latent_channels": 8, "num_vq_embeddings": 32, "vq_embed_dim": 4}
    return VQModel(48, 48, **blocks, **sizes, norm_num_groups=8, mid_block_add_attention=False).eval()


def test_nearest_is_the_nearest_in_float64(vq):
    latents = torch.randn(2, 4, 5, 6) / 32
    vectors, codes = latents.movedim(1, -1).double(), vq.quantize.embedding.weight.double()
    expected = (vectors[..., None, :] - codes).square().sum(dim=-1).argmin(dim=-1)
    assert torch.equal(nearest(vq, latents), expected)


def test_codes_come_back_as_their_own_indices(vq):
    indices = torch.randint(32, (2, 3, 4))
    assert torch.equal(nearest(vq, codes_of(vq, indices)), indices)


def test_the_path_through_indices_is_the_librarys(vq):
    picture = torch.rand(1, 3, 32, 48)
    latents = latents_of(vq, picture)
    assert latents.shape == (1, 4, 4, 6)
    ours = pictures_of(vq, codes_of(vq, nearest(vq, latents)))
    theirs = vq(torch.nn.functional.pixel_unshuffle(picture * 2 - 1, 4)).sample
    torch.testing.assert_close(ours, torch.nn.functional.pixel_shuffle(theirs, 4) / 2 + 0.5, atol=2e-5, rtol=1e-4)


def test_a_folder_is_loaded_strictly_and_knows_its_cell(vq, tmp_path):
    vq.save_pretrained(tmp_path)
    model = load_folder("tiny", tmp_path, placement=CPU)
    assert (model.patch, model.cell, model.codes) == (4, 8, 32)
    indices = torch.randint(32, (1, 3, 4))
    assert torch.equal(
        pictures_of(model.module, codes_of(model.module, indices)), pictures_of(vq, codes_of(vq, indices))
    )
    (tmp_path / WEIGHTS).write_bytes(b"no weights")
    with pytest.raises(UserError):
        load_folder("tiny", tmp_path, placement=CPU)
