"""What a training's numbers say of its health: findings, each with its figures and what would mend it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from tilth.core.finding import SEVERITIES, Finding
from tilth.training import remedies
from tilth.training.vitals import Vitals

CODES = {
    "health.missing": "inputs hold NaN or infinite cells",
    "health.unscaled": "inputs lie far from 0",
    "health.diverged": "the loss became NaN or infinite, or grew",
    "health.exploding": "gradients are far too large",
    "health.vanishing": "hardly any gradient reaches the first layer",
    "health.dead": "hidden units are silent, or get no gradient",
    "health.saturated": "hidden units stand at the end of their range, where their gradient vanishes",
    "health.oscillating": "the score falls and rises from epoch to epoch",
    "health.not_learning": "the training rows are hardly fitted better than by a constant",
    "health.no_signal": "rows kept aside are answered no better than by a constant",
    "health.underfit": "not even a handful of rows could be learned by heart",
    "health.overfit": "training rows are answered much better than rows kept aside",
    "health.large_weights": "weights are large",
    "health.large_activations": "hidden units answer with large numbers",
    "health.unstable": "the result depends on the first weights",
}
"""The codes of findings, and what they mean."""

# AUTOTRAINER's thresholds where it has one; those marked (ours) were set on training runs of other seeds and
# data than those that benchmarks/health.py reports.
VANISHING_RATIO, VANISHING_NORM = 1e-3, 1e-4
EXPLODING_RATIO = 70.0
CLIPPED, CLIPPED_BY = 0.5, 10.0
"""(ours) More than half of the steps, and the median over the epochs more than ten times the limit."""
NORM_OF_LOSS = 100.0
"""(ours) Median norm of an epoch's gradients, over the loss of the simplest answer."""
DEAD = 0.5
SATURATED = 0.5
"""(ours)"""
DIVERGED_LOSS = 1e3
"""Times the loss of the simplest answer."""
GROWN, GROWN_EPOCHS = 2.0, 3
SWING, SWINGS = 0.03, 0.2
NOISE = 3.0
"""(ours) Standard errors that a gap must have, beside its size: few rows make gaps by chance."""
GAIN = 0.1
"""Share of the simplest answer's loss that training must take away; deepchecks' default for simple models."""
SIGNAL = 0.01
UNDERFIT = 0.1
RISEN = 1.05
"""Times its lowest that the loss on rows kept aside stands at: deepchecks' limit for boosting."""
GAP_LOW, GAP_HIGH, GOOD = 0.10, 0.07, 0.9
LARGE_WEIGHT = 5.0
LARGE_ACTIVATION = 10.0
FAR = 30.0
"""(ours) Root mean square of an input."""
SEEDS = 0.5
LEAST_SD = 0.01
"""Accuracy, or share of variance, below which a difference means nothing, as the bench has it."""


def diagnose(vitals: Vitals) -> list[Finding]:
    """Return what is wrong with a training, the worst first.

    Parameters
    ----------
    vitals : Vitals
        Its numbers. A rule whose numbers were not measured says nothing.

    Returns
    -------
    list of Finding
        Kinds as in `CODES`. Severity "low" is a remark: nothing need be wrong.

    Examples
    --------
    >>> [f.kind for f in diagnose(Vitals((0.7, 0.6, float("nan")), broken_steps=3))]
    ['health.diverged']
    """
    found = [finding for rule in RULES for finding in rule(vitals)]
    return sorted(found, key=lambda finding: -SEVERITIES[finding.severity])


def _found(
    kind: str, message: str, score: float, severity: str, mend: remedies.Remedy, **more: object
) -> Finding:
    line, words = mend
    told = f"{message} {words}"
    return Finding(kind, told, float(score), severity, remedy=line, stage="health", **more)  # type: ignore[arg-type]


def missing(v: Vitals) -> Iterator[Finding]:
    """Cells that no arithmetic survives."""
    if v.columns is not None and v.columns.missing:
        message = f"{v.columns.missing:,} input cells are NaN or infinite in the rows looked at."
        yield _found("health.missing", message, v.columns.missing, "high", remedies.fill())


def unscaled(v: Vitals) -> Iterator[Finding]:
    """Inputs far from 0."""
    if v.columns is None or not len(v.columns.size):
        return
    far = np.flatnonzero(v.columns.size > FAR)
    if not len(far):
        return
    worst = far[np.argsort(-v.columns.size[far])]
    top = int(worst[0])
    message = (
        f"{len(far)} of {len(v.columns.size)} inputs lie far from 0: {v.columns.name(top)} has a root mean "
        f"square of {v.columns.size[top]:.3g} (spread {v.columns.spread[top]:.3g}), the median input "
        f"{np.median(v.columns.size):.3g}."
    )
    severity = "high" if v.columns.size[top] > FAR**2 else "medium"
    names = tuple(v.columns.name(int(place)) for place in worst[:20])
    yield _found("health.unscaled", message, v.columns.size[top], severity, remedies.scale(v), columns=names)


