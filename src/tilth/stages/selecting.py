"""What stages that choose among columns share: what stays, what goes, and why."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
from sklearn.utils.validation import check_is_fitted

from tilth.core.stage import ColumnStage


class Choosing(ColumnStage):
    """Leave out columns, the same of training rows and new rows.

    An author writes `learn`, which ends with `settle`.

    Attributes
    ----------
    kept_ : list of str
        The columns that stay, in order: those chosen, and those that were not looked at.
    dropped_ : dict of column to str
        Why a column goes.
    scores_ : dict of column to float
        What the choice rests on, of each column looked at.
    """

    def settle(self, dropped: Mapping[str, str], scores: Mapping[str, float]) -> None:
        """Say which columns go, and why, and what was found of each that was looked at."""
        # Columns that stay are not worked on: they go out as they came in.
        self.columns_ = [c for c in self.columns_ if c in dropped]
        self.kept_ = [c for c in self.schema_ if c not in dropped]
        self.dropped_ = {c: dropped[c] for c in self.columns_}
        self.scores_ = dict(scores)

    def leaves(self, dropped: Mapping[str, str]) -> bool:
        """Tell whether a column is left once these are dropped."""
        return any(c not in dropped for c in self.schema_)

    def get_support(self, indices: bool = False) -> np.ndarray:
        """Tell which columns stay, as scikit-learn's selectors do.

        Parameters
        ----------
        indices : bool
            Return the places of these columns instead of a mask over all.

        Returns
        -------
        ndarray of shape (n_columns,), bool, or (n_kept,), int64
        """
        check_is_fitted(self, "kept_")
        gone = set(self.dropped_)
        mask = np.array([c not in gone for c in self.schema_], dtype=bool)
        return np.flatnonzero(mask) if indices else mask

    def change(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Leave out the columns."""
        return frame.drop(self.columns_)
