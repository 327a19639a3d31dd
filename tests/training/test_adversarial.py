"""Moved inputs stay near, raise the loss, and training on them makes a network harder to fool."""

import numpy as np
import pytest
import torch

from tilth.errors import UnknownName
from tilth.training import Adversary, Trainer, cross_entropy, mlp, outputs, seeded


def fooled(network, X, y, method="pgd", **options):
    """Return the accuracy on rows that were moved."""
    with seeded(0):
        moved = Adversary(method, **options).moved(lambda rows: cross_entropy(network(rows), y), X)
    return (network(moved).argmax(1) == y).float().mean().item(), moved


def rows(count=400, seed=0):
    X = torch.randn(count, 6, generator=torch.Generator().manual_seed(seed))
    return X, (X[:, 0] + 0.5 * X[:, 1] > 0).long()


def test_fgsm_of_a_linear_loss_is_its_slope():
    slope = torch.tensor([1.0, -2.0, 0.0])
    X = torch.zeros(2, 3)
    moved = Adversary("fgsm", 0.25).moved(lambda rows: rows @ slope, X)
    assert moved.tolist() == [[0.25, -0.25, 0.0]] * 2


@pytest.mark.parametrize("method", ["fgsm", "pgd"])
def test_rows_stay_near_within_bounds_and_other_columns_stay(method):
    X, y = rows()
    network = mlp(6, 2, (16,), dropout=0).eval()
    _, moved = fooled(network, X, y, method, epsilon=0.3, columns=[0, 3], bounds=(-1.5, 1.5))
    at = X.clamp(-1.5, 1.5)
    assert (moved - at).abs().max() <= 0.3 + 1e-6
    assert moved.abs().max() <= 1.5
    assert torch.equal(moved[:, [1, 2, 4, 5]], at[:, [1, 2, 4, 5]])
    assert not torch.equal(moved[:, [0, 3]], at[:, [0, 3]])


def test_pgd_finds_at_least_what_fgsm_finds_and_everything_at_a_large_distance():
    X, y = rows()
    network = Trainer(mlp(6, 2, (32,)), "cross_entropy", max_epochs=30, device="cpu").fit(X, y).network
    clean = (network(X).argmax(1) == y).float().mean().item()
    fgsm, pgd = (fooled(network, X, y, method, epsilon=0.3)[0] for method in ("fgsm", "pgd"))
    assert pgd <= fgsm < clean
    assert fooled(network, X, y, epsilon=10.0)[0] < 0.02
    assert fooled(network, X, y, epsilon=0.0)[0] == clean


def test_gradients_of_weights_are_left_alone():
    X, y = rows(20)
    network = mlp(6, 2, (8,), dropout=0).eval()
    cross_entropy(network(X), y).sum().backward()
    before = [p.grad.clone() for p in network.parameters()]
    fooled(network, X, y)
    assert all(torch.equal(p.grad, b) for p, b in zip(network.parameters(), before, strict=True))


def test_a_share_of_a_batch_is_moved():
    X, y = rows(10)
    network = mlp(6, 2, (8,), dropout=0).eval()
    moved = Adversary("fgsm", share=0.3).in_batch(lambda rows, to: cross_entropy(network(rows), to), X, y)
    assert (moved != X).any(dim=1).tolist() == [True] * 3 + [False] * 7


def test_training_on_moved_rows_makes_a_network_harder_to_fool_and_repeats_by_seed():
    random = np.random.default_rng(0)
    # One column tells surely; twenty tell a little each, and together a lot: small moves turn them all.
    y = random.integers(0, 2, 1000)
    X = 0.1 * random.normal(size=(1000, 21)) + 0.1 * (2 * y[:, None] - 1)
    X[:, 0] = (2 * y - 1) + 0.4 * random.normal(size=1000)
    X, y = torch.from_numpy(X.astype(np.float32)), torch.from_numpy(y)

    def network(adversary):
        trainer = Trainer(
            mlp(21, 2, (32,)),
            "cross_entropy",
            max_epochs=25,
            batch_size=64,
            device="cpu",
            adversary=adversary,
        )
        return trainer.fit(X[:700], y[:700]).network

    plain = network(None)
    hardened, again = (network(Adversary("pgd", 0.2, steps=5, share=1.0)) for _ in range(2))
    held = X[700:], y[700:]
    assert fooled(hardened, *held, epsilon=0.2)[0] > fooled(plain, *held, epsilon=0.2)[0] + 0.1
    assert torch.equal(outputs(hardened, X), outputs(again, X))
    assert (outputs(hardened, held[0]).argmax(1) == held[1]).float().mean() > 0.9


def test_unusable_settings_are_refused():
    with pytest.raises(UnknownName, match="fgsm"):
        Adversary("fsgm")
    for options in ({"epsilon": -1}, {"steps": 0}, {"share": 0.0}):
        with pytest.raises(ValueError, match="epsilon"):
            Adversary(**options)


def test_no_rows_stay_no_rows():
    assert Adversary().moved(lambda X: X.sum(1), torch.empty(0, 3)).shape == (0, 3)
