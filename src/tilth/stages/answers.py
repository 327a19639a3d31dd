"""What the rows of a table are to answer: classes as codes, or numbers; and the columns they answer from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tilth.errors import DataError
from tilth.stages.classes import Classes
from tilth.table import Table


@dataclass(frozen=True)
class Answers:
    """Hold the target of each row, read as what it is.

    Parameters
    ----------
    values : ndarray of shape (n_rows,), int64 or float64
        Codes of classes, or numbers; of no meaning where not `known`.
    known : ndarray of shape (n_rows,), bool
    names : list of str
        The classes; empty for numbers.
    """

    values: np.ndarray
    known: np.ndarray
    names: list[str]

    @classmethod
    def of(cls, table: Table, stage: str) -> Answers:
        """Read the target: texts, booleans and whole numbers of at most 20 values are classes.

        Raises
        ------
        DataError
            If the target has one class only, or is neither classes nor finite numbers.
        """
        from tilth.probes.target import task_of

        target = table.need("target", stage)
        known = target.is_not_null().to_numpy()
        if not known.any():
            return cls(np.zeros(len(target), np.int64), known, [])
        if task_of(target.drop_nulls().to_numpy()) == "classification":
            classes = Classes.of(target, stage)
            return cls(classes.codes, known, classes.names)
        values = target.cast(float).fill_null(0.0).to_numpy()
        if not np.isfinite(values).all():
            raise DataError(
                f"{stage}: the target '{target.name}' is infinite in {int((~np.isfinite(values)).sum())} "
                "rows. Drop those rows, or clip them."
            )
        return cls(values, known, [])

    @property
    def codes(self) -> np.ndarray:
        """Return the class of each row; 0 for all where there are no classes."""
        return self.values if self.names else np.zeros(len(self.values), np.int64)

    def spared(self, gone: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Return the rows that go, without the best row of a class that would lose all of them."""
        kept = gone.copy()
        for code in range(len(self.names)):
            own = np.flatnonzero(self.known & (self.codes == code))
            if len(own) and gone[own].all():
                kept[own[values[own].argmax()]] = False
        return kept
