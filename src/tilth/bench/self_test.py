"""The bench judged by itself: stages of known worth must get the word they deserve."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from tilth.bench.comparison import compare
from tilth.bench.controls import (
    AddNoise,
    Blur,
    DropAtRandom,
    FlipLabels,
    Nothing,
    Repair,
    two_classes,
    with_errors,
)
from tilth.bench.result import Verdict
from tilth.bench.statistics import wilson
from tilth.bench.trial import in_folds
from tilth.errors import DataError, LeakageError

FALSE_HELP = 0.05
"""How often a stage that does nothing may be said to help."""
FOUND = 0.80
"""How often a planted harm or gain, large for its rows, must be found."""
RUNS = 20

Trials = Callable[[int], tuple[Any, Any, Any, Any]]
"""Of a run's number: features, target, the stages before, the stages after."""


@dataclass(frozen=True)
class Control:
    """Hold what one control gave.

    Parameters
    ----------
    name : str
    what : str
        What was tried, and what had to come of it.
    hits, runs : int
        How often what is counted came, and of how many runs.
    low, high : float
        Wilson's 95 % interval of the share.
    goal : float
        The bound on the share.
    at_most : bool
        The share must not exceed the goal; False: must reach it.

    Examples
    --------
    >>> control("harm", 'flipped labels "hurt"', 4, 4, 0.8, at_most=False).in_words()
    'ok  harm: flipped labels "hurt": 4 of 4 runs (95 % interval 51.0% to 100.0%; at least 80%).'
    """

    name: str
    what: str
    hits: int
    runs: int
    low: float
    high: float
    goal: float
    at_most: bool

    @property
    def ok(self) -> bool:
        """Tell whether the share may keep to its bound; it is missed where the whole interval lies beyond."""
        return self.low <= self.goal if self.at_most else self.high >= self.goal

    def in_words(self) -> str:
        """Say the control as one plain sentence."""
        bound = "at most" if self.at_most else "at least"
        return (
            f"{'ok' if self.ok else 'MISS'}  {self.name}: {self.what}: {self.hits} of {self.runs} runs "
            f"(95 % interval {self.low:.1%} to {self.high:.1%}; {bound} {self.goal:.0%})."
        )


