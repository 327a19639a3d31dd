"""What many data sets say together: one line per stage, probe and metric."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import polars as pl

from tilth.bench.files import write_table, write_text
from tilth.bench.metrics import METRICS
from tilth.bench.result import DIGITS, finite
from tilth.errors import UnknownName

Overall = Literal["helps", "hurts", "no evidence", "not testable"]
"""What data sets say together; computed, never typed."""
Part = Literal["lines", "sets"]

SETS = pl.Schema(
    {
        "set": pl.String,
        "stage": pl.String,
        "probe": pl.String,
        "metric": pl.String,
        "rows": pl.Int64,
        "before": pl.Float64,
        "after": pl.Float64,
        "gain": pl.Float64,
        "outcome": pl.String,
        "word": pl.String,
    }
)


@dataclass(frozen=True)
class Line:
    """Hold one claim over data sets: one stage, one probe, one metric.

    Parameters
    ----------
    stage : str
        Empty: the whole recipe.
    probe, metric : str
    n_sets : int
        Data sets whose gain counts.
    mean, median : float
        Of the gains of the sets; above 0 is better. For losses and errors in units of their own a gain is a
        share of the score before (`relative`).
    low, high : float
        95 % bootstrap interval of the mean, drawn over data sets; NaN for fewer than two.
    p, p_holm : float
        Of Wilcoxon's signed-rank test, two-sided; `p_holm` is adjusted for all lines.
    wins, ties, losses : int
        Sets whose gain is beyond the rope, within it, beyond it on the other side.
    helps, hurts : int
        Sets whose own verdict was this word.
    rope : float
        Half width of what is practically equal, in the units of the gains.
    relative : bool
    word : str
        One of `Overall`.
    note : str
    sets_needed : int or None
        Where there are too few: the fewest with which a line could be proven.
    left_out : tuple of str
        Sets in which this could not be tested.
    """

    stage: str
    probe: str
    metric: str
    n_sets: int
    mean: float
    median: float
    low: float
    high: float
    p: float
    p_holm: float
    wins: int
    ties: int
    losses: int
    helps: int
    hurts: int
    rope: float
    relative: bool
    word: Overall
    note: str = ""
    sets_needed: int | None = None
    left_out: tuple[str, ...] = ()

    def in_words(self) -> str:
        """Say the line as plain sentences."""
        who = f"{self.probe}, {self.metric}"
        who = f"{self.stage}: {who}" if self.stage else who
        told = f"{who}: {self.word}."
        if self.n_sets:
            told += (
                f" Mean gain {self.mean:+.{DIGITS}f}, median {self.median:+.{DIGITS}f}, over {self.n_sets} "
                f"data set{'s' * (self.n_sets > 1)}"
            )
            if math.isfinite(self.low):
                told += f", 95 % interval of the mean {self.low:+.{DIGITS}f} to {self.high:+.{DIGITS}f}"
            told += (
                f", Holm p {self.p_holm:.3g}. By the rope of {self.rope:g}: {self.wins} better, {self.ties} "
                f"alike, {self.losses} worse; by themselves: {self.helps} helps, {self.hurts} hurts."
            )
        if self.left_out:
            told += f" Left out, as it could not be tested there: {', '.join(self.left_out)}."
        return f"{told} {self.note}".rstrip()


@dataclass(frozen=True)
class Across:
    """Hold what many data sets say together.

    Parameters
    ----------
    names : tuple of str
        The data sets.
    lines : list of Line
    sets : DataFrame
        ``set, stage, probe, metric, rows, before, after, gain, outcome, word``: one line per claim of each
        set. `gain` is what counts in the lines above, `outcome` win, tie or loss by the rope; both null
        where the claim was not testable.
    method : str
        How the ablations asked; empty where there are none.
    """

    names: tuple[str, ...]
    lines: list[Line]
    sets: pl.DataFrame
    method: str = ""

    def table(self) -> pl.DataFrame:
        """Return the lines as a frame; sets that were left out as one text."""
        told = [asdict(line) | {"left_out": ", ".join(line.left_out)} for line in self.lines]
        floats = ("mean", "median", "low", "high", "p", "p_holm", "rope")
        counts = ("n_sets", "wins", "ties", "losses", "helps", "hurts", "sets_needed")
        schema: dict[str, Any] = dict.fromkeys(Line.__dataclass_fields__, pl.String)
        schema |= dict.fromkeys(floats, pl.Float64) | dict.fromkeys(counts, pl.Int64)
        return pl.DataFrame(told, schema=schema | {"relative": pl.Boolean})

    def in_words(self) -> list[str]:
        """Say the result as plain sentences; the first says how."""
        tested = sum(math.isfinite(line.p) for line in self.lines)
        first = (
            f"{len(self.names)} data sets, each with one mean gain per line; Wilcoxon's signed-rank test, "
            f"Holm's p over {tested} line{'s' * (tested != 1)}, intervals by bootstrap over data sets. "
            "A gain above 0 is better."
        )
        shares = list(dict.fromkeys(line.metric for line in self.lines if METRICS[line.metric].relative))
        if shares:
            first += f" Gains in {' and '.join(shares)} are shares of the score before."
        return [first, *(line.in_words() for line in self.lines)]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold; what is not a number is None."""
        plain: dict[str, Any] = finite(
            {"names": list(self.names), "method": self.method, "lines": [asdict(one) for one in self.lines]}
            | {"sets": self.sets.to_dicts()}
        )
        return plain

    def to_json(self, indent: int | None = 1) -> str:
        """Write the result as JSON."""
        return json.dumps(self.as_dict(), indent=indent, sort_keys=True, allow_nan=False)

    def write(self, path: str | Path, what: Part = "lines") -> Path:
        """Write the result to a file, whole or not at all.

        Parameters
        ----------
        path : path
            ``.parquet`` or ``.csv`` for one tidy table; ``.json`` for all of it.
        what : {'lines', 'sets'}
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
        if what not in get_args(Part):
            raise UnknownName.among("table of a result", what, get_args(Part))
        return write_table(path, self.table() if what == "lines" else self.sets)
