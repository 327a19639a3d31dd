"""ImputeNeighbors: scikit-learn's KNNImputer is the oracle for numbers, a plain loop for votes."""

from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.impute import KNNImputer
from sklearn.preprocessing import StandardScaler

from tilth.stages.impute.neighbors import ImputeNeighbors
from tilth.statistics import Statistics
from tilth.table import ROW, Table


def holed(n: int, d: int, share: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3)) @ rng.normal(size=(3, d)) + 0.3 * rng.normal(size=(n, d))
    X[rng.random(X.shape) < share] = np.nan
    return X


@pytest.mark.parametrize("weights", ["uniform", "distance"])
@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.8])
@pytest.mark.parametrize("n_neighbors", [1, 5, 40])
def test_numbers_are_filled_as_by_scikit_learn(weights: str, share: float, n_neighbors: int) -> None:
    X = holed(700, 6, share)
    ours = ImputeNeighbors(n_neighbors=n_neighbors, weights=weights, scale="none", max_rows=None)
    theirs = KNNImputer(n_neighbors=n_neighbors, weights=weights)
    np.testing.assert_allclose(ours.fit_transform(X), theirs.fit_transform(X), atol=1e-6)
    new = holed(90, 6, share, seed=9)
    np.testing.assert_allclose(ours.transform(new), theirs.transform(new), atol=1e-6)


def test_scaled_numbers_are_filled_as_by_scikit_learn_on_scaled_numbers() -> None:
    X = holed(500, 5, 0.2) * [1, 1e3, 1e-3, 10, 1] + [0, 1e5, 0, -7, 3]
    scaler = StandardScaler()
    theirs = scaler.inverse_transform(KNNImputer().fit_transform(scaler.fit_transform(X)))
    np.testing.assert_allclose(ImputeNeighbors().fit_transform(X), theirs, rtol=1e-6)


def test_cells_missing_together_find_donors_beyond_the_common_list() -> None:
    X = holed(600, 6, 0.0)
    X[:, 5] = np.where(X[:, 0] < 1.5, np.nan, X[:, 5])  # only rows far away have it
    X[::4, 2] = np.nan
    ours = ImputeNeighbors(scale="none").fit_transform(X)
    np.testing.assert_allclose(ours, KNNImputer().fit_transform(X), atol=1e-6)


def test_cells_without_a_donor_within_reach_get_the_mean() -> None:
    X = np.array([[1.0, np.nan], [np.nan, 4.0], [3.0, np.nan], [np.nan, 10.0], [np.nan, np.nan]])
    ours = ImputeNeighbors(scale="none").fit_transform(X)
    np.testing.assert_allclose(ours, KNNImputer().fit_transform(X))
    assert ours.tolist() == [[1.0, 7.0], [2.0, 4.0], [3.0, 7.0], [2.0, 10.0], [2.0, 7.0]]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), share=st.floats(0.05, 0.9), k=st.integers(1, 8))
def test_any_table_of_numbers_is_filled_as_by_scikit_learn(seed: int, share: float, k: int) -> None:
    X = holed(40, 4, share, seed)
    X[0] = [1.0, 2.0, 3.0, 4.0]
    ours = ImputeNeighbors(n_neighbors=k, scale="none").fit_transform(X)
    np.testing.assert_allclose(ours, KNNImputer(n_neighbors=k).fit_transform(X), atol=1e-6)


def fruits(n: int = 160) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 3, n)
    whole = {
        "size": kind + rng.normal(0, 0.4, n),
        "weight": kind * 10 + rng.normal(0, 2, n),
        "fruit": np.array(["fig", "kiwi", "plum"])[kind],
        "ripe": rng.random(n) < 0.5,
    }
    seen = {name: pl.Series(rng.random(n) > 0.15) for name in whole}
    return pl.DataFrame(whole).with_columns(pl.when(seen[c]).then(pl.col(c)).alias(c) for c in whole)


def far_apart(a: tuple, b: tuple, spread: list[float], metric: str) -> float:
    terms = []
    for cell, other, unit in zip(a, b, [*spread, None, None], strict=True):
        if cell is None or other is None:
            continue
        if unit is None:
            terms.append(float(cell != other))
        else:
            terms.append(abs(cell - other) / unit if metric == "gower" else ((cell - other) / unit) ** 2)
    if not terms:
        return np.inf
    mean = sum(terms) / len(terms)
    return mean if metric == "gower" else float(np.sqrt(4 * mean))


