"""SelectDrop: pandas' drop is the oracle."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from tilth.errors import DataError, TilthError
from tilth.pipeline import Pipeline
from tilth.stages.impute.simple import ImputeSimple
from tilth.stages.select.drop import SelectDrop

ROWS = pd.DataFrame(
    {"age": [30.0, np.nan, 50.0], "id_old": [7, 8, 9], "city": ["a", None, "b"], "id_new": [1, 2, 3]}
)


@pytest.mark.parametrize(
    ("on", "gone"),
    [
        (None, []),
        ("id_old", ["id_old"]),
        (["city", "age"], ["age", "city"]),
        ("id_*", ["id_old", "id_new"]),
        ("~(age | city)", ["id_old", "id_new"]),
        ("categorical", ["city"]),
    ],
)
def test_what_is_left_is_what_pandas_leaves(on, gone) -> None:
    stage = SelectDrop(on=on).fit(ROWS)
    pd.testing.assert_frame_equal(stage.transform(ROWS), ROWS.drop(columns=gone))
    assert list(stage.dropped_) == gone and stage.kept_ == [c for c in ROWS if c not in gone]
    assert stage.get_support().tolist() == [c not in gone for c in ROWS]


def test_nothing_left_and_no_such_column_are_refused() -> None:
    with pytest.raises(DataError, match="none would be left"):
        SelectDrop(on="*").fit(ROWS)
    with pytest.raises(TilthError, match="id_ol"):
        SelectDrop(on="id_ol").fit(ROWS)


def test_stages_after_it_do_not_see_what_is_gone_and_the_ledger_says_so() -> None:
    pipe = Pipeline([SelectDrop(on="id_*"), ImputeSimple()]).fit(ROWS)
    assert pl.from_pandas(pipe.transform(ROWS)).columns[:2] == ["age", "city"]
    gone = pipe.ledger_.columns.filter(pl.col("change") == "removed")
    assert gone["column"].to_list() == ["id_old", "id_new"] and set(gone["stage"]) == {"select.drop"}
