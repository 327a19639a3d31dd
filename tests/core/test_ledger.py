"""The ledger: its account balances, and what was done can be done again or taken back."""

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.core import Ledger, RowPlan, RowStage, fit
from tilth.errors import BundleError, UnknownName
from tilth.table import ROW, Roles, Table


class Planned(RowStage):
    """Carry out a plan made of the rows' ids, so that it is the same wherever the rows stand."""

    def __init__(self, *, make):
        self.make = make

    def plan(self, table):
        return self.make(table)


def frame(rows):
    at = np.arange(rows)
    return pl.DataFrame(
        {
            "v": at * 0.1,
            "y": [f"class {i % 2}" for i in at],
            "w": at % 3 + 0.1,
            "g": at // 4,
        }
    )


def table_of(rows, weight="w", group="g"):
    return Table.of(frame(rows), roles=Roles(target="y", weight=weight, group=group))


def drop(table):
    return RowPlan(
        (table.ids % 5 != 0).astype(np.int64), reason=np.array(["fifth"] * table.height), score=table.ids / 10
    )


def repeat(table):
    return RowPlan(1 + (table.ids % 3).astype(np.int64))


def weigh(table):
    return RowPlan(np.ones(table.height, np.int64), weight=np.where(table.ids % 2 == 0, 0.3, 1.0))


def silence(table):
    return RowPlan(np.ones(table.height, np.int64), weight=np.where(table.ids % 7 == 0, 0.0, 1.0))


def relabel(table):
    new = [None if i % 4 else "class 1" for i in table.ids.tolist()]
    return RowPlan(np.ones(table.height, np.int64), label=pl.Series(new, dtype=pl.String))


