"""Keep few rows that stand for all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Gt, Le

from tilth.core.plan import RowPlan
from tilth.core.stage import RowStage, Selection
from tilth.neighbors import Space
from tilth.neighbors.centers import k_center
from tilth.stages.answers import Answers
from tilth.stages.judging import Judge, judge
from tilth.stages.reading import in_hashed_order, read_columns, readable
from tilth.statistics.herding import herd
from tilth.table import Table


@dataclass
class Chosen:
    """Hold which rows are kept, the kept row that stands for each, and what is told of the choice."""

    keep: np.ndarray
    heir: np.ndarray
    score: np.ndarray | None = None
    told: str = ""
    loss: float = 0.0

    @classmethod
    def none(cls, rows: int) -> Chosen:
        """Begin with no row kept."""
        return cls(np.zeros(rows, dtype=bool), np.arange(rows))


class PruneCoreset(RowStage):
    """Keep a share of the rows, chosen so that a model trained on them loses little.

    Whether it loses less than on rows drawn at random is not said: on many tables it does not.

    Learns
        Which rows are kept. 'k_center' takes, one after another, the row farthest from those taken; 'herding'
        the row that brings the mean of those taken nearest to the mean of all; 'margin' those whose label
        a probe that did not see them finds right by the smallest lead, and then, where more are asked for,
        the misjudged ones nearest to the line: a lead far below 0 is more often a wrong label.
    Training
        'drop' keeps the chosen rows; 'weight' does, too, and has them carry the weight of the rows they
        stand for: with 'k_center' those nearest to it, else an equal part of its class. So the weight of
        each class is left as it was, but for 'k_center' with `stratify` False. 'report' leaves the rows
        as they are. Rows without a label, where there is a target, are left alone, and rows of weight 0;
        'margin' also keeps rows that could not be judged.
    Weights
        Do not sway the choice, but for the probe of 'margin'.
    Cost
        'k_center' and 'herding': O(rows x kept x columns) time, O(rows x columns) memory. 'margin':
        `folds` fits of the probe.
    Scaling
        Needs all rows in one place. Ties and the first center go by hashed id, folds by seed and id.

    Parameters
    ----------
    method : {'k_center', 'herding', 'margin'}
        How rows are chosen, as told above.
    share : float, in (0, 1]
        The share of the rows that is kept.
    size : int, at least 1, or None
        How many are kept, in place of `share`; each class keeps one at least.
    stratify : bool
        Choose in each class by itself, in proportion to its rows. A target of numbers has no classes. With
        False a class that would lose all its rows keeps one.
    probe : {'auto', 'linear', 'boosting', 'mlp'} or estimator
        For 'margin': who judges.
    folds : int, >= 2
        For 'margin': parts that are judged one after another.
    action : {'drop', 'weight', 'report'}
        What is done with the others, and with the weight of those kept.
    random_state : int
        For 'margin': seed of folds and probe.
    on : selection, optional
        The columns; by default all that are numeric, categorical, boolean or dates.

    Findings
        prune.coreset : what the rows kept leave out; score: the largest distance to a row kept
            ('k_center'), the distance of the means in standard deviations ('herding'), or the mean lead of
            the rows kept ('margin').

    Raises
        DataError : no column can be read as numbers; 'margin' without a target of at least two classes.

    Source
        Gonzalez, "Clustering to minimize the maximum intercluster distance" (1985), as used by Sener and
        Savarese, "Active learning for convolutional neural networks: a core-set approach", ICLR 2018;
        Welling, "Herding dynamical weights to learn", ICML 2009, in the form of iCaRL (CVPR 2017); Coleman
        et al., "Selection via proxy", ICLR 2020, for margins of a cheap model in place of counts of
        forgetting (Toneva et al., ICLR 2019), which take a whole training run.

    Examples
    --------
    >>> import polars as pl
    >>> rows = pl.DataFrame({"a": [0.0, 0.1, 5.0, 5.1], "b": [1.0, 1.0, 1.0, 1.0]})
    >>> PruneCoreset(size=2).fit_resample(rows, [0, 0, 0, 0.5])[0]["a"].round(0).to_list()
    [0.0, 5.0]
    """

    handles: ClassVar = ("numeric", "categorical", "boolean", "datetime")
    finds: ClassVar = {"prune.coreset": "what the rows kept leave out"}
    scaling: ClassVar = "local"

    def __init__(
        self,
        *,
        method: Literal["k_center", "herding", "margin"] = "k_center",
        share: Annotated[float, Gt(0), Le(1)] = 0.3,
        size: Annotated[int, Ge(1)] | None = None,
        stratify: bool = True,
        probe: Judge = "linear",
        folds: Annotated[int, Ge(2)] = 5,
        action: Literal["drop", "weight", "report"] = "drop",
        random_state: int = 0,
        on: Selection = None,
    ) -> None:
        self.method = method
        self.share = share
        self.size = size
        self.stratify = stratify
        self.probe = probe
        self.folds = folds
        self.action = action
        self.random_state = random_state
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [
            {},
            {"size": 20, "stratify": False, "action": "weight"},
            {"method": "herding", "share": 0.5, "action": "weight"},
            {"method": "margin", "folds": 3, "share": 0.4},
            {"method": "herding", "action": "report"},
        ]

    @property
    def recipe(self) -> bool:
        """Tell whether a recipe can name it: not with an estimator in it."""
        return isinstance(self.probe, str)

    def plan(self, table: Table) -> RowPlan:
        """Choose the rows to keep, and say what becomes of the others."""
        if not readable(self, table, "can be read as numbers"):
            return RowPlan.keep_all(table.height)
        codes = np.zeros(table.height, np.int64)
        order, weight = in_hashed_order(table.ids), table.role("weight")
        counts = np.ones(table.height) if weight is None else weight.to_numpy().astype(np.float64)
        order = order[counts[order] > 0]
        if table.roles.target is not None or self.method == "margin":
            answers = Answers.of(table, self.key)
            order, codes = order[answers.known[order]], answers.codes
        if not len(order):
            return RowPlan.keep_all(table.height)
        choose = {"k_center": self._centers, "herding": self._herded, "margin": self._leading}[self.method]
        order, chosen = choose(table, order, codes)
        if not len(order):
            return RowPlan.keep_all(table.height)
        return self._act(table, order, codes, counts, chosen)

    def _parts(self, order: np.ndarray, codes: np.ndarray) -> list[tuple[np.ndarray, int]]:
        """Return the rows to choose among, class by class, and how many are kept of each."""
        asked = self.size if self.size is not None else round(self.share * len(order))
        parts = (
            [order[codes[order] == code] for code in np.unique(codes[order])] if self.stratify else [order]
        )
        lengths = np.array([len(part) for part in parts], dtype=np.int64)
        exact = lengths * min(asked, len(order)) / max(len(order), 1)
        sizes = np.maximum(np.floor(exact), 1).astype(np.int64)
        # What is left of the number asked for goes to the largest remainders.
        left = max(asked - int(sizes.sum()), 0)
        sizes[np.argsort(sizes - exact, kind="stable")[:left]] += 1
        return list(zip(parts, np.minimum(sizes, lengths).tolist(), strict=True))

    def _centers(self, table: Table, order: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, Chosen]:
        """Choose rows that no other is far from."""
        reading, matrix = read_columns(table, self.columns_)
        if not reading.columns:
            return order[:0], Chosen.none(table.height)
        space = Space(categorical=tuple(reading.categorical.tolist()))
        chosen = Chosen.none(table.height)
        chosen.score = np.zeros(table.height)
        for part, size in self._parts(order, codes):
            centers, center_of, apart = k_center(space, matrix[part], size)
            chosen.keep[part[centers]] = True
            chosen.heir[part] = part[centers][center_of]
            chosen.score[part] = -apart
        apart = -chosen.score[order]
        reached = apart[np.isfinite(apart)]
        lost = f"; {len(apart) - len(reached)} share no cell with any" if len(reached) < len(apart) else ""
        radius = float(reached.max(initial=0))
        chosen.told = (
            f"no other row is farther than {radius:.3g} from one of them, {reached.mean():.3g} in the "
            f"mean (in standard deviations, over {len(reading.columns)} columns){lost}"
        )
        chosen.loss = radius
        chosen.score = np.where(np.isfinite(chosen.score), chosen.score, np.nan)
        return order, chosen

    def _herded(self, table: Table, order: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, Chosen]:
        """Choose rows whose mean is that of their class."""
        reading, matrix = read_columns(table, self.columns_)
        if not reading.columns:
            return order[:0], Chosen.none(table.height)
        wide = reading.one_hot(matrix)
        # A gap says nothing of where the mean should be.
        wide = np.where(np.isnan(wide), np.nan_to_num(np.nanmean(wide, axis=0)), wide)
        chosen, worst = Chosen.none(table.height), (0.0, 0.0)
        for part, size in self._parts(order, codes):
            own = wide[part]
            kept = herd(own, size)
            chosen.keep[part[kept]] = True
            apart = float(np.sqrt(np.square(own[kept].mean(axis=0) - own.mean(axis=0)).mean()))
            drawn = float(np.sqrt(own.var(axis=0).mean() * (1 / size - 1 / len(part))))
            worst = max(worst, (apart, drawn))
        chosen.told = (
            f"their mean lies {worst[0]:.2g} from that of all, in the root mean square over columns "
            f"(in standard deviations; a draw by chance: about {worst[1]:.2g})"
        )
        if self.stratify and len(np.unique(codes[order])) > 1:
            chosen.told += ", in the class where that is most"
        chosen.loss = worst[0]
        return order, chosen

    def _leading(self, table: Table, order: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, Chosen]:
        """Choose rows whose label is found right by a small lead."""
        found = judge(
            table,
            self.columns_,
            self.key,
            probe=self.probe,
            folds=self.folds,
            repeats=1,
            looks=1,
            random_state=self.random_state,
        )
        chosen = Chosen.none(table.height)
        if not len(found.rows):
            return order[:0], chosen
        own = found.probabilities[np.arange(len(found.rows)), found.labels]
        others = found.probabilities.copy()
        others[np.arange(len(found.rows)), found.labels] = -np.inf
        lead = np.full(table.height, np.nan)
        lead[found.rows] = own - others.max(axis=1)
        order = order[np.isfinite(lead[order])]
        order = order[np.lexsort((np.abs(lead[order]), lead[order] < 0))]
        for part, size in self._parts(order, codes):
            chosen.keep[part[:size]] = True
        kept, out = lead[order][chosen.keep[order]], lead[order][~chosen.keep[order]]
        chosen.told = (
            f"the {found.probe} probe finds their labels by a lead of {kept.min():.2f} to {kept.max():.2f}, "
            f"{kept.mean():.2f} in the mean; of those left out it misjudges {int((out < 0).sum())}"
        )
        chosen.loss, chosen.score = float(kept.mean()), lead
        return order, chosen

    def _act(
        self, table: Table, order: np.ndarray, codes: np.ndarray, counts: np.ndarray, chosen: Chosen
    ) -> RowPlan:
        if not self.stratify:
            _keep_classes(order, codes, chosen)
        keep = chosen.keep
        out = order[~keep[order]]
        kept = len(order) - len(out)
        self.report(
            "prune.coreset",
            f"{kept} of {len(order)} rows stand for all ({self.method}): {chosen.told}.",
            chosen.loss,
            n_rows=len(out),
        )
        times, weight = np.ones(table.height, np.int64), None
        reason = np.full(table.height, "", dtype=object)
        ids = table.ids
        if self.method == "k_center":
            reason[out] = [f"row {ids[heir]} stands for it" for heir in chosen.heir[out]]
        else:
            reason[out] = f"not among the {kept} rows kept by {self.method}"
        if self.action != "report":
            times[out] = 0
        if self.action == "weight":
            carried = self._carried(order, codes, counts, chosen)
            weight = np.ones(table.height)
            rows = order[keep[order]]
            weight[rows] = carried[rows] / counts[rows]
            reason[rows] = [f"counts for {times:.3g} rows like it" for times in weight[rows]]
        return RowPlan(times, weight=weight, reason=reason, score=chosen.score)

    def _carried(
        self, order: np.ndarray, codes: np.ndarray, counts: np.ndarray, chosen: Chosen
    ) -> np.ndarray:
        """Return the weight that each kept row carries: that of the rows it stands for."""
        carried = np.zeros(len(counts))
        if self.method == "k_center":
            np.add.at(carried, chosen.heir[order], counts[order])
            return carried
        for code in np.unique(codes[order]):
            own = order[codes[order] == code]
            carried[own] = counts[own].sum() / chosen.keep[own].sum()
        return carried


def _keep_classes(order: np.ndarray, codes: np.ndarray, chosen: Chosen) -> None:
    """Keep the first row of each class that would lose all."""
    for code in np.unique(codes[order]):
        own = order[codes[order] == code]
        if not chosen.keep[own].any():
            chosen.keep[own[0]] = True
            chosen.heir[own[0]] = own[0]
