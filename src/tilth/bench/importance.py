"""Which columns a pipeline and its probe rely on: a column is shuffled among the test rows, and what is lost
is its importance."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tilth.bench.again import answered, asked, ids_of, scored, seed_of
from tilth.bench.answering import Judged
from tilth.bench.metrics import METRICS
from tilth.bench.statistics import corrected_t, holm
from tilth.errors import DataError
from tilth.statistics import hash_rows, key_of
from tilth.table import Table
from tilth.table.kinds import KINDS
from tilth.table.selectors import Selector, select

LOOK = "importance"
SHUFFLES = 10
ROWS = 2000
MOST = 100
"""Columns that are looked at where none are named: each costs `SHUFFLES` answers per fold, arm and probe."""
ALPHA = 0.05
CHANGE = "change"
ARMS = ("before", "after", CHANGE)

IMPORTANCE = pl.Schema(
    {
        "column": pl.String,
        "probe": pl.String,
        "metric": pl.String,
        "arm": pl.String,
        "importance": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
        "p": pl.Float64,
        "p_holm": pl.Float64,
        "n_scores": pl.Int64,
        "matters": pl.Boolean,
    }
)

Groups = tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True)
class Importance:
    """Shuffle each column of the raw test rows, prepare and answer them anew, and tell what the score loses.

    The raw column is shuffled, before any stage: what is measured is what the whole pipeline makes of it.
    Draws are keyed by row ids, so both arms and all probes see the same.

    Parameters
    ----------
    groups : tuple of (name, columns)
        Columns of one group are shuffled together, by the same draw.
    shuffles : int, at least 1
        Of which the mean is taken.
    rows : int, at least 2
        Test rows per fold that are looked at, at most; drawn by row id.
    """

    groups: Groups
    shuffles: int = SHUFFLES
    rows: int = ROWS

    def __call__(self, judged: Judged) -> list[dict[str, Any]]:
        """Return lines: column, metric, and by how much the score is worse without what the column tells."""
        with warnings.catch_warnings():
            # What stages and models warn of is about rows that nobody has.
            warnings.simplefilter("ignore")
            return list(self._lines(judged))

    def _lines(self, judged: Judged) -> Iterator[dict[str, Any]]:
        design = judged.design
        ids = ids_of(judged.rows)
        words = hash_rows(design.random_state, ids, epoch=int(key_of([LOOK])[0]))
        counting = np.flatnonzero(judged.weight > 0)
        chosen = np.sort(counting[np.argsort(words[counting], kind="stable")[: self.rows]])
        frame = judged.rows[chosen]
        truth, weight = judged.truth[chosen], judged.weight[chosen]
        metrics = list(design.primary)
        base = dict(scored(metrics, asked(judged, frame), truth, weight))
        for name, columns in self.groups:
            lost: dict[str, list[float]] = {metric: [] for metric in metrics}
            for answer in self._shuffled(judged, frame, name, columns):
                for metric, value in scored(metrics, answer, truth, weight):
                    gain = METRICS[metric].gain(np.array(value), np.array(base[metric]))
                    lost[metric].append(float(gain))
            for metric, values in lost.items():
                yield {"look": LOOK, "column": name, "metric": metric, "value": float(np.mean(values))}

    def _shuffled(
        self, judged: Judged, frame: pl.DataFrame, name: str, columns: Sequence[str]
    ) -> Iterator[Any]:
        """Answer the rows with the columns shuffled, as often as asked."""
        seed = seed_of(judged) + int(key_of([name])[0])
        orders = [shuffle(ids_of(frame), seed, turn) for turn in range(self.shuffles)]
        several = [frame.with_columns(frame[order].select(columns)) for order in orders]
        together = judged.through(pl.concat(several))
        if together.height == self.shuffles * frame.height:
            raw = np.split(judged.says(together), self.shuffles)
            yield from (answered(judged, part) for part in raw)
        else:
            # A stage that joins by row ids cannot take a row more than once.
            yield from (asked(judged, one) for one in several)


def shuffle(ids: NDArray[np.uint64], seed: int, turn: int) -> NDArray[np.int64]:
    """Return from which place each row takes its value: a permutation keyed by (seed, row ids, turn).

    The same rows get the same values, whatever order they are in.
    """
    order = np.empty(len(ids), np.int64)
    order[np.argsort(ids, kind="stable")] = np.argsort(hash_rows(seed, ids, turn), kind="stable")
    return order


def groups_of(table: Table, asked: bool | Sequence[str] | Mapping[str, Any]) -> Groups:
    """Return what is shuffled together: each feature alone, the features chosen, or groups by name.

    Parameters
    ----------
    table : Table
    asked : True, sequence of str, or mapping of name to selection
        True: every feature. A sequence: column selections, each feature by itself. A mapping: each selection
        as one group. A selection is a name, a kind such as ``numeric``, a glob, or these joined by signs.

    Raises
    ------
    ColumnError
        A selection names no column.
    DataError
        A selection holds no feature, or there are more than 100 features and none are named.
    """
    kinds = {name: kind for name, kind in table.kinds.items() if name in table.features}
    if isinstance(asked, Mapping):
        named = {str(name): _selected(chosen, kinds) for name, chosen in asked.items()}
        empty = [name for name, columns in named.items() if not columns]
        if empty or not named:
            raise DataError(f"explain: {empty or 'the mapping'} selects no feature. Features: {list(kinds)}.")
        return tuple((name, tuple(columns)) for name, columns in named.items())
    if not isinstance(asked, bool):
        chosen = _selected(list(asked), kinds)
        if not chosen:
            raise DataError(f"explain: {list(asked)} selects no feature. Features: {list(kinds)}.")
        return tuple((name, (name,)) for name in chosen)
    if len(kinds) > MOST:
        raise DataError(
            f"explain: there are {len(kinds)} features, and each is shuffled {SHUFFLES} times in every fold. "
            f"Name at most some ({MOST} are looked at unasked), or put them in groups: "
            "explain={'pixels': 'pixel*', 'rest': '~pixel*'}."
        )
    return tuple((name, (name,)) for name in kinds)


def _selected(chosen: Any, kinds: Mapping[str, str]) -> list[str]:
    return select(chosen if isinstance(chosen, str | Selector) else list(chosen), kinds, KINDS)


def importance_table(
    lines: Sequence[Mapping[str, Any]], folds: int, ratio: float | None = None
) -> pl.DataFrame:
    """Estimate every column's importance before and after, and how it changed, with corrected intervals.

    Parameters
    ----------
    lines : sequence of dict
        ``column, probe, metric, arm, repeat, fold, value``.
    folds : int
    ratio : float, optional
        As in `corrected_t`.

    Returns
    -------
    DataFrame
        One line per column, probe, metric and arm, with "change" for after less before. Importance is what
        the score loses; above 0, the column helps. `matters`: Holm's p over all lines of the same arm is
        below 0.05, and, but for a change, the importance is above 0.
    """
    held: dict[tuple[str, str, str], dict[str, dict[tuple[int, int], float]]] = {}
    for line in lines:
        key = (line["column"], line["probe"], line["metric"])
        place = (line["repeat"], line["fold"])
        held.setdefault(key, {}).setdefault(line["arm"], {})[place] = line["value"]
    told: list[dict[str, Any]] = []
    for (column, probe, metric), arms in held.items():
        series = {arm: np.array([values[p] for p in sorted(values)]) for arm, values in arms.items()}
        if {"before", "after"} <= set(arms) and arms["before"].keys() == arms["after"].keys():
            series[CHANGE] = series["after"] - series["before"]
        for arm, values in series.items():
            if arm not in ARMS:
                continue
            told.append({"column": column, "probe": probe, "metric": metric, "arm": arm})
            known = values[np.isfinite(values)]
            if len(known) < 2:
                continue
            found = corrected_t(known, folds, _size(series), ratio=ratio)
            told[-1] |= {"importance": found.mean, "low": found.low, "high": found.high, "p": found.p}
            told[-1] |= {"n_scores": found.n_scores}
    frame = pl.DataFrame(told, schema=IMPORTANCE)
    return frame.with_columns(_adjusted(frame)).with_columns(
        matters=(pl.col("p_holm") < ALPHA) & ((pl.col("importance") > 0) | (pl.col("arm") == CHANGE))
    )


def _size(series: Mapping[str, NDArray[np.float64]]) -> float:
    """Return how large the numbers are that are subtracted: rounding is no importance."""
    return max(1.0, *(float(np.nanmax(np.abs(v), initial=0.0)) for v in series.values()))


def _adjusted(frame: pl.DataFrame) -> pl.Series:
    """Adjust p values by Holm's method, over all columns, probes and metrics of the same arm."""
    p = frame["p"].fill_null(float("nan")).to_numpy()
    adjusted = np.full(frame.height, np.nan)
    for arm in frame["arm"].unique():
        mine = (frame["arm"] == arm).to_numpy()
        adjusted[mine] = holm(p[mine])
    return pl.Series("p_holm", adjusted).fill_nan(None)
