"""Rows that stand among their own class: told apart cheaply, so that few are left to look at."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import get_cached_controller

from tilth.neighbors.arrays import NumpyArrays
from tilth.neighbors.space import Space
from tilth.neighbors.tiles import Tiles

# A class with a smaller share of the rows has few to shelter them: its neighbors are as soon found.
LEAST = 1 / 16
# Own rows looked at first; each further look takes twice as many, for fewer and fewer rows.
FIRST = 2048
# Columns of a tile at most.
WIDEST = 16_384
BLOCK_BYTES = 4 << 20
# Columns of which only the least is held against the limit.
GROUP = 16


def sheltered(space: Space, rows: np.ndarray, codes: np.ndarray, asked: np.ndarray, k: int) -> np.ndarray:
    """Tell for which rows at least `k` others of their class are nearer than any row of another class.

    Then the `k` nearest are of their own class, and need not be found. First the nearest row of another
    class is measured, then rows of the own class are looked through until `k` nearer ones are met: among
    their own that is soon. Products in float32 decide, and no row is told sheltered that their rounding
    leaves in doubt.

    Parameters
    ----------
    space : Space
    rows : ndarray of shape (n_rows, n_columns)
    codes : ndarray of shape (n_rows,), int
        The class of each row.
    asked : ndarray of shape (n_asked,), int
        Positions of the rows to tell of.
    k : int, >= 1

    Returns
    -------
    ndarray of shape (n_asked,), bool
        False says that the row is not, or that this is not sure. Small classes are not looked at.

    Examples
    --------
    >>> rows, codes = np.array([[0.0], [0.1], [0.2], [0.9], [1.0]]), np.array([0, 0, 0, 0, 1])
    >>> sheltered(Space(), rows, codes, np.arange(5), 2).tolist()
    [True, True, True, False, False]
    """
    told = np.zeros(len(asked), dtype=bool)
    for code in np.unique(codes[asked]):
        own, others = np.flatnonzero(codes == code), np.flatnonzero(codes != code)
        if len(own) > max(k, LEAST * len(rows)) and len(others):
            # In an order that has nothing to do with where rows lie, near ones are met soon.
            mixed = np.random.default_rng(0).permutation(own)
            these = codes[asked] == code
            told[these] = _Look(space, rows, asked[these], others, mixed).sheltered(k)
    return told


class _Look:
    """Hold what the passes over the rows of one class share."""

    def __init__(
        self, space: Space, rows: np.ndarray, asked: np.ndarray, others: np.ndarray, own: np.ndarray
    ) -> None:
        sides = space.sides(rows[asked], rows[np.concatenate([others, own])])
        masked = not (sides.q_present.all() and sides.r_present.all())
        self.tiles = Tiles(sides, masked=masked, arrays=NumpyArrays(), dtype="float32")
        self.n_asked, self.n_others, self.n_all = len(asked), len(others), len(others) + len(own)
        self.blas = get_cached_controller().select(user_api="blas")

    def sheltered(self, k: int) -> np.ndarray:
        limit, left = self._limits(), np.arange(self.n_asked)
        left = left[limit > -np.inf]
        count = np.zeros(self.n_asked)
        start, width = self.n_others, FIRST
        while start < self.n_all and left.size:
            columns = slice(start, min(start + width, self.n_all))
            count[left] += self._passed(left, columns, lambda tile, rows: _at_least(tile, limit[rows, None]))
            # The row itself may have been counted.
            left = left[count[left] <= k]
            start, width = columns.stop, min(2 * width, WIDEST)
        return count > k

    def _limits(self) -> np.ndarray:
        """Return the tile value below which a row is surely nearer than any of another class."""
        nearest = np.full(self.n_asked, np.inf)
        everyone = np.arange(self.n_asked)
        for start in range(0, self.n_others, WIDEST):
            columns = slice(start, min(start + WIDEST, self.n_others))
            nearest = np.minimum(nearest, self._passed(everyone, columns, lambda tile, _: tile.min(axis=1)))
        unit = self.tiles.unit**2
        alone = np.isinf(nearest)
        shown = np.where(alone, 0.0, np.maximum(nearest, 0.0))
        # All others are truly farther than `near` if no tile of a row so near could show as much as theirs.
        high = self.tiles.bound(everyone, shown * unit)
        near = np.maximum(shown - 2 * (np.where(np.isfinite(high), high, np.inf) - shown), 0.0)
        high = self.tiles.bound(everyone, near * unit)
        # The rounding of a product is as large to both sides.
        limit = np.where((high < shown) & np.isfinite(high), near - (high - near), -np.inf)
        lower = np.nextafter(limit.astype(np.float32), np.float32(-np.inf))
        return np.where(alone, np.float32(np.inf), lower)

    def _passed(
        self, rows: np.ndarray, columns: slice, reduce: Callable[[np.ndarray, np.ndarray], np.ndarray]
    ) -> np.ndarray:
        """Reduce the tile of each row, in blocks, on as many threads as the linear algebra may use."""
        width = columns.stop - columns.start
        step = max(BLOCK_BYTES // (self.tiles.cell_bytes * width), 1)
        blocks = [slice(start, min(start + step, rows.size)) for start in range(0, rows.size, step)]
        threads = min(max((pool["num_threads"] for pool in self.blas.info()), default=1), len(blocks))
        out = np.empty(rows.size)

        def share(thread: int) -> None:
            tiles = self.tiles.again(NumpyArrays())
            for block in blocks[thread::threads]:
                out[block] = reduce(tiles.of(rows[block], columns), rows[block])  # type: ignore[arg-type]

        if threads == 1:
            share(0)
        else:
            with self.blas.limit(limits=1), ThreadPoolExecutor(threads) as pool:
                list(pool.map(share, range(threads)))
        return out


def _at_least(tile: np.ndarray, limit: np.ndarray) -> np.ndarray:
    """Count in how many groups of columns a row has a value below its limit: that many are below it."""
    rows, width = tile.shape
    groups = width // GROUP
    if not groups:
        return np.count_nonzero(tile < limit, axis=1)
    # The least of each group takes one vectorized pass, and what is left to compare is short.
    least = tile[:, : groups * GROUP].reshape(rows, GROUP, groups).min(axis=1)
    return np.count_nonzero(least < limit, axis=1) + np.count_nonzero(
        tile[:, groups * GROUP :] < limit, axis=1
    )
