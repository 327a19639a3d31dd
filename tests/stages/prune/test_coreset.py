"""Coresets keep what they say: a radius, a mean or a margin, class by class, and the weight of all rows."""

import numpy as np
import polars as pl
import pytest
from sklearn.base import BaseEstimator

from tests.neighbors.peers import all_pairs
from tilth.errors import DataError
from tilth.stages.prune.coreset import PruneCoreset
from tilth.table import Roles, Table

METHODS = ("k_center", "herding", "margin")


def clouds(rows=200, seed=0):
    """Return two clouds that overlap, three rows of four in the first."""
    random = np.random.default_rng(seed)
    y = (np.arange(rows) % 4 == 0).astype(int)
    return random.normal(1.5 * y[:, None], 1, (rows, 3)), y


def standard(X):
    return (X - X.mean(axis=0)) / X.std(axis=0)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("form", ["polars", "pandas", "numpy"])
def test_each_class_keeps_its_share(method, form):
    X, y = clouds()
    frame = pl.DataFrame(X)
    given = {"polars": frame, "pandas": frame.to_pandas(), "numpy": X}[form]
    stage = PruneCoreset(method=method, share=0.2)
    out, labels = stage.fit_resample(given, y)
    assert type(out) is type(given)
    assert np.bincount(labels).tolist() == [30, 10]
    (finding,) = stage.findings_
    assert finding.n_rows == 160
    assert "40 of 200 rows stand for all" in finding.message
    assert all(stage.plan_.reason[stage.plan_.times == 0])


def test_k_center_says_how_far_rows_are_from_those_kept():
    X, y = clouds()
    stage = PruneCoreset(share=0.1).fit(X, y)
    keep = stage.plan_.times > 0
    far = all_pairs(standard(X), standard(X), (False,) * 3)
    apart = np.array([far[i, keep & (y == y[i])].min() for i in range(200)])
    np.testing.assert_allclose(-stage.plan_.score, apart, atol=1e-9)
    assert stage.findings_[0].score == pytest.approx(apart.max())
    assert f"{apart.max():.3g} from one of them" in stage.findings_[0].message
    for row in np.flatnonzero(~keep):
        heir = int(stage.plan_.reason[row].split()[1])
        assert keep[heir]
        assert y[heir] == y[row]
        assert far[row, heir] == pytest.approx(apart[row])


def test_k_center_covers_better_than_rows_drawn_by_chance():
    X, y = clouds()
    radius = PruneCoreset(share=0.1, stratify=False).fit(X, y).findings_[0].score
    far, random = all_pairs(standard(X), standard(X), (False,) * 3), np.random.default_rng(0)
    drawn = [far[:, random.choice(200, 20, replace=False)].min(axis=1).max() for _ in range(200)]
    assert radius < min(drawn)


def test_herding_keeps_the_mean_of_each_class():
    X, y = clouds()
    stage = PruneCoreset(method="herding", share=0.1).fit(X, y)
    keep = stage.plan_.times > 0
    Z = standard(X)
    apart = [
        np.sqrt(np.mean((Z[keep & (y == k)].mean(axis=0) - Z[y == k].mean(axis=0)) ** 2)) for k in (0, 1)
    ]
    assert stage.findings_[0].score == pytest.approx(max(apart))
    assert max(apart) < 0.05


def test_margin_keeps_rows_that_are_right_by_little():
    X, y = clouds()
    stage = PruneCoreset(method="margin", share=0.3).fit(X, y)
    keep, lead = stage.plan_.times > 0, stage.plan_.score
    for label in (0, 1):
        own = y == label
        right = own & (lead >= 0)
        if (keep & own).sum() <= right.sum():
            assert (lead[keep & own] >= 0).all()
            assert lead[keep & own].max() <= lead[right & ~keep].min()
        else:
            assert keep[right].all()
    assert stage.findings_[0].score == pytest.approx(lead[keep].mean())


def test_margin_takes_misjudged_rows_only_when_no_others_are_left():
    X, y = clouds()
    stage = PruneCoreset(method="margin", share=0.97, stratify=False).fit(X, y)
    gone, lead = stage.plan_.times == 0, stage.plan_.score
    assert (lead < 0).sum() > 6
    assert lead[gone].max() < lead[(lead < 0) & ~gone].min()


