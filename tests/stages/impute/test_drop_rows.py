"""ImputeDropRows: pandas' dropna over rows is the oracle."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.core import fit
from tilth.errors import DataError
from tilth.stages.impute.drop_rows import ImputeDropRows
from tilth.table import Table


@pytest.fixture
def rows() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "a": [1.0, None, 3.0, None],
            "b": ["x", "y", None, None],
            "c": [1, 2, 3, None],
            "d": [True, None, None, None],
        }
    )


@given(
    st.lists(st.lists(st.booleans(), min_size=10, max_size=10), min_size=1, max_size=8), st.integers(0, 10)
)
def test_the_rows_left_are_those_of_pandas(holes: list, tenths: int) -> None:
    cells = [[np.nan if hole else 1.0 for hole in row] for row in [*holes, [False] * 10]]
    frame = pd.DataFrame(cells, columns=[f"c{i}" for i in range(10)])
    left, y = ImputeDropRows(share=tenths / 10).fit_resample(frame, np.arange(len(frame)))
    wanted = frame.dropna(thresh=10 - tenths)
    pd.testing.assert_frame_equal(left, wanted)
    assert y.tolist() == wanted.index.tolist()


def test_only_the_columns_of_on_are_counted_and_the_target_never(rows: pl.DataFrame) -> None:
    X, y = ImputeDropRows(share=0.0, on=["a", "c"]).fit_resample(rows, ["p", "q", None, "r"])
    assert X["c"].to_list() == [1, 3] and y.tolist() == ["p", None]


def test_each_row_says_what_it_misses(rows: pl.DataFrame) -> None:
    stage = ImputeDropRows(share=0.4).fit(rows)
    assert stage.plan_.times.tolist() == [1, 0, 0, 0]
    assert stage.plan_.reason.tolist() == [
        "",
        "misses 2 of 4 cells: a, d",
        "misses 2 of 4 cells: b, d",
        "misses 4 of 4 cells: a, b, c, d",
    ]
    assert stage.plan_.score.tolist() == [1.0, 0.5, 0.5, 0.0]
    (found,) = stage.findings_
    assert (found.kind, found.score, found.n_rows, found.rows) == ("missing.rows", 0.75, 3, (3, 1, 2))


def test_a_long_list_of_gaps_is_cut_in_the_reason() -> None:
    wide = pl.DataFrame({f"c{i}": [1.0, None] for i in range(20)})
    assert ImputeDropRows().fit(wide).plan_.reason[1] == (
        "misses 20 of 20 cells: c0, c1, c2, c3, c4 and 15 more"
    )


def test_rows_may_be_weighted_by_what_they_have(rows: pl.DataFrame) -> None:
    X, _, weight = ImputeDropRows(action="weight", share=0.4).fit_resample(
        rows, [0, 1, 0, 1], sample_weight=[2.0, 2.0, 1.0, 1.0]
    )
    assert X.equals(rows) and weight.tolist() == [2.0, 1.0, 0.5, 0.0]


def test_report_leaves_all_rows(rows: pl.DataFrame) -> None:
    stage = ImputeDropRows(action="report")
    X, _ = stage.fit_resample(rows, [0, 1, 0, 1])
    assert X.equals(rows) and stage.findings_[0].n_rows == 1


def test_the_ledger_tells_which_rows_went_and_why(rows: pl.DataFrame) -> None:
    done = fit([("gaps", ImputeDropRows())], Table.of(rows, [0, 1, 0, 1]))
    assert done.ledger.events.select("stage", "row", "action", "reason").rows() == [
        ("gaps", 3, "dropped", "misses 4 of 4 cells: a, b, c, d")
    ]
    assert done.ledger.account() | {"rows_in": 4, "dropped": 1, "rows_out": 3} == done.ledger.account()


def test_rows_without_gaps_are_left_and_nothing_is_said() -> None:
    stage = ImputeDropRows(share=0.0).fit(pl.DataFrame({"a": [1, 2], "b": ["x", ""]}))
    assert stage.plan_.times.tolist() == [1, 1] and not stage.findings_


def test_no_row_left_is_refused_unless_rows_stay() -> None:
    frame = pl.DataFrame({"a": [None, None], "b": [1, 2]}, schema_overrides={"a": pl.Float64})
    with pytest.raises(DataError, match=r"each row misses more than 40% of its 2 cells"):
        ImputeDropRows(share=0.4).fit(frame)
    assert ImputeDropRows(share=0.4, action="weight").fit(frame).plan_.weight.tolist() == [0.5, 0.5]
