"""Mean and covariance of rows with gaps, and what they tell of the cells that are missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

Matrices = np.ndarray | Sequence[np.ndarray] | Callable[[], Iterable[np.ndarray]]
"""Rows as one matrix, as parts of one, or as a function that reads the parts anew for every pass."""

# Bounds of what is held at a time: rows of a block, and numbers in a batch of inverses.
_BLOCK_ROWS = 32_768
_BATCH_NUMBERS = 4_000_000


@dataclass(frozen=True, eq=False)
class Gaussian:
    """Hold the mean and covariance of rows, by maximum likelihood over the cells that are there.

    Where the normal distribution is not true, its conditional means still are the best linear
    predictions: what chained linear regressions settle at.

    Parameters
    ----------
    mean : ndarray of shape (n_columns,), float64
    covariance : ndarray of shape (n_columns, n_columns), float64
        Both NaN for a column without any value.
    scale : ndarray of shape (n_columns,), float64
        Standard deviation over the cells that are there; 1 for a column that is constant or empty.
    ridge : float
        Added to the diagonal of the covariance of standardized columns where it is inverted, so that
        constant and collinear columns, and fewer rows than columns, can be.
    rows : int
        Rows with at least one value.
    iterations : int
    converged : bool

    Source
    ------
    EM: Dempster, Laird and Rubin (1977), section 4.1.3; Little and Rubin, "Statistical Analysis with
    Missing Data" (2002), section 11.2. Valid where cells are missing at random (MAR). The tests compare
    with Anderson's closed form (1957) for two columns of which one has gaps.

    Examples
    --------
    >>> rows = np.array([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0], [4.0, np.nan]])
    >>> gaussian = Gaussian.of(rows, ridge=1e-9)
    >>> gaussian.mean.round(3).tolist(), gaussian.conditional_mean(rows)[3].round(3).tolist()
    ([2.5, 5.0], [4.0, 8.0])
    """

    mean: np.ndarray
    covariance: np.ndarray
    scale: np.ndarray
    ridge: float = 1e-6
    rows: int = 0
    iterations: int = 0
    converged: bool = True

    @classmethod
    def of(
        cls,
        matrices: Matrices,
        *,
        prior_rows: float = 0.0,
        tolerance: float = 1e-6,
        max_iter: int = 200,
        ridge: float = 1e-6,
    ) -> Gaussian:
        """Estimate mean and covariance: a pass over the rows for the scale, one to start, one per iteration.

        The sums of parts are those of the whole, so any partition gives the same, to rounding.

        Parameters
        ----------
        matrices : ndarray of shape (n_rows, n_columns), sequence of these, or callable
            A function is called for each pass, and gives the parts one after another: then only one part
            is in memory. Cells that are not finite are missing.
        prior_rows : float, >= 0
            Rows' worth of belief that columns do not depend on one another (a penalty on the likelihood);
            0 is maximum likelihood. A few hold the estimate steady where rows are few.
        tolerance : float, > 0
            EM stops when no mean or covariance of the standardized columns changes by more.
        max_iter : int
        ridge : float, > 0
        """
        passes = _passes(matrices)
        mean, scale = _center(passes())
        known = ~np.isnan(mean)
        if not callable(matrices):
            held = [_Block.of(rows, mean, scale, known) for rows in passes()]
            blocks: Callable[[], Iterable[_Block]] = lambda: held
        else:
            blocks = lambda: (_Block.of(rows, mean, scale, known) for rows in passes())
        width = int(known.sum())
        center, covariance = np.zeros(width), _pairwise(blocks(), width)
        count, done, change = 0, 0, np.inf
        while done < max_iter and change > tolerance and width:
            done += 1
            count, moved, after = _step(blocks(), center, covariance, prior_rows, ridge)
            change = float(max(np.abs(moved).max(), np.abs(after - covariance).max()))
            center, covariance = center + moved, after
        whole = np.full((len(mean), len(mean)), np.nan)
        whole[np.ix_(known, known)] = covariance * np.outer(scale[known], scale[known])
        mean[known] += center * scale[known]
        return cls(mean, whole, scale, ridge, count, done, change <= tolerance)

    @property
    def known(self) -> np.ndarray:
        """Tell which columns had a value."""
        known: np.ndarray = ~np.isnan(self.mean)
        return known

    def conditional_mean(self, matrix: np.ndarray) -> np.ndarray:
        """Return the rows with missing cells at their expectation given the row's other cells.

        A row without any value gets the mean; a column without any value stays NaN. Rows do not depend
        on one another.

        Returns
        -------
        ndarray of shape (n_rows, n_columns), float64
        """
        out = np.array(matrix, dtype=np.float64)
        known = self.known
        out[:, ~known] = np.nan
        precision = self._precision()
        for start in range(0, len(out), _BLOCK_ROWS):
            rows = out[start : start + _BLOCK_ROWS]
            holed = np.flatnonzero(~np.isfinite(rows[:, known]).all(axis=1))
            if holed.size:
                deviations, missing = self._deviations(rows[holed])
                _fill(deviations, _gaps(missing), precision)
                filled = deviations * self.scale[known] + self.mean[known]
                given = rows[np.ix_(holed, known)]
                rows[np.ix_(holed, known)] = np.where(missing, filled, given)
        return out

    def conditional_covariance(self, missing: np.ndarray) -> np.ndarray:
        """Return the covariance of missing cells given the others, for one pattern of gaps.

        Parameters
        ----------
        missing : ndarray of shape (n_columns,), bool

        Returns
        -------
        ndarray of shape (n_missing, n_missing), float64
            NaN for columns without any value.
        """
        chosen, known = np.asarray(missing, dtype=bool), self.known
        at = np.flatnonzero(chosen[known])
        inside = known[chosen]
        scale = self.scale[chosen & known]
        out = np.full((len(inside), len(inside)), np.nan)
        part = np.linalg.inv(self._precision()[np.ix_(at, at)])
        out[np.ix_(inside, inside)] = part * np.outer(scale, scale)
        return out

    def mahalanobis(self, matrix: np.ndarray) -> np.ndarray:
        """Return each row's squared Mahalanobis distance to the mean, over the cells that are there.

        For normal rows it is chi-squared with as many degrees of freedom as the row has values.

        Returns
        -------
        ndarray of shape (n_rows,), float64
            0 for a row without any value.
        """
        out = np.empty(len(matrix))
        precision = self._precision()
        # Missing cells at their expectation add nothing to the distance: one formula serves all rows.
        whiten = np.linalg.cholesky(precision)
        for start in range(0, len(out), _BLOCK_ROWS):
            rows = np.asarray(matrix[start : start + _BLOCK_ROWS], dtype=np.float64)
            deviations, missing = self._deviations(rows)
            _fill(deviations, _gaps(missing), precision)
            out[start : start + _BLOCK_ROWS] = ((deviations @ whiten) ** 2).sum(axis=1)
        return out

    def _precision(self) -> np.ndarray:
        known = self.known
        spread = np.outer(self.scale[known], self.scale[known])
        return _inverse(self.covariance[np.ix_(known, known)] / spread, self.ridge)

    def _deviations(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return known columns as standardized deviations, 0 where missing, and what is missing."""
        known = self.known
        deviations = (rows[:, known] - self.mean[known]) / self.scale[known]
        missing = ~np.isfinite(deviations)
        deviations[missing] = 0.0
        return deviations, missing


