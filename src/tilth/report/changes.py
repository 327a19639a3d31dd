"""Which columns changed most, and their values before and after."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl

from tilth.table import Table

WORDS = ("categorical", "boolean", "text")


@dataclass(frozen=True)
class Change:
    """Hold one column before and after.

    Parameters
    ----------
    name : str
    before, after : ndarray
        Values of a numeric column.
    counts : pair of dict of category to rows
        Of any other column, before and after.
    missing : pair of float
        Share of the cells, before and after.
    amount : float
        How much the shape changed, in [0, 1]: location and scale are not counted.
    weighted : bool
        The counts after are weights, scaled to the number of rows.
    """

    name: str
    numeric: bool
    before: np.ndarray = field(default_factory=lambda: np.empty(0))
    after: np.ndarray = field(default_factory=lambda: np.empty(0))
    counts: tuple[dict[str, int], dict[str, int]] = ({}, {})
    missing: tuple[float, float] = (0.0, 0.0)
    amount: float = 0.0
    weighted: bool = False


def changes(before: Table, after: Table, limit: int = 12) -> list[Change]:
    """Return the features that differ, the most changed first, after the target if its shares differ."""
    was, now = before.frame.collect(), after.frame.collect()
    found = []
    for name in before.features:
        if name not in now.columns:
            continue
        change = _compared(name, before.kinds[name], was[name], now[name])
        if change is not None:
            found.append(change)
    found.sort(key=lambda c: -c.amount)
    target = before.roles.target
    if target is not None and target in now.columns:
        weight = after.roles.weight if before.roles.weight != after.roles.weight else None
        label = _labels(target, was[target], now, weight)
        found = [label, *found] if label is not None else found
    return found[:limit]


def _compared(name: str, kind: str, was: pl.Series, now: pl.Series) -> Change | None:
    holes = (_missing(was), _missing(now))
    if kind == "numeric" and now.dtype.is_numeric():
        old, new = (s.cast(pl.Float64).drop_nulls().to_numpy() for s in (was, now))
        old, new = old[np.isfinite(old)], new[np.isfinite(new)]
        if len(old) == len(new) and len(was) == len(now) and np.array_equal(old, new):
            return None
        amount = max(_distance(_plain(old), _plain(new)), abs(holes[0] - holes[1]))
        return Change(name, True, old, new, missing=holes, amount=amount)
    if kind in WORDS and not now.dtype.is_numeric():
        old_counts, new_counts = _counts(was), _counts(now)
        if old_counts == new_counts:
            return None
        amount = max(_apart(old_counts, new_counts), abs(holes[0] - holes[1]))
        return Change(name, False, counts=(old_counts, new_counts), missing=holes, amount=amount)
    return None


def _labels(target: str, was: pl.Series, now: pl.DataFrame, weight: str | None) -> Change | None:
    if was.dtype.is_float() or was.n_unique() > 20:
        return None
    old = _counts(was)
    if weight is None:
        new = _counts(now[target])
    else:
        mass = now.group_by(target).agg(pl.col(weight).sum().alias("mass")).drop_nulls()
        scale = now.height / float(mass["mass"].sum() or 1.0)
        new = {
            str(k): round(m * scale)
            for k, m in mass.select(pl.col(target).cast(pl.String), "mass").iter_rows()
        }
    if _apart(old, new) < 0.0005:
        return None
    return Change(target, False, counts=(old, new), amount=1.0, weighted=weight is not None)


def _missing(series: pl.Series) -> float:
    return series.null_count() / max(len(series), 1)


def _counts(series: pl.Series) -> dict[str, int]:
    counted = series.drop_nulls().cast(pl.String).alias("value").value_counts(sort=True)
    return dict(counted.iter_rows())


def _apart(one: dict[str, int], other: dict[str, int]) -> float:
    """Return the total variation distance of two shares."""
    n, m = max(sum(one.values()), 1), max(sum(other.values()), 1)
    return 0.5 * sum(abs(one.get(k, 0) / n - other.get(k, 0) / m) for k in one | other)


def _plain(values: np.ndarray) -> np.ndarray:
    """Take out where and how wide: scaling changes the axis, not the shape."""
    if len(values) == 0:
        return values
    low, middle, high = np.quantile(values / 4, [0.1, 0.5, 0.9])
    spread = high - low or float(np.ptp(values / 4)) or 1.0
    return (values / 4 - middle) / spread


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    """Return the largest difference of the two cumulative shares (Kolmogorov and Smirnov)."""
    if len(one) == 0 or len(other) == 0:
        return 0.0
    one, other = np.sort(np.round(one, 9)), np.sort(np.round(other, 9))
    at = np.concatenate([one, other])
    share = lambda values: np.searchsorted(values, at, side="right") / len(values)
    return float(np.abs(share(one) - share(other)).max())
