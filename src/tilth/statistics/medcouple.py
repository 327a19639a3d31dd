"""The medcouple: how skewed values are, told by their middle so that far values do not sway it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tilth.statistics.draws import uniform

# Pairs that are written out at the end, and drawn in each round before it.
_WRITTEN, _DRAWN = 2**20, 2**14


def medcouple(values: np.ndarray) -> float:
    """Return the medcouple: 0 for symmetric values, up to 1 for a tail to the right, -1 for one to the left.

    It is the median of ``h(a, b) = (a + b) / (a - b)`` over all pairs of a distance ``a >= 0`` above the
    median and a distance ``b <= 0`` below it, found in O(n log n): the n^2 / 4 pairs are counted, not
    written out. Among pairs of two values that equal the median, as many count -1 as 1 (the sign rule).

    Parameters
    ----------
    values : ndarray of shape (n_values,)
        In any order, none missing. Infinity counts as the largest number.

    Returns
    -------
    float
        NaN where there is no value. Where the number of pairs is even, the mean of the two in the middle.

    Source
    ------
    Brys, Hubert and Struyf, "A robust measure of skewness", Journal of Computational and Graphical
    Statistics 13 (2004). Selection in a sorted matrix by counting: Johnson and Mizoguchi, "Selecting the
    Kth element in X + Y", SIAM Journal on Computing 7 (1978).

    Examples
    --------
    >>> medcouple(np.array([1.0, 2.0, 3.0])), medcouple(np.array([1.0, 2.0, 3.0, 9.0]))
    (0.0, 0.3125)
    """
    if not len(values):
        return float("nan")
    away = _from_median(np.sort(values))
    lower, upper = int(np.sum(away < 0)), int(np.sum(away > 0))
    ties = len(away) - lower - upper
    pairs = _Pairs.of(away[len(away) - upper :], away[:lower])
    total = (lower + ties) * (upper + ties)
    # They rank in this order: ties that are -1, others below 0, ties that are 0, others, ties that are 1.
    least = ties * lower + ties * (ties - 1) // 2
    most = ties * upper + ties * (ties - 1) // 2
    negative = pairs.mass(pairs.cut(0.0))
    kernels, sought = [], []
    for rank in sorted({(total - 1) // 2, total // 2}):
        place = rank - least
        if place < 0:
            kernels.append(-1.0)
        elif rank >= total - most:
            kernels.append(1.0)
        elif 0 <= place - negative < ties:
            kernels.append(0.0)
        else:
            sought.append(place if place < negative else place - ties)
    return float(np.mean(kernels + pairs.at(sought)))


def _from_median(ordered: np.ndarray) -> np.ndarray:
    """Return distances from the median, on a scale where no sum of two leaves the range of a float."""
    ordered = np.clip(ordered.astype(np.float64), -np.finfo(np.float64).max, np.finfo(np.float64).max)
    largest = max(-ordered[0], ordered[-1])
    # Powers of two change no digit, and the medcouple is the same on every scale.
    ordered = ordered * (2.0**-3 if largest > 1e300 else 2.0**200 if largest < 1e-200 else 1.0)
    last = len(ordered) - 1
    away: np.ndarray = ordered - (ordered[last // 2] + ordered[(last + 1) // 2]) / 2
    return away


@dataclass(frozen=True)
class _Pairs:
    """A matrix of kernels that is not written out: rows and columns rise, as `above` and `below` do.

    Equal values are one row or column that weighs as many: an equal kernel then occurs once per row at
    most, so that counting always separates enough of them.

    A *cut* has for each row the number of columns, from its start, that lie before the cut.
    """

    above: np.ndarray
    below: np.ndarray
    weight: np.ndarray
    upto: np.ndarray  # the weight of the columns before each column; one more than there are columns

    @classmethod
    def of(cls, above: np.ndarray, below: np.ndarray) -> _Pairs:
        """Take distances above and below the median, each in rising order."""
        above, weight = np.unique(above, return_counts=True)
        below, columns = np.unique(below, return_counts=True)
        return cls(above, below, weight, np.concatenate([[0], np.cumsum(columns)]))

    def cut(self, kernel: float) -> np.ndarray:
        """Cut before the pairs of this kernel: (a + b) / (a - b) < k is b < a (k - 1) / (k + 1)."""
        # Rounded, this ratio still rises with the kernel, so cuts never cross.
        return np.searchsorted(self.below, self.above * ((kernel - 1) / (kernel + 1)))

    def mass(self, cut: np.ndarray) -> int:
        """Count the pairs before a cut."""
        return int(self.weight @ self.upto[cut])

    def at(self, ranks: Sequence[int]) -> list[float]:
        """Return the kernels of these ranks, which rise."""
        if not ranks:
            return []
        first, last = self.around(ranks[0])
        near = [rank for rank in ranks if rank < self.mass(last)]
        return self.read(first, last, near) + self.at(ranks[len(near) :])

    def around(self, rank: int) -> tuple[np.ndarray, np.ndarray]:
        """Return two cuts around a rank with few pairs between them."""
        low, high = -1.0, float(np.nextafter(1.0, 2.0))
        first, last = np.zeros_like(self.weight), np.full_like(self.weight, len(self.below))
        while not self.few(first, last):
            inside = [k for k in self.drawn(first, last, rank) if low < k < high] or [(low + high) / 2]
            if not low < inside[0] < high:
                break
            for kernel in inside:
                cut = self.cut(kernel)
                if self.mass(cut) > rank:
                    high, last = kernel, cut
                    break
                low, first = kernel, cut
        return first, last

    def few(self, first: np.ndarray, last: np.ndarray) -> bool:
        """Tell whether the pairs between two cuts can be written out."""
        return int((last - first).sum()) <= max(_WRITTEN, 2 * len(self.above))

    def drawn(self, first: np.ndarray, last: np.ndarray, rank: int) -> Iterator[float]:
        """Guess two kernels around a rank, in rising order, from pairs drawn evenly between two cuts."""
        rows = self.weight * (self.upto[last] - self.upto[first])
        ends = np.cumsum(rows)
        share = (np.arange(_DRAWN) + uniform(0, np.arange(_DRAWN))) / _DRAWN
        places = np.minimum((share * ends[-1]).astype(np.int64), ends[-1] - 1)
        row = np.searchsorted(ends, places, side="right")
        column = self.upto[first[row]] + (places - ends[row] + rows[row]) // self.weight[row]
        kernels = np.sort(self.kernel(row, np.searchsorted(self.upto, column, side="right") - 1))
        target = (rank - self.mass(first)) / ends[-1] * _DRAWN
        for guess in (target - _DRAWN**0.5, target + _DRAWN**0.5):
            yield float(kernels[int(np.clip(guess, 0, _DRAWN - 1))])

    def read(self, first: np.ndarray, last: np.ndarray, ranks: Sequence[int]) -> list[float]:
        """Write out the pairs between two cuts, and return the kernels of these ranks."""
        count = last - first
        if not self.few(first, last):
            # No float lies between these kernels: any of them is the answer.
            any_row = np.flatnonzero(count)[:1]
            return [float(kernel) for kernel in self.kernel(any_row, first[any_row])] * len(ranks)
        row = np.repeat(np.arange(len(count)), count)
        column = np.arange(len(row)) + np.repeat(first - np.cumsum(count) + count, count)
        kernels = self.kernel(row, column)
        order = np.argsort(kernels)
        ends = np.cumsum((self.weight[row] * np.diff(self.upto)[column])[order])
        chosen = np.searchsorted(ends, np.array(ranks) - self.mass(first), side="right")
        return [float(kernel) for kernel in kernels[order[chosen]]]

    def kernel(self, row: np.ndarray, column: np.ndarray) -> np.ndarray:
        """Return the kernels of pairs."""
        a, b = self.above[row], self.below[column]
        kernels: np.ndarray = (a + b) / (a - b)
        return kernels
