"""BalanceUnder: imbalanced-learn's under-samplers are the oracle for counts, and for the rows of NearMiss."""

from collections import Counter

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imblearn.under_sampling import ClusterCentroids, InstanceHardnessThreshold, NearMiss, RandomUnderSampler
from sklearn.cluster import KMeans
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression

from tilth.errors import DataError, TilthWarning
from tilth.pipeline import Pipeline
from tilth.stages.balance.under import BalanceUnder
from tilth.statistics import uniform
from tilth.table import Table

METHODS = ["random", "nearmiss-1", "nearmiss-2", "nearmiss-3", "instance_hardness", "cluster"]


def made(rows: int = 500, classes: int = 2) -> tuple[np.ndarray, np.ndarray]:
    weights = [0.8] if classes == 2 else [0.6, 0.3]
    return make_classification(
        rows, 6, n_informative=4, n_classes=classes, weights=weights, flip_y=0.05, random_state=2
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("ratio", ["equal", 0.5, {0: 37}], ids=str)
def test_counts_are_exactly_those_of_imbalanced_learn(method, ratio) -> None:
    X, y = made()
    strategy = "auto" if ratio == "equal" else ratio
    theirs = RandomUnderSampler(sampling_strategy=strategy).fit_resample(X, y)[1]
    ours = BalanceUnder(method=method, ratio=ratio, k=12).fit_resample(X, y)[1]
    assert np.bincount(ours).tolist() == np.bincount(theirs).tolist()


@given(
    st.lists(st.sampled_from("abcd"), min_size=2, max_size=60).filter(lambda y: len(set(y)) > 1),
    st.integers(0, 9),
)
def test_rows_are_dropped_from_larger_classes_only_and_none_is_made(labels: list, seed: int) -> None:
    y = np.array(labels)
    plan = BalanceUnder(random_state=seed).fit(np.zeros((len(y), 1)), y).plan_
    assert set(plan.times) <= {0, 1}
    least = min(Counter(labels).values())
    assert set(Counter(y[plan.times == 1]).values()) == {least}
    assert (plan.times[[i for i, n in enumerate(labels) if Counter(labels)[n] == least]] == 1).all()


@pytest.mark.parametrize("version", [1, 2, 3])
def test_near_miss_keeps_the_rows_of_imbalanced_learn(version: int) -> None:
    X, y = made(classes=3)
    k = 12 if version == 3 else 5
    theirs = NearMiss(version=version, n_neighbors=k, n_neighbors_ver3=k)
    theirs.fit_resample(X, y)
    ours = BalanceUnder(method=f"nearmiss-{version}", k=k, scale="none").fit(X, y)  # type: ignore[arg-type]
    assert ours.sample_indices_.tolist() == np.sort(theirs.sample_indices_).tolist()


def test_instance_hardness_keeps_the_likeliest_rows_as_imbalanced_learn_does() -> None:
    X, y = made()
    stage = BalanceUnder(method="instance_hardness", probe=LogisticRegression()).fit(X, y)
    sure, kept = stage.plan_.score, stage.plan_.times == 1
    assert sure[kept & (y == 0)].min() >= sure[~kept].max()
    theirs = InstanceHardnessThreshold(estimator=LogisticRegression(), random_state=0)
    theirs.fit_resample(X, y)
    # Other folds give other probabilities, and nearly the same rows.
    shared = np.intersect1d(theirs.sample_indices_, stage.sample_indices_)
    assert len(shared) > 0.9 * len(stage.sample_indices_)


def test_clusters_are_stood_for_by_the_rows_that_imbalanced_learn_finds_at_their_centers() -> None:
    X, y = made(300)
    stage = BalanceUnder(method="cluster", scale="none", random_state=3).fit(X, y)
    own = np.flatnonzero(y == 0)
    order = own[np.argsort(uniform(3, own.astype(np.uint64)), kind="stable")]
    theirs = ClusterCentroids(estimator=KMeans(n_init=1, random_state=3), voting="hard")
    kept, label = theirs.fit_resample(
        np.vstack([X[order], X[y == 1]]), np.repeat([0, 1], [len(own), (y == 1).sum()])
    )
    found = {tuple(row) for row in kept[label == 0]}
    ours = {tuple(row) for row in X[(stage.plan_.times == 1) & (y == 0)]}
    # A row may be nearest to two centers: theirs takes it twice, ours takes one of each cluster.
    assert len(found & ours) > 0.9 * len(ours)


@pytest.mark.parametrize("method", METHODS)
def test_rows_do_not_depend_on_their_order(method) -> None:
    X, y = made(200)
    table = Table.of(pl.DataFrame(X), pl.Series(y))
    order = np.random.default_rng(0).permutation(200)
    turned = table.with_frame(table.frame.collect()[order].lazy())
    stage = BalanceUnder(method=method, k=8)
    np.testing.assert_array_equal(stage.fit_table(turned).times, stage.fit_table(table).times[order])


def test_another_seed_draws_other_rows() -> None:
    X, y = made()
    times = [BalanceUnder(random_state=seed).fit(X, y).plan_.times for seed in (0, 0, 1)]
    np.testing.assert_array_equal(times[0], times[1])
    assert (times[0] != times[2]).any()


def test_every_row_is_drawn_about_as_often() -> None:
    y = np.repeat([0, 1], [60, 20])
    taken = sum(
        BalanceUnder(random_state=seed).fit(np.zeros((80, 1)), y).plan_.times[:60] for seed in range(200)
    )
    assert abs(taken - 200 / 3).max() < 4.5 * np.sqrt(200 * 2 / 9)


@pytest.mark.parametrize("method", METHODS)
def test_gaps_categories_and_rows_without_a_label_are_taken(method) -> None:
    X, y = made(150)
    X[np.random.default_rng(0).random(X.shape) < 0.2] = np.nan
    frame = pl.DataFrame(X).with_columns(pl.Series("c", np.where(X[:, 0] > 0, "p", "q")))
    labels = np.where(np.arange(150) % 5 == 0, None, y.astype(object))
    plan = BalanceUnder(method=method, k=8).fit(frame, labels).plan_
    assert (plan.times[::5] == 1).all()
    kept = Counter(labels[plan.times == 1])
    assert kept[0] == kept[1] == Counter(labels)[1]


def test_reasons_and_scores_tell_the_measure() -> None:
    X = pl.DataFrame({"a": [0.0, 1.0, 2.0, 9.0]})
    stage = BalanceUnder(method="nearmiss-1", k=1, scale="none").fit(X, ["no", "no", "no", "yes"])
    assert stage.plan_.times.tolist() == [0, 0, 1, 1]
    assert stage.plan_.score[:3].tolist() == [9.0, 8.0, 7.0]
    assert stage.plan_.reason[0] == "class 'no' has 3 rows, 1 stay; mean distance to rows of class 'yes' 9"
    stage = BalanceUnder().fit(X, ["no", "no", "no", "yes"])
    assert set(stage.plan_.reason) == {"", "class 'no' has 3 rows, 1 stay"}
    (finding,) = stage.findings_
    assert finding.kind == "balance.classes"
    assert finding.score == pytest.approx(1 / 3)


def test_few_rows_of_the_smallest_class_are_told_with_a_warning() -> None:
    X = np.arange(6.0)[:, None]
    with pytest.warns(TilthWarning, match="Class 'b' has 2 rows, fewer than k = 3"):
        stage = BalanceUnder(method="nearmiss-2").fit(X, list("aaaabb"))
    assert [f.kind for f in stage.findings_] == ["balance.few", "balance.classes"]
    with pytest.warns(TilthWarning, match="are fewer than the 20 that are to stay"):
        stage = BalanceUnder(method="nearmiss-3", k=2, ratio={"a": 20}).fit(
            np.arange(33.0)[:, None], ["a"] * 30 + ["b"] * 3
        )
    assert (stage.plan_.times[:30] == 1).sum() == 20


def test_a_class_may_be_asked_to_go_whole_and_none_to_grow() -> None:
    X, y = made(100)
    assert not (BalanceUnder(ratio={0: 0}, method="cluster").fit_resample(X, y)[1] == 0).any()
    with pytest.raises(DataError, match=r"balance\.over"):
        BalanceUnder(ratio={1: 1000}).fit(X, y)
    with pytest.raises(DataError, match="names the class"):
        BalanceUnder(ratio={"7": 1}).fit(X, y)


def test_label_weight_group_and_index_stay_with_their_row() -> None:
    X, y = made(100)
    frame = pd.DataFrame(X, index=np.arange(100) // 2)
    out, label, weight, group = BalanceUnder().fit_resample(
        frame, pd.Series(y, frame.index), np.arange(100.0), np.arange(100)
    )
    kept = weight.astype(int)
    assert out.index.tolist() == (kept // 2).tolist()
    assert np.asarray(label).tolist() == y[kept].tolist()
    assert group.tolist() == kept.tolist()


def test_random_needs_no_column_that_can_be_read_and_the_others_say_so() -> None:
    X, y = pl.DataFrame({"a": [[1.0], [2.0], [3.0]]}), ["a", "a", "b"]
    assert BalanceUnder().fit(X, y).plan_.times.sum() == 2
    with pytest.raises(DataError, match="no column that rows can be compared by"):
        BalanceUnder(method="cluster").fit(X, y)
    assert BalanceUnder(on=[]).fit(X, y).plan_.times.sum() == 3


@settings(deadline=None, max_examples=20)
@given(st.sampled_from([*METHODS[1:4], "cluster"]), st.integers(0, 500), st.integers(1, 12))
def test_counts_are_exact_among_ties_and_gaps(method, seed: int, keep: int) -> None:
    random = np.random.default_rng(seed)
    X = np.where(random.random((25, 2)) < 0.2, np.nan, random.integers(0, 2, (25, 2)).astype(float))
    y = np.repeat(["a", "b"], [12, 13])
    plan = BalanceUnder(method=method, ratio={"b": keep}, k=12).fit(X, y).plan_
    assert (plan.times[12:] == 1).sum() == keep


def test_probabilities_are_turned_back_to_the_frequencies_there_were() -> None:
    X, y = made(4000)
    plain = Pipeline([LogisticRegression()]).fit(X, y).predict_proba(X)[:, 1]
    raw = Pipeline([BalanceUnder(correct_prior=False), LogisticRegression()]).fit(X, y).predict_proba(X)[:, 1]
    turned = Pipeline([BalanceUnder(), LogisticRegression()]).fit(X, y).predict_proba(X)[:, 1]
    assert raw.mean() > plain.mean() + 0.1
    assert turned.mean() == pytest.approx(plain.mean(), abs=0.03)
