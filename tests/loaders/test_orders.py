"""Orders are as random as they say, keep together what they say, and draw as often as they say."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from decimal import Decimal
from itertools import groupby, pairwise, permutations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, chisquare
from torch.utils.data import WeightedRandomSampler

from tilth.errors import DataError
from tilth.loaders import orders
from tilth.loaders.orders import Members, Weighted, class_members, cut_out, group_members, shuffled_ranges

# Seeds are fixed, so that these tests cannot fail by chance: a right order falls below with this probability.
UNLIKELY = 1e-4


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def five_errors(share: float, draws: int) -> float:
    """Return five standard errors of a share: exceeded by chance in less than one of a million cases."""
    return 5 * (share * (1 - share) / draws) ** 0.5


@given(
    sizes=st.lists(st.integers(0, 6), max_size=8), start=st.integers(0, 50), short=st.sampled_from([0, 1024])
)
@settings(max_examples=150, deadline=None)
def test_ranges_stay_in_turn_and_each_holds_its_own_numbers(sizes, start, short):
    starts = np.cumsum([start, *sizes])[:-1].astype(np.int64)[::-1].copy()
    counts = np.array(sizes, dtype=np.int64)[::-1].copy()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(orders, "SHORT", short)
        rows = shuffled_ranges(starts, counts, seeded()).tolist()
    for first, size in zip(starts.tolist(), counts.tolist(), strict=True):
        part, rows = rows[:size], rows[size:]
        assert sorted(part) == list(range(first, first + size))
    assert rows == []


@pytest.mark.parametrize("short", [0, 1024])
def test_every_order_inside_a_range_is_equally_likely_and_ranges_are_independent(short, monkeypatch):
    monkeypatch.setattr(orders, "SHORT", short)
    starts, sizes, generator = np.array([3, 0]), np.array([3, 3]), seeded()
    found = Counter(tuple(shuffled_ranges(starts, sizes, generator).tolist()) for _ in range(7200))
    possible = [a + b for a in permutations((3, 4, 5)) for b in permutations((0, 1, 2))]
    assert set(found) == set(possible)
    assert chisquare([found[order] for order in possible]).pvalue > UNLIKELY


@given(
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=8),
    edges=st.lists(st.integers(0, 48), min_size=2, max_size=4),
)
def test_stretches_are_cut_out_of_ranges_laid_end_to_end(sizes, edges):
    starts = np.arange(len(sizes)) * 10
    counts = np.array(sizes)
    laid = [row for start, size in zip(starts, sizes, strict=True) for row in range(start, start + size)]
    spans = [(min(pair), max(pair)) for pair in pairwise(edges)]
    begun, cut = cut_out(starts, counts, spans)
    found = [row for start, size in zip(begun, cut, strict=True) for row in range(start, start + size)]
    assert found == [row for first, last in spans for row in laid[first:last]]
    assert (cut > 0).all()


def test_weighted_draws_come_as_often_as_those_of_torch():
    weight = torch.tensor([0.5, 3.0, 0.0, 1.0, 8.0, 0.25, 2.0] * 600)
    ours, generator = Weighted(weight, len(weight)), seeded()
    drawn = torch.cat([ours(generator) for _ in range(20)])
    peer = WeightedRandomSampler(weight, len(drawn), generator=seeded(1))
    table = [torch.bincount(rows % 7, minlength=7).numpy() for rows in (drawn, torch.tensor(list(peer)))]
    assert table[0][2] == table[1][2] == 0
    assert chi2_contingency(np.delete(table, 2, axis=1)).pvalue > UNLIKELY
    # Each row of one weight comes as often as the others.
    assert chisquare(torch.bincount(drawn, minlength=len(weight))[4::7]).pvalue > UNLIKELY


@pytest.mark.parametrize("order", ["weighted", "balanced"])
def test_draws_do_not_depend_on_their_place_nor_on_the_epoch_before(order):
    n, generator = 10_000, seeded()
    draw = Weighted(torch.ones(n), n) if order == "weighted" else Members(torch.arange(n) % 50).evenly
    first, second = (draw(generator).numpy() for _ in range(2))
    for other in (np.arange(n), np.roll(first, 1), second):
        # Of independent draws the correlation is 0, with a standard error of 0.01.
        assert abs(np.corrcoef(first, other)[0, 1]) < 0.05


def test_the_largest_weighted_draw_ends_on_the_last_row_with_weight(monkeypatch):
    monkeypatch.setattr(torch, "rand", lambda n, **_: torch.full((n,), 1.0, dtype=torch.float64))
    assert Weighted([1.0, 2.0, 0.0, 0.0], 4)(seeded()).tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("by", ["classes", "groups"])
def test_balanced_draws_make_classes_or_groups_equally_likely_and_so_their_rows(by):
    labels = torch.tensor([7] * 9_000 + [2] * 900 + [5] * 100)[torch.randperm(10_000, generator=seeded())]
    n, generator = len(labels), seeded(1)
    members = class_members(labels, n) if by == "classes" else group_members(labels.tolist(), n, "grouped")
    rows = torch.cat([members.evenly(generator) for _ in range(9)])
    assert len(members) == 3 and len(rows) == 9 * n
    for label in (2, 5, 7):
        share = (labels[rows] == label).double().mean()
        assert abs(share - 1 / 3) < five_errors(1 / 3, len(rows))
        assert chisquare(torch.bincount(rows, minlength=n)[labels == label]).pvalue > UNLIKELY


def test_the_largest_balanced_draw_ends_on_the_last_row_of_the_last_class(monkeypatch):
    almost = float(np.nextafter(1.0, 0.0))
    monkeypatch.setattr(torch, "rand", lambda n, **_: torch.full((n,), almost, dtype=torch.float64))
    assert Members(torch.tensor([1, 0, 1, 0])).evenly(seeded()).tolist() == [2, 2, 2, 2]


@given(codes=st.lists(st.integers(-3, 5), max_size=60), seed=st.integers(0, 99))
@settings(max_examples=150, deadline=None)
def test_groups_come_one_after_the_other_with_all_their_rows(codes, seed):
    rows = group_members(np.array(codes, np.int64), len(codes), "grouped").together(seeded(seed)).tolist()
    assert sorted(rows) == list(range(len(codes)))
    met = [code for code, _ in groupby(codes[row] for row in rows)]
    assert len(met) == len(set(codes))


def test_every_order_of_groups_and_every_order_inside_them_is_equally_likely():
    members, generator = group_members(list("abacb"), 5, "grouped"), seeded()
    found = Counter(tuple(members.together(generator).tolist()) for _ in range(4_800))
    assert len(found) == 6 * 2 * 2  # orders of three groups, of two of which there are two orders
    assert chisquare(list(found.values())).pvalue > UNLIKELY


def days(*numbers):
    return [dt.date(2024, 1, number) for number in numbers]


GROUPS = {
    "texts": (list("abcab"), "abcab"),
    "array of texts": (np.array(list("abcab")), "abcab"),
    "numbers": (np.array([3, -1, 7, 3, -1]), "abcab"),
    "large numbers": (np.array([2**64 - 1, 1, 2**64 - 2, 2**64 - 1, 1], dtype=np.uint64), "abcab"),
    "floats and NaN": ([0.1, np.nan, 0.2, 0.1, np.nan], "abcad"),
    "booleans": (np.array([True, False, True, False, True]), "ababa"),
    "objects and None": (np.array(["x", None, "y", None, "x"], dtype=object), "abcda"),
    "numbers and None": ([1, None, 2, 1, None], "abcad"),
    "numbers and texts": (np.array([1, "1", 1, "x", "x"], dtype=object), "aaabb"),  # as text
    "tuples": (pd.Series([(1, 2), (1, 3), (1, 2), (1, 2), (1, 3)]), "abaab"),
    "nothing but None": ([None] * 5, "abcde"),
    "dates": (days(1, 2, 3, 1, 2), "abcab"),
    "decimals": (pl.Series([Decimal("1.5"), Decimal("2.5"), None, Decimal("1.5"), None]), "abcad"),
    "structs": (pl.Series([{"a": 1}, {"a": 2}, {"a": 1}, None, {"a": 2}]), "abacb"),
    "pandas": (pd.Series(list("abcab"), index=[7, 7, 3, 2, 1]), "abcab"),
    "pandas categories": (pd.Series(["u", "v", None, "u", None], dtype="category"), "abcad"),
    "pandas nullable": (pd.Series([1, None, 2, 1, None], dtype="Int64"), "abcad"),
    "pandas times": (pd.Series(pd.to_datetime(days(1, 2, 3, 1, 2))), "abcab"),
    "pandas categorical": (pd.Categorical(["u", "v", None, "u", None]), "abcad"),
    "pandas array": (pd.array([1, None, 2, 1, None], dtype="Int64"), "abcad"),
    "pyarrow": (pa.chunked_array([["u", "v"], [None, "u", None]]), "abcad"),
    "one-column frame": (pd.DataFrame({"g": list("abcab")}), "abcab"),
    "polars enum": (pl.Series(list("abcab"), dtype=pl.Enum(list("cba"))), "abcab"),
    "polars categorical": (pl.Series(["u", "v", None, "u", None], dtype=pl.Categorical), "abcad"),
    "polars nulls": (pl.Series([1, None, 2, 1, None]), "abcad"),
    "tensor": (torch.tensor([4, 0, 9, 4, 0], dtype=torch.uint8), "abcab"),
    "float tensor": (torch.tensor([4, 0, torch.nan, 4, torch.nan], requires_grad=True), "abcad"),
    "half tensor": (torch.tensor([4, 0, torch.nan, 4, torch.nan], dtype=torch.bfloat16), "abcad"),
    "boolean tensor": (torch.tensor([True, False, True, False, True]), "ababa"),
}


@pytest.mark.parametrize("kind", GROUPS)
def test_groups_may_be_of_any_type_and_a_missing_one_is_a_group_of_its_own(kind):
    groups, expected = GROUPS[kind]
    members = group_members(groups, 5, "grouped")
    assert len(members) == len(set(expected))
    for seed in range(20):
        rows = members.together(seeded(seed)).tolist()
        assert len([group for group, _ in groupby(expected[row] for row in rows)]) == len(members)


def test_groups_that_are_missing_or_do_not_fit_are_refused():
    with pytest.raises(DataError, match="'balanced_groups' goes by groups, but none were given"):
        group_members(None, 3, "balanced_groups")
    with pytest.raises(DataError, match="hold 3 rows, but groups hold 2"):
        group_members(["a", "b"], 3, "grouped")
    with pytest.raises(DataError, match="one value per row"):
        group_members(np.zeros((3, 2)), 3, "grouped")


def test_groups_stay_as_they_are():
    for groups in (np.array([2, 1, 2]), torch.tensor([2, 1, 2])):
        group_members(groups, 3, "grouped").together(seeded())
        assert groups.tolist() == [2, 1, 2]
