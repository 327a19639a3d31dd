"""BalanceClean: imbalanced-learn's samplers are the oracle for the rows that stay."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imblearn.under_sampling import (
    AllKNN,
    EditedNearestNeighbours,
    NeighbourhoodCleaningRule,
    RepeatedEditedNearestNeighbours,
    TomekLinks,
)
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from tilth.errors import DataError, TilthWarning
from tilth.stages.balance.clean import BalanceClean
from tilth.table import Roles, Table

PEERS = {
    "enn": EditedNearestNeighbours,
    "repeated_enn": RepeatedEditedNearestNeighbours,
    "all_knn": AllKNN,
    "tomek": TomekLinks,
    "ncr": NeighbourhoodCleaningRule,
}


def made(rows: int = 600, classes: int = 2) -> tuple[np.ndarray, np.ndarray]:
    return make_classification(
        rows, 6, n_informative=4, n_classes=classes, weights=[0.7, 0.2], flip_y=0.1, random_state=1
    )


@pytest.mark.parametrize("method", PEERS)
@pytest.mark.parametrize("classes", ["auto", "all"])
def test_the_rows_that_stay_are_imbalanced_learns(method, classes) -> None:
    X, y = made(classes=3)
    theirs = PEERS[method](sampling_strategy=classes)
    theirs.fit_resample(X, y)
    stage = BalanceClean(method=method, classes=classes, scale="none").fit(X, y)
    assert stage.sample_indices_.tolist() == np.unique(theirs.sample_indices_).tolist()
    scaled = PEERS[method](sampling_strategy=classes)
    scaled.fit_resample(StandardScaler().fit_transform(X), y)
    stage = BalanceClean(method=method, classes=classes).fit(X, y)
    assert stage.sample_indices_.tolist() == np.unique(scaled.sample_indices_).tolist()


def test_mixed_columns_are_compared_as_one_hot_columns_of_the_same_weight() -> None:
    X, y = made()
    city = np.random.default_rng(0).choice(["p", "q", "r"], len(y))
    frame = pl.DataFrame(X).with_columns(city=pl.Series(city))
    # Two different categories differ in two columns of one-hot: each takes half of the mismatch.
    hot = (city[:, None] == np.array(["p", "q", "r"])) * np.sqrt(0.5)
    theirs = EditedNearestNeighbours()
    theirs.fit_resample(np.hstack([StandardScaler().fit_transform(X), hot]), y)
    assert BalanceClean().fit(frame, y).sample_indices_.tolist() == np.unique(theirs.sample_indices_).tolist()


def test_gaps_are_compared_as_scikit_learn_does() -> None:
    from sklearn.metrics.pairwise import nan_euclidean_distances

    X, y = made(300)
    X[np.random.default_rng(0).random(X.shape) < 0.2] = np.nan
    apart = nan_euclidean_distances(X)
    np.fill_diagonal(apart, np.inf)
    apart[np.isnan(apart)] = np.inf
    found = np.argsort(apart, axis=1, kind="stable")[:, :3]
    other = (y[found] != y[:, None]) & np.isfinite(np.take_along_axis(apart, found, 1))
    gone = other.any(axis=1) & (y == 0)
    stage = BalanceClean(scale="none").fit(X, y)
    np.testing.assert_array_equal(stage.plan_.times == 0, gone)


def test_rows_without_a_label_stay_and_are_nobodys_neighbors() -> None:
    X, y = made()
    labels = np.where(np.arange(len(y)) % 4 == 0, None, y.astype(object))
    known = np.flatnonzero(np.arange(len(y)) % 4)
    stage = BalanceClean(scale="none").fit(X, labels)
    alone = BalanceClean(scale="none").fit(X[known], y[known])
    assert (stage.plan_.times[::4] == 1).all()
    np.testing.assert_array_equal(stage.plan_.times[known], alone.plan_.times)


def test_the_order_of_rows_does_not_matter_among_ties() -> None:
    random = np.random.default_rng(0)
    frame = pl.DataFrame({"a": random.integers(0, 4, 200), "b": random.integers(0, 3, 200)})
    table = Table.of(
        frame.with_columns(y=pl.Series(random.choice(["p", "q", "q"], 200))), roles=Roles(target="y")
    )
    order = random.permutation(200)
    turned = table.with_frame(table.frame.collect()[order].lazy())
    for method in (*PEERS, "condensed", "one_sided"):
        stage = BalanceClean(method=method, classes="all")
        np.testing.assert_array_equal(stage.fit_table(turned).times, stage.fit_table(table).times[order])


@settings(deadline=None, max_examples=25)
@given(
    st.sampled_from([*PEERS, "condensed", "one_sided"]),
    st.sampled_from(["auto", "all"]),
    st.integers(0, 1000),
    st.integers(4, 40),
)
def test_no_row_is_made_and_no_class_lost(method, classes, seed: int, rows: int) -> None:
    random = np.random.default_rng(seed)
    X, y = random.integers(0, 4, (rows, 2)).astype(float), random.choice(["a", "b", "c"], rows)
    y[:2] = ["a", "b"]
    stage = BalanceClean(method=method, classes=classes, k=1).fit(X, y)
    kept = stage.plan_.times > 0
    assert stage.plan_.times.max() == 1
    assert set(y[kept]) == set(y)
    if classes == "auto":
        counts = {label: int((y == label).sum()) for label in sorted(set(y))}
        assert kept[y == min(counts, key=counts.get)].all()
    assert stage.sampling_strategy_ == {
        label: int(kept[y == label].sum() - (y == label).sum()) for label in set(y)
    }
    assert all(bool(reason) != stays for reason, stays in zip(stage.plan_.reason, kept, strict=True))


def test_a_class_that_would_go_whole_keeps_a_row_and_a_finding_says_so() -> None:
    X = pl.DataFrame({"a": [0.0, 0.1, 0.2, 5.0, 5.1, 5.2, 0.05, 5.05, 9.0, 9.1, 9.2]})
    y = ["no"] * 6 + ["yes"] * 2 + ["no"] * 3
    stage = BalanceClean(classes="all", k=2).fit(X, y)
    assert (stage.plan_.times[6:8] > 0).sum() == 1
    spared = next(f for f in stage.findings_ if f.kind == "balance.spared")
    assert spared.message == "Class 'yes' would have lost all rows: one stays."


def test_what_goes_is_reported_with_its_figures() -> None:
    X, y = made()
    stage = BalanceClean().fit(X, np.where(y == 0, "no", "yes"))
    (finding,) = stage.findings_
    gone = int((stage.plan_.times == 0).sum())
    assert finding.kind == "balance.border"
    assert finding.n_rows == gone
    assert finding.score == pytest.approx(gone / 600)
    assert f"{gone} of class 'no'" in finding.message
    assert finding.remedy == {"labels.clean": {"action": "report"}}
    assert not BalanceClean(classes=[]).fit(X, y).findings_


def test_hardness_is_the_probability_that_models_give_that_did_not_see_the_row() -> None:
    X, y = made()
    stage = BalanceClean(method="hardness", probe=LogisticRegression(), threshold=0.4).fit(X, y)
    sure = stage.plan_.score
    np.testing.assert_array_equal(stage.plan_.times == 0, (sure < 0.4) & (y == 0))
    inside = LogisticRegression().fit(StandardScaler().fit_transform(X), y)
    assert (
        np.corrcoef(sure, inside.predict_proba(StandardScaler().fit_transform(X))[np.arange(600), y])[0, 1]
        > 0.98
    )
    first = int(np.flatnonzero(stage.plan_.times == 0)[0])
    assert stage.plan_.reason[first] == f"class '0' has a probability of {sure[first]:.2f}"
    assert not stage.recipe
    assert BalanceClean().recipe


def test_fewer_rows_than_neighbors_lower_k_with_a_warning() -> None:
    X = pl.DataFrame({"a": [0.0, 1.0, 2.0]})
    with pytest.warns(TilthWarning, match="5 neighbors were asked for, and a row has 2"):
        stage = BalanceClean(k=5, kind="mode").fit(X, ["a", "a", "b"])
    assert stage.findings_[0].kind == "balance.few"
    assert BalanceClean(k=5, method="tomek").fit(X, ["a", "a", "b"]).plan_ is not None


def test_label_weight_group_and_index_stay_with_their_row() -> None:
    X, y = made(100)
    frame = pd.DataFrame(X, index=np.arange(100) // 2)
    out, label, weight, group = BalanceClean().fit_resample(
        frame, pd.Series(y, frame.index), np.arange(100.0), np.arange(100)
    )
    kept = weight.astype(int)
    assert out.index.tolist() == (kept // 2).tolist()
    assert np.asarray(label).tolist() == y[kept].tolist()
    assert group.tolist() == kept.tolist()


def test_columns_that_cannot_be_compared_are_refused_and_none_chosen_is_nothing_done() -> None:
    X = pl.DataFrame({"a": [[1.0], [2.0], [3.0]]})
    with pytest.raises(DataError, match="no column that rows can be compared by"):
        BalanceClean().fit(X, ["a", "a", "b"])
    assert BalanceClean(on=[]).fit(X, ["a", "a", "b"]).plan_.times.tolist() == [1, 1, 1]
    empty = pl.Series("y", [None, None, None], dtype=pl.String)
    assert BalanceClean().fit(pl.DataFrame({"a": [1, 2, 3]}), empty).plan_.times.tolist() == [1, 1, 1]
