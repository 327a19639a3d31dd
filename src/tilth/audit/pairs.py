"""Checks of columns against one another: twins that say the same, and features that give the target away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from tilth.audit.column import COUNTED, Column
from tilth.core.finding import Finding

FINDS = {
    "columns.identical": "two columns hold the same values",
    "columns.one_to_one": "two columns say the same in other words",
    "columns.correlated": "two numeric columns rise and fall together",
    "target.given_away": "one feature tells the target almost alone",
}

CORRELATED = 0.99
GIVEN_AWAY = 0.95
MOST_COLUMNS = 500
MOST_ROWS = 20_000
BINS = 20


def twins(columns: Sequence[Column]) -> Iterator[Finding]:
    """Find pairs of columns of which one can be computed from the other, value by value.

    Only columns with equally many distinct values can be such a pair, so few pairs are looked at.
    """
    groups: dict[tuple[int, int], list[Column]] = {}
    for column in columns:
        if _repeats(column):
            groups.setdefault((column.distinct, column.filled), []).append(column)
    for group in groups.values():
        firsts = list(group)
        while firsts:
            first = firsts.pop(0)
            for second in list(firsts):
                if _one_to_one(first, second):
                    firsts.remove(second)
                    yield _twin(first, second)


def _repeats(column: Column) -> bool:
    """Tell whether values recur: two columns that do not are one-to-one by nature, whatever they hold."""
    return 2 <= column.distinct < 0.95 * column.filled


def _one_to_one(first: Column, second: Column) -> bool:
    pair = pl.DataFrame([first.series.alias("a"), second.series.alias("b")])
    return int(pair.select(pl.struct("a", "b").n_unique()).item()) == int(first.series.n_unique())


def _twin(first: Column, second: Column) -> Finding:
    same = first.series.dtype == second.series.dtype and bool(first.series.eq_missing(second.series).all())
    both = f"'{first.name}' and '{second.name}'"
    if same:
        told = f"{both} hold the same values in all {first.rows} rows: one is enough."
        kind = "columns.identical"
    else:
        told = f"{both} say the same: each of their {first.distinct} values meets one of the other."
        kind = "columns.one_to_one"
    return Finding(kind, told, 1.0, "low", (first.name, second.name), stage="audit.columns")


def correlated(columns: Sequence[Column]) -> Iterator[Finding]:
    """Find numeric columns whose Pearson correlation is beyond 0.99 either way, missing cells left out."""
    numeric = [c for c in columns if c.kind == "numeric" and c.distinct > 2]
    if len(numeric) > MOST_COLUMNS:
        message = (
            f"Of {len(numeric)} numeric columns only the first {MOST_COLUMNS} were compared with one another."
        )
        yield Finding("check.limited", message, MOST_COLUMNS / len(numeric), stage="audit.columns")
        numeric = numeric[:MOST_COLUMNS]
    if len(numeric) < 2:
        return
    values = np.column_stack([c.series.head(MOST_ROWS).cast(pl.Float64).to_numpy() for c in numeric])
    values[~np.isfinite(values)] = np.nan
    filled, number = np.where(np.isnan(values), 0.0, 1.0), np.nan_to_num(_scaled(values))
    # Pairs that look close with gaps at the mean are then computed over the rows that have both.
    rough = _correlation(number) if len(number) > 2 else np.zeros((len(numeric),) * 2)
    both = filled.T @ filled
    for i, j in np.argwhere(np.triu(np.abs(rough) > 0.8 * CORRELATED, 1)):
        use = (filled[:, i] * filled[:, j]) > 0
        if both[i, j] < 10 or np.ptp(values[use, i]) == 0 or np.ptp(values[use, j]) == 0:
            continue
        r = float(np.corrcoef(number[use, i], number[use, j])[0, 1])
        first, second = numeric[i], numeric[j]
        told = _repeats(first) and first.distinct == second.distinct and _one_to_one(first, second)
        if abs(r) > CORRELATED and not told:
            message = (
                f"'{first.name}' and '{second.name}' have correlation {r:+.4f}: they tell nearly the same."
            )
            yield Finding(
                "columns.correlated", message, abs(r), "low", (first.name, second.name), stage="audit.columns"
            )


def _scaled(values: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        largest = np.nanmax(np.abs(values), axis=0, initial=0.0)
        values = values / np.where(largest > 0, largest, 1.0)
        return values - np.nanmean(np.where(np.isnan(values).all(axis=0), 0.0, values), axis=0)


def _correlation(number: np.ndarray) -> np.ndarray:
    norm = np.sqrt((number**2).sum(axis=0))
    number = number / np.where(norm > 0, norm, 1.0)
    return number.T @ number


def given_away(columns: Sequence[Column], target: Column, classes: bool) -> Iterator[Finding]:
    """Find features that tell the target almost alone: is it known when a prediction is asked for?

    A numeric feature is cut into 20 parts. For classes the score is the share of the target's
    entropy that the feature explains; for numbers the share of its variance.
    """
    known = target.series.is_not_null()
    for column in columns:
        # Enough rows per value, or a feature explains the target by remembering the rows.
        numeric = column.kind == "numeric" and column.distinct > BINS
        if not numeric and column.distinct > column.rows / 20:
            continue
        parts = _cut(column.series) if numeric else column.series
        share = _explained(parts.filter(known), target.series.filter(known), classes)
        if share > GIVEN_AWAY:
            what = "entropy" if classes else "variance"
            message = (
                f"'{column.name}' alone explains {share:.1%} of the target's {what}. "
                "Is it known before the target is, or made from it?"
            )
            yield Finding("target.given_away", message, share, "high", (column.name,), stage="audit.target")


def _cut(series: pl.Series) -> pl.Series:
    return (series.cast(pl.Float64).rank("average") / max(len(series) - series.null_count(), 1) * BINS).ceil()


def _explained(parts: pl.Series, target: pl.Series, classes: bool) -> float:
    pair = pl.DataFrame([parts.alias("part"), target.alias("target")])
    if classes:
        joint = pair.group_by("part", "target").len()
        of = lambda by: _entropy(joint.group_by(by).agg(pl.col("len").sum())["len"].to_numpy())
        whole = of("target")
        return 0.0 if whole == 0 else 1 - (_entropy(joint["len"].to_numpy()) - of("part")) / whole
    pair = pair.with_columns(pl.col("target").cast(pl.Float64))
    inside = pair.group_by("part").agg(pl.col("target").var(ddof=0).alias("var"), pl.len())
    whole = float(pair["target"].var(ddof=0) or 0.0)  # type: ignore[arg-type]
    rest = float((inside["var"] * inside["len"]).sum()) / max(pair.height, 1)
    return 0.0 if whole <= 0 or not np.isfinite(whole) else 1 - rest / whole


def _entropy(counts: np.ndarray) -> float:
    share = counts / counts.sum()
    return float(-(share * np.log(share)).sum())


def chance_copies(columns: Sequence[Column]) -> float:
    """Return how many pairs of equal rows to expect by chance, were the columns independent.

    Where every column has few values, equal rows are no copies of one another.
    """
    if not columns:
        return 0.0
    shares = [c.series.value_counts()["count"].to_numpy() / max(c.rows, 1) for c in columns]
    meet = float(np.prod([(share**2).sum() for share in shares]))
    return meet * columns[0].rows * (columns[0].rows - 1) / 2


def comparable(columns: Sequence[Column]) -> list[Column]:
    """Return the columns whose values can be counted and that have some."""
    return [c for c in columns if c.kind in COUNTED and c.filled]
