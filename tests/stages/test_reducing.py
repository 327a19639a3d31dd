"""Columns give way to numbers, in their place, and come back."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

import tilth
from tilth.errors import ColumnError
from tilth.stages.reducing import Reducer, numbered


class Halves(Reducer):
    """Put sum and difference of the first two columns of the matrix in the place of all."""

    prefix = "half"

    def __init__(self, *, on=None):
        self.on = on

    def learn_matrix(self, statistics):
        return 2

    def project(self, matrix):
        return np.column_stack([matrix[:, 0] + matrix[:, 1], matrix[:, 0] - matrix[:, 1]])

    def unproject(self, codes):
        return np.column_stack([codes.sum(axis=1), codes[:, 0] - codes[:, 1]]) / 2


class Sums(Halves):
    """As `Halves`, but without a way back."""

    unproject = property()


ROWS = pl.DataFrame({"x": ["u", "v", "w"], "a": [1, 2, 3], "half1": ["p", "q", "r"], "b": [0.5, 0.25, 1.0]})


def test_new_columns_stand_where_the_first_stood_under_names_that_are_free():
    stage = Halves().fit(ROWS)
    out = stage.transform(ROWS)
    assert out.columns == ["x", "half1_", "half2", "half1"] == list(stage.get_feature_names_out())
    assert out["half2"].to_list() == [0.5, 1.75, 2.0]
    assert numbered("c", 2, ["c2"]) == ["c1", "c2_"]


def test_columns_come_back_in_their_types_and_places():
    stage = Halves().fit(ROWS)
    assert stage.inverse_transform(stage.transform(ROWS)).equals(ROWS)
    pandas = ROWS.to_pandas()
    back = Halves().fit(pandas)
    pd.testing.assert_frame_equal(back.inverse_transform(back.transform(pandas)), pandas)
    array = np.array([[1.0, 2.0], [3.0, 5.0]])
    of_array = Halves().fit(array)
    np.testing.assert_allclose(of_array.inverse_transform(of_array.transform(array)), array)


def test_without_a_way_back_there_is_no_inverse():
    assert not hasattr(Sums().fit(ROWS), "inverse_transform")
    with pytest.raises(tilth.errors.StageError, match="cannot be inverted"):
        tilth.Pipeline([Sums()]).fit(ROWS).inverse_transform(ROWS)


def test_an_empty_selection_changes_nothing_and_wrong_columns_are_named():
    words = ROWS.select("x", "half1")
    assert Halves().fit_transform(words).equals(words)
    stage = Halves().fit(ROWS)
    with pytest.raises(ColumnError, match="half1_"):
        stage.inverse_transform(ROWS)
