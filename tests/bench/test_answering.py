"""What an arm answers: class frequencies turned back, thresholds tuned inside, rows without labels."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import polars as pl
import pytest

import tilth
from tests.bench.planted import gaussian
from tilth.bench.comparison import compare
from tilth.bench.design import UNCORRECTED
from tilth.core.plan import RowPlan
from tilth.core.stage import RowStage
from tilth.errors import DataError


class Known(RowStage):
    """Label what has no label, by the sign of the first column."""

    key: ClassVar = "known"

    def plan(self, table):
        X = table.X().to_numpy()
        missing = table.y.is_null()
        told = pl.Series(np.where(X[:, 0] > 0, 1, 0))
        return RowPlan(
            np.ones(table.height, np.int64),
            label=pl.select(pl.when(missing).then(told)).to_series(),
        )


@pytest.fixture(scope="module")
def rare():
    random = np.random.default_rng(3)
    X = random.normal(size=(1200, 3))
    y = np.where(X[:, 0] + X[:, 1] + random.normal(size=1200) > 2.6, 1, 0)
    return pl.DataFrame(X, schema=["a", "b", "c"]), y


def mean(done, metric, arm):
    lines = done.scores.filter((pl.col("metric") == metric) & (pl.col("arm") == arm))
    assert lines.height == 5
    return lines["value"].mean()


def test_probabilities_are_turned_back_and_decisions_are_the_probes_own(rare):
    X, y = rare
    done = compare(None, tilth.stage("balance.weight"), X, y, probes=["linear"], repeats=1, n_jobs=1)
    raw = UNCORRECTED.format(arm="after")
    assert mean(done, "log_loss", raw) > mean(done, "log_loss", "before") + 0.1
    assert mean(done, "log_loss", "after") == pytest.approx(mean(done, "log_loss", "before"), abs=0.01)
    assert mean(done, "ece", raw) > 3 * mean(done, "ece", "after")
    # The correction is monotone in the odds, so ranks stay, and decisions are those of the weighted probe.
    assert mean(done, "roc_auc", raw) == mean(done, "roc_auc", "after")
    assert mean(done, "balanced_accuracy", "after") > mean(done, "balanced_accuracy", "before") + 0.1
    [told] = [f for f in done.controls if f.kind == "bench.prior"]
    assert f"log_loss {mean(done, 'log_loss', 'after'):.4f}" in told.message and told.score > 0.1


def test_what_is_not_to_be_corrected_is_left(rare):
    X, y = rare
    stage = tilth.stage("balance.weight", correct_prior=False)
    done = compare(None, stage, X, y, probes=["linear"], repeats=1, n_jobs=1)
    assert mean(done, "log_loss", "after") > mean(done, "log_loss", "before") + 0.1
    assert not [f for f in done.controls if f.kind == "bench.prior"]
    assert "after, uncorrected" not in done.scores["arm"].unique()


def test_a_threshold_is_tuned_inside_the_training_part(rare):
    X, y = rare
    stage = tilth.stage("balance.threshold", metric="balanced_accuracy", folds=3)
    done = compare(None, stage, X, y, probes=["linear"], repeats=1, n_jobs=1, metric="balanced_accuracy")
    assert mean(done, "balanced_accuracy", "after") > mean(done, "balanced_accuracy", "before") + 0.1
    for metric in ("log_loss", "roc_auc", "ece"):
        assert mean(done, metric, "after") == mean(done, metric, "before")
    assert done.verdicts[0].word in ("threshold only", "indication")
    # The tuned threshold of before is chosen on other inner folds, so it is near and not the same.
    tuned = mean(done, "balanced_accuracy", "before, tuned")
    assert mean(done, "balanced_accuracy", "after") == pytest.approx(tuned, abs=0.03)


def test_rows_without_a_label_are_trained_on_and_never_tested():
    X, y = gaussian(300)
    holed = pl.Series("y", [None if i % 3 else int(v) for i, v in enumerate(y)])
    done = compare(None, Known(), X, holed, probes=["linear"], repeats=1, n_jobs=1)
    trained = dict(done.costs.select("arm", "rows_trained").iter_rows())
    assert trained["before"] == pytest.approx(100 * 0.8) and trained["after"] == pytest.approx(80 + 200)
    assert dict(done.costs.select("arm", "share_kept").iter_rows()) == {"before": 1.0, "after": 1.0}
    [told] = [f for f in done.leaks if f.kind == "bench.unlabeled"]
    assert told.n_rows == 200 and told.score == pytest.approx(2 / 3)


def test_a_training_part_without_any_label_is_an_error():
    class Forgets(RowStage):
        key = "forgets"

        def plan(self, table):
            return RowPlan(table.y.is_null().to_numpy().astype(np.int64))

    X, y = gaussian(300)
    holed = pl.Series("y", [None if i % 3 else int(v) for i, v in enumerate(y)])
    with pytest.raises(DataError, match="no labeled rows left"):
        compare(None, Forgets(), X, holed, probes=["linear"], repeats=1, n_jobs=1)
