"""Numbers and vectors as a matrix, and back."""

import numpy as np
import polars as pl
import pytest

from tilth.errors import DataError
from tilth.stages.dense import Dense
from tilth.statistics import Statistics

ROWS = pl.DataFrame(
    {
        "a": pl.Series([1, 2, 3], dtype=pl.Int16),
        "yes": [True, False, True],
        "pixels": pl.Series([[0, 255], [7, 8], [1, 2]], dtype=pl.Array(pl.UInt8, 2)),
        "list": [[0.5, 1.5], [2.0, -1.0], [0.0, 0.0]],
        "b": pl.Series([0.25, 0.5, -1.0], dtype=pl.Float32),
    }
)


def learned(rows: pl.DataFrame = ROWS) -> Dense:
    return Dense.learn(Statistics([rows.lazy()]), rows.columns)


def test_each_column_is_as_wide_as_it_is_and_keeps_its_place():
    dense = learned()
    assert dense.widths == (1, 1, 2, 2, 1) and dense.width == 7
    assert dense.names == ["a", "yes", "pixels[0]", "pixels[1]", "list[0]", "list[1]", "b"]
    np.testing.assert_array_equal(
        dense.matrix(ROWS),
        [[1, 1, 0, 255, 0.5, 1.5, 0.25], [2, 0, 7, 8, 2, -1, 0.5], [3, 1, 1, 2, 0, 0, -1]],
    )
    assert dense.matrix(ROWS, np.float32).dtype == np.float32
    assert dense.matrix(ROWS.head(0)).shape == (0, 7)


def test_cells_give_the_columns_back_and_hold_whole_vectors_to_their_type():
    dense = learned()
    back = pl.DataFrame(dense.cells(dense.matrix(ROWS)))
    assert back["pixels"].equals(ROWS["pixels"]) and back["list"].to_list() == ROWS["list"].to_list()
    assert back["a"].to_list() == [1.0, 2.0, 3.0] and back["a"].dtype == pl.Float64
    far = dense.matrix(ROWS) * 300 - 0.4
    assert pl.DataFrame(dense.cells(far))["pixels"].to_list() == [[0, 255], [255, 255], [255, 255]]


def test_any_parts_tell_the_same_widths_and_lengths_must_agree():
    shards = [ROWS[:0].lazy(), ROWS[:1].lazy(), ROWS[1:].lazy()]
    assert Dense.learn(Statistics(shards), ROWS.columns) == learned()
    uneven = pl.DataFrame({"v": [[1.0], [1.0, 2.0]]})
    with pytest.raises(DataError, match=r"column 'v' are of 2 lengths"):
        learned(uneven)
    fitted = learned(pl.DataFrame({"v": [[1.0, 2.0]]}))
    with pytest.raises(DataError, match=r"length \[1\], and were of 2 at fit"):
        fitted.matrix(pl.DataFrame({"v": [[1.0]]}))


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        ([1.0, None], "misses 1 of 2 cells"),
        ([1.0, np.inf], "holds infinity"),
        ([1.0, -np.inf], "holds infinity"),
    ],
)
def test_cells_that_are_no_numbers_are_refused_by_column(cells, told):
    rows = pl.DataFrame({"fine": [1.0, 2.0], "a": cells})
    with pytest.raises(DataError, match=rf"Column 'a' {told}"):
        learned(rows).matrix(rows)


def test_finite_numbers_whose_sum_overflows_are_fine_and_those_float32_cannot_hold_are_not():
    rows = pl.DataFrame({"a": [1e308, 1e308]})
    assert np.isfinite(learned(rows).matrix(rows)).all()
    with pytest.raises(DataError, match="too large for float32"), np.errstate(over="ignore"):
        learned(rows).matrix(rows, np.float32)
