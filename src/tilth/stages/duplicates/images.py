"""Find images that are copies of another, and leave one of them."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Ge, Gt, Le

from tilth.core.plan import RowPlan
from tilth.core.stage import RowStage, Selection
from tilth.images.copies import APART, RADIUS, Copies
from tilth.images.opening import MAX_PIXELS
from tilth.images.properties import properties
from tilth.neighbors.leaders import NearSets
from tilth.stages.cells import codes_of
from tilth.stages.grouping import joined_groups
from tilth.table import Table


class DuplicatesImages(RowStage):
    """Drop, down-weight or group images that are copies: the same file, or the same picture encoded anew.

    A near copy shows the same picture in another format, quality or size. Two images are compared if their
    perceptual hashes differ in few bits; that alone takes shirts for copies of shirts. So it must be
    confirmed: the cosines of both pictures must be the same, but for fine detail that shrinking and encoding
    take away. Pictures without contrast, such as blank pages, are copies only if their files are the same.
    Cut, turned, mirrored or recolored copies are not near copies here; after `embed.images`,
    `duplicates.near` finds some.

    Learns
        Nothing.
    Training
        'drop' leaves one image of each set, and every one that goes is a copy of one that stays: no chain of
        copies is followed, unless there are more than 4 million pairs. 'weight' gives each the weight
        1 / (images in its set), so that a set counts as one. 'group' makes one group of it, chains followed
        and whatever the labels, so that splits and folds keep copies on one side. Where the table has a
        split, its test rows stay, and copies of them go from the others. Reasons name the row that is kept.
        Images that cannot be read have no near copies. No file is touched.
    Weights
        Kept with their rows; 'weight' multiplies them.
    Cost
        One decode of each image, at reduced scale, on all cores, as in `prune.quality`: it is done once and
        remembered for unchanged files. Then seconds for 60,000 images.
    Scaling
        Needs all rows in one place: some 300 bytes of each. Does not depend on their order.

    Parameters
    ----------
    match : {'near', 'exact'}
        What is a copy: the same picture, or only the same bytes.
    radius : int, 0 to 16
        In bits of 64: images whose perceptual hashes differ in more are not compared.
    threshold : float, > 0
        How far apart copies may be: what of the one picture is not explained by the other, as a share of its
        contrast. JPEG of quality 50 to 95 leaves 0.015 of pictures of 28 pixels a side, 0.045 at most.
    keep : {'largest', 'first'}
        Which image of a set stays: the one of most pixels, of these the one of most bytes; or the one whose
        path comes first in the alphabet, which also decides where sizes are equal.
    conflicts : {'keep', 'drop', 'ignore'}
        What becomes of copies that have different labels. 'keep': one of each label stays. 'drop': none
        stays, for one label is wrong and nobody knows which. 'ignore': labels are not looked at.
    max_pixels : int, at least 1
        In pixels: images of more are not decoded, so that only their bytes are compared.
    action : {'drop', 'weight', 'group', 'report'}
        What is done; 'report' leaves the rows as they are.
    on : selection, optional
        The columns of images; by default all. Rows with several images are copies if each of these is.

    Findings
        duplicates.exact : files that hold the same bytes as another; score: their share of all rows.
        duplicates.near : images that show the same picture as another; score: their share.
        duplicates.conflict : copies that have different labels; score: their share.
        duplicates.across : test rows of which there is a copy outside of the test rows; score: their share.
        duplicates.unread : images that could not be compared; score: their share.

    Source
        The hash is that of the package ``ImageHash``. Peers: ``imagededup`` and ``cleanvision``, which take
        equal hashes for copies; ``benchmarks/images.py`` counts planted copies found by each.

    Examples
    --------
    >>> import tempfile, numpy as np, polars as pl
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from tilth.table import Roles, Table
    >>> folder = Path(tempfile.mkdtemp())
    >>> for number in range(3):
    ...     noise = np.random.default_rng(number).integers(0, 256, (6, 6), dtype=np.uint8)
    ...     Image.fromarray(noise).resize((60, 60)).save(folder / f"{number}.png")
    >>> Image.open(folder / "1.png").resize((48, 48)).save(folder / "again.jpg")
    >>> rows = pl.DataFrame({"image": sorted(map(str, folder.iterdir()))})
    >>> table = DuplicatesImages().fit_resample(Table.of(rows, roles=Roles(image="image")))
    >>> [Path(path).name for path in table.X()["image"]]
    ['0.png', '1.png', '2.png']
    """

    handles: ClassVar = ("image",)
    finds: ClassVar = {
        "duplicates.exact": "files hold the same bytes as another",
        "duplicates.near": "images show the same picture as another",
        "duplicates.conflict": "copies have different labels",
        "duplicates.across": "test rows have a copy outside of the test rows",
        "duplicates.unread": "images could not be compared",
    }
    scaling: ClassVar = "local"

    def __init__(
        self,
        *,
        match: Literal["near", "exact"] = "near",
        radius: Annotated[int, Ge(0), Le(16)] = RADIUS,
        threshold: Annotated[float, Gt(0)] = APART,
        keep: Literal["largest", "first"] = "largest",
        conflicts: Literal["keep", "drop", "ignore"] = "keep",
        max_pixels: Annotated[int, Ge(1)] = MAX_PIXELS,
        action: Literal["drop", "weight", "group", "report"] = "drop",
        on: Selection = None,
    ) -> None:
        self.match = match
        self.radius = radius
        self.threshold = threshold
        self.keep = keep
        self.conflicts = conflicts
        self.max_pixels = max_pixels
        self.action = action
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [
            {},
            {"match": "exact", "keep": "first", "conflicts": "ignore"},
            {"radius": 10, "threshold": 0.1, "conflicts": "drop"},
            {"action": "weight", "max_pixels": 1_000_000},
            {"action": "group"},
            {"action": "report"},
        ]

    def plan(self, table: Table) -> RowPlan:
        """Find copies, and say which go."""
        if not self.columns_:
            return RowPlan.keep_all(table.height)
        frame = table.frame.select(pl.col(self.columns_).cast(pl.String)).collect()
        looked = [properties(frame[name].to_list(), max_pixels=self.max_pixels) for name in self.columns_]
        copies, label, split = self._copies(looked), table.y, table.role("split")
        together = copies.together()
        test = (
            np.zeros(table.height, bool) if split is None else (split == "test").fill_null(False).to_numpy()
        )
        torn = np.zeros(table.height, bool) if label is None else _several(together, label)
        labels = codes_of(label) if label is not None and self.conflicts == "keep" else None
        rank = np.argsort(self._turns(frame, looked, test, table.ids))
        near = NearSets.of_pairs(copies.i, copies.j, copies.apart, copies.unit, rank, labels)
        repeats = near.leader != np.arange(table.height)
        exact = repeats & (copies.exact == copies.exact[near.leader])
        apart = np.where(exact, 0.0, near.apart)
        self._tell(table, copies, exact, repeats & ~exact, apart)
        self._tell_sets(table, together, torn, test)
        self._tell_unread(looked)
        torn &= self.conflicts == "drop"
        count = np.bincount(near.leader)[near.leader]
        facts = table.facts()
        names = frame[self.columns_[0]] if facts is None else facts["file"]
        reason = np.full(table.height, "", dtype=object)
        if self.action == "weight":
            reason[count > 1] = [f"one of {n} copies" for n in count[count > 1]]
        reason[repeats] = [
            f"same bytes as row {row} ({name})" if same else f"copy of row {row} ({name}), distance={far:.3g}"
            for row, name, same, far in zip(
                table.ids[near.leader[repeats]],
                names.gather(near.leader[repeats]),
                exact[repeats],
                apart[repeats],
                strict=True,
            )
        ]
        if self.action == "drop":
            reason[test] = ""
            reason[torn & ~test] = "copies of it have other labels"
        gone = (repeats | torn) & ~test
        return RowPlan(
            np.where(gone & (self.action == "drop"), 0, 1).astype(np.int64),
            weight=1 / count if self.action == "weight" else None,
            group=joined_groups(table, together) if self.action == "group" else None,
            reason=reason,
            score=np.where(repeats, apart, np.nan),
        )

    def _copies(self, looked: list[pl.DataFrame]) -> Copies:
        """Find the copies among rows: of rows with several images, those in which all are."""
        radius = self.radius if self.match == "near" else None
        found = [Copies.find(one, radius=radius, threshold=self.threshold) for one in looked]
        if len(found) == 1:
            return found[0]
        codes = lambda many: np.unique(np.column_stack(many), axis=0, return_inverse=True)[1].ravel()
        nothing = np.empty(0, np.int64)
        return Copies(
            codes([one.together() for one in found]),
            codes([one.exact for one in found]),
            nothing,
            nothing,
            np.empty(0),
        )

    def _turns(
        self, frame: pl.DataFrame, looked: list[pl.DataFrame], test: np.ndarray, ids: np.ndarray
    ) -> np.ndarray:
        """Return the rows in the order in which they are to stay."""
        path = frame[self.columns_[0]].fill_null("").rank("dense").to_numpy()
        keys = [ids, path]
        if self.keep == "largest":
            pixels = [(one["width"].cast(pl.Int64) * one["height"]).fill_null(0).to_numpy() for one in looked]
            size = [one["bytes"].fill_null(0).to_numpy() for one in looked]
            keys += [-np.sum(size, axis=0), -np.sum(pixels, axis=0)]
        return np.lexsort([*keys, ~test])

    def _tell(
        self, table: Table, copies: Copies, exact: np.ndarray, almost: np.ndarray, apart: np.ndarray
    ) -> None:
        many = np.bincount(copies.exact)[copies.exact]
        for kind, rows, worst, told in (
            ("exact", exact, -many, "hold the same bytes as another file"),
            ("near", almost, apart, "show the same picture as another, in other bytes"),
        ):
            if not rows.any():
                continue
            share = float(rows.mean())
            self.report_rows(
                f"duplicates.{kind}",
                f"{int(rows.sum())} of {len(rows)} images ({share:.1%}) {told}.",
                table.ids[rows],
                worst[rows],
                score=share,
                severity="medium" if share > 0.01 else "low",
                columns=tuple(self.columns_),
                remedy={self.key: {} if kind == "near" else {"match": "exact"}},
            )

    def _tell_sets(self, table: Table, together: np.ndarray, torn: np.ndarray, test: np.ndarray) -> None:
        for kind, rows, of, told, remedy in (
            ("conflict", torn, len(test), "images ({:.1%}) have a copy with another label", "drop"),
            (
                "across",
                test & _several(together, pl.Series(test)),
                int(test.sum()),
                "test images ({:.1%}) have a copy outside of the test rows, so that scores on them flatter",
                "keep",
            ),
        ):
            if not rows.any():
                continue
            share = int(rows.sum()) / of
            self.report_rows(
                f"duplicates.{kind}",
                f"{int(rows.sum())} of {of} {told.format(share)}.",
                table.ids[rows],
                together[rows],
                score=share,
                severity="high" if share > 0.01 else "medium",
                columns=tuple(self.columns_),
                remedy={self.key: {"conflicts": remedy}},
            )

    def _tell_unread(self, looked: list[pl.DataFrame]) -> None:
        for name, one in zip(self.columns_, looked, strict=True):
            bad = int(one["problem"].is_not_null().sum())
            if bad:
                self.report(
                    "duplicates.unread",
                    f"{bad} of {one.height} images in '{name}' could not be decoded: only files of the same "
                    "bytes are found among them.",
                    bad / one.height,
                    n_rows=bad,
                    columns=(name,),
                    remedy={"prune.unreadable": {}},
                )


def _several(sets: np.ndarray, values: pl.Series) -> np.ndarray:
    """Tell which rows are in a set that has different values; null is none."""
    told = pl.DataFrame({"set": sets, "value": values})
    return told.select((pl.col("value").drop_nulls().n_unique() > 1).over("set")).to_series().to_numpy()
