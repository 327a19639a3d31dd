"""The test rows of an audit: where they come from, brought to the types of training rows, and compared."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from tilth.audit import across, drift, hidden, pairs
from tilth.audit.column import Column
from tilth.audit.looking import guarded
from tilth.core.finding import Finding
from tilth.errors import DataError, listed
from tilth.table import ROW, Table, read

FINDS = {
    "drift.absent": "test rows lack a column of the training rows",
    "drift.type": "a column of test rows holds what is no value of its type in training rows",
}


def parted(table: Table, test: Any, null_values: Sequence[str]) -> tuple[Table, Table | None]:
    """Return training rows and test rows: those of a source of their own, or those that a column names.

    Raises
    ------
    DataError
        There are test rows of both kinds, or the column names none, or all.
    """
    column = table.roles.split
    if test is not None and column is not None:
        raise DataError(
            f"Test rows are named twice: by `test`, and by the column '{column}'. Drop one of the two."
        )
    if column is None:
        return table, None if test is None else _entered(test, table.roles.named(), null_values)
    frame = table.frame.collect()
    hit = (frame[column].cast(pl.String) == "test").fill_null(False)
    if hit.all() or not hit.any():
        raise DataError(
            f"Column '{column}' splits nothing: it must say 'test' in some rows and not in all. "
            "Write 'test' into it for the rows that are kept for testing."
        )
    return table.with_frame(frame.filter(~hit).lazy()), table.with_frame(frame.filter(hit).lazy())


def _entered(test: Any, roles: dict[str, Any], null_values: Sequence[str]) -> Table:
    """Read test rows; roles that they lack are left out: a target may be unknown."""
    held = test if isinstance(test, Table) else read(test, null_values=null_values)
    # What annotators say of test rows is no feature, and nothing looks at it.
    people = {*roles.get("annotators", ()), *held.roles.annotators}
    held = held.with_frame(held.frame.drop(people, strict=False), replace(held.roles, annotators=()))
    there = held.schema.names()
    named = {role: name for role, name in roles.items() if role != "annotators" and name in there}
    held = Table.of(held, roles=replace(held.roles, **named))
    if held.height == 0:
        raise DataError("There are no test rows. Pass at least one, or none of `test`.")
    return held.collect()


def aligned(train: Table, test: Table, findings: list[Finding]) -> Table:
    """Return test rows with the columns, and in the types, of the training rows; tell what does not fit."""
    absent = [c for c in train.features if c not in test.schema]
    if absent:
        names = listed((f"'{c}'" for c in absent), 6)
        message = f"The test rows lack {len(absent)} columns of the training rows: {names}."
        findings.append(
            Finding("drift.absent", message, float(len(absent)), "high", tuple(absent), stage="audit.drift")
        )
    frame = test.frame.collect()
    frame = frame.select(c for c in frame.columns if c in train.schema or c == ROW)
    for name, dtype in train.schema.items():
        if name not in frame.columns or frame.schema[name] == dtype:
            continue
        lost = frame[name]
        if not (dtype.is_numeric() and lost.dtype.is_numeric()):
            cast = lost.cast(pl.String if dtype in (pl.Enum, pl.Categorical) else dtype, strict=False)
            hit = cast.is_null() & lost.is_not_null()
            if count := int(hit.sum()):
                message = (
                    f"'{name}' is {dtype} in training rows, and {count} of {test.height} test rows hold what "
                    f"is none, such as {lost.filter(hit)[0]!r}: a pipeline would refuse them."
                )
                findings.append(
                    Finding("drift.type", message, count / test.height, "high", (name,), stage="audit.drift")
                )
            frame = frame.with_columns(cast.alias(name))
    return test.with_frame(frame.lazy())


def look(
    train: Table,
    test: Table,
    sampled: tuple[Table, Table],
    findings: Sequence[Finding],
    marks: Sequence[Finding],
    classes: bool,
    seed: int,
) -> Iterator[Finding]:
    """Ask all that is asked of test rows against training rows.

    Parameters
    ----------
    train, test : Table
        All rows, as they were read.
    sampled : tuple of Table
        Those that are looked at, training rows without disguised missing values.
    findings : sequence of Finding
        What was found in the training rows.
    marks : sequence of Finding
        Those of disguised missing values.
    classes : bool
        The target is one of classes.
    seed : int
    """
    fitting: list[Finding] = []
    some = hidden.uncover(sampled[1], [m for m in marks if set(m.columns) <= set(test.schema)])
    some = aligned(sampled[0], some, fitting)
    yield from fitting
    named = {c for f in findings if f.kind in ("column.id", "text.free") for c in f.columns}
    keys = [c for f in findings if f.kind == "column.key" for c in f.columns if c in test.schema]
    there = [c for c in train.features if c in some.schema]
    whole = _only(train, there)
    one, two = (pairs.comparable([Column.of(t, c) for c in there]) for t in (sampled[0], some))
    y, other = _target(sampled[0]), _target(some)
    by_chance = pairs.chance_of_a_copy([c for c in one if c.name not in named])
    checks: dict[str, Callable[[], Iterator[Finding]]] = {
        "copies": lambda: across.copies(whole, aligned(whole, test, []), named, by_chance),
        "near_copies": lambda: across.near_copies(_only(sampled[0], there), some, named),
        "groups": lambda: across.groups(whole, test, keys),
        "times": lambda: across.times(one, two, y, classes, seed),
        "drift of columns": lambda: drift.columns(one, two, named),
        "drift jointly": lambda: drift.jointly(_only(sampled[0], there), some, named, seed),
    }
    if y is not None and other is not None:
        checks["drift of the target"] = lambda: drift.target(y, other, classes)
    for name, check in checks.items():
        yield from guarded(f"the check '{name}'", check)


def _only(table: Table, names: Collection[str]) -> Table:
    gone = [c for c in table.features if c not in names]
    return table.with_frame(table.frame.select(pl.exclude(gone)))


def _target(table: Table) -> Column | None:
    name = table.roles.target
    return None if name is None or name not in table.schema else Column.of(table, name)
