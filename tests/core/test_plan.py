"""RowPlan and its one way of being carried out: every role moves, every row has its own id."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.core import RowPlan
from tilth.core.plan import apply
from tilth.errors import DataError, StageError
from tilth.table import ROW, Roles, Table

ROWS = pl.DataFrame(
    {
        "v": [0.0, 1.0, 2.0, 3.0],
        "y": ["a", "a", "b", "b"],
        "w": [1.0, 2.0, 3.0, 4.0],
        "g": ["p", "p", "q", None],
        "k": ["r0", "r1", "r2", "r3"],
    }
)
TABLE = Table.of(ROWS, roles=Roles(target="y", weight="w", group="g", row_id="k"))


def times(*counts):
    return RowPlan(np.array(counts, np.int64))


def fresh(parents, **more):
    parents = np.array(parents, np.int64)
    made = pl.DataFrame({"v": np.full(len(parents), 9.0), "y": ["a"] * len(parents)})
    return RowPlan(np.ones(4, np.int64), fresh=made, parents=parents, **more)


@given(st.lists(st.integers(0, 3), min_size=4, max_size=4))
def test_every_role_moves_with_its_row(counts):
    out = apply(times(*counts), TABLE, "stage").frame.collect()
    kept = [i for i, n in enumerate(counts) if n]
    copies = [i for i, n in enumerate(counts) for _ in range(n - 1)]
    assert out.drop(ROW).rows() == [ROWS.row(i) for i in kept + copies]
    assert out[ROW][: len(kept)].to_list() == [int(TABLE.ids[i]) for i in kept]
    assert out[ROW].n_unique() == len(out)


def test_take_and_sources_name_the_rows_that_go_out():
    plan = times(2, 0, 1, 3)
    assert plan.take.tolist() == [0, 2, 3, 0, 3, 3]
    assert plan.sources.tolist() == plan.take.tolist()
    assert fresh([[0, 1]]).sources.tolist() == [0, 1, 2, 3, -1]


def test_keeping_all_changes_nothing():
    out = apply(RowPlan.keep_all(4), TABLE, "stage")
    assert out.frame.collect().equals(TABLE.frame.collect())
    assert out.roles == TABLE.roles


def test_copies_have_ids_that_depend_on_their_row_and_stage_alone():
    turned = Table.of(ROWS.reverse(), roles=TABLE.roles)
    one = apply(times(3, 1, 1, 1), TABLE, "stage").ids[4:]
    two = apply(times(1, 1, 1, 3), turned, "stage").ids[4:]
    other = apply(times(3, 1, 1, 1), TABLE, "another").ids[4:]
    assert one.tolist() == two.tolist()
    assert not set(one) & set(other)


def test_copies_of_copies_have_ids_of_their_own():
    once = apply(times(3, 1, 1, 1), TABLE, "over")
    twice = apply(RowPlan(np.full(once.height, 3)), once, "over")
    assert len(np.unique(twice.ids)) == twice.height == 18


def test_weights_are_factors_and_a_table_without_weights_gets_them():
    plan = RowPlan(np.ones(4, np.int64), weight=np.array([1, 0.5, 2, 0]))
    assert apply(plan, TABLE, "s").role("weight").to_list() == [1.0, 1.0, 6.0, 0.0]
    bare = Table.of(ROWS.select("v"))
    out = apply(plan, bare, "s")
    assert out.role("weight").to_list() == [1.0, 0.5, 2.0, 0.0]
    assert out.features == ["v"]


def test_weights_of_one_add_no_column():
    bare = Table.of(ROWS.select("v"))
    assert apply(RowPlan(np.ones(4, np.int64), weight=np.ones(4)), bare, "s").roles.weight is None


def test_labels_replace_where_they_are_given():
    plan = RowPlan(np.ones(4, np.int64), label=pl.Series([None, "b", None, "a"]))
    assert apply(plan, TABLE, "s").y.to_list() == ["a", "b", "b", "a"]


class TestGroups:
    """New groups: they replace where they are given, and copies and fresh rows take them."""

    def test_they_replace_where_they_are_given(self):
        plan = RowPlan(np.ones(4, np.int64), group=pl.Series([None, "q", None, "r"]))
        out = apply(plan, TABLE, "s")
        assert out.role("group").to_list() == ["p", "q", "q", "r"]
        assert out.roles == TABLE.roles

    def test_a_table_without_groups_gets_them_as_text(self):
        bare = Table.of(ROWS.select("v"))
        out = apply(RowPlan(np.array([1, 0, 1, 1]), group=pl.Series([7, 7, 8, None])), bare, "s")
        assert out.role("group").to_list() == ["7", "8", None]
        assert out.features == ["v"] and bare.roles.group is None

    def test_no_new_name_adds_no_column(self):
        plan = RowPlan(np.ones(4, np.int64), group=pl.Series([None] * 4, dtype=pl.String))
        assert apply(plan, Table.of(ROWS.select("v")), "s").roles.group is None

    @pytest.mark.parametrize("dtype", [pl.Int16, pl.Float64, pl.Categorical])
    def test_the_column_keeps_its_type(self, dtype):
        groups = pl.Series("g", ["1", "1", "2", None]).cast(dtype)
        table = Table.of(ROWS.with_columns(groups), roles=TABLE.roles)
        new = pl.Series([None, "2", None, "2"]).cast(dtype)
        out = apply(RowPlan(np.ones(4, np.int64), group=new), table, "s").role("group")
        assert out.equals(pl.Series("g", ["1", "2", "2", "2"]).cast(dtype))

    def test_copies_and_fresh_rows_take_the_new_group_of_their_row(self):
        new = pl.Series(["a", "a", "b", None])
        plan = RowPlan(np.array([2, 1, 1, 1]), group=new)
        assert apply(plan, TABLE, "s").role("group").to_list() == ["a", "a", "b", None, "a"]
        made = fresh([[0, 1], [2, 2]], group=new)
        assert apply(made, TABLE, "s").role("group").to_list()[4:] == ["a", "b"]
        bare = Table.of(ROWS.select("v", "y"), roles=Roles(target="y"))
        assert apply(made, bare, "s").role("group").to_list()[4:] == ["a", "b"]

    def test_new_groups_may_part_the_parents_of_a_fresh_row(self):
        with pytest.raises(DataError, match="different groups"):
            apply(fresh([[0, 1]], group=pl.Series(["a", "b", None, None])), TABLE, "s")


def test_the_source_is_not_changed():
    plan = RowPlan(np.array([0, 2, 1, 1]), weight=np.full(4, 2.0), label=pl.Series(["b"] * 4))
    apply(plan, TABLE, "s")
    assert TABLE.frame.collect().drop(ROW).equals(ROWS)


class TestFresh:
    """Rows made anew."""

    def test_they_take_the_mix_of_the_weights_and_the_group_of_their_parents(self):
        out = apply(
            fresh([[0, 1], [2, 2]], shares=np.array([[0.25, 0.75], [0.5, 0.5]])), TABLE, "s"
        ).frame.collect()
        assert out["w"].to_list()[4:] == [1.75, 3.0]
        assert out["g"].to_list()[4:] == ["p", "q"]
        assert out["v"].to_list()[4:] == [9.0, 9.0]
        assert out["k"].to_list()[4:] == [None, None]
        assert out[ROW].n_unique() == 6

    def test_without_shares_parents_count_alike(self):
        assert apply(fresh([[0, 1]]), TABLE, "s").role("weight")[4] == 1.5

    def test_parents_of_different_groups_are_refused_with_a_way_out(self):
        for parents in ([[1, 2]], [[0, 1], [0, 3]]):
            with pytest.raises(DataError, match=r"parents of different groups.*balance\.over"):
                apply(fresh(parents), TABLE, "s")

    def test_parents_without_a_group_agree(self):
        assert apply(fresh([[3, 3]]), TABLE, "s").role("group")[4] is None

    @pytest.mark.parametrize("dtype", [pl.Categorical, pl.Enum(["p", "q"])])
    def test_groups_of_any_type_are_compared(self, dtype):
        table = Table.of(ROWS.with_columns(pl.col("g").cast(dtype)), roles=TABLE.roles)
        assert apply(fresh([[0, 1]]), table, "s").role("group")[4] == "p"
        with pytest.raises(DataError, match="different groups"):
            apply(fresh([[0, 2]]), table, "s")

    def test_without_parents_they_have_no_group(self):
        plan = RowPlan(np.ones(4, np.int64), fresh=pl.DataFrame({"v": [1.0], "y": ["a"]}))
        with pytest.raises(DataError, match="no group"):
            apply(plan, TABLE, "s")

    def test_ids_depend_on_parents_and_seed_and_not_on_the_order_of_rows(self):
        turned = Table.of(ROWS.reverse(), roles=TABLE.roles)
        one = apply(fresh([[0, 1]]), TABLE, "s").ids[4]
        assert apply(fresh([[3, 2]]), turned, "s").ids[4] == one
        assert apply(fresh([[0, 1]]), TABLE, "s", seed=1).ids[4] != one
        assert apply(fresh([[1, 0]]), TABLE, "s").ids[4] != one

    def test_two_of_the_same_parents_have_ids_of_their_own(self):
        assert len(np.unique(apply(fresh([[0, 1], [0, 1]]), TABLE, "s").ids)) == 6


@pytest.mark.parametrize(
    "plan",
    [
        times(1, 1),
        times(1, 1, -1, 1),
        RowPlan(np.ones(4, np.int64), weight=np.ones(3)),
        RowPlan(np.ones(4, np.int64), label=pl.Series(["a"])),
        RowPlan(np.ones(4, np.int64), group=pl.Series(["a"])),
        RowPlan(np.ones(4, np.int64), score=np.ones(5)),
        fresh([[0, 4]]),
        fresh([[0, -1]]),
        fresh([[0, 1]], shares=np.ones((2, 2))),
        RowPlan(np.ones(4, np.int64), fresh=pl.DataFrame({"other": [1]}), parents=np.array([[0]])),
    ],
    ids=[
        "short",
        "negative",
        "weight",
        "label",
        "group",
        "score",
        "parent",
        "negative parent",
        "shares",
        "columns",
    ],
)
def test_a_plan_that_does_not_fit_is_a_fault_of_its_stage(plan):
    with pytest.raises(StageError, match=r"^some\.stage: .*a fault of the stage"):
        apply(plan, TABLE, "some.stage")


def test_labels_without_a_target_are_a_fault_of_the_stage():
    plan = RowPlan(np.ones(4, np.int64), label=pl.Series(["a"] * 4))
    with pytest.raises(StageError, match="no target"):
        apply(plan, Table.of(ROWS.select("v")), "some.stage")


def test_every_fresh_row_has_an_id_of_its_own_that_depends_on_its_parents_only():
    """Row ids are often positions, and so is the place of a fresh row: one must not undo the other."""
    table = Table.of(pl.DataFrame({"v": np.arange(50.0)}))
    parents = np.array([[i, i] for i in range(50)] + [[0, 1]] * 3)
    fresh = pl.DataFrame({"v": np.zeros(len(parents))})
    plan = RowPlan(np.ones(50, np.int64), fresh=fresh, parents=parents)
    ids = apply(plan, table, "made").ids[50:]
    assert len(np.unique(ids)) == len(parents)
    alone = apply(replace(plan, fresh=fresh[7:9], parents=parents[7:9]), table, "made").ids[50:]
    assert alone.tolist() == ids[7:9].tolist()
    anonymous = apply(RowPlan(np.ones(50, np.int64), fresh=fresh), table, "made").ids[50:]
    assert len(np.unique(anonymous)) == len(parents)


PICTURES = Table.of(ROWS.with_columns(path=pl.col("k") + ".png"), roles=Roles(target="y", image="path"))


def test_rows_made_anew_are_refused_where_the_table_holds_images():
    for carried_out in (
        lambda plan: apply(plan, PICTURES, "stage"),
        lambda plan: plan.check_for(PICTURES, "stage"),
    ):
        with pytest.raises(
            DataError, match=r"stage: makes new rows.*'path'.*balance\.over.*augment\.images.*keep: false"
        ):
            carried_out(fresh([[0, 1]]))
    assert apply(fresh([[0, 1]]), TABLE, "stage").height == 5


def test_images_are_repeated_under_ids_of_their_own():
    out = apply(times(3, 1, 0, 2), PICTURES, "stage").frame.collect()
    assert out["path"].to_list() == ["r0.png", "r1.png", "r3.png", "r0.png", "r0.png", "r3.png"]
    assert out[ROW].n_unique() == 6
    again = apply(times(3, 1, 0, 2), PICTURES, "stage").frame.collect()
    assert again[ROW].to_list() == out[ROW].to_list()
