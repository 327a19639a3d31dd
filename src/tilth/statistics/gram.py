"""Mean and scatter of the columns of a matrix, in a form that merges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tilth.statistics.blocks import NUMBERS, blocks_of, summed

Read = Callable[[slice], np.ndarray]
"""Return some rows as a matrix that belongs to the caller, who may write to it."""

CACHED = 1 << 18
"""About so many numbers are centered and multiplied while they are near the processor."""


@dataclass(frozen=True, eq=False)
class Gram:
    """Hold the number of rows, the mean of each column, and the scatter: products of deviations, summed.

    Merging follows Chan, Golub and LeVeque (1979), for pairs of columns: what lies between the means of two
    parts is added to their scatters. Each block of rows is centered on its own mean before its columns are
    multiplied, so that a mean far from zero costs no digits; blocks of float32 are multiplied as float32 and
    added as float64.

    Parameters
    ----------
    rows : int
    mean : ndarray of shape (n_columns,), float64
        0 where there is no row.
    scatter : ndarray of shape (n_columns, n_columns), float64

    Source
    ------
    Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances",
    Stanford CS-79-773 (1979). The tests compare with ``numpy.cov``.

    Examples
    --------
    >>> rows = np.array([[1.0, 2.0], [2.0, 4.0], [3.0, 9.0]])
    >>> whole = Gram.of(rows)
    >>> whole.mean.tolist(), whole.covariance().tolist()
    ([2.0, 5.0], [[1.0, 3.5], [3.5, 13.0]])
    >>> (Gram.of(rows[:1]) + Gram.of(rows[1:])).covariance().round(9).tolist()
    [[1.0, 3.5], [3.5, 13.0]]
    """

    rows: int
    mean: np.ndarray
    scatter: np.ndarray

    @classmethod
    def empty(cls, width: int) -> Gram:
        """Return the neutral element: adding it changes nothing."""
        return cls(0, np.zeros(width), np.zeros((width, width)))

    @classmethod
    def of(cls, matrix: np.ndarray, *, device: str = "cpu") -> Gram:
        """Sum up a matrix of numbers without gaps, in blocks of rows.

        Parameters
        ----------
        matrix : ndarray of shape (n_rows, n_columns)
            float32 is multiplied as float32, anything else as float64.
        device : str
            Where products are made: 'cpu', or a device that torch knows.
        """
        single = matrix.dtype == np.float32
        read = lambda part: np.array(matrix[part], np.float32 if single else np.float64, order="K")
        return cls.read(read, len(matrix), matrix.shape[1], device=device)

    @classmethod
    def read(cls, read: Read, rows: int, width: int, *, device: str = "cpu") -> Gram:
        """Sum up rows that are read block by block, so that they need not be in memory as a matrix.

        Parameters
        ----------
        read : callable
            Gets a slice of the rows, and returns them as a new matrix; called in threads.
        rows, width : int
        device : str
        """

        def lane(blocks: Sequence[slice]) -> Gram:
            total = _Sum(width)
            for block in blocks:
                total.add(read(block), device)
            return total.gram()

        if device == "cpu":
            return summed(lane, blocks_of(rows, width))
        # A device has many threads of its own, and asks for more at a time.
        return summed(lane, blocks_of(rows, width, 16 * NUMBERS), threads=1)

    def __add__(self, other: Gram) -> Gram:
        if not (self.rows and other.rows):
            return other if other.rows else self
        rows = self.rows + other.rows
        share = other.rows / rows
        apart = other.mean - self.mean
        between = apart * np.sqrt(self.rows * share)
        scatter = np.outer(between, between)
        scatter += self.scatter
        scatter += other.scatter
        return Gram(rows, self.mean + apart * share, scatter)

    @property
    def width(self) -> int:
        """Count the columns."""
        return len(self.mean)

    def covariance(self, ddof: int = 1) -> np.ndarray:
        """Return the covariance of the columns; 0 where there are not more than `ddof` rows."""
        return self.scatter / max(self.rows - ddof, 1)

    def std(self, ddof: int = 0) -> np.ndarray:
        """Return the standard deviation of each column, 0 for one that is constant but for rounding."""
        variance: np.ndarray = np.diag(self.scatter).clip(min=0) / max(self.rows - ddof, 1)
        noise = (
            self.rows * np.finfo(float).eps * variance + (self.rows * self.mean * np.finfo(float).eps) ** 2
        )
        return np.where(variance > noise, np.sqrt(variance), 0.0)


class _Sum:
    """Add up blocks, each centered on its own mean; what lies between their means is added at the end."""

    def __init__(self, width: int) -> None:
        self.scatter = np.zeros((width, width))
        self.rows: list[int] = []
        self.middles: list[np.ndarray] = []
        self.rests: list[np.ndarray] = []

    def add(self, matrix: np.ndarray, device: str) -> None:
        """Add the rows of a matrix, which is written over."""
        if matrix.dtype != np.float32:
            matrix = np.asarray(matrix, np.float64)
        on_cpu = device == "cpu"
        # Columns that lie in one piece are long enough to be worked through at once.
        by_rows = on_cpu and matrix.flags.c_contiguous
        step = max(CACHED // max(matrix.shape[1], 1), matrix.shape[1]) if by_rows else len(matrix)
        for start in range(0, len(matrix), max(step, 1)):
            block = matrix[start : start + step]
            middle, rest, products = _multiplied(block) if on_cpu else _multiplied_on(device, block)
            self.scatter += products
            self.rows.append(len(block))
            self.middles.append(middle)
            self.rests.append(rest)

    def gram(self) -> Gram:
        """Return the sum."""
        width, rows = len(self.scatter), sum(self.rows)
        if not rows:
            return Gram.empty(width)
        counts = np.array(self.rows, dtype=np.float64)[:, None]
        rests = np.array(self.rests, dtype=np.float64)
        # The means were rounded: what the rows still add up to corrects means and products.
        means = np.array(self.middles, dtype=np.float64) + rests / counts
        mean = (means * (counts / rows)).sum(axis=0)
        between = (means - mean) * np.sqrt(counts)
        rests /= np.sqrt(counts)
        return Gram(rows, mean, self.scatter + between.T @ between - rests.T @ rests)


def _multiplied(block: np.ndarray) -> tuple[Any, Any, Any]:
    """Return the mean of a block, what its deviations add up to, and their products."""
    ones = np.ones(len(block), block.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        middle = ones @ block
        middle /= len(block)
        block -= middle
        return middle, ones @ block, block.T @ block


def _multiplied_on(device: str, block: np.ndarray) -> tuple[Any, Any, Any]:
    """Do the same on a torch device."""
    import torch

    # Apple's devices hold no float64.
    single = block.dtype == np.float32 or device.startswith("mps")
    rows = torch.from_numpy(block).to(torch.device(device), torch.float32 if single else torch.float64)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        middle = rows.mean(dim=0)
        rows = rows - middle
        told = middle, rows.sum(dim=0), rows.T @ rows
    finally:
        torch.set_float32_matmul_precision(before)
    one, two, three = (part.cpu().numpy() for part in told)
    return one, two, three


def projected(matrix: np.ndarray, middle: np.ndarray, weights: np.ndarray, *, device: str) -> np.ndarray:
    """Return (matrix - middle) @ weights, multiplied as float32 where the matrix is of it, and as float64.

    Parameters
    ----------
    matrix : ndarray of shape (n_rows, n_columns)
    middle : ndarray of shape (n_columns,)
    weights : ndarray of shape (n_columns, n_vectors)
    device : str
        Where the product is made: 'cpu', or a device that torch knows; Apple's multiply as float32.

    Returns
    -------
    ndarray of shape (n_rows, n_vectors), float64
    """
    dtype = np.float32 if matrix.dtype == np.float32 or device.startswith("mps") else np.float64
    near = middle.astype(dtype)
    rows, by = (matrix - near).astype(dtype, copy=False), weights.astype(dtype)
    if device == "cpu":
        made = rows @ by
    else:
        import torch

        one, other = (torch.from_numpy(np.ascontiguousarray(part)).to(device) for part in (rows, by))
        made = (one @ other).cpu().numpy()
    # What rounding took from the middle would move all rows by as much.
    return np.asarray(made - (middle - near) @ weights, dtype=np.float64)
