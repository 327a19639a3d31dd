"""Mixed columns as rows between which distances can be taken, and what differs between two rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from tilth.stages.reading import Reading
from tilth.statistics import Statistics
from tilth.table import ROW, Table, kind_of

MOST_NAMED = 5
"""Columns that are named as different; the rest is counted."""


@dataclass(frozen=True)
class Cells:
    """Hold rows as numbers and codes.

    Parameters
    ----------
    frame : DataFrame
        The columns as they are.
    matrix : ndarray of shape (n_rows, n_wide), float64
        Standardized numbers, codes of everything else, and codes of which numbers are missing.
    categorical : tuple of bool
        Which columns of the matrix hold codes.
    missing : ndarray of shape (n_rows,), int64
        Missing cells of each row.
    """

    frame: pl.DataFrame
    matrix: np.ndarray
    categorical: tuple[bool, ...]
    missing: np.ndarray

    @classmethod
    def read(
        cls,
        table: Table,
        columns: Sequence[str],
        *,
        text: Literal["as_is", "case", "words"],
        missing: Literal["compare", "skip"],
    ) -> Cells:
        """Read columns of a table.

        Parameters
        ----------
        columns : sequence of str
        text : {'as_is', 'case', 'words'}
            Texts without case and surplus spaces, or without punctuation as well, are the same.
        missing : {'compare', 'skip'}
            A missing number is 0 and has a code of its own, a missing category is a category of its own; or
            both are NaN.
        """
        frame = table.frame.select(columns).collect()
        numbers = [c for c, dtype in frame.schema.items() if kind_of(dtype) in ("numeric", "datetime")]
        measured = Reading.learn(Statistics([table.frame], ROW), numbers).matrix(frame)
        gone = np.isnan(measured)
        codes = [codes_of(_plain(frame[c], text)) for c in columns if c not in numbers]
        lost = [frame[c].is_null().to_numpy() for c in columns if c not in numbers]
        coded = np.column_stack([np.empty((frame.height, 0)), *codes])
        empty = np.column_stack([np.empty((frame.height, 0), bool), *lost])
        if missing == "skip":
            coded[empty] = np.nan
        else:
            measured[gone] = 0.0
            coded = np.hstack([coded, gone[:, gone.any(axis=0)]])
        matrix = np.hstack([measured, coded])
        categorical = (False,) * len(numbers) + (True,) * coded.shape[1]
        return cls(frame, matrix, categorical, gone.sum(axis=1) + empty.sum(axis=1))


def codes_of(values: pl.Series) -> np.ndarray:
    """Number the different values of a column, missing as one of them."""
    numbered = pl.DataFrame([values.alias("value"), pl.Series("place", np.arange(len(values)))])
    return numbered.select(pl.col("place").first().over("value"))["place"].to_numpy()


def _plain(values: pl.Series, text: str) -> pl.Series:
    if values.dtype not in (pl.String, pl.Categorical, pl.Enum):
        return values
    values = values.cast(pl.String)
    if text == "as_is":
        return values
    values = values.str.to_lowercase()
    if text == "words":
        values = values.str.replace_all(r"\p{P}+", " ")
    return values.str.replace_all(r"\s+", " ").str.strip_chars()


def differing(frame: pl.DataFrame, rows: np.ndarray, others: np.ndarray) -> list[str]:
    """Name for each pair of rows the columns in which their cells differ; empty where there is none."""
    one, two = frame[rows], frame[others]
    apart = np.column_stack(
        [np.empty((len(rows), 0), bool), *(one[c].ne_missing(two[c]).to_numpy() for c in frame.columns)]
    )
    told = []
    for row in apart:
        names = [frame.columns[place] for place in np.flatnonzero(row)]
        more = len(names) - MOST_NAMED
        told.append(", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else ""))
    return told
