"""The classes of a target, as codes: what every stage that treats classes begins with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from tilth.core.stage import Stage
from tilth.errors import DataError, listed
from tilth.table import kind_of

MOST_CLASSES = 20
"""Whole numbers of up to so many distinct values are always classes."""


@dataclass(frozen=True)
class Classes:
    """Hold the classes of a target, sorted, and the class of each row.

    Parameters
    ----------
    levels : Series of shape (n_classes,)
        In the target's own type.
    codes : ndarray of shape (n_rows,), int64
        The place in `levels`; -1 where the label is missing.
    """

    levels: pl.Series
    codes: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """Count the rows of each class."""
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.levels))

    @property
    def names(self) -> list[str]:
        """Name the classes, for messages."""
        return [str(level) for level in self.levels]

    @classmethod
    def of(cls, target: pl.Series, stage: str) -> Classes:
        """Read the classes of a target.

        Raises
        ------
        DataError
            If the target holds values rather than classes: fractions, dates, or whole numbers of
            more than 20 distinct values that take less than 20 rows each, on average. Or if it has
            one class only.
        """
        _refuse_values(target, stage)
        text = target.dtype in (pl.Categorical, pl.Enum)
        # Categories sort by their text: their physical codes depend on the order they were met in.
        column = target.cast(pl.String) if text else target
        levels = column.drop_nulls().unique().sort()
        if len(levels) == 1:
            raise DataError(
                f"{stage}: the target '{target.name}' has one class, {levels[0]!r}, in {len(target)} rows: "
                "there is nothing to tell apart. Choose another target, or rows of other classes too."
            )
        places = pl.Series(range(len(levels)), dtype=pl.Int64)
        if len(levels):
            codes = column.replace_strict(levels, places, default=None, return_dtype=pl.Int64)
        else:
            codes = pl.repeat(None, len(column), dtype=pl.Int64, eager=True)
        return cls(levels.cast(target.dtype), codes.fill_null(-1).to_numpy())


def place_of(name: object, names: list[str], where: str) -> int:
    """Return which class a name means.

    Parameters
    ----------
    name : str, int or bool
        Compared as text; a boolean is also written small.
    names : list of str
        Those of the classes.
    where : str
        The stage and parameter, for the message.

    Raises
    ------
    DataError
        No class is named so.
    """
    word = str(name)
    for place, known in enumerate(names):
        if known == word or (isinstance(name, bool) and known.lower() == word.lower()):
            return place
    raise DataError(
        f"{where}: names the class {word!r}, and the classes are {listed(map(repr, names))}. "
        "Name classes as they stand in the target."
    )


def report_imbalance(stage: Stage, classes: Classes) -> None:
    """Report how much smaller the smallest class is than the largest."""
    counts, names = classes.counts, classes.names
    small, large = int(counts.argmin()), int(counts.argmax())
    stage.report(
        "balance.classes",
        f"Class '{names[small]}' has {counts[small]} rows, class '{names[large]}' {counts[large]}.",
        float(counts[small] / counts[large]),
        severity="medium" if counts[small] < 0.1 * counts[large] else "low",
        n_rows=int(counts[small]),
        remedy={"balance.threshold": {}},
    )


def _refuse_values(target: pl.Series, stage: str) -> None:
    kind = kind_of(target.dtype)
    present = target.drop_nulls()
    what = ""
    if kind not in ("numeric", "categorical", "boolean"):
        what = f"holds {target.dtype}"
    elif target.dtype.is_float() or target.dtype.is_decimal():
        fractions = present.filter(present != present.round(0))
        what = f"holds fractions, such as {fractions[0]}" if len(fractions) else ""
    distinct = present.n_unique() if kind == "numeric" and not what else 0
    if distinct > MOST_CLASSES and distinct * MOST_CLASSES > len(present):
        what = f"holds {distinct} distinct numbers in {len(present)} rows"
    if what:
        raise DataError(
            f"{stage}: works on classes, but the target '{target.name}' {what}: "
            "Unknown label type: continuous. Leave this stage out for a regression, "
            "or cut the target into classes first (for example quartiles, by polars' qcut)."
        )
