import numpy as np
import polars as pl
import pytest

from tilth.core import Stage
from tilth.stages.imputing import Imputer


class Nines(Imputer):
    """Fill every gap with 9, as the columns are read, and keep what was asked."""

    scaled = "none"

    def __init__(self, *, indicator=False, on=None):
        self.indicator = indicator
        self.on = on

    def learn_matrix(self, statistics, reading):
        self.learned_from_ = statistics.rows

    def complete(self, matrix):
        asked.append(matrix.copy())
        return np.where(np.isnan(matrix), 9.0, matrix)


asked: list[np.ndarray] = []


@pytest.fixture(autouse=True)
def forget():
    asked.clear()


def test_gaps_are_filled_and_known_cells_stay_to_the_last_bit():
    rows = pl.DataFrame({"a": [0.1, None, 0.3], "n": [1, 2, None]})
    stage = Nines()
    assert stage.fit_transform(rows).rows() == [(0.1, 1), (9.0, 2), (0.3, 9)]
    assert stage.cells_ == {"a": 1, "n": 1} and stage.learned_from_ == 3


def test_a_column_of_whole_numbers_with_gaps_can_hold_fractions_afterwards():
    rows = pl.DataFrame({"n": [1, 2, None], "full": [1, 2, 3], "id": [2**62, None, 2**62 + 1]})
    stage = Nines().fit(rows)
    out = stage.transform(rows)
    assert out.schema == {"n": pl.Float64, "full": pl.Int64, "id": pl.Int64}
    assert out["id"].to_list() == [2**62, 9, 2**62 + 1]
    again = stage.transform(rows.with_columns(full=pl.Series([None, 2, 3]), n=pl.Series([1, 2, 3])))
    assert again.schema == out.schema and again["full"].to_list() == [9, 2, 3]


def test_only_rows_with_a_gap_are_asked_for():
    stage = Nines().fit(pl.DataFrame({"a": [1.0, None, 3.0], "b": [1.0, 2.0, 3.0]}))
    asked.clear()
    stage.transform(pl.DataFrame({"a": [5.0, None], "b": [6.0, 7.0]}))
    np.testing.assert_array_equal(asked[0], [[np.nan, 7.0]])
    stage.transform(pl.DataFrame({"a": [5.0], "b": [6.0]}))
    assert len(asked) == 1


def test_a_column_without_a_value_stays_missing_and_is_reported():
    rows = pl.DataFrame({"none": pl.Series([None, None], dtype=pl.Float64), "a": [1.0, None]})
    stage = Nines(indicator=True)
    out = stage.fit_transform(rows)
    assert out["none"].to_list() == [None, None] and out["a"].to_list() == [1.0, 9.0]
    assert out.columns == ["none", "a", "none_missing", "a_missing"]
    assert {f.kind: f.columns for f in stage.findings_} == {
        "missing.all": ("none",),
        "missing.filled": ("a",),
    }
    assert stage.cells_ == {"none": 0, "a": 1}


def test_an_indicator_takes_no_name_that_is_taken():
    rows = pl.DataFrame({"a": [1.0, None], "a_missing": [0, 1]})
    out = Nines(indicator=True).fit_transform(rows)
    assert len(set(out.columns)) == 3 and out.to_series(2).to_list() == [False, True]


def test_infinite_cells_are_not_filled():
    out = Nines().fit_transform(pl.DataFrame({"a": [np.inf, None, 1.0]}))
    assert out["a"].to_list() == [np.inf, 9.0, 1.0]


def test_an_imputer_is_a_stage_of_columns():
    assert issubclass(Imputer, Stage) and not Imputer.fused
