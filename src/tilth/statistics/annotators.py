"""What several people say of the same rows: one label for each, and how far each person can be trusted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tilth.errors import DataError

Votes = NDArray[np.int64]
Floats = NDArray[np.float64]

EPS = 1e-9
"""Sums that differ by less are equal: their last bits depend on the order of annotators."""
FLOOR = 1e-6
"""No annotator and no model counts for less, and no chance error is smaller; the value is cleanlab's."""
SMOOTHING = 0.01
"""Labels that each annotator is taken to have given of each class to each class, besides those counted."""
STILL = 1e-6
"""Beliefs that move less are at rest."""
STEPS = 1000
"""After so many steps beliefs are taken as they are."""


@dataclass(frozen=True)
class Consensus:
    """Hold what several annotators come to.

    Parameters
    ----------
    labels : ndarray of shape (n_rows,), int64
        One class for each row.
    belief : ndarray of shape (n_rows, n_classes), float64
        How far each class is believed; rows sum to 1.
    trust : ndarray of shape (n_annotators,), float64
        The quality of each annotator, 1 at best; NaN where it cannot be told.
    open : ndarray of shape (n_rows,), bool
        Only the frequency of classes, or their order, chose among those tied.
    """

    labels: Votes
    belief: Floats
    trust: Floats
    open: NDArray[np.bool_]

    @property
    def quality(self) -> Floats:
        """Return how far the label of each row is believed."""
        return self.belief[np.arange(len(self.labels)), self.labels]


def majority(votes: Votes, n_classes: int, probabilities: Floats | None = None) -> Consensus:
    """Take the label that most annotators gave.

    Ties go to the label whose annotators agree more often with the majorities that are clear; then to the
    likelier by `probabilities`; then to the one that is given more often; then to the first.

    Parameters
    ----------
    votes : ndarray of shape (n_rows, n_annotators), int64
        The class that each annotator gave; -1 where none was. Each row has one at least.
    n_classes : int
    probabilities : ndarray of shape (n_rows, n_classes), float64, optional
        Of each class, from a model that did not see the row.

    Returns
    -------
    Consensus
        A class is believed by the share of the annotators who gave it; the trust in an annotator is
        `agreement` with the labels.

    Examples
    --------
    >>> majority(np.array([[0, 0, 1], [1, 1, -1], [0, -1, 1]]), 2).labels.tolist()
    [0, 1, 0]
    """
    counts = _counts(votes, n_classes)
    clear = _top(counts).sum(axis=1) == 1
    trust = _filled(agreement(votes[clear], counts[clear].argmax(axis=1)))
    keys = [_backing(votes, trust, n_classes), *([] if probabilities is None else [probabilities])]
    labels, unsure = _settled(counts, keys)
    return Consensus(labels, counts / counts.sum(axis=1, keepdims=True), agreement(votes, labels), unsure)


def agreement(votes: Votes, labels: Votes) -> Floats:
    """Return the share of each annotator's votes that are the label, of rows with several votes.

    It is NaN for an annotator who shares no row with others.
    """
    shared = (votes >= 0).sum(axis=1) > 1
    given = votes[shared] >= 0
    agrees = (votes[shared] == labels[shared, None]) & given
    of = given.sum(axis=0)
    return np.where(of, agrees.sum(axis=0) / np.maximum(of, 1), np.nan)


def worse(votes: Votes, labels: Votes) -> Floats:
    """Return how probable it is that an annotator agrees as seldom with the labels by chance.

    The one-sided p-value of Fisher's exact test of each annotator against all others, over rows with several
    votes; 1 where an annotator, or all others, have none.
    """
    from scipy.stats import hypergeom

    shared = (votes >= 0).sum(axis=1) > 1
    given = votes[shared] >= 0
    agrees = ((votes[shared] == labels[shared, None]) & given).sum(axis=0)
    of = given.sum(axis=0)
    comparable = (of > 0) & (of < of.sum())
    chance = hypergeom.cdf(agrees, of.sum(), agrees.sum(), np.where(comparable, of, 0))
    return np.where(comparable, chance, 1.0)


