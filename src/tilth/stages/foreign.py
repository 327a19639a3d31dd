"""How rows are handed to estimators of other packages, and read back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any, Literal

import numpy as np
import polars as pl
from sklearn.base import clone

from tilth.errors import DataError, StageError, listed
from tilth.table import kind_of
from tilth.table.container import enter

Form = Literal["pandas", "numpy", "polars"]
"""What an estimator gets its columns in."""


def key_of(name: str | None, obj: Any) -> str:
    """Return what messages and the ledger call a stage made of `obj`."""
    return name or str(getattr(obj, "__name__", type(obj).__name__))


def detects(obj: Any) -> bool:
    """Tell whether an estimator is an outlier detector: it says so, or has pyod's interface."""
    if getattr(getattr(obj, "__sklearn_tags__", dict)(), "estimator_type", None) == "outlier_detector":
        return True
    return hasattr(obj, "fit") and hasattr(obj, "decision_function") and hasattr(obj, "contamination")


def unfitted(estimator: Any, random_state: int) -> Any:
    """Return a clone whose unset ``random_state`` parameters, nested ones too, are set."""
    if not hasattr(estimator, "get_params"):
        return deepcopy(estimator)
    copy = clone(estimator)
    unset = [n for n, v in copy.get_params().items() if n.rpartition("__")[2] == "random_state" and v is None]
    return copy.set_params(**dict.fromkeys(unset, random_state)) if unset else copy


def tag(estimator: Any, group: str, name: str) -> bool:
    """Return one of scikit-learn's tags; False where the estimator has none."""
    tags = getattr(estimator, "__sklearn_tags__", None)
    return bool(tags is not None and getattr(getattr(tags(), group), name))


def called(key: str, function: Callable[..., Any], *given: Any) -> Any:
    """Call an estimator; to its errors is added which stage it is in, and what may help."""
    try:
        return function(*given)
    except (TypeError, ValueError) as error:
        error.add_note(
            f"In stage {key}. If it takes numbers only, choose them with `on`, or put impute.simple and "
            "encode.category before it."
        )
        raise


def needs_numbers(rows: pl.DataFrame, estimator: Any, key: str) -> None:
    """Raise where a column is no number or misses cells, and the estimator takes neither by its tags."""
    takes_text = tag(estimator, "input_tags", "string") or tag(estimator, "input_tags", "categorical")
    wrong = {c: t for c, t in rows.schema.items() if kind_of(t) not in ("numeric", "boolean")}
    if wrong and not takes_text:
        name, dtype = next(iter(wrong.items()))
        raise DataError(
            f"{key}: takes numbers, and column {listed(map(repr, wrong))} holds {dtype} ('{name}'). "
            "Put encode.category before it, or choose numeric columns with `on`."
        )
    holed = [c.name for c in rows if c.null_count()]
    if holed and not tag(estimator, "input_tags", "allow_nan"):
        raise DataError(f"{key}: takes no missing cells, and column {listed(map(repr, holed))} has some. "
                        "Put impute.simple before it.")  # fmt: skip


def given_as(rows: pl.DataFrame, form: Form) -> Any:
    """Return the rows in the container an estimator is to get."""
    if form == "polars":
        return rows
    return rows.to_pandas() if form == "pandas" else rows.to_numpy()


def labels_of(target: pl.Series) -> np.ndarray:
    """Return labels as an array; categories as text."""
    return (target.cast(pl.String) if target.dtype in (pl.Categorical, pl.Enum) else target).to_numpy()


def names_classes(sampler: Any) -> bool:
    """Tell whether a sampler may know classes by name: not if its strategies are words and shares."""
    if not hasattr(sampler, "get_params"):
        return True
    given = [v for n, v in sampler.get_params().items() if n.rpartition("__")[2] == "sampling_strategy"]
    return not all(isinstance(strategy, str | float | None) for strategy in given)


def frame_of(result: Any, names: Callable[[int], Sequence[str]]) -> pl.DataFrame:
    """Read what an estimator returned; an array takes the names that `names` gives for its width."""
    result = result.toarray() if hasattr(result, "toarray") else result
    frame = enter(result)[0].collect()
    if not hasattr(result, "columns"):
        frame.columns = list(names(frame.width))
    floats = [c for c, t in frame.schema.items() if t.is_float()]
    return frame.with_columns(pl.col(floats).fill_nan(None)) if floats else frame


def same_rows(made: pl.DataFrame, given: pl.DataFrame, key: str) -> pl.DataFrame:
    """Return `made`, if it has as many rows as were given."""
    if made.height != given.height:
        raise StageError(
            f"{key}: returned {made.height} rows for {given.height}. A column stage keeps its rows and "
            "their order; rows are changed by a sampler (fit_resample)."
        )
    return made


def mapped(
    frame: pl.LazyFrame,
    columns: Sequence[str],
    output: dict[str, pl.DataType],
    answer: Callable[[pl.DataFrame], pl.DataFrame],
    key: str,
) -> pl.LazyFrame:
    """Replace `columns` by those that `answer` makes of them, within the query.

    Parameters
    ----------
    output : dict of name to type
        What comes out, in order; learned at fit.
    answer : callable
        Gets at least one row.
    """
    if not columns:
        return frame
    schema = frame.collect_schema()
    gone = [c for c in columns if c not in output]
    after = pl.Schema({**{c: t for c, t in schema.items() if c not in gone}, **output})

    def act(rows: pl.DataFrame) -> pl.DataFrame:
        if not rows.height:
            return pl.DataFrame(schema=after)
        made = answer(rows.select(columns))
        if made.width != len(output):
            raise StageError(f"{key}: returned {made.width} columns, and {len(output)} when it was fitted.")
        made.columns = list(output)
        return rows.drop(gone).with_columns(made.cast(pl.Schema(output)).get_columns()).select(after.names())

    # Nothing is pushed below: the estimator needs all its columns, whichever are asked for above.
    return frame.map_batches(
        act, schema=after, predicate_pushdown=False, projection_pushdown=False, slice_pushdown=False
    )


def restored(made: pl.DataFrame, schema: pl.Schema) -> list[pl.Expr]:
    """Return the columns in the types they went in with; whole numbers are rounded."""
    now = made.schema
    return [
        (pl.col(c).round() if schema[c].is_integer() and now[c].is_float() else pl.col(c)).cast(schema[c])
        for c in made.columns
    ]


def found_again(source: pl.DataFrame, made: pl.DataFrame) -> np.ndarray:
    """Return the position in `source` of each row of `made`, by content; -1 where there is none.

    Equal rows are taken one after another, and from the start again once all of them were taken.
    """
    cells = source.columns
    turn = pl.int_range(pl.len()).over(cells).alias("__turn__")
    here = source.with_columns(turn, pl.len().over(cells).cast(pl.Int64).alias("__equal__")).with_row_index(
        "__place__"
    )
    equal = here.group_by(cells).agg(pl.col("__equal__").first())
    there = made.with_columns(turn).join(equal, on=cells, how="left", nulls_equal=True, maintain_order="left")
    there = there.with_columns(pl.col("__turn__") % pl.col("__equal__"))
    joined = there.join(here, on=[*cells, "__turn__"], how="left", nulls_equal=True, maintain_order="left")
    return joined["__place__"].cast(pl.Int64).fill_null(-1).to_numpy()
