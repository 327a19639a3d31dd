"""How frequent classes were before stages changed that, and probabilities turned back to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from tilth.table import Table

Prior = dict[str, float]
"""Class, as text, to its share of the rows before the stage divided by its share after it."""


def shift(before: Table, after: Table) -> Prior:
    """Return by what a stage changed the classes' shares of the total weight; empty where by nothing.

    A class that is not there on both sides has no factor.
    """
    had, has = _shares(before), _shares(after)
    factors = {name: had[name] / share for name, share in has.items() if share > 0 and had.get(name, 0) > 0}
    return factors if any(abs(factor - 1) > 1e-9 for factor in factors.values()) else {}


def product(first: Prior, second: Prior) -> Prior:
    """Return the factors of two stages together."""
    return {name: first.get(name, 1.0) * second.get(name, 1.0) for name in {**first, **second}}


def corrected(probabilities: np.ndarray, classes: Sequence[str], prior: Mapping[str, float]) -> np.ndarray:
    """Turn probabilities back to the class frequencies that the rows had before stages changed them.

    Each is multiplied by the class's share before, divided by its share after, and rows are scaled to sum
    to 1: exact where a stage draws or weights the rows of a class independently of their features.

    Parameters
    ----------
    probabilities : ndarray of shape (n_rows, n_classes)
    classes : sequence of str
        The class of each column, as text.
    prior : dict of class to float
        As `shift` returns it; a class without a factor keeps its odds.

    Returns
    -------
    ndarray of shape (n_rows, n_classes)

    Source
    ------
    Saerens, Latinne and Decaestecker, "Adjusting the outputs of a classifier to new a priori probabilities",
    Neural Computation 14 (2002), equation 2.4.

    Examples
    --------
    >>> corrected(np.array([[0.5, 0.5]]), ["no", "yes"], {"no": 1.8, "yes": 0.2}).tolist()
    [[0.9, 0.1]]
    """
    if not prior:
        return probabilities
    turned = probabilities * np.array([prior.get(name, 1.0) for name in classes])
    return np.asarray(turned / turned.sum(axis=1, keepdims=True))


def names_of(classes: np.ndarray) -> list[str]:
    """Write a model's classes as this module writes those of a target."""
    return pl.Series(classes.tolist()).cast(pl.String).to_list()


def _shares(table: Table) -> dict[str, float]:
    target, weight = table.roles.target, table.roles.weight
    if target is None:
        return {}
    rows = table.frame.filter(pl.col(target).is_not_null()).with_columns(
        pl.col(target).cast(pl.String).alias("class")
    )
    grouped = rows.group_by("class", maintain_order=True)
    if weight is None:
        told = grouped.agg(pl.len().cast(pl.Float64).alias("mass")).collect()
    else:
        # Listed in the order of the rows: a query's own sums depend on threads.
        listed = grouped.agg(pl.col(weight).cast(pl.Float64).alias("mass")).collect()
        told = listed.with_columns(pl.col("mass").list.sum())
    total = float(told["mass"].sum())
    return {str(name): float(m) / total for name, m in told.iter_rows()} if total else {}
