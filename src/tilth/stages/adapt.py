"""Make a stage of what others wrote: a transformer, a sampler, a detector or a function."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

import polars as pl
from sklearn.frozen import FrozenEstimator

from tilth.core.stage import ColumnStage, Selection, Stage
from tilth.errors import DataError, StageError, TilthWarning
from tilth.stages import foreign
from tilth.stages.adapt_rows import AdaptDetector, AdaptSampler
from tilth.stages.detecting import Action
from tilth.stages.foreign import Form
from tilth.statistics import Statistics
from tilth.table import Table
from tilth.table.container import free_name

SHOWN_ROWS = 100
"""Rows by which the columns that come out are learned."""


def adapt(
    obj: Any,
    on: Selection = None,
    name: str | None = None,
    *,
    action: Action = "drop",
    correct_prior: bool = True,
) -> Stage:
    """Return a stage that does what `obj` does.

    Parameters
    ----------
    obj : object
        A scikit-learn transformer (``fit``, ``transform``), an imbalanced-learn sampler
        (``fit_resample``), an outlier detector of scikit-learn or pyod, or a function from a Polars
        DataFrame to a Polars DataFrame of as many rows. A stage is returned as it is.
    on : selection, optional
        The columns it gets; by default all features.
    name : str, optional
        What messages and the ledger call it; by default the name of its class or function.
    action : {'drop', 'weight', 'report'}
        What is done with the outliers of a detector.
    correct_prior : bool
        Whether a model's probabilities are turned back to the class frequencies before a sampler.

    Raises
    ------
    StageError
        If it is none of these.

    Examples
    --------
    >>> from sklearn.preprocessing import MinMaxScaler
    >>> adapt(MinMaxScaler(), on="numeric")
    AdaptTransformer(estimator=MinMaxScaler(), on='numeric')
    """
    if isinstance(obj, Stage):
        return obj
    if isinstance(obj, str):
        raise StageError(
            f"adapt: '{obj}' is a text, and code is never imported by name. "
            "Import the object in Python and pass it itself."
        )
    if isinstance(obj, type):
        raise StageError(f"adapt: {obj.__name__} is a class; pass an instance, such as {obj.__name__}().")
    # What is frozen passes rows through as it was fitted; its fit_resample would fit it anew.
    if hasattr(obj, "fit_resample") and not isinstance(obj, FrozenEstimator):
        return AdaptSampler(obj, on=on, name=name, correct_prior=correct_prior)
    if foreign.detects(obj):
        return AdaptDetector(obj, on=on, name=name, action=action)
    if hasattr(obj, "fit") and (hasattr(obj, "transform") or hasattr(obj, "fit_transform")):
        if not hasattr(obj, "transform"):
            raise StageError(
                f"adapt: {type(obj).__name__} has no transform, so it has no answer for new rows. "
                "Choose an estimator that has one."
            )
        return AdaptTransformer(obj, on=on, name=name)
    if callable(obj):
        return AdaptFunction(obj, on=on, name=name)
    raise StageError(
        f"adapt: {type(obj).__name__} is neither a transformer (fit, transform), a sampler (fit_resample), "
        "an outlier detector nor a function."
    )


class AdaptTransformer(ColumnStage):
    """Change columns by a scikit-learn transformer.

    Learns
        What the transformer's ``fit`` learns, from all rows at once. The target is handed over where
        there is one, and rows without a label are then left out.
    New data
        Goes through ``transform``. The columns given to it give way to those it returns, named by its
        ``get_feature_names_out``; a column of the same name stays in its place.
    Training
        Same as new data: ``transform`` after ``fit``, never ``fit_transform``.
    Weights
        Ignored.
    Cost
        That of the transformer, and one copy of the columns each way.
    Scaling
        Needs all rows in one place.

    Parameters
    ----------
    estimator : object
        Kept as it is; a clone is fitted.
    on : selection, optional
        The columns it gets; by default all features.
    form : {'pandas', 'numpy', 'polars'}
        What it gets them in.
    random_state : int
        Seed of every ``random_state`` of the estimator that is None.
    name : str, optional
        What messages and the ledger call it.

    Raises
        StageError : it returns another number of rows or columns than it should.

    Source
        scikit-learn's transformer interface; the tests compare with the estimator itself.

    Examples
    --------
    >>> import polars as pl
    >>> from sklearn.preprocessing import KBinsDiscretizer
    >>> stage = AdaptTransformer(KBinsDiscretizer(2, encode="ordinal", strategy="uniform"))
    >>> stage.fit_transform(pl.DataFrame({"a": [1.0, 2.0, 9.0]}))["a"].to_list()
    [0.0, 0.0, 1.0]
    """

    fused: ClassVar = False
    scaling: ClassVar = "local"
    recipe: ClassVar = False
    key = property(lambda self: foreign.key_of(self.name, self.estimator))

    def __init__(
        self,
        estimator: Any,
        *,
        on: Selection = None,
        form: Form = "pandas",
        random_state: int = 0,
        name: str | None = None,
    ) -> None:
        self.estimator = estimator
        self.on = on
        self.form = form
        self.random_state = random_state
        self.name = name

    def fit_table(self, shards: Sequence[Table]) -> Self:
        """Learn from tables; which column is the target is known here only."""
        self.target_ = shards[0].roles.target
        return super().fit_table(shards)

    def learn(self, statistics: Statistics) -> None:
        """Fit a clone of the estimator."""
        self.output_: dict[str, pl.DataType] = {}
        if not self.columns_:
            return
        wanted = [*self.columns_, self.target_] if self.target_ else self.columns_
        rows = pl.concat([s.select(wanted).collect() for s in statistics.shards])
        self.estimator_ = foreign.unfitted(self.estimator, self.random_state)
        if self.target_ is None and foreign.tag(self.estimator_, "target_tags", "required"):
            raise DataError(
                f"{self.key}: requires y to be passed, but the target y is None. Name the target column."
            )
        y = None
        if self.target_ is not None:
            rows = rows.drop_nulls(self.target_)
            y = foreign.labels_of(rows[self.target_])
        if type(self.estimator_).__name__ == "TargetEncoder":
            warnings.warn(
                f"{self.key}: a pipeline transforms training rows by what was learned from their own labels, "
                "which looks better in training than it is. Choose a stage that cross-fits.",
                TilthWarning,
                stacklevel=5,
            )
        given = rows.select(self.columns_)
        foreign.called(self.key, self.estimator_.fit, foreign.given_as(given, self.form), y)
        shown = self._answer(given.head(SHOWN_ROWS))
        others = [c for c in statistics.schema.names() if c not in self.columns_]
        self.output_ = {free_name(c, others): t for c, t in shown.schema.items()}

    def _answer(self, given: pl.DataFrame) -> pl.DataFrame:
        result = foreign.called(self.key, self.estimator_.transform, foreign.given_as(given, self.form))
        return foreign.same_rows(foreign.frame_of(result, self._names), given, self.key)

    def _names(self, width: int) -> list[str]:
        if hasattr(self.estimator_, "get_feature_names_out"):
            return [str(n) for n in self.estimator_.get_feature_names_out(self.columns_)]
        return self.columns_ if width == len(self.columns_) else [f"{self.key}{i}" for i in range(width)]

    def change(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Put the transformer into the query."""
        return foreign.mapped(frame, self.columns_, self.output_, self._answer, self.key)


