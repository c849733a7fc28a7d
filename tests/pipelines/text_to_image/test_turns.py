"""A click in another tab during a long run waits for one step at most; two runs take turns and both come out right."""

import threading
import time

from pipelines.runtime.turns import Turns
from pipelines.text_to_image.sample import generate
from pipelines.text_to_image.settings import Settings

DEVICE = "cpu"


def test_a_click_waits_at_most_one_step(tiny_model):
    """The click is made within a step, so that it must wait; the run may not begin another before it was served."""
    turns, order = Turns(), []
    clicked = threading.Event()
    clicks = []

    def click():
        clicked.set()
        with turns.turn(DEVICE):
            order.append("click")

    def noted_call(module, arguments, keywords):
        order.append("call")
        if order.count("call") == 3:
            clicks.append(threading.Thread(target=click))
            clicks[0].start()
            clicked.wait(10)
            while not turns.waiting(DEVICE):  # until it stands in the queue: this step still holds the device
                time.sleep(0.001)

    hook = tiny_model.pipeline.unet.register_forward_pre_hook(noted_call, with_kwargs=True)
    try:
        run = generate(tiny_model, Settings("a cat", steps=8, width=64, height=64, seed=1))
        *_, denoising = turns.steps(DEVICE, run)
    finally:
        hook.remove()
    clicks[0].join(10)
    assert order == ["call"] * 3 + ["click"] + ["call"] * 5
    assert len(denoising.steps) == 8


def test_two_runs_at_once_give_each_its_own_picture(tiny_model):
    turns, together = Turns(), {}
    wanted = {seed: Settings("a cat", steps=4, width=64, height=64, seed=seed, sampler="euler_a") for seed in (1, 2)}
    alone = {seed: [*generate(tiny_model, settings)][-1].pictures for seed, settings in wanted.items()}

    def draw(seed):
        together[seed] = [*turns.steps(DEVICE, generate(tiny_model, wanted[seed]))][-1].pictures

    threads = [threading.Thread(target=draw, args=(seed,)) for seed in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert all((alone[seed] == together[seed]).all() for seed in wanted)
    assert (alone[1] != alone[2]).any()
