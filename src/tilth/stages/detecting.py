"""What stages that score rows share: from scores to flagged rows, and for each the columns that say why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Gt, Le

from tilth.core.plan import RowPlan
from tilth.core.stage import RowStage
from tilth.stages.reading import Reading, in_hashed_order, read_columns
from tilth.statistics import medcouple
from tilth.statistics.tails import rarities
from tilth.table import Table, kind_of

Threshold = Annotated[float, Gt(0), Le(0.5)] | Literal["adjusted", "boxplot", "mad"]
"""Which rows are flagged: the share with the highest scores, or those beyond the bound of a named rule."""

Action = Literal["drop", "weight", "report"]

MOST_REASONS = 3
"""Columns named in a reason."""
TYPICAL = 0.999
"""The share of the other rows that lie in the range a reason names."""
FEW = 0.5
"""A class that would lose more than this share of its rows is reported."""
MOST_CLASSES = 50


class Detector(RowStage):
    """Score how far each row is from the others, and act on those beyond a threshold.

    An author writes `measure`, which sees the columns as `Reading` reads them, and may write
    `contributions`. Scores must not tell that a cell is missing: no row is flagged for its gaps alone.

    Attributes
    ----------
    scaled : {'standard', 'none'}
        How numbers are read.
    """

    handles: ClassVar = ("numeric", "categorical", "boolean", "datetime")
    finds: ClassVar = {
        "outliers.rows": "rows lie far from the others",
        "outliers.class": "most rows of a class lie far from the others",
    }
    scaling: ClassVar = "local"
    scaled: Literal["standard", "none"] = "standard"
    threshold: float | str
    action: str

    def measure(self, reading: Reading, matrix: np.ndarray) -> np.ndarray:
        """Return a score per row, of shape (n_rows,): the higher, the farther from the others.

        Parameters
        ----------
        matrix : ndarray of shape (n_rows, n_columns), float64
            In the order of the rows' hashed ids, so that nothing depends on the order they came in.
            Every column has a value.
        """
        raise NotImplementedError

    def contributions(self, reading: Reading, matrix: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return what each column adds to the scores of `rows`, of shape (len(rows), n_columns).

        By default how rare the cell is in its column, beyond what is usual there.
        """
        return rarity(reading, matrix, rows)

    def plan(self, table: Table) -> RowPlan:
        """Score the rows, and say what becomes of those beyond the threshold."""
        reading, matrix = read_columns(table, self.columns_, self.scaled)
        if not reading.columns:
            return RowPlan.keep_all(table.height)
        order = in_hashed_order(table.ids)
        matrix = matrix[order]
        scores = np.empty(table.height)
        scores[order] = self.measure(reading, matrix)
        limit, rule = limit_of(scores, self.threshold)
        place = np.empty(table.height, np.int64)
        place[order] = np.arange(table.height)
        return decide(
            self,
            table,
            table.frame.select(reading.columns).collect(),
            scores,
            scores > limit,
            limit,
            rule,
            lambda flagged: self.contributions(reading, matrix, place[flagged]),
        )


def decide(
    stage: RowStage,
    table: Table,
    rows: pl.DataFrame,
    scores: np.ndarray,
    flagged: np.ndarray,
    limit: float,
    rule: str,
    contributions: Callable[[np.ndarray], np.ndarray],
) -> RowPlan:
    """Say what becomes of the rows flagged, by the stage's action, and report them with what sets them apart.

    No class loses all its rows.

    Parameters
    ----------
    stage : RowStage
        With an `action`: 'drop', 'weight' or 'report'.
    table : Table
    rows : DataFrame
        The columns of `table` that may be named in reasons.
    scores : ndarray of shape (n_rows,), float64
        The higher, the farther from the others.
    flagged : ndarray of shape (n_rows,), bool
    limit : float
        The score that a row may have and count in full.
    rule : str
        How the rows were chosen, in words.
    contributions : callable
        Returns for rows, by position in `table`, what each column of `rows` adds to their scores.
    """
    flagged = _spared(stage, table, scores, flagged)
    at = np.flatnonzero(flagged)
    times, weight = np.ones(table.height, np.int64), None
    reason = np.full(table.height, "", dtype=object)
    if len(at):
        top = np.argsort(-contributions(at), axis=1, kind="stable")[:, :MOST_REASONS]
        reason[at] = [told or "far from the others" for told in reasons(rows, flagged, top)]
        _tell(stage, table, scores, reason, [rows.columns[c] for c in top[:, :1].ravel()], rule)
    action = stage.get_params(deep=False)["action"]
    if action == "drop":
        times[at] = 0
    elif action == "weight":
        weight, middle = np.ones(table.height), float(np.median(scores))
        beyond = np.maximum(scores[at] - middle, 0)
        share = np.divide(limit - middle, beyond, out=np.ones(len(at)), where=beyond > 0)
        weight[at] = np.clip(share, 0, 1)
    return RowPlan(times, weight=weight, reason=reason, score=-scores)


