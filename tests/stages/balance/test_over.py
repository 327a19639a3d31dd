"""BalanceOver: imbalanced-learn's RandomOverSampler is the oracle for class counts."""

from collections import Counter

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from imblearn.over_sampling import RandomOverSampler

from tilth.errors import DataError
from tilth.stages.balance.over import BalanceOver
from tilth.table import Table

LABELS = st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=2, max_size=60).filter(
    lambda labels: len(set(labels)) > 1
)


@given(LABELS.filter(lambda y: len(set(y)) > 1))
def test_counts_equal_imbalanced_learn(labels: list) -> None:
    X = pl.DataFrame({"v": range(len(labels))})
    _, ours = BalanceOver().fit_resample(X, labels)
    _, theirs = RandomOverSampler(random_state=0).fit_resample(X.to_numpy(), labels)
    assert Counter(ours.tolist()) == Counter(list(theirs))


@pytest.mark.parametrize("ratio", [0.3, 0.5, 0.77, 1.0])
def test_a_ratio_counts_as_in_imbalanced_learn(ratio: float) -> None:
    labels = np.repeat([False, True], [97, 13])
    X = np.arange(110.0).reshape(-1, 1)
    _, ours = BalanceOver(ratio=ratio).fit_resample(X, labels)
    _, theirs = RandomOverSampler(sampling_strategy=ratio).fit_resample(X, labels)
    assert np.bincount(ours).tolist() == np.bincount(theirs).tolist()


@given(LABELS, st.floats(0.05, 1), st.integers(0, 5))
def test_every_row_stays_and_copies_are_spread_evenly(labels: list, ratio: float, seed: int) -> None:
    y = np.array(labels)
    plan = BalanceOver(ratio=ratio, random_state=seed).fit(np.zeros((len(y), 1)), y).plan_
    assert plan.times.min() >= 1
    largest = max(Counter(labels).values())
    for label, count in Counter(labels).items():
        assert np.ptp(plan.times[y == label]) <= 1
        assert plan.times[y == label].sum() == max(count, int(ratio * largest))


def test_copies_do_not_depend_on_the_order_of_rows() -> None:
    y = pl.Series("y", ["a"] * 50 + ["b"] * 7)
    table = Table.of(pl.DataFrame({"v": range(57)}), y)
    order = np.random.default_rng(0).permutation(57)
    shuffled = table.with_frame(table.frame.collect()[order].lazy())
    times = BalanceOver().fit_table(table).times
    np.testing.assert_array_equal(BalanceOver().fit_table(shuffled).times, times[order])
    assert (BalanceOver(random_state=1).fit_table(table).times != times).any()


def test_copies_keep_label_weight_group_and_the_pandas_index() -> None:
    X = pd.DataFrame({"v": [10, 20, 30, 40]}, index=[7, 7, 8, 9])
    y = pd.Series(["n", "n", "n", "y"], index=X.index)
    out, labels, weight, group = BalanceOver().fit_resample(X, y, [1.0, 2.0, 3.0, 4.0], list("pqrs"))
    assert out["v"].tolist() == [10, 20, 30, 40, 40, 40]
    assert out.index.tolist() == [7, 7, 8, 9, 9, 9]
    assert labels.tolist() == list("nnnyyy")
    assert weight.tolist() == [1.0, 2.0, 3.0, 4.0, 4.0, 4.0]
    assert list(group) == list("pqrsss")


def test_rows_without_a_label_are_left_alone() -> None:
    plan = BalanceOver().fit(pl.DataFrame({"v": range(5)}), ["a", "a", None, "b", None]).plan_
    assert plan.times.tolist() == [1, 1, 1, 2, 1]


def test_one_class_is_refused_and_no_label_at_all_changes_nothing() -> None:
    X = pl.DataFrame({"v": [1, 2]})
    with pytest.raises(DataError, match="has one class, 'a', in 2 rows"):
        BalanceOver().fit(X, ["a", "a"])
    empty = pl.Series("y", [None, None], dtype=pl.String)
    assert BalanceOver().fit(X, empty).plan_.times.tolist() == [1, 1]


def test_imbalance_is_reported_with_its_figures() -> None:
    stage = BalanceOver(ratio=0.5).fit(np.zeros((22, 1)), ["a"] * 20 + ["b"] * 2)
    (finding,) = stage.findings_
    assert finding.score == pytest.approx(0.1)
    assert "'b' has 2 rows" in finding.message
    assert not BalanceOver(ratio=0.1).fit(np.zeros((22, 1)), ["a"] * 20 + ["b"] * 2).findings_


@pytest.mark.parametrize("target", [np.linspace(0, 1, 50), np.arange(50), pd.date_range("2020", periods=50)])
def test_a_target_of_values_is_refused_with_a_way_out(target) -> None:
    with pytest.raises(DataError, match="cut the target into classes"):
        BalanceOver().fit(np.zeros((50, 1)), target)
