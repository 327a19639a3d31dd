"""Find rows that are almost the same, and leave one of them."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge

from tilth.core.plan import RowPlan
from tilth.core.stage import RowStage, Selection
from tilth.errors import DataError
from tilth.neighbors import Space
from tilth.neighbors.close import close_radius
from tilth.neighbors.leaders import NearSets
from tilth.stages.cells import Cells, codes_of, differing
from tilth.stages.grouping import joined_groups
from tilth.statistics import uniform
from tilth.table import Table


class DuplicatesNear(RowStage):
    """Drop, down-weight or group rows that are almost the same as another.

    Two rows are as far apart as numbers differ, in standard deviations, and categories: the root of the sum
    of squared differences, where two different categories count 1. Dates count as numbers of days; vectors
    and images must be equal. Exact copies are at distance 0, so that this stage treats them, too.

    Learns
        Nothing.
    Training
        'drop' leaves rows that are farther apart than `threshold`, and every row that goes is within it of
        one that stays: no chain of near rows is followed. 'weight' gives each row of such a set the weight
        1 / (rows in the set), so that it counts as one row. 'group' makes one group of rows that are near to
        each other, chains followed, so that splits and folds keep them on one side: without groups each
        row gets one, named by the smallest id in it; groups that are tied together become one. All pairs are
        found, exactly; reasons name the near row, its distance and the columns in which the rows differ.
    Weights
        Kept with their rows; 'weight' multiplies them. Distances do not take them into account.
    Cost
        Parting and comparing rows that may be near: little more than O(rows x columns) where the threshold
        is small against the spread. ``benchmarks/near.py`` prints time and memory for a million rows.
    Scaling
        Needs all rows in one place. Does not depend on their order: the row of the smallest id is the
        first, and ids are positions in the source unless a key column is named.

    Parameters
    ----------
    threshold : {'auto'} or float, >= 0
        How near is almost the same. 1 is one category, or one standard deviation of one number. 'auto' is a
        tenth of the median distance between a row and its nearest (of 500 rows, drawn by id), less where
        there are so few columns that rows are that near by chance, and always less than one category: rows
        that are merely similar are seldom taken. Where most rows have a near copy, give a number.
    text : {'as_is', 'case', 'words'}
        When texts and categories are the same. 'case': small and capital letters and surplus spaces aside;
        'words': punctuation aside, too ('-1' and '1' are the same then).
    missing : {'compare', 'skip'}
        'compare': a missing cell is like another missing one, and one category away from any other.
        'skip': the distance is taken over the columns that both rows have, scaled up to all.
    target : bool
        Rows are near only if their labels are equal; a target of fractions is one more number to compare.
        With False, labels are not looked at.
    keep : {'first', 'complete'}
        Which row of a set stays: the one of the smallest id, or of those with most cells.
    action : {'drop', 'weight', 'group', 'report'}
        What is done; 'report' leaves the rows as they are.
    on : selection, optional
        The columns compared; by default all features. Leave out columns that number the rows.

    Findings
        duplicates.near : rows are almost the same as another; score: their share of all rows.

    Raises
        DataError : the threshold is so wide that too many rows are near each other.

    Source
        The threshold follows cleanlab's Datalab, which calls rows near duplicates whose nearest neighbor is
        within 0.13 of the median such distance. Peers: plain loops over all pairs, and scikit-learn's
        ``NearestNeighbors``; the tests compare pairs.

    Examples
    --------
    >>> import polars as pl
    >>> X = pl.DataFrame({"a": [1.0, 2.0, 1.001, 9.0], "b": ["Oslo", "Rome", " oslo", "Rome"]})
    >>> DuplicatesNear(threshold=0.01).fit_resample(X)[0]["b"].to_list()
    ['Oslo', 'Rome', 'Rome']
    """

    finds: ClassVar = {"duplicates.near": "rows are almost the same as another"}
    scaling: ClassVar = "local"

    def __init__(
        self,
        *,
        threshold: Literal["auto"] | Annotated[float, Ge(0)] = "auto",
        text: Literal["as_is", "case", "words"] = "case",
        missing: Literal["compare", "skip"] = "compare",
        target: bool = True,
        keep: Literal["first", "complete"] = "first",
        action: Literal["drop", "weight", "group", "report"] = "drop",
        on: Selection = None,
    ) -> None:
        self.threshold = threshold
        self.text = text
        self.missing = missing
        self.target = target
        self.keep = keep
        self.action = action
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [
            {},
            {"threshold": 0.5, "missing": "skip", "keep": "complete", "text": "words"},
            {"threshold": 1.0, "action": "weight", "target": False, "text": "as_is"},
            {"threshold": 0.3, "action": "group"},
            {"threshold": 1.2, "action": "report"},
        ]

    def plan(self, table: Table) -> RowPlan:
        """Find the rows that are near each other, and say which go."""
        if not self.columns_:
            return RowPlan.keep_all(table.height)
        cells, near, radius = self._search(table)
        repeats = near.leader != np.arange(table.height)
        count = np.bincount(near.leader)[near.leader]
        reason = np.full(table.height, "", dtype=object)
        if self.action == "weight":
            first = ~repeats & (count > 1)
            reason[first] = [f"one of {n} rows that are almost the same" for n in count[first]]
        names = differing(cells.frame, np.flatnonzero(repeats), near.leader[repeats])
        reason[repeats] = [
            f"near row {row} (distance={apart:.3g}): {name}" if name else f"same as row {row}"
            for row, apart, name in zip(
                table.ids[near.leader[repeats]], near.apart[repeats], names, strict=True
            )
        ]
        almost = repeats.copy()
        almost[repeats] = [bool(name) for name in names]
        self._tell(table.ids, near.apart, almost, repeats, radius)
        return RowPlan(
            np.where(repeats & (self.action == "drop"), 0, 1).astype(np.int64),
            weight=1 / count if self.action == "weight" else None,
            group=joined_groups(table, near.together) if self.action == "group" else None,
            reason=reason,
            score=np.where(repeats, near.apart, np.nan),
        )

    def _search(self, table: Table) -> tuple[Cells, NearSets, float]:
        """Find the rows that are near each other, by the radius that is asked for or that the rows tell."""
        label, target = table.y if self.target else None, table.roles.target
        compared = list(self.columns_)
        if label is not None and target is not None and label.dtype.is_float():
            compared, label = [*compared, target], None
        cells = Cells.read(table, compared, text=self.text, missing=self.missing)
        space = Space(categorical=cells.categorical)
        asked = self.threshold
        radius = close_radius(space, cells.matrix, uniform(0, table.ids)) if asked == "auto" else float(asked)
        # The row of the smallest id is the first, or that of those that miss the fewest cells.
        turns = np.lexsort((table.ids, cells.missing) if self.keep == "complete" else (table.ids,))
        labels = None if label is None else codes_of(label)
        try:
            return cells, NearSets.find(space, cells.matrix, radius, np.argsort(turns), labels), radius
        except DataError as error:
            error.add_note(f"In stage {self.key}, parameter 'threshold'.")
            raise

    def _tell(
        self, ids: np.ndarray, apart: np.ndarray, almost: np.ndarray, repeats: np.ndarray, radius: float
    ) -> None:
        if not almost.any():
            return
        share = float(almost.mean())
        copies = int(repeats.sum() - almost.sum())
        self.report_rows(
            "duplicates.near",
            f"{int(almost.sum())} of {len(ids)} rows ({share:.1%}) are almost the same as another: within "
            f"{radius:.3g} of it. Exact copies are not counted ({copies}).",
            ids[almost],
            apart[almost],
            score=share,
            severity="medium" if share > 0.01 else "low",
            columns=tuple(self.columns_),
            remedy={"duplicates.near": {} if self.threshold == "auto" else {"threshold": self.threshold}},
        )
