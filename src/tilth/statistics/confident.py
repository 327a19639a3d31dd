"""Confident learning: which labels class probabilities speak against, counted and chosen in few passes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import get_cached_controller

from tilth.errors import DataError

Method = Literal[
    "prune_by_noise_rate",
    "prune_by_class",
    "both",
    "confident_learning",
    "predicted_neq_given",
    "low_normalized_margin",
    "low_self_confidence",
]
Score = Literal["self_confidence", "normalized_margin", "confidence_weighted_entropy"]

BLOCK_BYTES = 2**20
# Below this a difference of two probabilities is rounding.
CLOSE = 1e-6
# No probability reaches it: the threshold of a class that no row is labeled as.
BEYOND = 2

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]


def find_label_issues(
    labels: Rows,
    probabilities: NDArray[np.floating],
    *,
    method: Method = "prune_by_noise_rate",
    block_bytes: int = BLOCK_BYTES,
) -> Mask:
    """Flag labels that the probabilities of the classes speak against.

    Parameters
    ----------
    labels : ndarray of shape (n_rows,), int
        The given class of each row, as a column of `probabilities`.
    probabilities : ndarray of shape (n_rows, n_classes), float
        Of each class, from a model that did not see the row.
    method : str
        How rows are chosen. 'prune_by_noise_rate': of each pair of given and likely class as many as the
        confident joint counts, by margin. 'prune_by_class': of each class as many as it counts, by the
        probability of the given label. 'both': what these two agree on. 'confident_learning': the rows that
        the joint counts as wrong. 'predicted_neq_given': another class is likelier. 'low_normalized_margin',
        'low_self_confidence': as many as the joint counts, by this score.
    block_bytes : int
        Size of the blocks of rows that a pass works on.

    Returns
    -------
    ndarray of shape (n_rows,), bool

    Raises
    ------
    DataError
        The two do not match, a label is no column, or a probability is missing or outside of [0, 1].

    Source
    ------
    Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 70
    (2021), sections 3.1 to 3.3. Peer: ``cleanlab.filter.find_label_issues``, the same rows.

    Examples
    --------
    >>> sure = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.05, 0.95]])
    >>> find_label_issues(np.array([0, 0, 1, 1, 0]), sure).tolist()
    [False, False, False, False, True]
    """
    if method not in get_args(Method):
        raise DataError(f"'{method}' is no method of finding label issues. Choose one of {get_args(Method)}.")
    given = Given.of(labels, probabilities)
    guess, doubted = given.passed(block_bytes)
    if method == "predicted_neq_given":
        return doubted
    counted: Mask = doubted & (guess >= 0) & (guess != given.labels)
    if method == "confident_learning":
        return counted
    if method in ("low_normalized_margin", "low_self_confidence"):
        score: Score = "self_confidence" if method.endswith("confidence") else "normalized_margin"
        flagged = np.zeros(len(doubted), dtype=bool)
        flagged[_lowest(label_quality(labels, probabilities, method=score), int(counted.sum()))] = True
        return flagged
    pruned = _pruned(calibrated(given.joint(guess), given.counts))
    if method == "prune_by_class":
        return given.by_class(pruned) & doubted
    flagged = given.by_noise_rate(pruned, doubted) & doubted
    return flagged & given.by_class(pruned) if method == "both" else flagged


def confident_joint(
    labels: Rows,
    probabilities: NDArray[np.floating],
    *,
    calibrate: bool = True,
    block_bytes: int = BLOCK_BYTES,
) -> NDArray[np.int64]:
    """Count rows by given label and by the class they confidently belong to.

    Parameters
    ----------
    labels : ndarray of shape (n_rows,), int
    probabilities : ndarray of shape (n_rows, n_classes), float
    calibrate : bool
        Bring the rows of the matrix to the counts of the given labels.
    block_bytes : int
        Size of the blocks of rows that a pass works on.

    Returns
    -------
    ndarray of shape (n_classes, n_classes), int64
        Of row `i` and column `j`: labeled `i`, and likely `j`.

    Source
    ------
    Northcutt et al. (2021), equations 1 to 3. Peer: ``cleanlab.count.compute_confident_joint``, equal.
    """
    given = Given.of(labels, probabilities)
    joint = given.joint(given.passed(block_bytes)[0])
    return calibrated(joint, given.counts) if calibrate else joint


def label_quality(
    labels: Rows,
    probabilities: NDArray[np.floating],
    *,
    method: Score = "self_confidence",
    adjust: bool = False,
) -> NDArray[np.floating]:
    """Score how far the probabilities support each label: low scores are suspect.

    Parameters
    ----------
    labels : ndarray of shape (n_rows,), int
    probabilities : ndarray of shape (n_rows, n_classes), float
    method : {'self_confidence', 'normalized_margin', 'confidence_weighted_entropy'}
        The probability of the label; its lead before the likeliest other class, brought to [0, 1]; or the
        entropy of the row over the probability of its label, falling.
    adjust : bool
        Take the mean probability that a class has in its own rows from its column first, so that classes
        which are believed less on the whole are not suspected for it. Not for the entropy.

    Returns
    -------
    ndarray of shape (n_rows,), float

    Source
    ------
    Kuan and Mueller, "Model-agnostic label quality scoring to detect real-world label errors" (2022). Peer:
    ``cleanlab.rank.get_label_quality_scores``, equal.
    """
    given = Given.of(labels, probabilities)
    matrix, own = given.probabilities, given.own
    _in_range(matrix)
    if adjust:
        matrix = matrix - given.thresholds
        matrix += given.thresholds.max()
        matrix /= matrix.sum(axis=1, keepdims=True)
        own = matrix[np.arange(len(own)), given.labels]
    if method == "self_confidence":
        return own
    if method == "normalized_margin":
        return np.asarray((own - _best_other(matrix, given.labels) + 1) / 2)
    if method != "confidence_weighted_entropy":
        raise DataError(f"'{method}' is no score of labels. Choose one of {get_args(Score)}.")
    logs = np.log(matrix, out=np.zeros_like(matrix), where=matrix > 0)
    entropy = -(matrix * logs).sum(axis=1) / np.log(max(matrix.shape[1], 2))
    ratio = entropy / np.maximum(own, CLOSE)
    return np.asarray(np.log(ratio + 1) / np.maximum(ratio, CLOSE))


def share_right(labels: Rows, probabilities: NDArray[np.floating]) -> float:
    """Estimate the share of labels that are right.

    Source
    ------
    Peer: ``cleanlab.dataset.overall_label_health_score``, equal.
    """
    return 1 - float(find_label_issues(labels, probabilities, method="confident_learning").mean())


@dataclass(frozen=True)
class Given:
    """Hold labels and probabilities as the passes want them.

    Parameters
    ----------
    labels : ndarray of shape (n_rows,), int64
    probabilities : ndarray of shape (n_rows, n_classes), float
    own : ndarray of shape (n_rows,), float
        The probability of each row's label.
    counts : ndarray of shape (n_classes,), int64
        The rows of each label.
    order : ndarray of shape (n_rows,), int64
        The rows, class by class, in their order.
    thresholds : ndarray of shape (n_classes,), float
        The mean probability of a class in the rows labeled as it.
    """

    labels: Rows
    probabilities: NDArray[np.floating]
    own: NDArray[np.floating]
    counts: Rows
    order: Rows
    thresholds: NDArray[np.floating]

    @classmethod
    def of(cls, labels: Rows, probabilities: NDArray[np.floating]) -> Given:
        """Check what is given, and take what each pass needs."""
        labels, probabilities = np.asarray(labels), np.asarray(probabilities)
        if not np.issubdtype(probabilities.dtype, np.floating):
            probabilities = probabilities.astype(np.float64)
        if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1] or not labels.size:
            raise DataError(
                f"labels {labels.shape} and probabilities {probabilities.shape} do not match: "
                "expected shapes (n_rows,) and (n_rows, n_classes), with at least one row."
            )
        classes = probabilities.shape[1]
        if labels.min() < 0 or labels.max() >= classes:
            raise DataError(f"labels lie in {labels.min()}..{labels.max()}, but there are {classes} classes.")
        # A narrow type sorts by counting, and gathers with less to read.
        narrow = labels.astype(np.uint16 if classes <= 2**16 else np.int64)
        own = probabilities[np.arange(len(labels)), labels]
        counts = np.bincount(labels, minlength=classes)
        order = np.argsort(narrow, kind="stable")
        ends = np.cumsum(counts)
        sorted_own = own[order]
        means = [
            sorted_own[end - n : end].mean() if n else BEYOND for end, n in zip(ends, counts, strict=True)
        ]
        # A class that is believed nowhere would else be likely everywhere.
        thresholds = np.clip(means, 2 * CLOSE, None)
        return cls(labels.astype(np.int64, copy=False), probabilities, own, counts, order, thresholds)

    def rows_of(self, label: int) -> Rows:
        """Return the rows of a label, in their order."""
        end = int(self.counts[: label + 1].sum())
        return self.order[end - int(self.counts[label]) : end]

    def passed(self, block_bytes: int) -> tuple[Rows, Mask]:
        """Pass over the probabilities once, on as many threads as the linear algebra may use.

        Returns
        -------
        guess : ndarray of shape (n_rows,), int64
            The class each row confidently belongs to: the only one beyond its threshold, or the likeliest
            where there are several; -1 where there is none.
        doubted : ndarray of shape (n_rows,), bool
            Another class is likelier than the label, by more than rounding.
        """
        rows, classes = self.probabilities.shape
        guess, doubted = np.empty(rows, np.int64), np.empty(rows, dtype=bool)
        step = max(block_bytes // (classes * self.probabilities.itemsize), 1)

        def pass_over(start: int) -> None:
            at = slice(start, start + step)
            block, labels = self.probabilities[at], self.labels[at]
            _in_range(block)
            top = block.argmax(axis=1)
            differ = top != labels
            unsure = np.flatnonzero(differ)
            raised = block[unsure]
            raised[np.arange(len(unsure)), labels[unsure]] += CLOSE
            differ[unsure] = raised.argmax(axis=1) != labels[unsure]
            sure = block >= self.thresholds - CLOSE
            count = _row_sums(sure)
            found = np.where(count > 0, top, -1)
            alone = np.flatnonzero((count == 1) & ~sure[np.arange(len(top)), top])
            found[alone] = sure[alone].argmax(axis=1)
            guess[at], doubted[at] = found, differ

        if rows <= step:
            pass_over(0)
            return guess, doubted
        # Each block has a place of its own to write to, so that threads need not wait for each other.
        blas = get_cached_controller().select(user_api="blas")
        threads = max((pool["num_threads"] for pool in blas.info()), default=1)
        with blas.limit(limits=1), ThreadPoolExecutor(threads) as pool:
            list(pool.map(pass_over, range(0, rows, step)))
        return guess, doubted

    def joint(self, guess: Rows) -> NDArray[np.int64]:
        """Count rows by label and confident class; of each class one row is taken to be right at least."""
        classes = len(self.counts)
        pairs = np.bincount((guess + 1) * classes + self.labels, minlength=classes * (classes + 1))
        # Laid out by guess, as the peer's is: the order of a sum decides on halves that are rounded.
        joint = pairs[classes:].reshape(classes, classes).T
        np.fill_diagonal(joint, joint.diagonal().clip(min=1))
        return joint

    def by_noise_rate(self, pruned: NDArray[np.int64], doubted: Mask) -> Mask:
        """Flag of each label and likely class as many rows as counted, the largest margin first.

        Where more rows than that have another class ahead of their label, these rows alone need sorting:
        all of them are among `doubted`.
        """
        flagged = np.zeros(len(self.labels), dtype=bool)
        at = np.flatnonzero(doubted)
        at = at[np.argsort(self.labels[at], kind="stable")]
        ends = np.cumsum(np.bincount(self.labels[at], minlength=len(self.counts)))
        for label in np.flatnonzero(self.counts > 1).tolist():
            likely = np.flatnonzero(pruned[:, label] > 0)
            likely = likely[likely != label]
            if not likely.size:
                continue
            rows, few = self.rows_of(label), at[ends[label - 1] if label else 0 : ends[label]]
            ahead = self.own[few, None] - self.probabilities[few][:, likely]
            for place, other in enumerate(likely):
                count, own = pruned[other, label], ahead[:, place]
                if (own < -2 * CLOSE).sum() >= count:
                    chosen = np.flatnonzero(own <= np.partition(own, count - 1)[count - 1])
                    if len(chosen) == count:
                        flagged[few[chosen]] = True
                        continue
                margins = self.own[rows] - self.probabilities[rows, other]
                flagged[rows[_lowest(margins, count)]] = True
        return flagged

    def by_class(self, pruned: NDArray[np.int64]) -> Mask:
        """Flag of each label as many rows as counted, the least probable first."""
        flagged = np.zeros(len(self.labels), dtype=bool)
        for label in np.flatnonzero(self.counts > 1).tolist():
            rows = self.rows_of(label)
            flagged[rows[_lowest(self.own[rows], len(rows) - pruned[label, label])]] = True
        return flagged


def calibrated(joint: NDArray[np.int64], counts: Rows) -> NDArray[np.int64]:
    """Bring the rows of a joint to the counts of the labels, in whole numbers."""
    scaled = (joint.T / joint.sum(axis=1) * counts).T
    return _whole(scaled / scaled.sum() * counts.sum())


def _row_sums(mask: Mask) -> NDArray[np.number]:
    """Count the true cells of each row, by the faster way for its width."""
    if mask.shape[1] < 64:
        return np.asarray(mask @ np.ones(mask.shape[1], np.float32))
    return np.asarray(np.add.reduce(mask.view(np.uint8), axis=1, dtype=np.uint32))


def _in_range(probabilities: NDArray[np.floating]) -> None:
    low, high = probabilities.min(), probabilities.max()
    if not (low >= 0 and high <= 1 + CLOSE):
        raise DataError(f"probabilities lie in {low:g}..{high:g}: they must be in 0..1, and none missing.")


def _pruned(joint: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many rows to take of each likely class (row) and label (column); one of each label stays."""
    counted = joint.T
    right = np.maximum(counted.diagonal(), 1)
    # What a label's own count was raised by is taken from its other counts, in equal parts.
    raised = right - counted.diagonal()
    others = np.maximum(np.count_nonzero(counted, axis=0) - 1.0, 1.0)
    left = np.maximum(counted - raised / others, 0)
    np.fill_diagonal(left, right)
    # Whole numbers, cut; the row totals are whole then and need no rounding.
    return np.asarray(left.astype(np.int64))


