"""Shapley values: against the definition, and where some recipes cannot run."""

from itertools import combinations, permutations
from math import factorial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.bench.shapley import EXACT, Orders

SCORES = 5


def worth_of(players, seed=0):
    rng = np.random.default_rng(seed)
    return {recipe: rng.normal(size=SCORES) * (recipe > 0) for recipe in range(1 << players)}


def by_definition(worth, players):
    """Weigh each step by |S|! (n - |S| - 1)! / n!, as Shapley did."""
    values = np.zeros((players, SCORES))
    for player in range(players):
        others = [p for p in range(players) if p != player]
        for size in range(players):
            weight = factorial(size) * factorial(players - size - 1) / factorial(players)
            for group in combinations(others, size):
                recipe = sum(1 << p for p in group)
                values[player] += weight * (worth[recipe | 1 << player] - worth[recipe])
    return values


def over_orders(worth, players, running):
    """Average what each player adds over all orders that pass through recipes that run."""
    found = []
    for order in permutations(range(players)):
        ways = [sum(1 << p for p in order[:n]) for n in range(players + 1)]
        if all(way in running for way in ways):
            added = np.zeros((players, SCORES))
            for n, player in enumerate(order):
                added[player] = worth[ways[n + 1]] - worth[ways[n]]
            found.append(added)
    return (np.mean(found, axis=0) if found else None), len(found)


@pytest.mark.parametrize("players", [1, 2, 3, 5, 6])
def test_all_orders_give_the_values_of_the_definition(players):
    worth = worth_of(players)
    share = Orders.of(players, 200, 0).shares(worth, set(worth))
    np.testing.assert_allclose(share.values, by_definition(worth, players), atol=1e-14)
    assert share.orders == factorial(players) and not share.sampling.any()


@given(st.integers(2, 5), st.integers(0, 99), st.data())
def test_values_add_up_whatever_cannot_run(players, seed, data):
    worth = worth_of(players, seed)
    full = (1 << players) - 1
    barred = data.draw(st.sets(st.integers(1, full - 1), max_size=6))
    running = set(worth) - barred
    share = Orders.of(players, 200, 0).shares({r: worth[r] for r in running}, running)
    expected, orders = over_orders(worth, players, running)
    if expected is None:
        assert share is None
    else:
        np.testing.assert_allclose(share.values.sum(axis=0), worth[full] - worth[0], atol=1e-12)
        np.testing.assert_allclose(share.values, expected, atol=1e-12)
        assert share.orders == orders


def test_more_stages_are_drawn_in_pairs_and_their_error_is_honest():
    players = EXACT + 1
    orders = Orders.of(players, 200, 3)
    assert len(orders.drawn) == 200 and orders.drawn == Orders.of(players, 200, 3).drawn
    assert all(orders.drawn[n][::-1] == orders.drawn[n + 1] for n in range(0, 200, 2))
    assert orders.recipes()[0] == orders.full and {0, orders.full} <= set(orders.recipes())
    worth = worth_of(players)
    truth = by_definition(worth, players).mean(axis=1)
    apart = []
    for seed in range(40):
        share = Orders.of(players, 60, seed).shares(worth, set(worth))
        np.testing.assert_allclose(share.values.sum(axis=0), worth[orders.full], atol=1e-12)
        apart.append((share.values.mean(axis=1) - truth) / share.sampling)
    # Standardized by its own error, the error is spread as it should be.
    assert 0.8 < np.std(apart) < 1.25


def test_a_reverse_makes_values_of_pairs_exact_where_players_meet_in_pairs_only():
    players = EXACT + 1
    rng = np.random.default_rng(1)
    alone, together = rng.normal(size=players), rng.normal(size=(players, players))
    worth = {}
    for recipe in range(1 << players):
        inside = [p for p in range(players) if recipe >> p & 1]
        pairs = sum(together[a, b] for a, b in combinations(inside, 2))
        worth[recipe] = np.full(SCORES, sum(alone[p] for p in inside) + pairs)
    share = Orders.of(players, 4, 0).shares(worth, set(worth))
    np.testing.assert_allclose(share.values, by_definition(worth, players), atol=1e-12)
    assert share.sampling.max() < 1e-12


def test_drawn_orders_that_cannot_run_are_left_out():
    players = EXACT + 1
    worth = worth_of(players)
    # Player 0 cannot join before player 1.
    running = {r for r in worth if not (r & 1 and not r & 2)}
    orders = Orders.of(players, 200, 0)
    share = orders.shares(worth, running)
    able = [order for order in orders.drawn if order.index(1) < order.index(0)]
    assert 0 < share.orders == len(able) < 200
    np.testing.assert_allclose(share.values.sum(axis=0), worth[orders.full], atol=1e-12)
    assert orders.shares(worth, {0, orders.full}) is None


def test_all_orders_are_taken_where_as_many_would_be_drawn():
    assert Orders.of(EXACT + 1, 5040, 0).drawn == ()