@dataclass(frozen=True, eq=False)
class _Block:
    """Hold rows with gaps, standardized and grouped; of complete rows only their sums are needed."""

    values: np.ndarray
    present: np.ndarray
    gaps: list[_Gaps]
    complete: int
    complete_mean: np.ndarray
    complete_scatter: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray, mean: np.ndarray, scale: np.ndarray, known: np.ndarray) -> _Block:
        values = (rows[:, known] - mean[known]) / scale[known]
        missing = ~np.isfinite(values)
        count = missing.sum(axis=1)
        full = values[count == 0]
        middle = full.mean(axis=0) if len(full) else np.zeros(values.shape[1])
        # A row without any value says nothing, and would only slow EM down.
        some = (count > 0) & (count < values.shape[1])
        values, missing = values[some], missing[some]
        values[missing] = 0.0
        return cls(values, ~missing, _gaps(missing), len(full), middle, (full - middle).T @ (full - middle))


@dataclass(frozen=True, eq=False)
class _Gaps:
    """Hold rows that miss equally many cells.

    Parameters
    ----------
    rows : ndarray of shape (n_rows,)
        Where they are in the block.
    pattern : ndarray of shape (n_rows,)
        Which pattern each has.
    places : ndarray of shape (n_patterns, n_missing)
        The columns that a pattern misses.
    """

    rows: np.ndarray
    pattern: np.ndarray
    places: np.ndarray


