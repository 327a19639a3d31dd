"""Names of joined groups: rows that hang together have one, and nobody else has it."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.stages.grouping import joined_groups
from tilth.table import Roles, Table


def table_of(groups=None, dtype=pl.String):
    rows = pl.DataFrame({"v": range(4)})
    if groups is None:
        return Table.of(rows)
    return Table.of(rows.with_columns(pl.Series("g", groups).cast(dtype)), roles=Roles(group="g"))


def test_without_groups_every_set_gets_the_smallest_id_in_it():
    assert joined_groups(table_of(), np.array([5, 2, 5, 0])).to_list() == ["0", "1", "0", "3"]


def test_groups_that_are_tied_together_get_the_name_of_the_smallest_id():
    table = table_of(["b", "a", "a", "c"])
    assert joined_groups(table, np.array([0, 1, 2, 1])).to_list() == ["b", "a", "a", "a"]
    assert joined_groups(table, np.array([0, 1, 0, 1])).to_list() == ["b"] * 4


def test_nothing_to_join_changes_nothing():
    assert joined_groups(table_of(["a", "a", None, "b"]), np.array([0, 0, 1, 2])) is None


def test_a_row_without_a_group_takes_that_of_its_set():
    assert joined_groups(table_of([None, "a", "b", None]), np.array([0, 0, 1, 2])).to_list() == [
        "a",
        "a",
        "b",
        None,
    ]


@pytest.mark.parametrize(
    ("groups", "dtype", "expected"),
    [
        ([None, None, "a", None], pl.String, ["row 0", "row 0", "a", None]),
        ([None, None, "row 0", None], pl.String, ["row row 0", "row row 0", "row 0", None]),
        ([None, None, "a", None], pl.Categorical, ["row 0", "row 0", "a", None]),
        ([None, None, "7", None], pl.Int8, [8, 8, 7, None]),
        ([None, None, "7", None], pl.Float64, [8.0, 8.0, 7.0, None]),
        ([None, None, "a", None], pl.Enum(["a"]), None),
    ],
)
def test_sets_without_a_group_get_a_new_one_where_the_type_has_room(groups, dtype, expected):
    names = joined_groups(table_of(groups, dtype), np.array([0, 0, 1, 2]))
    assert (names if names is None else names.to_list()) == expected


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", "c", None]), st.integers(0, 3)), min_size=1, max_size=12),
    st.randoms(use_true_random=False),
)
def test_rows_share_a_name_if_and_only_if_they_hang_together(rows, random):
    groups, codes = (list(part) for part in zip(*rows, strict=True))
    count = len(rows)
    frame = pl.DataFrame({"v": range(count), "g": pl.Series(groups, dtype=pl.String)})
    table = Table.of(frame, roles=Roles(group="g"))
    linked = np.array(
        [
            [codes[a] == codes[b] or (groups[a] is not None and groups[a] == groups[b]) for a in range(count)]
            for b in range(count)
        ]
    )
    for _ in range(count):
        linked = linked @ linked
    names = joined_groups(table, np.array(codes))
    names = table.role("group") if names is None else names
    told = names.to_list()
    for a in range(count):
        for b in range(count):
            if a != b:
                assert (told[a] is not None and told[a] == told[b]) == linked[a, b]
    order = list(range(count))
    random.shuffle(order)
    turned = table.with_frame(table.frame.collect()[order].lazy())
    again = joined_groups(turned, np.array(codes)[order])
    again = turned.role("group") if again is None else again
    assert again.to_list() == [told[place] for place in order]
