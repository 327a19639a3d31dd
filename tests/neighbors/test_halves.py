"""Parting rows: every pair is compared once at most, and few are compared."""

from __future__ import annotations

import numpy as np
import pytest

from tilth.neighbors import Space, halves
from tilth.neighbors.halves import Halves


def halves_of(rows, radius, categorical=()):
    sides = Space("gower", categorical, widths=(1.0,) * rows.shape[1]).sides(rows, rows)
    return Halves(sides, radius, 1 << 20)


def compared(parts):
    return sum(len(owned) * (len(owned) // 2 + len(guests)) for owned, guests in parts)


@pytest.mark.parametrize("gaps", [0.0, 0.1])
def test_every_row_is_owned_once_and_no_pair_comes_twice(gaps, monkeypatch):
    monkeypatch.setattr(halves, "LEAF", 8)
    rng = np.random.default_rng(0)
    rows = np.hstack([rng.random((500, 2)), rng.integers(0, 3, (500, 2))])
    rows[rng.random(rows.shape) < gaps] = np.nan
    walk = halves_of(rows, 0.05, (False, False, True, True))
    parts = list(walk)
    assert sorted(np.concatenate([owned for owned, _ in parts]).tolist()) == list(range(500))
    pairs = [
        tuple(sorted(p)) for part in parts for i, j in walk.compare(*part) for p in zip(i, j, strict=True)
    ]
    assert len(pairs) == len(set(pairs)) > 10


def test_a_small_radius_compares_few_pairs():
    rows = np.random.default_rng(0).standard_normal((20_000, 6))
    assert compared(halves_of(rows, 0.001)) < 0.01 * len(rows) ** 2
    assert compared(halves_of(rows, 10.0)) >= 0.49 * len(rows) ** 2


def test_guests_held_against_boxes_are_counted():
    walk = halves_of(np.random.default_rng(0).standard_normal((3000, 2)), 0.01)
    assert any(guests.size for _, guests in walk)
    assert walk.filtered > 0


def test_codes_that_may_not_differ_part_rows():
    rows = np.random.default_rng(0).integers(0, 8, (20_000, 5)).astype(float)
    assert compared(halves_of(rows, 0.1, (True,) * 5)) < 0.02 * len(rows) ** 2


def test_of_many_columns_those_that_tell_rows_apart_are_tried(monkeypatch):
    monkeypatch.setattr(halves, "MOST_COLUMNS", 2)
    rows = np.random.default_rng(0).standard_normal((100, 5)) * [1, 9, 1, 9, 1]
    assert halves_of(rows, 0.1).tried.tolist() == [1, 3]


def test_equal_cells_part_nothing():
    parts = list(halves_of(np.ones((1000, 2)), 0.1))
    assert len(parts) == 1 and parts[0][1].size == 0