def dawid_skene(votes: Votes, n_classes: int) -> Consensus:
    """Estimate the confusions of each annotator and the class of each row together, by EM.

    Parameters
    ----------
    votes : ndarray of shape (n_rows, n_annotators), int64
        The class that each annotator gave; -1 where none was. Each row has one at least.
    n_classes : int

    Returns
    -------
    Consensus
        A class is believed by its posterior probability; the trust in an annotator is the mean posterior of
        the labels given.

    Source
    ------
    Dawid and Skene, "Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm", Applied
    Statistics 28 (1979), equations 2.3 to 2.5; each count is raised by 0.01, so that no probability is 0. The
    tests compare with loops over rows, annotators and classes, to 1e-9.

    Examples
    --------
    >>> votes = np.array([[0, 0, 1], [0, 0, 0], [1, 1, 0], [1, 1, 1], [0, 0, 1], [1, 1, 0]])
    >>> dawid_skene(votes, 2).labels.tolist()
    [0, 0, 1, 1, 0, 1]
    """
    from scipy.sparse import csr_matrix

    rows, who = np.nonzero(votes >= 0)
    people = votes.shape[1]
    # A column for each label of each annotator: both steps are then products of matrices.
    place = who * n_classes + votes[rows, who]
    said = csr_matrix((np.ones(len(rows)), (rows, place)), shape=(len(votes), people * n_classes))
    back = said.T.tocsr()
    counts = _counts(votes, n_classes)
    belief = counts / counts.sum(axis=1, keepdims=True)
    for _ in range(STEPS):
        confusion = (back @ belief).reshape(people, n_classes, n_classes) + SMOOTHING
        confusion /= confusion.sum(axis=1, keepdims=True)
        share = belief.sum(axis=0) + SMOOTHING
        logs = said @ np.log(confusion).reshape(-1, n_classes) + np.log(share / share.sum())
        odds = np.exp(logs - logs.max(axis=1, keepdims=True))
        before, belief = belief, odds / odds.sum(axis=1, keepdims=True)
        if np.abs(belief - before).max(initial=0.0) < STILL:
            break
    labels, unsure = _settled(belief, [], counts.sum(axis=0))
    return Consensus(labels, belief, _believed(votes, belief), unsure)


def crowdlab(votes: Votes, probabilities: Floats) -> Consensus:
    """Weigh annotators and a model by how far they agree with the others, and believe what they say together.

    Parameters
    ----------
    votes : ndarray of shape (n_rows, n_annotators), int64
        The class that each annotator gave; -1 where none was. Each row has one at least.
    probabilities : ndarray of shape (n_rows, n_classes), float64
        Of each class, from a model that did not see the row; two classes at least.

    Returns
    -------
    Consensus
        Labels are the classes believed most.

    Raises
    ------
    DataError
        No row has two labels, so that nothing tells how far annotators agree.

    Source ------ Goh, Tkachenko and Mueller, "CROWDLAB: Supervised learning to infer consensus labels and
    quality scores for data with multiple annotators" (2022), section 3. Peer:
    ``cleanlab.multiannotator.get_label_quality_multiannotator``, the same numbers to 1e-9.

    Examples
    --------
    >>> votes = np.array([[0, 0, 1], [0, 0, 0], [1, 1, 0], [1, 1, 1]])
    >>> model = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.1, 0.9]])
    >>> crowdlab(votes, model).labels.tolist()
    [0, 0, 1, 1]
    """
    if not ((votes >= 0).sum(axis=1) > 1).any():
        raise DataError(
            "No row has labels of two annotators, so nothing tells how far they agree. "
            "Let them label some rows in common, or take the method 'majority'."
        )
    counts = _counts(votes, probabilities.shape[1])
    clear = _top(counts).sum(axis=1) == 1
    trust = _filled(agreement(votes[clear], counts[clear].argmax(axis=1)))
    # The order of what settles ties is cleanlab's: the model first, and the rarer class before the trusted.
    rarer = np.broadcast_to(-counts.sum(axis=0), counts.shape)
    by_vote, _ = _settled(counts, [probabilities, rarer, _backing(votes, trust, probabilities.shape[1])])
    belief = _weighed(votes, probabilities, by_vote)[0]
    labels, unsure = _settled(belief, [np.eye(belief.shape[1])[by_vote]], slack=0.0)
    belief, model, people = _weighed(votes, probabilities, labels)
    given = votes >= 0
    heard = people.sum() * given.sum() / given.size
    part = model / (model + heard)
    own = part * _believed(votes, belief) + (1 - part) * agreement(votes, labels)
    return Consensus(labels, belief, own, unsure)


