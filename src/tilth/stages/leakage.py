"""What tells the target, and should not: one column at a time, on rows that it was not learned from."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from threadpoolctl import get_cached_controller

from tilth.core.finding import Severity
from tilth.probes import Inputs
from tilth.stages.column import Column
from tilth.stages.folds import folds_of
from tilth.statistics import uniform
from tilth.statistics.order import alike
from tilth.statistics.telling import SHARES, by_level, by_tree, naive_guess, parts, skill

FOLDS = 5
MOST_ROWS = 20_000
MOST_CLASSES = 50
"""Classes that are told apart; the rarest are one."""

FEW = 30
"""Labeled rows that are needed to ask at all."""

WORTH = 0.4
"""What a rough cut of a number must tell before a tree looks for the best cuts."""

TELLS, GIVEN_AWAY = 0.7, 0.85
"""Shares of the target's entropy, or variance: from the first a feature is named, from the second it tells
the target almost alone."""

MARGIN = 0.5
"""What the second share is raised by over the root of the rows: of few rows a share is uncertain."""

ALONE, APART = 3.0, 0.1
"""A feature stands alone if all others together leave three times as much untold, and a tenth in all. In an
easy problem they do not: petals are told from sepals, too, but a leak is told from nothing."""

FORMS = 3
"""Features of about the same strength that may be one leak; of more, the target is easy."""

FOLLOWS, SURE = 0.05, 0.01
"""The least excess of alike neighbors that is told, and the chance that it is chance."""


@dataclass(frozen=True)
class Question:
    """Hold the target of the rows that have one, as a model would be asked for it.

    Parameters
    ----------
    place : ndarray of int
        The rows: all with a label, or a sample by id; rising.
    truth : ndarray
        Class codes from 0, or values.
    n_classes : int
        0 for values.
    fold : ndarray of int
        A row is told from the rows of the other folds.
    naive : ndarray
        What is known of each row without any feature.
    """

    place: np.ndarray
    truth: np.ndarray
    n_classes: int
    fold: np.ndarray
    naive: np.ndarray

    @classmethod
    def of(
        cls,
        target: Column,
        classes: bool,
        groups: pl.Series | None = None,
        seed: int = 0,
        most: int = MOST_ROWS,
    ) -> Question:
        """Ask for a column, of at most so many rows."""
        place = np.flatnonzero(has_value(target.series))
        if len(place) > most:
            draws = uniform(seed, target.ids[place])
            place = np.sort(place[np.argsort(draws, kind="stable")[:most]])
        series = target.series[place]
        if classes:
            order = series.cast(pl.String).value_counts().sort("count", series.name, descending=[True, False])
            rank = dict(zip(order[series.name], range(order.height), strict=True))
            codes = series.cast(pl.String).replace_strict(rank, return_dtype=pl.Int64).to_numpy()
            truth = np.minimum(codes, MOST_CLASSES - 1)
        else:
            truth = series.cast(pl.Float64).to_numpy()
        own = None if groups is None else groups[place]
        fold = folds_of(target.ids[place], FOLDS, seed, truth if classes else None, own)
        count = int(truth.max()) + 1 if classes and len(truth) else 0
        naive = naive_guess(truth, fold, count) if len(truth) else truth
        return cls(place, truth, count, fold, naive)

    def told_by(self, guess: np.ndarray) -> float:
        """Return which share of the target a guess tells."""
        return skill(guess, self.truth, self.naive)

    def told_by_numbers(self, values: np.ndarray) -> float:
        """Return which share of the target a number tells."""
        rough = [self.told_by_levels(parts(values, n), len(self.place)) for n in (16, 64)]
        best = max(rough)
        if best < WORTH:
            return best
        trees = (by_tree(values, self.truth, self.fold, self.n_classes, share) for share in SHARES)
        return max(best, *map(self.told_by, trees))

    def told_by_levels(self, level: np.ndarray, most: float) -> float:
        """Return which share of the target categories tell; nothing where there are too many of them."""
        if level.max(initial=0) >= most:
            return 0.0
        return self.told_by(by_level(level, self.truth, self.fold, self.n_classes))


@dataclass(frozen=True)
class Suspect:
    """Hold a feature that tells the target almost alone.

    Parameters
    ----------
    name : str
    share : float
        Which share of the target it tells.
    severity : {'low', 'medium', 'high'}
    message : str
    """

    name: str
    share: float
    severity: Severity
    message: str


def suspects(columns: Sequence[Column], question: Question, ids: Collection[str] = ()) -> Iterator[Suspect]:
    """Find features that tell the target almost alone: is it known when a prediction is asked for?

    What a feature tells is measured on rows that it was not learned from: for classes the share of the
    log loss of the class shares that it takes away, for numbers the share of the variance. Severity is high
    only where no other features together tell nearly as much.

    Parameters
    ----------
    columns : sequence of Column
    question : Question
    ids : collection of str
        Columns that name or number the rows.
    """
    if len(question.place) < FEW:
        return
    shares = {c.name: told(c, question) for c in columns if c.name not in ids}
    strong = [name for name in sorted(shares, key=lambda n: -shares[n]) if shares[name] >= TELLS]
    rest = 1.0
    enough = GIVEN_AWAY + MARGIN / np.sqrt(len(question.place))
    if strong and shares[strong[0]] >= enough:
        # A leak may come in a few forms, which must not excuse one another.
        untold = 1 - shares[strong[0]]
        forms = [n for n, share in shares.items() if 1 - share < max(ALONE * untold, untold + APART / 2)]
        if len(forms) <= FORMS:
            rest = _together([c for c in columns if c.name not in {*forms, *ids}], question)
    what = "entropy" if question.n_classes else "variance"
    for name in strong:
        share = shares[name]
        alone = 1 - rest >= ALONE * (1 - share) and share - rest >= APART
        message = f"'{name}' alone tells {share:.1%} of the target's {what}"
        if share < enough:
            severity: Severity = "low"
            message += ", on rows it was not learned from: much for one feature. Is it known in time?"
        else:
            severity = "high" if alone else "medium"
            message += (
                f", all weaker features together {max(rest, 0):.1%}. Is it known before the target is, or "
                "made from it?"
                if alone
                else ", but so do others: an easy target, or more than one leak."
            )
        yield Suspect(name, share, severity, message)


def dependence_on(column: Column, target: Column, classes: bool, seed: int = 0) -> tuple[float, float]:
    """Return how much rows that are near in time are alike in the target, and the p value of that."""
    if column.kind != "datetime" or column.distinct < FEW:
        return 0.0, 1.0
    times = column.series.to_physical().to_numpy()
    # Rows of the same moment come in a drawn order, or that of the source would tell.
    order = np.lexsort((uniform(seed, column.ids), times))
    return follows(target, order[column.series.is_not_null().to_numpy()[order]], classes, seed)


def follows(target: Column, order: np.ndarray, classes: bool, seed: int) -> tuple[float, float]:
    """Return how much neighbors in an order of the rows are alike in the target, and the p value of that."""
    order = order[has_value(target.series)[order]]
    if len(order) < FEW:
        return 0.0, 1.0
    series = target.series[order]
    values = series.cast(pl.String).rank("dense") if classes else series.cast(pl.Float64)
    return alike(values.to_numpy(), classes, seed)


def has_value(series: pl.Series) -> np.ndarray:
    """Tell where there is a value, and no number that is none."""
    known = series.is_not_null()
    if series.dtype.is_float():
        known &= series.is_finite().fill_null(False)
    return known.to_numpy()


def told(column: Column, question: Question) -> float:
    """Return which share of the target a column tells."""
    series = column.series[question.place]
    if column.kind not in ("numeric", "datetime"):
        return question.told_by_levels(_levels(series), len(series) / 2)
    numbers = series.to_physical().cast(pl.Float64).to_numpy()
    share, most = question.told_by_numbers(numbers), len(series) / 4
    # Numbers may be codes: then each has a meaning of its own.
    if len(np.unique(numbers[~np.isnan(numbers)])) >= most:
        return max(share, 0.0)
    return max(share, question.told_by_levels(_levels(series), most))


def _levels(series: pl.Series) -> np.ndarray:
    return series.rank("dense").fill_null(0).to_numpy().astype(np.int64)


def told_by_pieces(column: Column, question: Question) -> dict[str, float]:
    """Return which share of the target the number, the beginning and the length of a text tell."""
    texts = column.series.cast(pl.String)[question.place]
    number = texts.str.extract(r"(\d{1,15})\D*$").cast(pl.Float64).fill_null(float("nan")).to_numpy()
    start = _levels(texts.str.extract(r"^([^\d\s_\-./]+)"))
    return {
        "number": question.told_by_numbers(number),
        "beginning": question.told_by_levels(start, len(texts) / 4),
        "length": question.told_by_levels(_levels(texts.str.len_chars()), len(texts) / 4),
    }


def _together(columns: Sequence[Column], question: Question) -> float:
    """Return which share of the target columns tell together, asked by boosted trees."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    if not columns:
        return 0.0
    frame = pl.DataFrame([c.series[question.place] for c in columns])
    inputs = Inputs(encoding="ordinal", fill=False, scale=None, max_categories=100).fit(frame)
    matrix = inputs.transform(frame)
    matrix[:, np.isfinite(matrix).sum(axis=0) < FEW] = 0
    made = HistGradientBoostingClassifier if question.n_classes else HistGradientBoostingRegressor
    rounds = 30 if question.n_classes > 10 else 100
    guess = question.naive.copy()
    with get_cached_controller().limit(limits=1, user_api="openmp"):
        for number in range(FOLDS):
            inside = question.fold == number
            known = question.truth[~inside]
            if inside.all() or not inside.any() or (question.n_classes and len(np.unique(known)) < 2):
                continue
            model = made(
                max_iter=rounds,
                early_stopping=False,
                categorical_features=inputs.categorical_,
                random_state=0,
            ).fit(matrix[~inside], known)
            if question.n_classes:
                guess[np.ix_(inside, model.classes_)] = model.predict_proba(matrix[inside])
            else:
                guess[inside] = model.predict(matrix[inside])
    return question.told_by(guess)
