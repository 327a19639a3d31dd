"""Weak slices: subgroups in which a model does worse than chance allows, found on one half of the rows and
confirmed on the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tilth.audit.column import Column
from tilth.audit.losses import KINDS, Losses, asked, given
from tilth.audit.regions import Axis, grow
from tilth.core.finding import Finding, Severity
from tilth.errors import ColumnError, DataError
from tilth.stages.dependence import holm
from tilth.stages.folds import folds_of
from tilth.statistics.gap import Gap, Vector, gap
from tilth.table import ROW, Table, kind_of, read

FINDS = {"slices.weak": "a model does worse in a part of the rows than elsewhere"}

MIN_ROWS, DEPTH, MOST = 40, 3, 5

ALPHA = 0.01
"""The chance that anything is called weak by chance, over all leaves that were tested (Holm)."""

GAP, RATIO = 0.05, 1.2
"""What is told: an accuracy lower by so much, or errors larger by this factor. Sure and tiny is no news."""

LARGE_GAP, HUGE_GAP, LARGE_RATIO, HUGE_RATIO = 0.2, 0.4, 2.0, 4.0
"""Gaps of accuracy, and ratios of absolute errors, from which on severity is medium, and high."""

TREES = 2
"""The second looks at what is left of the losses once the leaves of the first are leveled: a hard question in
one part of the rows must not hide wrong labels in another."""

SHARED = 0.5
"""Of two slices that share this part of the rows of both (Jaccard) the surer is told."""

HALVES = 0x51CE5
"""Added to the seed: the halves must not follow the folds."""


def weak_slices(
    data: Any,
    target: Any = None,
    *,
    predictions: Any = None,
    probe: Any = "boosting",
    by: Sequence[str] | None = None,
    weight: str | None = None,
    group: str | None = None,
    min_rows: int = MIN_ROWS,
    depth: int = DEPTH,
    max_slices: int = MOST,
    random_state: int = 0,
) -> list[Finding]:
    """Find parts of the rows in which a model does worse than elsewhere, in conditions that people can read.

    Rows are cut into halves by id, groups whole. On one half a shallow tree looks for where the errors are;
    what its bad leaves promise is tested on the other half, and the other way around. A slice is told if it
    stands at p <= 0.01 after Holm's correction for all leaves tested, and if accuracy is lower by 0.05 or the
    error larger by a fifth. So it is no chance; whether labels are wrong there, rows too few, or the question
    harder, is for people to say.

    Parameters
    ----------
    data : path, Table, or frame or array of shape (n_rows, n_columns)
        A CSV or Parquet file, pandas, Polars, pyarrow, NumPy.
    target : str or array of shape (n_rows,), optional
        The column that is predicted, or its values; a Table may name its own. Rows without it are left out.
    predictions : array of shape (n_rows,) or (n_rows, n_classes), optional
        What a model of your own says of each row, which it must not have learned from: classes or numbers as
        in the target, probabilities of all classes in sorted order, or of the second of two. No model is
        fitted then.
    probe : {'linear', 'boosting', 'mlp', 'auto'} or estimator
        The model whose errors are looked at where no `predictions` are given: fitted on four fifths of the
        rows at a time and asked about the last one, no group being in both. Of an estimator a clone gets the
        columns as numbers; classes take its ``predict_proba``.
    by : sequence of str, optional
        Cut along these columns only, such as sensitive ones, whether they are features or not; by default
        along all numbers, categories, booleans and dates among the features.
    weight : str, optional
        Column of weights: the probe learns with them, and scores are weighted. Rows of weight 0 are left out.
    group : str, optional
        Column of groups: their rows stay on one side of every cut, and intervals and p-values allow for their
        being right or wrong together.
    min_rows : int, at least 2
        Rows of a slice, at least; half of them in either half.
    depth : int, at least 1
        Splits that lead to a slice, at most.
    max_slices : int, at least 1
        Those are returned whose gap is largest beside the width of its interval; of two that share half
        of all their rows one.
    random_state : int
        Seed of folds, halves and probe; with the row ids it decides all, whatever order the rows are in.

    Returns
    -------
    list of Finding
        ``slices.weak``: conditions, scores inside and outside with 95% intervals from the half that did not
        suggest the slice, and p-value in the message; ``score`` is the gap in accuracy, or by which share the
        absolute error is smaller elsewhere; ``rows`` are the ids of all rows inside, the most wrong first.
        Empty where nothing is found, or there is too little to look at: few rows, one class.

    Raises
    ------
    DataError
        If the data cannot be read, there is no target, a parameter is out of range, or predictions do not
        match the rows or the classes.
    ColumnError
        If a role or `by` names no column.

    Examples
    --------
    >>> import polars as pl
    >>> rng = np.random.default_rng(0)
    >>> X = pl.DataFrame({"age": rng.integers(18, 90, 2000), "sex": rng.choice(["f", "m"], 2000)})
    >>> said = (X["age"] > 50).to_numpy()
    >>> wrong = ((X["age"] > 60) & (X["sex"] == "f")).to_numpy() & (rng.random(2000) < 0.3)
    >>> (found,) = weak_slices(X, said ^ wrong, predictions=said)
    >>> found.columns, found.severity, found.message.partition(" (")[0]
    (('age', 'sex'), 'medium', "Where age > 61 and sex is 'f'")
    """
    for name, value, least in (("min_rows", min_rows, 2), ("depth", depth, 1), ("max_slices", max_slices, 1)):
        if value < least:
            raise DataError(f"weak_slices: {name} is {value}; it must be at least {least}.")
    named = target if isinstance(target, str) else None
    table = data if isinstance(data, Table) else read(data, target=named, weight=weight, group=group)
    if isinstance(data, Table):
        own = table.roles
        named, weight, group = named or own.target, weight or own.weight, group or own.group
        table = Table.of(table, roles=replace(own, target=named, weight=weight, group=group))
    if target is not None and not isinstance(target, str):
        table = Table.of(table, target)
    if absent := [name for name in by or () if name not in table.schema]:
        raise ColumnError.missing(absent, table.schema.names(), "weak_slices, `by`")
    for name in by or ():
        if kind_of(table.schema[name]) not in KINDS:
            raise DataError(
                f"weak_slices: '{name}' holds {table.schema[name]}, along which rows cannot be cut."
            )
    table.need("target", "weak_slices")
    y = Column.of(table, table.roles.target or "")
    if predictions is not None:
        losses = given(table, y, predictions)
    elif y.distinct < 2 or table.height < 2 * min_rows:
        return []
    else:
        losses = asked(table, y, probe, random_state)
    how = {"min_rows": min_rows, "depth": depth, "max_slices": max_slices, "seed": random_state}
    return list(look(table, losses, by, **how))


def look(
    table: Table,
    losses: Losses,
    by: Sequence[str] | None = None,
    *,
    min_rows: int = MIN_ROWS,
    depth: int = DEPTH,
    max_slices: int = MOST,
    seed: int = 0,
) -> Iterator[Finding]:
    """Find the slices of a table in which losses are large.

    Parameters
    ----------
    table : Table
        Holds at least the rows that were judged.
    losses : Losses
    by : sequence of str, optional
    min_rows, depth, max_slices, seed : int
        As in `weak_slices`.
    """
    if len(losses.ids) < 2 * min_rows or np.ptp(losses.values) == 0:
        return
    names = [c for c, kind in table.kinds.items() if kind in KINDS] if by is None else list(by)
    weight, group = table.roles.weight, table.roles.group
    roles = [c for c in (weight, group) if c is not None]
    frame = table.frame.select(*dict.fromkeys([*names, *roles]), ROW).collect()
    frame = frame.join(pl.DataFrame({ROW: losses.ids}), on=ROW, how="semi").sort(ROW)
    order = np.argsort(losses.ids, kind="stable")
    mass = np.ones(len(order)) if weight is None else frame[weight].cast(pl.Float64).to_numpy()
    frame, order, mass = frame.filter(pl.Series(mass > 0)), order[mass > 0], mass[mass > 0]
    ids, loss = losses.ids[order], losses.values[order]
    doubt = loss if losses.doubt is None else losses.doubt[order]
    groups = None if group is None else frame[group]
    half = folds_of(ids, 2, seed + HALVES, None, groups)
    cluster = np.arange(len(ids)) if groups is None else _clusters(groups)
    tested: list[Tested] = []
    for number in (0, 1):
        told = loss, mass, cluster, half == number
        tested += _confirmed(frame.select(names), *told, least=(min_rows + 1) // 2, depth=depth)
    adjusted = holm([one.gap.p_value for one in tested])
    pairs = zip(tested, adjusted, strict=True)
    worse = [(one, p) for one, p in pairs if p <= ALPHA and _counts(one.gap, losses)]
    kept: list[NDArray[np.bool_]] = []
    for one, p_value in sorted(worse, key=lambda pair: -_evidence(pair[0].gap)):
        inside = one.inside
        if any((inside & other).sum() >= SHARED * (inside | other).sum() for other in kept):
            continue
        kept.append(inside)
        score, severity = _size(one.gap, losses)
        more = {"score": score, "severity": severity, "columns": one.columns, "stage": "audit.slices"}
        yield Finding.on_rows(
            "slices.weak", _message(one, losses, p_value), ids[inside], -doubt[inside], **more
        )
        if len(kept) == max_slices:
            return


class Tested(NamedTuple):
    """Hold a leaf: where it is large, in words and columns, and what the other half says of it."""

    says: str
    columns: tuple[str, ...]
    inside: NDArray[np.bool_]
    gap: Gap


def _confirmed(
    frame: pl.DataFrame,
    loss: Vector,
    mass: Vector,
    cluster: NDArray[np.int64],
    grown: NDArray[np.bool_],
    *,
    least: int,
    depth: int,
) -> Iterator[Tested]:
    """Grow a tree on some rows, and ask the others about its leaves."""
    rest = ~grown
    if not (grown.any() and rest.any()):
        return
    axes = [axis for column in frame if (axis := Axis.of(column, grown)) is not None]
    left, usual = loss.copy(), float(np.average(loss[grown], weights=mass[grown]))
    for _ in range(TREES):
        for region in grow(axes, left, grown, mass, least, depth):
            inside = region.mask(axes, len(loss))
            own = inside & grown
            left[inside] -= float(np.average(left[own], weights=mass[own])) - usual
            if least <= inside[rest].sum() < rest.sum():
                found = gap(loss[rest], inside[rest], cluster[rest], mass[rest])
                yield Tested(region.says(axes), region.columns(axes), inside, found)


def _clusters(groups: pl.Series) -> NDArray[np.int64]:
    """Number the groups; a row without one is its own."""
    text = groups.cast(pl.String) if groups.dtype in (pl.Categorical, pl.Enum) else groups
    own = pl.int_range(len(text), eager=True) + len(text) + 1
    return text.rank("dense").cast(pl.Int64).zip_with(text.is_not_null(), own).to_numpy()


def _evidence(found: Gap) -> float:
    """Return how long the gap is beside its error; a p-value may be too small to be told from 0."""
    return found.difference / max(found.difference - found.low, 1e-300)


def _counts(found: Gap, losses: Losses) -> bool:
    wide = losses.classes and found.difference >= GAP
    return found.difference > 0 and (wide or found.inside >= RATIO * found.outside)


def _size(found: Gap, losses: Losses) -> tuple[float, Severity]:
    if losses.classes:
        size, ends = found.difference, (GAP, LARGE_GAP, HUGE_GAP)
    else:
        size, ends = found.inside / max(found.outside, 1e-300), (RATIO, LARGE_RATIO, HUGE_RATIO)
    words: tuple[Severity, ...] = ("info", "low", "medium", "high")
    score = found.difference if losses.classes else 1 - found.outside / found.inside
    return float(score), words[sum(size >= end for end in ends)]


def _message(one: Tested, losses: Losses, p_value: float) -> str:
    found, rows = one.gap, int(one.inside.sum())
    if losses.classes:
        inside = (
            f"right in {1 - found.inside:.1%} (95% {1 - found.inside_high:.1%} to {1 - found.inside_low:.1%})"
        )
        outside = f"in {1 - found.outside:.1%} ({1 - found.outside_high:.1%} to {1 - found.outside_low:.1%})"
        hint = "look at their labels with labels.clean"
    else:
        inside = (
            f"off by {found.inside:.4g} on average (95% {found.inside_low:.4g} to {found.inside_high:.4g})"
        )
        outside = f"by {found.outside:.4g} ({found.outside_low:.4g} to {found.outside_high:.4g})"
        hint = "look at their values"
    return (
        f"Where {one.says} ({rows} rows), {losses.who} is {inside}, elsewhere {outside}; p {p_value:.2g}, on "
        f"rows that did not suggest it. Gather more such rows, or {hint}."
    )
