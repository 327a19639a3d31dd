"""What the bench hands back: verdicts with their intervals, as plain values."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import polars as pl

from tilth.bench.calibrating import CALIBRATION, PROBABILITIES
from tilth.bench.clean import CLEANED
from tilth.bench.files import What, write_table, write_text
from tilth.bench.grids import SETTINGS
from tilth.bench.slices import SLICED
from tilth.core.finding import Finding
from tilth.errors import UnknownName

if TYPE_CHECKING:
    from tilth.bench.explain import Explanation
    from tilth.bench.robustness_result import Robustness

Word = Literal[
    "helps",
    "hurts",
    "no difference",
    "trades",
    "threshold only",
    "no evidence",
    "not testable",
    "indication",
]
"""Verdict words; computed from the scores, never typed."""

SCORES = pl.Schema(
    {
        "probe": pl.String,
        "metric": pl.String,
        "arm": pl.String,
        "repeat": pl.Int64,
        "fold": pl.Int64,
        "value": pl.Float64,
    }
)
COSTS = pl.Schema(
    {
        "arm": pl.String,
        "probe": pl.String,
        "prepare_seconds": pl.Float64,
        "fit_seconds": pl.Float64,
        "rows_trained": pl.Float64,
        "share_kept": pl.Float64,
        "peak_mb": pl.Float64,
    }
)
RECALLS = pl.Schema(
    {
        "stage": pl.String,
        "probe": pl.String,
        "label": pl.String,
        "rows": pl.Int64,
        "before": pl.Float64,
        "after": pl.Float64,
        "difference": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
        "p": pl.Float64,
        "p_holm": pl.Float64,
        "n_scores": pl.Int64,
        "falls": pl.Boolean,
    }
)
DIGITS = 4


@dataclass(frozen=True)
class Guard:
    """Hold a metric that stands beside the primary one.

    Parameters
    ----------
    metric : str
    before, after : float
        Mean scores, in the metric's own direction.
    difference, low, high : float
        After against before with its 95 % interval; above 0 is better, whatever the metric.
    p : float
        Not adjusted for the number of guards.
    broken : bool
        The guard forbids the word "helps": it is clearly worse.
    """

    metric: str
    before: float
    after: float
    difference: float
    low: float
    high: float
    p: float
    broken: bool


@dataclass(frozen=True)
class Verdict:
    """Hold one claim: one probe, one metric, before against after.

    Parameters
    ----------
    probe, metric : str
    before, after : float
        Mean scores over all test folds, or training seeds, in the metric's own direction.
    difference : float
        Mean paired difference; above 0 is better, also for errors and losses.
    low, high : float
        95 % interval of the difference: corrected for overlapping training sets, or by draws of one fixed
        test set.
    p, p_holm : float
        Two-sided; `p_holm` is adjusted for all claims of the same table: the recipe's by all models, or the
        stages'.
    n_scores : int
        Paired scores: folds times repeats; of one fixed test set, training seeds.
    mde80 : float
        The smallest true difference that this run would have found four times in five.
    p_hurts, p_same, p_helps : float
        Posterior probabilities that the difference lies below, within and above the region of
        practical equivalence; they sum to 1.
    rope : float
        Half width of that region, in the metric's units.
    word : str
        One of `Word`.
    guards : dict of metric name to Guard
    note : str
        What the word alone does not say; may be empty.
    rows_needed : int or None
        About how many rows would settle the claim; None where it is settled, or nobody can say.
    stage : str
        In an ablation, the stage that was left out; else empty.
    counted : str
        What `rows_needed` counts: rows, or the test rows of one fixed test set.
    """

    probe: str
    metric: str
    before: float
    after: float
    difference: float
    low: float
    high: float
    p: float
    p_holm: float
    n_scores: int
    mde80: float
    p_hurts: float
    p_same: float
    p_helps: float
    rope: float
    word: Word
    guards: dict[str, Guard] = field(default_factory=dict)
    note: str = ""
    rows_needed: int | None = None
    stage: str = ""
    counted: str = "rows"

    def in_words(self) -> str:
        """Say the verdict as one plain sentence."""
        who = f"{self.probe}, {self.metric}"
        who = f"{self.stage}: {who}" if self.stage else who
        if not math.isfinite(self.difference):
            return f"{who}: {self.word}. {self.note}".rstrip()
        told = (
            f"{who}: {self.word}. {self.before:.{DIGITS}f} -> {self.after:.{DIGITS}f}; "
            f"gain {self.difference:+.{DIGITS}f}, "
            f"95 % interval {self.low:+.{DIGITS}f} to {self.high:+.{DIGITS}f}, "
            f"Holm p {self.p_holm:.3g}, {self.n_scores} paired scores."
        )
        if self.word == "no evidence" and math.isfinite(self.mde80):
            told += f" This run finds differences from {self.mde80:.{DIGITS}f}"
            needed = f"{self.rows_needed:,} {self.counted}" if self.rows_needed else ""
            told += f"; about {needed} would settle it." if needed else "."
        return f"{told} {self.note}".rstrip()


@dataclass(frozen=True)
class Trial:
    """Hold what every run of the bench reports: design, scores, verdicts, costs.

    Parameters
    ----------
    task : {'binary', 'multiclass', 'regression'}
    primary : tuple of str
        The metrics that verdicts are about, chosen before the run.
    folds, repeats, rows : int
    scores : DataFrame
        ``probe, metric, arm, repeat, fold, value``: each value in its metric's own direction. Of up to 20
        classes also ``recall of <class>``.
    verdicts : list of Verdict
    costs : DataFrame
        ``arm, probe, prepare_seconds, fit_seconds, rows_trained, share_kept, peak_mb``: means per fold, as
        if each arm had been run alone; `share_kept` is the share of training rows that the arm did not drop,
        `peak_mb` the highest resident memory of the process in any fold, in MiB, with all that it held; null
        where the system does not tell.
    leaks : list of Finding
        What could make scores too good: duplicates and groups across folds, and what was done; features that
        tell the target or name rows; test rows unlike training rows. Grave ones are told first.
    controls : list of Finding
        Arms run to tell a cause from a coincidence, such as dropping as many rows at random.
    slices : DataFrame
        ``probe, metric, slice, arm, repeat, fold, value``: scores of parts of the test rows, by the primary
        metrics.
    clean : DataFrame
        ``probe, metric, labels, arm, repeat, fold, value``: scores of the test rows whose right label is
        known, by that label (``clean``) and by the one they came with (``given``); empty where none is.
    tuned : DataFrame
        ``probe, arm, repeat, fold, parameter, value``: what inner folds chose for probes that were tuned, as
        text; empty where none was.
    calibration : DataFrame
        ``probe, arm, bin, said, seen, low, high, rows, effective_rows, share``: what probabilities said and
        what came true, in 15 bins of equal mass over all test rows (see `calibration_of`); of the second
        class for two classes, of the most likely one for more. Also of the arm ``<arm>, uncorrected`` where
        stages changed how frequent classes are. Empty for a regression.
    probabilities : DataFrame
        ``probe, arm, low, high, share``: how often which of these probabilities was said.
    recalls : DataFrame
        ``stage, probe, label, rows, before, after, difference, low, high, p, p_holm, n_scores, falls``: the
        recall of each class, of up to 20, with the corrected interval of its gain; rows of the class in all;
        p values are Holm's over all lines, and `falls` marks classes that clearly lose 0.01 or more.
    tested : int, optional
        Rows of one fixed test set: `folds` is then 1, and `repeats` are training seeds. None: rows were
        tested in folds.
    """

    task: str
    primary: tuple[str, ...]
    folds: int
    repeats: int
    rows: int
    scores: pl.DataFrame
    verdicts: list[Verdict]
    costs: pl.DataFrame
    leaks: list[Finding] = field(default_factory=list)
    controls: list[Finding] = field(default_factory=list)
    slices: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=SLICED), kw_only=True)
    clean: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=CLEANED), kw_only=True)
    tuned: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=SETTINGS), kw_only=True)
    calibration: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=CALIBRATION), kw_only=True)
    probabilities: pl.DataFrame = field(
        default_factory=lambda: pl.DataFrame(schema=PROBABILITIES), kw_only=True
    )
    recalls: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=RECALLS), kw_only=True)
    tested: int | None = field(default=None, kw_only=True)

    @property
    def grave(self) -> list[Finding]:
        """Return the leaks after which no score is about predicting: they are told before any verdict."""
        return [finding for finding in self.leaks if finding.severity == "high"]

    def table(self) -> pl.DataFrame:
        """Return the verdicts as a frame, one line each, without guards."""
        return verdict_table(self.verdicts)

    def in_words(self) -> list[str]:
        """Say the result as plain sentences; the first names the metric chosen before the run."""
        design = f"{self.folds} folds" + (f" x {self.repeats} repeats" if self.repeats > 1 else ", once")
        design = design if self.tested is None else in_fixed(self.tested, self.repeats)
        design += ", probes tuned inside each" if self.tuned.height else ""
        first = (
            f"Chosen before the run: {' and '.join(self.primary)} ({self.task}, {self.rows:,} rows, "
            f"{design}). A gain above 0 is better."
        )
        grave = (finding.message for finding in self.grave)
        told = [first, *grave, *(v.in_words() for v in self.verdicts)]
        for verdict in self.verdicts:
            told += [_guard_in_words(verdict, guard) for guard in verdict.guards.values() if guard.broken]
        told += [finding.message for finding in (*self.controls, *self.leaks)]
        return list(dict.fromkeys(told))

    def as_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold; what is not a number is None."""
        told = {f: getattr(self, f) for f in ("task", "primary", "folds", "repeats", "rows", "tested")}
        told |= {"scores": self.scores.to_dicts(), "costs": self.costs.to_dicts()}
        told |= {"slices": self.slices.to_dicts(), "clean": self.clean.to_dicts()}
        told |= {"tuned": self.tuned.to_dicts()}
        told |= {name: getattr(self, name).to_dicts() for name in ("calibration", "probabilities", "recalls")}
        told |= {"verdicts": [asdict(v) for v in self.verdicts]}
        told |= {name: [f.as_dict() for f in getattr(self, name)] for name in ("leaks", "controls")}
        plain: dict[str, Any] = finite(told)
        return plain

    def to_json(self, indent: int | None = 1) -> str:
        """Write the result as JSON."""
        return json.dumps(self.as_dict(), indent=indent, sort_keys=True, allow_nan=False)

    def write(self, path: str | Path, what: What = "verdicts") -> Path:
        """Write the result to a file, whole or not at all.

        Parameters
        ----------
        path : path
            ``.parquet`` or ``.csv`` for one tidy table; ``.json`` for all of it.
        what : {'verdicts', 'scores', 'costs', 'slices', 'tuned', 'calibration', 'probabilities', 'recalls'}
            The table; of no meaning for JSON.

        Raises
        ------
        DataError
            Another ending.
        UnknownName
            No such table.
        """
        if Path(path).suffix == ".json":
            return write_text(path, self.to_json() + "\n")
        if what not in get_args(What):
            raise UnknownName.among("table of a result", what, get_args(What))
        return write_table(path, self.table() if what == "verdicts" else getattr(self, what))


