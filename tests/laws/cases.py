"""What the laws run over: every stage found, every example of it, and the rows they learn from."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pytest

from tests.laws.exceptions import COMPLETE, COSTLY, EXCUSED, NUMBERS, UNLABELED
from tilth import stages
from tilth.core import BatchStage, ColumnStage, RowStage, Stage
from tilth.table import Roles, Table

KINDS = (ColumnStage, RowStage, BatchStage)
ROLES = Roles(target="y", weight="w", group="g", row_id="key")


@dataclass(frozen=True)
class Case:
    """One stage with one of its examples."""

    key: str
    number: int

    @property
    def cls(self) -> type[Stage]:
        """Return the class of the stage."""
        return stages.find(self.key)

    def make(self, **more: Any) -> Any:
        """Return a new, unfitted stage."""
        return self.cls(**{**self.cls.examples()[self.number], **more})

    def rows(self, count: int = 120, seed: int = 0) -> pl.DataFrame:
        """Return rows that the stage can learn from."""
        rows = made(count, seed, self.key in COMPLETE)
        if self.key in UNLABELED:
            rows = rows.with_columns(pl.when(pl.int_range(pl.len()) % 5 < 2).then("y"))
        return rows.with_columns(numbers(rows)) if self.key in NUMBERS else rows

    def table(self, count: int = 120, seed: int = 0) -> Table:
        """Return these rows with their roles."""
        return Table.of(self.rows(count, seed), roles=ROLES)

    def fitted(self, table: Table | None = None) -> Any:
        """Return the stage, fitted on the case's own table (once for all laws) or on another."""
        return _fitted(self) if table is None else _fit(self.make(), table)


def _fit(stage: Any, table: Table) -> Any:
    plan = stage.fit_table([table] if isinstance(stage, ColumnStage) else table)
    if acts_as(stage) is RowStage:
        stage.plan_ = plan
    return stage


def acts_as(stage: Stage) -> type[Stage]:
    """Return the kind whose laws hold for a stage: of a batch stage that adds rows, those of row stages."""
    if isinstance(stage, BatchStage) and stage.on_rows:
        return RowStage
    return next(kind for kind in KINDS if isinstance(stage, kind))


@cache
def _fitted(case: Case) -> Any:
    return _fit(case.make(), case.table())


def cases(law: str, *kinds: type[Stage], first: bool = False, many: bool = False) -> list[Any]:
    """List the cases a law runs over; those excused must fail, or the excuse is stale.

    `first` takes the first example only; `many` tables make that so for costly stages.
    """
    excused = EXCUSED.get(law, {})
    listed = []
    for key in sorted(stages.keys()):
        cls = stages.find(key)
        numbers = [
            n for n, example in enumerate(cls.examples()) if acts_as(cls(**example)) in (kinds or KINDS)
        ]
        for number in numbers[: 1 if first or (many and key in COSTLY) else None]:
            name = f"{key}[{number}]"
            reason = excused.get(name) or excused.get(key)
            marks = [pytest.mark.xfail(reason=reason, strict=True)] if reason else []
            listed.append(pytest.param(Case(key, number), id=name, marks=marks))
    return listed