def _whole(matrix: NDArray[np.float64]) -> NDArray[np.int64]:
    """Round each row so that its sum is that of the row, rounded: the largest remainders give way."""
    whole = matrix.round()
    wanted = matrix.sum(axis=1).round()
    for row in np.flatnonzero(np.abs(whole.sum(axis=1) - wanted) > CLOSE):
        while (off := wanted[row] - whole[row].sum()) != 0:
            step = 1 if off > 0 else -1
            # Ties are broken as NumPy sorts, from the end for additions: the peer's rule.
            order = np.argsort(matrix[row] - whole[row])[::-step]
            whole[row, order[: min(int(abs(off)), len(order))]] += step
    return whole.astype(np.int64)


def _lowest(values: NDArray[np.floating], count: int) -> Rows:
    """Return the places of the lowest values; where equal ones lie across the bound, as NumPy sorts them."""
    count = min(int(count), len(values))
    if count <= 0:
        return np.empty(0, np.int64)
    bound = np.partition(values, count - 1)[count - 1]
    chosen = np.flatnonzero(values <= bound)
    return chosen if len(chosen) == count else np.argsort(values)[:count]


def _best_other(matrix: NDArray[np.floating], labels: Rows) -> NDArray[np.floating]:
    """Return the highest probability of a class that is not the label."""
    others = matrix.copy()
    others[np.arange(len(labels)), labels] = -np.inf
    return np.asarray(others.max(axis=1))
