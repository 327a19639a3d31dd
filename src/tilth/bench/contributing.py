"""Why a fitted pipeline answers a row as it does: what each column, as it was given, adds (SHAP)."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tilth.errors import DataError, TilthError
from tilth.table import Table

BACKGROUND = 100
"""Rows that stand for "not known", at most."""
CONTRIBUTIONS = pl.Schema(
    {
        "row": pl.Int64,
        "column": pl.String,
        "value": pl.String,
        "contribution": pl.Float64,
        "base": pl.Float64,
        "answer": pl.Float64,
    }
)


def contributions(
    model: Any,
    rows: Any,
    background: Any,
    *,
    label: Any = None,
    permutations: int = 10,
    random_state: int = 0,
) -> pl.DataFrame:
    """Share a model's answer for each row out among the columns, by Shapley values.

    The columns are those that are given to `model`: for a pipeline that ends in a model, the raw ones, before
    any stage. A column that is not yet known takes its value from rows of the background; what is shared out
    is the difference between the row's answer and the background's mean. Needs ``tilth[explain]``.

    Parameters
    ----------
    model : fitted estimator
        With ``predict_proba``, or else ``predict`` of numbers; takes a Polars frame.
    rows : frame, array or Table of shape (n_rows, n_columns)
        To be explained: each takes ``2 * permutations * n_columns`` answers per row of the background.
    background : frame, array or Table
        With the same columns, such as the training rows; 100 of them at most are used, drawn at random.
    label : optional
        The class whose probability is explained; by default the last of ``classes_``.
    permutations : int, at least 1, default 10
        Orders in which columns become known, each also backwards: more give steadier values. For any number
        the contributions of a row sum up to its answer less the base.
    random_state : int, default 0

    Returns
    -------
    DataFrame
        ``row, column, value, contribution, base, answer``: one line per row and column.

    Raises
    ------
    TilthError
        shap is not installed.
    DataError
        There are no rows, the columns differ, `permutations` is below 1, or the model has no such class.

    References
    ----------
    Lundberg and Lee, "A unified approach to interpreting model predictions", NeurIPS 2017; Strumbelj and
    Kononenko, "Explaining prediction models and individual predictions with feature contributions", KAIS 41,
    2014 (the permutations).
    """
    try:
        from shap import PermutationExplainer, maskers
    except ImportError as error:
        raise TilthError(
            "contributions: shap is not installed. Install it: pip install 'tilth[explain]'."
        ) from error
    if permutations < 1:
        raise DataError(f"contributions: permutations is {permutations}; it must be at least 1.")
    asked, behind = (Table.of(given).X() for given in (rows, background))
    if asked.columns != behind.columns:
        raise DataError(
            f"contributions: rows have the columns {asked.columns}, the background {behind.columns}."
        )
    if not (asked.height and behind.height):
        raise DataError("contributions: give at least one row to explain and one for the background.")
    drawn = np.random.default_rng(random_state).permutation(behind.height)[:BACKGROUND]
    behind = behind[np.sort(drawn)]
    both = pl.concat([behind, asked], how="vertical_relaxed")
    answer = _answering(model, label)

    def said(places: NDArray[Any]) -> NDArray[np.float64]:
        # A cell is known by the row it comes from: so any type of column can be explained.
        cells = np.asarray(places, dtype=np.int64)
        return answer(pl.DataFrame([column[cells[:, at]] for at, column in enumerate(both)]))

    width = len(both.columns)
    known = np.repeat(np.arange(both.height, dtype=np.float64)[:, None], width, axis=1)
    masker = maskers.Independent(known[: behind.height], max_samples=behind.height)
    explainer = PermutationExplainer(said, masker, seed=random_state)
    found = explainer(known[behind.height :], max_evals=permutations * (2 * width + 1), silent=True)
    base = np.broadcast_to(np.asarray(found.base_values, dtype=np.float64).ravel(), asked.height)
    whole = answer(asked)
    lines = [
        {"row": row, "column": name, "value": None if asked[name][row] is None else str(asked[name][row])}
        | {"contribution": float(found.values[row, at]), "base": float(base[row])}
        | {"answer": float(whole[row])}
        for row in range(asked.height)
        for at, name in enumerate(both.columns)
    ]
    return pl.DataFrame(lines, schema=CONTRIBUTIONS)


def _answering(model: Any, label: Any) -> Any:
    """Return what gives one number per row of a frame."""
    if not hasattr(model, "predict_proba"):
        if label is not None:
            raise DataError("contributions: label is given, but the model gives no probabilities.")
        return lambda frame: np.asarray(model.predict(frame), dtype=np.float64)
    classes = np.asarray(model.classes_).tolist()
    if label is not None and label not in classes:
        raise DataError(f"contributions: the model knows no class {label!r}; it knows {classes}.")
    place = len(classes) - 1 if label is None else classes.index(label)
    return lambda frame: np.asarray(model.predict_proba(frame), dtype=np.float64)[:, place]
