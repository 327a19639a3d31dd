"""How far apart two rows are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from tilth.errors import DataError

LARGEST = 1e150
"""Squares of numbers up to here, and sums of many of them, stay finite."""


@dataclass(frozen=True)
class Space:
    """Say how distance between rows is measured.

    Rows hold numbers, and codes in their categorical columns; NaN is a missing cell. A distance is taken
    over the columns that both rows have. Two rows that share none are out of each other's reach.

    Parameters
    ----------
    metric : {'euclidean', 'gower'}
        'euclidean' is the root of the sum of squared differences; where cells are missing, the sum is
        scaled by n_columns / n_shared, as in scikit-learn's ``nan_euclidean_distances``.
        'gower' is the mean over shared columns of the difference divided by the column's width.
    categorical : tuple of bool
        Which columns hold codes; empty: none. Any two different codes are equally far apart.
    mismatch : float, >= 0
        What two different codes add to the sum. In SMOTENC that is the squared median of the standard
        deviations of the numbers, so 1 for standardized ones; in Gower's distance it is 1.
    widths : tuple of float, optional
        For 'gower': the width of each column, as its range in all the data there is; by default the range
        in the reference rows. Those of categorical columns are not used; 0 is taken as 1.

    Source
    ------
    Gower, "A general coefficient of similarity and some of its properties" (1971); Chawla et al., "SMOTE"
    (2002), section 6.1.
    """

    metric: Literal["euclidean", "gower"] = "euclidean"
    categorical: tuple[bool, ...] = ()
    mismatch: float = 1.0
    widths: tuple[float, ...] | None = None

    def sides(self, query: np.ndarray, reference: np.ndarray) -> Sides:
        """Read both sides, checked, and apart in numbers and codes.

        Raises
        ------
        DataError
            The two are not matrices of the same columns, or hold infinity or numbers beyond 1e150.
        """
        query, reference = _matrix(query, "query"), _matrix(reference, "reference")
        width = reference.shape[1]
        if query.shape[1] != width or width == 0:
            raise DataError(
                f"neighbors: query has {query.shape[1]} columns and reference {width}; "
                "they must be the same columns, at least one."
            )
        for name, given in (("categorical", self.categorical or None), ("widths", self.widths)):
            if given is not None and len(given) != width:
                raise DataError(f"neighbors: `{name}` tells of {len(given)} columns, the rows have {width}.")
        coded = np.array(self.categorical or [False] * width, dtype=bool)
        widths = np.ones(width)
        if self.metric == "gower":
            widths = _ranges(reference) if self.widths is None else np.asarray(self.widths, dtype=float)
            if not (np.isfinite(widths).all() and (widths >= 0).all()):
                raise DataError("neighbors: `widths` must be finite and not below 0.")
            widths = np.where(widths > 0, widths, 1.0)
        if not (np.isfinite(self.mismatch) and self.mismatch >= 0):
            raise DataError(f"neighbors: `mismatch` is {self.mismatch}; it must be finite and not below 0.")
        q_codes, r_codes, n_codes = _codes(query[:, coded], reference[:, coded])
        # Numbers come first in what is there of each row, codes second.
        order = np.concatenate([np.flatnonzero(~coded), np.flatnonzero(coded)])
        return Sides(
            self,
            query[:, ~coded],
            reference[:, ~coded],
            q_codes,
            r_codes,
            n_codes,
            ~np.isnan(query[:, order]),
            ~np.isnan(reference[:, order]),
            widths[~coded],
        )


@dataclass(frozen=True)
class Sides:
    """Hold query and reference rows as `Space` reads them, and measure single pairs exactly.

    The measure of a pair is its mean over shared columns: of squared differences, or of Gower's
    differences. Where no cell is missing the sum stands for the mean, which orders rows alike.
    """

    space: Space
    q_numbers: np.ndarray
    r_numbers: np.ndarray
    q_codes: np.ndarray
    r_codes: np.ndarray
    n_codes: int
    q_present: np.ndarray
    r_present: np.ndarray
    widths: np.ndarray

    @property
    def n_columns(self) -> int:
        """Count the columns."""
        return self.q_present.shape[1]

    def of(self, rows: np.ndarray) -> Sides:
        """Return the sides with some of the query rows only."""
        return Sides(
            self.space,
            self.q_numbers[rows],
            self.r_numbers,
            self.q_codes[rows],
            self.r_codes,
            self.n_codes,
            self.q_present[rows],
            self.r_present,
            self.widths,
        )

    def between(self, i: np.ndarray, j: np.ndarray, *, masked: bool) -> np.ndarray:
        """Measure query rows `i` against reference rows `j`, both (n_pairs,); infinity where out of reach."""
        apart = self.q_numbers[i] - self.r_numbers[j]
        apart = np.abs(apart) / self.widths if self.space.metric == "gower" else apart * apart
        differ = (self.q_codes[i] != self.r_codes[j]).astype(np.float64) * self.space.mismatch
        if not masked:
            return apart.sum(axis=1) + differ.sum(axis=1)
        shared = self.q_present[i] & self.r_present[j]
        n_numbers = apart.shape[1]
        apart[~shared[:, :n_numbers]] = 0.0
        differ[~shared[:, n_numbers:]] = 0.0
        count = shared.sum(axis=1)
        total = apart.sum(axis=1) + differ.sum(axis=1)
        return np.divide(total, count, out=np.full(len(i), np.inf), where=count > 0)

    def distances(self, measures: np.ndarray, *, masked: bool) -> np.ndarray:
        """Turn measures into distances."""
        if self.space.metric == "gower":
            return measures if masked else measures / self.n_columns
        return np.sqrt(measures * self.n_columns if masked else measures)


def _matrix(rows: np.ndarray, side: str) -> np.ndarray:
    matrix = np.asarray(rows, dtype=np.float64)
    if matrix.ndim != 2:
        raise DataError(f"neighbors: {side} has shape {matrix.shape}; expected (n_rows, n_columns).")
    spoiled = np.abs(matrix) > LARGEST
    if spoiled.any():
        row, column = np.argwhere(spoiled)[0]
        raise DataError(
            f"neighbors: {side} holds {matrix[row, column]:g}, in row {row}, column {column}: no row is near "
            f"to infinity or to numbers beyond {LARGEST:g}. Make such cells missing, or clip them."
        )
    return matrix


def _ranges(reference: np.ndarray) -> np.ndarray:
    """Return the range of each column; 0 where it has no value."""
    known = ~np.isnan(reference)
    high = np.max(reference, axis=0, where=known, initial=-np.inf)
    low = np.min(reference, axis=0, where=known, initial=np.inf)
    return np.where(known.any(axis=0), high - low, 0.0)


def _codes(query: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Return codes small enough to compare fast, and how many there are.

    A missing cell equals none: it has one code on the side of the query, another on that of the reference.
    """
    levels = [np.unique(column[~np.isnan(column)]) for column in reference.T]
    most = max(map(len, levels), default=0)
    unknown, q_missing, r_missing = most, most + 1, most + 2
    dtype = np.uint8 if r_missing < 2**8 else np.int16 if r_missing < 2**15 else np.int32
    sides = []
    for matrix, missing in ((query, q_missing), (reference, r_missing)):
        codes = np.full(matrix.shape, missing, dtype=dtype)
        for place, known in enumerate(levels):
            column = matrix[:, place]
            at = np.searchsorted(known, column)
            found = np.append(known, np.nan)[at] == column
            codes[:, place] = np.where(np.isnan(column), missing, np.where(found, at, unknown))
        sides.append(codes)
    return sides[0], sides[1], r_missing + 1
