"""The parents of rows that an estimator of another package made: it does not tell them, their cells do."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from tilth.errors import StageError, listed
from tilth.neighbors import Space
from tilth.neighbors.parents import parents_of
from tilth.stages.reading import Reading
from tilth.statistics import Statistics
from tilth.table import kind_of

READ = ("numeric", "categorical", "boolean", "datetime", "text")
ROUNDING = 256
"""Units in the last place by which numbers may be off the line of their parents."""
USUAL, MOST = 5, 50
"""Neighbors among which samplers choose where they do not tell, and of those that do, at most."""


def neighbors_of(sampler: Any) -> int:
    """Return among how many nearest rows a sampler chooses the second parent."""
    given = sampler.get_params() if hasattr(sampler, "get_params") else {}
    asked = [v for name, v in given.items() if name.endswith("_neighbors") and isinstance(v, int)]
    return min(max([USUAL, *asked]), MOST)


def made_of(
    made: pl.DataFrame, source: pl.DataFrame, target: str, k: int, key: str
) -> tuple[np.ndarray, np.ndarray]:
    """Find the parents of made rows among the source rows, first among those of their class.

    Parameters
    ----------
    made, source : DataFrame
        Features and target, in the same types.
    target : str
    k : int
        Among how many nearest rows of the one parent the other was chosen.
    key : str
        For messages.

    Returns
    -------
    parents : ndarray of shape (n_made, 2), int64
        Positions in `source`; twice the same where there is one.
    shares : ndarray of shape (n_made, 2), float64
    """
    read = [c for c in source.columns if c != target and kind_of(source.schema[c]) in READ]
    reading = Reading.learn(Statistics([source.lazy()]), read, "none", most_levels=max(source.height, 1))
    known = [c for c, empty in zip(reading.columns, reading.empty, strict=True) if not empty]
    if not known:
        raise StageError(
            f"{key}: made {made.height} rows, and their parents cannot be found by {listed(source.columns)}. "
            "Put a stage before it that turns columns into numbers or categories."
        )
    reading = Reading.learn(Statistics([source.lazy()]), known, "none", most_levels=max(source.height, 1))
    rows, new = reading.matrix(source), reading.matrix(made)
    space, tolerance = _space(reading, rows), _tolerance(source, known, rows)
    parents, share = np.zeros((made.height, 2), np.int64), np.zeros(made.height)
    told = np.zeros(made.height, dtype=bool)
    labels = pl.concat([source[target], made[target]]).rank("dense").fill_null(0).to_numpy()
    of_source, of_made = labels[: source.height], labels[source.height :]
    everyone = np.arange(source.height)
    for label in np.unique(of_made):
        mine, own = np.flatnonzero(of_made == label), np.flatnonzero(of_source == label)
        own = own if own.size else everyone
        found, share[mine], told[mine] = parents_of(space, new[mine], rows[own], tolerance, k=k)
        parents[mine] = own[found]
    left = np.flatnonzero(~told)
    if left.size:
        # Some samplers make rows between two classes.
        found, shares, between = parents_of(space, new[left], rows, tolerance, k=k)
        parents[left[between]], share[left[between]] = found[between], shares[between]
    return parents, np.column_stack([1 - share, share])


def _space(reading: Reading, rows: np.ndarray) -> Space:
    """Measure as the samplers do: numbers as they are, a mismatch by the median of their deviations."""
    coded = reading.categorical
    deviations = np.nanstd(rows[:, ~coded], axis=0)
    mismatch = float(np.median(deviations) ** 2) if deviations.size else 1.0
    return Space(categorical=tuple(coded.tolist()), mismatch=mismatch)


def _tolerance(source: pl.DataFrame, columns: list[str], rows: np.ndarray) -> np.ndarray:
    """Return how far numbers may be off by rounding: whole ones by 1; NaN for what is no float or integer."""
    out = np.full(len(columns), np.nan)
    for place, name in enumerate(columns):
        dtype = source.schema[name]
        if dtype.is_integer() or dtype.is_decimal():
            out[place] = 1.0
        elif dtype.is_float():
            unit = np.finfo(np.float32 if dtype == pl.Float32 else np.float64)
            out[place] = max(ROUNDING * unit.eps * np.nanmax(np.abs(rows[:, place])), unit.tiny)
    return out
