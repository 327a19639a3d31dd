"""Which way of filling missing cells recovers the most, found by trying on cells that are known."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence

import numpy as np
from threadpoolctl import get_cached_controller

from tilth.core import Finding
from tilth.core.parameters import spoken
from tilth.stages.trial import Line, candidate, compare
from tilth.statistics import Statistics
from tilth.table import ROW, Table

FINDS = {"impute.choice": "ways of filling missing cells were tried on cells that are known"}

IMPUTERS: tuple[Line, ...] = (
    "impute.simple",
    {"impute.iterative": {"model": "linear"}},
    "impute.neighbors",
)
"""What an audit tries unless told otherwise: what takes a second or two, the simplest first."""

FILLED = ("numeric", "categorical", "boolean", "datetime")
MOST_ROWS, REPEATS = 2000, 2
SURE = 2.0
"""Standard errors by which a method must be better than all simpler ones to be proposed."""

WORTH = 30
"""Missing cells from which on it is worth a trial."""


def methods(table: Table, without: Collection[str], imputers: Sequence[Line], seed: int) -> Iterator[Finding]:
    """Try imputers on hidden cells of a sample, and tell how far off they were.

    Parameters
    ----------
    table : Table
        With disguised missing values made null.
    without : collection of str
        Columns that tell nothing of others: names of rows, sentences.
    imputers : sequence of recipe lines
        The simplest first; none: nothing is tried.
    """
    columns = [c for c, kind in table.kinds.items() if kind in FILLED and c not in without]
    statistics = Statistics([table.frame], ROW)
    if not imputers or sum(statistics.nulls(columns).values()) < WORTH:
        return
    made = [candidate(line, random_state=seed) for line in imputers]
    rows = statistics.sample([*columns, ROW], MOST_ROWS, seed)
    start = time.perf_counter()
    # Thin matrices: threads would wait for one another far longer than they work.
    with get_cached_controller().limit(limits=1, user_api="blas"):
        trial = compare(made, rows, columns, repeats=REPEATS, seed=seed)
    chosen = trial.chosen(SURE, None)
    loss = float(trial.losses()[chosen])
    if not np.isnan(loss):
        best = made[chosen]
        yield Finding(
            "impute.choice",
            f"{trial.in_words(rows.height, chosen)} That took {time.perf_counter() - start:.1f} s.",
            loss,
            columns=tuple(trial.columns),
            remedy={best.key: {**spoken(best), "indicator": True}},
            stage="audit.methods",
        )