def patterns_of(missing: np.ndarray) -> np.ndarray:
    """Number the patterns of gaps: rows with equal numbers miss the same cells.

    Parameters
    ----------
    missing : ndarray of shape (n_rows, n_columns), bool

    Returns
    -------
    ndarray of shape (n_rows,), int64
        From 0 without a break.
    """
    packed = np.packbits(missing, axis=1)
    words = np.ascontiguousarray(np.pad(packed, ((0, 0), (0, -packed.shape[1] % 8)))).view(np.uint64)
    numbers = np.zeros(len(missing), dtype=np.int64)
    for word in words.T:
        of_word = np.unique(word, return_inverse=True)[1]
        numbers = np.unique(numbers * (len(missing) + 1) + of_word, return_inverse=True)[1]
    return numbers


def _gaps(missing: np.ndarray) -> list[_Gaps]:
    """Group rows by how many cells they miss, in batches that bound the memory of their inverses."""
    number = patterns_of(missing)
    sizes = np.bincount(number)
    first = np.empty(len(sizes), dtype=np.int64)
    first[number] = np.arange(len(number))
    misses = missing[first].sum(axis=1)
    # Patterns in order of what they miss, so that each batch of them is a slice.
    ranked = np.argsort(misses, kind="stable")
    rank = np.empty(len(sizes), dtype=np.int64)
    rank[ranked] = np.arange(len(sizes))
    sizes, first, misses = sizes[ranked], first[ranked], misses[ranked]
    order = np.argsort(rank[number], kind="stable")
    ends = np.cumsum(sizes)
    batch = np.cumsum(sizes * misses**2) // _BATCH_NUMBERS
    cuts = np.flatnonzero((np.diff(misses) > 0) | (np.diff(batch) > 0)) + 1
    groups = []
    for start, end in pairwise([0, *cuts.tolist(), len(sizes)]):
        if end > start and misses[start]:
            rows = order[ends[start] - sizes[start] : ends[end - 1]]
            pattern = np.repeat(np.arange(end - start), sizes[start:end])
            places = np.nonzero(missing[first[start:end]])[1].reshape(end - start, misses[start])
            groups.append(_Gaps(rows, pattern, places))
    return groups


def _passes(matrices: Matrices) -> Callable[[], Iterator[np.ndarray]]:
    """Return a function that reads the rows once, in blocks of float64."""

    def read() -> Iterator[np.ndarray]:
        parts = matrices() if callable(matrices) else matrices
        for part in [parts] if isinstance(parts, np.ndarray) else parts:
            # An empty part still tells the number of columns.
            for start in range(0, max(len(part), 1), _BLOCK_ROWS):
                yield np.asarray(part[start : start + _BLOCK_ROWS], dtype=np.float64)

    return read


