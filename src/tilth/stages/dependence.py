"""Does anything tell which rows are marked: where a column is missing, or which are test rows?

A model is asked, and chance is asked how well it guesses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from scipy.stats import rankdata
from threadpoolctl import get_cached_controller

from tilth.probes.inputs import Inputs
from tilth.stages.folds import folds_of
from tilth.statistics import uniform
from tilth.statistics.samples import auc_error

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingClassifier

ROWS = 3000
"""Rows that a question is asked of: enough to see an AUC of 0.55 in, few enough for a third of a second."""

LEAST = 20
"""Gaps, and filled cells, that are needed to ask at all: with fewer, no fold has enough of both."""

FOLDS = 3
DRAWS = 999
"""Permutations: the smallest p-value is 0.001, so that five columns can still reach 0.01 after Holm."""

SHARED = 1.35
"""The models share training rows, so that guesses on different folds are right or wrong together: on gaps at
random the AUC was seen to vary 1.3 to 1.4 times as much as under permutations, which are widened by this."""

TREES = {"max_iter": 40, "max_leaf_nodes": 8, "min_samples_leaf": LEAST, "early_stopping": False}
"""Few and shallow: what is asked is whether there is any dependence, not how well it can be told."""

ALPHA = 0.01
"""Chance that a finding about dependence is chance, over all columns asked: such a finding changes plans."""

WORTH = 0.55
"""An AUC below this tells next to nothing, however sure it is."""

MOST_CELLS = 10_000_000
"""Cells that are shuffled at once: 80 MB."""

NAMED = 0.01
"""A column is named as what the gaps depend on, if the AUC falls by this much without it."""


@dataclass(frozen=True)
class Dependence:
    """Hold how well the other columns tell where one is missing.

    Parameters
    ----------
    auc : float
        Of the model's out-of-fold guesses, within folds: 0.5 is chance.
    p_value : float
        The share of permutations of the gaps within each fold that the same guesses tell as well. It is
        conditional on the fitted models: these are not fitted again on permuted gaps, and `SHARED`
        stands for what they have in common.
    error : float
        Standard error of the AUC: DeLong's within folds, widened as the permutations are.
    reasons : tuple of (str, float)
        The columns without which the AUC falls most, and by how much.
    """

    auc: float
    p_value: float
    error: float
    reasons: tuple[tuple[str, float], ...] = ()


def sampled(missing: np.ndarray, ids: np.ndarray, seed: int, rows: int = ROWS) -> np.ndarray:
    """Choose rows by (seed, row id), as many with a gap as without if there are: the AUC is the same.

    Parameters
    ----------
    missing : ndarray of shape (n_rows,), bool
    ids : ndarray of shape (n_rows,), uint64
    seed, rows : int

    Returns
    -------
    ndarray of int
        In the order of their draws, which is the same for any order of the rows.
    """
    order = np.argsort(uniform(seed, ids), kind="stable")
    gaps = missing[order]
    many = min(int(gaps.sum()), max(rows // 2, rows - int((~gaps).sum())))
    taken = np.where(gaps, np.cumsum(gaps) <= many, np.cumsum(~gaps) <= rows - many)
    return np.asarray(order[taken])


def dependence(
    others: pl.DataFrame,
    missing: np.ndarray,
    ids: np.ndarray,
    groups: pl.Series | None = None,
    seed: int = 0,
) -> Dependence:
    """Ask a boosting model where a column is missing, given the others, and judge its guesses by chance.

    Parameters
    ----------
    others : DataFrame of shape (n_rows, n_columns)
        None of them may be missing where the column is more often than by chance: gaps that go with gaps
        do not depend on any value.
    missing : ndarray of shape (n_rows,), bool
        At least `LEAST` of each.
    ids : ndarray of shape (n_rows,), uint64
        For folds that do not depend on the order of the rows.
    groups : Series of length n_rows, optional
        Rows of one group are never on both sides of a fold.
    seed : int
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    matrix, categorical = _matrix(others)
    fold = folds_of(ids, FOLDS, seed, missing.astype(np.int64), groups)
    guess = np.zeros(len(missing))
    models: list[HistGradientBoostingClassifier | None] = []
    with get_cached_controller().limit(limits=1, user_api="openmp"):
        for number in range(FOLDS):
            inside, known = fold == number, missing[fold != number]
            if known.all() or not known.any() or not inside.any():
                models.append(None)  # groups put all gaps, or all rows, on one side
                continue
            model = HistGradientBoostingClassifier(
                **TREES, categorical_features=categorical, random_state=seed
            )
            models.append(model.fit(matrix[~inside], known))
            guess[inside] = model.decision_function(matrix[inside])
        auc, drawn = _auc(guess, missing, fold, seed)
        chance = 0.5 + SHARED * (drawn - 0.5)
        p_value = (1 + int((chance >= auc - 1e-12).sum())) / (len(drawn) + 1)
        asked = auc >= WORTH and p_value <= ALPHA
        reasons = _reasons(models, matrix, others.columns, missing, fold, auc, seed) if asked else ()
    return Dependence(float(auc), p_value, _error(guess, missing, fold), reasons)


def _error(guess: np.ndarray, missing: np.ndarray, fold: np.ndarray) -> float:
    """Return the standard error of the AUC within folds, each counting by its pairs."""
    variance, pairs = 0.0, 0
    for number in np.unique(fold):
        gaps = missing[fold == number]
        many = int(gaps.sum())
        if min(many, len(gaps) - many) < 2:
            continue
        weight = many * (len(gaps) - many)
        variance += (weight * auc_error(guess[fold == number], gaps)[1]) ** 2
        pairs += weight
    return SHARED * float(np.sqrt(variance)) / pairs if pairs else 0.5


