"""Plant missing cells whose values are known, so that what an imputer says can be held against the truth.

Three mechanisms, as in Rubin, "Inference and missing data", Biometrika 63 (1976):

    mcar   every known cell is as likely to go as any other of its column
    mar    a cell goes by the rank of another column's cell in its row; that other column stays complete
    mnar   a cell goes by the rank of its own value

The rank acts softly: the most likely cell of a column is e^4, about 55 times, as likely to be drawn as the
least likely one, upward in some columns and downward in others. Shares are exact: in each column that takes
holes, ``round(share * known cells)`` of them, one known cell kept. Each row keeps one known cell, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import polars as pl

Mechanism = Literal["mcar", "mar", "mnar"]
MECHANISMS: tuple[str, ...] = get_args(Mechanism)
SHARES = (0.1, 0.3, 0.5)
_STEEP = 4.0


@dataclass(frozen=True)
class Holes:
    """Hold what was planted.

    Parameters
    ----------
    frame : DataFrame
        The rows with their holes.
    planted : DataFrame of bool
        The cells that were known and now are null; the same columns and rows.
    drivers : dict of str to str
        The column that drives the holes of each column, under 'mar'.
    """

    frame: pl.DataFrame
    planted: pl.DataFrame
    drivers: dict[str, str]


def plant(
    frame: pl.DataFrame,
    mechanism: Mechanism,
    share: float,
    seed: int = 0,
    on: Sequence[str] | None = None,
) -> Holes:
    """Plant holes into a frame without its target.

    Parameters
    ----------
    frame : DataFrame
        May have missing cells of its own: they are no holes, and stay.
    mechanism : {'mcar', 'mar', 'mnar'}
        Under 'mar' a third of the columns, those with the fewest gaps, drive the others and take no holes.
    share : float, in (0, 1)
        Of the known cells of each column that takes holes.
    seed : int
    on : sequence of str, optional
        The columns that may take holes; by default all.

    Raises
    ------
    ValueError
        If there are too few columns for the mechanism, or for each row to keep a known cell.
    """
    random = np.random.default_rng([seed, MECHANISMS.index(mechanism)])
    known = ~np.column_stack([frame[name].is_null().to_numpy() for name in frame.columns])
    holed = [frame.columns.index(name) for name in (frame.columns if on is None else on)]
    drivers: dict[int, int] = {}
    if mechanism == "mar":
        drivers = _drivers(known, holed, random)
        holed = list(drivers)
    planted = np.zeros_like(known)
    waiting: dict[int, list[int]] = {}  # the rows of each column that would go next, the likeliest last
    for j in holed:
        source = drivers.get(j, j)
        slope = 0.0 if mechanism == "mcar" else random.choice([-_STEEP, _STEEP])
        rank = _ranks(frame.to_series(source), random)
        # The largest of log(u) / weight are a draw without replacement by weight (Efraimidis and Spirakis).
        keys = np.log1p(-random.random(frame.height)) / np.exp(slope * (rank - 0.5))
        keys[~known[:, j]] = -np.inf
        order = np.argsort(-keys, kind="stable")[: known[:, j].sum()]
        count = min(round(share * len(order)), len(order) - 1)
        planted[order[:count], j] = True
        waiting[j] = order[count:][::-1].tolist()
    _keep_one_per_row(known, planted, waiting, random)
    gone = {name: pl.Series(planted[:, j]) for j, name in enumerate(frame.columns)}
    names = frame.columns
    return Holes(
        frame.with_columns(pl.when(~hole).then(pl.col(name)).alias(name) for name, hole in gone.items()),
        pl.DataFrame(gone),
        {names[j]: names[source] for j, source in drivers.items()},
    )


def _drivers(known: np.ndarray, holed: list[int], random: np.random.Generator) -> dict[int, int]:
    """Return the driving column of each column that takes holes."""
    if known.shape[1] < 2:
        raise ValueError("'mar' needs another column to drive the holes: pass two columns or more.")
    shuffled = random.permutation(known.shape[1])
    complete = shuffled[np.argsort(-known.sum(axis=0)[shuffled], kind="stable")]
    driving = complete[: max(1, len(complete) // 3)]
    taking = [j for j in holed if j not in driving]
    if not taking:
        raise ValueError("'mar': all columns of `on` are needed as drivers: name more columns.")
    return {j: int(random.choice(driving)) for j in taking}


def _ranks(column: pl.Series, random: np.random.Generator) -> np.ndarray:
    """Return ranks between 0 and 1; equal values share one, a missing value gets any."""
    text = column.dtype in (pl.Categorical, pl.Enum)
    ranks = (column.cast(pl.String) if text else column).rank("average").to_numpy() / len(column)
    return np.where(np.isnan(ranks), random.random(len(column)), ranks)


def _keep_one_per_row(
    known: np.ndarray, planted: np.ndarray, waiting: dict[int, list[int]], random: np.random.Generator
) -> None:
    """Give a cell back to each row that lost all it had, and take another of that column in its place."""
    left = known.sum(axis=1) - planted.sum(axis=1)
    for row in np.flatnonzero((left == 0) & planted.any(axis=1)):
        for j in random.permutation(np.flatnonzero(planted[row])):
            instead = next((r for r in reversed(waiting[j]) if left[r] > 1), None)
            if instead is not None:
                waiting[j].remove(instead)
                planted[row, j], planted[instead, j] = False, True
                left[row], left[instead] = 1, left[instead] - 1
                break
        else:
            raise ValueError(
                f"Row {row} would keep no known cell: too few columns ({known.shape[1]}) for this share."
            )