def regroup(table):
    """Tie groups together in pairs, and leave a row now and then as it is."""
    groups = table.role("group")
    names = pl.Series(table.ids // 8 * 2).cast(pl.Int64)
    if groups is not None:
        names = names.cast(groups.dtype)
    return RowPlan(np.ones(table.height, np.int64), group=names.set(pl.Series(table.ids % 9 == 7), None))


def invent(table):
    groups = table.role("group")
    groups = np.zeros(table.height) if groups is None else groups.fill_null(-1).to_numpy()
    parents = np.array([[i, i - 1] for i in range(1, table.height) if groups[i] == groups[i - 1]]).reshape(
        -1, 2
    )
    made = pl.DataFrame({"v": parents.sum(axis=1) * 1.0, "y": ["class 1"] * len(parents)})
    return RowPlan(np.ones(table.height, np.int64), fresh=made, parents=parents)


PLANS = {f.__name__: f for f in (drop, repeat, weigh, silence, relabel, regroup, invent)}


def prepared(names, rows=20, weight="w", group="g"):
    stages = [(f"{number}-{name}", Planned(make=PLANS[name])) for number, name in enumerate(names)]
    table = table_of(rows, weight, group)
    return table, stages, fit(stages, table)


def sorted_rows(table):
    return table.frame.collect().sort(ROW)


WALKS = st.lists(st.sampled_from(list(PLANS)), min_size=1, max_size=4)


@settings(deadline=None, max_examples=40)
@given(WALKS, st.sampled_from(["w", None]), st.sampled_from(["g", None]))
def test_the_account_balances_and_a_replay_gives_the_same_rows(names, weight, group):
    table, _, done = prepared(names, weight=weight, group=group)
    account = done.ledger.account()
    assert account["balanced"]
    assert account["rows_in"] == 20
    assert account["rows_out"] == done.table.height
    again = done.ledger.replay(table)
    assert again.frame.collect().equals(done.table.frame.collect())
    assert again.roles == done.table.roles


@settings(deadline=None, max_examples=40)
@given(WALKS, st.sampled_from(["w", None]), st.sampled_from(["g", None]), st.data())
def test_undoing_a_stage_is_as_if_its_rows_had_never_been_made(names, weight, group, data):
    table, _, done = prepared(names, weight=weight, group=group)
    if not done.ledger.stages:
        return
    undone = data.draw(st.sampled_from(done.ledger.stages))
    left = done.ledger.without(undone)
    assert undone not in left.stages
    assert left.account()["balanced"]
    out = done.ledger.undo(undone, table)
    assert out.height == left.rows_out
    assert out.features == table.features
    made = done.ledger.events.filter(pl.col("stage") == undone)["made"].drop_nulls().to_list()
    assert not set(made) & set(out.ids.tolist())
    assert done.ledger.account()["balanced"]


@settings(deadline=None, max_examples=30)
@given(WALKS)
def test_every_input_row_has_one_fate(names):
    table, _, done = prepared(names)
    fates = done.ledger.fates(table)
    assert fates["row"].to_list() == table.ids.tolist()
    left = set(done.table.ids.tolist())
    assert [fate == "kept" for fate in fates["fate"]] == [i in left for i in table.ids.tolist()]
    assert fates.filter(pl.col("fate") == "dropped")["stage"].null_count() == 0


def test_undo_brings_back_rows_labels_and_weights():
    table, _, done = prepared(["drop", "weigh", "relabel"])
    for stage in ("0-drop", "1-weigh", "2-relabel"):
        table_again = done.ledger.undo(stage, table)
        others = [name for name in ("drop", "weigh", "relabel") if name not in stage]
        if stage != "0-drop":
            # The others work on the ids alone, so undoing is the same as never having done.
            assert sorted_rows(table_again).equals(sorted_rows(prepared(others)[2].table))
    back = done.ledger.undo("0-drop", table)
    assert back.ids.tolist() == table.ids.tolist()
    restored = table.ids % 5 == 0
    assert back.y.filter(restored).to_list() == table.y.filter(restored).to_list()
    assert back.role("weight").filter(restored).to_list() == table.role("weight").filter(restored).to_list()


def test_undoing_an_earlier_weight_keeps_the_later_factor():
    table, _, done = prepared(["weigh", "weigh"])
    out = done.ledger.undo("0-weigh", table).role("weight").to_numpy()
    factor = np.where(table.ids % 2 == 0, 0.3, 1.0)
    np.testing.assert_allclose(out, table.role("weight").to_numpy() * factor, rtol=1e-15)


def test_groups_come_back_and_go_again():
    for group in ("g", None):
        table, _, done = prepared(["regroup", "drop"], group=group)
        events = done.ledger.events.filter(pl.col("action") == "grouped")
        changed = events.row(0, named=True)
        assert (changed["before"], changed["after"]) == (("1", "0") if group else (None, "0"))
        assert done.ledger.account()["grouped"] == events.height > 0
        back = done.ledger.undo("0-regroup", table)
        assert back.roles == table.roles
        assert sorted_rows(back).equals(sorted_rows(prepared(["drop"], group=group)[2].table))


def test_undoing_what_made_a_role_leaves_no_column_of_it_in_later_fresh_rows():
    table, _, done = prepared(["regroup", "weigh", "invent"], weight=None, group=None)
    assert (done.table.roles.weight, done.table.roles.group) == ("__weight__", "__group__")
    for stage, gone in (("0-regroup", "__group__"), ("1-weigh", "__weight__")):
        out = done.ledger.undo(stage, table)
        assert gone not in out.frame.collect_schema() and out.features == table.features
        assert out.height == done.table.height


def test_copies_of_copies_go_with_their_stage():
    _, _, done = prepared(["repeat", "repeat"])
    left = done.ledger.without("0-repeat")
    assert left.rows_out == prepared(["repeat"])[2].table.height
    assert left.account()["balanced"]


def test_events_tell_stage_row_action_reason_score_before_and_after():
    _, _, done = prepared(["drop", "weigh"])
    first = done.ledger.events.row(0, named=True)
    assert first == {
        "stage": "0-drop",
        "row": 0,
        "action": "dropped",
        "reason": "fifth",
        "score": 0.0,
        "before": "class 0",
        "after": None,
        "made": None,
    }
    weighted = done.ledger.events.filter(pl.col("action") == "weighted").row(0, named=True)
    assert float(weighted["after"]) == 0.3 * float(weighted["before"])
    counted = {(s, a): n for s, a, n in done.ledger.diff().iter_rows()}
    assert counted == {("0-drop", "dropped"): 4, ("1-weigh", "weighted"): 8}


@pytest.mark.parametrize("dtype", [pl.Int8, pl.Float64, pl.Boolean, pl.Enum(["0", "1"]), pl.Categorical])
def test_labels_of_any_type_are_replayed(dtype):
    values = ["0", "1", "0", "1"] if dtype in (pl.Categorical, pl.Enum(["0", "1"])) else [0, 1, 0, 1]
    rows = pl.DataFrame({"v": range(4), "y": pl.Series(values).cast(dtype)})
    table = Table.of(rows, roles=Roles(target="y"))
    new = pl.Series([None, values[0], None, None]).cast(dtype)
    done = fit([("r", Planned(make=lambda t: RowPlan(np.ones(4, np.int64), label=new)))], table)
    assert done.table.y.to_list() == [rows["y"][0]] * 3 + [rows["y"][3]]
    assert done.ledger.replay(table).y.equals(done.table.y)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(1e-300, 1e300), min_size=3, max_size=3), st.floats(1e-6, 1e6))
def test_weights_are_replayed_to_the_last_bit(weights, factor):
    table = Table.of(pl.DataFrame({"v": [1, 2, 3]}), sample_weight=np.array(weights))
    make = lambda t: RowPlan(np.ones(3, np.int64), weight=np.array([factor, 1.0, 0.0]))
    done = fit([("w", Planned(make=make))], table)
    assert done.ledger.replay(table).role("weight").equals(done.table.role("weight"))


def test_a_stage_that_touched_no_row_cannot_be_undone():
    table, _, done = prepared(["drop"])
    with pytest.raises(UnknownName, match=r"stage in the ledger '0-dorp' \(did you mean '0-drop'\?\)"):
        done.ledger.undo("0-dorp", table)


