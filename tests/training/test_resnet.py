"""The small residual network: its shapes, its first weights, and that threads do it no harm."""

import pytest
import torch

from tilth.training import threads
from tilth.training.resnet import Residual, resnet


@pytest.mark.parametrize("side", [8, 28, 31, 32, 64])
@pytest.mark.parametrize("widths", [(8,), (8, 12), (16, 32, 64)])
def test_takes_images_of_any_size(side, widths):
    assert resnet(5, widths)(torch.zeros(2, 3, side, side)).shape == (2, 5)


def test_a_block_hands_on_what_comes_in_at_first():
    maps = torch.rand(4, 8, 6, 6)
    assert torch.equal(Residual(8, 8, 1)(maps), maps)
    assert Residual(8, 12, 2)(torch.rand(4, 8, 7, 7)).shape == (4, 12, 4, 4)


def test_the_seed_gives_the_weights_and_the_callers_state_stays():
    before = torch.random.get_rng_state()
    one, again, other = resnet(3, random_state=1), resnet(3, random_state=1), resnet(3, random_state=2)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(one[0].weight, again[0].weight)
    assert not torch.equal(one[0].weight, other[0].weight)
    # He: variance 2 over what comes in.
    assert abs(one[4].first.weight.std() / (2 / (16 * 9)) ** 0.5 - 1) < 0.1


def test_trains_on_several_threads_without_harm():
    with threads(2):
        network = resnet(2, (8, 16))
        images = torch.rand(19, 3, 32, 32).contiguous(memory_format=torch.channels_last)
        for _ in range(4):
            network(images).square().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters())
