"""SelectVariance: scikit-learn's VarianceThreshold is the oracle."""

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_selection import VarianceThreshold
from sklearn.preprocessing import MinMaxScaler

from tilth.core import fit
from tilth.errors import DataError
from tilth.stages.select.variance import SelectVariance
from tilth.table import Table

COLUMNS = st.lists(
    st.lists(st.sampled_from([0.0, 0.1, 1.0, 3.0, np.nan]), min_size=8, max_size=8), max_size=5
)


@given(COLUMNS, st.sampled_from([0.0, 0.2, 1.0]))
def test_the_columns_left_are_those_of_scikit_learn(columns: list, threshold: float) -> None:
    X = np.array([*columns, np.arange(8.0)]).T
    X = X[:, ~np.isnan(X).all(axis=0)]
    peer = VarianceThreshold(threshold).fit(X)
    stage = SelectVariance(threshold=threshold, missing="ignore").fit(X)
    assert stage.get_support().tolist() == peer.get_support().tolist()
    assert stage.get_support(indices=True).tolist() == peer.get_support(indices=True).tolist()
    np.testing.assert_array_equal(stage.transform(X), peer.transform(X))


def test_variances_may_be_those_of_the_range_or_over_the_mean() -> None:
    random = np.random.default_rng(0)
    X = np.column_stack([random.normal(100, 0.1, 99), random.normal(0, 5, 99), random.random(99) < 0.02])
    peer = VarianceThreshold(0.03).fit(MinMaxScaler().fit_transform(X))
    stage = SelectVariance(threshold=0.03, scaled="range").fit(X)
    assert stage.get_support().tolist() == peer.get_support().tolist() == [True, True, False]
    np.testing.assert_allclose(list(stage.scores_.values()), peer.variances_)
    stage = SelectVariance(threshold=1e-5, scaled="mean").fit(X)
    np.testing.assert_allclose(stage.scores_["x0"], X[:, 0].var() / X[:, 0].mean() ** 2)
    assert stage.get_support().tolist() == [False, True, True]


def test_constants_of_every_kind_go() -> None:
    same = {
        "number": [0.1] * 6,
        "text": ["a"] * 6,
        "truth": [True] * 6,
        "day": [dt.date(2020, 1, 1)] * 6,
        "vector": [[1.0, 2.0]] * 6,
        "struct": [{"a": 1}] * 6,
        "nothing": [None] * 6,
        "tag": pl.Series(["x"] * 6, dtype=pl.Categorical),
        "level": pl.Series(["x"] * 6, dtype=pl.Enum(["w", "x"])),
    }
    varies = {f"{name} once": [*list(v)[:5], None] for name, v in same.items() if name != "nothing"}
    frame = pl.DataFrame({**same, **varies})
    stage = SelectVariance().fit(frame)
    assert sorted(stage.dropped_) == sorted(same)
    assert stage.kept_ == list(varies)
    kept = pl.DataFrame({"kept": range(6)})
    ignoring = SelectVariance(missing="ignore").fit(pl.concat([frame, kept], how="horizontal"))
    assert ignoring.kept_ == ["kept"]


def test_a_constant_that_is_no_sum_of_halves_is_constant_all_the_same() -> None:
    X = pl.DataFrame({"a": [0.1] * 1000, "b": range(1000)})
    assert X["a"].var() != 0
    assert SelectVariance().fit(X).dropped_ == {"a": "holds 0.1 only"}


def test_what_one_value_has_nearly_all_of_goes() -> None:
    random = np.random.default_rng(0)
    X = pl.DataFrame({"rare": np.where(np.arange(100) < 3, "b", "a"), "half": random.integers(0, 2, 100)})
    X = X.with_columns(gaps=pl.when(pl.int_range(100) < 4).then(1.5), number=pl.int_range(100) // 99)
    stage = SelectVariance(share=0.96).fit(X)
    assert stage.dropped_ == {
        "rare": "holds 'a' in 97.00% of its rows",
        "gaps": "holds no value in 96.00% of its rows",
        "number": "holds 0 in 99.00% of its rows",
    }
    assert SelectVariance(share=0.98).fit(X).kept_ == ["rare", "half", "gaps"]
    counts = X["rare"].value_counts(normalize=True)
    assert stage.findings_[0].score == counts["proportion"].max()


def test_what_goes_is_reported_and_stands_in_the_ledger() -> None:
    frame = pl.DataFrame({"a": [1, 1, 1], "b": [1, 2, 3], "c": [0.0, 0.0, 0.1]})
    done = fit([("vary", SelectVariance(threshold=0.01))], Table.of(frame, [0, 1, 0]))
    assert done.table.features == ["b"]
    assert [row[:3] for row in done.ledger.columns.rows()] == [
        ("vary", "a", "removed"),
        ("vary", "c", "removed"),
    ]
    assert [(f.kind, f.columns) for f in done.findings] == [
        ("select.constant", ("a",)),
        ("select.variance", ("c",)),
    ]
    assert done.findings[1].message == "'c' has variance 0.002222, at most 0.01."


def test_nothing_left_is_an_error_and_on_protects() -> None:
    frame = pd.DataFrame({"a": [1, 1], "b": ["x", "x"]})
    with pytest.raises(DataError, match="no column varies enough, so none would be left"):
        SelectVariance().fit(frame)
    with pytest.raises(DataError, match="There is 1 sample only"):
        SelectVariance().fit(frame.head(1))
    assert list(SelectVariance(on="~b").fit_transform(frame)) == ["b"]
    assert frame.shape == (2, 2)
