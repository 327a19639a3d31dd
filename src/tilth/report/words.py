"""The result in plain words: what was found, what was done, whether it helped."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tilth.audit import Audit
from tilth.bench import Curve, LearningCurve
from tilth.bench.result import Trial, Verdict, in_fixed
from tilth.core import Finding, Ledger
from tilth.core.finding import SEVERITIES

TONES = {"helps": "good", "hurts": "bad", "trades": "bad"}
"""How a verdict word is colored; all others are even."""

ACTIONS = {
    "dropped": "dropped",
    "relabeled": "given another label",
    "weighted": "given another weight",
    "grouped": "given another group",
    "repeated": "repeated",
    "added": "made anew",
}
"""What the ledger's actions are called in a sentence about rows."""

FIRST = 4
MINUS, DASH = "\u2212", "\u2013"


@dataclass(frozen=True)
class Card:
    """Hold one answer: a question, the answer in a few words, and the sentences behind it."""

    what: str
    big: str
    lines: tuple[str, ...] = ()
    tone: str = ""


def summary(
    audit: Audit | None = None,
    run: Any = None,
    comparison: Trial | None = None,
    ablation: Trial | None = None,
    curve: LearningCurve | None = None,
) -> list[Card]:
    """Return an answer for each part that is there, in the order of the report."""
    cards = []
    if audit is not None or run is not None:
        cards.append(found(findings_of(audit, run)))
    if run is not None:
        cards.append(done(run.ledger))
    if comparison is not None:
        cards.append(helped(comparison))
    if ablation is not None:
        cards.append(mattered(ablation))
    if curve is not None:
        cards.append(grew(curve))
    return cards


def findings_of(audit: Audit | None, run: Any = None) -> list[Finding]:
    """Return what the audit found, and what stages found that did not look then; the most severe first.

    A stage of the run sees the rows that the stages before it left, and would count a little
    otherwise what the audit has told already.
    """
    both = list(audit.findings) if audit is not None else []
    looked = {f.stage for f in both}
    both += [f for f in (run.findings if run is not None else ()) if f.stage not in looked]
    return sorted(both, key=lambda f: (-SEVERITIES[f.severity], -f.score))


def found(findings: Sequence[Finding]) -> Card:
    """Say how much there is to attend to, and the worst of it."""
    worth = [f for f in findings if f.severity in ("high", "medium")]
    if not findings:
        return Card(
            "Found", "Nothing", ("Every check and every stage looked, and none found anything.",), "good"
        )
    big = f"{count(len(worth), 'thing')} to attend to" if worth else "Nothing of weight"
    lines = [f.message for f in spread(worth)[:FIRST]]
    if more := len(findings) - len(lines):
        lines.append(f"{more} more {'remark' if more == 1 else 'remarks'} in the table below.")
    return Card("Found", big, tuple(lines), "bad" if any(f.severity == "high" for f in findings) else "")


def spread(findings: Iterable[Finding]) -> list[Finding]:
    """Put the first finding of each kind before the second of any, so that few lines say most."""
    turn: Counter[str] = Counter()
    ranked = []
    for finding in findings:
        ranked.append((turn[finding.kind], finding))
        turn[finding.kind] += 1
    return [f for _, f in sorted(ranked, key=lambda r: r[0])]


def done(ledger: Ledger) -> Card:
    """Say how many rows and cells were touched."""
    account = ledger.account()
    lines = [f"{count(account[a], 'row')} {words}." for a, words in ACTIONS.items() if account[a]]
    kinds = {c: ledger.columns.filter(ledger.columns["change"] == c) for c in ("changed", "added", "removed")}
    kinds["changed"] = kinds["changed"].filter(kinds["changed"]["cells"] > 0)
    if kinds["changed"].height:
        width = kinds["changed"]["column"].n_unique()
        lines.append(
            f"{int(kinds['changed']['cells'].sum()):,} changes of cells in {count(width, 'column')}."
        )
    new, gone = kinds["added"].height, kinds["removed"].height
    if new:
        lines.append(f"{count(new, 'column')} added{f', {gone:,} replaced' * (gone > 0)}.")
    elif gone:
        lines.append(f"{count(gone, 'column')} removed.")
    big = f"{account['rows_in']:,} rows in, {account['rows_out']:,} out"
    return Card("Done", big, tuple(lines) or ("No row and no cell was changed.",))


def helped(trial: Trial) -> Card:
    """Say whether the whole recipe helped."""
    words = Counter(v.word for v in trial.verdicts)
    total = len(trial.verdicts)
    several = "claim" if len(trial.primary) > 1 else "model"
    if words["helps"]:
        big, tone = f"It helps {words['helps']} of {count(total, several)}", "good"
        if words["hurts"]:
            big, tone = f"{big}, hurts {words['hurts']}", "even"
        elif words["trades"]:
            pays = "pays" if words["trades"] == 1 else "pay"
            big, tone = f"{big}, {words['trades']} {pays} for it elsewhere", "even"
    elif words["hurts"]:
        big, tone = f"It hurts {words['hurts']} of {count(total, several)}", "bad"
    elif total and words["no difference"] == total:
        big, tone = "It makes no difference", "even"
    elif words["indication"]:
        big, tone = "An indication, no proof", "even"
    else:
        big, tone = "No evidence that it helps", "even"
    leaks = [f.message for f in trial.grave]
    # Where the target is given away no score is about predicting: nothing of it is news, good or bad.
    tone = "even" if leaks else tone
    return Card("Helped?", big, (*leaks, *(verdict_line(v) for v in trial.verdicts)), tone)


