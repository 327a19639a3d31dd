"""Pipeline: a list of stages, and perhaps a model, as one scikit-learn estimator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Self

import numpy as np
import polars as pl
from sklearn.base import clone
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from tilth.core import Stage, apply, conform, fit, fused, lineage, schema_of
from tilth.core.sampling import give_rows
from tilth.core.schema import as_given_out, empty
from tilth.core.stage import output
from tilth.errors import DataError, StageError, UnknownName, listed
from tilth.pipeline.deciding import Decisions, decisions_of
from tilth.pipeline.leaving import Leaving
from tilth.pipeline.model import fit_model, inputs
from tilth.table import ROW, Table


def _ends_in(method: str) -> Callable[[Any], bool]:
    return lambda self: hasattr(getattr(self, "model_", self.model), method)


class Pipeline(Leaving):
    """Prepare rows by stages, and fit a model on what they leave.

    Column stages act on training rows and on new rows alike. Row stages act on training rows only:
    ``len(pipe.predict(X)) == len(X)``, always. Weights and groups follow the rows into the model.

    Parameters
    ----------
    steps : list of Stage, or of (name, Stage) pairs
        A model may come last. scikit-learn transformers, imbalanced-learn samplers and functions
        from frame to frame become stages by `tilth.stages.adapt`. ``"passthrough"`` or None leaves
        a step out. Names are the stages' keys unless given; parameters are set as
        ``"impute.simple__numeric"``.

    Attributes
    ----------
    stages_ : list of (name, Stage)
        The fitted stages.
    model_ : estimator or None
        The fitted model.
    ledger_ : Ledger
        What was done to every training row and every column.
    findings_ : list of Finding
        What the stages saw while they learned.
    decisions_ : Decisions
        What stands between the model and what the pipeline says: the class frequencies there were before
        stages changed them, and the stage that chose a threshold.
    learned_ : Learned or None
        Hashes of the rows that were fitted on, so that the bench can refuse to test on them; None if an
        older version of Tilth saved the pipeline.
    n_features_in_, feature_names_in_, classes_
        As in scikit-learn.

    Examples
    --------
    >>> import polars as pl, tilth
    >>> pipe = tilth.Pipeline([tilth.ImputeSimple(), tilth.ScaleStandard()])
    >>> pipe.fit_transform(pl.DataFrame({"a": [1.0, None, 3.0]}))["a"].round(3).to_list()
    [-1.225, 0.0, 1.225]
    """

    def __init__(self, steps: Sequence[Any]) -> None:
        super().__init__(steps)

    feature_names_in_: np.ndarray

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, which: int | str | slice) -> Any:
        """Return a step by place or name, or a pipeline of some steps (fitted, if this one is)."""
        pairs = [(n, self.named_stages[n]) for n, _ in self.named_steps()]
        if isinstance(which, str):
            if which not in self.named_stages:
                raise UnknownName.among("step", which, self.named_stages)
            return self.named_stages[which]
        if isinstance(which, int):
            return pairs[which][1]
        part = Pipeline(pairs[which])
        if hasattr(self, "stages_") and pairs[which][:1] == pairs[:1]:
            names = {n for n, _ in pairs[which]}
            part._know(self.schema_, [(n, s) for n, s in self.stages_ if n in names])
            part.model_ = self.model_ if part.model is not None else None
            part.ledger_, part.findings_ = self.ledger_, self.findings_
            part.learned_, part.decisions_ = self.learned_, self.decisions_
            part.roles_ = self.roles_
            if hasattr(self, "feature_names_in_"):
                part.feature_names_in_ = self.feature_names_in_
        return part

    # Fitting

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, groups: Any = None) -> Self:
        """Fit stages in order, then the model.

        Parameters
        ----------
        X : frame, array of shape (n_rows, n_columns), or Table with its roles
        y, sample_weight, groups : array of shape (n_rows,), optional
        """
        self._fit(X, y, sample_weight, groups)
        return self

    def fit_transform(self, X: Any, y: Any = None, sample_weight: Any = None, groups: Any = None) -> Any:
        """Fit, and return all rows of `X` transformed, also those that a row stage drops.

        They are what `transform` would make of them, but for stages that learn from the target and give
        rows they learned from values learned from the others (`encode.target`).
        """
        table, done = self._fit(X, y, sample_weight, groups)
        if done.rows is None and not fused(self.stages_):
            lineage.remember(table, done.table, self._in_words)
            return self._give(X, done.table, done.touched)
        change = lambda frame: apply(self.stages_, frame, training=True)
        after = lineage.changed(table, change, self._in_words, fused=fused(self.stages_))
        return self._give(X, after, done.touched)

    def fit_resample(self, X: Any, y: Any = None, sample_weight: Any = None, groups: Any = None) -> Any:
        """Fit, and return the training rows as the stages leave them.

        Returns
        -------
        X, y : in the containers that came in
        sample_weight, groups : each only if it was passed
            For a `Table`, the prepared table, with the weights that stages gave.
        """
        table, done = self._fit(X, y, sample_weight, groups)
        lineage.remember(table, done.table, self._in_words)
        if isinstance(X, Table):
            return done.table
        return give_rows(
            done.table, done.rows, done.touched, X, y=y, sample_weight=sample_weight, groups=groups
        )

    def _fit(self, X: Any, y: Any, sample_weight: Any, groups: Any, progress: Any = None) -> Any:
        table = Table.of(X, y, sample_weight=sample_weight, groups=groups)
        if not table.features:
            raise DataError(
                f"Pipeline: 0 feature(s) (shape=({table.height}, 0)) while a minimum of 1 is required. "
                "Pass at least one column."
            )
        if table.height == 0:
            raise DataError(
                "Pipeline: Found array with 0 sample(s) while a minimum of 1 is required. Pass rows."
            )
        named = [(name, clone(stage)) for name, stage in self.stages_named()]
        done = fit(named, table, progress)
        if hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        self._know(schema_of(table), named)
        if table.container.form != "numpy":
            self.feature_names_in_ = np.array(table.features, dtype=object)
        self.roles_ = table.roles
        self.ledger_, self.findings_ = done.ledger, done.findings
        self.learned_ = lineage.Learned.of(table)
        self.model_, self.decisions_ = None, Decisions(done.prior)
        if self.model is not None:
            if progress is not None:
                progress(self.named_steps()[-1][0])
            self.model_ = fit_model(clone(self.model), done.table)
            self.decisions_ = decisions_of(named, done.prior, self.model, self.model_, table)
            # What a stage that decides saw, it saw after the stages were fitted.
            self.findings_ = [f for _, stage in named for f in stage.findings_]
        return table, done

    def _know(self, schema: dict[str, str], stages: list[tuple[str, Stage]]) -> None:
        self.schema_, self.stages_ = schema, stages
        self.n_features_in_ = len(schema)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "stages_")

    # New rows

    def transform(self, X: Any) -> Any:
        """Return new rows as the model sees them: the same rows, in the same order and container."""
        check_is_fitted(self)
        table = conform(Table.of(X), self.schema_, "Pipeline")
        if table.container.form != "lazy" and self.learned_ is not None and self.learned_.among(table):
            after = lineage.changed(table, self._change, self._in_words, fused=fused(self.stages_))
        else:
            after = table.with_frame(self._change(table.frame))
        return self._give(X, after, self._touched)

    def _change(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        return apply(self.stages_, frame)

    def _give(self, X: Any, table: Table, touched: set[str]) -> Any:
        if isinstance(X, Table):
            return table
        wanted = table.frame.select(table.features)
        return output(self, table.container).restore(wanted, touched=touched, fused=fused(self.stages_))

    @property
    def _in_words(self) -> str:
        return f"Pipeline of {listed([name for name, _ in self.stages_], 4)}"

    @property
    def _touched(self) -> set[str]:
        return {column for _, stage in self.stages_ for column in stage.columns_}

    def inverse_transform(self, X: Any) -> Any:
        """Return columns as they were before `transform`, where every column stage can be inverted."""
        check_is_fitted(self)
        column_stages = [(n, s) for n, s in self.stages_ if hasattr(s, "change")]
        closed = [n for n, s in column_stages if not hasattr(s, "invert")]
        if closed:
            raise StageError(f"Pipeline: {', '.join(closed)} cannot be inverted. Invert a part: pipe[2:].")
        given = {name: str(dtype) for name, dtype in self._empty().collect_schema().items()}
        table = conform(as_given_out(X, list(given)), given, "Pipeline")
        frame = table.frame
        for _, stage in reversed(column_stages):
            frame = stage.inverted(frame)
        return self._give(X, table.with_frame(frame), self._touched)

    def _inputs(self, X: Any) -> Any:
        check_is_fitted(self)
        table = conform(Table.of(X), self.schema_, "Pipeline")
        return inputs(self.model_, table.with_frame(apply(self.stages_, table.frame)))

    @available_if(_ends_in("predict"))
    def predict(self, X: Any) -> np.ndarray:
        """Predict one value per row of `X`, by the threshold of a stage that chose one."""
        return self.decisions_.predict(self.model_, self._inputs(X))

    @available_if(_ends_in("predict_proba"))
    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict class probabilities, shape (n_rows, n_classes).

        Where stages drew or weighted classes, at the frequencies that classes had before, unless the stage's
        ``correct_prior`` is False. `predict` is not touched by that: it decides as the model does.
        """
        return self.decisions_.probabilities(self.model_, self._inputs(X))

    @available_if(_ends_in("predict_log_proba"))
    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Predict logarithms of class probabilities, shape (n_rows, n_classes)."""
        if not self.decisions_.prior:
            return self.model_.predict_log_proba(self._inputs(X))
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    @available_if(_ends_in("decision_function"))
    def decision_function(self, X: Any) -> np.ndarray:
        """Return the model's decision values."""
        return self.model_.decision_function(self._inputs(X))

    @available_if(_ends_in("score"))
    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return the model's own score on rows that no row stage touches; of decisions, their accuracy."""
        more = {} if sample_weight is None else {"sample_weight": sample_weight}
        if self.decisions_.stage is not None:
            from sklearn.metrics import accuracy_score

            return float(accuracy_score(y, self.predict(X), **more))
        return float(self.model_.score(self._inputs(X), y, **more))

    @property
    def classes_(self) -> np.ndarray:
        """Return the class labels of the model."""
        return self.model_.classes_

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Name the columns that `transform` returns."""
        check_is_fitted(self)
        return np.array(self._empty().collect_schema().names(), dtype=object)

    def set_output(self, *, transform: Literal["default", "pandas", "polars"] | None = None) -> Self:
        """Choose what `transform` returns: ``default`` is the container that came in."""
        if transform is not None:
            self._sklearn_output_config = {"transform": transform}
        return self

    # Looking inside

    def _empty(self) -> pl.LazyFrame:
        return apply(self.stages_, empty(self.schema_))

    def plan(self) -> str:
        """Return the query of `transform` as Polars optimized it: one, for stages of expressions."""
        check_is_fitted(self)
        return self._empty().explain()

    def explain(self, row: Any) -> pl.DataFrame:
        """Follow one row through every column stage: ``stage, column, before, after`` where it changed.

        Parameters
        ----------
        row : frame or dict with one row
        """
        check_is_fitted(self)
        table = conform(
            Table.of(pl.DataFrame(row) if isinstance(row, dict) else row), self.schema_, "Pipeline"
        )
        if table.height != 1:
            raise DataError(
                f"Pipeline.explain follows one row; these are {table.height}. Pass a frame of one row."
            )
        told: list[tuple[str | None, ...]] = []
        frame = table.frame
        before = frame.collect().row(0, named=True)
        for name, stage in self.stages_:
            frame = apply([(name, stage)], frame).collect().lazy()
            after = frame.collect().row(0, named=True)
            for column in dict.fromkeys([*before, *after]):
                old, new = before.get(column), after.get(column)
                if column != ROW and (old != new or (column in before) != (column in after)):
                    told.append((name, column, *(None if v is None else str(v) for v in (old, new))))
            before = after
        return pl.DataFrame(
            told, schema=dict.fromkeys(("stage", "column", "before", "after"), pl.String), orient="row"
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.string = tags.input_tags.categorical = True
        model = self.model
        if model is not None:
            own = get_tags(model)
            tags.estimator_type, tags.target_tags = own.estimator_type, own.target_tags
            tags.classifier_tags, tags.regressor_tags = own.classifier_tags, own.regressor_tags
        elif any(getattr(s, "needs_target", False) for _, s in self.stages_named()):
            tags.target_tags.required = True
        return tags

    def _sk_visual_block_(self) -> Any:
        from sklearn.utils._repr_html.estimator import _VisualBlock

        steps = [step for _, step in self.named_steps()]
        told = [f"{n}: {type(s).__name__}" for n, s in self.named_steps()]
        return _VisualBlock(
            "serial", steps, names=told, name_details=list(map(str, steps)), dash_wrapped=False
        )
