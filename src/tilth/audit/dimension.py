"""How many dimensions the numbers fill, which columns the others tell, and whether fewer should do."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import get_cached_controller

from tilth.audit.numbers import MOST_COLUMNS, Numbers
from tilth.core.finding import Finding, Severity
from tilth.neighbors import Space, nearest
from tilth.statistics.dimension import (
    Concentration,
    Inflation,
    Spectrum,
    TwoNN,
    concentration,
    dimension_at,
    hubness,
    two_nn,
)
from tilth.table import Table

FINDS = {
    "dimension.rank": "columns are told exactly by a linear combination of others",
    "dimension.collinear": "columns are told almost by a linear combination of others",
    "dimension.wide": "columns are many beside the rows",
    "dimension.intrinsic": "rows fill fewer dimensions than there are columns",
    "dimension.concentration": "the nearest row is hardly nearer than the farthest",
    "dimension.reduce": "whether fewer dimensions should pay",
}

ASKED = 2000
"""Rows whose neighbors are looked for: each is compared with all others."""

INFLATED = 10.0
"""Variance inflation that is called collinear: the others tell nine tenths of a column's variance."""

THIN = 3
"""Rows per column that an inflation factor needs: of fewer, columns are told by one another by chance."""

WIDE, LEAST_COLUMNS, LEAST_ROWS = 10, 8, 50
"""Rows per column below which columns are many; columns and rows from which dimensions are worth a word."""

CLOSE = 1.0
"""The farthest row is not twice as far as the nearest: distances say little."""

TWINS = 0.95
"""Correlation from which on one of two columns may go; the default of select.correlated."""

HELD, FLAT = 0.99, 0.5
"""Axes that hold this share of the variance are few if they are at most this share of the columns."""

SHOWN = 5
TOLD = ("columns.identical", "columns.one_to_one", "columns.correlated")
"""Findings about two columns of which the second is left out here, so that nothing is told twice."""