def mattered(trial: Trial) -> Card:
    """Say which stages helped and which hurt."""
    of = lambda word: list(dict.fromkeys(v.stage for v in trial.verdicts if v.word == word))
    helps, hurts = of("helps"), of("hurts")
    total = len(dict.fromkeys(v.stage for v in trial.verdicts))
    big = f"{len(helps)} of {count(total, 'stage')} help" if helps else "No stage is proven to help"
    if hurts:
        big += f", {len(hurts)} hurt{'s' * (len(hurts) == 1)}"
    leaks = [f.message for f in trial.grave]
    # A stage that takes a leak away lowers every score, and is to stay.
    advice = "." if leaks else ": leave it out."
    lines = leaks + [f"{s} helps." for s in helps] + [f"{s} hurts{advice}" for s in hurts]
    lines.append("A stage without evidence may help a little; this run cannot tell.")
    return Card(
        "Which stages?",
        big,
        tuple(lines),
        "even" if leaks or bool(helps) == bool(hurts) else "good" if helps else "bad",
    )


def grew(done: LearningCurve) -> Card:
    """Say whether more rows would help."""
    words = Counter(c.word for c in done.curves)
    total = len(done.curves)
    several = "claim" if len(done.primary) > 1 else "model"
    if words["more rows would help"]:
        big, tone = f"More rows would help {words['more rows would help']} of {count(total, several)}", "good"
    elif words["flat"] == total:
        big, tone = "More rows would change little", "even"
    elif words["flat"]:
        big, tone = f"Flat for {words['flat']} of {count(total, several)}, unknown for the rest", "even"
    else:
        big, tone = "These rows cannot tell", "even"
    return Card("More rows?", big, tuple(curve_line(c) for c in done.curves), tone)


def curve_line(curve: Curve) -> str:
    """Say what a curve foretells in one short sentence."""
    if curve.twice is None:
        return f"{curve.probe}: {curve.word}. {curve.note}".strip()
    gain = curve.twice
    return (
        f"{curve.probe}: {curve.word}. {metric(curve.metric)} {curve.points[-1].score:.4f}; twice the rows "
        f"{signed(gain.gain)} (95% {signed(gain.gain_low)} to {signed(gain.gain_high)})."
    )


def verdict_line(verdict: Verdict) -> str:
    """Say a verdict in one short sentence."""
    if not math.isfinite(verdict.difference):
        return f"{verdict.probe}: {verdict.word}. {verdict.note}".strip()
    scores = f"{metric(verdict.metric)} {verdict.before:.4f} → {verdict.after:.4f}"
    return (
        f"{verdict.probe}: {verdict.word}. {scores} "
        f"({signed(verdict.difference)}, 95% {signed(verdict.low)} to {signed(verdict.high)})."
    )


def protocol(trial: Trial) -> str:
    """Say how the scores came about; the metric comes first, since it was chosen first."""
    if trial.tested is not None:
        return (
            f"{design(trial)} The same test rows and training seeds for both arms, everything fitted on the "
            "other rows only, test rows untouched. Intervals come from draws of the test rows and the seeds, "
            "p values are adjusted for the number of claims (Holm)."
        )
    return (
        f"{design(trial)} The same folds for both arms, everything fitted on training folds only, test rows "
        "untouched. Intervals are corrected for overlapping training sets (Nadeau and Bengio), p values for "
        "the number of claims (Holm)."
    )


def design(trial: Trial) -> str:
    """Say what was measured, on how many rows and folds."""
    metrics = " and ".join(metric(m) for m in trial.primary)
    times = f"{trial.repeats} times" if trial.repeats > 1 else "once"
    drawn = f"{trial.folds} folds, {times}"
    drawn = drawn if trial.tested is None else in_fixed(trial.tested, trial.repeats)
    drawn += ", probes tuned inside each" if trial.tuned.height else ""
    return f"Chosen before the run: {metrics}. {trial.rows:,} rows, {trial.task}, {drawn}."


def metric(name: str) -> str:
    """Write a metric's name for people."""
    return METRICS.get(name, name.replace("_", " "))


METRICS = {
    "roc_auc": "ROC AUC",
    "pr_auc": "PR AUC",
    "log_loss": "log loss",
    "brier": "Brier score",
    "ece": "ECE",
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R²",
}


def signed(number: float, digits: int = 4) -> str:
    """Write a number with its sign; what is not finite is a dash."""
    # Adding 0 makes the zero that a small loss is rounded to a plain one.
    return f"{round(number, digits) + 0.0:+.{digits}f}".replace("-", MINUS) if math.isfinite(number) else DASH


def count(number: int, noun: str) -> str:
    """Write ``1 row``, ``2 rows``."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
