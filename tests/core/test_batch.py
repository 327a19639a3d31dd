"""A batch stage acts on batches or, asked to, on rows: one of the two."""

import numpy as np
import polars as pl
import pytest
from sklearn.base import clone

import tilth
from tilth.core import BatchStage, RowPlan, RowStage, apply, fit, replay
from tilth.errors import DataError, StageError
from tilth.table import Roles, Table

ROWS = pl.DataFrame({"a": [1.0, 2.0, 3.0], "b": [0.0, 0.0, 5.0]})


class Again(BatchStage):
    """Add one row: the first, with a hundred more; to batches, add the mean of the column it has learned."""

    finds = {"again.made": "a row was made"}

    def __init__(self, *, expand: float = 0, on: str | None = None):
        self.expand = expand
        self.on = on

    def learn(self, table):
        self.mean_ = table.X()["a"].mean()

    def augment(self, batch, generator):
        self.refuse_rows()
        return (batch[0] + self.mean_, *batch[1:])

    def plan(self, table):
        self.report("again.made", "one row was made", 1.0)
        fresh = table.X()[:1].with_columns(a=pl.lit(100 + self.mean_))
        return RowPlan(np.ones(table.height, np.int64), fresh=fresh, parents=np.array([[0]]))


def test_left_at_0_it_learns_and_is_called_by_loaders_only():
    stage = Again()
    assert not stage.on_rows
    assert not hasattr(stage, "fit_resample")
    assert stage.fit(ROWS) is stage
    assert stage.mean_ == 2.0
    assert stage.augment((1.0,), None) == (3.0,)
    done = fit([("again", clone(stage))], Table.of(ROWS))
    assert done.table.height == 3
    assert done.ledger.events.height == 0


def test_above_0_it_adds_rows_as_a_row_stage_does():
    stage = Again(expand=1)
    assert stage.on_rows
    assert not isinstance(stage, RowStage)
    X, y = stage.fit_resample(ROWS)
    assert X["a"].to_list() == [1.0, 2.0, 3.0, 102.0]
    assert y is None
    assert stage.fit(ROWS).plan_.fresh.height == 1
    assert [f.kind for f in stage.findings_] == ["again.made"]
    for call in (lambda: stage.augment((1.0,), None), lambda: stage.for_batches(Table.of(ROWS))):
        with pytest.raises(StageError, match=r"expand above 0.*adds rows.*leave expand at 0"):
            call()


def test_its_rows_are_in_the_ledger_replayed_undone_and_seen_by_later_stages():
    table = Table.of(ROWS)
    scale = tilth.stage("scale.standard", on="a")
    stages = [("again", Again(expand=1)), ("scale", scale)]
    done = fit(stages, table)
    assert scale.mean_["a"] == (6 + 102) / 4
    assert done.rows.tolist() == [0, 1, 2, -1]
    assert done.ledger.account()["added"] == 1
    assert done.ledger.account()["balanced"]
    assert replay(stages, table, done.ledger).frame.collect().equals(done.table.frame.collect())
    assert done.ledger.undo("again", table).frame.collect().equals(table.frame.collect())
    assert apply(stages, table.frame).collect().height == 3


@pytest.mark.parametrize("expand", [0.5, 1, np.float64(2)])
def test_any_number_above_0_means_rows(expand):
    assert Again(expand=expand).on_rows


@pytest.mark.parametrize("expand", [0, 0.0, None, "many", -1])
def test_what_is_not_above_0_does_not(expand):
    assert not Again(expand=expand).on_rows


def test_rows_are_not_made_of_images_even_where_no_column_is_chosen():
    images = Table.of(ROWS.with_columns(path=pl.lit("a.png")), roles=Roles(image="path"))
    with pytest.raises(DataError, match=r"makes new rows.*augment\.images"):
        Again(expand=1).fit_table(images)
    assert Again(expand=1).fit_table(Table.of(ROWS)).fresh.height == 1


def test_a_stage_leaves_single_images_as_they_are_unless_it_says_otherwise():
    pixels = np.zeros((2, 2, 3), np.uint8)
    assert not Again.per_image
    assert Again().augment_image(pixels, row=1, epoch=0, label="a") is pixels
