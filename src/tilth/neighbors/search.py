"""The nearest rows, found exactly in blocks of bounded size, or nearly all of them by a graph."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
from threadpoolctl import get_cached_controller

from tilth.errors import DataError
from tilth.neighbors.approximate import nearest_walked
from tilth.neighbors.arrays import Arrays, NumpyArrays, arrays_on, lowest
from tilth.neighbors.copies import distinct, told_apart, without_self
from tilth.neighbors.space import Sides, Space
from tilth.neighbors.tiles import Tiles

# Reference rows in a tile: long enough for the products, short enough to stay in cache.
COLUMNS = 32_768
# With more copies than this leaves room for, each distinct row is searched for once.
MOSTLY_DISTINCT = 0.9


def nearest(
    space: Space,
    query: np.ndarray,
    reference: np.ndarray,
    k: int,
    *,
    exclude_self: bool = False,
    search: Literal["exact", "approximate"] = "exact",
    device: str = "cpu",
    block_bytes: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Find the `k` nearest reference rows of each query row.

    Products in float32 choose a few more candidates than asked for, whose distances are then taken from
    the differences of cells, in float64: copies have distance 0, and large offsets cost no digits. The
    rounding of a product has a bound. Where it leaves open whether another row is as near, those rows are
    searched again in float64, and every row that the bound allows is measured. So the answer is that of
    measuring all pairs, and a query row's answer does not depend on the others. Equal distances: the
    lower index first. Where many rows are copies, each distinct one is searched for once.

    Parameters
    ----------
    space : Space
        How distance is measured.
    query : ndarray of shape (n_query, n_columns)
        Numbers and codes; NaN is a missing cell.
    reference : ndarray of shape (n_reference, n_columns)
    k : int, >= 1
    exclude_self : bool
        The query is the reference, row for row: a row is not its own neighbor. Its copies are.
    search : {'exact', 'approximate'}
        'approximate' misses a few neighbors in a hundred, and walks a graph that has to be made first (see
        `tilth.neighbors.approximate`): it pays where rows are very many, and ``benchmarks/neighbors.py``
        tells from where on. It takes complete rows, runs on the CPU, and needs faiss: ``pip install
        'tilth[neighbors]'``. Distances are exact, and ties as they are elsewhere; the graph holds a column
        of float32 for each number and each category.
    device : {'cpu', 'auto', 'cuda', 'cuda:1', 'mps'}
        Where candidates are chosen. On the CPU, as many threads work as the linear algebra may use.
    block_bytes : int, optional
        Memory for one tile of products (per thread): by default 8 MiB on the CPU, which its caches hold,
        and 256 MiB elsewhere. Results do not depend on it.

    Returns
    -------
    distances : ndarray of shape (n_query, k), float64
        Rising. Infinity where a row has fewer than `k` neighbors within reach.
    indices : ndarray of shape (n_query, k), int64
        Rows of the reference; -1 where there is none.

    Raises
    ------
    DataError
        See `Space.sides`; `k` below 1; `exclude_self` with another number of query than reference rows; an
        approximate search of rows with missing cells, or on another device than the CPU.
    TilthError
        The device, or for an approximate search faiss, is not present.

    Examples
    --------
    >>> rows = np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0], [np.nan, 4.0]])
    >>> nearest(Space(), rows, rows, 1, exclude_self=True)[1].ravel().tolist()
    [2, 3, 0, 1]
    """
    sides = space.sides(query, reference)
    n_query, n_reference = len(sides.q_present), len(sides.r_present)
    if k < 1:
        raise DataError(f"neighbors: k is {k}; ask for at least 1.")
    if exclude_self and n_query != n_reference:
        raise DataError(
            f"neighbors: exclude_self with {n_query} query and {n_reference} reference rows; "
            "the query must be the reference, row for row."
        )
    if search == "approximate":
        if device not in ("cpu", "auto"):
            raise DataError(
                f"neighbors: search='approximate' runs on the CPU, and device is '{device}'. "
                "Use device='cpu', or search='exact'."
            )
        return nearest_walked(space, query, reference, k, exclude_self=exclude_self)
    first, member_of = distinct(np.asarray(reference, dtype=np.float64))
    if first.size < MOSTLY_DISTINCT * n_reference:
        query, reference = np.asarray(query, dtype=np.float64), np.asarray(reference, dtype=np.float64)
        asked, asker_of = distinct(query)
        of_distinct = nearest(
            space, query[asked], reference[first], k + exclude_self, device=device, block_bytes=block_bytes
        )
        distances, indices = (part[asker_of] for part in told_apart(*of_distinct, member_of))
        return without_self(distances, indices) if exclude_self else (distances, indices)
    distances, indices = np.full((n_query, k), np.inf), np.full((n_query, k), -1, dtype=np.int64)
    if not (n_query and n_reference):
        return distances, indices
    masked = not (sides.q_present.all() and sides.r_present.all())
    arrays = arrays_on(device)
    with arrays.exact():
        measures, found = _Search(sides, k, masked, exclude_self, arrays, block_bytes).run()
    distances[:, : measures.shape[1]] = sides.distances(measures, masked=masked)
    indices[:, : measures.shape[1]] = np.where(np.isfinite(measures), found, -1)
    return distances, indices


