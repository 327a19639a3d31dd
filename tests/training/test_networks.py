"""Networks have the asked shape, He weights, and leave the global random state alone."""

import math

import pytest
import torch
from torch import nn

from tilth.errors import UnknownName
from tilth.training import ACTIVATIONS, Dropout, initialize, mlp


def test_mlp_stacks_linear_norm_activation_dropout():
    kinds = [type(layer) for layer in mlp(5, 3, hidden=(8, 4))]
    block = [nn.Linear, nn.BatchNorm1d, nn.ReLU, Dropout]
    assert kinds == [*block, *block, nn.Linear]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_mlp_answers_with_the_asked_width(activation):
    network = mlp(5, 3, hidden=(8,), activation=activation, dropout=0, batch_norm=False)
    assert network(torch.randn(7, 5)).shape == (7, 3)
    assert not any(isinstance(layer, (Dropout, nn.BatchNorm1d)) for layer in network)


def test_no_hidden_layers_is_a_linear_model():
    assert [type(layer) for layer in mlp(5, 3, hidden=())] == [nn.Linear]


def test_he_weights_have_the_variance_of_the_paper():
    network = initialize(nn.Sequential(nn.Linear(400, 500), nn.ReLU(), nn.Linear(500, 400)), random_state=1)
    assert network[0].weight.std().item() == pytest.approx(math.sqrt(2 / 400), rel=0.02)
    assert network[2].weight.std().item() == pytest.approx(math.sqrt(1 / 500), rel=0.02)
    assert not network[0].bias.any()


def test_he_weights_keep_the_scale_of_a_deep_relu_network():
    network = mlp(200, 200, hidden=(200,) * 20, batch_norm=False, dropout=0)
    scale = network[:-1](torch.randn(500, 200, generator=torch.Generator().manual_seed(0))).square().mean()
    assert 0.2 < scale.item() < 5


def test_same_seed_same_weights_and_global_state_untouched():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, second, other = (mlp(4, 2, random_state=seed)[0].weight for seed in (3, 3, 4))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_unknown_activation_offers_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'relu'"):
        mlp(2, 2, activation="rellu")


def test_dropout_silences_the_share_keeps_the_mean_and_rests_in_evaluation():
    layer, ones = Dropout(0.3), torch.ones(1001, 333)
    dropped = layer(ones)
    assert (dropped == 0).float().mean().item() == pytest.approx(0.3, abs=0.005)
    assert dropped.max().item() == pytest.approx(1 / 0.7)
    assert dropped.mean().item() == pytest.approx(1, abs=0.01)
    assert layer.eval()(ones) is ones
    # Units of one row, and of one column, are silenced independently of each other.
    silent = (dropped == 0).float()
    assert silent.mean(dim=0).std().item() == pytest.approx(math.sqrt(0.21 / 1001), rel=0.15)
    assert silent.mean(dim=1).std().item() == pytest.approx(math.sqrt(0.21 / 333), rel=0.15)


def test_dropout_passes_gradients_through_the_units_it_kept():
    ones = torch.ones(50, 3, requires_grad=True)
    dropped = Dropout(0.5)(ones)
    dropped.sum().backward()
    assert torch.equal(ones.grad, dropped.detach())


def test_dropout_of_everything_is_refused():
    with pytest.raises(ValueError, match="below 1"):
        Dropout(1.0)


def test_xavier_weights_have_the_variance_of_the_paper():
    network = initialize(nn.Sequential(nn.Linear(300, 500), nn.Tanh()), 1, "tanh", "xavier")
    assert network[0].weight.std().item() == pytest.approx(math.sqrt(2 / 800), rel=0.02)
    assert not network[0].bias.any()
    first, second = (mlp(4, 2, initialization=kind)[0].weight for kind in ("he", "xavier"))
    assert not torch.equal(first, second)


def test_gains_of_he_weights_are_those_of_the_activation():
    for activation, gain in (("leaky_relu", math.sqrt(2 / 1.0001)), ("elu", math.sqrt(2)), ("tanh", 5 / 3)):
        layer = initialize(nn.Sequential(nn.Linear(500, 400), nn.Linear(400, 2)), 1, activation)[0]
        assert layer.weight.std().item() == pytest.approx(gain / math.sqrt(500), rel=0.02)


def test_leaky_relu_and_elu_let_negative_numbers_through():
    for activation, kind in (("leaky_relu", nn.LeakyReLU), ("elu", nn.ELU)):
        assert isinstance(mlp(3, 2, (4,), activation)[2], kind)


def test_unknown_initialization_offers_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'xavier'"):
        mlp(2, 2, initialization="xavie")
