"""One fixed test set: which rows are tested, which are learned from, and what was said of each."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tilth.bench.answering import Answer
from tilth.bench.clean import CLEAN, GIVEN, known
from tilth.bench.design import Design
from tilth.bench.fixed_draws import DRAWS, ByDraws, Items, Part, drawn_scores, strata_of_units
from tilth.bench.fixed_scores import Said
from tilth.bench.metrics import METRICS, metrics_of
from tilth.bench.recalls import recalls_in
from tilth.core import Finding
from tilth.errors import ColumnError, DataError
from tilth.table import ROW, Table

TEST = "test"
LARGE = 1_000_000
"""Numbers in one answer beyond which they are held as float32."""
MANY_LEFT_OUT = 0.2
PARTS = 5
"""Slices, and units of copies, are as large as they must be in so many folds."""

FINDS = {
    "bench.fixed_test": "rows were tested on one fixed test set",
    "bench.fixed_copies": "groups and copies of test rows that were not learned from",
    "bench.fixed_unlabeled": "rows of a fixed test set without a label, which are not scored",
}


def kept_for_testing(table: Table, test: Any) -> tuple[Table, NDArray[np.bool_]]:
    """Return the table without the column that tells its test rows, and which rows these are.

    Parameters
    ----------
    table : Table
    test : str or array-like of shape (n_rows,)
        A column that says ``test`` in the rows kept for testing, or true; or as many true and false.

    Raises
    ------
    ColumnError
        No such column.
    DataError
        No row is kept for testing, or none is left to learn from.
    """
    who = f"Column '{test}'" if isinstance(test, str) else "test"
    if isinstance(test, str):
        frame = table.frame.collect()
        if test not in frame.columns:
            raise ColumnError.missing([test], [c for c in frame.columns if c != ROW], "test")
        column = frame[test]
        if column.dtype != pl.Boolean:
            column = column.cast(pl.String, strict=False) == TEST
        if test in table.features:
            table = table.with_frame(frame.drop(test).lazy())
    else:
        column = pl.Series("test", np.asarray(test).ravel())
        if len(column) != table.height:
            raise DataError(f"test has {len(column)} values, but the table has {table.height} rows.")
        if column.dtype != pl.Boolean:
            raise DataError(
                f"test holds {column.dtype} values. Pass true for rows kept for testing and false for the "
                "others, or the name of a column that says 'test' in them."
            )
    kept: NDArray[np.bool_] = column.fill_null(False).to_numpy().astype(bool)
    if not kept.any() or kept.all():
        some = "no row" if not kept.any() else "every row"
        raise DataError(
            f"{who} keeps {some} for testing. It must say 'test', or true, in some rows and not in all."
        )
    return table, kept


def check_options(test: Any, time: Any, **closer: Any) -> None:
    """Raise where something else is asked for that goes by folds.

    Raises
    ------
    DataError
    """
    if test is None:
        return
    if time is not None:
        raise DataError(
            "test and time contradict each other: by time each block of rows is tested by earlier ones, and "
            "one fixed test set is tested by all other rows. Leave one of them out; to test the latest rows, "
            "pass these as test."
        )
    asked = [name for name, value in closer.items() if value not in (False, None)]
    if asked:
        raise DataError(
            f"{' and '.join(asked)} cannot be estimated on one fixed test set: rows are changed and answered "
            "anew, and what that varies by is estimated over folds. Leave out test, or "
            f"{' and '.join(asked)}."
        )


def left_out(
    table: Table, test: NDArray[np.bool_], labeled: NDArray[np.bool_], units: NDArray[np.int64]
) -> list[Finding]:
    """Say what is tested, what is learned from, and what is neither: groups and copies of test rows.

    Raises
    ------
    DataError
        No test row has a label, or none is left to learn from.
    """
    tied = ~test & np.isin(units, units[test])
    learned = ~test & ~tied
    tested = int((test & labeled).sum())
    if not tested:
        raise DataError(f"None of the {int(test.sum())} rows kept for testing has a label. Label some.")
    if not (learned & labeled).any():
        why = f": {int(tied.sum())} are copies, or of a group, of test rows" if tied.any() else ""
        raise DataError(
            f"No labeled row is left to learn from{why}. Keep other rows for testing: whole groups, and all "
            "copies of a row."
        )
    message = (
        f"One fixed test set: {tested:,} rows were tested by what was learned from {int(learned.sum()):,} "
        "others. Intervals hold for other test rows and other training seeds, not for other training rows."
    )
    findings = [Finding("bench.fixed_test", message, float(tested), n_rows=tested, stage="bench")]
    if count := int(tied.sum()):
        share = count / int((~test).sum())
        message = (
            f"{count:,} of {int((~test).sum()):,} rows outside the test set are copies, almost copies, or of "
            "a group of test rows: they were not learned from."
        )
        severity: Literal["medium", "low"] = "medium" if share > MANY_LEFT_OUT else "low"
        findings.append(Finding("bench.fixed_copies", message, share, severity, n_rows=count, stage="bench"))
    if count := int((test & ~labeled).sum()):
        message = f"{count:,} of {int(test.sum()):,} test rows have no label: they were not scored."
        share = count / int(test.sum())
        findings.append(
            Finding("bench.fixed_unlabeled", message, share, "medium", n_rows=count, stage="bench")
        )
    return findings


def only(truth: NDArray, kept: NDArray[np.bool_]) -> NDArray:
    """Return the labels of rows kept for testing; the others have none."""
    return np.where(kept, truth, np.nan if truth.dtype.kind == "f" else -1)


def line_of(arm: str, decided: NDArray[np.float64] | None, answer: Answer | None) -> dict[str, Any]:
    """Return what was said of the test rows as plain values: numbers as text of their bytes.

    Parameters
    ----------
    arm : str
    decided : ndarray of shape (n_rows, n_classes), optional
        Where labels are all there is.
    answer : Answer, optional
    """
    said = None if answer is None else answer.said
    if answer is not None and answer.said.ndim == 2:
        decided = answer.decided
    small = None if said is None else said.astype(np.float32 if said.size > LARGE else np.float64)
    codes = None if decided is None else decided.argmax(axis=1).astype(np.int32)
    return {"arm": arm, "said": _text(small), "decided": _text(codes)}


def said_of(line: Mapping[str, Any]) -> Said:
    """Read what `line_of` wrote."""
    decided = _array(line["decided"])
    return Said(_array(line["said"]), None if decided is None else decided.astype(np.int64))


def answers_of(lines: Sequence[Mapping[str, Any]], repeats: int) -> dict[tuple[str, str], list[Said]]:
    """Gather the answers of each (probe, arm), one per training seed; arms that lack one are left out."""
    held: dict[tuple[str, str], dict[int, Said]] = {}
    for line in lines:
        held.setdefault((line["probe"], line["arm"]), {})[line["repeat"]] = said_of(line)
    whole = {key: told for key, told in held.items() if len(told) == repeats}
    return {key: [told[repeat] for repeat in sorted(told)] for key, told in whole.items()}


def tested_of(design: Design) -> NDArray[np.bool_]:
    """Mark the rows that are scored: tested, with a label, and of a weight above 0."""
    return (design.fold_of[0] == 0) & (design.weight > 0)


def by_draws(design: Design, lines: Sequence[Mapping[str, Any]], draws: int = DRAWS) -> ByDraws:
    """Return what estimates from draws of the test rows.

    Parameters
    ----------
    design : Design
    lines : sequence of dict
        What was said of the test rows: as `line_of`, each with its probe and repeat.
    draws : int
    """
    counts = tested_of(design)
    inside = design.weight[design.fold_of[0] == 0] > 0
    answers = {
        key: [said.rows(inside) for said in told]
        for key, told in answers_of(lines, len(design.fold_of)).items()
    }
    truth, weight = design.truth[counts], design.weight[counts]
    classes = len(design.labels)
    strata = truth.astype(np.int64) if classes else np.zeros(len(truth), np.int64)
    _, unit = np.unique(design.units[counts], return_inverse=True)
    everything = np.arange(len(truth))
    parts = [Part("", everything, truth, (*metrics_of(design.task), *recalls_in(design.labels)))]
    primary = tuple(METRICS[name] for name in design.primary)
    for name, member in zip(design.slices.names, design.slices.member, strict=True):
        rows = np.flatnonzero(member[counts])
        if len(rows):
            parts.append(Part(name, rows, truth[rows], primary))
    if design.clean is not None:
        right = design.clean[counts]
        rows = np.flatnonzero(known(right))
        if len(rows):
            parts.append(Part(CLEAN, rows, right[rows], primary))
            parts.append(Part(GIVEN, rows, truth[rows], primary))
    drawn = drawn_scores(Items(strata, unit, design.random_state), weight, answers, parts, classes, draws)
    free = {
        (part.name, ranks): _free(strata[part.rows], unit[part.rows], ranks)
        for part in parts
        for ranks in (False, True)
    }
    return ByDraws(drawn, free, design.random_state)


def _free(strata: NDArray[np.int64], unit: NDArray[np.int64], ranks: bool) -> int:
    """Return the degrees of freedom that rows leave: units less classes, or those of the smaller of two."""
    _, unit = np.unique(unit, return_inverse=True)
    counts = np.unique(strata_of_units(strata, unit), return_counts=True)[1]
    if ranks and len(counts) == 2:
        return max(1, int(counts.min()) - 1)
    return max(1, int(counts.sum()) - len(counts))


def _text(values: NDArray | None) -> dict[str, Any] | None:
    if values is None:
        return None
    packed = b64encode(np.ascontiguousarray(values).tobytes()).decode("ascii")
    return {"dtype": values.dtype.str, "shape": list(values.shape), "bytes": packed}


def _array(told: Mapping[str, Any] | None) -> NDArray | None:
    if told is None:
        return None
    values = np.frombuffer(b64decode(told["bytes"]), dtype=np.dtype(told["dtype"]))
    return values.reshape(told["shape"])
