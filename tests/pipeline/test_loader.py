"""The loader of a pipeline: training rows as fitting left them, other rows as they come."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import tilth
from tilth.errors import DataError


def data(rows: int = 300) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((rows, 3)).astype(np.float32)
    return np.vstack([X, X[:20]]), np.concatenate([np.arange(rows) % 4 == 0, np.arange(20) % 4 == 0]).astype(
        int
    )


def fitted(X: np.ndarray, y: np.ndarray) -> tilth.Pipeline:
    stages = ("duplicates.exact", "scale.standard", "balance.over")
    return tilth.Pipeline([tilth.stage(key) for key in stages]).fit(X, y)


def test_training_batches_are_the_rows_that_fitting_left() -> None:
    X, y = data()
    pipe = fitted(X, y)
    expected, labels = pipe.fit_resample(X, y)
    batches = list(pipe.loader(X, y, batch_size=64, device="cpu"))
    seen = torch.cat([b[0] for b in batches]).numpy()
    order, wanted = np.lexsort(seen.T), np.lexsort(expected.T)
    np.testing.assert_array_equal(seen[order], expected[wanted])
    np.testing.assert_array_equal(torch.cat([b[1] for b in batches]).numpy()[order], labels[wanted])


def test_other_rows_come_whole_and_in_order() -> None:
    X, y = data()
    pipe = fitted(X, y)
    batches = list(pipe.loader(X[:50], y[:50], training=False, batch_size=16, device="cpu"))
    np.testing.assert_allclose(torch.cat([b[0] for b in batches]).numpy(), pipe.transform(X[:50]), atol=1e-6)
    assert len(pipe.dataset(X[:50], training=False)) == 50


def test_rows_that_were_not_fitted_are_no_training_rows() -> None:
    X, y = data()
    with pytest.raises(DataError, match="training=False"):
        fitted(X, y).loader(X[:50], y[:50])


def test_batch_stages_of_the_pipeline_and_of_the_call_act_on_training_batches_only() -> None:
    X, y = data()
    pipe = tilth.Pipeline([tilth.ScaleStandard(), tilth.stage("augment.jitter", share=0.1)]).fit(X, y)
    plain = torch.cat([b[0] for b in pipe.loader(X, y, training=False, device="cpu")])
    own = torch.cat([b[0] for b in pipe.loader(X, y, shuffle=False, device="cpu")])
    both = torch.cat(
        [
            b[0]
            for b in pipe.loader(
                X, y, shuffle=False, device="cpu", augment=tilth.stage("augment.jitter", share=1.0)
            )
        ]
    )
    assert 0.05 < (own - plain).std() < 0.2
    assert (both - plain).std() > 0.5


def test_weights_made_by_stages_reach_the_batches() -> None:
    X, y = data()
    pipe = tilth.Pipeline([tilth.stage("balance.weight")]).fit(X, y)
    weights = torch.cat([batch[2] for batch in pipe.loader(X, y, device="cpu")])
    assert weights.unique().numel() == 2


def test_a_network_learns_from_it() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((2000, 5))
    y = (X[:, 0] * X[:, 1] > 0).astype(int)
    loader = tilth.Pipeline([tilth.ScaleStandard()]).fit(X, y).loader(X, y, batch_size=128, device="cpu")
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(5, 32), torch.nn.ReLU(), torch.nn.Linear(32, 2))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    losses = []
    for _ in range(8):
        for xb, yb in loader:
            loss = torch.nn.functional.cross_entropy(net(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:10])
