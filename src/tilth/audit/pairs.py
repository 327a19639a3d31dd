"""Checks of columns against one another: twins, and columns that tell others."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl
from scipy.stats import rankdata

from tilth.audit.column import Column
from tilth.core.finding import Finding, Severity
from tilth.stages.column import COUNTED, shown

FINDS = {
    "columns.identical": "two columns hold the same values",
    "columns.one_to_one": "two columns say the same in other words",
    "columns.correlated": "two numeric columns rise and fall together",
    "columns.monotone": "two numeric columns have the same order, along a curve",
    "columns.nested": "one column tells another, almost or without exception",
}

CORRELATED = 0.99
MONOTONE = 0.995
"""Rank correlation from which on two columns have one order."""

ALIKE = 0.9
"""Rank correlation that a linear one needs beside it: a few far values alone can make a column's."""

TELLS = 0.98
"""The share of a column's entropy that another explains, from which on it tells it."""

RARE = 20
"""Rows outside the commonest value: with fewer, whether a column is told is chance."""

MOST_VALUES = 1000
MOST_CATEGORIES = 200
"""Columns of categories that are compared with one another."""

MOST_COLUMNS = 500
MOST_ROWS = 20_000


def twins(columns: Sequence[Column]) -> Iterator[Finding]:
    """Find columns of which one can be computed from the other, value by value, either way.

    Values are numbered in the order in which they first occur: twins have the same numbers.
    """
    groups: dict[bytes, list[Column]] = {}
    for column in columns:
        if _repeats(column):
            groups.setdefault(_order(column), []).append(column)
    for first, *others in groups.values():
        for second in others:
            yield _twin(first, second)


def _order(column: Column) -> bytes:
    codes = _codes(column)
    _, first, place = np.unique(codes, return_index=True, return_inverse=True)
    return hashlib.blake2b(np.argsort(np.argsort(first)).astype(np.int64)[place].tobytes()).digest()


def _codes(column: Column) -> np.ndarray:
    """Number the values; missing is the last."""
    return column.series.rank("dense").fill_null(column.distinct + 1).to_numpy().astype(np.int64) - 1


def _repeats(column: Column) -> bool:
    """Tell whether values recur: two columns that do not are one-to-one by nature, whatever they hold."""
    return 2 <= column.distinct < 0.95 * column.filled


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
    """Find numeric columns on one line, Pearson's |r| > 0.99, or in one order, Spearman's > 0.995.

    Missing cells are left out, pair by pair.
    """
    numeric = [c for c in columns if c.kind == "numeric" and c.distinct > 2]
    if len(numeric) > MOST_COLUMNS:
        yield _limited(len(numeric), "numeric columns", MOST_COLUMNS)
        numeric = numeric[:MOST_COLUMNS]
    if len(numeric) < 2:
        return
    values = np.column_stack([c.series.head(MOST_ROWS).cast(pl.Float64).to_numpy() for c in numeric])
    values[~np.isfinite(values)] = np.nan
    filled, number = np.where(np.isnan(values), 0.0, 1.0), np.nan_to_num(_scaled(values))
    rank = np.column_stack([_ranks(c) for c in values.T])
    # Pairs that look close with gaps at the mean are then computed over the rows that have both.
    rough = np.maximum(np.abs(_correlation(number)), np.abs(_correlation(rank)))
    if len(numeric) == 2:
        rough = np.ones((2, 2))
    both = filled.T @ filled
    for i, j in np.argwhere(np.triu(rough > 0.8 * CORRELATED, 1)):
        use = (filled[:, i] * filled[:, j]) > 0
        if both[i, j] < 10 or np.ptp(values[use, i]) == 0 or np.ptp(values[use, j]) == 0:
            continue
        first, second = numeric[i], numeric[j]
        if _repeats(first) and first.distinct == second.distinct and _order(first) == _order(second):
            continue  # told as twins
        line = float(np.corrcoef(number[use, i], number[use, j])[0, 1])
        order = float(np.corrcoef(rankdata(values[use, i]), rankdata(values[use, j]))[0, 1])
        names = (first.name, second.name)
        both_ = f"'{first.name}' and '{second.name}'"
        if abs(line) > CORRELATED and abs(order) > ALIKE:
            message = f"{both_} have correlation {line:+.4f}: they tell nearly the same."
            yield Finding("columns.correlated", message, abs(line), "low", names, stage="audit.columns")
        elif abs(order) > MONOTONE and _curve(values[use][:, [i, j]]) > MONOTONE:
            message = (
                f"{both_} have the same order: rank correlation {order:+.4f}, linear {line:+.4f}. One is a "
                "curve of the other."
            )
            yield Finding("columns.monotone", message, abs(order), "low", names, stage="audit.columns")


def _curve(pair: np.ndarray) -> float:
    """Return Spearman's |r| where the two are not both at their commonest value: zeros have no order."""
    common = [
        values[np.argmax(counts)] for values, counts in (np.unique(c, return_counts=True) for c in pair.T)
    ]
    rest = pair[~(pair == common).all(axis=1)]
    if len(rest) < RARE or (np.ptp(rest, axis=0) == 0).any():
        return 0.0
    return abs(float(np.corrcoef(rankdata(rest, axis=0), rowvar=False)[0, 1]))


def _limited(many: int, what: str, most: int) -> Finding:
    message = f"Of {many} {what} only the first {most} were compared with one another."
    return Finding("check.limited", message, most / many, stage="audit.columns")


def _ranks(values: np.ndarray) -> np.ndarray:
    """Return ranks around 0; missing cells are in the middle."""
    ranks, known = np.zeros(len(values)), np.isfinite(values)
    ranks[known] = rankdata(values[known]) - (known.sum() + 1) / 2
    return ranks


