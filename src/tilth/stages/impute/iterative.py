"""Fill missing cells by models of each column given the others, round after round."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Gt

from tilth.core.stage import Selection
from tilth.errors import RecipeError
from tilth.stages.chaining import Chain, estimator_of, rounded, takes_gaps
from tilth.stages.imputing import Imputer
from tilth.stages.reading import Reading
from tilth.statistics import Gaussian, Statistics
from tilth.statistics.gaussian import Matrices

# Rounds, and rows learned from, where the user says nothing: by what a model gains and costs.
_ROUNDS = {"boosting": 2, "linear": 200}
_ROUNDS_OF_OTHERS = 5
# Share of a column that a category must have for the linear model to know it.
_LEAST_SHARE = 0.01
_ROWS = 20_000


class ImputeIterative(Imputer):
    """Fill missing cells by models of each column given the others: chained equations.

    Learns
        The mean and covariance of all columns (categories as 0/1 columns), exact under MAR, by EM; and for
        each column with gaps, in each round, a model that tells it from the other columns as filled so far.
        'boosting' learns what the linear prediction leaves; in its first round from what is known alone.
    New data
        Missing cells are filled by the same models in the same rounds, each row for itself. Cells of columns
        that had no gap at fit are filled as by 'linear', unless `all_columns`, or unless no column had a
        gap: then all are learned. A column without any value at fit stays as it is.
    Training
        Same as new data.
    Weights
        Ignored: what is told of a cell depends on the row's other cells, not on how much the row counts.
    Cost
        'linear': a few matrix products per iteration, and an inverse of the size of its gaps for
        each pattern of gaps. Others: a model per column with gaps and round.
    Scaling
        'linear': exact for any partition, one pass over the rows per iteration. Others: a sample of
        `max_rows` rows, the same for any partition.

    Parameters
    ----------
    model : 'boosting', 'linear', or the name of a regressor of scikit-learn
        'boosting': histogram boosting, on top of 'linear'. 'linear': conditional means of a normal
        distribution, what chained linear regressions settle at; categories by the largest 0/1 column, which
        hides those that lie between others. A name such as ``ExtraTreesRegressor`` or ``BayesianRidge``:
        chained equations from means and modes.
    classifier : str, optional
        Name of a classifier of scikit-learn for categories and booleans. By default the twin of
        `model` (``ExtraTreesClassifier``); for linear regressors without one, ``LogisticRegression``.
    model_params : dict, optional
        Parameters of the regressor of `model` and its twin: ``{n_estimators: 50}``.
    max_iter : int, >= 1, optional
        Rounds of the chain, or iterations of EM for 'linear'. By default 2 for 'boosting', which gains
        nothing from more, 200 for 'linear', and 5 for others.
    tolerance : float, > 0
        Rounds end when filled cells change by less: the root mean square in standard deviations, and the
        share of categories that change; EM, when no mean or covariance changes by more.
    order : {'ascending', 'descending', 'given'}
        Columns are taken by their share of gaps, or from left to right; 'linear' takes all at once.
    prior_rows : float, >= 0
        Rows' worth of belief that columns do not depend on one another, for the mean and covariance: it
        holds them steady where rows are few, and fades as rows grow. 0 is maximum likelihood.
    all_columns : bool
        Learn models also for columns that had no gap at fit.
    max_rows : int, >= 1, optional
        Rows the models learn from, a sample by `random_state`; by default all for 'linear', 20,000 for
        others.
    random_state : int, >= 0
        Seed of the sample, and of the models.
    indicator : bool
        Add a boolean column ``<name>_missing`` for each column that had missing cells at fit.
    on : selection, optional
        The columns, both those filled and those that tell them; by default all numeric, categorical,
        boolean and datetime ones.

    Findings
        missing.filled : a column had missing cells.
        missing.all : a column had no value at all; it stays empty.

    Raises
        UnknownName : scikit-learn has no `model` or `classifier` of this name.
        RecipeError : a parameter that 'linear' or the estimator does not take, or no classifier goes with the
        regressor.

    Source
        van Buuren and Groothuis-Oudshoorn, "mice" (2011); Stekhoven and Bühlmann, "MissForest" (2012); for
        'linear' see `tilth.statistics.Gaussian`. Peer: scikit-learn's ``IterativeImputer``; the tests hold
        'linear' to its RMSE with ``BayesianRidge`` within 1%, and 'boosting' to its RMSE with
        ``HistGradientBoostingRegressor``.

    Examples
    --------
    >>> import polars as pl
    >>> rows = pl.DataFrame({"a": [1.0, 2.0, 3.0, 4.0], "b": [2.0, 4.0, 6.0, None]})
    >>> ImputeIterative(model="linear", prior_rows=0.0).fit_transform(rows)["b"].round(2).to_list()
    [2.0, 4.0, 6.0, 8.0]
    """

    scaling: ClassVar = "sample"
    scaled = "none"

    def __init__(
        self,
        *,
        model: Literal["boosting", "linear"] | str = "boosting",
        classifier: str | None = None,
        model_params: dict[str, Any] | None = None,
        max_iter: Annotated[int, Ge(1)] | None = None,
        tolerance: Annotated[float, Gt(0)] = 1e-4,
        order: Literal["ascending", "descending", "given"] = "ascending",
        prior_rows: Annotated[float, Ge(0)] = 3.0,
        all_columns: bool = False,
        max_rows: Annotated[int, Ge(1)] | None = None,
        random_state: Annotated[int, Ge(0)] = 0,
        indicator: bool = False,
        on: Selection = None,
    ) -> None:
        self.model = model
        self.classifier = classifier
        self.model_params = model_params
        self.max_iter = max_iter
        self.tolerance = tolerance
        self.order = order
        self.prior_rows = prior_rows
        self.all_columns = all_columns
        self.max_rows = max_rows
        self.random_state = random_state
        self.indicator = indicator
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        few = {"n_estimators": 3, "max_depth": 4}
        return [
            {"model_params": {"max_iter": 10}},
            {"model": "linear"},
            {"model": "linear", "max_rows": 60, "prior_rows": 0.0, "max_iter": 20, "indicator": True},
            {"model": "ExtraTreesRegressor", "model_params": few, "order": "descending", "all_columns": True},
            {
                "model": "BayesianRidge",
                "classifier": "DecisionTreeClassifier",
                "max_iter": 2,
                "order": "given",
            },
        ]

    def learn_matrix(self, statistics: Statistics, reading: Reading) -> None:
        """Learn the mean and covariance, and the models of the columns with gaps."""
        linear = self.model == "linear"
        if linear and (self.classifier or self.model_params):
            raise RecipeError(
                "impute.iterative: model='linear' has no `classifier` and no `model_params`. "
                "Leave them out, or name another model."
            )
        rounds = self.max_iter or _ROUNDS.get(self.model, _ROUNDS_OF_OTHERS)
        rows = self.max_rows or (statistics.rows if linear else _ROWS)
        self.steps_: list[dict[str, Any]] = []
        if linear and rows >= statistics.rows:
            self.center_, self.spread_ = np.zeros(len(reading.columns)), np.ones(len(reading.columns))
            self._learn_linear(self._parts(statistics, reading), rounds)
            return
        # Standardized by the sample itself: the models see the same to the last bit for any partition.
        matrix = reading.matrix(statistics.sample(self.columns_, rows, self.random_state))
        self.center_, self.spread_ = self._standard(matrix)
        matrix = (matrix - self.center_) / self.spread_
        self._learn_linear([reading.one_hot(matrix)], rounds if linear else _ROUNDS["linear"])
        if not linear:
            self._learn_chain(matrix, rounds)

    def _parts(self, statistics: Statistics, reading: Reading) -> Matrices:
        """Return the wide matrix of one part, or what reads several anew for each pass."""

        def read() -> Iterator[np.ndarray]:
            for shard in statistics.shards:
                yield reading.one_hot(reading.matrix(shard.select(self.columns_).collect()))

        return read if len(statistics.shards) > 1 else list(read())

    def _learn_linear(self, parts: Matrices, max_iter: int) -> None:
        """Learn mean and covariance of the wide columns; rare categories are left out."""
        read = parts if callable(parts) else lambda: parts
        source = self.reading_.source
        flags = np.flatnonzero(self.reading_.categorical[source])
        total, count = np.zeros(len(flags)), np.zeros(len(flags))
        for wide in read() if flags.size else ():
            total += np.nansum(wide[:, flags], axis=0)
            count += (~np.isnan(wide[:, flags])).sum(axis=0)
        rare = np.zeros(len(source), dtype=bool)
        rare[flags] = total < _LEAST_SHARE * count
        rare[np.unique(source, return_index=True)[1]] = False  # the most frequent of a column stays

        def kept() -> Iterator[np.ndarray]:
            return (np.where(rare, np.nan, wide) if rare.any() else wide for wide in read())

        gaussian = Gaussian.of(
            kept if callable(parts) else list(kept()),
            prior_rows=self.prior_rows,
            tolerance=self.tolerance,
            max_iter=max_iter,
        )
        # As plain arrays, which a bundle holds.
        self.gaussian_ = {"mean": gaussian.mean, "covariance": gaussian.covariance, "scale": gaussian.scale}
        self.n_iter_ = gaussian.iterations

    def _standard(self, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation of columns of numbers; 0 and 1 for the others."""
        there = ~np.isnan(matrix)
        number = ~self.reading_.categorical & there.any(axis=0)
        count = np.maximum(there.sum(axis=0), 1)
        center = np.where(number, np.where(there, matrix, 0.0).sum(axis=0) / count, 0.0)
        square = (np.where(there, matrix - center, 0.0) ** 2).sum(axis=0) / count
        return center, np.where(number & (square > 0), np.sqrt(square), 1.0)

    def _learn_chain(self, matrix: np.ndarray, rounds: int) -> None:
        """Learn a model for each column with gaps, in each round from the columns as filled so far."""
        chain = self._chain()
        missing = np.isnan(matrix)
        learned, complete = self._ordered(missing)
        self.chained_ = [*learned, *complete]
        filled, gapped = self._start(chain, matrix)
        for number in range(rounds):
            before = filled.copy()
            # A column without gaps is not changed by later rounds: one model will do.
            for column in [*learned, *complete] if number == 0 else learned:
                step = self._step(chain, number, column, matrix, gapped, filled)
                self.steps_.append(step)
                self._act(chain, step, missing[:, column], gapped, filled)
            self.n_iter_ = number + 1
            if self._change(before, filled, missing) < self.tolerance:
                break

    def _ordered(self, missing: np.ndarray) -> tuple[list[int], list[int]]:
        """Return the columns with gaps in their order, and those without gaps that are learned too."""
        share = missing.mean(axis=0)
        known = ~self.reading_.empty
        sign = {"ascending": 1, "descending": -1, "given": 0}[self.order]
        order = [int(c) for c in np.argsort(sign * share, kind="stable") if known[c]]
        holed = [c for c in order if share[c] > 0]
        complete = [c for c in order if share[c] == 0] if self.all_columns or not holed else []
        return holed, complete

    def _start(self, chain: Chain, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the matrix filled before the first round, and with the gaps of the chain left in."""
        chained = np.zeros(matrix.shape[1], dtype=bool)
        chained[self.chained_] = True
        filled = np.where(np.isnan(matrix), chain.mode, matrix)
        others = np.isnan(matrix) & ~chained & ~self.reading_.empty
        holed = np.flatnonzero(others.any(axis=1))
        if holed.size:
            filled[others] = rounded(chain.linear(matrix[holed]))[others[holed]]
        return filled, np.where(np.isnan(matrix) & chained, np.nan, filled)

    def _step(
        self,
        chain: Chain,
        number: int,
        column: int,
        matrix: np.ndarray,
        gapped: np.ndarray,
        filled: np.ndarray,
    ) -> dict[str, Any]:
        """Learn the model of a column, and say which gaps it sees."""
        reading = self.reading_
        categorical = bool(reading.categorical[column])
        model = estimator_of(
            self.model, self.classifier, categorical, self.model_params or {}, self.random_state
        )
        # Categories filled in hide that they were not known; numbers do less.
        gaps = ("all" if number == 0 else "categories") if takes_gaps(model) else "none"
        there = ~np.isnan(matrix[:, column])
        if categorical:  # categories too rare to be told apart are none to fill in
            there &= matrix[:, column] < len(reading.levels[reading.columns[column]])
        source = self._seen(gaps, gapped, filled)[there]
        try:
            learned = chain.learn(model, source, column, matrix[there, column])
        except (TypeError, ValueError) as error:
            error.add_note(
                f"In stage {self.key}, {type(model).__name__} learning column '{reading.columns[column]}'. "
                "Change `model_params`, name another model, or choose columns with `on`."
            )
            raise
        return {"column": column, "gaps": gaps, "model": learned}

    def _act(
        self, chain: Chain, step: dict[str, Any], rows: np.ndarray, gapped: np.ndarray, filled: np.ndarray
    ) -> None:
        """Fill the cells of a step's column in `rows`, in place."""
        if rows.any():
            source = self._seen(step["gaps"], gapped[rows], filled[rows])
            filled[rows, step["column"]] = rounded(chain.predict(step["model"], source, step["column"]))

    def _seen(self, gaps: str, gapped: np.ndarray, filled: np.ndarray) -> np.ndarray:
        """Return the rows as a model sees them: with which gaps left in."""
        if gaps == "categories":
            return np.where(self.reading_.categorical, gapped, filled)
        return gapped if gaps == "all" else filled

    def _change(self, before: np.ndarray, after: np.ndarray, missing: np.ndarray) -> float:
        """Return by how much a round changed the filled cells."""
        categorical = self.reading_.categorical
        missing = missing & ~self.reading_.empty
        moved = (after - before)[:, ~categorical][missing[:, ~categorical]]
        turned = (after != before)[:, categorical][missing[:, categorical]]
        return max(
            float(np.sqrt((moved**2).mean())) if moved.size else 0.0,
            float(turned.mean()) if turned.size else 0.0,
        )

    def _chain(self) -> Chain:
        learned = self.gaussian_
        return Chain(self.reading_, Gaussian(learned["mean"], learned["covariance"], learned["scale"]))

    def complete(self, matrix: np.ndarray) -> np.ndarray:
        """Fill the gaps of each row from its other cells."""
        chain = self._chain()
        standard = (matrix - self.center_) / self.spread_
        if self.model == "linear":
            filled = chain.linear(standard)
        else:
            missing = np.isnan(matrix)
            filled, gapped = self._start(chain, standard)
            for step in self.steps_:
                self._act(chain, step, missing[:, step["column"]], gapped, filled)
        return filled * self.spread_ + self.center_
