"""What columns tell of a target: the rows that are asked, and three ways to ask them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tilth.stages.answers import Answers
from tilth.stages.folds import folds_of
from tilth.stages.reading import Reading, in_hashed_order
from tilth.statistics import Statistics, hash_rows, key_of
from tilth.statistics.association import ranked
from tilth.statistics.information import beyond_chance, binned, mutual_information
from tilth.table import Roles, Table

Measure = Literal["forest", "information", "boosting", "linear"]
"""How important a column is: by the splits of a forest, alone by mutual information, or by how much worse a
probe's guesses for rows held out become without it."""

LEAF = 5
"""Rows in a leaf of the forest: fewer, and it remembers rows."""
MOST_BINS = 10
ROWS_PER_BIN = 10
TINY = 1e-6
"""No probability counts as lower: one row cannot decide."""


@dataclass(frozen=True)
class Evidence:
    """Hold the labeled rows that are asked, in an order that does not depend on how they came.

    Columns are in the order of their names, for the same reason.

    Parameters
    ----------
    frame : DataFrame of shape (n_rows, n_columns)
    target : ndarray of shape (n_rows,), int64 or float64
        Codes of classes from 0, or the ranks of numbers, from -1 to 1.
    classes : int
        0 for numbers.
    ids : ndarray of shape (n_rows,), uint64
    weight : ndarray of shape (n_rows,), float64, or None
    groups : Series of shape (n_rows,), or None
    """

    frame: pl.DataFrame
    target: NDArray[Any]
    classes: int
    ids: NDArray[np.uint64]
    weight: NDArray[np.float64] | None
    groups: pl.Series | None

    @classmethod
    def gather(
        cls, statistics: Statistics, columns: list[str], stage: str, max_rows: int, seed: int
    ) -> Evidence:
        """Take a sample of the rows that have a label and a weight above 0.

        Raises
        ------
        DataError
            The target has one class only, or is neither classes nor finite numbers.
        """
        target = statistics.target or ""
        usable = pl.col(target).is_not_null()
        if statistics.weight is not None:
            usable &= pl.col(statistics.weight) > 0
        some = Statistics([shard.filter(usable) for shard in statistics.shards], statistics.id_column)
        roles = [c for c in (statistics.weight, statistics.group) if c is not None]
        wanted = [*sorted(columns), target, *roles, statistics.id_column]
        rows = some.sample(list(dict.fromkeys(wanted)), max_rows, seed)
        rows = rows[in_hashed_order(rows[statistics.id_column].to_numpy())]
        answers = Answers.of(Table.of(rows.select(target), roles=Roles(target=target)), stage)
        values = answers.values
        if not answers.names:
            values = np.nan_to_num(ranked(values.astype(np.float64)[:, None])[:, 0])
        return cls(
            rows.select(sorted(columns)),
            values,
            len(answers.names),
            rows[statistics.id_column].to_numpy(),
            None if statistics.weight is None else rows[statistics.weight].cast(pl.Float64).to_numpy(),
            None if statistics.group is None else rows[statistics.group],
        )

    @property
    def columns(self) -> list[str]:
        """Name the columns, in order."""
        return self.frame.columns

    @property
    def height(self) -> int:
        """Count the rows."""
        return self.frame.height

    @cached_property
    def matrix(self) -> NDArray[np.float64]:
        """Return the columns as trees read them: numbers by their ranks, categories as codes, gaps as NaN."""
        reading = Reading.learn(Statistics([self.frame.lazy()]), self.columns, "none")
        matrix = reading.matrix(self.frame)
        numbers = ~reading.categorical
        matrix[:, numbers] = ranked(matrix[:, numbers])
        matrix[:, reading.empty] = 0.0
        return matrix

    @cached_property
    def codes(self) -> NDArray[np.int64]:
        """Return the columns as categories: numbers in bins, and a level for gaps."""
        bins = self._bins
        codes = np.empty(self.matrix.shape, np.int64)
        for place, name in enumerate(self.columns):
            column = self.matrix[:, place]
            codes[:, place] = binned(column, int(np.nanmax(column)) + 1 if name in self._words else bins)
        return codes

    @cached_property
    def target_codes(self) -> NDArray[np.int64]:
        """Return the target as classes: numbers in bins."""
        return self.target if self.classes else binned(self.target, self._bins)

    @property
    def _bins(self) -> int:
        return int(
            np.clip(self.height // (ROWS_PER_BIN * max(2, min(self.classes, MOST_BINS))), 2, MOST_BINS)
        )

    def shuffled(self, seed: int, turn: int) -> NDArray[np.int64]:
        """Return an order of the rows that has nothing to do with the target.

        With groups, whole groups change places, one after another: rows that are alike stay together.
        """
        if self.groups is None:
            return np.argsort(hash_rows(seed, self.ids, turn), kind="stable")
        text = self.groups.cast(pl.String)
        keys = np.where(text.is_null().to_numpy(), self.ids, key_of(text.to_list()))
        was, now = (np.argsort(hash_rows(seed, keys, epoch), kind="stable") for epoch in (0, turn))
        order = np.empty(self.height, np.int64)
        order[was] = now
        return order

    def halves(self, seed: int) -> NDArray[np.bool_]:
        """Deal the rows into two halves, by class, no group in both: which rows are in the first."""
        codes = self.target if self.classes else None
        return folds_of(self.ids, 2, seed, codes, self.groups) == 0

    def within(self, rows: NDArray[np.bool_]) -> Evidence:
        """Return some of the rows; how columns are read stays."""
        some = Evidence(
            self.frame.filter(rows),
            self.target[rows],
            self.classes,
            self.ids[rows],
            None if self.weight is None else self.weight[rows],
            None if self.groups is None else self.groups.filter(pl.Series(rows)),
        )
        read = {"matrix": self.matrix, "codes": self.codes, "target_codes": self.target_codes}
        wide, source = self._wide
        some.__dict__.update({n: values[rows] for n, values in read.items()}, _wide=(wide[rows], source))
        return some

    def wide(
        self,
    ) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64] | None]:
        """Return the rows for a linear model: columns without gaps, their sources, targets and weights.

        Categories, and whether a cell is missing, are 0/1 columns; so are classes, the last left out.
        """
        matrix, source = self._wide
        targets = self.target[:, None].astype(np.float64)
        if self.classes:
            targets = (self.target[:, None] == np.arange(max(1, self.classes - 1))).astype(np.float64)
        return matrix, source, targets, self.weight

    @cached_property
    def _wide(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        from scipy.special import ndtri

        parts, source = [np.empty((self.height, 0))], []
        for place, name in enumerate(self.columns):
            column = self.matrix[:, place]
            gaps = np.isnan(column)
            if name in self._words:
                part = (column[:, None] == np.unique(column[~gaps])).astype(np.float64)
            elif self.frame.schema[name] == pl.Boolean:
                part = np.nan_to_num(column)[:, None]
            else:
                # Ranks as a normal variable has them: no far value decides.
                part = np.nan_to_num(ndtri(0.5 + 0.5 * column * self.height / (self.height + 1)))[:, None]
            parts += [part, gaps[:, None].astype(np.float64)] if gaps.any() else [part]
            source += [place] * (part.shape[1] + bool(gaps.any()))
        return np.hstack(parts), np.array(source, dtype=np.int64)

    @property
    def _words(self) -> set[str]:
        words = (pl.String, pl.Categorical, pl.Enum)
        return {c for c, dtype in self.frame.schema.items() if dtype in words}

    def importance(
        self, by: Measure, seed: int, trees: int, shadow: NDArray[np.int64] | None = None
    ) -> NDArray[np.float64]:
        """Return how important each column is, and each column's shadow if there are any.

        Parameters
        ----------
        by : {'forest', 'information', 'boosting', 'linear'}
        seed : int
        trees : int
            Of the forest.
        shadow : ndarray of shape (n_rows,), int64, optional
            The order of the rows in which the columns stand once more.

        Returns
        -------
        ndarray of shape (n_columns,) or (2 * n_columns,), float64
        """
        if by == "information":
            if shadow is None:
                return self._alone
            return np.concatenate([self._alone, self._information(self.codes[shadow])])
        if by == "forest":
            matrix = self.matrix if shadow is None else np.hstack([self.matrix, self.matrix[shadow]])
            return self._forest(matrix, seed, trees)
        frame = self.frame
        if shadow is not None:
            names = [f"{at} {name}" for at, name in enumerate(frame.columns)]
            copies = _named(frame[shadow], [f"{n}'" for n in names])
            frame = pl.concat([_named(frame, names), copies], how="horizontal")
        return self._held_out(frame, by, seed)

    @cached_property
    def _alone(self) -> NDArray[np.float64]:
        return self._information(self.codes)

    def _information(self, codes: NDArray[np.int64]) -> NDArray[np.float64]:
        rows: float = self.height
        if self.weight is not None:
            rows = float(self.weight.sum() ** 2 / (self.weight**2).sum())
        found = mutual_information(codes, self.target_codes, self.weight)
        return beyond_chance(found, int(rows), self._levels, len(np.unique(self.target_codes)))

    @cached_property
    def _levels(self) -> NDArray[np.int64]:
        return np.array([len(np.unique(column)) for column in self.codes.T], dtype=np.int64)

    def _forest(self, matrix: NDArray[np.float64], seed: int, trees: int) -> NDArray[np.float64]:
        from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

        kind = ExtraTreesClassifier if self.classes else ExtraTreesRegressor
        # Each split looks at a few columns only: of columns that say the same, each gets its turn.
        model = kind(
            trees, min_samples_leaf=LEAF, max_features="sqrt", bootstrap=True, random_state=seed % 2**32
        )
        return model.fit(matrix, self.target, self.weight).feature_importances_

    def _held_out(self, frame: pl.DataFrame, by: str, seed: int) -> NDArray[np.float64]:
        """Return the loss that shuffling a column adds for rows that the probe did not see."""
        from tilth.probes import probe

        task = "classification" if self.classes else "regression"
        added = np.zeros(frame.width)
        first = self.halves(seed)
        for held in (first, ~first):
            known = self.target[~held]
            if not held.any() or len(np.unique(known)) < 2:
                continue
            model = probe(by, task=task, random_state=seed % 2**31)
            model.fit(frame.filter(~held), known, None if self.weight is None else self.weight[~held])
            asked, order = frame.filter(held), np.argsort(hash_rows(seed, self.ids[held], 1), kind="stable")
            weight = None if self.weight is None else self.weight[held]
            plain = self._loss(model, asked, self.target[held], weight)
            for place, name in enumerate(frame.columns):
                told = asked.with_columns(asked[name][order])
                added[place] += self._loss(model, told, self.target[held], weight) - plain
        return added

    def _loss(self, model: Any, asked: pl.DataFrame, truth: NDArray[Any], weight: Any) -> float:
        if not self.classes:
            return float(np.average((model.predict(asked) - truth) ** 2, weights=weight))
        guess = np.full((asked.height, self.classes), TINY)
        guess[:, model.classes_] = np.maximum(model.predict_proba(asked), TINY)
        return float(np.average(-np.log(guess[np.arange(len(truth)), truth]), weights=weight))


def _named(frame: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    return frame.rename(dict(zip(frame.columns, names, strict=True)))
