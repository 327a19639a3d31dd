"""How much of each column is lost on the way through a few numbers and back."""

from __future__ import annotations

import numpy as np

from tilth.training.codes import Layout


def lost(wide: np.ndarray, told: np.ndarray, layout: Layout) -> np.ndarray:
    """Return for each column what share of it is lost, over the cells that are there.

    Parameters
    ----------
    wide : ndarray of shape (n_rows, n_wide)
        NaN where missing.
    told : ndarray of shape (n_rows, n_wide)
        Numbers, and for categories anything of which the largest wins.
    layout : Layout

    Returns
    -------
    ndarray of shape (n_columns,)
        Of numbers the squared error over the squared distance from their mean; of categories the share of
        cells told wrong. NaN where there is no cell, or all are one number.
    """
    out = np.full(len(layout.categorical), np.nan)
    for place in range(len(out)):
        here = layout.source == place
        cells = wide[:, here]
        known = ~np.isnan(cells[:, 0])
        if not known.any():
            continue
        cells, guessed = cells[known], told[known][:, here]
        if layout.categorical[place]:
            # A category that is none of those told apart is told wrong.
            out[place] = 1 - cells[np.arange(len(cells)), guessed.argmax(axis=1)].mean()
            continue
        around = np.square(cells - cells.mean(axis=0)).sum()
        if around > 0:
            out[place] = np.square(cells - guessed).sum() / around
    return out


def lost_at_all(wide: np.ndarray, told: np.ndarray, layout: Layout) -> float:
    """Return the share of the squared distances from the mean that all numbers lose; NaN without any."""
    numbers = ~layout.of_category
    cells = wide[:, numbers]
    known = ~np.isnan(cells)
    mean = np.where(known, cells, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    around = np.square(np.where(known, cells - mean, 0)).sum()
    left = np.square(np.where(known, cells - told[:, numbers], 0)).sum()
    return float(left / around) if around > 0 else float("nan")
