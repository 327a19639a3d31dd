"""McNemar's exact test on one fixed test set: a cross-check of verdicts, by rows decided differently."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tilth.bench.arms import FoldResult
from tilth.bench.design import Design
from tilth.bench.fixed import answers_of, tested_of
from tilth.bench.fixed_scores import Said
from tilth.bench.result import Verdict
from tilth.bench.verdicts import ALPHA, Question
from tilth.core import Finding

GAINS, LOSES = ("helps", "trades", "threshold only"), ("hurts",)


def mcnemar(before: NDArray[np.bool_], after: NDArray[np.bool_]) -> tuple[int, int, float]:
    """Return in how many rows only after is right, and only before, and the exact two-sided p value.

    Rows that both tell right, or both wrong, say nothing about which is better; of the others, each is as
    likely to be either kind where they are equally good: a binomial test.

    Parameters
    ----------
    before, after : ndarray of shape (n_rows,), bool
        Whether each row was told right.

    References
    ----------
    McNemar, "Note on the sampling error of the difference between correlated proportions", Psychometrika 12,
    1947; Dietterich, "Approximate statistical tests for comparing supervised classification learning
    algorithms", Neural Computation 10, 1998.

    Examples
    --------
    >>> import numpy as np
    >>> before, after = np.repeat([True, False, True], [50, 9, 1]), np.repeat([True, True, False], [50, 9, 1])
    >>> gained, lost, p = mcnemar(before, after)
    >>> gained, lost, round(p, 4)
    (9, 1, 0.0215)
    """
    from scipy.stats import binomtest

    gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
    p = float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0
    return gained, lost, p


def majority(answers: Sequence[Said]) -> NDArray[np.int64]:
    """Return the class that most training seeds decide for, row by row; ties go to the more probable one.

    Dietterich's test is about two classifiers and rows that are independent. Added up over seeds, a row would
    count once for each of them, and those are alike: p values would be far too small. So each row has one
    vote, which the seeds cast.
    """
    codes = np.stack([np.asarray(answer.decided) for answer in answers])
    probable = np.mean([np.asarray(answer.said) for answer in answers], axis=0)
    votes = np.zeros(probable.shape)
    for decided in codes:
        votes[np.arange(len(decided)), decided] += 1
    # Probabilities are below 1, so that half of them never outdoes a vote.
    return np.asarray((votes + probable / 2).argmax(axis=1), np.int64)


def mcnemar_of(
    results: Sequence[FoldResult], design: Design, questions: Sequence[Question], verdicts: Sequence[Verdict]
) -> list[Finding]:
    """Say for each question and probe what McNemar's test finds, and where it contradicts a verdict.

    Nothing is said of folds and of regressions, nor where groups are drawn whole: their rows are not
    independent, which the test needs.

    Parameters
    ----------
    results : sequence of FoldResult
    design : Design
    questions : sequence of Question
    verdicts : sequence of Verdict
    """
    if design.test is None or design.task == "regression" or design.table.roles.group is not None:
        return []
    counts = tested_of(design)
    inside = design.weight[design.fold_of[0] == 0] > 0
    truth = design.truth[counts]
    answers = answers_of([line for r in results for line in r.answers], len(design.fold_of))
    right = {
        key: majority(told)[inside] == truth for key, told in answers.items() if told[0].said is not None
    }
    findings = []
    for question in questions:
        for probe, _ in design.probes:
            both = [right.get((probe, arm)) for arm in (question.before, question.after)]
            if both[0] is None or both[1] is None:
                continue
            mine = [v for v in verdicts if v.probe == probe and v.stage == question.stage]
            findings.append(_told(question, probe, mcnemar(both[0], both[1]), len(truth), mine))
    return findings


def _told(
    question: Question, probe: str, found: tuple[int, int, float], rows: int, verdicts: Sequence[Verdict]
) -> Finding:
    gained, lost, p = found
    who = f"{question.stage}: {probe}" if question.stage else probe
    message = (
        f"{who}, a cross-check by McNemar's exact test on what most training seeds decide: of {rows:,} test "
        f"rows, {gained:,} are right only after and {lost:,} only before, p {p:.2g}."
    )
    against = [told for told in (_against(v, gained - lost, p) for v in verdicts) if told]
    severity: Literal["medium", "info"] = "medium" if against else "info"
    return Finding(
        "bench.mcnemar", " ".join([message, *against]), p, severity, n_rows=gained + lost, stage="bench"
    )


def _against(verdict: Verdict, more: int, p: float) -> str:
    """Say where the test and a verdict disagree: on the direction, or of accuracy itself on whether it is."""
    clear = p < ALPHA
    gains, loses = verdict.word in GAINS, verdict.word in LOSES
    said = f"'{verdict.word}' by {verdict.metric}"
    if clear and ((gains and more < 0) or (loses and more > 0)):
        way = "fewer" if more < 0 else "more"
        return f"This contradicts {said}: {way} rows are decided right. Look at both before you go by either."
    if verdict.metric != "accuracy":
        return ""
    if clear and verdict.word == "no evidence":
        return f"It finds a difference where the verdict is {said}: it takes the training seeds as given."
    return f"It cannot confirm {said}." if not clear and (gains or loses) else ""