def diverged(v: Vitals) -> Iterator[Finding]:
    """A loss that is no number, or far above where it began."""
    losses = np.array(v.train_losses)
    broken = np.flatnonzero(~np.isfinite(losses))
    if len(broken) or v.broken_steps:
        where = f"in epoch {broken[0]}" if len(broken) else "on the way"
        message = f"The loss or its gradient became NaN or infinite {where} ({v.broken_steps:,} steps)."
        yield _found("health.diverged", message, max(v.broken_steps, 1), "high", remedies.calm(v))
        return
    unit = v.dummy_loss if v.dummy_loss > 0 else 1.0
    grown = losses > GROWN * losses[0]
    run = _longest(grown)
    if losses[-1] > DIVERGED_LOSS * unit or run >= GROWN_EPOCHS:
        message = (
            f"The loss grew from {losses[0]:.3g} in the first epoch to {losses.max():.3g}, and stood at "
            f"{losses[-1]:.3g} in the last."
        )
        yield _found("health.diverged", message, losses[-1] / unit, "high", remedies.calm(v))


def exploding(v: Vitals) -> Iterator[Finding]:
    """Gradients far larger than a step can use."""
    norm = np.array(v.norm)
    if not len(norm) or not np.isfinite(norm).any():
        return
    top = float(np.nanmax(np.where(np.isfinite(norm), norm, np.nan)))
    unit = v.dummy_loss if v.dummy_loss > 0 else 1.0
    with np.errstate(all="ignore"):
        ratio = np.array(v.first) / np.array(v.last)
    steep = np.isfinite(ratio) & (ratio > EXPLODING_RATIO)
    told = []
    if v.matrices > 1 and steep.mean() >= 0.5:
        told.append(f"the first layer's gradient is {np.median(ratio[steep]):.3g} times the last one's")
    if v.clip_norm is not None and v.clipped > CLIPPED and np.nanmedian(norm) > CLIPPED_BY * v.clip_norm:
        told.append(f"{v.clipped:.0%} of the steps were clipped to {v.clip_norm:g}")
    if top > NORM_OF_LOSS * unit:
        told.append(f"a constant answer's loss is {unit:.3g}")
    if told:
        message = f"Gradients explode: the median norm of an epoch reached {top:.3g}; {'; '.join(told)}."
        yield _found("health.exploding", message, top, "high", remedies.calm(v))


def vanishing(v: Vitals) -> Iterator[Finding]:
    """Gradients that die out on the way to the first layer."""
    if v.matrices < 2 or not v.first:
        return
    first, last = np.array(v.first), np.array(v.last)
    gone = (first < VANISHING_NORM) & (first < VANISHING_RATIO * last)
    if gone.mean() >= 0.5:
        message = (
            f"Gradients vanish: in {gone.mean():.0%} of the epochs the first layer's gradient had a norm "
            f"below {VANISHING_NORM:g} and below a thousandth of the last one's (medians "
            f"{np.median(first):.2g} and {np.median(last):.2g})."
        )
        score = np.median(first / np.maximum(last, 1e-300))
        yield _found("health.vanishing", message, score, "high", remedies.revive(v))


def dead(v: Vitals) -> Iterator[Finding]:
    """Units that answer 0 to every row, or that no gradient reaches."""
    silent = 0.0 if v.layers is None else v.layers.silent
    share = max(silent, v.idle)
    if share <= DEAD or v.broken_steps:
        return
    how = "answer 0 to every row" if silent >= v.idle else "get no gradient from any batch looked at"
    message = f"Dead units: {share:.0%} of the units of a hidden layer {how}."
    yield _found("health.dead", message, share, "high" if share > 0.9 else "medium", remedies.revive(v))


def saturated(v: Vitals) -> Iterator[Finding]:
    """Bounded units at the ends of their range; where training took them there and fits, it is a remark."""
    if v.layers is None or not v.layers.saturated > SATURATED:
        return
    begun = v.saturated_before > SATURATED
    message = (
        f"Saturated units: {v.layers.saturated:.0%} of a layer's answers stand at an end of their range"
        + (f" ({v.saturated_before:.0%} before training)." if begun else ".")
    )
    severity = "low" if not begun and _fits(v) else "medium"
    yield _found("health.saturated", message, v.layers.saturated, severity, remedies.soften(v))


def oscillating(v: Vitals) -> Iterator[Finding]:
    """A score that falls again and again."""
    told = np.array(v.scores)
    if len(told) < 5 or not np.isfinite(told).all():
        return
    told = np.clip(told, -1, 1)
    falls = np.diff(told)
    limit = np.full(len(falls), SWING)
    if v.dummy_score > 0 and v.rows:
        # The rows are the same in every epoch, so a fall as large as their sampling error is no chance.
        limit = np.maximum(limit, np.sqrt(2 * told[:-1] * (1 - told[:-1]) / v.rows))
    share = float(np.mean(falls <= -limit))
    if share >= SWINGS:
        message = (
            f"The training score swings: in {share:.0%} of the epochs it fell by {SWING:g} or more (it lay "
            f"between {told.min():.3f} and {told.max():.3f})."
        )
        yield _found("health.oscillating", message, share, "medium", remedies.calm(v))