class _Search:
    """Hold what the blocks of one search share."""

    def __init__(
        self,
        sides: Sides,
        k: int,
        masked: bool,
        exclude_self: bool,
        arrays: Arrays,
        block_bytes: int | None,
    ) -> None:
        self.sides, self.masked, self.exclude_self, self.arrays = sides, masked, exclude_self, arrays
        self.n_query, self.n_reference = len(sides.q_present), len(sides.r_present)
        self.k = min(k, self.n_reference)
        # A few more than asked for, so that the next one is seldom within the error of a product.
        self.candidates = min(self.k + 8 + self.k // 8, self.n_reference)
        self.block_bytes = block_bytes or arrays.tile_bytes

    def run(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the measures and indices of the `k` nearest, each (n_query, k)."""
        self.measures = np.empty((self.n_query, self.k))
        self.indices = np.empty((self.n_query, self.k), dtype=np.int64)
        self.proven = np.zeros(self.n_query, dtype=bool)
        # Tiles are made once for all threads; each thread has its own room to write to.
        tiles = Tiles(self.sides, masked=self.masked, arrays=self.arrays, dtype="float32")
        self._in_blocks(tiles, np.arange(self.n_query), self._choose)
        left = np.flatnonzero(~self.proven)
        if left.size:
            fine = Tiles(self.sides.of(left), masked=self.masked, arrays=NumpyArrays(), dtype="float64")
            self._in_blocks(fine, left, self._measure_all)
        return self.measures, self.indices

    def _in_blocks(self, tiles: Tiles, rows: np.ndarray, work: Callable[..., None]) -> None:
        """Do the work in blocks of query rows, on as many threads as the linear algebra may use."""
        width = min(self.n_reference, COLUMNS)
        step = max(self.block_bytes // (tiles.cell_bytes * width), 1)
        blocks = [slice(start, min(start + step, rows.size)) for start in range(0, rows.size, step)]
        here = isinstance(tiles.arrays, NumpyArrays)
        blas = get_cached_controller().select(user_api="blas")
        threads = min(max((pool["num_threads"] for pool in blas.info()), default=1), len(blocks))
        if not here or threads == 1:
            for block in blocks:
                work(tiles, rows[block], block)
            return

        def share(thread: int) -> None:
            own = tiles.again(NumpyArrays())
            for block in blocks[thread::threads]:
                work(own, rows[block], block)

        with blas.limit(limits=1), ThreadPoolExecutor(threads) as pool:
            list(pool.map(share, range(threads)))

    def _choose(self, tiles: Tiles, rows: np.ndarray, block: slice) -> None:
        """Choose candidates by products, measure them, and tell for which rows that is proven right."""
        arrays = tiles.arrays
        values, places = [], []
        for columns in self._columns():
            tile = tiles.of(block, columns)
            if self.exclude_self:
                own = np.flatnonzero((rows >= columns.start) & (rows < columns.stop))
                tile[arrays.put(own), arrays.put(rows[own] - columns.start)] = np.inf
            value, place = lowest(arrays, tile, self.candidates)
            values.append(value)
            places.append(place + columns.start)
        value, place = arrays.lib.hstack(values), arrays.lib.hstack(places)
        best = arrays.lowest(value, self.candidates)
        value, place = arrays.back(arrays.along(value, best)), arrays.back(arrays.along(place, best))
        place = np.sort(place, axis=1)
        measures = self._measured(rows, place)
        order = np.argsort(measures, axis=1, kind="stable")[:, : self.k]
        self.measures[rows] = np.take_along_axis(measures, order, 1)
        self.indices[rows] = np.take_along_axis(place, order, 1)
        # No row that was not chosen has a lower value in the tiles than this one.
        next_value = value.max(axis=1) if self.candidates < self.n_reference else np.inf
        self.proven[rows] = next_value > tiles.bound(block, self.measures[rows, -1])
        self.proven[rows] |= np.isinf(next_value)

    def _measure_all(self, tiles: Tiles, rows: np.ndarray, block: slice) -> None:
        """Measure every reference row that may be as near as the farthest one found so far."""
        high = tiles.bound(block, self.measures[rows, -1])
        row, place, measures = np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
        for columns in self._columns():
            new, column = np.nonzero(tiles.of(block, columns) <= high[:, None])
            column += columns.start
            if self.exclude_self:
                others = rows[new] != column
                new, column = new[others], column[others]
            # Copies may be many: of each row only the nearest go on to the next tile.
            measures = np.concatenate([measures, self._between(rows[new], column)])
            row, place = np.concatenate([row, new]), np.concatenate([place, column])
            order = np.lexsort((place, measures, row))
            rank = np.arange(row.size) - np.searchsorted(row[order], row[order])
            kept = order[rank < self.k]
            row, place, measures = row[kept], place[kept], measures[kept]
        # No row was left in doubt with fewer than k neighbors.
        self.measures[rows] = measures.reshape(rows.size, self.k)
        self.indices[rows] = place.reshape(rows.size, self.k)

    def _columns(self) -> list[slice]:
        """Part the reference rows into tiles."""
        return [
            slice(start, min(start + COLUMNS, self.n_reference))
            for start in range(0, self.n_reference, COLUMNS)
        ]

    def _measured(self, rows: np.ndarray, place: np.ndarray) -> np.ndarray:
        """Measure each row against its own places: (n_rows, n_places)."""
        measures = self._between(np.repeat(rows, place.shape[1]), place.ravel()).reshape(place.shape)
        if self.exclude_self:
            measures[place == rows[:, None]] = np.inf
        return measures

    def _between(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        step = max(self.block_bytes // (self.sides.n_columns * 32), 1)
        parts = [
            self.sides.between(i[at : at + step], j[at : at + step], masked=self.masked)
            for at in range(0, i.size, step)
        ]
        return np.concatenate(parts) if parts else np.empty(0)
