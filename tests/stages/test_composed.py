"""A stage made of stages chosen for the data."""

import numpy as np
import polars as pl
import pytest

import tilth
from tilth.core import ColumnStage
from tilth.errors import StageError
from tilth.stages.composed import Composed


class Both(Composed):
    """Scale what is wide by its quartiles, and then everything to unit variance."""

    finds = {"scale.constant": "a column has one value only"}

    def __init__(self, *, on=None):
        self.on = on

    def choose(self, statistics):
        wide = [
            c for c, s in zip(self.columns_, statistics.moments(self.columns_).std(), strict=True) if s > 10
        ]
        return [("scale.robust", {"on": wide}), ("scale.standard", {"on": self.columns_})]


class Dropping(Composed):
    """Choose a stage that cannot be inverted."""

    def choose(self, statistics):
        return [("impute.simple", {}), ("duplicates.exact", {})][: 2 if "rows" in self.columns_ else 1]


ROWS = pl.DataFrame(
    {"a": [1.0, 2.0, 3.0, 6.0], "b": [100, 300, 200, 900], "c": [5.0] * 4, "word": list("uvwx")}
)


def test_each_part_learns_from_what_the_one_before_left():
    stage = Both(on=["a", "b", "c"]).fit(ROWS)
    chain = tilth.Pipeline([tilth.ScaleRobust(on=["b"]), tilth.ScaleStandard(on=["a", "b", "c"])])
    assert stage.transform(ROWS).equals(chain.fit_transform(ROWS))
    assert stage.lines_ == [{"scale.robust": {"on": ["b"]}}, {"scale.standard": {"on": ["a", "b", "c"]}}]
    assert [(f.kind, f.columns) for f in stage.findings_] == [("scale.constant", ("c",))]
    assert stage.fused and stage.restores == "exactly"
    back = stage.inverse_transform(stage.transform(ROWS))
    assert back.schema == ROWS.schema
    np.testing.assert_allclose(back.drop("word").to_numpy(), ROWS.drop("word").to_numpy())


def test_without_parts_that_can_be_undone_there_is_no_inverse():
    stage = Dropping().fit(ROWS.select("a"))
    assert not hasattr(stage, "inverse_transform")
    with pytest.raises(StageError, match="does not change columns"):
        Dropping().fit(ROWS.select(pl.col("a").alias("rows")))


def test_the_parts_see_the_target_and_training_rows_are_changed_as_the_parts_change_them():
    class Shifted(ColumnStage):
        needs_target = True

        def change_training(self, frame):
            return frame.with_columns(pl.col("a") + 1)

    stage = Both()
    stage.fit_table([tilth.Table.of(ROWS.select("a", "b"))])
    stage.parts_.append(Shifted())
    frame = ROWS.select("a", "b").lazy()
    out, trained = stage.change(frame).collect(), stage.change_training(frame).collect()
    np.testing.assert_allclose(trained["a"] - out["a"], 1.0)
    with pytest.raises(tilth.errors.DataError, match="requires y"):
        Shifted().fit(ROWS)
