"""What a learning curve hands back: scores by size, the law behind them, and what more rows would bring."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import polars as pl

from tilth.bench.grids import SETTINGS
from tilth.bench.metrics import METRICS
from tilth.bench.result import DIGITS, finite
from tilth.core.finding import Finding
from tilth.statistics.power_law import PowerLaw, Rows

CurveWord = Literal["more rows would help", "flat", "cannot tell"]
"""Verdict words of a learning curve; computed from the scores, never typed."""

SIZED = pl.Schema(
    {
        "probe": pl.String,
        "metric": pl.String,
        "rows": pl.Int64,
        "repeat": pl.Int64,
        "fold": pl.Int64,
        "value": pl.Float64,
        "on_training": pl.Float64,
    }
)
"""Columns of a learning curve's scores; `rows` is the size asked for, `value` the score on the test rows."""


FAR = 10.0
"""Where a curve levels off is said not to be known if its interval is so many ropes wide or more."""


@dataclass(frozen=True)
class Point:
    """Hold what was measured at one size.

    Parameters
    ----------
    rows : float
        Labeled training rows, the mean over the folds.
    score, low, high : float
        Mean score on the test rows with its 95 % interval, corrected for overlapping training sets.
    on_training : float
        Mean score on the rows that the model was fitted on.
    """

    rows: float
    score: float
    low: float
    high: float
    on_training: float


@dataclass(frozen=True)
class Prediction:
    """Hold what the curve says of a number of rows.

    Parameters
    ----------
    rows : int
    score, low, high : float
        The score expected, in the metric's own direction, with its 95 % interval.
    gain, gain_low, gain_high : float
        How much better than with the rows there are; above 0 is better, whatever the metric.
    """

    rows: int
    score: float
    low: float
    high: float
    gain: float
    gain_low: float
    gain_high: float


@dataclass(frozen=True)
class Check:
    """Hold a law put to the test: fitted to smaller sizes only, and compared with the largest.

    Parameters
    ----------
    rows : float
        The largest size that the law was fitted to.
    said : Prediction
        What it foretold of the largest size measured.
    score : float
        What was measured there.
    gain, gain_low, gain_high : float
        How much better that is than at `rows`, with its 95 % interval: test rows are the same for both.
    """

    rows: float
    said: Prediction
    score: float
    gain: float
    gain_low: float
    gain_high: float

    @property
    def holds(self) -> bool:
        """Tell whether the gain measured lies in the interval foretold, widened by the measurement's own."""
        said, noise = self.said, (self.gain_high - self.gain_low) / 2
        below, above = (
            math.hypot(said.gain - said.gain_low, noise),
            math.hypot(said.gain_high - said.gain, noise),
        )
        # What rounding leaves of two equal scores is no difference.
        slack = 1e-12 * max(1.0, abs(self.score))
        return bool(said.gain - below - slack <= self.gain <= said.gain + above + slack)