def _matrix(others: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    inputs = Inputs(encoding="ordinal", fill=False, scale=None, max_categories=100).fit(others)
    matrix = inputs.transform(others)
    # No split can use fewer known values than a leaf holds, and binning breaks where there are none.
    known = np.isfinite(matrix).sum(axis=0)
    matrix[:, known < FOLDS * LEAST] = 0
    names = list(inputs.names_)
    order = [names.index(name) for name in others.columns]
    return matrix[:, order], inputs.categorical_[order]


def _auc(guess: np.ndarray, missing: np.ndarray, fold: np.ndarray, seed: int) -> tuple[float, np.ndarray]:
    """Return the AUC within folds, and that of as many permutations of the gaps in each fold."""
    random = np.random.default_rng(seed)
    won, drawn, pairs = 0.0, np.zeros(DRAWS), 0
    for number in np.unique(fold):
        gaps = missing[fold == number]
        ranks, many = rankdata(guess[fold == number]), int(gaps.sum())
        least = many * (many + 1) / 2
        won += ranks[gaps].sum() - least
        drawn += rank_sums(ranks, many, random) - least
        pairs += many * (len(gaps) - many)
    return won / max(pairs, 1), drawn / max(pairs, 1)


def rank_sums(ranks: np.ndarray, many: int, random: np.random.Generator) -> np.ndarray:
    """Return the sums of `many` of the ranks, drawn without replacement, once for each permutation."""
    few = min(many, len(ranks) - many)
    keys = random.random((DRAWS, len(ranks)), dtype=np.float32)
    chosen = np.argpartition(keys, few, axis=1)[:, :few] if few > 0 else np.empty((DRAWS, 0), np.int64)
    sums: np.ndarray = ranks[chosen].sum(axis=1)
    return sums if few == many else ranks.sum() - sums


def _reasons(
    models: Sequence[HistGradientBoostingClassifier | None],
    matrix: np.ndarray,
    names: Sequence[str],
    missing: np.ndarray,
    fold: np.ndarray,
    auc: float,
    seed: int,
) -> tuple[tuple[str, float], ...]:
    """Shuffle one column at a time among the rows that a model did not see, and see how the AUC falls."""
    random = np.random.default_rng(seed)
    won, pairs, width = np.zeros(len(names)), 0, len(names)
    for number, model in enumerate(models):
        gaps = missing[fold == number]
        many, rows = int(gaps.sum()), len(gaps)
        pairs += many * (rows - many)
        if model is None or many in (0, rows):
            won += many * (rows - many) / 2
            continue
        # Many columns in one call: there is more to do around a prediction than in it.
        some = max(1, MOST_CELLS // (width * rows))
        for start in range(0, width, some):
            places = range(start, min(start + some, width))
            shuffled = np.tile(matrix[fold == number], (len(places), 1, 1))
            for at, place in enumerate(places):
                shuffled[at, :, place] = random.permutation(shuffled[at, :, place])
            guess = model.decision_function(shuffled.reshape(-1, width)).reshape(len(places), rows)
            won[start : places.stop] += rankdata(guess, axis=1)[:, gaps].sum(axis=1) - many * (many + 1) / 2
    falls = auc - won / max(pairs, 1)
    order = np.argsort(-falls, kind="stable")
    return tuple((names[i], float(falls[i])) for i in order if falls[i] >= NAMED)


def tells_class(missing: np.ndarray, codes: np.ndarray, seed: int = 0) -> float:
    """Return the permutation p-value of Pearson's chi-squared between gaps and classes.

    Parameters
    ----------
    missing : ndarray of shape (n_rows,), bool
    codes : ndarray of shape (n_rows,), int64
        Classes from 0.
    """
    totals = np.bincount(codes)
    totals, gaps = totals[totals > 0], np.bincount(codes[missing], minlength=len(totals))[totals > 0]
    many, rows = int(gaps.sum()), len(codes)
    random = np.random.default_rng(seed)
    drawn = random.multivariate_hypergeometric(totals, many, size=DRAWS, method="marginals")
    expected = totals * (many / rows)
    # The filled cells of a class deviate as its gaps do: this is chi-squared up to a constant.
    deviation = lambda seen: ((seen - expected) ** 2 / expected).sum(axis=-1)
    return (1 + int((deviation(drawn) >= deviation(gaps) - 1e-9).sum())) / (DRAWS + 1)


def tells_number(missing: np.ndarray, values: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """Return the AUC of a number for the gaps, and its two-sided permutation p-value (Mann-Whitney)."""
    ranks, many = rankdata(values), int(missing.sum())
    least, pairs = many * (many + 1) / 2, many * (len(values) - many)
    auc = float((ranks[missing].sum() - least) / pairs)
    drawn = (rank_sums(ranks, many, np.random.default_rng(seed)) - least) / pairs
    return auc, (1 + int((np.abs(drawn - 0.5) >= abs(auc - 0.5) - 1e-12).sum())) / (DRAWS + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for how many they are, by Holm's step-down method."""
    order = np.argsort(p_values, kind="stable")
    adjusted, worst = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        worst = max(worst, min(1.0, p_values[place] * (len(p_values) - rank)))
        adjusted[place] = worst
    return adjusted
