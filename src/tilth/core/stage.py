"""The three kinds of stage. A stage finds, and then it changes columns, rows or batches: one of the three."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
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
from tilth.core.schema import conform, read_type, schema_of
from tilth.errors import DataError, StageError, TilthError, TilthWarning
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
    """

    handles: ClassVar[tuple[str, ...]] = KINDS
    takes: ClassVar[tuple[str, ...]] = ()
    finds: ClassVar[dict[str, str]] = {}
    scaling: ClassVar[Literal["exact", "sketch", "sample", "local"]] = "exact"

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
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags


class ColumnStage(Stage):
    """Change columns, row by row: the same for training rows and new rows.

    An author writes `learn`, which asks for statistics and sets attributes that end in ``_``, and
    `change`, which adds expressions to a lazy query.

    Attributes
    ----------
    fused : bool
        `change` adds expressions only; False where it needs whole columns in memory.
    partial : bool
        Only some cells of a column change; `learn` counts those of the rows learned from into
        ``cells_`` (column -> cells), for the ledger.
    """

    fused: ClassVar[bool] = True
    partial: ClassVar[bool] = False
    cells_: dict[str, int]

    def learn(self, statistics: Statistics) -> None:
        """Learn from the rows that `statistics` answers for."""

    def change(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Return the query with the stage's expressions added."""
        return frame

    def fit_table(self, shards: Sequence[Table]) -> Self:
        """Learn from tables: one, or the parts of one."""
        self._begin(next((s for s in shards if s.height), shards[0]))
        self.learn(Statistics([shard.frame for shard in shards], ROW))
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
        after = lineage.changed(table, self.change, self.key, fused=self.fused)
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
        table = Table.of(X)
        return self._give(X, table, self.invert(table.frame))

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Name the columns that `transform` returns."""
        check_is_fitted(self, "schema_")
        names = list(self.schema_)
        if input_features is not None and list(input_features) != names:
            known = hasattr(self, "feature_names_in_")
            if known or len(input_features) != len(names):
                what = "feature_names_in_" if known else f"the number of features ({len(names)})"
                raise ValueError(f"input_features is not equal to {what} of this {type(self).__name__}.")
        empty = pl.LazyFrame(schema={name: read_type(text) for name, text in self.schema_.items()})
        out = self.change(empty).collect_schema().names()
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
        return tags


class RowStage(Stage):
    """Change which rows there are, their weights or labels: on training rows only.

    An author writes `plan`. There is no ``transform``: rows to predict cannot reach a row stage.
    """

    needs_target: ClassVar[bool] = False

    def plan(self, table: Table) -> RowPlan:
        """Say what should be done to the rows of `table`, without doing it."""
        return RowPlan.keep_all(table.height)

    def fit_table(self, table: Table) -> RowPlan:
        """Make the plan for a table, and keep nothing of its rows."""
        self._begin(table)
        if self.needs_target:
            table.need("target", f"{self.key}: {type(self).__name__}")
        return self.plan(table).check(self.key, table.height)

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, groups: Any = None) -> Self:
        """Make the plan and report; nothing is changed (a dry run). The plan is in ``plan_``."""
        table = self._enter(X, y, reset=True, sample_weight=sample_weight, groups=groups)
        self.plan_ = self.fit_table(table)
        return self

    def fit_resample(self, X: Any, y: Any = None, sample_weight: Any = None, groups: Any = None) -> Any:
        """Return the training rows as the stage leaves them.

        Parameters
        ----------
        X : frame or array of shape (n_rows, n_columns)
        y, sample_weight, groups : array of shape (n_rows,), optional

        Returns
        -------
        X, y : in the containers that came in
        sample_weight, groups : each only if it was passed
            For a `Table`, the table as a whole comes back.
        """
        table = self._enter(X, y, reset=True, sample_weight=sample_weight, groups=groups)
        self.plan_ = self.fit_table(table)
        after = carry_out(self.plan_, table, self.key, seed=int(getattr(self, "random_state", 0)))
        lineage.remember(table, after, self.key)
        if isinstance(X, Table):
            return after
        return give_rows(after, self.plan_.sources, (), y=y, sample_weight=sample_weight, groups=groups)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self.needs_target
        return tags


class BatchStage(Stage):
    """Change batches of training rows, every epoch anew; called by the loader, on its device."""

    def fit_table(self, table: Table) -> Self:
        """Resolve the columns; a batch stage learns nothing else unless it says so."""
        self._begin(table)
        return self

    def fit(self, X: Any, y: Any = None) -> Self:
        """Resolve the columns of `X`."""
        return self.fit_table(self._enter(X, y, reset=True))

    def augment(self, batch: Any, generator: Any) -> Any:
        """Return the changed batch; all randomness comes from `generator`."""
        return batch


def output(stage: Any, container: Container) -> Container:
    """Return the container that ``set_output`` or scikit-learn's configuration asks for."""
    asked = (
        getattr(stage, "_sklearn_output_config", {}).get("transform")
        or sklearn.get_config()["transform_output"]
    )
    return container if asked == "default" else container.to(asked)


def give_rows(table: Table, rows: np.ndarray | None, touched: Any, **given: Any) -> Any:
    """Return (X, y) and whichever of weight and groups was passed, each in the container it came in."""
    X = table.container.restore(table.frame.select(table.features), touched=touched, rows=rows)
    out = [X]
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
    return tuple(out)


def give_column(column: pl.Series, like: Any, rows: np.ndarray | None) -> Any:
    """Return one role in the container that the user passed it in."""
    module = type(like).__module__.partition(".")[0]
    form = {"pandas": "pandas", "polars": "polars", "pyarrow": "arrow"}.get(module, "numpy")
    out = Container(form).restore_column(column, like)  # type: ignore[arg-type]
    if form == "pandas" and (rows is None or not (rows < 0).any()):
        out.index = like.index if rows is None else like.index.take(rows)
        out.name = like.name
    return out
