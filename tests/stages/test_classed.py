"""Classed rows: labeled rows in the order of their ids, and how far apart categories are."""

import numpy as np
import polars as pl
import pytest

from tilth.stages.classed import ClassedRows
from tilth.table import Table


def table(**columns) -> Table:
    frame = pl.DataFrame(columns)
    return Table.of(frame.drop("y"), frame["y"])


def test_rows_without_a_label_are_left_out_and_the_others_are_in_the_order_of_ids() -> None:
    rows = table(a=[3.0, 1.0, 2.0, 5.0], y=["p", None, "q", "p"])
    turned = rows.with_frame(rows.frame.collect()[[2, 3, 1, 0]].lazy())
    for given, places in ((rows, [0, 2, 3]), (turned, [3, 0, 1])):
        read = ClassedRows.of(given, ["a"], "s", "none")
        assert read.ids.tolist() == [0, 2, 3]
        assert read.places.tolist() == places
        assert read.codes.tolist() == [0, 1, 0]
        assert read.matrix.ravel().tolist() == [3.0, 2.0, 5.0]
        assert read.name(np.int64(1)) == "row 2 ('q')"


@pytest.mark.parametrize("seed", range(5))
def test_the_matrix_is_the_same_to_the_last_bit_in_any_order(seed: int) -> None:
    random = np.random.default_rng(seed)
    rows = table(
        a=random.normal(1e6, 1, 1000), b=random.choice(["x", "y"], 1000), y=random.choice(["p", "q"], 1000)
    )
    turned = rows.with_frame(rows.frame.collect()[random.permutation(1000)].lazy())
    one, two = (ClassedRows.of(given, ["a", "b"], "s", "standard") for given in (rows, turned))
    assert np.array_equal(one.matrix, two.matrix)


def test_categories_are_as_far_apart_as_smotenc_has_it() -> None:
    a, b = np.array([0.0, 4.0, 0.0, 4.0]), np.array([0.0, 0.0, 20.0, 20.0])
    rows = table(a=a, b=b, c=["x", "y", "x", "y"], y=["p", "q", "p", "q"])
    raw = ClassedRows.of(rows, ["a", "b", "c"], "s", "none")
    assert raw.space.categorical == (False, False, True)
    assert raw.space.mismatch == pytest.approx(np.median([a.std(), b.std()]) ** 2)
    assert ClassedRows.of(rows, ["a", "b", "c"], "s", "standard").space.mismatch == 1.0
    assert ClassedRows.of(rows, ["c"], "s", "none").space.mismatch == 1.0


def test_without_any_value_no_row_is_in_reach_of_another() -> None:
    read = ClassedRows.of(
        table(a=pl.Series([None, None], dtype=pl.Float64), y=["p", "q"]), ["a"], "s", "standard"
    )
    assert np.isnan(read.matrix).all()
    assert read.matrix.shape == (2, 1)