@dataclass(frozen=True)
class SelfTest:
    """Hold all controls.

    Parameters
    ----------
    controls : tuple of Control
    """

    controls: tuple[Control, ...]

    @property
    def ok(self) -> bool:
        """Tell whether every control came out as it had to."""
        return all(control.ok for control in self.controls)

    def in_words(self) -> list[str]:
        """Say the result as plain sentences."""
        missed = sum(not control.ok for control in self.controls)
        last = (
            f"{missed} of {len(self.controls)} controls missed."
            if missed
            else "Every control came out right."
        )
        return [*(control.in_words() for control in self.controls), last]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold."""
        return {"ok": self.ok, "controls": [asdict(c) | {"ok": c.ok} for c in self.controls]}


def self_test(
    runs: int = RUNS,
    *,
    random_state: int = 0,
    n_jobs: int | None = None,
    progress: Callable[[str], None] | None = None,
) -> SelfTest:
    """Try the bench on stages that are known to do nothing, to harm and to help, and on two leaks.

    All of it goes through `compare`, with the linear probe and 5 folds x 5 repeats.

    Parameters
    ----------
    runs : int
        At least 1. How often each control is run, on data drawn anew; what follows takes a fifth of the runs:
        planted harm and gain, noise columns, random drops and shuffled labels. About 20 suffice to see a
        broken bench; 1,000 measure its rate of false claims.
    random_state : int
    n_jobs : int, optional
        Processes; by default one per core. The result does not depend on it.
    progress : callable, optional
        Told in words which control is run.

    Returns
    -------
    SelfTest

    Raises
    ------
    DataError
        `runs` is below 1.
    """
    if runs < 1:
        raise DataError(f"runs is {runs}; at least 1 is needed.")
    tell = progress or (lambda _: None)
    fewer = max(1, runs // 5)
    done = []
    for name, what, trials, count, word, goal, at_most in (
        ("no-op", 'a stage that does nothing has "no difference"', no_op, fewer, "no difference", 1.0, False),
        ("a/a", 'as much noise again is said to "help"', alike, runs, "helps", FALSE_HELP, True),
        ("random drop", 'random drops are said to "help"', dropped, fewer, "helps", FALSE_HELP, True),
        ("noise columns", 'noise columns are said to "help"', noisy, fewer, "helps", FALSE_HELP, True),
        ("shuffled", 'shuffled labels are "not testable"', shuffled, fewer, "not testable", 0.95, False),
        ("harm", 'flipped labels "hurt"', flipped, fewer, "hurts", FOUND, False),
        ("gain", 'repaired cells "help"', repaired, fewer, "helps", FOUND, False),
    ):
        tell(name)
        found = verdicts_of(trials, count, random_state=random_state, n_jobs=n_jobs)
        hits = sum(verdict.word == word for verdict in found)
        done.append(control(name, what, hits, count, goal, at_most))
    tell("leaks")
    refused = [refuses(case) for case in (filtered, synthetic)]
    what = "rows prepared before the split are refused"
    return SelfTest((*done, control("leaks", what, sum(refused), len(refused), 1.0, False)))


def control(name: str, what: str, hits: int, runs: int, goal: float, at_most: bool) -> Control:
    """Make a control of what was counted."""
    return Control(name, what, hits, runs, *wilson(hits, runs), goal, at_most)


def verdicts_of(
    trials: Trials, runs: int, *, random_state: int = 0, n_jobs: int | None = None, **bench: Any
) -> list[Verdict]:
    """Compare before and after in every run, in any number of processes.

    Parameters
    ----------
    trials : callable
        ``trials(run) -> X, y, before, after``; of a module, so that processes can be handed it.
    runs : int
    random_state : int
        The first run's number.
    n_jobs : int, optional
    **bench
        For `compare`; by default one probe, ``linear``.
    """
    run = partial(_compared, trials, random_state, {"probes": ["linear"], **bench})
    return in_folds(run, 1, runs, n_jobs=n_jobs, progress=None)


def refuses(case: Callable[[], tuple[Any, Any, Sequence[Any]]]) -> bool:
    """Prepare all rows before the split, as one must not, and tell whether the bench refuses them."""
    from tilth.core import lineage
    from tilth.pipeline import Pipeline

    lineage.forget()
    X, y, stages = case()
    ready, labels = Pipeline(list(stages)).fit_resample(X, y)
    try:
        compare(None, None, ready, labels, probes=["linear"], repeats=1, n_jobs=1)
    except LeakageError:
        return True
    return False


def _compared(trials: Trials, first: int, bench: dict[str, Any], _: int, run: int) -> Verdict:
    X, y, before, after = trials(first + run)
    return compare(before, after, X, y, random_state=first + run, n_jobs=1, **bench).verdicts[0]


def no_op(run: int) -> tuple[Any, Any, Any, Any]:
    """Do nothing."""
    return *two_classes(500, run), None, [Nothing()]


def alike(run: int, rows: int = 500) -> tuple[Any, Any, Any, Any]:
    """Add noise before, and as much, drawn anew, after: the scores differ, and neither is better."""
    before, after = ([Blur(random_state=2 * run + k)] for k in range(2))
    return *two_classes(rows, run), before, after


def blurred(run: int, rows: int, before: float, after: float) -> tuple[Any, Any, Any, Any]:
    """Add noise of one size before, and of another after."""
    arms = [[Blur(spread=s, random_state=2 * run + k)] for k, s in enumerate((before, after))]
    return *two_classes(rows, run), arms[0], arms[1]


def dropped(run: int) -> tuple[Any, Any, Any, Any]:
    """Drop a tenth of the rows at random."""
    return *two_classes(500, run), None, [DropAtRandom(random_state=run)]


def noisy(run: int) -> tuple[Any, Any, Any, Any]:
    """Append columns of noise."""
    return *two_classes(500, run), None, [AddNoise(random_state=run)]


def shuffled(run: int) -> tuple[Any, Any, Any, Any]:
    """Shuffle the labels: nothing can be learned, before or after."""
    X, y = two_classes(500, run)
    return X, np.random.default_rng(run).permutation(y), None, [DropAtRandom(random_state=run)]


def flipped(run: int, rows: int = 1000, share: float = 0.4) -> tuple[Any, Any, Any, Any]:
    """Flip labels of training rows."""
    return *two_classes(rows, run), None, [FlipLabels(share=share, random_state=run)]


def repaired(run: int, rows: int = 500) -> tuple[Any, Any, Any, Any]:
    """Make one cell in fifty wrong, and repair it."""
    X, y = two_classes(rows, run)
    return with_errors(X, 0.02, run), y, None, [Repair()]


def filtered() -> tuple[Any, Any, Sequence[Any]]:
    """Return rows whose labels are right, and a stage that drops those that a model believes least."""
    from tilth.stages.labels.clean import LabelsClean

    return *two_classes(1000, 0, strength=0.35), [LabelsClean(action="drop", probe="linear")]


def synthetic() -> tuple[Any, Any, Sequence[Any]]:
    """Return labels of pure noise, one in ten of the rare class, and a stage that makes rows of it."""
    from tilth.stages.balance.smote import BalanceSMOTE

    return *two_classes(1000, 0, strength=0.0, rare=0.1), [BalanceSMOTE()]
