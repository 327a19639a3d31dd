"""Make rows of the rarer classes between those there are."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge

from tilth.core.plan import RowPlan
from tilth.core.stage import RowStage, Selection
from tilth.stages.ratios import Ratio
from tilth.stages.smoting import FINDS, Method, Scale, Smoting
from tilth.table import Table


class BalanceSMOTE(RowStage):
    """Make rows of the rarer classes by interpolation between neighbors (SMOTE) until each has enough.

    Learns
        Nothing.
    Training
        A made row lies between a row of its class, the base, and one of the base's `k` nearest rows of the
        class. Numbers, dates and times are interpolated; dates, and columns that hold whole numbers only, in
        whatever type, are rounded, so that 0 and 1 stay 0 and 1. A category or boolean is what most of the
        neighbors have, ties by lot (SMOTE-NC); where the chosen columns hold categories only, the base votes
        too, and rows are near where their categories go with like shares of the classes (SMOTE-N). All other
        columns have the base's cells.

        Rows are compared over the cells that both have. A made cell is missing where the base's is; where the
        neighbor's alone is missing, or one of the two is infinite, it is the base's.

        Each class gets exactly the rows that `ratio` asks for. Bases take turns: each is used equally often,
        to within one, or by the weight that the method gives it; the rest, neighbors and places between are
        drawn by seed and row id. A class of no more than `k` rows has fewer neighbors, and one of a single
        row is repeated, both with a warning. Where there are groups, neighbors are of the base's group, and a
        base without one is repeated. Rows without a label are left alone.

        The plan names the parents of each made row: base and neighbor, with their shares of it; then, where
        there are categories, the base's other neighbors, whose vote has no share. In SMOTE-N all voters have
        the same share.
    Weights
        Not used to choose rows. A made row has the mix of its parents' weights.
    Cost
        All pairs within each class that grows, exactly, in matrix products: O(class^2 x columns) time and
        blocks of a few MiB. 'borderline-1', 'borderline-2', 'svm' and 'adasyn' also compare the class with
        all rows. 'svm' fits a support vector classifier: O(rows^2) or more.
    Scaling
        Needs all rows of a class in one place; draws do not depend on the rows' order or partition.

    Made rows shift the class frequencies that a model sees, and so its probabilities: see `correct_prior`.

    Parameters
    ----------
    method : {'regular', 'borderline-1', 'borderline-2', 'svm', 'kmeans', 'adasyn'}
        Which rows are bases. 'regular': all. 'borderline-1': those with half or more, but not all, of their
        `m` nearest rows in other classes; 'borderline-2': the same, and neighbors may be of another class,
        no more than half the way to which a row lies. 'svm': support vectors that are not among other classes
        alone; from those with most of their `m` nearest rows in their own class rows are made outwards.
        'kmeans': those in clusters of which the class is at least half, the sparser the cluster the more; no
        row is made between clusters. 'adasyn': all, the more the more of their `k` nearest rows are of other
        classes. Where a method finds no base for a class, all its rows are, with a warning.
    k : int, >= 1
        Neighbors of a base that rows are made towards.
    m : int, >= 1
        For 'borderline-1', 'borderline-2' and 'svm': neighbors among all rows by which the border is found.
    clusters : int, >= 1
        For 'kmeans'.
    ratio : float in (0, 1], 'equal' or dict of class to int
        Rows of each smaller class per row of the largest; 'equal' is 1; or how many rows a class is to have.
    scale : {'standard', 'none'}
        Neighbors are found among numbers in standard deviations, as if the stage came after
        `scale.standard`; or in the units they have, where the column of the largest numbers decides.
    device : {'cpu', 'auto', 'cuda', 'mps'}
        Where neighbors are looked for; the rows made are the same.
    correct_prior : bool
        Let the pipeline and the bench turn a model's probabilities back to the class frequencies there were
        before (Saerens et al. 2002, equation 2.4).
    random_state : int
        Seed of the draws.
    on : selection, optional
        The columns that are compared and made; by default all that are numeric, categorical, boolean or
        dates. All others have the base's cells.

    Findings
        balance.classes : a class is smaller than `ratio` asks for; score: smallest / largest.
        balance.few : a class has no more than `k` rows, so neighbors are fewer; score: its rows.
        balance.alone : rows without a neighbor in their group, or with no cell in common with any, were
            repeated; score: their share of the rows added.
        balance.method : the method found no base in a class, so all its rows were; score: the class's rows.

    Raises
        DataError : the target holds values, not classes; no column can be compared; the table holds images,
        of which a made row would have none of its own.
        TilthError : the device is not present.

    Source
        Chawla et al., "SMOTE: synthetic minority over-sampling technique", JAIR 16 (2002), figure 3 and
        section 6; the variants in `tilth.stages.bases`. Peers: imbalanced-learn's ``SMOTE``, ``SMOTENC``,
        ``SMOTEN`` (of two classes), ``BorderlineSMOTE``, ``SVMSMOTE``, ``KMeansSMOTE`` and ``ADASYN``; with
        ``scale='none'`` neighbors, categories and bases are the same. There bases are drawn independently;
        ADASYN and KMeansSMOTE round, so that their counts are near; SVMSMOTE makes half of the rows outwards,
        by lot; and the share towards a row of another class in borderline-2 is drawn twice.

    Examples
    --------
    >>> import polars as pl
    >>> X = pl.DataFrame({"a": [0.0, 1.0, 2.0, 3.0, 4.0, 10.0, 12.0], "c": list("ppqqqrr")})
    >>> stage = BalanceSMOTE(k=1)
    >>> out, y = stage.fit_resample(X, ["no"] * 5 + ["yes"] * 2)
    >>> out["a"][7:].is_between(10, 12).all(), out["c"][7:].to_list(), y[7:].tolist()
    (True, ['r', 'r', 'r'], ['yes', 'yes', 'yes'])
    """

    handles: ClassVar = ("numeric", "categorical", "boolean", "datetime")
    finds: ClassVar = FINDS
    needs_target: ClassVar = True
    shifts_prior: ClassVar = True
    scaling: ClassVar = "local"

    def __init__(
        self,
        *,
        method: Method = "regular",
        k: Annotated[int, Ge(1)] = 5,
        m: Annotated[int, Ge(1)] = 10,
        clusters: Annotated[int, Ge(1)] = 8,
        ratio: Ratio = "equal",
        scale: Scale = "standard",
        device: Literal["cpu", "auto", "cuda", "mps"] = "cpu",
        correct_prior: bool = True,
        random_state: int = 0,
        on: Selection = None,
    ) -> None:
        self.method = method
        self.k = k
        self.m = m
        self.clusters = clusters
        self.ratio = ratio
        self.scale = scale
        self.device = device
        self.correct_prior = correct_prior
        self.random_state = random_state
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [
            {},
            {"method": "borderline-1", "k": 2, "m": 5, "ratio": 0.9, "scale": "none", "on": "numeric"},
            {"ratio": {"yes": 100}, "on": "categorical", "random_state": 7, "correct_prior": False},
            {"method": "borderline-2"},
            {"method": "svm"},
            {"method": "kmeans", "clusters": 3},
            {"method": "adasyn"},
        ]

    def plan(self, table: Table) -> RowPlan:
        """Say which rows are made, and of which."""
        return Smoting(
            self,
            ratio=self.ratio,
            method=self.method,
            k=self.k,
            m=self.m,
            clusters=self.clusters,
            scale=self.scale,
            device=self.device,
            random_state=self.random_state,
        ).plan(table)
