"""Make rows of the rarer classes, then drop what lies among other classes."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Ge

from tilth.core.plan import RowPlan, apply
from tilth.core.stage import RowStage, Selection
from tilth.stages import cleaning, smoting
from tilth.stages.classed import ClassedRows, Scale
from tilth.stages.ratios import Ratio
from tilth.table import Table


class BalanceCombine(RowStage):
    """Make rows of the rarer classes (SMOTE), and drop rows, made or not, that lie among other classes.

    Learns
        Nothing that stays.
    Training
        Rows are made as by balance.smote, of all rows of a class, to the counts that `ratio` asks for. Then
        made and source rows are cleaned together, as by balance.clean: what goes of those made is never made,
        so that it leaves no trace; source rows go with a reason that names the neighbors. Counts are those
        of `ratio` less what goes. Of a class that would lose all its rows one stays. For other ways to make
        rows or to clean, put balance.smote and balance.clean one after another.
    Weights
        Not used to choose rows. A made row has the mix of its parents' weights.
    Cost
        That of balance.smote, and that of balance.clean for the rows there are then.
    Scaling
        Needs all rows in one place; draws do not depend on the rows' order or partition.

    Made and dropped rows shift the class frequencies that a model sees, and so its probabilities: see
    `correct_prior`.

    Parameters
    ----------
    ratio : float in (0, 1], 'equal' or dict of class to int
        Rows of each smaller class per row of the largest; 'equal' is 1; or how many rows a class is to have,
        before it is cleaned.
    k : int, >= 1
        Neighbors of its class that a row is mixed with one of; fewer in a small class, with a warning.
    cleaning : {'enn', 'repeated_enn', 'all_knn', 'ncr', 'tomek'}
        Which rows go; see balance.clean.
    cleaning_k : int, >= 1
        Neighbors asked whether a row goes.
    kind : {'all', 'mode'}
        For 'enn', 'repeated_enn' and 'all_knn': whether all of the neighbors must be of a row's class, or its
        class must be the most frequent among them.
    classes : {'auto', 'all'} or list of classes
        Of which classes rows may go: all but the smallest (of equally small ones the first), all, or those
        named.
    scale : {'standard', 'none'}
        Numbers are compared in standard deviations, or in the units they have.
    device : {'cpu', 'auto', 'cuda', 'mps'}
        Where neighbors are looked for; the rows are the same.
    correct_prior : bool
        Let the pipeline and the bench turn a model's probabilities back to the class frequencies there were
        before (Saerens et al. 2002, equation 2.4).
    random_state : int
        Seed of the draws.
    on : selection, optional
        The columns that rows are compared by and made of; by default all that are numeric, categorical,
        boolean or dates. Other columns have the cells of the row that a made row starts from.

    Findings
        balance.classes : the smallest class is smaller than `ratio` times the largest.
        balance.few : a class, or the table, has fewer rows than neighbors are asked for.
        balance.alone : rows have no neighbor of their class, and were repeated.
        balance.border : rows, made or not, lie among other classes; score: their share.
        balance.spared : a class would have lost all its rows.

    Raises
        DataError : the target holds values, not classes; a class named does not exist; no column can be read;
        the table holds images, of which a made row would have none of its own.
        TilthError : the device is not present.

    Source
        Batista, Prati and Monard, "A study of the behavior of several methods for balancing machine learning
        training data", SIGKDD Explorations 6 (2004). Peers: imbalanced-learn's ``SMOTEENN`` and
        ``SMOTETomek``, whose cleaning of the same made rows keeps the same rows.

    Examples
    --------
    >>> import polars as pl
    >>> X = pl.DataFrame({"a": [0.0, 0.1, 0.2, 0.3, 1.05, 0.4, 1.0, 1.1]})
    >>> stage = BalanceCombine(k=1, cleaning_k=1).fit(X, ["no"] * 6 + ["yes"] * 2)
    >>> np.flatnonzero(stage.plan_.times == 0).tolist(), stage.plan_.fresh.height
    ([4], 2)
    """

    handles: ClassVar = ("numeric", "categorical", "boolean", "datetime")
    finds: ClassVar = {
        code: told
        for code, told in (smoting.FINDS | cleaning.FINDS).items()
        if code != "balance.method"  # all rows of a class are made from
    }
    scaling: ClassVar = "local"
    needs_target: ClassVar = True
    shifts_prior: ClassVar = True

    def __init__(
        self,
        *,
        ratio: Ratio = "equal",
        k: Annotated[int, Ge(1)] = 5,
        cleaning: Literal["enn", "repeated_enn", "all_knn", "ncr", "tomek"] = "enn",
        cleaning_k: Annotated[int, Ge(1)] = 3,
        kind: Literal["all", "mode"] = "all",
        classes: cleaning.Cleaned = "all",
        scale: Scale = "standard",
        device: Literal["cpu", "auto", "cuda", "mps"] = "cpu",
        correct_prior: bool = True,
        random_state: int = 0,
        on: Selection = None,
    ) -> None:
        self.ratio = ratio
        self.k = k
        self.cleaning = cleaning
        self.cleaning_k = cleaning_k
        self.kind = kind
        self.classes = classes
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
            {"cleaning": "tomek", "ratio": 0.8, "scale": "none", "random_state": 5, "correct_prior": False},
            {"cleaning": "ncr", "classes": ["no"], "k": 3},
            {"cleaning": "all_knn", "kind": "mode", "classes": "auto"},
        ]

    def plan(self, table: Table) -> RowPlan:
        """Say which rows are made, and which of all go."""
        made = smoting.Smoting(
            self,
            ratio=self.ratio,
            k=self.k,
            scale=self.scale,
            device=self.device,
            random_state=self.random_state,
        ).plan(table)
        if not self.columns_:
            return made
        grown = apply(made, table, self.key, seed=self.random_state)
        # Copies and fresh rows follow the source rows.
        new = grown.height - int((made.times > 0).sum())
        rows = ClassedRows.of(grown, self.columns_, self.key, self.scale, made=new)
        if not len(rows.codes):
            return made
        verdict = cleaning.clean_by(
            self.cleaning,
            rows,
            cleaning.may_go(rows, self.classes, f"{self.key}: classes"),
            k=cleaning.neighbors_to_ask(self, self.cleaning, rows, self.cleaning_k),
            kind=self.kind,
            device=self.device,
            random_state=self.random_state,
        )
        verdict = cleaning.spare_and_report(self, rows, verdict)
        return _without(made, rows, verdict)


def _without(made: RowPlan, rows: ClassedRows, verdict: cleaning.Verdict) -> RowPlan:
    """Take the rows that go out of a plan; a source row that goes whole has the reason why."""
    take, height = made.take, len(made.times)
    stays = np.ones(len(made.sources), dtype=bool)
    stays[rows.places[verdict.gone]] = False
    times = np.bincount(take[stays[: len(take)]], minlength=height)
    reason = np.full(height, "", dtype=object) if made.reason is None else made.reason.copy()
    score = np.full(height, np.nan)
    old = rows.places < len(take)
    score[take[rows.places[old]]] = verdict.score[old]
    for row in np.flatnonzero(verdict.gone & old):
        place = take[rows.places[row]]
        if times[place] == 0:
            reason[place] = verdict.reason[row]
    kept = stays[len(take) :]
    if made.fresh is None or not kept.any():
        return RowPlan(times, reason=reason, score=score)
    return replace(
        made,
        times=times,
        reason=reason,
        score=score,
        fresh=made.fresh.filter(pl.Series(kept)),
        parents=None if made.parents is None else made.parents[kept],
        shares=None if made.shares is None else made.shares[kept],
    )
