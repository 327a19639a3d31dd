"""Slices where after is worse: paired, counted, and adjusted for all that were looked at."""

import numpy as np
import polars as pl
import pytest

from tilth.bench.slices import SLICED, Slices
from tilth.bench.statistics import corrected_t, holm
from tilth.bench.verdicts import Facts
from tilth.bench.worse import WORSE, rows_of, slice_table

FACTS = Facts("binary", ("roc_auc",), 5, 2, 500, np.array([250, 250]), {})


def lines(slice_, before, after, metric="roc_auc"):
    where = [(k // 5, k % 5) for k in range(len(before))]
    return [
        {
            "probe": "linear",
            "metric": metric,
            "slice": slice_,
            "arm": arm,
            "repeat": r,
            "fold": f,
            "value": float(v),
        }
        for arm, values in (("before", before), ("after", after))
        for (r, f), v in zip(where, values, strict=True)
    ]


@pytest.fixture
def scores():
    rng = np.random.default_rng(0)
    base = 0.8 + 0.01 * rng.normal(size=10)
    told = lines("sex = F", base, base - 0.1 + 0.01 * rng.normal(size=10))
    told += lines("sex = M", base, base + 0.01 * rng.normal(size=10))
    told += lines("age <= 30", base, base - 0.002 + 1e-5 * rng.normal(size=10))
    return pl.DataFrame(told, schema=SLICED)


def test_a_slice_that_loses_is_told_first_with_its_count_and_its_interval(scores):
    table = slice_table(scores, {"sex = F": 240}, FACTS)
    first = table.row(0, named=True)
    gains = scores.filter(pl.col("slice") == "sex = F")
    gains = (
        gains.filter(pl.col("arm") == "after")["value"].to_numpy()
        - gains.filter(pl.col("arm") == "before")["value"].to_numpy()
    )
    found = corrected_t(gains, 5)
    assert (first["slice"], first["rows"], first["worse"]) == ("sex = F", 240, True)
    assert (first["low"], first["high"], first["p"]) == pytest.approx((found.low, found.high, found.p))


def test_p_values_are_adjusted_for_all_slices(scores):
    table = slice_table(scores, {}, FACTS)
    assert table["p_holm"].to_list() == pytest.approx(holm(table["p"].to_numpy()).tolist())


def test_a_loss_too_small_to_matter_is_sure_and_not_called_worse(scores):
    line = slice_table(scores, {}, FACTS).filter(pl.col("slice") == "age <= 30").row(0, named=True)
    assert line["p_holm"] < 0.05
    assert not line["worse"]


def test_a_larger_loss_is_worse_where_lower_is_better():
    base = np.linspace(1.0, 1.1, 10)
    told = lines("a", base, base + 0.3 + 0.01 * np.sin(np.arange(10)), "log_loss")
    line = slice_table(pl.DataFrame(told, schema=SLICED), {}, FACTS).row(0, named=True)
    assert line["difference"] < 0
    assert line["worse"]


def test_folds_without_a_score_are_left_out(scores):
    gap = (pl.col("slice") == "sex = M") & (pl.col("fold") == 0) & (pl.col("arm") == "after")
    some = scores.with_columns(value=pl.when(gap).then(float("nan")).otherwise("value"))
    table = slice_table(some, {}, FACTS)
    assert table.filter(pl.col("slice") == "sex = M")["n_scores"].item() == 8


def test_nothing_to_compare_gives_no_line(scores):
    assert slice_table(scores.filter(pl.col("arm") == "before"), {}, FACTS).schema == WORSE
    assert slice_table(scores.clear(), {}, FACTS).height == 0


def test_labeled_rows_of_slices_are_counted():
    member = np.array([[True, True, False], [False, True, True]])
    assert rows_of(Slices(("a", "b"), member), np.array([True, False, True])) == {"a": 1, "b": 1}