@cache
def made(rows: int, seed: int, complete: bool) -> pl.DataFrame:
    """Make a table of every kind with gaps, far values, repeated rows, and classes that can be learned."""
    random = np.random.default_rng(seed)
    at = np.arange(rows)
    y = random.random(rows) < 0.3
    near = random.normal(np.where(y, 2.0, 0.0), 1.0)
    day = dt.date(2020, 1, 1)
    columns = {
        "near": near,
        "skewed": np.exp(random.normal(0, 2, rows)),
        "wide": random.normal(1e6, 1.0, rows),
        "single": random.normal(size=rows).astype(np.float32),
        "whole": random.integers(-5, 6, rows),
        "flat": np.full(rows, 7.5),
        "city": random.choice(["Berlin", "Rom", "Ürümqi", "Oslo, Norway"], rows, p=[0.6, 0.25, 0.1, 0.05]),
        "level": random.choice(["low", "mid", "high"], rows),
        "tag": random.choice(["a", "b"], rows),
        "yes": random.random(rows) < 0.4,
        "seen": [day + dt.timedelta(days=int(d)) for d in random.integers(0, 900, rows)],
    }
    levels = pl.Enum(["low", "mid", "high", "top"])
    frame = pl.DataFrame(columns).with_columns(
        pl.col("level").cast(levels), pl.col("tag").cast(pl.Categorical)
    )
    if not complete:
        holes = {c: random.random(rows) < 0.12 for c in frame.columns if c not in ("near", "flat", "wide")}
        frame = frame.with_columns(pl.when(~pl.Series(h)).then(pl.col(c)).alias(c) for c, h in holes.items())
    if rows > 20:
        frame = frame[np.where(at % 17 == 5, at - 3, at)]  # some rows are those of three rows before
    return frame.with_columns(
        pl.Series("y", np.where(y, "yes", "no")),
        pl.Series("w", random.uniform(0.5, 2.0, rows)),
        pl.Series("g", at // 3),
        pl.Series("key", [f"row {i}" for i in at]),
    )


def numbers(rows: pl.DataFrame) -> pl.Series:
    """Return a target of numbers that can be learned, with a value far off in every 25 rows."""
    at = np.arange(rows.height)
    noise = np.random.default_rng(rows.height).normal(0, 0.3, rows.height)
    return pl.Series("y", rows["near"].to_numpy() * 2 + noise + np.where(at % 25 == 7, 30.0, 0.0))


FEATURES = [c for c in made(1, 0, True).columns if c not in ("y", "w", "g", "key")]


def parts(table: Table, bounds: list[int], order: list[int] | None = None) -> list[Table]:
    """Cut a table at `bounds`; empty parts stay."""
    edges = [0, *bounds, table.height]
    cut = [table.with_frame(table.frame.slice(i, j - i)) for i, j in pairwise(edges)]
    return [cut[i] for i in order] if order else cut


def learned(stage: Stage) -> dict[str, Any]:
    """Return what a stage has learned: the attributes that end in an underscore."""
    return {name: value for name, value in vars(stage).items() if name.endswith("_") and name[0] != "_"}


def alike(one: Any, two: Any, rtol: float = 1e-9, atol: float = 1e-9, where: str = "") -> None:
    """Assert that two values are the same, numbers to a tolerance, whatever they are nested in."""
    if isinstance(one, pl.DataFrame | pl.LazyFrame):
        one, two = one.lazy().collect(), two.lazy().collect()
        assert one.schema == two.schema, where
        for name in one.columns:
            alike(one[name], two[name], rtol, atol, f"{where}.{name}")
    elif isinstance(one, pl.Series):
        assert len(one) == len(two), where
        if one.dtype.is_float():
            alike(one.to_numpy(), two.to_numpy(), rtol, atol, where)
        else:
            assert one.equals(two), f"{where}: {one} != {two}"
    elif isinstance(one, np.ndarray) and one.dtype.kind in "fiub":
        assert one.dtype == np.asarray(two).dtype, where
        np.testing.assert_allclose(one, two, rtol=rtol, atol=atol, err_msg=where)
    elif isinstance(one, np.ndarray):
        assert one.tolist() == two.tolist(), where
    elif isinstance(one, dict):
        assert list(one) == list(two), where
        for name in one:
            alike(one[name], two[name], rtol, atol, f"{where}.{name}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(two), where
        for number, (a, b) in enumerate(zip(one, two, strict=True)):
            alike(a, b, rtol, atol, f"{where}[{number}]")
    elif isinstance(one, float):
        assert one == two or abs(one - two) <= atol + rtol * abs(two) or (one != one and two != two), where
    elif one is not None and not isinstance(one, str | int | dt.date) and hasattr(one, "__dict__"):
        assert type(one) is type(two), where
        alike(vars(one), vars(two), rtol, atol, f"{where}:{type(one).__name__}")
    elif type(one).__module__.startswith(("sklearn.", "numpy.random.")):  # compiled, such as a tree
        assert type(one) is type(two), where
        held = [x.__getstate__() if isinstance(x.__getstate__(), dict) else {} for x in (one, two)]
        alike(*held, rtol, atol, f"{where}:{type(one).__name__}")
    else:
        assert one == two, f"{where}: {one!r} != {two!r}"