@dataclass(frozen=True)
class Comparison(Trial):
    """Hold *before* against *after*; see `Trial` for the fields.

    Arms in `scores` and `costs`: ``before``, ``after``; ``random drop`` where *after* drops rows;
    ``before, tuned`` where the primary metric depends on a threshold.

    Parameters
    ----------
    explanation : Explanation, optional
        Which columns matter, and which rows pay, where it was asked for.
    robustness : Robustness, optional
        How both fare on rows made worse, where it was asked for.
    """

    explanation: Explanation | None = field(default=None, kw_only=True)
    robustness: Robustness | None = field(default=None, kw_only=True)

    def in_words(self) -> list[str]:
        """Say the result as plain sentences; the first names the metric chosen before the run."""
        closer = [part for part in (self.explanation, self.robustness) if part is not None]
        return super().in_words() + [line for part in closer for line in part.in_words()]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold; what is not a number is None."""
        told = super().as_dict()
        for name in ("explanation", "robustness"):
            part = getattr(self, name)
            told |= {} if part is None else {name: finite(part.as_dict())}
        return told


def in_fixed(tested: int, repeats: int) -> str:
    """Say what one fixed test set was: its rows, and how often was learned anew."""
    return f"one fixed test set of {tested:,} rows, {repeats} training seed{'s' * (repeats != 1)}"


def verdict_table(verdicts: Sequence[Verdict]) -> pl.DataFrame:
    """Return verdicts as a frame, one line each, without guards."""
    text = ("stage", "probe", "metric", "word")
    numbers = ("before", "after", "difference", "low", "high", "p", "p_holm", "mde80", "rope")
    posterior = ("p_hurts", "p_same", "p_helps")
    schema: dict[str, Any] = dict.fromkeys(text, pl.String) | dict.fromkeys(numbers + posterior, pl.Float64)
    schema |= {"n_scores": pl.Int64, "rows_needed": pl.Int64, "note": pl.String}
    return pl.DataFrame([{name: getattr(v, name) for name in schema} for v in verdicts], schema=schema)


def _guard_in_words(verdict: Verdict, guard: Guard) -> str:
    who = f"{verdict.stage}: {verdict.probe}" if verdict.stage else verdict.probe
    return (
        f"{who}: {guard.metric} is clearly worse, {guard.before:.{DIGITS}f} -> {guard.after:.{DIGITS}f} "
        f"(95 % interval of the gain {guard.low:+.{DIGITS}f} to {guard.high:+.{DIGITS}f})."
    )


def finite(value: Any) -> Any:
    """Return plain values in which each number that is not finite is None, as JSON asks."""
    if isinstance(value, dict):
        return {key: finite(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
