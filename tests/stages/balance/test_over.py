"""BalanceOver: imbalanced-learn's RandomOverSampler is the oracle for class counts."""

from collections import Counter

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from imblearn.over_sampling import RandomOverSampler

from tilth.core import lineage
from tilth.errors import DataError
from tilth.stages.balance.over import BalanceOver
from tilth.table import Roles, Table

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


def test_a_class_may_be_asked_for_by_its_rows() -> None:
    X, y = np.arange(20.0).reshape(-1, 1), np.repeat([0, 1, 2], [12, 5, 3])
    stage = BalanceOver(ratio={1: 11, "2": 3})
    _, labels = stage.fit_resample(X, y)
    assert np.bincount(labels).tolist() == [12, 11, 3]
    with pytest.raises(DataError, match="asks for 2 rows of class '1', which has 5"):
        BalanceOver(ratio={1: 2}).fit(X, y)
    with pytest.raises(DataError, match="names the class 'b'"):
        BalanceOver(ratio={"b": 2}).fit(X, y)


def smoothed(shrinkage: float, seed: int = 0) -> tuple[pl.DataFrame, np.ndarray, BalanceOver]:
    random = np.random.default_rng(1)
    y = np.repeat([0, 1], [4000, 400])
    X = pl.DataFrame(
        {
            "wide": random.normal(0, 50, 4400),
            "narrow": random.normal(3, 0.1, 4400).astype(np.float32),
            "count": random.poisson(2, 4400),
            "flag": random.integers(0, 2, 4400),
            "word": random.choice(["a", "b"], 4400),
        }
    )
    return X, y, BalanceOver(shrinkage=shrinkage, random_state=seed).fit(X, y)


def test_noise_has_imbalanced_learns_width_for_the_rows_of_the_class() -> None:
    X, y, stage = smoothed(0.7)
    plan = stage.plan_
    assert (plan.times == 1).all() and (y[plan.parents] == 1).all() and (plan.shares == 1).all()
    assert plan.fresh.drop("target").schema == X.schema
    numbers = X.select("wide", "narrow", "count").to_numpy()
    out, _ = RandomOverSampler(random_state=0, shrinkage=0.7).fit_resample(numbers, y)
    sampler = RandomOverSampler(random_state=0)
    sampler.fit_resample(numbers, y)
    theirs = (out - numbers[sampler.sample_indices_])[4400:].std(axis=0)
    ours = plan.fresh.select("wide", "narrow", "count").to_numpy() - numbers[plan.parents[:, 0]]
    # There the width is that for the rows of all classes: (4400 / 400) ** (1 / (columns + 4)) smaller.
    np.testing.assert_allclose(ours.std(axis=0)[:2], theirs[:2] * 11 ** (1 / 7), rtol=0.05)
    assert np.abs(ours.mean(axis=0)[:2] / ours.std(axis=0)[:2]).max() < 0.05


def test_noise_leaves_flags_and_words_and_keeps_counts_counts() -> None:
    X, _, stage = smoothed(1.0)
    plan = stage.plan_
    base = plan.parents[:, 0]
    for name in ("flag", "word"):
        assert plan.fresh[name].equals(X[name].gather(base))
    counts = plan.fresh["count"]
    assert counts.min() >= X["count"].min() and counts.max() <= X["count"].max()
    assert (counts != X["count"].gather(base)).any()
    assert not plan.fresh.equals(smoothed(1.0, seed=1)[2].plan_.fresh)


def test_noise_does_not_depend_on_the_order_of_rows_and_keeps_the_group() -> None:
    frame = pl.DataFrame({"v": np.random.default_rng(0).normal(size=60), "key": range(60), "g": range(60)})
    frame = frame.with_columns(pl.Series("y", ["a"] * 50 + ["b"] * 10))
    roles = Roles(target="y", row_id="key", group="g")
    order = np.random.default_rng(0).permutation(60)
    stage = BalanceOver(shrinkage=1.0)
    one, two = (stage.fit_resample(Table.of(f, roles=roles)).frame.collect() for f in (frame, frame[order]))
    assert one.sort("__row__").drop("v").equals(two.sort("__row__").drop("v"))
    np.testing.assert_allclose(one.sort("__row__")["v"], two.sort("__row__")["v"], rtol=1e-12)
    made = stage.plan_.parents[:, 0]
    assert two["g"][60:].to_list() == frame[order]["g"].gather(made).to_list()


def test_noise_moves_the_columns_chosen_only_and_gaps_stay() -> None:
    X = pl.DataFrame({"a": [1.5, 2.5, None, 4.5], "b": [0.5, 0.7, 0.9, 1.1]})
    plan = BalanceOver(shrinkage=1.0, on="a", ratio={"y": 9}).fit(X, ["n", "n", "y", "y"]).plan_
    base = plan.parents[:, 0]
    assert plan.fresh["b"].equals(X["b"].gather(base))
    assert plan.fresh["a"].is_null().to_numpy().tolist() == (base == 2).tolist()


def test_copies_of_many_rows_leave_nothing_to_remember() -> None:
    random, rows = np.random.default_rng(0), 3 * lineage.MOST
    X = pl.DataFrame({"a": random.integers(0, 50, rows), "b": random.normal(size=rows).round(1)})
    y = (random.random(rows) < 0.1).astype(int)
    lineage.forget()
    BalanceOver().fit_resample(X, y)
    assert not any(lineage._MADE.values())
    BalanceOver(shrinkage=1.0).fit_resample(X, y)
    assert lineage._MADE["features"][-1].who == "balance.over"
    lineage.forget()


def test_images_are_repeated_but_not_moved() -> None:
    frame = pl.DataFrame({"path": [f"{i}.png" for i in range(30)], "v_1": np.linspace(0, 1, 30)})
    images = Table.of(frame, pl.Series("y", ["a"] * 20 + ["b"] * 10), roles=Roles(image="path"))
    out = BalanceOver().fit_resample(images).frame.collect()
    assert Counter(out["y"]) == {"a": 20, "b": 20}
    assert out["path"].value_counts()["count"].max() == 2
    assert out["__row__"].n_unique() == 40
    with pytest.raises(DataError, match=r"balance\.over: makes new rows.*shrinkage: 0.*augment\.images"):
        BalanceOver(shrinkage=1.0).fit_resample(images)
