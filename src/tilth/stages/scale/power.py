"""Raise the values of a column to the power that makes them most nearly normal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal

import numpy as np
import polars as pl

from tilth.core.stage import ColumnStage, Selection
from tilth.errors import DataError
from tilth.stages.elementwise import mapped
from tilth.statistics import Statistics
from tilth.statistics.powered import Power
from tilth.statistics.powers import LARGE, find_power


class ScalePower(ColumnStage):
    """Take the skew out of each numeric column by the power under which it looks most nearly normal.

    Learns
        A power per column, lambda, by maximum likelihood, and what standardizes the powers; missing cells are
        not counted. Lambda is 1 where nothing should change, about 0 where the logarithm is best.
    New data
        Values are raised to the power and standardized; missing cells stay. Whole numbers become floats.
    Training
        Same as new data.
    Weights
        Ignored: the power describes the values, not how much a row counts.
    Cost
        About ten looks at 16,384 values of each column, then three or four at all of them; acting is
        O(cells), one logarithm and one exponential for each.
    Scaling
        Exact for any partition, to rounding: the likelihood has one maximum, and it is searched to the end.
        Columns are held in memory, eight at a time.

    Parameters
    ----------
    method : {'yeo_johnson', 'box_cox'}
        The family of powers: for any values, or for values above 0. Under 'box_cox' columns with other values
        get the power of 'yeo_johnson', which is told.
    standardize : bool
        Bring the powers to mean 0 and standard deviation 1.
    on : selection, optional
        The columns; by default all numeric ones.

    Findings
        scale.constant : a column has one value only; it becomes 0 (without `standardize` it is not changed).
        scale.bounded : lambda lies at the bound beyond which powers are no numbers or no longer told apart.
        scale.not_positive : 'box_cox' was asked for, but a column holds values that are not above 0.

    Raises
        DataError : a learned column holds infinity, or values of both signs beyond 1e140; or new rows hold a
        value that is not above 0 where the column has a power of 'box_cox'.

    Source
        Box and Cox (1964), Yeo and Johnson (2000). Peer: scikit-learn's ``PowerTransformer``; the tests
        compare lambdas and values to 1e-5, and likelihoods where its search ends earlier. Unlike there,
        values that lie close together for their size, such as years, are standardized without losing digits,
        and get the lambda that rounding hides from it; and lambdas of 'box_cox' have bounds as those of
        'yeo_johnson' do.

    Examples
    --------
    >>> import polars as pl
    >>> rows = pl.DataFrame({"a": [1.0, 10.0, 100.0, 1000.0, 10000.0]})
    >>> stage = ScalePower(method="box_cox", standardize=False).fit(rows)
    >>> abs(round(stage.lambda_["a"], 3))
    0.0
    >>> stage.transform(rows)["a"].round(3).to_list()
    [0.0, 2.303, 4.605, 6.908, 9.21]
    """

    handles: ClassVar = ("numeric",)
    finds: ClassVar = {
        "scale.constant": "a column has one value only",
        "scale.bounded": "the power of a column lies at a bound",
        "scale.not_positive": "a column holds values that Box and Cox's power is not defined for",
    }

    def __init__(
        self,
        *,
        method: Literal["yeo_johnson", "box_cox"] = "yeo_johnson",
        standardize: bool = True,
        on: Selection = None,
    ) -> None:
        self.method = method
        self.standardize = standardize
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [{}, {"standardize": False}, {"method": "box_cox"}]

    def learn(self, statistics: Statistics) -> None:
        """Learn the powers."""
        found = statistics.each(self.columns_, self._learned)
        self.powers_ = {}
        self.lambda_ = {}
        for name, one in zip(self.columns_, found, strict=True):
            if isinstance(one, str):
                raise DataError(f"scale.power: column '{name}' {one}")
            if one is None:
                continue
            power, bounded = one
            if self.method == "box_cox" and not power.box_cox:
                self.report(
                    "scale.not_positive",
                    f"'{name}' goes down to {power.low:.6g}: it gets the power of 'yeo_johnson'.",
                    power.low,
                    columns=(name,),
                    remedy={"scale.power": {"method": "yeo_johnson", "on": [name]}},
                )
            self.powers_[name] = vars(power).copy()
            self.lambda_[name] = power.power
            if power.low == power.high:
                self.report(
                    "scale.constant", f"'{name}' has one value only.", 0.0, severity="low", columns=(name,)
                )
            elif bounded:
                self.report(
                    "scale.bounded",
                    f"'{name}': its lambda is held at {power.power:.6g}. Its values, {power.low:.6g} to "
                    f"{power.high:.6g}, may lie too close together for a power to change their shape.",
                    power.power,
                    severity="low",
                    columns=(name,),
                    remedy={"scale.quantile": {"output": "normal", "on": [name]}},
                )

    def _learned(self, values: np.ndarray) -> tuple[Power, bool] | str | None:
        """Return the power of a column, or what is wrong with it, or None if it has no values."""
        if not len(values):
            return None
        if not np.isfinite(values).all():
            return "holds infinity. Put outliers.clip before, or make these cells missing."
        low, high = values.min(), values.max()
        if low < 0 < high and max(-low, high) > LARGE:
            return f"goes from {low:.6g} to {high:.6g}: no power has a variance. Put outliers.clip before."
        return find_power(values, self.method == "box_cox" and low > 0, self.standardize)

    def change(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Raise to the power and standardize."""
        return mapped(frame, {c: self._of(c, Power(**p)) for c, p in self.powers_.items()}, self.columns_)

    def _of(self, name: str, power: Power) -> Callable[[np.ndarray], np.ndarray]:
        def run(values: np.ndarray) -> np.ndarray:
            if power.box_cox and (values <= 0).any():
                raise DataError(
                    f"scale.power: column '{name}' holds {np.nanmin(values):.6g}, but was learned with "
                    "method 'box_cox' from values above 0. Put outliers.clip before, or use 'yeo_johnson'."
                )
            return power.of(values)

        return run

    def invert(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Undo both."""
        return mapped(frame, {c: Power(**p).back for c, p in self.powers_.items()}, self.columns_)
