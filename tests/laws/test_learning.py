"""Laws 1, 2, 4 and 10 of column stages, and their inverses: learning merges, changing splits."""

from functools import cache

import numpy as np
import polars as pl
import pytest

from tests.laws.cases import ROLES, Case, alike, cases, learned, made, numbers, parts
from tests.laws.exceptions import COMPLETE, NUMBERS
from tilth.core import BatchStage, ColumnStage, RowStage
from tilth.table import ROW, Table

CUTS = {
    "two parts": ([50], None),
    "turned around": ([50], [1, 0]),
    "empty parts": ([0, 0, 60, 60, 120], None),
    "one-row parts": ([1, 2, 3, 100, 101], [5, 3, 0, 1, 4, 2]),
    "seventeen parts": (list(range(7, 119, 7)), list(np.random.default_rng(0).permutation(17))),
}


@cache
def changed(case: Case) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return what the stage makes of the case's own table, as new rows and as those learned from."""
    stage, frame = case.fitted(), case.table().frame
    return stage.change(frame).collect(), stage.change_training(frame).collect()


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("case", cases("merge", ColumnStage))
def test_law_1_what_is_learned_from_parts_is_what_is_learned_from_the_whole(case: Case, cut: str):
    table = case.table()
    merged = case.make().fit_table(parts(table, *CUTS[cut]))
    alike(learned(merged), learned(case.fitted()))
    new, trained = changed(case)
    alike(merged.change(table.frame).collect(), new)
    alike(merged.change_training(table.frame).collect(), trained)


@pytest.mark.parametrize("case", cases("split", ColumnStage))
def test_law_2_what_is_done_to_parts_is_what_is_done_to_the_whole(case: Case):
    stage, new = case.fitted(), case.table(90, seed=1)
    whole = stage.change(new.frame).collect()
    for bounds in ([30], [0, 1, 2, 89], list(range(1, 90))):
        done = [stage.change(part.frame).collect() for part in parts(new, bounds)]
        alike(pl.concat(done), whole)
    own = case.table()
    trained = [stage.change_training(part.frame).collect() for part in parts(own, [1, 50])]
    alike(pl.concat(trained), changed(case)[1])


@pytest.mark.parametrize("case", cases("split", ColumnStage))
def test_law_2_no_rows_are_changed_into_no_rows_with_the_same_columns(case: Case):
    stage, new = case.fitted(), case.table()
    nothing = stage.change(new.frame.head(0)).collect()
    assert nothing.height == 0
    assert nothing.schema == stage.change(new.frame).collect_schema()


@pytest.mark.parametrize("case", cases("split", ColumnStage))
def test_law_2_the_query_tells_the_columns_that_it_gives(case: Case):
    stage, new = case.fitted(), case.table()
    query = stage.change(new.frame)
    assert query.collect().schema == query.collect_schema()


@pytest.mark.parametrize("case", cases("seed", ColumnStage))
def test_law_4_one_two_and_seventeen_partitions_give_the_same(case: Case):
    table = case.table()
    for count in (2, 17):
        bounds = [table.height * i // count for i in range(1, count)]
        out = case.make().fit_table(parts(table, bounds)).change(table.frame).collect()
        alike(out, changed(case)[0])


@pytest.mark.parametrize("case", cases("seed", ColumnStage))
def test_law_4_fitting_again_gives_the_same_to_the_last_bit(case: Case):
    table, stage = case.table(), case.make()
    for _ in range(2):
        assert stage.fit_table([table]).change(table.frame).collect().equals(changed(case)[0])


@pytest.mark.parametrize("case", cases("new data", ColumnStage))
def test_law_10_new_rows_keep_their_number_and_order(case: Case):
    stage = case.fitted()
    for rows in (1, 2, 57):
        new = case.table(rows, seed=2)
        out = stage.transform(new)
        assert out.ids.tolist() == new.ids.tolist()
        assert out.frame.collect()[ROW].to_list() == new.ids.tolist()
        for role in ("target", "weight", "group", "row_id"):
            assert out.role(role).equals(new.role(role)), role


INVERTED = [case for case in cases("inverse", ColumnStage) if hasattr(case.values[0].cls, "invert")]


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("case", INVERTED)
def test_what_can_be_inverted_gives_the_columns_back(case: Case, gaps: bool):
    if gaps and case.key in COMPLETE:
        return
    rows = made(120, 0, not gaps)
    table = Table.of(rows.with_columns(numbers(rows)) if case.key in NUMBERS else rows, roles=ROLES)
    stage = case.fitted() if gaps or case.key in COMPLETE else case.fitted(table)
    if not hasattr(stage, "invert"):
        return
    before = table.frame.select(ROW, *table.features).collect()
    back = stage.inverted(stage.change(table.frame)).select(ROW, *table.features).collect()
    assert back.schema == before.schema
    assert stage.inverted(stage.change(table.frame.head(0))).collect().height == 0
    for name in before.columns:
        if name not in stage.columns_:
            assert back[name].equals(before[name]), name
        elif stage.restores == "exactly" and before.schema[name].is_numeric():
            assert back[name].is_null().equals(before[name].is_null()), name
            one, two = (f[name].drop_nulls().cast(pl.Float64).to_numpy() for f in (before, back))
            rounding = 1e-6 if before.schema[name] != pl.Float32 else 1e-5
            np.testing.assert_allclose(two, one, rtol=0, atol=rounding * np.abs(one).max(), err_msg=name)
        elif stage.restores == "exactly":
            assert back[name].equals(before[name]), name


@pytest.mark.parametrize("case", cases("new data", RowStage, BatchStage))
def test_law_10_new_rows_cannot_reach_a_row_or_batch_stage(case: Case):
    stage = case.make()
    for name in ("transform", "fit_transform", "predict", "change"):
        assert not hasattr(stage, name)


@pytest.mark.parametrize("case", cases("new data", ColumnStage))
def test_law_10_the_target_is_not_needed_for_new_rows(case: Case):
    stage, new = case.fitted(), case.table(20, seed=2)
    bare = new.X()
    out = stage.transform(bare)
    assert len(out) == 20
    alike(out, stage.transform(new).X())
