"""DuplicatesExact: pandas' ``duplicated`` is the oracle."""

import time

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.stages.duplicates.exact import DuplicatesExact
from tilth.table import Roles, Table

CELLS = st.tuples(st.sampled_from([0.5, 2.0, None]), st.sampled_from(["x", "", None]), st.booleans())
ROWS = st.lists(st.tuples(CELLS, st.sampled_from(["yes", "no"])), min_size=1, max_size=25)


def tables(rows: list) -> tuple[pl.DataFrame, pl.Series]:
    schema = {"a": pl.Float64, "b": pl.String, "c": pl.Boolean}
    return pl.DataFrame([r for r, _ in rows], schema=schema, orient="row"), pl.Series(
        "y", [y for _, y in rows]
    )


@given(ROWS, st.booleans())
def test_rows_left_are_those_pandas_does_not_call_duplicated(rows: list, target: bool) -> None:
    X, y = tables(rows)
    pandas = pd.DataFrame({**{c: X[c].to_list() for c in X.columns}, "y": y.to_list()})
    subset = ["a", "b", "c", "y"] if target else ["a", "b", "c"]
    for keep, peer in (("first", "first"), ("none", False)):
        plan = DuplicatesExact(target=target, keep=keep).fit(X, y).plan_
        np.testing.assert_array_equal(plan.times == 0, pandas.duplicated(subset, keep=peer).to_numpy())


@given(ROWS, st.randoms(use_true_random=False))
def test_the_rows_that_go_do_not_depend_on_the_order_of_rows(rows: list, random) -> None:
    X, y = tables(rows)
    table = Table.of(X, y)
    order = list(range(X.height))
    random.shuffle(order)
    shuffled = table.with_frame(table.frame.collect()[order].lazy())
    times = DuplicatesExact().fit_table(table).times
    np.testing.assert_array_equal(DuplicatesExact().fit_table(shuffled).times, times[order])


@given(ROWS)
def test_weights_of_equal_rows_sum_to_one(rows: list) -> None:
    X, y = tables(rows)
    weights = np.ones(len(y))
    out = DuplicatesExact(action="weight").fit_resample(Table.of(X, y, sample_weight=weights))
    sums = out.frame.group_by("a", "b", "c", "y").agg(pl.col("weight").sum()).collect()
    np.testing.assert_allclose(sums["weight"].to_numpy(), 1, rtol=1e-12)
    assert out.height == X.height


@given(ROWS, st.booleans())
def test_copies_become_one_group_and_no_other_row_joins(rows: list, target: bool) -> None:
    X, y = tables(rows)
    out = DuplicatesExact(action="group", target=target).fit_resample(Table.of(X, y))
    same = ["a", "b", "c", "y"] if target else ["a", "b", "c"]
    told = out.frame.select(pl.col("__group__").n_unique().over(same).alias("names")).collect()["names"]
    assert (told == 1).all() and out.height == X.height
    assert out.role("group").n_unique() == X.with_columns(y).select(same).unique().height


def test_groups_that_copies_tie_together_become_one() -> None:
    X = pl.DataFrame({"v": [1, 2, 1, 3]})
    *_, groups = DuplicatesExact(action="group").fit_resample(X, None, groups=np.array([7, 7, 8, 9]))
    assert groups.tolist() == [7, 7, 7, 9]


def test_missing_cells_and_nan_equal_each_other() -> None:
    X = np.array([[np.nan, 1.0], [np.nan, 1.0], [0.0, 1.0], [-0.0, 1.0]])
    assert DuplicatesExact().fit(X).plan_.times.tolist() == [1, 0, 1, 0]


def test_only_the_chosen_columns_are_compared() -> None:
    X = pl.DataFrame({"id": [1, 2, 3], "v": ["a", "a", "b"]})
    assert DuplicatesExact().fit(X).plan_.times.tolist() == [1, 1, 1]
    assert DuplicatesExact(on="v").fit(X).plan_.times.tolist() == [1, 0, 1]
    assert DuplicatesExact(on=[]).fit(X).plan_.times.tolist() == [1, 1, 1]


def test_vectors_lists_and_dates_are_compared() -> None:
    X = pl.DataFrame(
        {
            "v": pl.Series([[1.0, 2.0], [1.0, 2.0], [1.0, 3.0]], dtype=pl.Array(pl.Float64, 2)),
            "l": [["a"], ["a"], ["a"]],
            "t": pl.Series([0, 0, 0]).cast(pl.Date),
        }
    )
    assert DuplicatesExact().fit(X).plan_.times.tolist() == [1, 0, 1]


def test_a_row_that_goes_names_the_row_it_repeats() -> None:
    X = pl.DataFrame({"key": ["r", "s", "t"], "v": [7, 8, 8]})
    table = Table.of(X, roles=Roles(row_id="key"))
    stage = DuplicatesExact()
    plan = stage.fit_table(table)
    stays, gone = sorted([1, 2], key=lambda i: table.ids[i])
    assert plan.times[gone] == 0 and plan.times[stays] == 1
    assert plan.reason[gone] == f"same as row {table.ids[stays]}"
    assert stage.findings_[0].rows == (int(table.ids[gone]),)


def test_report_changes_nothing_and_counts_sets() -> None:
    X = pl.DataFrame({"v": [1, 1, 1, 2, 2, 3]})
    stage = DuplicatesExact(action="report").fit(X)
    assert stage.plan_.times.tolist() == [1] * 6 and stage.plan_.weight is None
    (finding,) = stage.findings_
    assert (finding.kind, finding.n_rows, finding.score) == ("duplicates.exact", 3, 0.5)
    assert "in 2 sets; the largest has 3 rows" in finding.message
    assert set(finding.rows[:2]) == {1, 2}  # of the largest set


def test_contradicting_labels_are_reported_and_kept() -> None:
    X = pl.DataFrame({"v": [1, 1, 1, 2, 2]})
    stage = DuplicatesExact().fit(X, ["a", "a", "b", "c", None])
    assert stage.plan_.times.tolist() == [1, 0, 1, 1, 1]
    (conflict,) = [f for f in stage.findings_ if f.kind == "duplicates.conflict"]
    assert conflict.n_rows == 3 and conflict.rows[0] == 2  # the label in the minority first
    assert conflict.score == pytest.approx(0.6)


def test_weights_groups_and_labels_stay_with_their_rows() -> None:
    X = pl.DataFrame({"v": [1, 1, 2]})
    out = DuplicatesExact(keep="none").fit_resample(X, [5, 5, 6], [0.1, 0.2, 0.3], ["g", "g", "h"])
    assert [part.to_list() if hasattr(part, "to_list") else part.tolist() for part in out[1:]] == [
        [6],
        [0.3],
        ["h"],
    ]


def test_a_million_rows_take_seconds() -> None:
    rng = np.random.default_rng(0)
    half = pl.DataFrame({f"x{i}": rng.normal(size=500_000) for i in range(6)})
    half = half.with_columns(pl.Series("c", rng.integers(0, 9, 500_000).astype(str)))
    start = time.perf_counter()
    plan = DuplicatesExact().fit(pl.concat([half, half])).plan_
    assert time.perf_counter() - start < 10
    np.testing.assert_array_equal(plan.times, np.repeat([1, 0], 500_000))
