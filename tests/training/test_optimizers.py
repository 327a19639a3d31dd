"""Optimizers, schedules and penalties do what torch and arithmetic say they do."""

import numpy as np
import pytest
import torch
from torch import nn

from tilth.errors import UnknownName
from tilth.training import Trainer
from tilth.training.optimizers import rate_share


def rows(count=64):
    random = np.random.default_rng(0)
    X = random.normal(size=(count, 4)).astype(np.float32)
    return X, (X[:, 0] > 0).astype(np.int64)


def two(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))


def trained(network, **options):
    told = {"max_epochs": 3, "validation_share": 0, "warmup_share": 0, "clip_norm": None, "device": "cpu"}
    X, y = rows()
    Trainer(network, "cross_entropy", **told | options).fit(X, y)
    return nn.utils.parameters_to_vector(network.parameters()).detach()


def by_hand(network, optimizer, steps=3, decay=0.0, rate=0.0):
    X, y = (torch.from_numpy(part) for part in rows())
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(X), y).backward()
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.mul_(1 - rate * decay)
        optimizer.step()
    return nn.utils.parameters_to_vector(network.parameters()).detach()


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("sgd", lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9)),
        ("rmsprop", lambda p: torch.optim.RMSprop(p, lr=0.1)),
        ("adamw", lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0)),
    ],
)
def test_optimizers_equal_torchs_at_their_default_momentum(name, make):
    ours = trained(two(), optimizer=name, learning_rate=0.1, weight_decay=0, schedule="constant")
    twin = two()
    torch.testing.assert_close(ours, by_hand(twin, make(twin.parameters())), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["sgd", "rmsprop", "adamw"])
def test_weight_decay_is_decoupled_from_the_gradient(name):
    makes = {
        "sgd": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9),
        "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.01),
        "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0),
    }
    ours = trained(two(), optimizer=name, learning_rate=0.01, weight_decay=0.5, schedule="constant")
    twin = two()
    expected = by_hand(twin, makes[name](twin.parameters()), decay=0.5, rate=0.01)
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(
        ours, trained(two(), optimizer=name, learning_rate=0.01, weight_decay=0), atol=1e-4
    )


@pytest.mark.parametrize(("name", "group", "key"), [("sgd", 0.3, "momentum"), ("rmsprop", 0.3, "momentum")])
def test_momentum_is_handed_on(name, group, key):
    make = {"sgd": torch.optim.SGD, "rmsprop": torch.optim.RMSprop}[name]
    ours = trained(
        two(), optimizer=name, momentum=group, learning_rate=0.02, weight_decay=0, schedule="constant"
    )
    twin = two()
    expected = by_hand(twin, make(twin.parameters(), lr=0.02, **{key: group}))
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)


def test_momentum_of_adamw_is_its_first_beta():
    ours = trained(
        two(), optimizer="adamw", momentum=0.5, learning_rate=0.02, weight_decay=0, schedule="constant"
    )
    twin = two()
    optimizer = torch.optim.AdamW(twin.parameters(), lr=0.02, betas=(0.5, 0.999), weight_decay=0)
    torch.testing.assert_close(ours, by_hand(twin, optimizer), rtol=1e-4, atol=1e-5)


def test_an_optimizer_of_ones_own_keeps_its_rates_under_the_schedule():
    seen = []

    def make(parameters):
        parameters = list(parameters)
        made = torch.optim.SGD(
            [{"params": parameters[:2], "lr": 0.5}, {"params": parameters[2:], "lr": 0.25}]
        )
        made.register_step_pre_hook(lambda o, *_: seen.append([g["lr"] for g in o.param_groups]))
        return made

    trained(two(), optimizer=make, learning_rate=9.0, warmup_share=0.5, max_epochs=4)
    assert [first / second for first, second in seen] == pytest.approx([2] * 4)
    assert max(first for first, _ in seen) == pytest.approx(0.5, rel=0.2)
    assert seen[-1][0] < seen[2][0]


@pytest.mark.parametrize(("l1", "l2"), [(0.1, 0.0), (0.0, 0.1), (0.02, 0.03)])
def test_penalties_are_the_gradient_of_their_formula(l1, l2):
    ours = trained(
        two(),
        optimizer="sgd",
        momentum=0,
        learning_rate=0.1,
        weight_decay=0,
        l1=l1,
        l2=l2,
        max_epochs=1,
        schedule="constant",
    )
    twin = two()
    X, y = (torch.from_numpy(part) for part in rows())
    loss = nn.functional.cross_entropy(twin(X), y)
    for layer in (twin[0], twin[2]):  # not biases
        loss = loss + l1 * layer.weight.abs().sum() + l2 / 2 * layer.weight.square().sum()
    loss.backward()
    torch.optim.SGD(twin.parameters(), lr=0.1).step()
    expected = nn.utils.parameters_to_vector(twin.parameters()).detach()
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_l1_brings_weights_that_tell_nothing_to_zero(seed: int):
    X, y = rows(256)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = nn.Sequential(nn.Linear(4, 2))
    options = {"optimizer": "sgd", "momentum": 0, "learning_rate": 0.1, "weight_decay": 0}
    Trainer(
        network, "cross_entropy", l1=0.05, max_epochs=400, validation_share=0, device="cpu", **options
    ).fit(X, y)
    weights = network[0].weight.detach().abs()
    assert weights[:, 1:].max() < 0.03 < 0.3 < weights[:, 0].min()


def test_rates_follow_their_schedule():
    constant = [rate_share(step, 10, 0.2, "constant") for step in range(10)]
    assert constant == pytest.approx([1 / 3, 2 / 3, *[1.0] * 8])
    cosine = [rate_share(step, 10, 0.0) for step in (0, 5, 10)]
    assert cosine == pytest.approx([1.0, 0.5, 0.0])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"optimizer": "adam"}, UnknownName, "did you mean 'adamw'"),
        ({"schedule": "cosin"}, UnknownName, "did you mean 'cosine'"),
        ({"momentum": 1.0}, ValueError, "momentum is 1.0"),
        ({"l1": -1.0}, ValueError, "must not be negative"),
        ({"l2": -1.0}, ValueError, "must not be negative"),
    ],
)
def test_unusable_settings_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        Trainer(two(), "cross_entropy", **options)
