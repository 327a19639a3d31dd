"""Handing prepared rows to a model: in a form it takes, with the weights and groups that belong to them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from sklearn.utils import get_tags
from sklearn.utils.validation import has_fit_parameter

from tilth.errors import DataError, TilthWarning, listed
from tilth.table import Table


def fit_model(model: Any, table: Table) -> Any:
    """Fit a model on the rows of a table; weight and group go along where its ``fit`` takes them."""
    more: dict[str, Any] = {}
    for role, name in (("weight", "sample_weight"), ("group", "groups")):
        values = table.role(role)
        if values is None:
            continue
        if has_fit_parameter(model, name):
            more[name] = values.to_numpy()
        elif role == "weight":
            warnings.warn(
                f"{type(model).__name__}.fit takes no sample_weight: the rows' weights are not used.",
                TilthWarning,
                stacklevel=3,
            )
    target = table.y
    X = inputs(model, table)
    if target is None:
        return model.fit(X, **more)
    unknown = target.null_count()
    if unknown:
        raise DataError(
            f"The target '{target.name}' is missing in {unknown} of {table.height} training rows. "
            "Leave these rows out before fitting a model."
        )
    return model.fit(X, _labels(target), **more)


def inputs(model: Any, table: Table) -> Any:
    """Return the features in a form that `model` takes.

    Raises
    ------
    DataError
        If a column is no number, or misses cells that the model does not take; names the stage
        that would treat it.
    """
    features = table.X()
    if not takes_tables(model):
        features = without_images(table, features, type(model).__name__)
        needs_numbers(features.schema, type(model).__name__)
        if not get_tags(model).input_tags.allow_nan and not hasattr(model, "steps"):
            holed = [c.name for c in features if c.null_count()]
            if holed:
                raise DataError(
                    f"{type(model).__name__} takes no missing cells, and column {listed(map(repr, holed))} "
                    "has some. Put impute.simple before it."
                )
    if table.container.form == "pandas":
        return table.container.restore(features.lazy(), touched=features.columns)
    if takes_tables(model) and table.container.form != "numpy":
        return features
    return features.to_numpy(order="c") if features.width else np.empty((features.height, 0))


def takes_tables(model: Any) -> bool:
    """Tell whether a model takes columns that are no numbers: it says so in its tags, or is composed."""
    tags = get_tags(model).input_tags
    return bool(tags.string or tags.categorical or hasattr(model, "steps"))


def without_images(table: Table, features: pl.DataFrame, who: str) -> pl.DataFrame:
    """Return the features without the paths of images, which are no numbers, if there are others."""
    images = [name for name, kind in table.kinds.items() if kind == "image"]
    if images and len(images) == features.width:
        raise DataError(
            f"{who} needs numbers, and column {listed(map(repr, images))} holds images. Put embed.images "
            "before it, which makes numbers of them."
        )
    return features.drop(images)


def needs_numbers(types: Mapping[str, pl.DataType], who: str, otherwise: str = "") -> None:
    """Raise where a column is no number by its type, naming the stage that would make it one."""
    wrong = {n: t for n, t in types.items() if not (t.is_numeric() or t == pl.Boolean)}
    if not wrong:
        return
    dtype = next(iter(wrong.values()))
    text = dtype in (pl.String, pl.Categorical, pl.Enum)
    remedy = "Put encode.category before it" if text else "Drop it, or put a stage before it that encodes it"
    raise DataError(
        f"{who} needs numbers, and column {listed(map(repr, wrong))} holds {dtype}. {remedy}{otherwise}."
    )


def _labels(target: pl.Series) -> np.ndarray:
    if target.dtype in (pl.Categorical, pl.Enum):
        target = target.cast(pl.String)
    return target.to_numpy()
