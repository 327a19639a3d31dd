"""Which stages look: they find and do not act."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, get_args

import polars as pl
from sklearn.base import clone
from threadpoolctl import get_cached_controller

from tilth.core import ColumnStage, Finding, RowStage, Stage, model_of
from tilth.errors import TilthError
from tilth.stages import stage
from tilth.table import Table

FINDS = {
    "check.failed": "a check could not be carried out; its message says why",
    "check.limited": "a check looked at a part of the data only",
}

LOOKERS: dict[str, dict[str, Any]] = {
    "duplicates.exact": {},
    "impute.simple": {},
    # Three quartile distances: Tukey's "far out", beyond what a skewed tail explains.
    "outliers.clip": {"width": 3.0},
    "labels.clean": {},
}
"""The stages that look unless others are asked for, with the parameters they look with."""

IMAGE_LOOKERS: dict[str, dict[str, Any]] = {
    "prune.unreadable": {},
    "duplicates.images": {},
    "prune.quality": {"issues": "all"},
}
"""Those that look at images, before anything is made of them."""

EMBEDDED_LOOKERS: dict[str, dict[str, Any]] = {
    "labels.clean": {},
}
"""Those that look at images as numbers."""


def looker(
    wanted: str | Stage, given: Mapping[str, Any], known: Mapping[str, dict[str, Any]] = LOOKERS
) -> Stage:
    """Return a stage that reports: a copy, with ``action="report"`` where the stage has the choice.

    Parameters
    ----------
    wanted : str or Stage
        A key, such as ``outliers.clip``, or a stage.
    given : mapping
        Parameters to set where the stage has them, such as ``random_state``.
    known : mapping
        The parameters that stages look with.
    """
    made: Stage = stage(wanted, **known.get(wanted, {})) if isinstance(wanted, str) else clone(wanted)
    fields = model_of(type(made)).model_fields
    chosen = {name: value for name, value in given.items() if name in fields and isinstance(wanted, str)}
    if "action" in fields and "report" in get_args(fields["action"].annotation):
        chosen["action"] = "report"
    made.set_params(**chosen)
    return made


def look(stages: Iterable[Stage], table: Table, tell: Callable[[str], None]) -> list[Finding]:
    """Fit each stage on the table, keep what it found, and throw its work away.

    A stage that cannot work on this data is itself a finding, so that one column that cannot be read
    does not hide what the other stages see.
    """
    found: list[Finding] = []
    # Probes multiply thin matrices: threads would wait for one another far longer than they work.
    with get_cached_controller().limit(limits=1, user_api="blas"):
        for one in stages:
            tell(one.key)
            found += guarded(one.key, lambda one=one: _found(one, table))  # type: ignore[misc]
    return found


def _found(one: Stage, table: Table) -> Iterator[Finding]:
    if isinstance(one, ColumnStage):
        one.fit_table([table])
    elif isinstance(one, RowStage):
        one.plan_ = one.fit_table(table)
    yield from one.findings_


def guarded(
    name: str, check: Callable[[], Iterator[Finding]], columns: tuple[str, ...] = ()
) -> list[Finding]:
    """Run a check; trouble with the data becomes a finding that says what could not be checked."""
    try:
        return list(check())
    except (TilthError, pl.exceptions.PolarsError) as error:
        reason = str(error).strip().partition("\n")[0]
        return [
            Finding("check.failed", f"{name} could not look: {reason}", 1.0, "medium", columns, stage=name)
        ]


def without(table: Table, names: Sequence[str]) -> Table:
    """Return the table without some features."""
    kept = [c for c in table.frame.collect_schema().names() if c not in names]
    return table.with_frame(table.frame.select(kept))


def labeled(table: Table) -> Table:
    """Return the rows that have a label."""
    return table.with_frame(table.frame.filter(pl.col(table.roles.target or "").is_not_null()))
