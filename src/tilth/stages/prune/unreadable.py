"""Leave out rows whose image cannot be read."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Ge

from tilth.core.plan import RowPlan
from tilth.core.stage import RowStage, Selection
from tilth.errors import DataError
from tilth.table import Table

WORDS = {
    "missing": "there is no such file",
    "permission": "this user may not read the file",
    "empty": "the file has no bytes",
    "not an image": "its bytes are those of no image, whatever its name says",
    "truncated": "the file ends before the picture does",
    "too large": "it has more pixels than max_pixels",
    "unsupported": "an image of a format that is not read",
    "broken": "its bytes cannot be decoded",
}
"""What the reasons mean."""


class PruneUnreadable(RowStage):
    """Leave out rows whose image file is missing, cut off, no image, or too large to be decoded.

    No file is touched: the ledger names each row with its reason.

    Learns
        Which files cannot be used, and why: 'missing', 'permission', 'empty' (no bytes), 'not an image',
        'truncated', 'too large', 'unsupported' (an image of another format than JPEG, PNG, WebP, TIFF, BMP
        and GIF) or 'broken'. A name whose suffix is that of another format is no fault.
    Training
        'drop' leaves these rows out. 'report' leaves them where they are: later stages then take what they
        cannot read as missing.
    Weights
        Do not sway it.
    Cost
        'decode': each file is read whole and decoded, at a reduced scale, on all cores, as `prune.quality`
        and `duplicates.images` do: it is done once and remembered. 'header': some 100 bytes of each.
    Scaling
        Row by row: exact.

    Parameters
    ----------
    check : {'decode', 'header'}
        Decode each image, or read its header only, where a picture that is cut off may look whole.
    max_pixels : int, at least 1
        In pixels, width times height: an image of more is not decoded. A file of some kilobytes may unpack
        to any size.
    action : {'drop', 'report'}
        What is done with the rows.
    on : selection, optional
        The columns of images; by default all. A row is left out if one of its images cannot be read.

    Findings
        prune.unreadable : images that cannot be used, for each reason; score: their share of the rows.

    Raises
        DataError : no row would be left.

    Source
        Its own: `tilth.images` says how each reason is told. Formats are read by Pillow and simplejpeg.

    Examples
    --------
    >>> import polars as pl
    >>> from tilth.table import Roles, Table
    >>> rows = pl.DataFrame({"path": ["no/such.jpg", "nor/this.png"], "label": ["cat", "dog"]})
    >>> stage = PruneUnreadable(action="report")
    >>> stage.fit(Table.of(rows, roles=Roles("label", image="path"))).findings_[0].message
    "2 of 2 images cannot be used: missing (there is no such file), such as 'no/such.jpg'."
    """

    handles: ClassVar = ("image",)
    finds: ClassVar = {"prune.unreadable": "images that cannot be used"}

    def __init__(
        self,
        *,
        check: Literal["decode", "header"] = "decode",
        max_pixels: Annotated[int, Ge(1)] = 100_000_000,
        action: Literal["drop", "report"] = "drop",
        on: Selection = None,
    ) -> None:
        self.check = check
        self.max_pixels = max_pixels
        self.action = action
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [{}, {"check": "header"}, {"action": "report", "max_pixels": 1_000_000}]

    def plan(self, table: Table) -> RowPlan:
        """Find the files that cannot be used."""
        frame = table.frame.select(self.columns_).collect()
        reason = pl.Series("reason", [None] * table.height, dtype=pl.String)
        for name in self.columns_:
            reason = reason.fill_null(self._problems(frame[name]))
        bad = reason.is_not_null().to_numpy()
        for problem, rows in reason.to_frame().with_row_index("place").drop_nulls().group_by("reason"):
            self._tell(table, frame, str(problem[0]), np.sort(rows["place"].to_numpy()))
        self.findings_.sort(key=lambda finding: (-finding.score, finding.message))
        if self.action == "report" or not bad.any():
            return RowPlan.keep_all(table.height)
        if bad.all():
            told = " ".join(finding.message for finding in self.findings_[:3])
            raise DataError(f"prune.unreadable: none of the {len(bad)} images can be used. {told}")
        return RowPlan((~bad).astype(np.int64), reason=reason.fill_null("").to_numpy())

    def _problems(self, paths: pl.Series) -> pl.Series:
        from tilth.images.facts import facts
        from tilth.images.properties import properties

        known = paths.cast(pl.String).fill_null("")
        look = properties if self.check == "decode" else facts
        return look(known.to_list(), max_pixels=self.max_pixels)["problem"]

    def _tell(self, table: Table, frame: pl.DataFrame, problem: str, rows: np.ndarray) -> None:
        told = table.facts()
        names = frame[self.columns_[0]] if told is None else told["file"]
        count = table.height
        self.report_rows(
            "prune.unreadable",
            f"{len(rows)} of {count} images cannot be used: {problem} ({WORDS.get(problem, problem)}), "
            f"such as {names[int(rows[0])]!r}.",
            table.ids[rows],
            np.zeros(len(rows)),
            score=len(rows) / count,
            severity="medium" if len(rows) < count / 20 else "high",
            columns=tuple(self.columns_),
            remedy={"prune.unreadable": {}},
        )
