"""Rows with a label and rows without: null is no label, and weight 0 no row."""

import numpy as np
import polars as pl
import pytest

from tilth.errors import DataError
from tilth.stages.unlabeled import Partly
from tilth.table import Roles, Table


def table(y: list, w: list | None = None) -> Table:
    frame = pl.DataFrame({"a": np.arange(float(len(y))), "y": y})
    if w is not None:
        frame = frame.with_columns(w=pl.Series(w))
    return Table.of(frame, roles=Roles(target="y", weight=None if w is None else "w"))


def test_every_row_is_on_one_side():
    rows = Partly.of(table(["a", None, "b", "a", None]), "labels.pseudo")
    assert sorted(rows.labeled) == [0, 2, 3]
    assert sorted(rows.open) == [1, 4]
    assert [rows.levels[k] for k in rows.codes[np.argsort(rows.labeled)]] == ["a", "b", "a"]
    assert rows.named(rows.codes) == "'a' 2, 'b' 1"


def test_rows_of_weight_0_are_on_none_and_shares_are_by_weight():
    rows = Partly.of(table(["a", None, "b", "c", None], [3.0, 1.0, 1.0, 0.0, 0.0]), "labels.pseudo")
    assert sorted(rows.labeled) == [0, 2]
    assert rows.open.tolist() == [1]
    assert rows.levels == ["a", "b"]
    assert rows.shares.tolist() == [0.75, 0.25]


@pytest.mark.parametrize(
    "y, w, told",
    [
        ([None, None], None, "0 have a label"),
        (["a", "b", None], [1.0, 0.0, 1.0], "1 have a label in 'y' and a weight above 0, of 1 classes"),
    ],
)
def test_too_few_labels_are_an_error_that_says_what_to_do(y, w, told):
    with pytest.raises(DataError, match=told) as error:
        Partly.of(table(pl.Series(y, dtype=pl.String).to_list(), w), "labels.pseudo")
    assert "Label a row of at least two classes" in str(error.value)


def test_numbers_are_refused():
    with pytest.raises(DataError, match="cut the target into classes"):
        Partly.of(table([0.5, None, 1.25]), "labels.pseudo")