class Guess(BaseEstimator):
    """Believe the first column."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        p = 1 / (1 + np.exp(-X[:, 0]))
        return np.column_stack([1 - p, p])


def test_margin_may_be_judged_by_an_estimator():
    X, y = clouds()
    stage = PruneCoreset(method="margin", probe=Guess(), stratify=False, share=0.1)
    assert not stage.recipe
    plan = stage.fit(X, y).plan_
    right = (X[:, 0] > X[:, 0].mean()) == (y == 1)
    assert right[plan.times > 0].mean() > 0.9
    assert "Guess probe" in stage.findings_[0].message


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("stratify", [True, False])
def test_kept_rows_carry_the_weight_of_those_they_stand_for(method, stratify):
    X, y = clouds()
    given = np.random.default_rng(1).uniform(0.5, 2, 200)
    stage = PruneCoreset(method=method, share=0.2, stratify=stratify, action="weight")
    _, labels, weight = stage.fit_resample(X, y, sample_weight=given)
    assert weight.sum() == pytest.approx(given.sum())
    if stratify or method != "k_center":
        for label in (0, 1):
            assert weight[labels == label].sum() == pytest.approx(given[y == label].sum())
    if method == "k_center":
        far = all_pairs(standard(X), standard(X), (False,) * 3)
        keep = np.flatnonzero(stage.plan_.times)
        if not stratify:
            expected = np.bincount(keep[far[:, keep].argmin(axis=1)], given, minlength=200)[keep]
            np.testing.assert_allclose(weight, expected)


def test_size_is_kept_to_and_each_class_has_a_row():
    X, y = clouds()
    y = np.where(np.arange(200) < 3, 2, y)
    for size, rows in ((50, 50), (1, 3), (200, 200), (900, 200)):
        kept = y[PruneCoreset(size=size).fit(X, y).plan_.times > 0]
        assert len(kept) == rows
        assert set(kept) == {0, 1, 2}
    assert (PruneCoreset(size=1, stratify=False, method="herding").fit(X, y).plan_.times > 0).sum() == 3
    values = np.linspace(0, 1, 200)
    assert (PruneCoreset(size=1).fit(X, values).plan_.times > 0).sum() == 1


def test_report_leaves_rows_as_they_are_and_no_target_is_needed():
    X, _ = clouds()
    stage = PruneCoreset(action="report").fit(X)
    assert (stage.plan_.times == 1).all()
    assert stage.findings_[0].n_rows == 140
    with pytest.raises(DataError, match="target"):
        PruneCoreset(method="margin").fit(X)
    with pytest.raises(DataError, match="works on classes"):
        PruneCoreset(method="margin").fit(X, np.linspace(0, 1, 200))


def test_rows_without_a_label_or_weight_are_left_alone():
    X, y = clouds(100)
    labels = pl.Series("y", [None if i < 5 else int(v) for i, v in enumerate(y)])
    weight = pl.Series("w", np.where((np.arange(100) >= 5) & (np.arange(100) < 9), 0.0, 1.0))
    table = Table.of(pl.DataFrame(X).with_columns(labels, weight), roles=Roles(target="y", weight="w"))
    for method in METHODS:
        plan = PruneCoreset(method=method, action="weight").fit(table).plan_
        assert (plan.times[:9] == 1).all()
        assert (plan.weight[:9] == 1).all()
        assert (plan.times[9:] == 0).sum() in (63, 64)


def test_gaps_and_categories_have_a_say():
    random = np.random.default_rng(0)
    kind = np.array(["x"] * 57 + ["y"] * 3)
    frame = pl.DataFrame({"kind": kind, "number": random.normal(size=60)})
    frame = frame.with_columns(pl.when(pl.int_range(60) % 7 != 0).then("number"), pl.lit(None).alias("none"))
    kept = {
        method: frame.filter(pl.Series(PruneCoreset(method=method, size=20).fit(frame).plan_.times > 0))
        for method in ("k_center", "herding")
    }
    assert "y" in kept["k_center"]["kind"]
    # One in twenty: the mean of the flags is kept, too.
    assert (kept["herding"]["kind"] == "y").sum() == 1


def test_rows_that_share_no_cell_are_told_of():
    frame = pl.DataFrame({"a": [1.0, 2.0, 3.0, None, None], "b": [None, None, None, 1.0, 2.0]})
    stage = PruneCoreset(size=1).fit(frame)
    assert "share no cell with any" in stage.findings_[0].message
    assert np.isfinite(stage.findings_[0].score)
    assert PruneCoreset(size=2).fit(frame).plan_.times.sum() == 2


def test_one_row_stays():
    for method in ("k_center", "herding"):
        assert PruneCoreset(method=method).fit(np.ones((1, 2))).plan_.times.tolist() == [1]
