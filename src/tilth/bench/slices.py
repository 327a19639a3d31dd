"""Parts of the rows that are scored by themselves: a gain on all rows may be paid for by some of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tilth.bench.metrics import METRICS
from tilth.errors import ColumnError
from tilth.table import Table

ROWS_PER_FOLD = 20
"""Rows that a slice has in a fold, on average, at least: the score of fewer says nothing."""
CLASS_PER_FOLD = 5
"""Of these, rows of each of two classes at least."""
MOST = 40
"""Slices that are looked at where no columns are named: with more, no loss could be told from chance."""
PARTS = 4
"""Parts of the same size that numbers are cut into."""
LEVELS = 20

SLICED = pl.Schema(
    {
        "probe": pl.String,
        "metric": pl.String,
        "slice": pl.String,
        "arm": pl.String,
        "repeat": pl.Int64,
        "fold": pl.Int64,
        "value": pl.Float64,
    }
)


@dataclass(frozen=True)
class Slices:
    """Hold parts of the rows, which may overlap.

    Parameters
    ----------
    names : tuple of str
        What the rows of a slice have in common, such as ``sex = Female``.
    member : ndarray of shape (n_slices, n_rows), bool
    """

    names: tuple[str, ...] = ()
    member: NDArray[np.bool_] = field(default_factory=lambda: np.zeros((0, 0), bool))

    def rows(self, keep: NDArray[np.bool_]) -> Slices:
        """Return the slices of some of the rows."""
        return Slices(self.names, self.member[:, keep]) if self.names else self


def slices_of(
    table: Table, truth: NDArray, task: str, folds: int, columns: Sequence[str] | None = None
) -> Slices:
    """Cut the rows by each feature alone: its categories, or quarters of its values, and its gaps.

    The features are looked at as they are given, before any stage, and no label decides on a cut. Slices too
    small for a score in every fold are left out.

    Parameters
    ----------
    table : Table
    truth : ndarray of shape (n_rows,)
        Class codes, or values; -1 or NaN where the label is missing.
    task : {'binary', 'multiclass', 'regression'}
    folds : int
    columns : sequence of str, optional
        Features to cut by; by default all, until there are 40 slices, categories first.

    Raises
    ------
    ColumnError
        A column that is no feature.
    """
    if columns is not None:
        absent = [name for name in columns if name not in table.features]
        if absent:
            raise ColumnError.missing(absent, list(table.features), "slices")
    frame, kinds = table.X(), table.kinds
    numbers = {name for name, kind in kinds.items() if kind == "numeric"}
    named = list(table.features) if columns is None else list(columns)
    if columns is None:
        named.sort(key=lambda name: name in numbers)
    names: list[str] = []
    members: list[NDArray[np.bool_]] = []
    for name in named:
        if kinds.get(name) not in ("numeric", "categorical", "boolean"):
            continue
        for told, member in _cut(frame[name], name in numbers):
            if columns is None and len(names) == MOST:
                break
            if _large(truth[member], task, folds):
                names.append(told)
                members.append(member)
    return Slices(tuple(names), np.array(members)) if names else Slices()


def sliced(
    slices: Slices,
    metrics: Sequence[str],
    test: NDArray[np.bool_],
    truth: NDArray,
    weight: NDArray[np.float64],
    told: Mapping[str, NDArray[np.float64]],
) -> Iterator[dict[str, Any]]:
    """Score the test rows of every slice by the primary metrics; NaN where none counts.

    Parameters
    ----------
    slices : Slices
    metrics : sequence of str
    test : ndarray of shape (n_rows,), bool
        The rows that were tested and count.
    truth, weight : ndarray of shape (n_tested,)
    told : dict of metric to ndarray
        What each metric scores.
    """
    for name, member in zip(slices.names, slices.member, strict=True):
        inside = member[test]
        for metric in metrics:
            score = METRICS[metric].score
            value = score(truth[inside], told[metric][inside], weight[inside]) if inside.any() else np.nan
            yield {"metric": metric, "slice": name, "value": float(value)}


def _cut(column: pl.Series, number: bool) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Give the parts of one column, each with what its rows have in common."""
    name, gap = column.name, column.is_null().to_numpy()
    if number:
        values = column.cast(pl.Float64).fill_null(np.nan).to_numpy()
        gap = gap | ~np.isfinite(values)
        known = values[~gap]
    if gap.any():
        yield f"{name} is missing", gap
    if number and len(np.unique(known)) > PARTS:
        edges = np.unique(np.quantile(known, np.arange(1, PARTS) / PARTS))
        place = np.where(gap, -1, np.searchsorted(edges, values, side="left"))
        for part in range(len(edges) + 1):
            low = f"{edges[part - 1]:.6g} < " if part else ""
            high = f" <= {edges[part]:.6g}" if part < len(edges) else ""
            told = f"{low}{name}{high}" if high else f"{name} > {edges[-1]:.6g}"
            yield told, place == part
        return
    text = column.cast(pl.String).alias("level")
    counted = text.drop_nulls().value_counts().sort("count", "level", descending=[True, False])
    for level in counted["level"].head(LEVELS):
        yield f"{name} = {level}", (text == level).fill_null(False).to_numpy()


def _large(truth: NDArray, task: str, folds: int) -> bool:
    """Tell whether a slice has rows enough in every fold."""
    if task == "regression":
        return bool(np.isfinite(truth).sum() >= ROWS_PER_FOLD * folds)
    counts = np.sort(np.bincount(truth[truth >= 0], minlength=2))
    return bool(counts.sum() >= ROWS_PER_FOLD * folds and counts[-2] >= CLASS_PER_FOLD * folds)