@dataclass(frozen=True)
class Curve:
    """Hold the learning curve of one probe and metric.

    Parameters
    ----------
    probe, metric : str
    points : tuple of Point
        By ascending size.
    word : str
        One of `CurveWord`.
    rope : float
        The gain from which on more rows are taken to matter, in the metric's units.
    law : PowerLaw or None
        Of the errors (`error_of`); None where there are no scores to fit it to.
    twice, tenfold : Prediction or None
        What twice and ten times the largest size would bring.
    limit, limit_low, limit_high : float
        The score that no number of rows would exceed, with its interval.
    exponent, exponent_low, exponent_high : float
        How steeply the error falls.
    rows_needed : Rows or None
        How many rows a gain as large as the rope takes.
    checked : Check or None
        What the law, fitted to the sizes up to half of the rows, says of all; None where these are too few.
    reading : str
        What the gap between training and test rows says.
    note : str
        What the word alone does not say; may be empty.
    """

    probe: str
    metric: str
    points: tuple[Point, ...]
    word: CurveWord
    rope: float
    law: PowerLaw | None = field(default=None, repr=False)
    twice: Prediction | None = None
    tenfold: Prediction | None = None
    limit: float = math.nan
    limit_low: float = math.nan
    limit_high: float = math.nan
    exponent: float = math.nan
    exponent_low: float = math.nan
    exponent_high: float = math.nan
    rows_needed: Rows | None = None
    checked: Check | None = None
    reading: str = ""
    note: str = ""

    def at(self, rows: float) -> Prediction | None:
        """Predict the score at so many rows; None where no curve could be fitted.

        Examples
        --------
        Twice the largest size is ``curve.at(2 * curve.points[-1].rows)``, which is `twice`.
        """
        if self.law is None:
            return None
        error, gain = self.law.error(float(rows)), self.law.gain(float(rows))
        low, high = sorted((score_of(self.metric, error.low), score_of(self.metric, error.high)))
        score = score_of(self.metric, error.value)
        return Prediction(round(rows), score, low, high, gain.value, gain.low, gain.high)

    def rows_for(self, gain: float) -> Rows | None:
        """Return how many rows in all a gain takes, and the fewest and most that the scores allow.

        Each is None where no number of rows up to a hundred times those measured brings the gain; the
        whole is None where no curve could be fitted.

        Raises
        ------
        DataError
            The gain is not above 0.
        """
        return None if self.law is None else self.law.rows_for(gain)

    def in_words(self) -> str:
        """Say the verdict as plain sentences."""
        who = f"{self.probe}, {self.metric}: {self.word}."
        if self.twice is None or self.tenfold is None:
            return f"{who} {self.note}".rstrip()
        last = self.points[-1]
        told = f"{who} {last.score:.{DIGITS}f} with {last.rows:,.0f} training rows; "
        told += f"with twice as many {_told(self.twice)}, with ten times {_told(self.tenfold)}."
        if self.rows_needed is not None:
            told += f" {self._needed(self.rows_needed)}"
        rest = (told, self.limit_in_words(), self.note, self.reading, self.check_in_words())
        return " ".join(part for part in rest if part)

    def limit_in_words(self) -> str:
        """Say which score the curve tends to, or that nobody can say; empty where there is no curve."""
        if self.law is None:
            return ""
        span = f"{self.limit_low:.{DIGITS}f} to {self.limit_high:.{DIGITS}f}"
        if self.limit_high - self.limit_low >= FAR * self.rope:
            return f"Where it levels off cannot be told (95 % interval {span})."
        return f"It levels off at {self.limit:.{DIGITS}f} (95 % interval {span})."

    def check_in_words(self) -> str:
        """Say whether the law, fitted to fewer rows, would have foretold the score of all; may be empty."""
        if self.checked is None:
            return ""
        check = self.checked
        told = f"Fitted up to {check.rows:,.0f} rows, the curve foretells {_told(check.said)} for "
        told += f"{check.said.rows:,}; measured {check.gain:+.{DIGITS}f} "
        told += f"({check.gain_low:+.{DIGITS}f} to {check.gain_high:+.{DIGITS}f})"
        return f"{told}." if check.holds else f"{told}, which is outside: do not rely on this curve."

    def _needed(self, needed: Rows) -> str:
        gain = f"A gain of {self.rope:.3g}"
        if needed.low is None:
            return f"{gain} is out of reach of any number of rows that can be foreseen."
        most = f"{needed.high:,}" if needed.high is not None else "no number that can be foreseen"
        about = (
            f"about {needed.value:,} rows" if needed.value is not None else "more rows than can be foreseen"
        )
        return f"{gain} takes {about} (95 % interval {needed.low:,} to {most})."

    def as_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold; the law by its parameters."""
        told = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "law"}
        for name in ("twice", "tenfold", "rows_needed", "checked"):
            told[name] = None if told[name] is None else asdict(told[name])
        told["points"] = [asdict(point) for point in self.points]
        a, b, c = (math.nan,) * 3 if self.law is None else self.law.parameters
        told["law"] = {"a": a, "b": b, "c": c, "misfit": math.nan if self.law is None else self.law.misfit}
        done: dict[str, Any] = finite(told)
        return done


@dataclass(frozen=True)
class LearningCurve:
    """Hold the learning curves of all probes and primary metrics.

    Parameters
    ----------
    task : {'binary', 'multiclass', 'regression'}
    primary : tuple of str
        The metrics that curves are fitted to, chosen before the run.
    folds, repeats, rows : int
    sizes : tuple of int
        Labeled training rows asked for.
    scores : DataFrame
        ``probe, metric, rows, repeat, fold, value, on_training``, for every metric of the task.
    curves : list of Curve
    classes : DataFrame
        ``rows, class, count``: training rows of each class at each size, the mean over the folds; empty
        for a regression.
    costs : DataFrame
        ``rows, probe, prepare_seconds, fit_seconds, rows_trained``: means per fold.
    leaks, controls : list of Finding
        What could make scores too good; how probes were tuned, and warnings in the folds.
    tuned : DataFrame
        As in `Trial`; the arm is the number of rows.
    """

    task: str
    primary: tuple[str, ...]
    folds: int
    repeats: int
    rows: int
    sizes: tuple[int, ...]
    scores: pl.DataFrame
    curves: list[Curve]
    classes: pl.DataFrame
    costs: pl.DataFrame
    leaks: list[Finding] = field(default_factory=list)
    controls: list[Finding] = field(default_factory=list)
    tuned: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=SETTINGS))

    @property
    def findings(self) -> list[Finding]:
        """Return what the curves say and all that was noticed on the way, as findings."""
        return [*(_finding(curve) for curve in self.curves), *self.controls, *self.leaks]

    def table(self) -> pl.DataFrame:
        """Return the curves as a frame, one line each: the last score, and what more rows would bring."""
        lines = []
        for curve in self.curves:
            last = curve.points[-1] if curve.points else None
            line: dict[str, Any] = {"probe": curve.probe, "metric": curve.metric, "word": curve.word}
            line |= {"rows": None if last is None else round(last.rows)}
            line |= {"score": None if last is None else last.score}
            for name in ("twice", "tenfold"):
                said = getattr(curve, name)
                for part in ("gain", "gain_low", "gain_high"):
                    line[f"{name}_{part}"] = None if said is None else getattr(said, part)
            line |= {"rows_needed": None if curve.rows_needed is None else curve.rows_needed.value}
            lines.append(line | {"rope": curve.rope, "note": curve.note})
        text, whole = ("probe", "metric", "word", "note"), ("rows", "rows_needed")
        schema = {
            name: pl.String if name in text else pl.Int64 if name in whole else pl.Float64
            for name in lines[0]
        }
        return pl.DataFrame(lines, schema=schema)

    def points(self) -> pl.DataFrame:
        """Return what was measured: ``probe, metric, rows, score, low, high, on_training``."""
        lines = [
            {"probe": c.probe, "metric": c.metric} | asdict(point) for c in self.curves for point in c.points
        ]
        text = {"probe": pl.String, "metric": pl.String}
        numbers = ("rows", "score", "low", "high", "on_training")
        return pl.DataFrame(lines, schema=text | dict.fromkeys(numbers, pl.Float64))

    def in_words(self) -> list[str]:
        """Say the result as plain sentences; the first says what was measured."""
        design = f"{self.folds} folds" + (f" x {self.repeats} repeats" if self.repeats > 1 else ", once")
        first = (
            f"Chosen before the run: {' and '.join(self.primary)} ({self.task}, {self.rows:,} rows, "
            f"{design}); {len(self.sizes)} sizes from {self.sizes[0]:,} to {self.sizes[-1]:,} training rows, "
            "each drawn inside the next. A gain above 0 is better."
        )
        told = [first, *(curve.in_words() for curve in self.curves)]
        told += [finding.message for finding in (*self.controls, *self.leaks)]
        return list(dict.fromkeys(told))

    def as_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold; what is not a number is None."""
        names = ("task", "primary", "folds", "repeats", "rows", "sizes")
        told: dict[str, Any] = {name: getattr(self, name) for name in names}
        told |= {name: getattr(self, name).to_dicts() for name in ("scores", "classes", "costs", "tuned")}
        told |= {"curves": [curve.as_dict() for curve in self.curves]}
        told |= {name: [f.as_dict() for f in getattr(self, name)] for name in ("leaks", "controls")}
        done: dict[str, Any] = finite(told)
        return done

    def to_json(self, indent: int | None = 1) -> str:
        """Write the result as JSON."""
        return json.dumps(self.as_dict(), indent=indent, sort_keys=True, allow_nan=False)


def error_of(metric: str, value: Any) -> Any:
    """Return a score as an error of 0 or more: 1 minus the score where higher is better."""
    return 1 - value if METRICS[metric].higher else value


def score_of(metric: str, error: float) -> float:
    """Return an error as a score; `error_of` undone."""
    return 1 - error if METRICS[metric].higher else error


def _told(said: Prediction) -> str:
    return (
        f"{said.gain:+.{DIGITS}f} (95 % interval {said.gain_low:+.{DIGITS}f} to {said.gain_high:+.{DIGITS}f})"
    )


def _finding(curve: Curve) -> Finding:
    score = math.nan if curve.twice is None else curve.twice.gain
    severity: Any = "medium" if curve.word == "more rows would help" else "info"
    return Finding(
        "bench.learning_curve",
        curve.in_words(),
        score if math.isfinite(score) else 0.0,
        severity,
        stage="bench",
    )
