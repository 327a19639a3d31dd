"""Texts that name rows: made by a machine, or a number in fixed words; and texts that do not."""

from __future__ import annotations

import uuid

import polars as pl
import pytest

from tilth.stages.names import around_number, machine_of


@pytest.mark.parametrize(
    ("values", "machine"),
    [
        ([str(uuid.UUID(int=i + 2**100)) for i in range(5)], "UUIDs"),
        ([f"{i:040x}" for i in range(5)], "hash values"),
        ([f"{i:040x}" for i in range(5)] + ["rome"], ""),
        (["deadbeef"], ""),
    ],
)
def test_machines_are_known_by_their_names(values, machine):
    assert machine_of(pl.Series(values)) == machine


@pytest.mark.parametrize(
    ("values", "around"),
    [
        (["A-001", "A-17"], ("A-", "")),
        (["1st lot", "1st lot"], ("", "st lot")),
        (["A-1", "B-2"], None),
        (["A-1", "A"], None),
        (["1", "2"], ("", "")),
    ],
)
def test_what_stands_around_a_number_is_the_same_in_all_or_none(values, around):
    assert around_number(pl.Series(values)) == around
