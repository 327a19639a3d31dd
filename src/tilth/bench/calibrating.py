"""How far probabilities can be trusted: what was said beside what came true, added up over all folds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tilth.bench.metrics import BINS, confidence, equal_mass
from tilth.bench.statistics import CONFIDENCE

STEPS = 200
BARS = 20
# Of equal width in arcsin(sqrt(p)), in which a share's error is the same everywhere: cells are finest near 0
# and 1, where rare and sure answers crowd. The edges of bars are among theirs: whole cells fill a bar.
EDGES = np.unique(
    np.round(np.append(np.sin(np.linspace(0, np.pi / 2, STEPS + 1)) ** 2, np.linspace(0, 1, BARS + 1)), 9)
)
SUMS = ("rows", "weight", "squared", "said", "true")

CALIBRATION = pl.Schema(
    {
        "probe": pl.String,
        "arm": pl.String,
        "bin": pl.Int64,
        "said": pl.Float64,
        "seen": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
        "rows": pl.Float64,
        "effective_rows": pl.Float64,
        "share": pl.Float64,
    }
)
PROBABILITIES = pl.Schema(
    {
        "probe": pl.String,
        "arm": pl.String,
        "low": pl.Float64,
        "high": pl.Float64,
        "share": pl.Float64,
    }
)


def cells_of(truth: NDArray, answer: NDArray[np.float64], weight: NDArray[np.float64]) -> dict[str, Any]:
    """Add up one fold's answers in fine cells of the probability said; sums of folds are those of all rows.

    Parameters
    ----------
    truth : ndarray of shape (n_rows,)
        Class codes.
    answer : ndarray of shape (n_rows, n_classes)
        Probabilities; which of them is looked at, `confidence` says.
    weight : ndarray of shape (n_rows,)
        Rows of weight 0 do not count.

    Returns
    -------
    dict
        ``cell``, the cells that hold rows, and for each the sums ``rows``, ``weight``, ``squared`` (weights),
        ``said`` and ``true``, by weight.
    """
    counts = weight > 0
    said, true = confidence(truth[counts], answer[counts])
    weight = weight[counts]
    place = np.clip(np.searchsorted(EDGES, said, side="right") - 1, 0, len(EDGES) - 2)
    held, inside = np.unique(place, return_inverse=True)
    each = (np.ones(len(said)), weight, weight**2, weight * said, weight * true)
    sums = [np.bincount(inside, values, minlength=len(held)).tolist() for values in each]
    return {"cell": held.tolist(), **dict(zip(SUMS, sums, strict=True))}


def calibration_of(lines: Iterable[dict[str, Any]]) -> pl.DataFrame:
    """Return what was said and what came true, in 15 bins of equal mass per probe and arm.

    All test rows of all folds are pooled before they are parted into bins; the metric ``ece`` parts each fold
    by itself, and chance adds to it what it adds to small bins. A cell lies whole in the bin in which the
    middle of its mass lies.

    Parameters
    ----------
    lines : iterable of dict
        Of `cells_of`, each with its ``probe, arm, repeat``.

    Returns
    -------
    DataFrame
        ``probe, arm, bin, said, seen, low, high, rows, effective_rows, share``. `said` is the mean
        probability of the bin, `seen` the share that came true, both by weight, `low` and `high` its 95 %
        interval (Wilson's, as if rows were independent). A row tested once in every repeat is one row, not
        many: `rows` are those of one repeat, `effective_rows` as many rows of equal weight as tell as much
        (Kish). `share` is the part of all weight. Bins that hold no cell's middle are not there.
    """
    made = []
    for (probe, arm), (sums, repeats) in _pooled(lines):
        cells = sums[:, sums[0] > 0]
        place = equal_mass(cells[1])
        rows, weight, squared, said, true = np.array([np.bincount(place, v, minlength=BINS) for v in cells])
        for held in np.flatnonzero(rows):
            mass, seen = weight[held], min(1.0, float(true[held] / weight[held]))
            effective = float(mass**2 / squared[held] / repeats)
            low, high = _wilson(seen, effective)
            numbers = (float(said[held] / mass), seen, low, high, float(rows[held] / repeats), effective)
            made.append((probe, arm, int(held) + 1, *numbers, float(mass / weight.sum())))
    return pl.DataFrame(made, schema=CALIBRATION, orient="row")


def probabilities_of(lines: Iterable[dict[str, Any]]) -> pl.DataFrame:
    """Return how often which probability was said, in 20 bars of equal width per probe and arm.

    Parameters
    ----------
    lines : iterable of dict
        As in `calibration_of`.

    Returns
    -------
    DataFrame
        ``probe, arm, low, high, share``: bars from `low` to below `high`, and their part of all weight.
    """
    edges = np.linspace(0, 1, BARS + 1)
    bar = np.clip(np.searchsorted(edges, (EDGES[:-1] + EDGES[1:]) / 2, side="right") - 1, 0, BARS - 1)
    made = []
    for (probe, arm), (sums, _) in _pooled(lines):
        shares = np.bincount(bar, sums[1], minlength=BARS) / sums[1].sum()
        ends = np.round(edges, 9).tolist()
        made += [(probe, arm, *span) for span in zip(ends[:-1], ends[1:], shares.tolist(), strict=True)]
    return pl.DataFrame(made, schema=PROBABILITIES, orient="row")


def _pooled(
    lines: Iterable[dict[str, Any]],
) -> Sequence[tuple[tuple[str, str], tuple[NDArray[np.float64], int]]]:
    """Add up cells over folds, per probe and arm, and count the repeats; where no row counts, nothing."""
    sums: dict[tuple[str, str], NDArray[np.float64]] = {}
    repeats: dict[tuple[str, str], set[int]] = {}
    for line in lines:
        key = line["probe"], line["arm"]
        held = sums.setdefault(key, np.zeros((len(SUMS), len(EDGES) - 1)))
        held[:, line["cell"]] += np.array([line[name] for name in SUMS])
        repeats.setdefault(key, set()).add(line["repeat"])
    order = list(dict.fromkeys(probe for probe, _ in sums))
    keys = sorted(sums, key=lambda key: order.index(key[0]))
    return [(key, (sums[key], len(repeats[key]))) for key in keys if sums[key][0].any()]


def _wilson(share: float, rows: float) -> tuple[float, float]:
    """Return Wilson's interval of a share of rows that need not be a whole number."""
    from scipy.stats import norm

    z = float(norm.ppf(0.5 + CONFIDENCE / 2))
    middle = (share + z**2 / (2 * rows)) / (1 + z**2 / rows)
    half = z / (1 + z**2 / rows) * np.sqrt(share * (1 - share) / rows + (z / (2 * rows)) ** 2)
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))
