"""Confident learning marks the same rows as the peer, bit for bit, for each of its rules."""

from __future__ import annotations

import warnings
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.errors import DataError
from tilth.statistics import confident
from tilth.statistics.confident import Method, Score, confident_joint, find_label_issues, label_quality


def judged(
    seed: int, rows: int, classes: int, digits: int | None, dtype: type
) -> tuple[np.ndarray, np.ndarray]:
    """Draw probabilities and labels of which some contradict them; rounded ones have ties."""
    draw = np.random.default_rng(seed)
    p = draw.dirichlet(np.full(classes, draw.choice([0.1, 0.5, 2.0])), rows)
    labels = np.array([draw.choice(classes, p=row) for row in p])
    flipped = draw.random(rows) < 0.2
    labels[flipped] = draw.integers(0, classes, flipped.sum())
    return labels, (p if digits is None else p.round(digits)).astype(dtype)


tables = st.builds(
    judged,
    st.integers(0, 2**32 - 1),
    st.integers(2, 150),
    st.integers(2, 7),
    st.sampled_from([None, 1, 2]),
    st.sampled_from([np.float32, np.float64]),
).filter(lambda table: len(np.unique(table[0])) > 1)


@given(tables, st.sampled_from(get_args(Method)), st.sampled_from([64, 2**20]))
@settings(max_examples=300, deadline=None)
def test_the_rows_are_those_of_the_peer(
    table: tuple[np.ndarray, np.ndarray], method: Method, block_bytes: int
) -> None:
    from cleanlab.filter import find_label_issues as peer

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = peer(*table, filter_by=method, n_jobs=1)
    assert find_label_issues(*table, method=method, block_bytes=block_bytes).tolist() == wanted.tolist()


@given(tables)
@settings(max_examples=60, deadline=None)
def test_the_joint_and_the_share_of_right_labels_are_those_of_the_peer(
    table: tuple[np.ndarray, np.ndarray],
) -> None:
    from cleanlab.count import compute_confident_joint
    from cleanlab.dataset import overall_label_health_score

    for calibrate in (True, False):
        wanted = compute_confident_joint(*table, calibrate=calibrate)
        assert confident_joint(*table, calibrate=calibrate).tolist() == wanted.tolist()
    assert confident.share_right(*table) == pytest.approx(overall_label_health_score(*table, verbose=False))


@given(tables, st.sampled_from(get_args(Score)), st.booleans())
@settings(max_examples=100, deadline=None)
def test_scores_are_those_of_the_peer(
    table: tuple[np.ndarray, np.ndarray], method: Score, adjust: bool
) -> None:
    from cleanlab.rank import get_label_quality_scores

    adjust = adjust and method != "confidence_weighted_entropy"
    wanted = get_label_quality_scores(*table, method=method, adjust_pred_probs=adjust)
    np.testing.assert_allclose(label_quality(*table, method=method, adjust=adjust), wanted, atol=2e-6)


def test_many_classes_of_few_rows_are_those_of_the_peer() -> None:
    from cleanlab.filter import find_label_issues as peer

    labels, p = judged(5, 3000, 300, None, np.float32)
    for method in ("prune_by_noise_rate", "both"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wanted = peer(labels, p, filter_by=method, n_jobs=1)
        assert wanted.any()
        assert (find_label_issues(labels, p, method=method) == wanted).all()


def test_a_class_that_no_row_is_labeled_as_is_never_the_confident_one() -> None:
    labels, p = judged(1, 80, 3, None, np.float64)
    labels[labels == 2] = 0
    assert confident_joint(labels, p, calibrate=False)[:, 2].tolist() == [0, 0, 1]


def test_inputs_are_not_changed() -> None:
    labels, p = judged(2, 60, 3, None, np.float64)
    before = labels.copy(), p.copy()
    for method in get_args(Method):
        find_label_issues(labels, p, method=method)
    label_quality(labels, p, method="normalized_margin", adjust=True)
    assert (labels == before[0]).all()
    assert (p == before[1]).all()


def test_one_row_is_no_issue() -> None:
    assert find_label_issues(np.array([0]), np.array([[0.1, 0.9]])).tolist() == [False]


@pytest.mark.parametrize(
    ("labels", "p", "told"),
    [
        ([0, 1], [[0.5, 0.5]], "do not match"),
        ([0, 2], [[0.5, 0.5], [0.5, 0.5]], "there are 2 classes"),
        ([0, 1], [[0.5, 0.5], [np.nan, 0.5]], "none missing"),
        ([0, 1], [[0.5, 0.5], [1.5, -0.5]], r"-0.5..1.5"),
        ([], np.empty((0, 2)), "at least one row"),
    ],
)
def test_what_does_not_fit_is_told(labels: list[int], p: list[list[float]], told: str) -> None:
    with pytest.raises(DataError, match=told):
        find_label_issues(np.array(labels, dtype=int), np.array(p))


def test_an_unknown_rule_is_told_with_those_there_are() -> None:
    table = judged(3, 20, 2, None, np.float64)
    with pytest.raises(DataError, match="prune_by_class"):
        find_label_issues(*table, method="prune")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="normalized_margin"):
        label_quality(*table, method="margin")  # type: ignore[arg-type]
