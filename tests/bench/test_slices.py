"""Parts of the rows that are scored by themselves, and the gain that one of them pays for."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from tests.bench.planted import NoOp, gaussian
from tilth.bench import compare
from tilth.bench.metrics import METRICS
from tilth.bench.slices import MOST, SLICED, slices_of
from tilth.core import ColumnStage
from tilth.errors import ColumnError
from tilth.table import Table

ALONE = {"probes": ["linear"], "n_jobs": 1}


def _table(rows=400):
    X, y = gaussian(rows, width=2)
    random = np.random.default_rng(7)
    frame = X.with_columns(
        sex=pl.Series(random.choice(["f", "m"], rows)),
        rare=pl.Series(np.where(np.arange(rows) < 15, "odd", "usual")),
        gappy=pl.when(pl.Series(random.random(rows) < 0.4)).then(None).otherwise(pl.lit("known")),
        few=pl.Series(random.integers(0, 3, rows)),
    )
    return Table.of(frame, y), y


def test_rows_are_cut_by_categories_quarters_and_gaps():
    table, y = _table()
    found = slices_of(table, y, "binary", folds=4)
    frame = table.X()
    members = dict(zip(found.names, found.member, strict=True))
    assert (members["sex = f"] == (frame["sex"] == "f").to_numpy()).all()
    assert (members["gappy is missing"] == frame["gappy"].is_null().to_numpy()).all()
    assert sorted(n for n in members if n.startswith("few")) == ["few = 0", "few = 1", "few = 2"]
    quarters = [m for n, m in members.items() if "x0" in n]
    assert len(quarters) == 4 and (np.sum(quarters, axis=0) == 1).all()
    assert all(m.sum() == 100 for m in quarters)
    # 15 rows are fewer than 20 in each of 4 folds.
    assert "rare = odd" not in members and "rare = usual" in members


def test_a_slice_without_rows_of_both_classes_in_each_fold_is_left_out():
    table, y = _table()
    lonely = np.where((table.X()["sex"] == "f").to_numpy(), 0, y)
    assert "sex = f" not in slices_of(table, lonely, "binary", 4).names
    assert "sex = f" in slices_of(table, lonely * 1.0, "regression", 4).names


def test_named_columns_alone_are_cut_and_categories_come_first():
    table, y = _table()
    assert set(slices_of(table, y, "binary", 4, ["few", "x1"]).names) >= {"few = 0"}
    assert not any("sex" in n for n in slices_of(table, y, "binary", 4, ["few"]).names)
    assert slices_of(table, y, "binary", 4, []).names == ()
    assert slices_of(table, y, "binary", 4).names[0].startswith(("sex", "rare", "gappy"))
    with pytest.raises(ColumnError, match="sx"):
        slices_of(table, y, "binary", 4, ["sx"])
    X, y = gaussian(400, width=12)
    assert len(slices_of(Table.of(X, y), y, "binary", 4).names) == MOST
    every = [f"x{j}" for j in range(12)]
    assert len(slices_of(Table.of(X, y), y, "binary", 4, every).names) == 48


def test_scores_of_slices_are_those_of_their_rows():
    X, y = gaussian(500, strength=0.8)
    weight = np.where(np.arange(500) % 7 == 0, 0.0, 1.0)
    part = pl.Series(np.where(np.arange(500) % 2 == 0, "even", "odd"))
    X = X.with_columns(part=part)
    whole = compare(None, None, X, y, sample_weight=weight, slices=["part"], repeats=1, **ALONE)
    assert whole.slices.schema == SLICED
    assert whole.slices.height == 2 * 2 * 5
    mean = whole.slices.filter(arm="before").group_by("slice").agg(pl.col("value").mean())
    overall = whole.scores.filter(arm="before", metric="roc_auc")["value"].mean()
    assert mean["value"].min() < overall < mean["value"].max()
    # One slice that holds all rows is scored as all rows are.
    same = X.with_columns(part=pl.lit("all"))
    done = compare(None, None, same, y, sample_weight=weight, slices=["part"], repeats=1, **ALONE)
    told = done.scores.filter(arm="before", metric="roc_auc").sort("fold")["value"]
    assert done.slices.filter(arm="before").sort("fold")["value"].to_list() == told.to_list()


class Favor(ColumnStage):
    """Undo the blur of most rows, and blur those of one part: a gain that some pay for."""

    def change(self, frame):
        noise = pl.col("noise")
        good = pl.when(pl.col("part") == "few").then(3 * noise).otherwise(0.0)
        return frame.with_columns(x=pl.col("x") - noise + good).drop("noise")


class Hide(ColumnStage):
    """Hide the column that knows."""

    def change(self, frame):
        return frame.drop("noise")


def _paid(rows=1500):
    random = np.random.default_rng(0)
    y = random.integers(0, 2, rows)
    noise = 1.5 * random.normal(size=rows)
    part = np.where(random.random(rows) < 0.25, "few", "most")
    x = 2.0 * y + random.normal(size=rows) * 0.8 + noise
    return pl.DataFrame({"x": x, "noise": noise, "part": part}), y


def test_a_gain_that_one_slice_pays_for_is_a_trade():
    X, y = _paid()
    done = compare([Hide()], [Favor()], X, y, slices=["part"], repeats=2, **ALONE)
    (verdict,) = done.verdicts
    guard = verdict.guards["worst slice"]
    assert verdict.difference > 0.02 and verdict.low > 0
    assert guard.broken and guard.metric == "roc_auc where part = few" and guard.difference < -0.02
    assert verdict.word == "trades" and "roc_auc where part = few is clearly worse" in verdict.note
    assert any("roc_auc where part = few is clearly worse" in s for s in done.in_words())
    without = compare([Hide()], [Favor()], X, y, slices=[], repeats=2, **ALONE)
    assert "worst slice" not in without.verdicts[0].guards and without.slices.height == 0


def test_without_a_loss_no_slice_is_broken():
    X, y = gaussian(800)
    (verdict,) = compare(None, [NoOp()], X, y, repeats=2, **ALONE).verdicts
    assert not verdict.guards["worst slice"].broken
    assert verdict.guards["worst slice"].difference == 0


def test_a_loss_counts_as_a_share_where_the_metric_is_a_loss():
    random = np.random.default_rng(0)
    X = pl.DataFrame({"x": random.normal(size=900), "part": random.choice(["a", "b"], 900)})
    y = 1000 * (X["x"].to_numpy() + 0.1 * random.normal(size=900))
    assert METRICS["rmse"].relative
    (verdict,) = compare(None, [NoOp()], X, y, slices=["part"], repeats=2, **ALONE).verdicts
    assert verdict.guards["worst slice"].metric.startswith("rmse where part = ")
