"""Leave out images that are too dark, too bright, blurry or empty, and tell which are unlike the others."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, get_args

import numpy as np
import polars as pl
from annotated_types import Ge, Gt, Le, MinLen

from tilth.core.plan import RowPlan
from tilth.core.stage import RowStage, Selection
from tilth.images.opening import MAX_PIXELS
from tilth.images.quality import ISSUES, Issue, judge, worst
from tilth.table import Table

UNUSABLE: tuple[Issue, ...] = ("dark", "bright", "blurry", "low_information")
"""What leaves little to learn from; the other issues say that an image is unlike most."""
CLASS = 0.5
"""A class keeps its images where it would lose more than this share of them."""

Share = Annotated[float, Ge(0), Le(1)]
Auto = Literal["auto"]


class PruneQuality(RowStage):
    """Drop, down-weight or report images of poor quality: dark, bright, blurry, empty, or unlike the others.

    What is measured is the luma of an image, 0 (black) to 1 (white), at its own scale or, if it is larger,
    with its shorter side reduced to 128 pixels: blur that is not seen there is not found. Whether leaving
    such images out helps a model is for `tilth.bench` to say.

    Learns
        Nothing but the limits that are 'auto'.
    Training
        'drop' leaves the images out that are beyond a limit. 'weight' multiplies the weight by how near the
        limit they are, 0 to 1. 'report' leaves all as it is. An issue that more than `most` of the images
        have is what these images are like: it is reported, and nothing is done. A class that would lose more
        than half of its images keeps them all, and is reported. Images that cannot be read are counted and
        left to `prune.unreadable`.
    Weights
        Do not sway the choice.
    Cost
        One decode of each image, at reduced scale, on all cores; remembered for unchanged files.
    Scaling
        Needs all images in one place for limits that are 'auto', and for sizes and shapes.

    Parameters
    ----------
    issues : {'unusable', 'all'} or list of str
        What is looked for: 'dark', 'bright', 'blurry', 'low_information', 'grey' (grey images where most are
        in color), 'odd_size', 'odd_aspect'. 'unusable' is the first four.
    dark : float, 0 to 1
        An image is dark if 99% of its pixels are darker than this.
    bright : float, 0 to 1
        An image is bright if 95% of its pixels are brighter than this.
    blurry : float, >= 0, or 'auto'
        An image is blurry if its sharpness is below this: its root mean squared Laplacian over its root mean
        squared slope, at full or half scale, whichever is less. Sharp images have 1.2 to 2 whatever their
        contrast and size; a Gaussian blur of 1.5 pixels leaves 0.7, of 3 pixels 0.4. 'auto': 5 robust
        standard deviations below the median image, but 0.7 at least and 1 at most.
    low_information : float, >= 0, or 'auto'
        In bits: an image is empty if the entropy of its 256 levels of grey is below this. 'auto': 5 robust
        standard deviations below the median image, but 0.5 at least and 3 at most.
    grey : float, 0 to 1
        An image is grey if the largest and the smallest channel differ by less than this in 99% of its
        pixels. Where more than half of the images are grey, none is reported.
    odd : float, > 0
        Sizes (the root of the area) and shapes (width by height) are odd if they lie this many quartile
        distances, in factors, beyond the quartiles; those that differ by less than 3% never are.
    most : float, 0 to 1
        The share of the images beyond which an issue is how these images are.
    max_pixels : int, at least 1
        In pixels: images of more are not decoded.
    action : {'drop', 'weight', 'report'}
        What is done.
    on : selection, optional
        The columns of images; by default all. The worst image of a row counts.

    Findings
        quality.dark : images with almost no light in them, the worst first; score, as of all: their share.
        quality.bright : images with almost nothing but light in them.
        quality.blurry : images with no sharp edge in them.
        quality.low_information : images with almost nothing to see in them.
        quality.grey : images that are grey among images in color.
        quality.odd_size : images that are much smaller or larger than most.
        quality.odd_aspect : images that are much wider or higher than most.
        quality.class : a class would lose more than half of its images; score: the share.
        quality.unread : images that could not be measured; score: their share.

    Source
        The issues, the limit of 'dark' and the highest of 'low_information' are those of the package
        ``cleanvision``, which ``benchmarks/images.py`` compares with on planted faults. The measure of
        sharpness was chosen among others by how well it finds blurred images among sharp ones, of 28
        pixels and more: `tilth.images.properties.sharpness` says what it is.

    Examples
    --------
    >>> import tempfile, numpy as np, polars as pl
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from tilth.table import Roles, Table
    >>> folder = Path(tempfile.mkdtemp())
    >>> noise = np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3)).astype(np.uint8)
    >>> noise[7] //= 10
    >>> for number, pixels in enumerate(noise):
    ...     Image.fromarray(pixels).save(folder / f"{number}.png")
    >>> rows = pl.DataFrame({"image": [str(folder / f"{number}.png") for number in range(12)]})
    >>> stage = PruneQuality().fit(Table.of(rows, roles=Roles(image="image")))
    >>> stage.plan_.reason[7], stage.findings_[0].kind, stage.findings_[0].n_rows
    ('dark (0.0863)', 'quality.dark', 1)
    """

    handles: ClassVar = ("image",)
    finds: ClassVar = {
        **{f"quality.{issue}": f"images: {told}" for issue, told in ISSUES.items()},
        "quality.class": "a class would lose most of its images",
        "quality.unread": "images could not be measured",
    }
    scaling: ClassVar = "local"

    def __init__(
        self,
        *,
        issues: Literal["unusable", "all"] | Annotated[list[Issue], MinLen(1)] = "unusable",
        dark: Share = 0.32,
        bright: Share = 0.85,
        blurry: Annotated[float, Ge(0)] | Auto = "auto",
        low_information: Annotated[float, Ge(0)] | Auto = "auto",
        grey: Share = 0.03,
        odd: Annotated[float, Gt(0)] = 3.0,
        most: Share = 0.2,
        max_pixels: Annotated[int, Ge(1)] = MAX_PIXELS,
        action: Literal["drop", "weight", "report"] = "drop",
        on: Selection = None,
    ) -> None:
        self.issues = issues
        self.dark = dark
        self.bright = bright
        self.blurry = blurry
        self.low_information = low_information
        self.grey = grey
        self.odd = odd
        self.most = most
        self.max_pixels = max_pixels
        self.action = action
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [
            {},
            {"issues": "all", "action": "report"},
            {"issues": ["blurry", "bright"], "blurry": 1.0, "bright": 0.5, "most": 1.0, "action": "weight"},
            {"issues": ["dark", "odd_size"], "dark": 0.5, "odd": 1.5, "max_pixels": 1_000_000},
        ]

    def plan(self, table: Table) -> RowPlan:
        """Judge the images, and say what becomes of those beyond a limit."""
        from tilth.images.properties import properties  # decoders: not for users of plain tables

        score = np.full(table.height, np.nan)
        reason = np.full(table.height, "", dtype=object)
        frame = table.frame.select(self.columns_).collect()
        for name in self.columns_:
            looked = properties(frame[name].cast(pl.String).to_list(), max_pixels=self.max_pixels)
            one, why = self._judge(table, name, looked)
            score = np.fmin(score, one)
            reason = np.where((reason != "") & (why != ""), reason + "; " + why, reason + why)
        out = self._spared(table, score < 1)
        times, weight = np.ones(table.height, np.int64), None
        if self.action == "drop":
            times[out] = 0
        elif self.action == "weight":
            weight = np.where(out, score, 1.0)
        return RowPlan(times, weight=weight, reason=np.where(out, reason, ""), score=score)

    def _judge(self, table: Table, name: str, looked: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Judge the images of one column, report what is found, and return what is to be acted on."""
        asked = {"unusable": UNUSABLE, "all": get_args(Issue)}.get(str(self.issues), self.issues)
        count, acted_on = table.height, {}
        for issue in asked:
            limit = self.odd if issue.startswith("odd") else getattr(self, issue)
            judged = judge(looked, issue, limit)
            rows = judged.flagged
            share = float(rows.mean())
            usual = share > self.most
            if not usual:
                acted_on[issue] = judged
            if not rows.any():
                continue
            self.report_rows(
                f"quality.{issue}",
                f"{int(rows.sum())} of {count} images ({share:.2%}) {ISSUES[issue]}: {judged.rule}."
                + (" They are so many that nothing is done about them." if usual else ""),
                table.ids[rows],
                judged.score[rows],
                score=share,
                severity="medium" if issue in UNUSABLE and not usual else "low",
                columns=(name,),
                remedy={self.key: {"issues": [issue]}} if issue in UNUSABLE else None,
            )
        unread = int(looked["problem"].is_not_null().sum())
        if unread:
            self.report(
                "quality.unread",
                f"{unread} of {count} images in '{name}' could not be read, so that nothing is said of them.",
                unread / count,
                n_rows=unread,
                columns=(name,),
                remedy={"prune.unreadable": {}},
            )
        return worst(acted_on, count)

    def _spared(self, table: Table, out: np.ndarray) -> np.ndarray:
        """Take back what would cost a class most of its images, and report it."""
        target = table.role("target")
        if target is None or not out.any() or target.dtype.is_float():
            return out
        classes = pl.DataFrame({"y": target, "out": out}).drop_nulls("y").group_by("y")
        lost = classes.agg(pl.len().alias("rows"), pl.col("out").sum()).sort("y")
        for label, count, gone in lost.filter(pl.col("out") > CLASS * pl.col("rows")).iter_rows():
            self.report(
                "quality.class",
                f"{gone} of {count} images of class '{label}' ({gone / count:.0%}) are of poor quality: this "
                "may be what the class looks like. They are kept; look at them.",
                gone / count,
                severity="high",
                n_rows=gone,
            )
            out = out & ~(target == label).fill_null(False).to_numpy()
        return out
