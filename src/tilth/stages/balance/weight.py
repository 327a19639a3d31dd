"""Weight rows so that rare classes count as much as frequent ones."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Lt

from tilth.core.plan import RowPlan
from tilth.core.stage import RowStage
from tilth.errors import DataError, StageError
from tilth.stages.classes import Classes, place_of
from tilth.table import Table


class BalanceWeight(RowStage):
    """Weight each row by how rare its class is; no row is added or dropped.

    Learns
        Nothing.
    Training
        Multiplies each row's weight by a factor of its class; factors are scaled so that the sum of
        weights stays what it was. Rows without a label keep their weight.
    Weights
        Used: a class's mass is the sum of its rows' weights, and the factors multiply them.
    Cost
        O(rows).
    Scaling
        Needs the mass of each class only.

    Weights shift the class frequencies that a model sees, and so its probabilities: ranking stays about
    as good, calibration does not. `correct_prior` turns them back.

    Parameters
    ----------
    method : {'balanced', 'effective', 'given'}
        The factor of a class of mass m: 1 / m, so that all classes weigh the same; or, gentler,
        (1 - beta) / (1 - beta ** m), by the effective number of samples; or what `weights` says.
    beta : float, in [0, 1)
        For 'effective': 0 changes nothing, towards 1 it becomes 'balanced'.
    weights : dict of class to float, optional
        For 'given': the factor of each class, before all are scaled; 1 for a class that is not named.
    correct_prior : bool
        Let the pipeline and the bench turn a model's probabilities back to the class frequencies there were
        before (Saerens et al. 2002, equation 2.4).

    Findings
        balance.classes : the classes are not of equal mass; score: smallest / largest.

    Raises
        DataError : the target holds values, not classes; `weights` name a class that does not exist.
        StageError : 'given' without `weights`.

    Source
        Cui et al., "Class-Balanced Loss Based on Effective Number of Samples", CVPR 2019, equation 2
        (there the factors of the classes sum to their number). Peer: scikit-learn's
        ``compute_sample_weight`` and ``compute_class_weight``; the tests compare to 1e-12.

    Examples
    --------
    >>> import polars as pl
    >>> stage = BalanceWeight().fit(pl.DataFrame({"a": [1, 2, 3, 4]}), ["no", "no", "no", "yes"])
    >>> stage.plan_.weight.round(3).tolist()
    [0.667, 0.667, 0.667, 2.0]
    """

    finds: ClassVar = {"balance.classes": "the classes are not of equal mass"}
    needs_target: ClassVar = True
    shifts_prior: ClassVar = True

    def __init__(
        self,
        *,
        method: Literal["balanced", "effective", "given"] = "balanced",
        beta: Annotated[float, Ge(0), Lt(1)] = 0.999,
        weights: dict[str | int | bool, Annotated[float, Ge(0)]] | None = None,
        correct_prior: bool = True,
    ) -> None:
        self.method = method
        self.beta = beta
        self.weights = weights
        self.correct_prior = correct_prior

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        given = {"method": "given", "weights": {"yes": 3.0}, "correct_prior": False}
        return [{}, {"method": "effective"}, {"method": "effective", "beta": 0.9}, given]

    def plan(self, table: Table) -> RowPlan:
        """Say by which factor each row's weight is multiplied."""
        classes = Classes.of(table.need("target", self.key), self.key)
        given = table.role("weight")
        weight = np.ones(table.height) if given is None else given.to_numpy().astype(np.float64)
        labeled = classes.codes >= 0
        mass = np.bincount(classes.codes[labeled], weight[labeled], minlength=len(classes.levels))
        factor = np.ones(table.height)
        # A class whose rows all have weight 0 stays at 0, whatever its factor.
        present = mass > 0
        if not present.any():
            return RowPlan.keep_all(table.height)
        by_class = np.ones(len(mass))
        by_class[present] = self._factors(classes.names, mass)[present]
        total = (mass[present] * by_class[present]).sum()
        if not total > 0:
            raise DataError(
                f"{self.key}: `weights` leave no row any weight. Give a class that has rows more than 0."
            )
        by_class *= mass.sum() / total
        factor[labeled] = by_class[classes.codes[labeled]]
        reason = np.full(table.height, "", dtype=object)
        reason[labeled] = np.array(
            [f"class '{n}': mass {m:.6g}" for n, m in zip(classes.names, mass, strict=True)]
        )[classes.codes[labeled]]
        self._tell(classes.names, mass)
        return RowPlan(np.ones(table.height, np.int64), weight=factor, reason=reason)

    def _factors(self, names: list[str], mass: np.ndarray) -> np.ndarray:
        """Return the factor of each class, before they are scaled; of a class without mass any."""
        if self.method == "given":
            if self.weights is None:
                raise StageError(f"{self.key}: method='given' needs `weights`, a factor per class.")
            places = [place_of(name, names, f"{self.key}: weights") for name in self.weights]
            given = np.ones(len(mass))
            given[places] = list(self.weights.values())
            return given
        mass = np.where(mass > 0, mass, 1.0)
        if self.method == "balanced":
            return 1 / mass
        if self.beta == 0:
            return np.ones(len(mass))
        # expm1 keeps the digits that 1 - beta ** m would lose as beta nears 1.
        return (self.beta - 1) / np.expm1(mass * np.log(self.beta))

    def _tell(self, names: list[str], mass: np.ndarray) -> None:
        small, large = int(mass.argmin()), int(mass.argmax())
        if mass[small] < mass[large]:
            self.report(
                "balance.classes",
                f"Class '{names[small]}' has mass {mass[small]:.6g}, "
                f"class '{names[large]}' {mass[large]:.6g}.",
                float(mass[small] / mass[large]),
                severity="medium" if mass[small] < 0.1 * mass[large] else "low",
                remedy={"balance.weight": {"method": "balanced" if self.method == "given" else self.method}},
            )
