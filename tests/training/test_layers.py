"""Silent and saturated units, sizes of answers and weights are counted as by hand; no hook stays behind."""

import pytest
import torch
from torch import nn

from tilth.training.layers import look_into
from tilth.training.memorize import memorized
from tilth.training.rows import Rows
from tilth.training.scores import cross_entropy, dummy

X = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))


def linear(rows, bias):
    layer = nn.Linear(len(rows[0]), len(rows))
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(rows))
        layer.bias.copy_(torch.tensor(bias))
    return layer


def test_units_that_answer_zero_to_every_row_are_silent():
    network = nn.Sequential(linear([[1.0, 0, 0], [0, 1.0, 0], [1.0, 0, 0]], [0.0, -50.0, -60.0]), nn.ReLU())
    assert look_into(network, X).silent == pytest.approx(2 / 3)


def test_the_worst_layer_is_told():
    good, bad = linear([[1.0, 0, 0]] * 4, [0.0] * 4), linear([[1.0] * 4] * 2, [0.0, -50.0])
    assert look_into(nn.Sequential(good, nn.ReLU(), bad, nn.ReLU()), X).silent == 0.5


@pytest.mark.parametrize("activation", [nn.Tanh(), nn.Sigmoid()])
def test_answers_near_an_end_are_saturated(activation):
    network = nn.Sequential(linear([[0.0, 0, 0], [0, 0, 0], [0, 0, 0]], [0.0, 50.0, -50.0]), activation)
    assert look_into(network, X).saturated == pytest.approx(2 / 3)


def test_sizes_are_means_and_maxima():
    network = nn.Sequential(linear([[0.0, 0, 0], [0.0, -7.5, 0]], [3.0, 0.0]), nn.Identity(), nn.LeakyReLU())
    seen = look_into(network, X)
    expected = nn.functional.leaky_relu(network[0](X)).abs().mean().item()
    assert seen.activation == pytest.approx(expected, rel=1e-5)
    assert (seen.weight, seen.seen, seen.silent) == (7.5, 1, 0)


def test_channels_of_images_are_units_and_one_module_may_stand_behind_many_layers():
    relu = nn.ReLU()
    first, second = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 2, 3)
    with torch.no_grad():
        first.bias[:] = torch.tensor([-100.0, 100.0, 100.0, 100.0])
        second.bias[:] = 10_000.0
    seen = look_into(nn.Sequential(first, relu, second, relu), torch.rand(5, 1, 8, 8))
    assert (seen.silent, seen.seen) == (0.25, 2)


def test_hooks_are_gone_even_after_an_error():
    network = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(99, 2))
    with pytest.raises(RuntimeError):
        look_into(network, X)
    assert not network[1]._forward_hooks


def few(target):
    return Rows(X, target, torch.ones(64))


def start(rows):
    return dummy(cross_entropy, rows.target, rows.weight, 2)[0]


def network(hidden, **options):
    from tilth.training import mlp

    return lambda: mlp(3, 2, hidden, **{"batch_norm": False, "dropout": 0, **options})


NOISE = torch.randint(0, 2, (64,), generator=torch.Generator().manual_seed(1))


def test_a_large_network_learns_noise_by_heart_and_one_unit_does_not():
    assert (
        memorized(network((128, 128), batch_norm=True, dropout=0.5), few(NOISE), cross_entropy, start) < 0.1
    )
    assert memorized(network((1,)), few(NOISE), cross_entropy, start) > 0.5


def test_rows_that_are_alike_count_once():
    alike = Rows(X[:1].repeat(64, 1), NOISE, torch.ones(64))
    assert memorized(network((8,)), alike, cross_entropy, start) != memorized(
        network((8,)), few(NOISE), cross_entropy, start
    )
    assert torch.tensor(memorized(network((8,)), alike, cross_entropy, start)).isnan()


def test_rows_of_one_class_say_nothing():
    told = memorized(network((8,)), few(torch.zeros(64, dtype=torch.int64)), cross_entropy, start)
    assert torch.tensor(told).isnan()
