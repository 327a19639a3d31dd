"""The guard: nothing that was fitted on the rows of a bench may prepare them, or judge them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from tilth.bench.design import Arm
from tilth.core import Finding
from tilth.core.lineage import Learned, feature_words, made_by, recurring
from tilth.errors import LeakageError
from tilth.table import Table

SURPLUS = 0.01
"""Rows that may be known by chance beyond those that recur by nature, as a share."""

FINDS = {"bench.fitted_allowed": "what was fitted on these rows is used, because the caller allowed it"}

WAY_OUT = (
    "If none of it saw these rows, or that is what you want to measure, pass allow_fitted=True: "
    "the result then says so."
)


def refuse_fitted(table: Table, arms: Sequence[Arm], probes: Sequence[Any], allow: bool) -> list[Finding]:
    """Raise where rows of the table were learned from before any of them is held out.

    Cloning undoes a fit, so only three things are left: rows that came out of a fit on all of them, an
    estimator that stays fitted when it is cloned (scikit-learn's ``FrozenEstimator``), and a function
    that holds a fitted estimator.

    Parameters
    ----------
    table : Table
        All rows.
    arms : sequence of Arm
    probes : sequence of str or (name, estimator)
    allow : bool
        Tell it as a finding instead.

    Raises
    ------
    LeakageError
    """
    found = [*_rows_made(table), *_kept_fitted(table, arms, probes)]
    if not found:
        return []
    if not allow:
        raise LeakageError(f"bench: {found[0]} {WAY_OUT}")
    message = f"allow_fitted=True was given, so these scores are not of rows unseen: {' '.join(found)}"
    return [Finding("bench.fitted_allowed", message, float(len(found)), "high", stage="bench")]


def _rows_made(table: Table) -> Iterator[str]:
    if made := made_by(table):
        who, share = made
        yield (
            f"{share:.0%} of these {table.height:,} rows came out of a fit ({who}) that saw all of them "
            "before any was held out. Pass the rows as they were, and the stages as what is compared."
        )


def _kept_fitted(table: Table, arms: Sequence[Arm], probes: Sequence[Any]) -> Iterator[str]:
    given = [(f"the '{arm.name}' arm", [s for _, s in arm.stages] + [arm.model]) for arm in arms]
    given += [(f"the probe '{item[0]}'", item[1]) for item in probes if not isinstance(item, str)]
    words: np.ndarray | None = None
    told: set[int] = set()
    for where, parts in given:
        for estimator in _fitted_in(parts, set()):
            if id(estimator) in told:
                continue
            told.add(id(estimator))
            name = type(estimator).__name__
            learned: Learned | None = getattr(estimator, "learned_", None)
            if learned is None or not learned.known or not set(learned.columns) <= set(table.features):
                yield (
                    f"{where} holds a fitted {name} that is used as it is, and nobody knows which rows it "
                    "was fitted on. Pass it unfitted: it is then fitted anew in each training part."
                )
                continue
            words = feature_words(table, learned.columns)
            share = learned.share_among(words)
            by_chance = recurring(words) * max(1.0, learned.rows / len(words))
            if share > by_chance + SURPLUS:
                yield (
                    f"{where} holds a {name} that was fitted on {share:.0%} of these {table.height:,} rows "
                    "and is used as it is. Pass it unfitted: it is then fitted anew in each training part."
                )


def _fitted_in(given: Any, seen: set[int]) -> Iterator[Any]:
    """Find the estimators inside `given` that cloning leaves fitted."""
    if id(given) in seen or isinstance(given, type | str | bytes | int | float | np.ndarray):
        return
    seen.add(id(given))
    if isinstance(given, Mapping):
        parts: list[Any] = list(given.values())
    elif isinstance(given, list | tuple | set):
        parts = list(given)
    elif inspect.ismethod(given):
        yield from _as_it_is(given.__self__)
        return
    elif isinstance(given, partial):
        parts = [given.func, *given.args, *given.keywords.values()]
    elif inspect.isfunction(given):
        held = inspect.getclosurevars(given)
        for value in (*held.nonlocals.values(), *held.globals.values()):
            yield from _as_it_is(value)
        return
    elif hasattr(given, "get_params"):
        if _stays(given):
            yield from _as_it_is(getattr(given, "estimator", given))
            return
        parts = list(given.get_params(deep=False).values())
    else:
        return
    for part in parts:
        yield from _fitted_in(part, seen)


def _stays(estimator: Any) -> bool:
    """Tell whether a clone is the estimator itself, with all that it has learned."""
    try:
        return clone(estimator) is estimator
    except (TypeError, RuntimeError, ValueError):
        return False


def _as_it_is(value: Any) -> Iterator[Any]:
    """Return the value if it is an estimator that learns, and has learned."""
    if isinstance(value, type) or not hasattr(value, "fit") or not hasattr(value, "get_params"):
        return
    try:
        check_is_fitted(value)
    except (NotFittedError, TypeError):
        return
    if hasattr(value, "learned_") or get_tags(value).requires_fit:
        yield value
