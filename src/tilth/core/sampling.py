"""What imbalanced-learn's tools ask of a sampler, and (X, y) given back in what they came in."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from sklearn.utils import InputTags, Tags

from tilth.core.plan import RowPlan
from tilth.errors import TilthWarning
from tilth.table import Container, Table
from tilth.table.target import as_given


@dataclass(slots=True)
class SamplerTags:
    """Tell, as imbalanced-learn does, whether all rows that came out came in: then there are their places."""

    sample_indices: bool = False


@dataclass(slots=True)
class SamplerInputTags(InputTags):
    """Add the tag by which imbalanced-learn's checks pass frames."""

    dataframe: bool = True


@dataclass(slots=True)
class SamplingTags(Tags):
    """Add to scikit-learn's tags those by which imbalanced-learn knows a sampler."""

    input_tags: SamplerInputTags = field(default_factory=SamplerInputTags)
    sampler_tags: SamplerTags = field(default_factory=SamplerTags)


def sampler_tags(tags: Tags, plan: RowPlan | None) -> SamplingTags:
    """Return scikit-learn's tags of an estimator with those of a sampler."""
    told = {name: getattr(tags, name) for name in Tags.__dataclass_fields__}
    told["input_tags"] = SamplerInputTags(
        **{name: getattr(tags.input_tags, name) for name in InputTags.__dataclass_fields__}
    )
    return SamplingTags(**told, sampler_tags=SamplerTags(plan is not None and plan.fresh is None))


def rows_added(table: Table, plan: RowPlan) -> dict[Any, int] | None:
    """Count the rows a plan adds of each class, dropped ones negative; None for fractions and lists."""
    target = table.y
    if (
        target is None
        or target.dtype.is_nested()
        or (target.dtype.is_float() and bool((target % 1 != 0).any()))
    ):
        return None
    level = target.alias("level")
    change = pl.DataFrame([level, pl.Series("change", plan.times - 1)])
    if plan.fresh is not None:
        made = plan.fresh[target.name].cast(target.dtype).alias("level").to_frame()
        change = pl.concat([change, made.with_columns(change=pl.lit(1, pl.Int64))])
    counts = change.drop_nulls("level").group_by("level").sum().sort("level")
    return dict(zip(counts["level"].to_list(), counts["change"].to_list(), strict=True))


def give_rows(table: Table, rows: np.ndarray | None, touched: Any, X: Any = None, **given: Any) -> Any:
    """Return (X, y) and whichever of weight and groups was passed, each in the container it came in.

    Parameters
    ----------
    table : Table
    rows : ndarray of int, optional
        The source position of each row, -1 for a row made anew; None: the same rows.
    touched : collection of str
        The columns that changed.
    X : object, optional
        As the user passed it. A list of rows comes out as one, and so do lists that were passed with it.
    **given : object
        `y`, `sample_weight` and `groups`, as passed.
    """
    out = [table.container.restore(table.frame.select(table.features), touched=touched, rows=rows)]
    for name, role in (("sample_weight", "weight"), ("groups", "group")):
        if getattr(table.roles, role) is not None and given.get(name) is None:
            warnings.warn(
                f"The stages gave rows a {role}, and (X, y) has no place for it. "
                f"Pass {name}=, or a tilth.Table, and the {role}s come back too.",
                TilthWarning,
                stacklevel=3,
            )
    for name, role in (("y", "target"), ("sample_weight", "weight"), ("groups", "group")):
        if name == "y" or given.get(name) is not None:
            column, like = table.role(role), given.get(name)
            out.append(None if column is None else give_column(column, like, rows))
    if isinstance(X, list):
        beside = [given.get(name) for name in ("sample_weight", "groups") if given.get(name) is not None]
        passed = [X, given.get("y"), *beside]
        out = [part.tolist() if isinstance(p, list) else part for part, p in zip(out, passed, strict=True)]
    return tuple(out)


def give_column(column: pl.Series, like: Any, rows: np.ndarray | None) -> Any:
    """Return one role in the container that the user passed it in."""
    module = type(like).__module__.partition(".")[0]
    form = {"pandas": "pandas", "polars": "polars", "pyarrow": "arrow"}.get(module, "numpy")
    if isinstance(like, list) and like and isinstance(like[0], list):
        like = np.asarray(like)
    if len(getattr(like, "shape", ())) == 2:
        out = as_given(column, like)
    else:
        out = Container(form).restore_column(column, like)  # type: ignore[arg-type]
    if form == "pandas" and (rows is None or not (rows < 0).any()):
        out.index = like.index if rows is None else like.index.take(rows)
        if out.ndim == 1:
            out.name = like.name
    return out
