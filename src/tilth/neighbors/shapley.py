"""What a row is worth to a classifier by nearest neighbors: its Shapley value, in closed form."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from threadpoolctl import get_cached_controller

from tilth.errors import DataError
from tilth.neighbors.arrays import GROUP, NumpyArrays
from tilth.neighbors.space import Sides, Space
from tilth.neighbors.tiles import Tiles

NEAR = 128
"""Ranks that are told apart exactly by default; at least so many times `k` are."""
TIMES_K = 8
FAR = 2048
"""About so many rows are told apart in steps by default; all beyond are one step."""
CELLS = 1024
"""Distances from there on are cut into at most so many steps."""
SAMPLED = 16
"""Each 16th distance tells about where so many rows lie."""
TOGETHER = 8
"""Validation rows whose steps are held at once."""
MEASURED = 1 << 16
"""Pairs measured at once."""
INFINITE = int(np.float32(np.inf).view(np.int32))


def knn_shapley(
    space: Space,
    train_rows: np.ndarray,
    train_labels: np.ndarray,
    valid_rows: np.ndarray,
    valid_labels: np.ndarray,
    k: int,
    *,
    weight: np.ndarray | None = None,
    near: int | None = NEAR,
    far: int | None = FAR,
    block_bytes: int = 8 << 20,
) -> np.ndarray:
    """Share out among training rows how well their labels answer for validation rows.

    The worth of a set of rows is the mean over validation rows of the sum of agreements of its `k` nearest
    rows (all, where there are fewer), divided by `k`. Agreement of two classes is 1 or 0. For a validation
    row whose training rows, the nearest first, agree by a_1 ... a_n, the row of rank i gets

        a_i / max(i, k) - sum of a_j / (j (j - 1)) over j > max(i, k),

    the recursion of the paper summed up. The sum of values is the worth of all rows together.

    Equal distances: the lower index first. The `near` nearest rows are measured by differences, in float64,
    and ordered exactly. What lies beyond is ordered by products in float32 and cut into steps; those behind
    about the `far` nearest are one step. Rows of one step get the mean over all orders of the step. In a step
    of b rows after the first r, that changes a value by less than 1 / r and at most b / r^2 per validation
    row, and the sum of values not at all.

    Parameters
    ----------
    space : Space
        How distance is measured. Rows out of reach come last.
    train_rows : ndarray of shape (n_train, n_columns)
    train_labels : ndarray of shape (n_train,)
        Whole numbers, booleans or text are classes. Of floats two agree by 1 - (a - b)^2 / s, where s is the
        mean of (a - b)^2 over all pairs of training rows: 1 for equal ones, 0 for a guess.
    valid_rows : ndarray of shape (n_valid, n_columns)
    valid_labels : ndarray of shape (n_valid,)
    k : int, >= 1
    weight : ndarray of shape (n_valid,), optional
        How much each validation row counts.
    near : int, optional
        Ranks told apart exactly, at least 8 k; None: all, at a cost per pair that is many times as high.
    far : int, optional
        About how many of the nearest rows are told apart in steps; None: all, at about twice the cost.
    block_bytes : int
        Memory for one block of distances, per thread; at least one validation row is in a block.

    Returns
    -------
    ndarray of shape (n_train,), float64
        Does not depend on the number of threads.

    Raises
    ------
    DataError
        See `Space.sides`; `k` below 1; labels or weights of another length than their rows.

    Source
    ------
    Jia et al., "Efficient task-specific data valuation for nearest neighbor algorithms", VLDB 2019, theorem
    1, which holds for any agreement. The tests compare with its recursion and the average over all subsets.

    Examples
    --------
    >>> rows = np.array([[0.0], [1.0], [2.0]])
    >>> knn_shapley(Space(), rows, np.array([1, 0, 1]), np.array([[0.0]]), np.array([1]), 1).round(3).tolist()
    [0.833, -0.167, 0.333]
    """
    if k < 1:
        raise DataError(f"neighbors: k is {k}; ask for at least 1.")
    n_train, n_valid = len(train_rows), len(valid_rows)
    weight = np.ones(n_valid) if weight is None else np.asarray(weight, dtype=np.float64)
    train_labels, valid_labels = np.asarray(train_labels), np.asarray(valid_labels)
    for name, given, count in (
        ("train_labels", train_labels, n_train),
        ("valid_labels", valid_labels, n_valid),
        ("weight", weight, n_valid),
    ):
        if given.shape != (count,):
            raise DataError(f"neighbors: `{name}` has shape {given.shape}; expected ({count},).")
    if not (np.isfinite(weight).all() and (weight >= 0).all()):
        raise DataError("neighbors: `weight` must be finite and not below 0.")
    if not n_train or not weight.sum() > 0:
        return np.zeros(n_train)
    values = np.zeros(n_train)
    # Sorted by class, the rows that agree lie side by side.
    numeric = train_labels.dtype.kind == "f"
    order = np.arange(n_train) if numeric else np.argsort(train_labels, kind="stable")
    sides = space.sides(valid_rows, np.asarray(train_rows)[order])
    valuing = _Valuing(sides, order, train_labels[order], valid_labels, weight / weight.sum(), k, near, far)
    values[order] = valuing.run(block_bytes)
    return values


class _Valuing:
    """Hold what the blocks of one valuation share; training rows are in the order of `order`."""

    def __init__(
        self,
        sides: Sides,
        order: np.ndarray,
        labels: np.ndarray,
        asked: np.ndarray,
        weight: np.ndarray,
        k: int,
        near: int | None,
        far: int | None,
    ) -> None:
        self.sides, self.order, self.labels, self.asked, self.weight = sides, order, labels, asked, weight
        self.numeric = labels.dtype.kind == "f"
        # Half the mean of (a - b)^2 over all pairs is the variance.
        self.spread = 2 * float(labels.var()) or 1.0 if self.numeric else 1.0
        self.near = len(labels) if near is None else min(max(near, TIMES_K * k), len(labels))
        # Sorted by class, a validation row's own class are the rows from the first of these to the second.
        self.own = [np.searchsorted(labels, asked, side) for side in ("left", "right")]
        self.far = len(labels) if far is None else far
        self.masked = not (sides.q_present.all() and sides.r_present.all())
        ranks = np.arange(1, len(labels) + 1)
        self.inverse = 1 / np.maximum(ranks, k)
        self.lost = np.where(ranks > k, 1 / (ranks * np.maximum(ranks - 1.0, 1.0)), 0.0)
        self.harmonic = np.concatenate([[0.0], np.cumsum(1 / ranks)])

    def run(self, block_bytes: int) -> np.ndarray:
        """Return the values; blocks are added up in their own order, whatever thread they come from."""
        n_train, n_valid = len(self.labels), len(self.asked)
        tiles: Any = None
        if self.near < n_train:
            tiles = Tiles(self.sides, masked=self.masked, arrays=NumpyArrays(), dtype="float32")
        step = max(block_bytes // (4 * n_train), 1)
        blocks = [slice(at, min(at + step, n_valid)) for at in range(0, n_valid, step)]
        blas = get_cached_controller().select(user_api="blas")
        threads = min(max((pool["num_threads"] for pool in blas.info()), default=1), len(blocks))
        own = [tiles and tiles.again(NumpyArrays()) for _ in range(threads)]
        total = np.zeros(n_train)
        with blas.limit(limits=1), ThreadPoolExecutor(threads) as pool:
            for at in range(0, len(blocks), threads):
                for part in pool.map(self._block, own, blocks[at : at + threads]):
                    total += part
        return total

    def _block(self, tiles: Any, rows: slice) -> np.ndarray:
        """Return the values that some validation rows give."""
        n_train = len(self.labels)
        out = np.zeros(n_train)
        if tiles is None:
            for row in range(rows.start, rows.stop):
                near = self._ordered(row, [np.arange(n_train)])[0]
                out[near] += self._nearest(row, near, 0.0)
            return out
        measured = tiles.of(rows, slice(0, n_train))
        edges = _edges(measured, self.near)
        ends = np.maximum(self._ends(measured), edges)
        behind = np.zeros((2, len(measured)))
        for start in range(0, len(measured), TOGETHER):
            part = slice(start, start + TOGETHER)
            given = measured[part], edges[part], ends[part]
            behind[:, part] = self._together(rows.start + start, *given, out)
        self._add_all(rows, behind[0], behind[1], out)
        return out

    def _ends(self, measured: np.ndarray) -> np.ndarray:
        """Return for each validation row a distance that about `far` rows do not exceed."""
        if self.far >= measured.shape[1]:
            return np.full(len(measured), np.inf, dtype=np.float32)
        sample, rank = measured[:, ::SAMPLED], self.far // SAMPLED
        return np.asarray(np.partition(sample, rank, axis=1)[:, rank])

    def _together(
        self, first: int, measured: np.ndarray, edges: np.ndarray, ends: np.ndarray, out: np.ndarray
    ) -> np.ndarray:
        """Add the values that a few validation rows give, from the row `first` on, but those behind the end.

        Returned are the factors and fixed parts of those.
        """
        near, some, steps, agree = [], [], [], []
        count, summed = (np.zeros((len(measured), CELLS + 3), dtype=kind) for kind in (np.int64, np.float64))
        for place, line in enumerate(measured):
            row, held = first + place, np.flatnonzero(line <= ends[place])
            known = line[held]
            near.append(held[known <= edges[place]])
            step = _cut(known, edges[place])
            count[place] = np.bincount(step, minlength=CELLS + 3)
            # The last step holds all that lies behind the end.
            count[place, -1] = len(line) - len(held)
            if self.numeric:
                own: Any = self._agreement(row, held)
                summed[place] = np.bincount(step, own, minlength=CELLS + 3)
                summed[place, -1] = self._agreement(row, slice(None)).sum() - own.sum()
            else:
                own = slice(*np.searchsorted(held, (self.own[0][row], self.own[1][row])))
                summed[place] = np.bincount(step[own], minlength=CELLS + 3)
                summed[place, -1] = self.own[1][row] - self.own[0][row] - (own.stop - own.start)
            some.append(held)
            steps.append(step)
            agree.append(own)
        near = self._ordered(first, near)
        factor, fixed, lost = _shares(count, summed, self.harmonic)
        weight = self.weight[first : first + len(measured), None]
        factor, fixed = weight * factor, weight * fixed
        # Every row is given what one behind the end gets, and those before it the difference.
        behind = np.where(count[:, -1] > 0, (factor[:, -1], fixed[:, -1]), 0.0)
        factor, fixed = factor - behind[0][:, None], fixed - behind[1][:, None]
        for place, (step, own) in enumerate(zip(steps, agree, strict=True)):
            values = fixed[place][step]
            if self.numeric:
                values += factor[place][step] * own
            else:
                values[own] += factor[place][step[own]]
            out[some[place]] += values
            out[near[place]] += self._nearest(first + place, near[place], float(lost[place]))
        return behind

    def _add_all(self, rows: slice, factor: np.ndarray, fixed: np.ndarray, out: np.ndarray) -> None:
        """Add for each validation row its agreement with training rows times a factor, and a fixed part."""
        out += fixed.sum()
        if self.numeric:
            for row, times in zip(range(rows.start, rows.stop), factor, strict=True):
                if times:
                    out += times * self._agreement(row, slice(None))
            return
        ends = np.stack([side[rows] for side in self.own])
        ranges, which = np.unique(ends, axis=1, return_inverse=True)
        for start, stop, times in zip(*ranges, np.bincount(which.ravel(), factor), strict=True):
            out[start:stop] += times

    def _agreement(self, row: int, rows: np.ndarray | slice) -> np.ndarray:
        if self.numeric:
            return 1 - np.square(self.labels[rows] - self.asked[row]) / self.spread
        return (self.labels[rows] == self.asked[row]).astype(np.float64)

    def _nearest(self, row: int, near: np.ndarray, lost: float) -> np.ndarray:
        """Return the values of the nearest rows, in their order; `lost`: what they lose to all others."""
        agree = self._agreement(row, near)
        loses = np.append(agree * self.lost[: len(near)], lost)
        after = np.cumsum(loses[::-1])[::-1][1:]
        return np.asarray(self.weight[row] * (agree * self.inverse[: len(near)] - after))

    def _ordered(self, first: int, near: list[np.ndarray]) -> list[np.ndarray]:
        """Order the near rows of some validation rows by exact measures, equal ones by their index."""
        lengths = [len(part) for part in near]
        asked, found = np.repeat(np.arange(first, first + len(near)), lengths), np.concatenate(near)
        measures = np.empty(len(found))
        for at in range(0, len(found), MEASURED):
            part = slice(at, at + MEASURED)
            measures[part] = self.sides.between(asked[part], found[part], masked=self.masked)
        by = np.lexsort((self.order[found], measures, asked))
        return np.split(found[by], np.cumsum(lengths)[:-1])


def _shares(
    count: np.ndarray, agree: np.ndarray, harmonic: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what the rows of each step get: an agreement times the first, plus the second.

    A row of agreement a in a step of b rows, at ranks p + 1 to q, with agreements that sum to s: the mean of
    1 / rank is h + 1 / q, and each of the others comes after it with a mean loss of h / (b - 1).

    Parameters
    ----------
    count, agree : ndarray of shape (n_valid, n_steps)
        Rows in each step, and their agreements summed up. Step 0 are the nearest, who get nothing here.
    harmonic : ndarray of shape (n_train + 1,)
        Sums of 1 / rank.

    Returns
    -------
    factor, fixed : ndarray of shape (n_valid, n_steps)
    lost : ndarray of shape (n_valid,)
        What those of step 0 lose to all others.
    """
    until = np.cumsum(count, axis=1)
    since = until - count
    since[:, 0] = until[:, 0]
    agree[:, 0] = 0
    last = 1 / until
    size = np.maximum(count, 1)
    h = (harmonic[until] - harmonic[since]) / size - last
    each = h / np.maximum(count - 1, 1)
    lost = agree / size * (1 / since - last)
    after = np.cumsum(lost[:, ::-1], axis=1)[:, ::-1]
    factor = last + h + each
    # A step's own loss is in `after`, and not in what its rows lose to those behind.
    fixed = lost - after - agree * each
    factor[:, 0] = fixed[:, 0] = 0
    return factor, fixed, after[:, 0]