class TestFiles:
    """What is written is read."""

    def test_save_and_read_come_back_to_the_same(self, tmp_path):
        table, _, done = prepared(["drop", "repeat", "invent", "relabel", "regroup", "weigh"])
        done.ledger.record_columns("scale", {"v": 3}, ["new"], ["old"])
        done.ledger.save(tmp_path)
        again = Ledger.read(tmp_path)
        assert again.events.equals(done.ledger.events)
        assert again.events.schema == done.ledger.events.schema
        assert again.columns.equals(done.ledger.columns)
        assert again.account() == done.ledger.account()
        assert again.replay(table).frame.collect().equals(done.table.frame.collect())

    def test_an_empty_ledger_is_written_and_read(self, tmp_path):
        Ledger().save(tmp_path)
        assert Ledger.read(tmp_path).account()["balanced"]

    def test_the_name_of_a_stage_is_no_path(self, tmp_path):
        stages = [("../a/b", Planned(make=invent))]
        done = fit(stages, table_of(8))
        done.ledger.save(tmp_path)
        assert list(Ledger.read(tmp_path).fresh) == ["../a/b"]

    def test_a_folder_without_a_ledger(self, tmp_path):
        with pytest.raises(BundleError, match="holds no ledger"):
            Ledger.read(tmp_path)

    @pytest.mark.parametrize("content", ["", "{", "{}", "[]", json.dumps({"fresh": ["x"], "columns": []})])
    def test_a_damaged_ledger(self, tmp_path, content):
        Ledger().save(tmp_path)
        (tmp_path / "ledger.json").write_text(content)
        with pytest.raises(BundleError, match="damaged"):
            Ledger.read(tmp_path)

    def test_a_ledger_without_its_events(self, tmp_path):
        Ledger().save(tmp_path)
        (tmp_path / "ledger.parquet").write_bytes(b"PAR1")
        with pytest.raises(BundleError, match="damaged"):
            Ledger.read(tmp_path)


def test_every_parent_of_a_fresh_row_is_named(tmp_path):
    table, _, done = prepared(["invent"])
    parents, made = done.ledger.parents, done.ledger.events.filter(pl.col("action") == "added")
    frame = done.table.frame.collect()
    assert parents.group_by("made").agg(pl.col("share").sum())["share"].to_list() == [1.0] * made.height
    of = {m: set(rows) for m, rows in parents.group_by("made").agg("row").iter_rows()}
    value = dict(table.frame.select(ROW, "v").collect().iter_rows())
    place = {row: at for at, row in enumerate(table.ids.tolist())}
    for row, v in frame.filter(pl.col(ROW).is_in(made["made"].implode())).select(ROW, "v").iter_rows():
        assert len(of[row]) == 2 and sum(place[parent] for parent in of[row]) == v
    assert value.keys() >= set(parents["row"].to_list())
    done.ledger.save(tmp_path)
    assert Ledger.read(tmp_path).parents.equals(parents)
    assert done.ledger.without("0-invent").parents.height == 0


def test_a_parent_twice_is_named_once():
    twice = lambda table: RowPlan(
        np.ones(table.height, np.int64),
        fresh=pl.DataFrame({"v": [1.0], "y": ["class 1"]}),
        parents=np.array([[3, 3]]),
        shares=np.array([[0.25, 0.75]]),
    )
    done = fit([("copy", Planned(make=twice))], table_of(20, "w", "g"))
    assert done.ledger.parents.select("row", "share").rows() == [(int(table_of(20, "w", "g").ids[3]), 1.0)]


def test_undoing_the_second_parent_undoes_its_child():
    """A row made of an old row and of one that another stage made goes with the latter."""
    table = table_of(6, "w", None)

    def first(table):
        fresh = pl.DataFrame({"v": [50.0], "y": ["class 1"]})
        return RowPlan(np.ones(table.height, np.int64), fresh=fresh, parents=np.array([[0, 1]]))

    def second(table):
        fresh = pl.DataFrame({"v": [60.0, 70.0], "y": ["class 1"] * 2})
        parents = np.array([[0, table.height - 1], [1, 2]])
        return RowPlan(np.ones(table.height, np.int64), fresh=fresh, parents=parents)

    done = fit([("first", Planned(make=first)), ("second", Planned(make=second))], table)
    assert done.ledger.rows_out == 9
    out = done.ledger.undo("first", table)
    assert sorted(out.frame.collect()["v"].to_list())[-1] == 70.0
    assert out.height == 7 == done.ledger.without("first").rows_out


def test_a_factor_on_fresh_rows_makes_the_weight_it_needs():
    table = table_of(6, None, None)
    make = lambda table: RowPlan(
        np.ones(table.height, np.int64),
        fresh=pl.DataFrame({"v": [1.0, 2.0], "y": ["class 1"] * 2}),
        parents=np.array([[0], [1]]),
        fresh_weight=np.array([0.25, 0.75]),
    )
    done = fit([("made", Planned(make=make))], table)
    assert done.table.role("weight").to_list() == [1.0] * 6 + [0.25, 0.75]
    weighted = fit([("made", Planned(make=make))], table_of(6, "w", None))
    given = table_of(6, "w", None).role("weight")
    assert weighted.table.role("weight").to_list()[6:] == [given[0] * 0.25, given[1] * 0.75]
    assert done.ledger.replay(table).role("weight").to_list() == done.table.role("weight").to_list()
