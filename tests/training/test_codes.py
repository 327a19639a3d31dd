"""The network starts as PCA, learns what PCA misses, counts no gaps, and codes a row alone."""

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.decomposition import PCA

from tilth.training import (
    Layout,
    Stream,
    decode,
    divergence,
    encode,
    lost,
    lost_at_all,
    principal,
    train_codes,
)
from tilth.training.codes import CodeLoss, CodeNetwork

OPTIONS = {
    "method": "undercomplete",
    "hidden": (16,),
    "activation": "silu",
    "corruption": 0.3,
    "beta": 1.0,
    "warm_up": 3,
    "learning_rate": 0.003,
    "max_epochs": 40,
    "patience": 10,
    "n_jobs": 1,
}


def layout(columns):
    return Layout(np.arange(columns), np.zeros(columns, bool), np.empty(0, int))


def stream(wide, **options):
    frame = pl.DataFrame(wide, schema=[f"x{i}" for i in range(wide.shape[1])], orient="row")
    frame = frame.with_columns(pl.int_range(pl.len(), dtype=pl.UInt64).alias("id"))
    given = {"id_column": "id", "batch_size": 32, "device": "cpu", **options}
    return Stream([frame.lazy()], frame.columns[:-1], lambda f: f.to_numpy(), wide.shape[1], **given)


def train(wide, size, where=None, **options):
    return train_codes(stream(wide), where or layout(wide.shape[1]), size, **{**OPTIONS, **options})


def spiral(rows=800, seed=0):
    random = np.random.default_rng(seed)
    angle = random.uniform(0, 4, rows)
    wide = np.column_stack([np.cos(angle), np.sin(angle), angle**2 / 8]) + 0.01 * random.normal(
        size=(rows, 3)
    )
    return (wide - wide.mean(0)) / wide.std(0)


def network(wide, size, where=None, variational=False, hidden=(16,)):
    where = where or layout(wide.shape[1])
    return CodeNetwork(where, principal(wide, size), wide, hidden, "silu", variational, 0), where


def state(net):
    return {name: value.numpy() for name, value in net.state_dict().items()}


@pytest.mark.parametrize("shape", [(200, 6), (5, 12), (40, 40)])
def test_before_training_the_network_is_pca(shape):
    wide = np.random.default_rng(0).normal(size=shape) @ np.random.default_rng(1).normal(size=(shape[1],) * 2)
    net, where = network(wide, 3)
    peer = PCA(3, svd_solver="full").fit(wide)
    codes = encode(state(net), wide, where, "silu")
    told = peer.inverse_transform(peer.transform(wide))
    np.testing.assert_allclose(decode(state(net), codes, "silu")[0], told, atol=1e-5 * np.abs(wide).max())
    np.testing.assert_allclose(codes.std(axis=0), 1, atol=1e-5)
    np.testing.assert_allclose(principal(wide, 3).restored(wide), told, atol=1e-9 * np.abs(wide).max())


def test_components_without_variance_are_zero_and_as_many_as_asked_for():
    wide = np.repeat(np.random.default_rng(0).normal(size=(50, 1)), 3, axis=1)
    start = principal(wide, 3)
    assert start.into.shape == (3, 3)
    assert np.abs(start.into[1:]).max() == np.abs(start.out[:, 1:]).max() == 0
    assert np.isfinite(principal(np.ones((4, 2)), 2).into).all()


def test_what_bends_is_learned():
    wide = spiral()
    trained = train(wide, 1)
    codes = encode(trained.weights, wide, layout(3), "silu")
    ours = lost_at_all(wide, decode(trained.weights, codes, "silu")[0], layout(3))
    assert ours < 0.3 * lost_at_all(wide, trained.start.restored(wide), layout(3))


@pytest.mark.parametrize("variational", [False, True])
def test_numpy_gives_what_torch_gives_and_a_row_alone_what_it_gets_among_others(variational):
    wide = spiral()
    wide[::7, 1] = np.nan
    where = Layout(np.arange(3), np.zeros(3, bool), np.array([1]))
    net, _ = network(wide, 2, where, variational, (16, 8))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
        net.eval()
        given = torch.from_numpy(wide).float()
        output = net(given).numpy()
    heads = encode(state(net), wide, where, "silu")
    if variational:
        np.testing.assert_allclose(output[:, 4:], heads, atol=1e-5)
    else:
        told, missing = decode(state(net), heads, "silu")
        np.testing.assert_allclose(output, np.hstack([told, missing]), atol=1e-5)
    alone = np.vstack([encode(state(net), row[None], where, "silu") for row in wide])
    np.testing.assert_allclose(alone, heads, rtol=0, atol=1e-12)