class AdaptFunction(ColumnStage):
    """Change columns by a function from a Polars DataFrame to a Polars DataFrame.

    Learns
        The names and types of the columns that come out, from the first 100 rows. They are also given to
        the function in two halves, to see that what it makes of a row depends on that row alone.
    New data
        Goes through the function. The columns given to it give way to those it returns; a column of
        the same name stays in its place.
    Training
        Same as new data.
    Weights
        Ignored.
    Cost
        That of the function.
    Scaling
        Exact for any partition, as the function works row by row.

    Parameters
    ----------
    function : callable
        Gets and returns a DataFrame of the same number of rows, in the same order.
    on : selection, optional
        The columns it gets; by default all features.
    name : str, optional
        What messages and the ledger call it.

    Raises
        StageError : it returns no DataFrame, other rows, or something that depends on other rows.

    Source
        None: the function is the user's.

    Examples
    --------
    >>> import polars as pl
    >>> stage = AdaptFunction(lambda df: df.with_columns(pl.col("a").log1p()))
    >>> stage.fit_transform(pl.DataFrame({"a": [0.0, 0.0]}))["a"].to_list()
    [0.0, 0.0]
    """

    fused: ClassVar = False
    recipe: ClassVar = False
    key = property(lambda self: foreign.key_of(self.name, self.function))

    def __init__(
        self,
        function: Callable[[pl.DataFrame], pl.DataFrame],
        *,
        on: Selection = None,
        name: str | None = None,
    ) -> None:
        self.function = function
        self.on = on
        self.name = name

    def learn(self, statistics: Statistics) -> None:
        """Learn which columns come out."""
        self.output_: dict[str, pl.DataType] = {}
        if not self.columns_:
            return
        heads = [s.select(self.columns_).head(SHOWN_ROWS).collect() for s in statistics.shards]
        shown = pl.concat(heads).head(SHOWN_ROWS)
        whole = self._answer(shown)
        half = shown.height // 2
        if half and not pl.concat(
            [self._answer(shown[:half]), self._answer(shown[half:])], how="vertical_relaxed"
        ).equals(whole):
            raise StageError(
                f"{self.key}: what the function makes of a row depends on other rows, so new rows would be "
                "treated otherwise than training rows. Write a scikit-learn transformer that learns in fit."
            )
        others = [c for c in statistics.schema.names() if c not in self.columns_]
        self.output_ = {free_name(c, others): t for c, t in whole.schema.items()}

    def _answer(self, given: pl.DataFrame) -> pl.DataFrame:
        result = self.function(given)
        if not isinstance(result, pl.DataFrame):
            raise StageError(
                f"{self.key}: the function returned {type(result).__name__}, not a Polars DataFrame."
            )
        return foreign.same_rows(result, given, self.key)

    def change(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Put the function into the query."""
        return foreign.mapped(frame, self.columns_, self.output_, self._answer, self.key)
