"""Who stays among near rows: plain loops are the oracle, and two promises hold for any rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.neighbors.peers import all_pairs
from tilth.neighbors import Space
from tilth.neighbors.leaders import NearSets, leaders

SETTINGS = {
    "n": st.integers(1, 40),
    "seed": st.integers(0, 9999),
    "gaps": st.sampled_from([0.0, 0.2]),
    "radius": st.floats(0, 2),
}


def made(n, seed, gaps):
    rng = np.random.default_rng(seed)
    rows = np.round(rng.random((n, 2)) * 4, 0 if seed % 2 else 1)
    rows[rng.random(rows.shape) < gaps] = np.nan
    return rows, rng.permutation(n), rng.integers(0, 2, n)


def distances(rows):
    """Measure all pairs; rows that are equal cell by cell are near, whatever is missing."""
    far = all_pairs(rows, rows, (False, False))
    equal = ((rows[:, None] == rows) | (np.isnan(rows[:, None]) & np.isnan(rows))).all(axis=2)
    return np.where(equal, 0.0, far)


def choose(far, rank, radius):
    """Let rows stay in turn, unless one that stays is near; then name the nearest that stays."""
    stays = []
    for row in np.argsort(rank):
        if not any(far[row, other] <= radius for other in stays):
            stays.append(row)
    leader = []
    for row in range(len(far)):
        near = [(far[row, other], rank[other], other) for other in stays if far[row, other] <= radius]
        leader.append(row if row in stays else min(near)[2])
    return np.array(leader)


@settings(max_examples=150, deadline=None)
@given(**SETTINGS, labeled=st.booleans())
def test_leaders_are_those_of_plain_loops(n, seed, gaps, radius, labeled):
    rows, rank, labels = made(n, seed, gaps)
    far = distances(rows)
    radius = float(far[far >= radius].min(initial=9.0))
    if labeled:
        far = np.where(labels[:, None] == labels, far, np.inf)
    near = NearSets.find(Space(), rows, radius, rank, labels if labeled else None)
    assert near.leader.tolist() == choose(far, rank, radius).tolist()
    np.testing.assert_allclose(near.apart, far[np.arange(n), near.leader], atol=1e-12)
    together = near.together[:, None] == near.together
    linked = far <= radius
    for _ in range(n):
        linked = linked @ linked
    assert np.array_equal(together, linked)


@settings(max_examples=60, deadline=None)
@given(**SETTINGS)
def test_who_goes_is_near_to_one_who_stays_and_no_two_who_stay_are_near(n, seed, gaps, radius):
    rows, rank, _ = made(n, seed, gaps)
    near = NearSets.find(Space(), rows, radius, rank)
    stays = near.leader == np.arange(n)
    assert stays[near.leader].all() and (near.apart <= radius).all()
    far = distances(rows)[np.ix_(stays, stays)]
    assert (far[~np.eye(len(far), dtype=bool)] > radius).all()


@given(seed=st.integers(0, 999))
def test_the_order_of_rows_changes_nothing(seed):
    rows, rank, labels = made(30, seed, 0.1)
    turn = np.random.default_rng(seed).permutation(30)
    one = NearSets.find(Space(), rows, 0.6, rank, labels)
    two = NearSets.find(Space(), rows[turn], 0.6, rank[turn], labels[turn])
    assert turn[two.leader].tolist() == one.leader[turn].tolist()
    assert two.apart.tolist() == one.apart[turn].tolist()


def test_no_chain_is_followed():
    at = np.array([[0.0], [0.9], [1.8], [2.7]])
    near = NearSets.find(Space(), at, 1.0, np.arange(4))
    assert near.leader.tolist() == [0, 0, 2, 2]
    assert len(set(near.together)) == 1


def test_without_pairs_every_row_stays():
    leader, apart = leaders(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0), np.arange(3)[::-1])
    assert leader.tolist() == [0, 1, 2] and not apart.any()


@pytest.mark.parametrize("rows", [np.zeros((0, 2)), np.zeros((1, 2))])
def test_no_rows_and_one(rows):
    near = NearSets.find(Space(), rows, 1.0, np.arange(len(rows)))
    assert near.leader.tolist() == near.together.tolist() == list(range(len(rows)))