def not_learning(v: Vitals) -> Iterator[Finding]:
    """Training that leads nowhere, though the network could learn; or nothing that holds elsewhere."""
    if not v.dummy_loss > 0 or v.broken_steps:
        return
    lowest = np.nanmin([*v.train_losses, v.train_loss])
    gain = 1 - lowest / v.dummy_loss
    if gain < GAIN:
        message = (
            f"Not learning: the lowest training loss was {lowest:.4g}; a constant answer's is "
            f"{v.dummy_loss:.4g}."
        )
        severity = "high" if gain < SIGNAL or _could(v) else "medium"
        yield _found("health.not_learning", message, gain, severity, remedies.learn(v, _could(v)))
    if v.validation_rows and v.validation_dummy > 0 and math.isfinite(v.validation_loss):
        signal = 1 - v.validation_loss / v.validation_dummy
        if signal < SIGNAL:
            message = (
                f"Nothing of what was learned holds on rows kept aside: their loss is "
                f"{v.validation_loss:.4g}, that of a constant answer {v.validation_dummy:.4g}."
            )
            yield _found("health.no_signal", message, signal, "high", remedies.signal())


def underfit(v: Vitals) -> Iterator[Finding]:
    """A network that cannot hold 64 rows."""
    if not v.memorized > UNDERFIT:
        return
    message = (
        f"Too small, or stuck: on 64 rows alone the network cannot bring the loss below {v.memorized:.0%} of "
        "a constant answer's."
    )
    yield _found("health.underfit", message, v.memorized, "low" if _fits(v) else "medium", remedies.grow(v))


def overfit(v: Vitals) -> Iterator[Finding]:
    """Training rows answered much better than others."""
    if not v.validation_rows or not math.isfinite(v.train_score - v.validation_score):
        return
    gap = v.train_score - v.validation_score
    limit = GAP_LOW if v.train_score <= GOOD else GAP_HIGH
    if gap >= limit and gap >= NOISE * v.validation_error:
        message = (
            f"Overfit: the score is {v.train_score:.3f} on {v.rows:,} training rows and "
            f"{v.validation_score:.3f} on {v.validation_rows:,} rows kept aside."
        )
        # Where the loss on rows kept aside is at its lowest, training was stopped in time: a gap that is
        # left says that more rows would help, not that anything went wrong.
        lowest = float(np.nanmin([v.validation_loss, *v.validation_losses]))
        past = v.validation_loss > RISEN * lowest
        wide = gap > 2 * limit
        severity = "high" if past and wide else "medium" if past or wide else "low"
        yield _found("health.overfit", message, gap, severity, remedies.prune(v))


def large(v: Vitals) -> Iterator[Finding]:
    """Weights and answers that are large for a network whose inputs are scaled."""
    if v.layers is None:
        return
    if v.layers.weight > LARGE_WEIGHT:
        message = f"Large weights: the largest is {v.layers.weight:.3g}."
        severity = "medium" if v.layers.weight > 10 * LARGE_WEIGHT else "low"
        yield _found("health.large_weights", message, v.layers.weight, severity, remedies.shrink(v))
    if v.layers.activation >= LARGE_ACTIVATION:
        message = f"Large activations: a hidden layer answers with {v.layers.activation:.3g} on average."
        severity = "medium" if v.layers.activation > 10 * LARGE_ACTIVATION else "low"
        yield _found("health.large_activations", message, v.layers.activation, severity, remedies.shrink(v))


def unstable(v: Vitals) -> Iterator[Finding]:
    """A score that depends on the first weights."""
    if len(v.init_scores) < 2 or not np.isfinite(v.init_scores).all():
        return
    spread = float(np.std(v.init_scores, ddof=1))
    # Without folds the sampling error of the rows kept aside stands in for the spread between them.
    folds = len(v.fold_scores) > 1
    others = float(np.std(v.fold_scores, ddof=1)) if folds else 2 * v.validation_error
    if spread > max(SEEDS * others, LEAST_SD):
        against = f", {others:.3f} between splits of the rows" if folds else ""
        message = (
            f"The result depends on the first weights: over {len(v.init_scores)} of them the score's "
            f"standard deviation is {spread:.3f} ({min(v.init_scores):.3f} to {max(v.init_scores):.3f})"
            f"{against}."
        )
        yield _found("health.unstable", message, spread, "medium", remedies.settle(v))


RULES: tuple[Callable[[Vitals], Iterator[Finding]], ...] = (
    missing,
    unscaled,
    diverged,
    exploding,
    vanishing,
    dead,
    saturated,
    oscillating,
    not_learning,
    underfit,
    overfit,
    large,
    unstable,
)


def _could(v: Vitals) -> bool:
    """Tell whether the network could learn a handful of rows: then it is the training that fails."""
    return v.memorized <= UNDERFIT


def _fits(v: Vitals) -> bool:
    """Tell whether the training rows are fitted well: half of a constant answer's loss or less."""
    return v.dummy_loss > 0 and v.train_loss <= 0.5 * v.dummy_loss


def _longest(marks: np.ndarray) -> int:
    """Return the length of the longest run of True."""
    longest = run = 0
    for mark in marks:
        run = run + 1 if mark else 0
        longest = max(longest, run)
    return longest