def _edges(measured: np.ndarray, near: int) -> np.ndarray:
    """Return for each validation row a distance, not below 0, that at least `near` rows do not exceed."""
    n_valid, n_train = measured.shape
    groups = n_train // GROUP
    if groups < 2 * near:
        edges = np.partition(measured, near - 1, axis=1)[:, near - 1]
    else:
        # `near` groups of columns have their least value there: a few more rows than asked for do.
        least = measured[:, : groups * GROUP].reshape(n_valid, GROUP, groups).min(axis=1)
        edges = np.partition(least, near - 1, axis=1)[:, near - 1]
    return np.maximum(edges, np.float32(0))


def _cut(line: np.ndarray, edge: np.float32) -> np.ndarray:
    """Cut distances beyond `edge` into steps from 1 to at most `CELLS` + 1; the nearest are step 0.

    Floats above 0 are ordered as the whole numbers that their bits make; so steps are even within a doubling.
    """
    bits = line.view(np.int32)
    low, top = int(edge.view(np.int32)), int(bits.max(initial=0))
    if top == INFINITE:
        reached = bits[bits < INFINITE]
        top = max(int(reached.max(initial=0)), low) + 1
        bits = np.minimum(bits, top)
    shift = max((top - low).bit_length() - CELLS.bit_length() + 1, 0)
    # What wraps around here is among the nearest.
    step = ((bits - np.int32(low - (1 << shift))) >> shift).astype(np.int64)
    step[line <= edge] = 0
    return step
