"""Several people's labels: the slow textbook and cleanlab say the same, and votes have the laws of votes."""

import math

import numpy as np
import pytest
from cleanlab.multiannotator import get_label_quality_multiannotator, get_majority_vote_label
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import fisher_exact

from tilth.errors import DataError
from tilth.statistics.annotators import SMOOTHING, agreement, crowdlab, dawid_skene, majority, worse


def crowd(rows=300, right=(0.9, 0.8, 0.7, 0.55), classes=3, given=0.7, seed=0):
    """Make true classes, and what people who are so often right say of some of them."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, rows)
    off = (truth[:, None] + rng.integers(1, classes, (rows, len(right)))) % classes
    votes = np.where(rng.random((rows, len(right))) < right, truth[:, None], off)
    votes[rng.random(votes.shape) > given] = -1
    seen = (votes >= 0).any(axis=1)
    return truth[seen], votes[seen]


def model_of(truth, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    odds = rng.random((len(truth), classes)) + 1.2 * np.eye(classes)[truth]
    return odds / odds.sum(axis=1, keepdims=True)


VOTES = arrays(np.int64, st.tuples(st.integers(1, 12), st.integers(1, 4)), elements=st.integers(-1, 2)).map(
    lambda v: np.where((v < 0).all(axis=1, keepdims=True), 0, v)
)


@given(VOTES)
def test_the_majority_is_a_label_that_no_other_beats(votes):
    told = majority(votes, 3)
    counts = np.array([[(row == k).sum() for k in range(3)] for row in votes])
    assert (counts[np.arange(len(votes)), told.labels] == counts.max(axis=1)).all()
    np.testing.assert_allclose(told.belief, counts / counts.sum(axis=1, keepdims=True))
    assert not told.open[(counts == counts.max(axis=1, keepdims=True)).sum(axis=1) == 1].any()


@given(VOTES, st.integers(0, 5))
def test_neither_the_order_of_rows_nor_of_annotators_matters_to_a_majority(votes, seed):
    rng = np.random.default_rng(seed)
    rows, people = rng.permutation(votes.shape[0]), rng.permutation(votes.shape[1])
    one, other = majority(votes, 3), majority(votes[rows][:, people], 3)
    assert other.labels.tolist() == one.labels[rows].tolist()
    np.testing.assert_allclose(other.belief, one.belief[rows])
    np.testing.assert_allclose(other.trust, one.trust[people])


def test_the_order_of_rows_or_annotators_does_not_matter_to_the_others():
    truth, votes = crowd()
    rows, people = np.random.default_rng(1).permutation(len(votes)), [2, 0, 3, 1]
    model = model_of(truth)
    turned = votes[rows][:, people]
    for one, other in (
        (dawid_skene(votes, 3), dawid_skene(turned, 3)),
        (crowdlab(votes, model), crowdlab(turned, model[rows])),
    ):
        assert other.labels.tolist() == one.labels[rows].tolist()
        np.testing.assert_allclose(other.belief, one.belief[rows], atol=1e-9)
        np.testing.assert_allclose(other.trust, one.trust[people], atol=1e-9)


def test_a_tie_goes_to_the_better_annotator_then_to_the_model_then_to_the_frequent():
    clear = [[0, 0, 0], [1, 1, 1], [1, 1, 0], [0, 0, 1]]
    votes = np.array([*clear, [0, -1, 1]])
    assert (majority(votes, 2).labels[-1], bool(majority(votes, 2).open[-1])) == (0, False)
    two = np.array([[0, 0], [1, 1], [1, 1], [0, 1]])
    assert (majority(two, 2).labels[-1], bool(majority(two, 2).open[-1])) == (1, True)
    sure = np.full((4, 2), 0.5)
    sure[-1] = [0.8, 0.2]
    told = majority(two, 2, sure)
    assert (told.labels[-1], bool(told.open[-1])) == (0, False)


def test_without_ties_the_majority_is_cleanlabs():
    _, votes = crowd(classes=4)
    counts = np.array([np.bincount(row[row >= 0], minlength=4) for row in votes])
    clear = (counts == counts.max(axis=1, keepdims=True)).sum(axis=1) == 1
    votes = votes[clear]
    peer = get_majority_vote_label(np.where(votes < 0, np.nan, votes), verbose=False)
    assert len(votes) > 150
    assert majority(votes, 4).labels.tolist() == peer.tolist()


def test_agreement_counts_rows_that_are_shared():
    votes = np.array([[0, 0, -1], [1, 0, -1], [-1, -1, 1], [1, 1, -1]])
    told = agreement(votes, np.array([0, 0, 1, 1]))
    assert told[:2].tolist() == [2 / 3, 1.0]
    assert np.isnan(told[2])


def test_how_seldom_one_agrees_is_fishers_exact_test():
    _, votes = crowd()
    labels = majority(votes, 3).labels
    shared = (votes >= 0).sum(axis=1) > 1
    agrees = ((votes == labels[:, None]) & (votes >= 0))[shared].sum(axis=0)
    of = (votes >= 0)[shared].sum(axis=0)
    for m, p in enumerate(worse(votes, labels)):
        a, n = agrees[m], of[m]
        rest, others = agrees.sum() - a, of.sum() - n
        table = [[a, n - a], [rest, others - rest]]
        assert p == pytest.approx(fisher_exact(table, alternative="less").pvalue, rel=1e-9)
    assert worse(votes, labels).argmin() == 3
    assert worse(votes, labels)[3] < 1e-6
    assert worse(np.array([[0, -1], [-1, 1]]), np.array([0, 1])).tolist() == [1, 1]


def slow_dawid_skene(votes, classes, steps):
    """Write the equations down as they are printed."""
    rows, people = votes.shape
    belief = [[sum(v == k for v in row) / sum(v >= 0 for v in row) for k in range(classes)] for row in votes]
    for _ in range(steps):
        share = [sum(b[k] for b in belief) + SMOOTHING for k in range(classes)]
        share = [s / sum(share) for s in share]
        confusion = {}
        for m in range(people):
            for k in range(classes):
                of = [
                    sum(belief[i][k] for i in range(rows) if votes[i][m] == c) + SMOOTHING
                    for c in range(classes)
                ]
                confusion[m, k] = [n / sum(of) for n in of]
        for i in range(rows):
            odds = [
                share[k] * math.prod(confusion[m, k][votes[i][m]] for m in range(people) if votes[i][m] >= 0)
                for k in range(classes)
            ]
            belief[i] = [o / sum(odds) for o in odds]
    return np.array(belief)


@pytest.mark.parametrize("seed", range(3))
def test_dawid_skene_is_the_textbooks(seed, monkeypatch):
    _, votes = crowd(60, seed=seed)
    monkeypatch.setattr("tilth.statistics.annotators.STEPS", 12)
    monkeypatch.setattr("tilth.statistics.annotators.STILL", 0.0)
    np.testing.assert_allclose(dawid_skene(votes, 3).belief, slow_dawid_skene(votes, 3, 12), atol=1e-9)


def test_dawid_skene_sees_through_a_liar_and_many_annotators_do_not_underflow():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 400)
    good = np.where(rng.random((400, 3)) < 0.85, truth[:, None], 1 - truth[:, None])
    liar = np.where(rng.random(400) < 0.98, 1 - truth, truth)
    votes = np.column_stack([good, liar])
    told = dawid_skene(votes, 2)
    assert (told.labels == truth).mean() > 0.97
    assert (majority(votes, 2).labels == truth).mean() < 0.96
    assert told.trust.argmin() == 3
    many = np.where(rng.random((50, 3000)) < 0.6, truth[:50, None], 1 - truth[:50, None])
    assert np.isfinite(dawid_skene(many, 2).belief).all()
    assert dawid_skene(many, 2).labels.tolist() == truth[:50].tolist()


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("given", [0.35, 0.7, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_crowdlab_is_cleanlabs(classes, given, seed):
    truth, votes = crowd(250, classes=classes, given=given, seed=seed)
    model = model_of(truth, classes, seed)
    peer = get_label_quality_multiannotator(
        np.where(votes < 0, np.nan, votes), model, verbose=False, return_weights=True
    )
    ours = crowdlab(votes, model)
    assert ours.labels.tolist() == peer["label_quality"]["consensus_label"].tolist()
    np.testing.assert_allclose(ours.quality, peer["label_quality"]["consensus_quality_score"], atol=1e-9)
    stats = peer["annotator_stats"].sort_index()
    np.testing.assert_allclose(ours.trust, stats["annotator_quality"], atol=1e-9)
    np.testing.assert_allclose(ours.belief.sum(axis=1), 1)


def test_crowdlab_is_cleanlabs_where_one_annotator_works_alone():
    truth, votes = crowd(200, given=1.0)
    alone = np.arange(len(votes)) % 5 == 0
    votes[alone, :3], votes[~alone, 3] = -1, -1
    model = model_of(truth)
    peer = get_label_quality_multiannotator(np.where(votes < 0, np.nan, votes), model, verbose=False)
    ours = crowdlab(votes, model)
    np.testing.assert_allclose(ours.quality, peer["label_quality"]["consensus_quality_score"], atol=1e-9)
    np.testing.assert_allclose(
        ours.trust, peer["annotator_stats"].sort_index()["annotator_quality"], atol=1e-9
    )
    assert np.isnan(ours.trust[3])


def test_crowdlab_needs_a_row_with_two_labels():
    with pytest.raises(DataError, match="No row has labels of two annotators"):
        crowdlab(np.array([[0, -1], [-1, 1]]), np.full((2, 2), 0.5))


def test_annotators_who_all_agree_are_all_believed():
    votes = np.tile(np.arange(20)[:, None] % 3, (1, 3))
    for told in (majority(votes, 3), dawid_skene(votes, 3), crowdlab(votes, model_of(votes[:, 0]))):
        assert told.labels.tolist() == votes[:, 0].tolist()
        assert (told.quality > 0.6).all()
        assert np.isfinite(told.trust).all()
