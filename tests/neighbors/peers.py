"""Plain loops that measure every pair: what the search must agree with."""

from __future__ import annotations

import numpy as np


def measure(a: np.ndarray, b: np.ndarray, categorical, mismatch: float, widths=None) -> float:
    """Measure one pair: Gower's mean where `widths` are given, else the masked Euclidean distance."""
    total, count = 0.0, 0
    for column, coded in enumerate(categorical):
        if np.isnan(a[column]) or np.isnan(b[column]):
            continue
        count += 1
        difference = a[column] - b[column]
        if coded:
            total += mismatch * (difference != 0)
        elif widths is None:
            total += difference**2
        else:
            total += abs(difference) / (widths[column] or 1.0)
    if not count:
        return np.inf
    return total / count if widths is not None else float(np.sqrt(total * len(a) / count))


def all_pairs(query, reference, categorical, mismatch: float = 1.0, widths=None) -> np.ndarray:
    """Measure all pairs: (n_query, n_reference)."""
    return np.array([[measure(a, b, categorical, mismatch, widths) for b in reference] for a in query])


def lowest(distances: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the `k` lowest of each row and their columns: equal ones by column, none as -1."""
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    found = np.take_along_axis(distances, order, 1)
    return found, np.where(np.isfinite(found), order, -1)
