"""BalanceCombine: imbalanced-learn's cleaning of the same made rows is the oracle for what stays."""

from collections import Counter

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imblearn.combine import SMOTEENN, SMOTETomek
from imblearn.under_sampling import EditedNearestNeighbours, TomekLinks
from sklearn.datasets import make_classification

from tilth.core.plan import apply
from tilth.errors import DataError
from tilth.stages.balance.combine import BalanceCombine
from tilth.stages.balance.smote import BalanceSMOTE
from tilth.table import Roles, Table


def made(rows: int = 400) -> tuple[np.ndarray, np.ndarray]:
    return make_classification(
        rows, 5, n_informative=4, n_redundant=0, weights=[0.8], flip_y=0.1, random_state=1
    )


@pytest.mark.parametrize(("cleaning", "peer"), [("enn", EditedNearestNeighbours), ("tomek", TomekLinks)])
@pytest.mark.parametrize("classes", ["all", [0]], ids=str)
def test_of_smotes_rows_those_stay_that_imbalanced_learn_keeps(cleaning, peer, classes) -> None:
    X, y = made()
    grown, labels = BalanceSMOTE(scale="none").fit_resample(X, y)
    theirs = peer(sampling_strategy=classes)
    theirs.fit_resample(grown, labels)
    kept = np.sort(theirs.sample_indices_)
    out, label = BalanceCombine(cleaning=cleaning, classes=classes, scale="none").fit_resample(X, y)
    np.testing.assert_array_equal(out, grown[kept])
    np.testing.assert_array_equal(label, labels[kept])


@pytest.mark.parametrize(("cleaning", "peer"), [("enn", SMOTEENN), ("tomek", SMOTETomek)])
def test_about_as_many_rows_of_each_class_stay_as_in_imbalanced_learn(cleaning, peer) -> None:
    X, y = made(1500)
    theirs = Counter(peer(random_state=0).fit_resample(X, y)[1].tolist())
    ours = Counter(BalanceCombine(cleaning=cleaning, scale="none").fit_resample(X, y)[1].tolist())
    for label in (0, 1):
        assert ours[label] == pytest.approx(theirs[label], rel=0.06)


def test_a_made_row_that_goes_is_never_made_and_the_others_name_their_parents() -> None:
    X, y = made()
    plan = BalanceCombine().fit(X, y).plan_
    whole = BalanceSMOTE().fit(X, y).plan_
    assert 0 < plan.fresh.height < whole.fresh.height
    assert len(plan.parents) == len(plan.shares) == plan.fresh.height
    assert (y[plan.parents] == 1).all()
    mixed = (X[plan.parents] * plan.shares[:, :, None]).sum(axis=1)
    np.testing.assert_allclose(plan.fresh.drop("target").to_numpy(), mixed, atol=1e-12)
    assert (plan.times == 0).any()
    for place in np.flatnonzero(plan.times == 0):
        assert "among its nearest rows are" in plan.reason[place]
    assert any("a made row ('1')" in reason for reason in plan.reason)


def test_what_goes_is_counted_and_rows_are_named_only_where_they_are_in_the_table() -> None:
    X, y = made()
    stage = BalanceCombine().fit(X, y)
    finding = next(f for f in stage.findings_ if f.kind == "balance.border")
    whole = BalanceSMOTE().fit(X, y).plan_
    went = whole.fresh.height - stage.plan_.fresh.height
    assert f"{went} of them were made" in finding.message
    assert finding.n_rows == int((stage.plan_.times == 0).sum())
    assert set(finding.rows) == set(np.flatnonzero(stage.plan_.times == 0).tolist())
    assert {f.kind for f in stage.findings_} == {"balance.classes", "balance.border"}


@settings(deadline=None, max_examples=15)
@given(
    st.sampled_from(["enn", "repeated_enn", "all_knn", "ncr", "tomek"]), st.sampled_from(["all", "auto"]),
    st.integers(0, 300),
)  # fmt: skip
def test_no_class_is_lost_and_counts_never_exceed_the_ratio(cleaning, classes, seed: int) -> None:
    random = np.random.default_rng(seed)
    y = np.repeat(["a", "b", "c"], [20, 8, 10])
    X = pl.DataFrame(
        {"a": random.integers(0, 5, 38), "b": random.normal(size=38), "c": random.choice(["p", "q"], 38)}
    )
    out, label = BalanceCombine(cleaning=cleaning, classes=classes, k=3).fit_resample(X, y)
    counts = Counter(label.tolist())
    assert set(counts) == {"a", "b", "c"}
    assert max(counts.values()) <= 20
    assert out.schema == X.schema


def test_groups_weights_and_gaps_go_through() -> None:
    X, y = made(120)
    X[np.random.default_rng(0).random(X.shape) < 0.1] = np.nan
    group = np.arange(120) // 40
    weight = np.linspace(1, 2, 120)
    _, label, weights, groups = BalanceCombine(cleaning="tomek").fit_resample(X, y, weight, group)
    assert len(label) == len(weights) == len(groups)
    assert set(groups) == {0, 1, 2}
    assert ((weights >= 1) & (weights <= 2)).all()


def test_rows_repeated_for_want_of_a_neighbor_are_cleaned_too() -> None:
    X = pl.DataFrame({"a": [0.0, 0.1, 0.2, 0.3, 5.0, 5.1, 0.05, 5.05]})
    y = ["no"] * 6 + ["yes"] * 2
    table = Table.of(
        X.with_columns(y=pl.Series(y), g=pl.Series(range(8))), roles=Roles(target="y", group="g")
    )
    stage = BalanceCombine(k=1, cleaning_k=1, cleaning="tomek")
    plan = stage.fit_table(table)
    assert plan.fresh is None
    assert plan.times[6:].sum() > 2
    after = apply(plan, table, "balance.combine")
    assert after.height == plan.times.sum()
    assert "balance.alone" in {f.kind for f in stage.findings_}


def test_rows_without_a_label_stay_and_nothing_chosen_is_nothing_done() -> None:
    X, y = made(150)
    labels = np.where(np.arange(150) % 5 == 0, None, y.astype(object))
    assert (BalanceCombine().fit(X, labels).plan_.times[::5] == 1).all()
    assert (BalanceCombine(on=[]).fit(X, y).plan_.times == 1).all()
    with pytest.raises(DataError, match="classes: names the class"):
        BalanceCombine(classes=["7"]).fit(X, y)


def test_nullable_pandas_columns_keep_their_types() -> None:
    X, y = made(150)
    frame = pd.DataFrame(
        {"a": X[:, 0], "b": pd.array(np.round(X[:, 1]), dtype="Int64"), "c": pd.Categorical(y + 1)}
    )
    out, _ = BalanceCombine().fit_resample(frame, y)
    assert out.dtypes.equals(frame.dtypes)