@dataclass(frozen=True, eq=False)
class Shape:
    """Hold what the rows' distances and variances say, beside those of independent columns.

    Independent columns are the same ones, each shuffled by itself: what a measure is there is what so many
    columns of such values come to, and no property of how they go together.
    """

    numbers: Numbers
    spectrum: Spectrum
    near: TwoNN
    far: float
    shuffled: float
    close: Concentration
    close_shuffled: Concentration
    hubs: float

    FAR = 16
    """The neighbor, and the one twice as many behind, that tell the dimension from farther away."""

    HUBS = 10

    @classmethod
    def of(cls, numbers: Numbers, seed: int = 0) -> Shape:
        """Measure a sample; copies of a row are taken once."""
        random = np.random.default_rng(seed)
        spectrum = Spectrum.of(numbers.unit)
        rows = np.unique(numbers.unit[:ASKED], axis=0)
        apart = np.column_stack([random.permutation(column) for column in rows.T]) if rows.size else rows
        k = min(2 * cls.FAR, len(rows) - 1)
        if k < 2:
            nothing = Concentration(float("nan"), float("nan"))
            none = two_nn(np.empty((0, 2)))
            return cls(numbers, spectrum, none, float("nan"), float("nan"), nothing, nothing, 0.0)
        distances, indices = nearest(Space(), rows, rows, k, exclude_self=True)
        shuffled = nearest(Space(), apart, apart, 2, exclude_self=True)[0]
        order = random.permutation(len(rows))
        return cls(
            numbers,
            spectrum,
            two_nn(distances),
            dimension_at(distances, k // 2),
            two_nn(shuffled).dimension,
            concentration(rows[order]),
            concentration(apart),
            hubness(indices[:, : cls.HUBS], len(rows)),
        )

    @property
    def rows_per_column(self) -> float:
        """Divide the rows of the whole table by its columns of numbers."""
        return self.numbers.rows / max(self.numbers.columns, 1)

    @property
    def single(self) -> list[int]:
        """Place the columns that are no elements of a vector: those stay together."""
        numbers = self.numbers
        return [j for j, name in enumerate(numbers.names) if name == numbers.owners[j]]

    @property
    def twins(self) -> list[str]:
        """Name the columns that `select.correlated` would leave out, or others as many: see `TWINS`."""
        numbers, single = self.numbers, self.single
        unit = numbers.unit[:, single]
        correlation = np.abs(unit.T @ unit) / max(len(unit), 1)
        gone = np.zeros(len(single), bool)
        for j in range(len(single)):
            gone[j] = bool((correlation[j, :j][~gone[:j]] >= TWINS).any())
        return [numbers.names[j] for j, g in zip(single, gone, strict=True) if g]

    @property
    def remedy(self) -> dict[str, Any] | None:
        """Return the recipe line that should keep the score with fewer columns; None where there is none."""
        return {"select.correlated": {"threshold": TWINS}} if self.twins else None

    @property
    def flat(self) -> bool:
        """Tell whether half of the axes hold 99% of the variance, and so all but 1% of squared distances."""
        return self.spectrum.needed(HELD) <= FLAT * len(self.numbers.names)

    def facts(self) -> dict[str, float]:
        """Return what was measured, by name."""
        return {
            "rows": float(self.numbers.rows),
            "columns": float(self.numbers.columns),
            "rows_per_column": self.rows_per_column,
            "intrinsic": self.near.dimension,
            "intrinsic_far": self.far,
            "intrinsic_shuffled": self.shuffled,
            "participation": self.spectrum.participation,
            "rank": float(self.spectrum.rank),
            "axes": float(self.spectrum.needed(HELD)),
            "twins": float(len(self.twins)),
            "contrast": self.close.contrast,
            "contrast_shuffled": self.close_shuffled.contrast,
            "hubness": self.hubs,
        }


def look(
    table: Table, findings: Sequence[Finding] = (), without: Collection[str] = (), seed: int = 0
) -> Iterator[Finding]:
    """Look at the numbers of a table as a whole.

    Parameters
    ----------
    table : Table
    findings : sequence of Finding
        What was told of pairs of columns.
    without : collection of str
        Columns that are no measures, such as names of rows.
    seed : int
    """
    # A few products of matrices: threads would wait for one another as long as they work.
    with get_cached_controller().limit(limits=1, user_api="blas"):
        numbers = Numbers.of(table, without, seed)
        if numbers.left_out:
            message = (
                f"Of {numbers.columns} columns of numbers the first {MOST_COLUMNS} were looked at together."
            )
            yield _finding("check.limited", message, MOST_COLUMNS / numbers.columns)
        yield from collinear(numbers, findings)
        if len(numbers.names) >= LEAST_COLUMNS and len(numbers.unit) >= 2:
            yield from spread(Shape.of(numbers, seed))


def collinear(numbers: Numbers, findings: Sequence[Finding] = ()) -> Iterator[Finding]:
    """Find columns that the others tell, in part or whole; those of a pair already told are left out."""
    told = {f.columns for f in findings if f.kind in TOLD and set(f.columns) <= set(numbers.names)}
    numbers = numbers.less({pair[1] for pair in told})
    rows, width = numbers.unit.shape
    if width < 3 or rows < THIN * width:
        return
    inflation, condition = Inflation.of(numbers.unit), Spectrum.of(numbers.unit).condition
    if inflation.spare:
        spare = inflation.spare
        shown = "; ".join(_told_by(numbers, inflation, j) for j in spare[:SHOWN])
        more = f"; {len(spare) - SHOWN} more" if len(spare) > SHOWN else ""
        message = (
            f"Others tell {len(spare)} of {width} columns of numbers exactly: {shown}{more}. "
            "Fits without a penalty have no one answer here: leave these columns out."
        )
        columns = numbers.columns_of(spare)
        yield _finding("dimension.rank", message, len(spare) / width, "low", columns, numbers)
    # Of R^2 what chance gives is taken off: columns are told better the more of them there are.
    factors = inflation.factors * (rows - width) / (rows - 1)
    high = [j for j in np.argsort(-factors, kind="stable") if INFLATED <= factors[j] < np.inf]
    if high:
        shown = "; ".join(
            f"{_told_by(numbers, inflation, j)} ({inflation.factors[j]:.3g})" for j in high[:SHOWN]
        )
        more = f"; {len(high) - SHOWN} more" if len(high) > SHOWN else ""
        index = f"Condition number {condition:.3g}. " if np.isfinite(condition) else ""
        message = (
            f"Variance inflation is {INFLATED:g} or more in {len(high)} of {width} columns of numbers: "
            f"{shown}{more}. {index}Weights of linear models are uncertain here, predictions need not be."
        )
        columns = numbers.columns_of(high)
        yield _finding("dimension.collinear", message, float(factors[high[0]]), "low", columns, numbers)


def _told_by(numbers: Numbers, inflation: Inflation, column: int) -> str:
    partners = inflation.partners(column, most=4)
    names = [f"'{numbers.names[j]}'" for j in partners]
    told = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    return f"'{numbers.names[column]}' by {told}"


def spread(shape: Shape) -> Iterator[Finding]:
    """Tell how many dimensions rows fill, whether distances still tell, and what fewer columns would do."""
    numbers = shape.numbers
    many = f"{numbers.columns} columns of numbers"
    if shape.rows_per_column < WIDE:
        fits = "Linear models fit any labels" if shape.rows_per_column < 1 else "Models fit chance"
        message = (
            f"{numbers.rows} rows for {many}: {shape.rows_per_column:.2g} rows per column. {fits} unless a "
            "penalty holds them back: only scores of rows held out count."
        )
        severity: Severity = "medium" if shape.rows_per_column < 1 else "low"
        yield _finding("dimension.wide", message, shape.rows_per_column, severity)
    if not np.isfinite(shape.near.dimension) or shape.near.rows < LEAST_ROWS:
        return
    near, spectrum = shape.near, shape.spectrum
    message = (
        f"Rows fill about {near.dimension:.1f} dimensions ({near.low:.1f} to {near.high:.1f}; "
        f"{shape.far:.1f} from farther away) of {many}; independent columns with the same values would look "
        f"like {shape.shuffled:.1f}. Their variance is that of {spectrum.participation:.1f} equal axes."
    )
    yield _finding("dimension.intrinsic", message, near.dimension, "info", (), numbers)
    if shape.close.contrast < CLOSE:
        message = (
            f"The farthest row is only {1 + shape.close.contrast:.2f} times as far as the nearest (median; "
            f"{1 + shape.close_shuffled.contrast:.2f} in independent columns), and distances vary by "
            f"{shape.close.variation:.0%} of their mean: neighbors, clusters and outliers by distance "
            f"tell little. Skewness of how often a row is a neighbor: {shape.hubs:.1f}."
        )
        yield _finding("dimension.concentration", message, shape.close.contrast, "low", (), numbers)
    yield _reduce(shape)


def _reduce(shape: Shape) -> Finding:
    """Say what to expect of fewer columns: what benchmarks/dimension.py has measured on real sets."""
    width, axes, twins = len(shape.single), shape.spectrum.needed(HELD), shape.twins
    told = []
    if twins:
        named = ", ".join(f"'{name}'" for name in twins[:SHOWN]) + (" ..." if len(twins) > SHOWN else "")
        told.append(
            f"Of {width} columns of numbers {len(twins)} could go, each with a correlation of {TWINS} or "
            f"more to one that stays ({named}): models as a rule score the same without."
        )
    elif width > 1:
        told.append(
            f"No two of {width} columns of numbers have a correlation of {TWINS} or more: none is spare."
        )
    if shape.flat:
        told.append(
            f"{axes} principal components hold {HELD:.0%} of the variance of standardized columns, and so "
            f"the distances: `reduce.pca: {{keep: {HELD}, scale: true}}` should do for neighbors, clusters."
        )
    told.append(
        "Components seldom raise a model's score, and often lower that of trees: let a comparison decide."
    )
    return Finding(
        "dimension.reduce",
        " ".join(told),
        len(twins) / max(width, 1),
        "info",
        tuple(twins),
        remedy=shape.remedy,
        stage="audit.dimension",
    )


def _finding(
    kind: str,
    message: str,
    score: float,
    severity: Severity = "info",
    columns: tuple[str, ...] = (),
    numbers: Numbers | None = None,
) -> Finding:
    if numbers is not None and numbers.filled:
        message += f" Missing cells ({numbers.filled:.1%}) were held to be the mean."
    return Finding(kind, message, float(score), severity, columns, stage="audit.dimension")