def test_the_loss_is_the_sum_of_those_of_known_cells():
    source, categorical = np.array([0, 1, 1, 1, 2, 2]), np.array([False, True, True])
    where = Layout(source, categorical, np.array([0, 1]))
    nan = np.nan
    wide = np.array([[0.5, 0, 1, 0, 1, 0], [nan, nan, nan, nan, 0, 1], [2.0, 0, 0, 0, 0, 1]])
    net, _ = network(wide, 2, where)
    target, output = (
        torch.from_numpy(wide).float(),
        torch.randn(3, 8, generator=torch.Generator().manual_seed(0)),
    )
    told = CodeLoss(where, net, 1.0)(output, target)
    cross, binary = torch.nn.functional.cross_entropy, torch.nn.functional.binary_cross_entropy_with_logits
    flags = torch.tensor([[0.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    words = [
        cross(output[[0], 1:4], torch.tensor([1])) + cross(output[[0], 4:6], torch.tensor([0])),
        cross(output[[1], 4:6], torch.tensor([1])),
        cross(output[[2], 4:6], torch.tensor([1])),  # its first category is too rare to be told apart
    ]
    numbers = [(output[0, 0] - 0.5) ** 2, torch.tensor(0.0), (output[2, 0] - 2) ** 2]
    for row in range(3):
        whole = numbers[row] + words[row] + binary(output[row, 6:], flags[row], reduction="sum")
        assert told[row].item() == pytest.approx(whole.item() / 5, rel=1e-5)


def test_a_missing_cell_moves_no_output_of_its_own():
    wide = spiral(50)
    wide[:, 2] = np.where(np.arange(50) % 2, wide[:, 2], np.nan)
    where = Layout(np.arange(3), np.zeros(3, bool), np.array([2]))
    net, _ = network(wide, 1, where)
    output = net(torch.from_numpy(wide).float()).detach().requires_grad_()
    CodeLoss(where, net, 1.0)(output, torch.from_numpy(wide).float()).sum().backward()
    assert (output.grad[::2, 2] == 0).all()
    assert (output.grad[1::2, 2] != 0).all()


def test_the_divergence_is_that_of_two_normal_distributions():
    mean, log_variance = torch.randn(2, 50, 3, generator=torch.Generator().manual_seed(0))
    normal = torch.distributions.Normal
    peer = torch.distributions.kl_divergence(normal(mean, (log_variance / 2).exp()), normal(0.0, 1.0))
    torch.testing.assert_close(divergence(mean, log_variance), peer)
    np.testing.assert_allclose(
        divergence(mean.numpy(), log_variance.numpy()), peer.numpy(), rtol=1e-4, atol=1e-6
    )


def test_beta_rises_in_training_and_counts_in_full_on_rows_aside():
    wide = spiral(60)
    net, where = network(wide, 2, variational=True)
    loss, target = CodeLoss(where, net, 2.0), torch.from_numpy(wide).float()
    output = net(target)
    whole = loss(output, target)
    loss.share = 0.0
    without = loss(output, target)
    assert (without < whole).all()
    net.eval()
    torch.testing.assert_close(loss(output, target), whole)
    mean, log_variance = output[:, 3:5], output[:, 5:]
    torch.testing.assert_close(whole - without, 2.0 * divergence(mean, log_variance).sum(1) / 3)


def test_variational_codes_collapse_where_the_divergence_outweighs_all():
    wide = spiral()
    nats = []
    for beta in (0.1, 1000.0):
        trained = train(wide, 1, method="variational", beta=beta, max_epochs=30)
        heads = encode(trained.weights, wide, layout(3), "silu")
        nats.append(divergence(heads[:, :1], heads[:, 1:]).mean())
    assert nats[0] > 1
    assert nats[1] < 0.01


def test_denoising_restores_cells_that_are_hidden_better():
    random = np.random.default_rng(0)
    factor = random.normal(size=(1500, 2))
    wide = np.tanh(factor @ random.normal(size=(2, 10))) + 0.05 * random.normal(size=(1500, 10))
    wide = (wide - wide.mean(0)) / wide.std(0)
    hidden = np.where(random.random(wide.shape) < 0.3, 0, wide)
    errors = []
    for method in ("undercomplete", "denoising"):
        weights = train(wide, 2, method=method).weights
        told = decode(weights, encode(weights, hidden, layout(10), "silu"), "silu")[0]
        errors.append(np.mean((told - wide) ** 2))
    assert errors[1] < 0.8 * errors[0]


@pytest.mark.parametrize("method", ["undercomplete", "denoising", "variational"])
def test_a_seed_gives_the_same_weights_to_the_last_bit(method):
    wide = spiral(300)
    one, two = (train(wide, 2, method=method, max_epochs=3).weights for _ in range(2))
    assert all(np.array_equal(one[name], two[name]) for name in one)


def test_one_row_gives_the_network_of_the_start():
    trained = train(np.array([[1.0, 2.0]]), 1)
    assert trained.stopped == "nothing"
    codes = encode(trained.weights, np.array([[1.0, 2.0]]), layout(2), "silu")
    np.testing.assert_allclose(decode(trained.weights, codes, "silu")[0], [[1, 2]])


def test_shares_lost_are_of_the_variance_and_of_the_categories():
    where = Layout(np.array([0, 1, 1, 2]), np.array([False, True, False]), np.empty(0, int))
    wide = np.array([[1.0, 1, 0, 5], [-1.0, 0, 1, 5], [np.nan, 0, 1, 5]])
    told = np.array([[0.5, 3, 1, 5], [-1.0, 2, 1, 4], [9.0, 0, 1, 5]])
    shares = lost(wide, told, where)
    assert shares[:2].tolist() == pytest.approx([0.25 / 2, 1 / 3])
    assert np.isnan(shares[2])
    assert lost_at_all(wide, told, where) == pytest.approx((0.25 + 1) / 2)
