"""The benchmark of training health: what is healthy is decided by what the checks do not see."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch


@pytest.fixture
def sets(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the module of the rows."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
    return importlib.import_module("health_sets")


@pytest.fixture
def runs(sets: Any) -> Any:
    """Return the module of the trainings."""
    return importlib.import_module("health_runs")


def test_no_set_that_is_reported_sets_a_threshold(sets: Any) -> None:
    assert not {*sets.REPORTED} & {*sets.CALIBRATION}
    assert {*sets.QUICK} <= {*sets.CALIBRATION}
    assert len({*sets.REPORTED}) * 12 >= 200


@pytest.mark.parametrize("name", ["classes", "friedman1"])
def test_parts_share_no_row_and_are_scaled_by_the_first(sets: Any, name: str) -> None:
    X, y = sets.rows_of(name, 3)
    parts = sets.parted(np.column_stack([X, np.arange(len(X))]), y, 3, *sets.SHARES)
    assert [len(rows) for rows, _ in parts] == [600, 200, 200]
    assert len(np.unique(np.concatenate([rows[:, -1] for rows, _ in parts]))) == len(X)
    assert np.allclose(parts[0][0].mean(0), 0) and np.allclose(parts[0][0].std(0), 1)
    assert abs(parts[2][0].mean(0)).max() > 1e-3


def test_waves_lie_between_their_triangles(sets: Any) -> None:
    X, y = sets.waveform(0, 6000)
    means = np.stack([X[y == label].mean(0) for label in range(3)])
    peak = {at: np.maximum(6 - np.abs(np.arange(1, 22) - at), 0) for at in (7, 11, 15)}
    for mean, pair in zip(means, ((7, 15), (7, 11), (15, 11)), strict=True):
        assert abs(mean - sum(peak[at] for at in pair) / 2).max() < 0.15


@pytest.mark.parametrize(
    ("train", "test", "reference", "why"),
    [
        (0.85, 0.80, 0.82, None),
        (0.85, 0.80, 0.835, "short"),
        (0.85, 0.76, 0.76, None),
        (0.85, 0.74, 0.74, "overfit"),
        (0.99, 0.90, 0.90, "overfit"),
        (0.99, 0.70, 0.80, "short"),
    ],
)
def test_what_ails_a_training(
    runs: Any, train: float, test: float, reference: float, why: str | None
) -> None:
    told = {"train": train, "test": test, "reference": reference, "constant": 0.5}
    assert runs.ailing(told) == why


@pytest.mark.parametrize("name", ["wine", "friedman1"])
def test_the_network_that_is_judged_is_the_one_that_was_trained(runs: Any, name: str) -> None:
    run = runs.healthy(name, 1_000_000)
    run.options["epochs"] = 3
    done, trained = run.examined()
    told = runs.truth(run, trained)
    assert told["train"] == pytest.approx(done.vitals.train_score, abs=1e-5)
    X, y = run.judged_by
    with torch.inference_mode():
        said = trained(torch.from_numpy(X.astype(np.float32))).numpy()
    if name == "wine":
        expected = np.mean(said.argmax(1) == y)
        assert told["constant"] == np.mean(y == np.bincount(run.y).argmax())
    else:
        expected = 1 - np.mean((said[:, 0] - y) ** 2) / np.var(y)
        assert told["constant"] < 0.01
    assert told["test"] == pytest.approx(expected, abs=1e-5)
    assert told["reference"] > told["constant"]


def test_a_fault_is_told_without_a_truth(runs: Any) -> None:
    line = runs.told("missing_cell", "", 1_000_000)
    assert "missing" in line["found"] and "truth" not in line
