"""The loader of a pipeline: training rows as fitting left them, other rows as they come."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

import tilth
from tilth.errors import DataError, StageError


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


KEYS = ("augment.cutmix", "augment.jitter", "augment.mixup", "augment.swap")


@pytest.mark.parametrize("key", KEYS)
def test_a_stage_that_added_rows_does_not_change_batches_as_well(key: str) -> None:
    X, y = data()
    weight = np.random.default_rng(1).uniform(0.5, 2, len(X))
    pipe = tilth.Pipeline([tilth.ScaleStandard(), tilth.stage(key, expand=1)]).fit(X, y, sample_weight=weight)
    expected, labels, weights = pipe.fit_resample(X, y, sample_weight=weight)
    made = pipe.ledger_.account()["added"]
    assert made >= len(X)
    loader = pipe.loader(X, y, sample_weight=weight, shuffle=False, device="cpu")
    batches = [torch.cat(part).numpy() for part in zip(*loader, strict=True)]
    np.testing.assert_array_equal(batches[0], expected.astype(np.float32))
    np.testing.assert_array_equal(batches[1], labels)
    np.testing.assert_allclose(batches[2], weights, rtol=1e-6)
    back = pipe.ledger_.undo(key, tilth.table.Table.of(X, y, sample_weight=weight))
    assert back.height == len(X)
    with pytest.raises(StageError, match=f"{key}: with expand above 0 it adds rows"):
        pipe.loader(X, y, sample_weight=weight, augment=tilth.stage(key, expand=1))


@pytest.mark.parametrize("key", KEYS)
def test_rows_that_a_stage_adds_outlive_a_bundle_and_a_recipe(key: str, tmp_path: Path) -> None:
    X, y = data()
    # Mixed labels come as weights, which (X, y) has no place for.
    table = tilth.table.Table.of(X, y)
    pipe = tilth.Pipeline([tilth.ScaleStandard(), tilth.stage(key, expand=0.5, random_state=3)]).fit(table)
    pipe.save(tmp_path / "bundle")
    again = tilth.load(tmp_path / "bundle")
    told = tilth.Pipeline.from_recipe(tilth.Recipe.from_text(pipe.to_recipe().to_yaml())).fit(table)
    wanted = pipe.fit_resample(table)
    assert wanted.height > len(X)
    for other in (again, told):
        assert other.ledger_.events.equals(pipe.ledger_.events)
        assert other.ledger_.parents.equals(pipe.ledger_.parents)
        seen = [torch.cat(p) for p in zip(*other.loader(X, y, shuffle=False, device="cpu"), strict=True)]
        np.testing.assert_array_equal(seen[0].numpy(), wanted.X().to_numpy().astype(np.float32))
        if wanted.roles.weight is not None:
            np.testing.assert_allclose(seen[2].numpy(), wanted.role("weight").to_numpy(), rtol=1e-6)
    assert len(again.transform(X)) == len(X)


def test_a_model_learns_mixed_rows_with_their_weights() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((600, 4))
    y = np.where(X[:, 0] > 0, "yes", "no")
    pipe = tilth.Pipeline([tilth.stage("augment.mixup", expand=2, alpha=0.4), LogisticRegression()]).fit(X, y)
    plain = LogisticRegression().fit(X, y)
    assert pipe.score(X, y) > 0.95
    # Mixed labels make a model less sure of itself.
    certain = lambda model: np.abs(model.predict_proba(X)[:, 0] - 0.5).mean()
    assert certain(pipe) < certain(plain)
    assert len(pipe.predict(X)) == 600


def test_batches_are_augmented_alike_by_seed_epoch_and_position() -> None:
    X, y = data()
    pipe = tilth.Pipeline([tilth.ScaleStandard()]).fit(X, y)
    stages = [tilth.stage(key) for key in ("augment.swap", "augment.mixup")]
    make = lambda: pipe.loader(X, y, batch_size=50, device="cpu", augment=stages)
    one, two = make(), make()
    first = [[b[0] for b in one], [b[0] for b in one]]
    again = [[b[0] for b in two], [b[0] for b in two]]
    assert all(torch.equal(a, b) for i in (0, 1) for a, b in zip(first[i], again[i], strict=True))
    assert not torch.equal(first[0][0], first[1][0])
    labels = next(iter(make()))[1]
    assert labels.shape == (50, 2)