def _spared(stage: RowStage, table: Table, scores: np.ndarray, flagged: np.ndarray) -> np.ndarray:
    """Report classes that would lose most of their rows; none loses its least abnormal one."""
    target = table.role("target")
    if (
        target is None
        or not flagged.any()
        or kind_of(target.dtype) not in ("categorical", "boolean", "numeric")
    ):
        return flagged
    classes = (
        pl.DataFrame({"y": target, "out": flagged})
        .drop_nulls("y")
        .group_by("y")
        .agg(pl.len().alias("rows"), pl.col("out").sum())
    )
    if classes.height > MOST_CLASSES:
        return flagged
    kept = flagged.copy()
    for label, count, out in classes.sort("y").filter(pl.col("out") > FEW * pl.col("rows")).iter_rows():
        told = f"{out} of {count} rows of class '{label}' ({out / count:.0%}) lie far from the others: "
        told += "they may be what the class looks like. Look before you drop them."
        stage.report("outliers.class", told, out / count, severity="high", n_rows=out)
        if out == count:
            own = np.flatnonzero((target == label).fill_null(False).to_numpy())
            kept[own[scores[own].argmin()]] = False
    return kept


def _tell(
    stage: RowStage, table: Table, scores: np.ndarray, reason: np.ndarray, first: list[str], rule: str
) -> None:
    flagged = reason != ""
    names, counts = np.unique(np.array(first, dtype=object), return_counts=True)
    often = [str(n) for n in names[np.argsort(-counts, kind="stable")][:MOST_REASONS]]
    by = f", most often by {', '.join(map(repr, often))}" if often else ""
    share = float(flagged.mean())
    stage.report_rows(
        "outliers.rows",
        f"{int(flagged.sum())} of {len(flagged)} rows ({share:.2%}) lie far from the others ({rule}){by}. "
        f"The farthest: {reason[np.where(flagged, scores, -np.inf).argmax()]}.",
        table.ids[flagged],
        -scores[flagged],
        score=share,
        severity="low",
        columns=tuple(often),
        # A stage around an estimator cannot be written in a recipe.
        remedy={stage.key: {"action": "weight"}} if getattr(stage, "recipe", True) else None,
    )


def limit_of(scores: np.ndarray, threshold: float | str) -> tuple[float, str]:
    """Return the score beyond which a row is flagged, and the rule in words.

    Parameters
    ----------
    scores : ndarray of shape (n_rows,), float64
    threshold : float or {'adjusted', 'boxplot', 'mad'}
        A share of the rows; or the upper fence of the boxplot adjusted to skewness, of the plain one, or
        3.5 scaled median deviations above the median.

    Source
    ------
    Hubert and Vandervieren, "An adjusted boxplot for skewed distributions", CSDA 52 (2008).
    """
    if not isinstance(threshold, str):
        # The interpolation that pyod's contamination uses, so that the same rows are flagged.
        return float(np.quantile(scores, 1 - threshold)), f"the {threshold:.2%} with the highest scores"
    first, middle, third = np.quantile(scores, [0.25, 0.5, 0.75])
    if threshold == "mad":
        spread = 1.482602218505602 * np.median(np.abs(scores - middle))
        return float(middle + 3.5 * spread), "3.5 median deviations above the median score"
    if threshold == "boxplot":
        return float(third + 1.5 * (third - first)), "above the boxplot's fence"
    skew = medcouple(scores)
    factor = np.exp(3 * skew) if skew >= 0 else np.exp(4 * skew)
    return float(third + 1.5 * factor * (third - first)), "above the adjusted boxplot's fence"


def rarity(reading: Reading, matrix: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return how much rarer the cells of `rows` are than those of their column are on average.

    Without the average, a column in which every value is rare, such as a name, would be the reason for
    each row.

    Returns
    -------
    ndarray of shape (len(rows), n_columns), float64
        In the terms of `tilth.statistics.tails.rarities`.
    """
    return np.column_stack([r[rows] - r.mean() for r in rarities(matrix, reading.categories)])


def reasons(rows: pl.DataFrame, flagged: np.ndarray, top: np.ndarray) -> list[str]:
    """Say for each flagged row which cells set it apart, and what is usual there.

    Parameters
    ----------
    rows : DataFrame
    flagged : ndarray of shape (n_rows,), bool
    top : ndarray of shape (n_flagged, n_reasons), int
        The columns to name, the one that tells most first.

    Returns
    -------
    list of str
        Empty where a row has none of these cells.
    """
    out, others = rows.filter(flagged), rows.filter(~flagged)
    cells = {place: _cells(out.to_series(place), others.to_series(place)) for place in np.unique(top)}
    told = ([cells[place][row] for place in places] for row, places in enumerate(top))
    return ["; ".join(filter(None, parts)) for parts in told]


def _cells(out: pl.Series, others: pl.Series) -> list[str]:
    """Describe each cell of a column beside what the other rows hold."""
    if kind_of(out.dtype) in ("categorical", "boolean"):
        text, usual = out.cast(pl.String), others.cast(pl.String)
        known = max(usual.count(), 1)
        counts = dict(usual.drop_nulls().value_counts().iter_rows())
        share = {v: f"{out.name} '{v}' ({counts.get(v, 0) / known:.2%} of the others)" for v in text.unique()}
        return ["" if v is None else share[v] for v in text]
    physical = others.to_physical().drop_nulls()
    if not len(physical):
        return ["" if v is None else f"{out.name} {_shown(v)}" for v in out]
    low, high = (physical.quantile(q, "nearest") for q in ((1 - TYPICAL) / 2, (1 + TYPICAL) / 2))
    bounds = pl.Series([low, high]).cast(others.to_physical().dtype).cast(others.dtype)
    spread = f"{TYPICAL:.1%} of the others: {_shown(bounds[0])}..{_shown(bounds[1])}"
    return ["" if v is None else f"{out.name} {_shown(v)} ({spread})" for v in out]


def _shown(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