def nested(columns: Sequence[Column]) -> Iterator[Finding]:
    """Find columns that tell another: a city its country, a diagnosis its chapter; and the exceptions.

    Theil's U of the told column given the other, over the rows that have both: the share of its entropy
    that is explained. Two columns that tell one another are told once.
    """
    some = [c for c in columns if c.kind in ("categorical", "boolean") or (c.kind == "numeric" and _few(c))]
    some = [c for c in some if 2 <= c.distinct <= min(MOST_VALUES, c.filled / RARE)]
    some = [c for c in some if c.filled - c.counts["count"][0] >= RARE]
    if len(some) > MOST_CATEGORIES:
        yield _limited(len(some), "columns of categories", MOST_CATEGORIES)
        some = some[:MOST_CATEGORIES]
    codes = [_codes(c)[:MOST_ROWS] for c in some]
    orders = [_order(c) for c in some]
    for i, first in enumerate(some):
        for j, second in enumerate(some[:i]):
            if orders[i] == orders[j]:
                continue  # told as twins
            joint = _joint(codes[i], codes[j], first.distinct, second.distinct)
            forward, backward = _told(joint), _told(joint.T)
            if max(forward, backward) >= TELLS and not _alike(first, second):
                yield (
                    _nesting(first, second, forward)
                    if forward >= backward
                    else _nesting(second, first, backward)
                )


def _few(column: Column) -> bool:
    values = column.numbers[:, 0]
    return column.distinct <= 100 and bool((values == np.round(values)).all())


def _alike(first: Column, second: Column) -> bool:
    """Tell whether two columns were told as correlated or monotone."""
    if not first.kind == second.kind == "numeric":
        return False
    pair = pl.DataFrame([first.series.alias("a"), second.series.alias("b")]).head(MOST_ROWS).cast(pl.Float64)
    values = pair.drop_nulls().to_numpy()
    return abs(float(np.corrcoef(values, rowvar=False)[0, 1])) > CORRELATED or _curve(values) > MONOTONE


def _joint(one: np.ndarray, two: np.ndarray, many: int, others: int) -> np.ndarray:
    """Count the pairs of values in rows that have both."""
    known = (one < many) & (two < others)
    flat = np.bincount(one[known] * others + two[known], minlength=many * others)
    return flat.reshape(many, others)


def _told(joint: np.ndarray) -> float:
    """Return Theil's U of the columns given the rows."""
    whole = _entropy(joint.sum(axis=0))
    if whole == 0 or joint.sum() - joint.sum(axis=0).max() < RARE:
        return 0.0
    return 1 - (_entropy(joint.ravel()) - _entropy(joint.sum(axis=1))) / whole


def _nesting(teller: Column, told: Column, share: float) -> Finding:
    pair = pl.DataFrame([teller.series.alias("a"), told.series.alias("b"), pl.Series("id", teller.ids)])
    pair = pair.filter(pl.col("a").is_not_null() & pl.col("b").is_not_null())
    # The usual value of each; of two as frequent the first, so that no order of the rows matters.
    usual = pair.group_by("a", "b").len().sort("len", "b", descending=[True, False])
    usual = usual.group_by("a", maintain_order=True).first().select("a", pl.col("b").alias("usual"))
    odd = pair.join(usual, on="a").filter(pl.col("b") != pl.col("usual")).sort("id")
    message = f"'{teller.name}' tells '{told.name}': each of its {teller.distinct} values goes with one value"
    severity: Severity = "info"
    if odd.height:
        first = odd.row(0, named=True)
        message += (
            f", but for {odd.height} of {pair.height} rows, such as {shown(first['b'])} where "
            f"{shown(first['a'])} has {shown(first['usual'])} (Theil's U {share:.3f}). Errors?"
        )
        severity = "low"
    else:
        message += f" of '{told.name}' ({told.distinct})."
    ids = tuple(int(i) for i in odd["id"].head(Finding.ROWS_SHOWN))
    names = (teller.name, told.name)
    return Finding("columns.nested", message, share, severity, names, ids, odd.height, stage="audit.columns")


def _scaled(values: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        largest = np.nanmax(np.abs(values), axis=0, initial=0.0)
        values = values / np.where(largest > 0, largest, 1.0)
        return values - np.nanmean(np.where(np.isnan(values).all(axis=0), 0.0, values), axis=0)


def _correlation(number: np.ndarray) -> np.ndarray:
    norm = np.sqrt((number**2).sum(axis=0))
    number = number / np.where(norm > 0, norm, 1.0)
    return number.T @ number


def _entropy(counts: np.ndarray) -> float:
    counts = counts[counts > 0]
    share = counts / counts.sum()
    return float(-(share * np.log(share)).sum())


def chance_copies(columns: Sequence[Column]) -> float:
    """Return how many pairs of equal rows to expect by chance, were the columns independent.

    Where every column has few values, equal rows are no copies of one another.
    """
    return chance_of_a_copy(columns) * columns[0].rows * (columns[0].rows - 1) / 2 if columns else 0.0


def chance_of_a_copy(columns: Sequence[Column]) -> float:
    """Return the chance that two rows are equal, were the columns independent."""
    shares = [c.series.value_counts()["count"].to_numpy() / max(c.rows, 1) for c in columns]
    return float(np.prod([(share**2).sum() for share in shares])) if columns else 0.0


def comparable(columns: Sequence[Column]) -> list[Column]:
    """Return the columns whose values can be counted and that have some."""
    return [c for c in columns if c.kind in COUNTED and c.filled]
