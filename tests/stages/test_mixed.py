"""Columns of every kind become one matrix with gaps, and cells again; the parts of the rows do not matter."""

import datetime as dt
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from tilth.errors import DataError
from tilth.stages.mixed import Mixed
from tilth.statistics import Statistics


def rows(count=200, seed=0):
    random = np.random.default_rng(seed)
    frame = pl.DataFrame(
        {
            "wave": pl.Series(random.normal(5, [1.0, 2.0, 0.01], (count, 3)), dtype=pl.Array(pl.Float64, 3)),
            "count": random.integers(-9, 9, count),
            "city": random.choice(["Oslo", "Rome"], count),
            "yes": random.random(count) < 0.4,
            "seen": [dt.date(2020, 1, 1) + dt.timedelta(days=int(d)) for d in random.integers(0, 99, count)],
            "bytes": pl.Series(random.integers(0, 255, (count, 2)).tolist(), dtype=pl.List(pl.UInt8)),
        }
    )
    return frame.with_columns(
        pl.when(pl.Series(random.random(count) < 0.9)).then(pl.col(c)).alias(c) for c in frame.columns
    )


def learned(frame, bounds=()):
    edges = [0, *bounds, frame.height]
    shards = [frame.slice(a, b - a).lazy() for a, b in pairwise(edges)]
    return Mixed.learn(Statistics(shards), frame.columns)


def test_cells_come_back_as_they_were():
    frame = rows()
    mixed = learned(frame)
    back = pl.DataFrame(mixed.cells(mixed.wide(frame)))
    assert back.schema == frame.schema
    for name in frame.columns[1:]:
        assert back[name].equals(frame[name], null_equal=True), name
    assert back["wave"].is_null().equals(frame["wave"].is_null())
    np.testing.assert_allclose(back["wave"].to_numpy(), frame["wave"].to_numpy())


def test_vectors_are_centered_by_element_and_scaled_by_one_number():
    frame = rows()
    mixed = learned(frame)
    whole = mixed.wide(frame)[:, mixed.source == mixed.columns.index("wave")]
    cells = frame["wave"].drop_nulls().to_numpy()
    np.testing.assert_allclose(np.nanmean(whole, axis=0), 0, atol=1e-12)
    assert np.nanvar(whole, axis=0).mean() == pytest.approx(1)
    np.testing.assert_allclose(
        np.nanstd(whole, axis=0) / np.nanstd(whole[:, 0]), cells.std(0) / cells[:, 0].std()
    )


def test_the_matrix_says_where_its_columns_come_from():
    mixed = learned(rows())
    assert mixed.columns == ["count", "city", "yes", "seen", "wave", "bytes"]
    assert mixed.source.tolist() == [0, 1, 1, 2, 2, 3, 4, 4, 4, 5, 5]
    assert mixed.categorical.tolist() == [False, True, True, False, False, False]


@pytest.mark.parametrize("bounds", [[100], [0, 1, 199], [50, 51, 120]])
def test_parts_of_the_rows_do_not_matter(bounds):
    frame = rows()
    np.testing.assert_allclose(learned(frame, bounds).wide(frame), learned(frame).wide(frame), atol=1e-11)


def test_a_vector_that_is_not_whole_is_missing():
    frame = rows()
    mixed = learned(frame)
    odd = pl.DataFrame(
        {"wave": [[1.0, np.nan, 2.0], [np.inf, 0.0, 1.0], None, [1.0, 2.0, 3.0], [1.0, None, 2.0]]}
    )
    odd = frame.head(5).with_columns(odd["wave"].cast(pl.Array(pl.Float64, 3)))
    told = mixed.wide(odd)[:, mixed.source == mixed.columns.index("wave")]
    assert np.isnan(told).tolist() == [[True] * 3, [True] * 3, [True] * 3, [False] * 3, [True] * 3]


def test_columns_without_a_value_are_left_out_and_come_back_empty():
    frame = rows(20).with_columns(
        pl.lit(None, pl.Float64).alias("none"), pl.lit(None, pl.Array(pl.Float64, 2)).alias("void")
    )
    mixed = learned(frame)
    assert "none" not in mixed.columns
    assert "void" not in mixed.columns
    back = pl.DataFrame(mixed.cells(mixed.wide(frame)))
    assert back.schema == frame.schema
    assert back["none"].null_count() == back["void"].null_count() == 20
    with pytest.raises(DataError, match="No column has a value"):
        learned(frame.select("none", "void"))


def test_a_vector_that_does_not_vary_is_not_scaled():
    frame = pl.DataFrame({"v": pl.Series(np.full((5, 2), 3.0), dtype=pl.Array(pl.Float64, 2))})
    assert learned(frame).wide(frame).tolist() == [[0.0, 0.0]] * 5
