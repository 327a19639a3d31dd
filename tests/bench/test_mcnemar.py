"""McNemar's exact test, against hand-worked cases."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest

from tilth.bench.fixed_scores import Said
from tilth.bench.mcnemar import _told as told
from tilth.bench.mcnemar import majority, mcnemar
from tilth.bench.result import Verdict
from tilth.bench.verdicts import Question


def _pairs(both, gained, lost, neither):
    before = np.repeat([True, False, True, False], [both, gained, lost, neither])
    after = np.repeat([True, True, False, False], [both, gained, lost, neither])
    return before, after


def test_rows_decided_alike_say_nothing():
    # Of 10 rows decided apart, 9 or more, or 1 or fewer, of one kind: 2 * (1 + 10) / 1024.
    for both, neither in ((0, 0), (50, 20)):
        gained, lost, p = mcnemar(*_pairs(both, 9, 1, neither))
        assert (gained, lost) == (9, 1) and p == pytest.approx(22 / 1024)
    assert mcnemar(*_pairs(5, 0, 0, 5)) == (0, 0, 1.0)
    assert mcnemar(*_pairs(3, 4, 4, 3))[2] == 1.0


def test_the_p_value_is_the_binomial_tail():
    _, _, p = mcnemar(*_pairs(100, 22, 40, 30))
    assert p == pytest.approx(2 * sum(comb(62, k) for k in range(23)) / 2**62)


def test_most_seeds_decide_and_probability_breaks_ties():
    say = lambda codes, sure: Said(np.array([[1 - s, s] for s in sure]), np.array(codes))
    voted = majority(
        [say([1, 0, 1], [0.6, 0.1, 0.9]), say([1, 0, 0], [0.7, 0.9, 0.2]), say([0, 1, 0], [0, 0.9, 0.3])]
    )
    assert voted.tolist() == [1, 0, 0]
    assert majority([say([1, 1], [0.9, 0.6]), say([0, 0], [0.4, 0.1])]).tolist() == [1, 0]


def _verdict(word, metric="accuracy"):
    numbers = dict.fromkeys(("before", "after", "difference", "low", "high", "p", "p_holm", "mde80"), 0.0)
    more = dict.fromkeys(("p_hurts", "p_same", "p_helps", "rope"), 0.0)
    return Verdict("linear", metric, **numbers, **more, n_scores=5, word=word)


@pytest.mark.parametrize(
    ("counts", "word", "metric", "says"),
    [
        ((30, 10), "helps", "roc_auc", ""),
        ((10, 30), "helps", "roc_auc", "contradicts 'helps' by roc_auc: fewer rows"),
        ((30, 10), "hurts", "roc_auc", "contradicts 'hurts' by roc_auc: more rows"),
        ((12, 10), "helps", "roc_auc", ""),
        ((12, 10), "helps", "accuracy", "cannot confirm 'helps' by accuracy"),
        ((30, 10), "no evidence", "accuracy", "finds a difference"),
        ((30, 10), "no evidence", "roc_auc", ""),
        ((12, 10), "no evidence", "accuracy", ""),
    ],
)
def test_what_contradicts_a_verdict_is_said(counts, word, metric, says):
    found = mcnemar(*_pairs(50, *counts, 5))
    finding = told(Question("before", "after"), "linear", found, 95, [_verdict(word, metric)])
    assert says in finding.message and (finding.severity == "medium") == bool(says)
    assert f"{counts[0]} are right only after and {counts[1]} only before" in finding.message