@pytest.mark.parametrize("metric", ["euclidean", "gower"])
@pytest.mark.parametrize("weights", ["uniform", "distance"])
def test_mixed_columns_are_filled_as_by_a_plain_loop(metric: str, weights: str) -> None:
    frame = fruits()
    stage = ImputeNeighbors(n_neighbors=4, metric=metric, weights=weights)
    filled = stage.fit_transform(frame)
    assert filled.schema == frame.schema
    # Donors stand in the order in which they were drawn, which decides between equally near ones.
    drawn = Statistics([Table.of(frame).frame], ROW).sample(frame.columns, frame.height, 0).rows()
    numbers = (frame["size"], frame["weight"])
    spread = [c.max() - c.min() if metric == "gower" else c.std(ddof=0) for c in numbers]
    for row, whole in zip(frame.rows(), filled.rows(), strict=True):
        far = np.array([far_apart(row, donor, spread, metric) for donor in drawn])
        for place in (p for p, cell in enumerate(row) if cell is None):
            at = [d for d in np.argsort(far, kind="stable") if drawn[d][place] is not None][:4]
            cells, near = [drawn[d][place] for d in at], far[at]
            counts = np.ones(4)
            if weights == "distance":
                counts = (near == 0).astype(float) if (near == 0).any() else 1 / near
            if place < 2:
                assert whole[place] == pytest.approx(np.average(cells, weights=counts), rel=1e-9)
                continue
            votes = {cell: counts[[c == cell for c in cells]].sum() for cell in cells}
            best = [cell for cell, vote in votes.items() if vote == pytest.approx(max(votes.values()))]
            often = frame[:, place].drop_nulls().to_list()
            assert whole[place] == min(best, key=lambda cell: (-often.count(cell), cell))


def test_votes_that_tie_go_to_the_more_frequent_category() -> None:
    frame = pl.DataFrame({"x": [0.0, 0.1, 0.1, 9.0, 9.0], "t": [None, "rare", "common", "common", "common"]})
    assert ImputeNeighbors(n_neighbors=2).fit_transform(frame)["t"][0] == "common"
    flipped = frame.with_columns(pl.Series("t", [None, "rare", "common", "rare", "rare"]))
    assert ImputeNeighbors(n_neighbors=2).fit_transform(flipped)["t"][0] == "rare"


def test_a_category_too_rare_to_be_told_apart_is_not_filled_in() -> None:
    words = [f"w{i}" for i in range(70)] * 2
    frame = pl.DataFrame({"x": [float(i) for i in range(140)], "t": words})
    frame = frame.with_columns(pl.when(pl.col("x") == 69).then(None).otherwise(pl.col("t")).alias("t"))
    stage = ImputeNeighbors(n_neighbors=1)
    assert stage.fit_transform(frame)["t"][69] in stage.reading_.levels["t"]


def test_dates_and_whole_numbers_keep_their_types() -> None:
    frame = pl.DataFrame(
        {
            "day": [date(2020, 1, 1), date(2020, 1, 3), None, date(2021, 1, 1)],
            "n": pl.Series([1, 2, 1, 100], dtype=pl.Int16),
            "empty": pl.Series([None] * 4, dtype=pl.Float64),
        }
    )
    stage = ImputeNeighbors(n_neighbors=2)
    filled = stage.fit_transform(frame)
    assert filled["day"].to_list()[2] == date(2020, 1, 2)
    assert filled.schema == frame.schema
    assert filled["empty"].null_count() == 4
    assert [f.kind for f in stage.findings_] == ["missing.filled", "missing.all"]
    assert stage.cells_ == {"day": 1, "n": 0, "empty": 0}


def test_a_row_alone_is_filled_as_in_the_table_to_the_bit() -> None:
    X = holed(400, 6, 0.3)
    stage = ImputeNeighbors(weights="distance").fit(X)
    whole = stage.transform(X)
    for row in range(0, 400, 23):
        np.testing.assert_array_equal(stage.transform(X[row : row + 1])[0], whole[row])


def test_at_most_max_rows_donors_are_kept_by_seed() -> None:
    X = holed(300, 4, 0.2)
    stage = ImputeNeighbors(max_rows=50).fit(X)
    assert stage.donors_.shape == (50, 4)
    again = ImputeNeighbors(max_rows=50).fit(X).transform(X)
    np.testing.assert_array_equal(again, stage.transform(X))
    other = ImputeNeighbors(max_rows=50, random_state=1).fit(X)
    assert (other.donors_ != stage.donors_).any()
    assert np.isfinite(other.transform(X)).all()
    np.testing.assert_array_equal(
        ImputeNeighbors(max_rows=None).fit_transform(X), ImputeNeighbors(max_rows=300).fit_transform(X)
    )


def test_infinities_stay_and_are_no_measurements() -> None:
    X = holed(60, 3, 0.0)
    X[0, 0], X[1, 1], X[2, 0] = np.inf, -np.inf, np.nan
    filled = ImputeNeighbors().fit_transform(X)
    assert filled[0, 0] == np.inf and filled[1, 1] == -np.inf
    assert np.isfinite(filled[2, 0])


def test_neighbors_fill_better_than_the_mean_where_columns_depend() -> None:
    full, X = holed(800, 8, 0.0), holed(800, 8, 0.0)
    gaps = np.random.default_rng(5).random(X.shape) < 0.1
    X[gaps] = np.nan
    filled = ImputeNeighbors().fit_transform(X)
    error = np.sqrt(np.mean((filled - full)[gaps] ** 2))
    assert error < 0.5 * full[gaps].std()


def test_the_indicator_marks_what_was_missing() -> None:
    frame = pl.DataFrame({"a": [1.0, None, 3.0], "b": [1.0, 2.0, 3.0]})
    filled = ImputeNeighbors(n_neighbors=1, indicator=True).fit_transform(frame)
    assert filled["a_missing"].to_list() == [False, True, False]
    assert "b_missing" not in filled.columns
