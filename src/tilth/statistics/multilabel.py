"""Which labels are doubtful where rows have several: each label is a question of its own, yes or no."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tilth.statistics.confident import Method, Score, find_label_issues, label_quality

FORGETTING = 0.8
"""How much the lowest of a row's scores counts against those before it; the value is cleanlab's."""

Given = NDArray[np.bool_]
Floats = NDArray[np.float64]


def multilabel_issues(
    given: Given, probabilities: Floats, *, method: Method = "prune_by_noise_rate"
) -> NDArray[np.bool_]:
    """Flag cells of a table of labels that the probabilities speak against.

    Parameters
    ----------
    given : ndarray of shape (n_rows, n_labels), bool
        Whether the row has the label.
    probabilities : ndarray of shape (n_rows, n_labels), float64
        That the row has it, from a model that did not see the row.
    method : str
        See `find_label_issues`.

    Returns
    -------
    ndarray of shape (n_rows, n_labels), bool

    Source ------ Peer: ``cleanlab.multilabel_classification.filter.find_multilabel_issues_per_class``, the
    same cells. A row is flagged by ``find_label_issues`` there where any of its cells is; the two methods
    that count the lowest scores, 'low_normalized_margin' and 'low_self_confidence', count rows there, and
    cells here.

    Examples
    --------
    >>> sure = np.array([[0.9], [0.8], [0.1], [0.2], [0.05]])
    >>> multilabel_issues(np.array([[True], [True], [False], [False], [True]]), sure)[:, 0].tolist()
    [False, False, False, False, True]
    """
    flagged = np.zeros(given.shape, dtype=bool)
    for k in range(given.shape[1]):
        flagged[:, k] = find_label_issues(*_asked(given, probabilities, k), method=method)
    return flagged


def multilabel_quality(given: Given, probabilities: Floats, *, method: Score = "self_confidence") -> Floats:
    """Score how far the probabilities support the labels of each row: low scores are suspect.

    The scores of a row's labels, given or not, are taken in falling order into an exponential moving average,
    so that the lowest count most.

    Parameters
    ----------
    given, probabilities : ndarray of shape (n_rows, n_labels)
        As for `multilabel_issues`; one label at least.
    method : str
        The score of each label; see `label_quality`.

    Returns
    -------
    ndarray of shape (n_rows,), float64

    Source ------ Thyagarajan, Snorrason, Northcutt and Mueller, "Identifying Incorrect Annotations in
    Multi-Label Classification Data" (2022). Peer:
    ``cleanlab.multilabel_classification.get_label_quality_scores``, to 1e-9.

    Examples
    --------
    >>> multilabel_quality(np.array([[False, True, False]]), np.array([[0.1, 0.9, 0.7]])).round(3).tolist()
    [0.42]
    """
    each = np.column_stack(
        [label_quality(*_asked(given, probabilities, k), method=method) for k in range(given.shape[1])]
    ).astype(np.float64)
    falling = -np.sort(-each, axis=1)
    score = falling[:, 0]
    for column in falling.T[1:]:
        score = FORGETTING * column + (1 - FORGETTING) * score
    return score


def _asked(given: Given, probabilities: Floats, k: int) -> tuple[NDArray[np.int64], Floats]:
    return given[:, k].astype(np.int64), np.column_stack([1 - probabilities[:, k], probabilities[:, k]])
