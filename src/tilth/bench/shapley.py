"""Shapley values of stages: what each adds, on average over the orders in which stages could be added.

A recipe of some of the stages always runs them in the pipeline's order; the orders averaged over are those
in which stages join. Recipes that cannot run are never on the way: the average is over orders that can.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import factorial

import numpy as np
from numpy.typing import NDArray

EXACT = 6
"""Up to so many stages all recipes are run; beyond, orders are drawn."""

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Shares:
    """Hold Shapley values.

    Parameters
    ----------
    values : ndarray of shape (n_players, n_scores)
        For each score its own.
    sampling : ndarray of shape (n_players,)
        Standard error of the means that drawing orders leaves; 0 where none were drawn.
    orders : int
        How many orders the values are averages over.
    """

    values: NDArray[np.float64]
    sampling: Vector
    orders: int


@dataclass(frozen=True)
class Orders:
    """Hold the orders in which players join: all of them, or some that were drawn.

    Recipes are whole numbers: bit i is set where player i has joined.

    Parameters
    ----------
    players : int
    drawn : tuple of tuple of int
        Empty: all orders. Each order at an even place is followed by its reverse.
    """

    players: int
    drawn: tuple[tuple[int, ...], ...] = ()

    @classmethod
    def of(cls, players: int, permutations: int, random_state: int) -> Orders:
        """Take all orders of few players; of more draw some, each with its reverse.

        Parameters
        ----------
        players : int
        permutations : int
            How many are drawn, an even number; where there are no more than that in all, all are taken.
        random_state : int
        """
        if players <= EXACT or factorial(players) <= permutations:
            return cls(players)
        rng = np.random.default_rng(random_state)
        halves = [tuple(map(int, rng.permutation(players))) for _ in range(permutations // 2)]
        return cls(players, tuple(order for half in halves for order in (half, half[::-1])))

    @property
    def full(self) -> int:
        """Return the recipe of all players."""
        return (1 << self.players) - 1

    def recipes(self) -> list[int]:
        """List the recipes that values depend on: the full one first, then by how many have joined."""
        if not self.drawn:
            found = set(range(self.full + 1))
        else:
            found = {recipe for order in self.drawn for recipe in _ways(order)}
        return [self.full, *sorted(found - {self.full}, key=lambda recipe: (recipe.bit_count(), recipe))]

    def shares(self, worth: Mapping[int, Vector], running: Collection[int]) -> Shares | None:
        """Return what each player adds on average.

        Parameters
        ----------
        worth : mapping of recipe to ndarray of shape (n_scores,)
        running : collection of int
            The recipes that can run.

        Returns
        -------
        Shares or None
            None where no order of those looked at can run from none to all.
        """
        running = set(running)
        return self._of_drawn(worth, running) if self.drawn else self._of_all(worth, running)

    def _of_all(self, worth: Mapping[int, Vector], running: set[int]) -> Shares | None:
        """Weigh each step by the number of orders that it is on."""
        into = dict.fromkeys(range(self.full + 1), 0)
        onward = dict(into)
        into[0] = onward[self.full] = 1
        steps = [(s, i) for s in range(self.full + 1) for i in range(self.players) if not s >> i & 1]
        steps = [(s, i) for s, i in steps if s in running and s | 1 << i in running]
        for s, i in steps:
            into[s | 1 << i] += into[s]
        for s, i in reversed(steps):
            onward[s] += onward[s | 1 << i]
        if not into[self.full]:
            return None
        values = np.zeros((self.players, len(worth[self.full])))
        for s, i in steps:
            if orders := into[s] * onward[s | 1 << i]:
                values[i] += orders / into[self.full] * (worth[s | 1 << i] - worth[s])
        return Shares(values, np.zeros(self.players), into[self.full])

    def _of_drawn(self, worth: Mapping[int, Vector], running: set[int]) -> Shares | None:
        values = np.zeros((self.players, len(worth[self.full])))
        units: dict[int, list[Vector]] = {}
        orders = 0
        for place, order in enumerate(self.drawn):
            ways = _ways(order)
            if not running.issuperset(ways):
                continue
            added = np.empty_like(values)
            for player, before, after in zip(order, ways[:-1], ways[1:], strict=True):
                added[player] = worth[after] - worth[before]
            values += added
            orders += 1
            # An order and its reverse are one draw: their errors have opposite signs.
            units.setdefault(place // 2, []).append(added.mean(axis=1))
        if not orders:
            return None
        means = np.array([np.mean(unit, axis=0) for unit in units.values()])
        if len(means) < 2:
            return Shares(values / orders, np.full(self.players, np.inf), orders)
        return Shares(values / orders, means.std(axis=0, ddof=1) / np.sqrt(len(means)), orders)


def _ways(order: tuple[int, ...]) -> list[int]:
    """Return the recipes that an order passes through, from none to all."""
    ways = [0]
    for player in order:
        ways.append(ways[-1] | 1 << player)
    return ways
