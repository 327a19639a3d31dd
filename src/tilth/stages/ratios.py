"""How many rows each class is to have: what every stage that adds or drops rows by class is asked for."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt, Le

from tilth.errors import DataError
from tilth.stages.classes import Classes, place_of

Ratio = Annotated[float, Gt(0), Le(1)] | Literal["equal"] | dict[str | int | bool, Annotated[int, Ge(0)]]
"""Rows of the smaller class per row of the larger; 'equal' is 1; or how many rows of each class named."""


def more_rows(classes: Classes, ratio: Ratio, stage: str) -> np.ndarray:
    """Return how many rows each class is to have if rows are added only.

    Parameters
    ----------
    classes : Classes
    ratio : float in (0, 1], 'equal' or dict of class to int
        Classes smaller than `ratio` times the largest are to have exactly that many rows (rounded down);
        or each class named exactly so many, and others what they have.
    stage : str
        For messages.

    Returns
    -------
    ndarray of shape (n_classes,), int64

    Raises
    ------
    DataError
        A class named does not exist, or has more rows than are asked for.

    Examples
    --------
    >>> import polars as pl
    >>> classes = Classes.of(pl.Series(["no", "no", "no", "no", "yes"]), "balance.over")
    >>> [more_rows(classes, ratio, "balance.over").tolist() for ratio in (0.5, {"yes": 3})]
    [[4, 2], [4, 3]]
    """
    counts = classes.counts
    if not isinstance(ratio, dict):
        return np.maximum(counts, int(_share(ratio) * counts.max(initial=0)))
    wanted = _named(classes, ratio, stage)
    for name, has, asked in zip(classes.names, counts, wanted, strict=True):
        if asked < has:
            raise DataError(
                f"{stage}: ratio asks for {asked} rows of class '{name}', which has {has}. "
                "This stage adds rows; ask for at least as many as there are, or use balance.under."
            )
    return wanted


def fewer_rows(classes: Classes, ratio: Ratio, stage: str) -> np.ndarray:
    """Return how many rows each class is to have if rows are dropped only.

    Parameters
    ----------
    classes : Classes
    ratio : float in (0, 1], 'equal' or dict of class to int
        Classes larger than the smallest divided by `ratio` are to have exactly that many rows (rounded
        down); or each class named exactly so many, and others what they have.
    stage : str
        For messages.

    Returns
    -------
    ndarray of shape (n_classes,), int64

    Raises
    ------
    DataError
        A class named does not exist, or has fewer rows than are asked for.
    """
    counts = classes.counts
    if not isinstance(ratio, dict):
        present = counts[counts > 0]
        return np.minimum(counts, int(present.min() / _share(ratio)) if len(present) else 0)
    wanted = _named(classes, ratio, stage)
    for name, has, asked in zip(classes.names, counts, wanted, strict=True):
        if asked > has:
            raise DataError(
                f"{stage}: ratio asks for {asked} rows of class '{name}', which has {has}. "
                "This stage drops rows; ask for at most as many as there are, or use balance.over."
            )
    return wanted


def _share(ratio: float | Literal["equal"]) -> float:
    return 1.0 if ratio == "equal" else float(ratio)


def _named(classes: Classes, ratio: dict, stage: str) -> np.ndarray:
    """Return the counts with those of the classes named in place; names are compared as text."""
    wanted = classes.counts.astype(np.int64)
    for name, count in ratio.items():
        wanted[place_of(name, classes.names, f"{stage}: ratio")] = count
    return wanted
