"""Rows for the trainings of `health.py`: sets that set thresholds, sets that are reported, and their splits.

The reported sets were chosen on 2026-11-27, before any training of this benchmark had run on any of them, and
written down here with what is drawn for them (seeds, settings, splits, what counts as healthy): ten real sets
of classes and three of values, as different as the packages at hand have them, none smaller than 300 rows;
two simulated ones that are published with them; and six that are drawn anew for each seed. Sets that were
looked at before, to set thresholds or in reports that came before, are those that thresholds are set on.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import datasets

from datasets import load
from tilth.probes import Inputs

Rows = tuple[NDArray[np.float64], NDArray[Any]]

CALIBRATION = (
    "moons", "friedman2", "wine", "classes", "blobs",
    "breast_cancer", "digits", "circles", "friedman1", "hastie", "linear", "diabetes", "iris",
)  # fmt: skip
"""Sets that thresholds are set on, with seeds from 1,000,000 on."""
REAL = (
    "ionosphere", "vehicle", "segment", "texture", "satellite", "spambase", "magic", "page_blocks", "german",
    "adult", "california", "red_wine", "wage", "twonorm", "ring",
)  # fmt: skip
MADE = ("quantiles", "waveform", "friedman3", "swiss_roll", "s_curve", "sparse")
REPORTED = (*REAL, *MADE)
"""Sets that are reported, with seeds from 3,000,000 on."""
QUICK = ("wine", "classes", "friedman1", "circles")
MOST = 2000
"""Rows of a real set at most, drawn once."""
SHARES = (0.6, 0.2)
"""Of the rows: to train on, and to stop by; the rest is what the training is judged by."""


def rows_of(name: str, seed: int) -> Rows:
    """Return a data set; made ones are drawn anew for each seed.

    Parameters
    ----------
    name : str
        Of `CALIBRATION` or `REPORTED`.
    seed : int

    Returns
    -------
    X : array of shape (n_rows, n_columns)
    y : array of shape (n_rows,)
        Class codes, or values.
    """
    if name in REAL:
        return _real(name)
    if name in ("wine", "breast_cancer", "digits", "diabetes", "iris"):
        return getattr(datasets, f"load_{name}")(return_X_y=True)
    X, y = _MADE[name](seed)
    return X, (y > 0).astype(np.int64) if name == "hastie" else y


@cache
def _real(name: str) -> Rows:
    """Return a real set as a matrix: categories one-hot, gaps filled and marked."""
    made = load(name, MOST)
    labeled = made.frame.filter(made.y.is_not_null())
    rows, target = labeled.drop(made.target), labeled[made.target]
    X = Inputs(scale=None).fit(rows).transform(rows).astype(np.float64)
    if made.task == "regression":
        return X, target.to_numpy().astype(np.float64)
    return X, np.unique(target.to_numpy(), return_inverse=True)[1].astype(np.int64)


def waveform(seed: int, rows: int = 1500) -> Rows:
    """Draw Breiman's waves: three classes in 21 columns, each a mixture of two of three triangles, and noise.

    Source
    ------
    Breiman, Friedman, Olshen and Stone, "Classification and Regression Trees" (1984).
    """
    draw = np.random.default_rng(seed)
    places = np.arange(1, 22)
    triangles = np.stack([np.maximum(6 - np.abs(places - peak), 0) for peak in (7, 15, 11)])
    y = draw.integers(0, 3, rows)
    one, other = triangles[[0, 0, 1]][y], triangles[[1, 2, 2]][y]
    share = draw.random((rows, 1))
    return share * one + (1 - share) * other + draw.normal(size=(rows, 21)), y


_MADE: dict[str, Callable[[int], Rows]] = {
    "moons": lambda seed: datasets.make_moons(800, noise=0.2, random_state=seed),
    "circles": lambda seed: datasets.make_circles(800, noise=0.1, factor=0.5, random_state=seed),
    "blobs": lambda seed: datasets.make_blobs(800, centers=4, n_features=6, random_state=seed),
    "classes": lambda seed: datasets.make_classification(
        1000, 12, n_informative=6, n_redundant=2, n_classes=3, class_sep=1.5, random_state=seed
    ),
    "hastie": lambda seed: datasets.make_hastie_10_2(2000, random_state=seed),
    "friedman1": lambda seed: datasets.make_friedman1(1000, noise=0.5, random_state=seed),
    "friedman2": lambda seed: datasets.make_friedman2(1000, noise=20.0, random_state=seed),
    "linear": lambda seed: datasets.make_regression(800, 10, n_informative=5, noise=20.0, random_state=seed),
    "quantiles": lambda seed: datasets.make_gaussian_quantiles(
        n_samples=1500, n_features=5, n_classes=3, random_state=seed
    ),
    "waveform": waveform,
    "friedman3": lambda seed: datasets.make_friedman3(1500, noise=0.1, random_state=seed),
    "swiss_roll": lambda seed: datasets.make_swiss_roll(1500, noise=0.5, random_state=seed),
    "s_curve": lambda seed: datasets.make_s_curve(1500, noise=0.1, random_state=seed),
    "sparse": lambda seed: datasets.make_sparse_uncorrelated(1500, 10, random_state=seed),
}


def parted(
    X: NDArray[np.float64], y: NDArray[Any], seed: int, *shares: float
) -> list[tuple[NDArray[np.float64], NDArray[Any]]]:
    """Split rows at random, and standardize by the first part: inputs, and a target of values.

    Parameters
    ----------
    X, y : array
    seed : int
    *shares : float
        Of the rows, for each part but the last, which gets the others.

    Returns
    -------
    list of (X, y)
        One more than shares.
    """
    order = np.random.default_rng(seed).permutation(len(X))
    places = np.split(order, np.round(np.cumsum(shares) * len(X)).astype(int))
    mean, spread = X[places[0]].mean(0), X[places[0]].std(0)
    X = (X - mean) / np.where(spread > 0, spread, 1)
    if y.dtype.kind == "f":
        y = (y - y[places[0]].mean()) / y[places[0]].std()
    return [(X[rows], y[rows]) for rows in places]
