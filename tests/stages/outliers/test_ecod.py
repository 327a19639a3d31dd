"""OutliersEcod: pyod's ECOD is the oracle."""

import numpy as np
import polars as pl
import pytest
from pyod.models.ecod import ECOD

from tilth.stages.outliers.ecod import OutliersEcod


def scores(rows, **more) -> np.ndarray:
    return -OutliersEcod(action="report", **more).fit(rows).plan_.score


@pytest.fixture
def matrix() -> np.ndarray:
    random = np.random.default_rng(0)
    X = random.standard_t(3, (400, 6)) * [1, 1e6, 1e-6, 1, 1, 1] + [0, 1e9, 0, 0, 0, 0]
    X[:, 3] = random.integers(0, 3, 400)  # ties
    X[:, 4] = np.exp(X[:, 4])  # a tail on one side
    X[:, 5] = np.tile([-1.0, 0.0, 0.0, 1.0], 100)  # symmetric: both sides count
    return X


def test_scores_are_those_of_pyod(matrix: np.ndarray) -> None:
    np.testing.assert_allclose(scores(matrix), ECOD().fit(matrix).decision_scores_, atol=1e-6)


def test_the_same_rows_are_flagged_as_by_pyod(matrix: np.ndarray) -> None:
    ours = OutliersEcod(threshold=0.1).fit(matrix).plan_.times == 0
    np.testing.assert_array_equal(ours, ECOD(contamination=0.1).fit(matrix).labels_ == 1)


def test_a_missing_cell_adds_nothing_and_counts_in_no_share(matrix: np.ndarray) -> None:
    holed = matrix[:, [0, 4]].copy()
    holed[::5, 1] = np.nan
    known = ~np.isnan(holed[:, 1])
    expected = scores(holed[:, :1])
    expected[known] += scores(holed[known, 1:])
    np.testing.assert_allclose(scores(holed), expected, atol=1e-12)


def test_rows_are_not_flagged_for_their_gaps(matrix: np.ndarray) -> None:
    holed = matrix.copy()
    holed[:40, 1:] = np.nan
    assert (scores(holed)[:40] <= scores(matrix)[:40] + 0.2).all()
    assert OutliersEcod(threshold=0.05).fit(holed).plan_.times[:40].min() == 1


def test_a_rare_category_sets_a_row_apart_and_is_its_reason() -> None:
    rows = pl.DataFrame({"n": np.tile(np.arange(10.0), 20), "job": ["cook"] * 199 + ["astronaut"]})
    plan = OutliersEcod(threshold=0.005).fit(rows).plan_
    assert np.flatnonzero(plan.times == 0).tolist() == [199]
    assert plan.reason[199].startswith("job 'astronaut' (0.00% of the others)")


def test_names_that_every_row_has_for_itself_change_no_order_and_are_no_reason(matrix: np.ndarray) -> None:
    rows = pl.DataFrame(matrix, schema=list("abcdef"))
    named = rows.with_columns(name=pl.Series([f"row {i}" for i in range(400)]))
    np.testing.assert_allclose(scores(named) - scores(rows), np.log(400))
    reason = OutliersEcod(threshold=0.05).fit(named).plan_.reason
    assert not any(told.startswith("name") for told in reason)


def test_reasons_begin_with_the_column_that_adds_most() -> None:
    X = np.random.default_rng(1).standard_normal((500, 4))
    X[7] = [2.0, -2.0, 40.0, 2.0]
    plan = OutliersEcod(threshold=0.002).fit(pl.DataFrame(X, schema=list("abcd"))).plan_
    assert np.flatnonzero(plan.times == 0).tolist() == [7] and plan.reason[7].startswith("c 40 (")
