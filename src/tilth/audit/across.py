"""Checks of test rows against training rows: what is in both, and should not be."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np
import polars as pl

from tilth.audit.column import Column
from tilth.audit.looking import without
from tilth.core.finding import Finding, Severity
from tilth.core.lineage import feature_words, recurring
from tilth.stages.close import close_groups
from tilth.stages.leakage import FOLLOWS, SURE, dependence_on
from tilth.table import ROW, Roles, Table

FINDS = {
    "leakage.copies": "test rows repeat the features of training rows",
    "leakage.near_copies": "test rows are almost the same as training rows",
    "leakage.groups": "rows of one group are in training and in test",
    "leakage.time": "test rows are from times that were trained on",
}

REAL = 10
"""Times as many copies as by chance are no chance: columns are not independent, but not that dependent."""

MANY, SOME = 0.1, 0.01
"""Shares of the test rows from which a leak is severe, or worth a word."""

KEPT_TOGETHER = {"data": {"split": {"test": 0.2}}}
"""A split that a recipe draws keeps copies of a row on one side."""


def copies(train: Table, test: Table, ids: Collection[str] = (), by_chance: float = 0.0) -> Iterator[Finding]:
    """Find test rows whose features are those of a training row.

    Parameters
    ----------
    ids : collection of str
        Columns that name the rows.
    by_chance : float
        The chance that two rows are equal, were the columns independent. Where values are few, rows meet by
        nature, and as many training rows repeat another: that is no leak.
    """
    train, test = without(train, list(ids)), without(test, list(ids))
    names = train.features
    if not names or not test.height:
        return
    words, asked = feature_words(train, names), feature_words(test, names)
    hit = np.isin(asked, words)
    if not hit.any():
        return
    share, usual = float(hit.mean()), recurring(words)
    message = (
        f"{int(hit.sum())} of {test.height} test rows ({share:.1%}) repeat the features of a training row"
    )
    message += _agreement(train, test, words, asked)
    message += f"; {usual:.1%} of the training rows repeat another." if usual else "."
    yield Finding.on_rows(
        "leakage.copies",
        message,
        test.ids[hit],
        np.zeros(int(hit.sum())),
        score=share,
        severity=_severity(share if share > REAL * by_chance * train.height else share - usual),
        remedy=KEPT_TOGETHER,
        stage="audit.leakage",
    )


def near_copies(train: Table, test: Table, ids: Collection[str] = ()) -> Iterator[Finding]:
    """Find test rows that are almost the same as a training row, other than exact copies."""
    train, test = without(train, list(ids)), without(test, list(ids))
    names = train.features
    if not names or not test.height:
        return
    exact = np.isin(feature_words(test, names), feature_words(train, names))
    group, obstacle = close_groups(_stacked(train, test, names))
    if obstacle:
        message = f"Test rows were not looked at for near copies of training rows: {obstacle}."
        yield Finding("check.limited", message, float(train.height + test.height), stage="audit.leakage")
        return
    known, asked = group[: train.height], group[train.height :]
    hit = np.isin(asked, known) & ~exact
    if not hit.any():
        return
    share = float(hit.mean())
    usual = float((np.bincount(known)[known] > 1).mean())
    message = (
        f"{int(hit.sum())} of {test.height} test rows ({share:.1%}) are almost the same as a training row, "
        f"and no exact copies{_agreement(train, test, known, asked, hit)}; {usual:.1%} of the training rows "
        "have a copy or a near copy."
    )
    yield Finding.on_rows(
        "leakage.near_copies",
        message,
        test.ids[hit],
        np.zeros(int(hit.sum())),
        score=share,
        severity=_severity(share),
        columns=tuple(names) if len(names) <= 5 else (),
        remedy={"duplicates.near": {"action": "group"}},
        stage="audit.leakage",
    )


def groups(train: Table, test: Table, keys: Collection[str] = ()) -> Iterator[Finding]:
    """Find groups that straddle: those of the group role, and names of what rows belong to.

    Parameters
    ----------
    keys : collection of str
        Features that name what rows belong to.
    """
    named = train.roles.group
    for name in dict.fromkeys([*([named] if named else []), *keys]):
        known, asked = (t.frame.select(pl.col(name).cast(pl.String)).collect()[name] for t in (train, test))
        hit = asked.is_in(known.drop_nulls().unique().implode()).fill_null(False).to_numpy()
        if not hit.any():
            continue
        share, straddling = float(hit.mean()), asked.filter(pl.Series(hit)).n_unique()
        message = (
            f"{straddling} values of '{name}' are in training and in test, in {int(hit.sum())} of "
            f"{test.height} test rows ({share:.1%}): what is known of a group helps on its test rows."
        )
        severity: Severity = ("high" if share >= MANY else "medium") if name == named else "medium"
        split = {"split": {"test": 0.2, "by": "group"}}
        yield Finding.on_rows(
            "leakage.groups",
            message,
            test.ids[hit],
            np.zeros(int(hit.sum())),
            score=share,
            severity=severity,
            columns=(name,),
            remedy={"data": split if name == named else {"group": name, **split}},
            stage="audit.leakage",
        )


def times(
    train: Sequence[Column], test: Sequence[Column], target: Column | None, classes: bool, seed: int = 0
) -> Iterator[Finding]:
    """Find dates before whose last training row test rows lie: the split took them at random."""
    tests = {column.name: column for column in test}
    for column in train:
        other = tests.get(column.name)
        if other is None or not column.kind == other.kind == "datetime" or not column.filled:
            continue
        known = other.series.drop_nulls()
        last = column.series.drop_nulls().max()
        hit = (other.series <= last).fill_null(False)
        share = float(hit.sum() / max(len(known), 1))
        if share < SOME:
            continue
        excess, p_value = (0.0, 1.0) if target is None else dependence_on(column, target, classes, seed)
        depends = excess >= FOLLOWS and p_value <= SURE
        message = (
            f"{share:.1%} of the test rows are from before the last training row in '{column.name}': what "
            "was trained on lies in their future"
        )
        message += f", and the target depends on the time (excess {excess:.2f})." if depends else "."
        severity: Severity = "info" if not depends else "high" if excess >= 0.2 else "medium"
        yield other.finding(
            "leakage.time",
            message,
            share,
            severity,
            mask=hit,
            remedy={"data": {"split": {"test": 0.2, "by": "time", "column": column.name}}},
        )


def _severity(share: float) -> Severity:
    return "high" if share >= MANY else "medium" if share >= SOME else "low"


def _agreement(
    train: Table, test: Table, known: np.ndarray, asked: np.ndarray, hit: np.ndarray | None = None
) -> str:
    """Say how often a test row has the most frequent label of the training rows of its code."""
    one, other = train.y, test.y
    if one is None or other is None:
        return ""
    labels = pl.DataFrame({"code": known, "label": one.cast(pl.String)}).drop_nulls()
    usual = labels.group_by("code", "label").len().sort("len", "label", descending=[True, False])
    usual = usual.group_by("code", maintain_order=True).first()
    there = pl.DataFrame({"code": asked, "own": other.cast(pl.String)})
    there = (there if hit is None else there.filter(pl.Series(hit))).drop_nulls().join(usual, on="code")
    if not there.height:
        return ""
    same = there.select((pl.col("own") == pl.col("label")).mean()).item()
    return f", {float(same):.0%} of them with its label"


def _stacked(train: Table, test: Table, names: Sequence[str]) -> Table:
    """Return the features of both, training rows first, under new row ids."""
    texts = pl.col(pl.Categorical, pl.Enum).cast(pl.String)
    frames = [table.frame.select(names).with_columns(texts) for table in (train, test)]
    frame = pl.concat(frames, how="vertical_relaxed").with_columns(
        pl.int_range(pl.len(), dtype=pl.UInt64).alias(ROW)
    )
    return train.with_frame(frame, Roles())
