"""A list of stages: each learns from what the one before left, and only column stages reach new rows."""

import warnings

import numpy as np
import polars as pl
import pytest
from sklearn.base import clone

from tilth.core import BatchStage, ColumnStage, RowPlan, RowStage, apply, fit, fused, replay
from tilth.errors import DataError, TilthWarning
from tilth.stages import stage
from tilth.table import Table

ROWS = pl.DataFrame({"a": [1.0, None, 3.0, 100.0], "b": [1.0, 2.0, 3.0, 4.0], "c": ["x", None, "x", "y"]})


class KeepFirst(RowStage):
    """Drop all but the first rows."""

    finds = {"rows.dropped": "rows were dropped"}

    def __init__(self, *, rows=3):
        self.rows = rows

    def plan(self, table):
        self.report("rows.dropped", "dropped", 0.5)
        return RowPlan((np.arange(table.height) < self.rows).astype(np.int64))


class Spread(ColumnStage):
    """Add a column and take one away, on whole columns."""

    fused = False

    def change(self, frame):
        return frame.map_batches(
            lambda f: f.with_columns(pl.col("b").alias("d")).drop("c"), schema=self._schema(frame)
        )

    @staticmethod
    def _schema(frame):
        schema = dict(frame.collect_schema())
        schema.pop("c")
        return {**schema, "d": pl.Float64()}


class Shake(BatchStage):
    """Stand for an augmentation."""


def test_stages_learn_from_the_rows_that_a_row_stage_left():
    scale = stage("scale.standard", on="b")
    done = fit([("keep", KeepFirst()), ("scale", scale)], Table.of(ROWS))
    assert scale.mean_ == {"b": 2.0}
    assert done.table.height == 3
    assert done.rows.tolist() == [0, 1, 2]
    assert done.ledger.account()["dropped"] == 1


def test_the_sources_of_rows_are_told_through_many_row_stages():
    done = fit([("one", KeepFirst(rows=3)), ("over", Twice()), ("two", KeepFirst(rows=5))], Table.of(ROWS))
    assert done.rows.tolist() == [0, 1, 2, 0, 1]


class Twice(RowStage):
    """Repeat every row."""

    def plan(self, table):
        return RowPlan(np.full(table.height, 2))


def test_findings_of_all_stages_are_gathered_in_order():
    done = fit([("impute", stage("impute.simple")), ("keep", KeepFirst())], Table.of(ROWS))
    assert [(f.kind, f.columns) for f in done.findings] == [
        ("missing.filled", ("a",)),
        ("missing.filled", ("c",)),
        ("rows.dropped", ()),
    ]
    assert {f.stage for f in done.findings} >= {"impute.simple"}


def test_the_ledger_counts_the_cells_that_changed_and_the_columns_that_came_and_went():
    stages = [
        ("impute", stage("impute.simple", indicator=True)),
        ("clip", stage("outliers.clip", method="range", value_range=[0, 10], on="a")),
        ("spread", Spread()),
    ]
    done = fit(stages, Table.of(ROWS))
    told = {(s, c, change): n for s, c, change, n in done.ledger.columns.iter_rows()}
    assert told["impute", "a", "changed"] == 1
    assert told["impute", "b", "changed"] == 0
    assert told["impute", "c", "changed"] == 1
    assert told["impute", "a_missing", "added"] is None
    assert told["clip", "a", "changed"] == 1
    assert told["spread", "d", "added"] is None
    assert ("spread", "c", "removed") in told
    assert done.touched >= {"a", "b", "c"}


def test_only_column_stages_are_applied_to_new_rows():
    stages = [
        ("impute", stage("impute.simple")),
        ("keep", KeepFirst()),
        ("shake", Shake()),
        ("scale", stage("scale.standard")),
    ]
    fit(stages, Table.of(ROWS))
    new = Table.of(ROWS.reverse())
    out = apply(stages, new.frame).collect()
    assert out.height == 4
    assert out["b"].to_list() == sorted(out["b"].to_list(), reverse=True)
    assert out.null_count().sum_horizontal()[0] == 0


def test_a_list_without_a_stage_changes_nothing():
    table = Table.of(ROWS)
    done = fit([], table)
    assert done.table.frame.collect().equals(table.frame.collect())
    assert (done.ledger.rows_in, done.ledger.rows_out) == (4, 4)
    assert done.findings == []


def test_a_query_is_fused_unless_a_stage_needs_whole_columns():
    assert fused([("scale", stage("scale.standard")), ("keep", KeepFirst())])
    assert not fused([("scale", stage("scale.standard")), ("spread", Spread())])


def test_progress_is_told_each_name_before_its_stage():
    told = []
    fit([("one", KeepFirst()), ("two", stage("scale.standard"))], Table.of(ROWS), progress=told.append)
    assert told == ["one", "two"]


def test_the_training_rows_are_brought_where_fitting_left_them():
    stages = [
        ("impute", stage("impute.simple")),
        ("keep", KeepFirst()),
        ("twice", Twice()),
        ("scale", stage("scale.standard")),
    ]
    table = Table.of(ROWS)
    done = fit(stages, table)
    assert replay(stages, table, done.ledger).frame.collect().equals(done.table.frame.collect())
    with pytest.raises(DataError, match="fitted on 4 rows, and these are 2"):
        replay(stages, Table.of(ROWS.head(2)), done.ledger)


def test_the_table_that_came_in_is_left_alone():
    table = Table.of(ROWS)
    before = table.frame.collect()
    fit([("impute", stage("impute.simple")), ("keep", KeepFirst())], table)
    assert table.frame.collect().equals(before)


def test_copies_made_before_a_cross_fitted_encoder_are_warned_of():
    rows = pl.DataFrame({"c": list("abcd") * 15, "g": np.arange(60) // 4})
    y = [0, 0, 1, 0, 0] * 12
    named = [("over", stage("balance.over")), ("encode", stage("encode.target"))]
    with pytest.warns(TilthWarning, match="36 rows were repeated or made of others .* Put the stage"):
        fit(named, Table.of(rows.drop("g"), y))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit([(name, clone(part)) for name, part in named[::-1]], Table.of(rows.drop("g"), y))
        fit([(name, clone(part)) for name, part in named], Table.of(rows.drop("g"), y, groups=rows["g"]))