def _center(blocks: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation per column over finite cells: (NaN, 1) where there is none."""
    count = mean = squares = np.zeros(0)
    for rows in blocks:
        if not len(count):
            count, mean, squares = (np.zeros(rows.shape[1]) for _ in range(3))
        there = np.isfinite(rows)
        n = there.sum(axis=0)
        middle = np.where(there, rows, 0.0).sum(axis=0) / np.maximum(n, 1)
        spread = (np.where(there, rows - middle, 0.0) ** 2).sum(axis=0)
        share = n / np.maximum(count + n, 1)
        step = middle - mean
        squares = squares + spread + step**2 * count * share
        mean, count = mean + step * share, count + n
    deviation = np.sqrt(squares / np.maximum(count, 1))
    # Rounding alone makes a constant column look as if it varied.
    varies = deviation > 1e-12 * np.abs(mean)
    return np.where(count > 0, mean, np.nan), np.where(varies & (count > 0), deviation, 1.0)


def _pairwise(blocks: Iterable[_Block], width: int) -> np.ndarray:
    """Return where EM starts: covariances over the rows that have both cells, made positive definite."""
    products, both = np.zeros((width, width)), np.zeros((width, width))
    for block in blocks:
        present = block.present.astype(np.float64)
        products += block.values.T @ block.values + block.complete_scatter
        products += block.complete * np.outer(block.complete_mean, block.complete_mean)
        both += present.T @ present + block.complete
    values, vectors = np.linalg.eigh(products / np.maximum(both, 1.0))
    start: np.ndarray = (vectors * np.maximum(values, 1e-2)) @ vectors.T
    return start


def _step(
    blocks: Iterable[_Block], center: np.ndarray, covariance: np.ndarray, prior_rows: float, ridge: float
) -> tuple[int, np.ndarray, np.ndarray]:
    """Do one step of EM: return the rows counted, the change of the mean, and the new covariance."""
    precision = _inverse(covariance, ridge)
    width = len(center)
    count, total, scatter = 0, np.zeros(width), np.zeros((width, width))
    for block in blocks:
        deviations = (block.values - center) * block.present
        scatter += _fill(deviations, block.gaps, precision)
        scatter += deviations.T @ deviations + block.complete_scatter
        off = block.complete_mean - center
        scatter += block.complete * np.outer(off, off)
        total += deviations.sum(axis=0) + block.complete * off
        count += len(deviations) + block.complete
    moved = total / count
    scatter += prior_rows * np.eye(width) - np.outer(total, moved)
    return count, moved, scatter / (count + prior_rows)


def _fill(deviations: np.ndarray, groups: Sequence[_Gaps], precision: np.ndarray) -> np.ndarray:
    """Put missing deviations to their expectation, in place.

    With P the precision, missing cells m and others o: the expectation is -inv(P_mm) P_mo x_o, and
    inv(P_mm) the covariance around it. So what is solved is of the size of the missing part.

    Returns
    -------
    ndarray of shape (n_columns, n_columns)
        The sum over rows of the covariance of their missing cells.
    """
    width = len(precision)
    pulls = deviations @ precision
    spread = np.zeros(width * width)
    for group in groups:
        at = group.places
        inverse = np.linalg.inv(precision[at[:, :, None], at[:, None, :]])
        cells = group.rows[:, None], at[group.pattern]
        deviations[cells] = -np.einsum("rij,rj->ri", inverse[group.pattern], pulls[cells])
        weighed = inverse * np.bincount(group.pattern)[:, None, None]
        pairs = at[:, :, None] * width + at[:, None, :]
        spread += np.bincount(pairs.ravel(), weighed.ravel(), len(spread))
    return spread.reshape(width, width)


def _inverse(covariance: np.ndarray, ridge: float) -> np.ndarray:
    inverse = np.linalg.inv(covariance + ridge * np.eye(len(covariance)))
    symmetric: np.ndarray = (inverse + inverse.T) / 2
    return symmetric