def _weighed(votes: Votes, probabilities: Floats, labels: Votes) -> tuple[Floats, float, Floats]:
    """Return beliefs, the weight of the model, and the weight of each annotator, as measured by `labels`."""
    given = votes >= 0
    number = given.sum(axis=1)
    shared, n_classes = number > 1, probabilities.shape[1]
    agrees = ((votes == labels[:, None]) & given).sum(axis=1) / number
    right = float(agrees[shared].mean())
    wrong = (1 - right) / (n_classes - 1)
    told = labels[shared]
    chance = max(float((told != np.bincount(told, minlength=n_classes).argmax()).mean()), FLOOR)
    people = np.maximum(1 - (1 - _filled(_among(votes))) / chance, FLOOR)
    missed = float((probabilities[shared].argmax(axis=1) != told).mean())
    model = max(1 - missed / chance, FLOOR) * float(np.sqrt(number.mean()))
    heard = np.where(given, people, 0.0)
    total = heard.sum(axis=1, keepdims=True)
    belief = probabilities * model + total * wrong + _backing(votes, people * (right - wrong), n_classes)
    return belief / (total + model), model, people


def _among(votes: Votes) -> Floats:
    """Return the share of the others' votes on an annotator's rows that agree with the annotator's."""
    given = votes >= 0
    counts = _counts(votes, int(votes.max(initial=0)) + 1)
    same = np.take_along_axis(counts, np.maximum(votes, 0), axis=1) - 1
    others = np.where(given, given.sum(axis=1, keepdims=True) - 1, 0)
    of = others.sum(axis=0)
    return np.where(of, np.where(given, same, 0).sum(axis=0) / np.maximum(of, 1), np.nan)


def _believed(votes: Votes, belief: Floats) -> Floats:
    given = votes >= 0
    own = np.where(given, np.take_along_axis(belief, np.maximum(votes, 0), axis=1), 0.0)
    of = given.sum(axis=0)
    return np.where(of, own.sum(axis=0) / np.maximum(of, 1), np.nan)


def _counts(votes: Votes, n_classes: int) -> Floats:
    return _backing(votes, np.ones(votes.shape[1]), n_classes)


def _backing(votes: Votes, weight: Floats, n_classes: int) -> Floats:
    """Sum for each row and class the weights of the annotators who gave it."""
    rows, who = np.nonzero(votes >= 0)
    flat = np.bincount(
        rows * n_classes + votes[rows, who], weights=weight[who], minlength=len(votes) * n_classes
    )
    return np.asarray(flat.reshape(len(votes), n_classes), dtype=np.float64)


def _filled(trust: Floats) -> Floats:
    """Give annotators of whom nothing is known the mean of the others."""
    known = ~np.isnan(trust)
    return np.where(known, trust, trust[known].mean() if known.any() else 1.0)


def _top(key: Floats, slack: float = EPS) -> NDArray[np.bool_]:
    return np.asarray(key >= key.max(axis=1, keepdims=True, initial=-np.inf) - slack)


def _settled(
    key: Floats, keys: list[Floats], often: Floats | None = None, slack: float = EPS
) -> tuple[Votes, NDArray[np.bool_]]:
    """Choose for each row the class that leads by `key`, then by `keys`, then the frequent, then the first.

    Returns also which rows the frequency, or the order, decided.
    """
    left = _top(key, slack)
    for other in keys:
        left &= _top(np.where(left, other, -np.inf), slack)
    unsure = left.sum(axis=1) > 1
    total = key.sum(axis=0) if often is None else often
    return np.where(left, total, -np.inf).argmax(axis=1), unsure
