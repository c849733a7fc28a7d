"""The encoder block by block is the encoder, and ends when nobody waits for it."""

import threading

import pytest
import torch

from pipelines.runtime.device import CPU
from pipelines.segment.models import wrap
from pipelines.segment.prompt import encode
from pipelines.segment.watched import Block, blocks, encode_blocks
from tests.pipelines.segment.conftest import make_picture, make_sam


@pytest.fixture(params=["tiny_model", "tiny_sam2_model"])
def model(request):
    return request.getfixturevalue(request.param)


def test_it_gives_the_embedding_of_the_encoder_to_the_bit(model):
    pixels = make_picture(40, 60)
    *steps, embedding = encode_blocks(model, pixels)
    assert steps == [Block(done, len(blocks(model))) for done in range(len(blocks(model)))]
    same = encode(model, pixels)
    assert torch.equal(embedding.features, same.features)
    assert all(torch.equal(one, other) for one, other in zip(embedding.extra, same.extra, strict=True))


def test_S03_it_ends_at_the_next_block_when_it_is_closed(model):
    ran = []
    last = blocks(model)[-1].register_forward_hook(lambda *_: ran.append("last"))
    run = encode_blocks(model, make_picture(40, 60))
    next(run)
    run.close()
    last.remove()
    assert not ran and not any(thread.name == "encode" for thread in threading.enumerate())
    assert not any(block._forward_pre_hooks for block in blocks(model))


def test_another_visitor_is_not_held(model):
    pixels = make_picture(40, 60)
    run = encode_blocks(model, pixels)
    next(run)
    other = encode(model, pixels)  # in this thread, while the first one waits at its first block
    *_, embedding = run
    assert torch.equal(embedding.features, other.features)


def test_an_error_of_the_encoder_reaches_the_caller(model):
    with pytest.raises(ValueError, match="expected"):
        list(encode_blocks(model, make_picture(40, 60).astype(float)))


def test_the_blocks_of_mobile_sam_are_its_four_stages():
    from pipelines.segment.mobile_sam import TinyVitEncoder

    model = wrap("mobile", make_sam(), placement=CPU)
    model.module.image_encoder = TinyVitEncoder().eval()
    assert list(blocks(model)) == list(model.module.image_encoder.trunk.stages)
    run = encode_blocks(model, make_picture(40, 60))
    assert next(run) == Block(0, 4)  # before the first stage: nothing large has run
    run.close()
