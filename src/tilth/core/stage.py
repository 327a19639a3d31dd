"""The three kinds of stage. A stage finds, and then it changes columns, rows or batches: one of the three."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import polars as pl
import sklearn
from pydantic import Field, WithJsonSchema
from sklearn.base import BaseEstimator
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from tilth.core import lineage, parameters
from tilth.core.finding import Finding
from tilth.core.plan import RowPlan
from tilth.core.plan import apply as carry_out
from tilth.core.sampling import give_rows, rows_added, sampler_tags
from tilth.core.schema import as_given_out, as_type, conform, empty, schema_of
from tilth.errors import DataError, StageError, TilthError
from tilth.statistics import Statistics
from tilth.table import KINDS, ROW, Container, Selector, Table, select

Selection = (
    str
    | list[str]
    | Annotated[Selector, WithJsonSchema({"type": "string"}), Field(description="tilth.table.Selector")]
    | None
)
"""What `on` may be: a kind, name, glob, expression over these, or list of names; None: the kinds handled."""


class Stage(BaseEstimator):
    """Carry what all stages share: parameters from the signature, the choice of columns, findings.

    Attributes
    ----------
    key : str
        The stage's name in recipes, from the place of its file: ``impute.simple``.
    handles : tuple of str
        The kinds of column it can work on.
    takes : tuple of str
        The kinds it works on where `on` is not given; empty: all it handles.
    finds : dict of code to meaning
        The findings it may report.
    scaling : {'exact', 'sketch', 'sample', 'local'}
        What learning from parts gives up against learning from the whole.
    takes_gaps : bool
        Missing cells are fine; False where they are refused with the stage that fills them.
    """

    handles: ClassVar[tuple[str, ...]] = KINDS
    takes: ClassVar[tuple[str, ...]] = ()
    finds: ClassVar[dict[str, str]] = {}
    scaling: ClassVar[Literal["exact", "sketch", "sample", "local"]] = "exact"
    takes_gaps: ClassVar[bool] = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        place = cls.__module__.partition(".stages.")[2]
        if "key" not in vars(cls):
            cls.key = place or f"{cls.__module__}.{cls.__qualname__}".rpartition(".")[2].lower()

    key: ClassVar[str] = "stage"

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that together walk every path of the stage; the laws run over them."""
        return [{}]

    @property
    def acts(self) -> bool:
        """Tell whether the stage changes anything, or only reports."""
        return getattr(self, "action", None) != "report"

    def concrete(self) -> Stage:
        """Return the stage that a recipe should name for this fitted one: another, if it chose another."""
        return self

    def report(self, kind: str, message: str, score: float, **more: Any) -> None:
        """Add a finding; its kind must be declared in `finds`."""
        self._add(Finding(kind, message, score, stage=self.key, **more))

    def report_rows(self, kind: str, message: str, ids: np.ndarray, scores: np.ndarray, **more: Any) -> None:
        """Add a finding about rows, the worst (lowest score) first."""
        self._add(Finding.on_rows(kind, message, ids, scores, stage=self.key, **more))

    def _add(self, finding: Finding) -> None:
        if finding.kind not in self.finds:
            raise StageError(
                f"{self.key}: reports '{finding.kind}', which it does not declare (a fault of the stage)."
            )
        self.findings_.append(finding)

    def _begin(self, table: Table) -> None:
        """Check parameters, resolve `on`, and forget what an earlier fit found."""
        parameters.check(self)
        if table.height == 0:
            raise DataError(
                f"{self.key}: Found array with 0 sample(s) (shape=(0, {len(table.features)})) "
                "while a minimum of 1 is required. Fit on at least one row."
            )
        self.findings_: list[Finding] = []
        self.schema_ = schema_of(table)
        on = getattr(self, "on", None)
        try:
            self.columns_ = select(
                on, table.kinds, self.handles if on is not None else self.takes or self.handles
            )
        except TilthError as error:
            error.add_note(f"In stage {self.key}, parameter 'on'.")
            raise

    def _enter(self, X: Any, y: Any = None, *, reset: bool, **roles: Any) -> Table:
        """Read what scikit-learn users pass, in scikit-learn's terms."""
        table = Table.of(X, y, **roles)
        if not reset:
            return conform(table, self.schema_, type(self).__name__)
        width = len(table.features)
        if width == 0 and not isinstance(X, Table):
            raise DataError(
                f"{self.key}: 0 feature(s) (shape=({table.height}, 0)) while a minimum of 1 is required. "
                "Pass at least one column."
            )
        self.n_features_in_ = width
        if table.container.form != "numpy":
            self.feature_names_in_ = np.array(table.features, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        return table

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.takes_gaps
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags


class ColumnStage(Stage):
    """Change columns, row by row: the same for training rows and new rows.

    An author writes `learn`, which asks for statistics and sets attributes that end in ``_``, and
    `change`, which adds expressions to a lazy query. Where the change can be undone, an author writes
    `invert` too, which gives the columns back by name, in any numeric type and order.

    Attributes
    ----------
    needs_target : bool
        It learns from the target; rows without one are left out by the author.
    restores : {'exactly', 'nearly'}
        What `inverse_transform` gives back: the values to rounding, or what is left of them.
    cross_fits : bool
        `change_training` keeps a row's label from the row itself, but not from copies of it that an earlier
        stage has made: `tilth.core.flow` warns of these.
    fused : bool
        `change` adds expressions only; False where it needs whole columns in memory.
    partial : bool
        Only some cells of a column change; `learn` counts those of the rows learned from into
        ``cells_`` (column -> cells), for the ledger.
    """

    needs_target: ClassVar[bool] = False
    restores: Literal["exactly", "nearly"] = "exactly"
    cross_fits: bool = False
    fused: ClassVar[bool] = True
    partial: ClassVar[bool] = False
    cells_: dict[str, int]
    invert: Callable[[pl.LazyFrame], pl.LazyFrame]

    def learn(self, statistics: Statistics) -> None:
        """Learn from the rows that `statistics` answers for."""

    def change(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Return the query with the stage's expressions added."""
        return frame

    def change_training(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Return what becomes of the rows that were learned from: the same, unless that would leak labels."""
        return self.change(frame)

    def inverted(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Return the query with the columns as they were at fit: by `invert`, in their types and order."""
        back = self.invert(frame)
        schema = back.collect_schema()
        places = [c for c in self.schema_ if c in schema]
        mended = (as_type(c, schema[c], self.types_[c]) if c in self.types_ else pl.col(c) for c in places)
        return back.select(*mended, *(c for c in schema if c not in self.schema_))

    def fit_table(self, shards: Sequence[Table]) -> Self:
        """Learn from tables: one, or the parts of one."""
        first = next((s for s in shards if s.height), shards[0])
        self._begin(first)
        if self.needs_target and self.columns_:
            first.need("target", f"{self.key}: {type(self).__name__}")
        if hasattr(type(self), "invert"):
            self.types_ = {c: first.schema[c] for c in self.columns_}
        roles = first.roles
        self.learn(
            Statistics(
                [shard.frame for shard in shards],
                ROW,
                target=roles.target,
                weight=roles.weight,
                group=roles.group,
            )
        )
        return self

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from rows.

        Parameters
        ----------
        X : frame or array of shape (n_rows, n_columns)
        y : array of shape (n_rows,), optional
        """
        return self.fit_table([self._enter(X, y, reset=True)])

    def transform(self, X: Any) -> Any:
        """Return the changed columns: the same rows in the same order, in the container that came in."""
        check_is_fitted(self, "schema_")
        table = self._enter(X, reset=False)
        return self._give(X, table, self.change(table.frame))

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        """Fit, and return the changed rows."""
        table = self._enter(X, y, reset=True)
        self.fit_table([table])
        after = lineage.changed(table, self.change_training, self.key, fused=self.fused)
        return self._give(X, table, after.frame)

    def _give(self, X: Any, table: Table, frame: pl.LazyFrame) -> Any:
        after = table.with_frame(frame)
        if isinstance(X, Table):
            return after
        wanted = after.frame.select(after.features)
        return output(self, table.container).restore(wanted, touched=self.columns_, fused=self.fused)

    @available_if(lambda self: hasattr(self, "invert"))
    def inverse_transform(self, X: Any) -> Any:
        """Return the columns as they were before `transform`, to rounding; for stages with an ``invert``."""
        check_is_fitted(self, "schema_")
        given = self._given_out()
        table = conform(as_given_out(X, list(given)), given, type(self).__name__)
        return self._give(X, table, self.inverted(table.frame))

    def _given_out(self) -> dict[str, str]:
        """Return what `transform` gives, as `schema_` tells what it gets."""
        return {name: str(dtype) for name, dtype in self.change(empty(self.schema_)).collect_schema().items()}

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Name the columns that `transform` returns."""
        check_is_fitted(self, "schema_")
        names = list(self.schema_)
        if input_features is not None and list(input_features) != names:
            known = hasattr(self, "feature_names_in_")
            if known or len(input_features) != len(names):
                what = "feature_names_in_" if known else f"the number of features ({len(names)})"
                raise ValueError(f"input_features is not equal to {what} of this {type(self).__name__}.")
        out = list(self._given_out())
        if input_features is not None:
            given = dict(zip(names, map(str, input_features), strict=True))
            out = [given.get(name, name) for name in out]
        return np.array(out, dtype=object)

    def set_output(self, *, transform: Literal["default", "pandas", "polars"] | None = None) -> Self:
        """Choose what `transform` returns: ``default`` is the container that came in."""
        if transform is not None:
            self._sklearn_output_config = {"transform": transform}
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags = sklearn.utils.TransformerTags(preserves_dtype=[])
        tags.target_tags.required = self.needs_target
        return tags


class PlanningStage(Stage):
    """Carry what acts on training rows by a plan: a row stage, and a batch stage that is to make rows.

    Attributes
    ----------
    needs_target : bool
        The rows must have labels.
    shifts_prior : bool
        The stage changes how frequent classes are; a model's probabilities are corrected for that, unless
        its parameter ``correct_prior`` is False.
    sampling_strategy_ : dict of class to int
        After `fit` or `fit_resample`: the rows added of each class, negative where dropped; for stages that
        need a target of classes. imbalanced-learn's tools ask for it, and for `sample_indices_`.
    """

    sampling_strategy_: dict[Any, int]
    needs_target: ClassVar[bool] = False
    shifts_prior: ClassVar[bool] = False

    @property
    def on_rows(self) -> bool:
        """Tell whether it acts on rows, once, or on batches."""
        return True

    def plan(self, table: Table) -> RowPlan:
        """Say what should be done to the rows of `table`, without doing it."""
        return RowPlan.keep_all(table.height)

    def fit_table(self, table: Table) -> RowPlan:
        """Make the plan for a table, and keep nothing of its rows."""
        self._begin(table)
        if self.needs_target:
            table.need("target", f"{self.key}: {type(self).__name__}")
        return self.plan(table).check_for(table, self.key)

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, groups: Any = None) -> Self:
        """Make the plan and report; nothing is changed (a dry run). The plan is in ``plan_``."""
        self._planned(X, y, sample_weight, groups)
        return self

    def _planned(self, X: Any, y: Any, sample_weight: Any, groups: Any) -> Table:
        table = self._enter(X, y, reset=True, sample_weight=sample_weight, groups=groups)
        self.plan_ = self.fit_table(table)
        added = rows_added(table, self.plan_) if self.needs_target else None
        if added is not None:
            self.sampling_strategy_ = added
        elif hasattr(self, "sampling_strategy_"):
            del self.sampling_strategy_
        return table

    def fit_resample(self, X: Any, y: Any = None, sample_weight: Any = None, groups: Any = None) -> Any:
        """Return the training rows as the stage leaves them.

        Parameters
        ----------
        X : frame, array or list of shape (n_rows, n_columns)
        y, sample_weight, groups : array of shape (n_rows,), optional
            The target may also be one-hot: its classes are then the numbers of its columns.

        Returns
        -------
        X, y : in the containers that came in
        sample_weight, groups : each only if it was passed
            For a `Table`, the table as a whole comes back.
        """
        table = self._planned(X, y, sample_weight, groups)
        after = carry_out(self.plan_, table, self.key, seed=int(getattr(self, "random_state", 0)))
        lineage.remember(table, after, self.key)
        if isinstance(X, Table):
            return after
        return give_rows(after, self.plan_.sources, (), X, y=y, sample_weight=sample_weight, groups=groups)

    @property
    def sample_indices_(self) -> np.ndarray:
        """Return the source position of each row that came out; there is none where rows were made anew."""
        if self.plan_.fresh is not None:
            raise AttributeError(f"{self.key}: made rows anew, which have no place among those that came in.")
        return self.plan_.sources

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Name the columns that `fit_resample` returns: those that came in."""
        check_is_fitted(self, "schema_")
        names = list(self.schema_)
        if input_features is not None and list(input_features) != names:
            if hasattr(self, "feature_names_in_"):
                raise ValueError(
                    f"input_features is not equal to feature_names_in_ of this {type(self).__name__}."
                )
            if len(input_features) != len(names):
                raise ValueError(
                    f"input_features should have length equal to the number of features ({len(names)}), "
                    f"got {len(input_features)}."
                )
            names = list(map(str, input_features))
        return np.array(names, dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = sampler_tags(super().__sklearn_tags__(), getattr(self, "plan_", None))
        tags.target_tags.required = self.needs_target
        return tags


class RowStage(PlanningStage):
    """Change which rows there are, their weights or labels: on training rows only.

    An author writes `plan`. There is no ``transform``: rows to predict cannot reach a row stage.
    """


def output(stage: Any, container: Container) -> Container:
    """Return the container that ``set_output`` or scikit-learn's configuration asks for."""
    asked = (
        getattr(stage, "_sklearn_output_config", {}).get("transform")
        or sklearn.get_config()["transform_output"]
    )
    return container if asked == "default" else container.to(asked)
