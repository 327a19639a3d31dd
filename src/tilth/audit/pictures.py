"""The audit of images: files that cannot be read, copies, odd ones, cues, and what their embedding tells."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl

from tilth.audit.album import Album
from tilth.audit.cues import cues
from tilth.audit.embedded import Embedded, in_doubt
from tilth.audit.looking import EMBEDDED_LOOKERS, IMAGE_LOOKERS, LOOKERS, guarded, looker
from tilth.audit.looking import look as look_with
from tilth.audit.result import Facts, ImageFacts, Picture, Sheet
from tilth.core import RowPlan, RowStage, Stage
from tilth.core.finding import Finding, Severity
from tilth.images.copies import groups
from tilth.images.properties import properties
from tilth.table import ROW, Roles, Table
from tilth.table.container import free_name

FINDS = {
    "images.unused": "something about the folder is odd, or was left out",
    "images.test_unreadable": "images among the test rows cannot be read",
}

MANY, SOME = 0.05, 0.01
"""Shares of the test images from which on copies of training images are severe, or worth a word."""

MEASURED = ("brightness", "contrast", "sharpness", "saturation", "aspect", "width", "height")
"""Properties along which a model may do worse."""

MOST_SHOWN = 200
"""Images kept for a sheet; sets of copies are kept whole."""

Tell = Callable[[str], None]


@dataclass
class Seen:
    """Hold what was seen of images, and what the checks of other columns go on with.

    Parameters
    ----------
    table, rest : Table
        The rows; and those whose images can be read, without what belongs to the images: for other checks.
    album : Album
    measured : DataFrame
        The properties of the training images, in the order of `table`, with the hidden row ids.
    copies : ndarray of shape (n_rows,), int64
        The set of copies that each row of `table` is in.
    facts : ImageFacts
    findings : list of Finding
    sheets : list of Sheet
        The images behind findings, where more is told of them than their rows.
    embedded : Embedded or None
        The images as numbers.
    """

    table: Table
    rest: Table
    album: Album
    measured: pl.DataFrame
    copies: np.ndarray
    facts: ImageFacts = field(default_factory=ImageFacts)
    findings: list[Finding] = field(default_factory=list)
    sheets: list[Sheet] = field(default_factory=list)
    embedded: Embedded | None = None

    def sheets_of(self, findings: Sequence[Finding]) -> tuple[Sheet, ...]:
        """Return the images behind findings: as they were told, or those of their rows."""
        told = {id(sheet.finding): sheet for sheet in self.sheets}
        rest = lambda finding: tuple(self.album.pictures(finding.rows[:MOST_SHOWN]))
        return tuple(told.get(id(f)) or Sheet(f, rest(f)) for f in findings if f.rows)

    def facts_beside(self, facts: Facts) -> Facts:
        """Return the facts of an audit with those of the images."""
        return replace(facts, kinds=dict(self.table.kinds), looked_at=self.table.height, images=self.facts)

    def lookers(self) -> list[str]:
        """Name the stages that look at the other columns, and at what the images are as numbers."""
        # Rows whose other columns are the same are no copies: the images are what they hold.
        columns = [key for key in LOOKERS if key not in ("duplicates.exact", "labels.clean")]
        rows = EMBEDDED_LOOKERS if self.embedded is not None else ()
        return [*(columns if self.rest.features else ()), *rows]

    def for_rows(self, one: RowStage, rest: Table) -> Table:
        """Return what a row stage is to look at: images, or the numbers that stand for them."""
        if set(one.handles) == {"image"}:
            return self.table
        return self.numbers_beside(rest)

    def numbers_beside(self, rest: Table) -> Table:
        """Return the rows that can be read, with the embedding beside the features of `rest`."""
        if self.embedded is None:
            return rest
        numbers = self.embedded.table.frame.select(ROW, *self.embedded.columns)
        return rest.with_frame(rest.frame.join(numbers, on=ROW, how="inner", maintain_order="left")).collect()

    def measured_beside(self, rest: Table) -> Table:
        """Return rows with what was measured of their images beside the features of `rest`."""
        names = {name: free_name(name, rest.schema.names()) for name in MEASURED}
        told = self.measured.select(ROW, *MEASURED).rename(names).lazy()
        return rest.with_frame(rest.frame.join(told, on=ROW, how="left", maintain_order="left")).collect()

    def told(self, one: Stage, seen: Table, found: Sequence[Finding]) -> list[Finding]:
        """Return what a stage found, in words about images, and keep what it says of each for the sheets."""
        made = []
        for finding in found:
            if finding.kind in ("quality.unread", "duplicates.unread"):
                continue  # told by prune.unreadable, with the reasons
            if finding.kind == "duplicates.across":
                continue  # told of all parts of the split, below
            if finding.kind == "labels.issue":
                self.sheets.append(in_doubt(one, seen, finding, self.album))
            elif finding.stage == "duplicates.images":
                self.sheets.append(self._sets(finding))
            elif finding.rows:
                self.sheets.append(self._each(one, seen, finding))
            made.append(finding)
        return made

    def _each(self, one: Stage, seen: Table, finding: Finding) -> Sheet:
        """Return single images with the score that a stage gave them, and its reason."""
        plan: RowPlan | None = getattr(one, "plan_", None)
        place = {row: i for i, row in enumerate(seen.ids.tolist())}
        problem = dict(self.measured.select(ROW, "problem").drop_nulls().iter_rows())
        shown = []
        for row in finding.rows[:MOST_SHOWN]:
            at = place.get(row)
            more: dict[str, Any] = {"note": problem.get(row, "")}
            if plan is not None and at is not None:
                # Stages of images say it in words; which number of an embedding is odd tells nobody anything.
                if set(one.handles) == {"image"}:
                    more["note"] = more["note"] or ("" if plan.reason is None else str(plan.reason[at]))
                elif plan.score is not None and np.isfinite(plan.score[at]):
                    more["score"] = abs(float(plan.score[at]))
            shown += self.album.pictures([row], **more)
        return Sheet(finding, tuple(shown))

    def _sets(self, finding: Finding) -> Sheet:
        """Return whole sets of copies, in the order in which their rows are named."""
        ids = self.table.ids
        number = dict(zip(ids.tolist(), self.copies.tolist(), strict=True))
        order = np.argsort(self.copies, kind="stable")
        starts = np.searchsorted(self.copies[order], np.arange(self.copies.max() + 2))
        shown: list[Picture] = []
        for one in dict.fromkeys(number[row] for row in finding.rows if row in number):
            if len(shown) >= MOST_SHOWN:
                break
            shown += self.album.pictures(ids[order[starts[one] : starts[one + 1]]].tolist(), group=one)
        return Sheet(finding, tuple(shown))


def look(
    table: Table, test: Table | None, *, embedding: str | None, looks: bool, seed: int, tell: Tell
) -> Seen:
    """Look at the images of training rows, and at those of test rows for what is in both.

    Each file is decoded once, at a reduced scale, for all that is measured; for an embedding once more.

    Parameters
    ----------
    table, test : Table
        Rows with an image column, in memory.
    embedding : str or None
        What turns images into numbers; None: nothing is asked that needs them.
    looks : bool
        The stages of `IMAGE_LOOKERS` look, too.
    seed : int
    tell : callable
    """
    # By id, so that it does not matter in which order the rows came.
    table, test = _by_id(table), None if test is None else _by_id(test)
    parts = [table] if test is None else [table, test]
    measured, rate = _measured(parts, tell)
    mine = measured[: table.height].with_columns(pl.Series(ROW, table.ids))
    fine = mine["problem"].is_null()
    copies = groups(measured)
    readable = table.with_frame(table.frame.collect().filter(fine).lazy())
    seen = Seen(table, without_images(readable), Album.of(*parts), mine, copies[: table.height])
    seen.facts = _facts(parts, measured, rate)
    seen.findings += _notes(table)
    for key in IMAGE_LOOKERS if looks else ():
        one = looker(key, {}, IMAGE_LOOKERS)
        seen.findings += seen.told(one, table, look_with([one], table, tell))
    tell("copies across splits")
    seen.findings += guarded("the check 'across'", lambda: _across(parts, copies, seen))
    seen.findings += _unreadable_tests(test, measured[table.height :], seen)
    y = seen.rest.y
    if y is not None and fine.any():
        tell("cues")
        seen.findings += guarded("the check 'cues'", lambda: cues(mine.filter(fine), y, seed))
    if embedding is not None and fine.any():
        # One of each set of copies: a model would know a row by its copy, and copies are told already.
        mask = fine.to_numpy()
        first = np.zeros(int(mask.sum()), bool)
        first[np.unique(seen.copies[mask], return_index=True)[1]] = True
        paths = mine["path"].filter(fine).to_list()
        seen.embedded = Embedded.of(seen.rest, paths, first, embedding, tell)
        seen.facts = replace(seen.facts, embedding=seen.embedded.name)
        if embedding == "auto" and seen.embedded.name == "histograms":
            seen.findings.append(_fallback())
        tell("images alike, and far from others")
        for finding, sheet in seen.embedded.look(seen.album):
            seen.findings.append(finding)
            seen.sheets.append(sheet)
    return seen


def _fallback() -> Finding:
    told = "No pretrained network is installed: labels are judged, and outliers found, by histograms of "
    told += "edges and colors. A network sees more: pip install 'tilth[vision]'."
    return Finding("embed.fallback", told, 1.0, stage="audit.images")


def _by_id(table: Table) -> Table:
    return table.with_frame(table.frame.sort(ROW)).collect()


def _measured(parts: Sequence[Table], tell: Tell) -> tuple[pl.DataFrame, float]:
    """Measure all images once; return also how many in a second, 0 where all were measured before."""
    heard: list[str] = []

    def hear(told: str) -> None:
        heard.append(told)
        tell(f"measuring {told}")

    measured = properties(_paths(parts), progress=hear)
    told = re.search(r"\(([\d,]+)/s\)", heard[-1]) if heard else None
    return measured, float(told[1].replace(",", "")) if told else 0.0


def _paths(parts: Sequence[Table]) -> list[str]:
    paths = [part.frame.select(str(part.roles.image)).collect().to_series() for part in parts]
    return pl.concat([p.cast(pl.String).fill_null("").alias("path") for p in paths]).to_list()


def without_images(table: Table) -> Table:
    """Return the table without its images and what their headers tell, for the checks of other columns."""
    told = {role: name for role, name in table.roles.named().items() if role not in ("image", "facts")}
    gone = [c for c, kind in table.kinds.items() if kind == "image"]
    rest = table.frame.select(pl.exclude([*gone, *table.roles.facts]))
    return table.with_frame(rest, Roles(**told)).collect()


def _facts(parts: Sequence[Table], measured: pl.DataFrame, rate: float) -> ImageFacts:
    headers = [told for told in (part.facts() for part in parts) if told is not None]
    counted = lambda name: _counted(pl.concat([told[name] for told in headers])) if headers else {}
    sizes = measured.filter(pl.col("width").is_not_null()).select(
        pl.format("{}x{}", "width", "height").alias("size")
    )
    every = _counted(sizes["size"])
    bad = int(measured["problem"].is_not_null().sum())
    return ImageFacts(
        readable=measured.height - bad,
        unreadable=bad,
        bytes=int(measured["bytes"].sum()),
        formats=counted("format"),
        modes=counted("mode"),
        sizes=dict(list(every.items())[: ImageFacts.SIZES]),
        n_sizes=len(every),
        rate=rate,
    )


def _counted(values: pl.Series) -> dict[str, int]:
    told = values.drop_nulls().alias("value").value_counts().sort("count", "value", descending=[True, False])
    return dict(told.select("value", "count").iter_rows())


def _notes(table: Table) -> list[Finding]:
    notes = dict.fromkeys(table.notes)
    return [Finding("images.unused", note, 1.0, "low", stage="data") for note in notes]


def _across(parts: Sequence[Table], copies: np.ndarray, seen: Seen) -> Iterator[Finding]:
    """Find images of which a copy is in another part of the split: scores on them are known answers."""
    split = pl.concat([_part(part, name) for part, name in zip(parts, ("train", "test"), strict=False)])
    told = pl.DataFrame({"set": copies, "part": split, "row": np.concatenate([part.ids for part in parts])})
    wide = told.filter((pl.col("part").n_unique() > 1).over("set"))
    if wide.is_empty():
        return
    counts = told["part"].value_counts()
    of = dict(counts.select("part", "count").iter_rows())
    for kept in [p for p in ("test", "val") if p in of]:
        others = told.filter(pl.col("part") != kept)["set"].unique()
        hit = told.filter((pl.col("part") == kept) & pl.col("set").is_in(others.implode()))
        if hit.is_empty():
            continue
        share = hit.height / of[kept]
        severity: Severity = "high" if share >= MANY else "medium" if share >= SOME else "low"
        finding = Finding(
            "duplicates.across",
            f"{hit.height:,} of {of[kept]:,} images of '{kept}' ({share:.1%}) are copies of images outside "
            "it: what a model is asked there, it has seen. Keep each set of copies on one side.",
            share,
            severity,
            rows=tuple(hit["row"].head(Finding.ROWS_SHOWN).to_list()),
            n_rows=hit.height,
            remedy={"duplicates.images": {"action": "group"}},
            stage="audit.images",
        )
        yield finding
        chosen = hit["set"].unique(maintain_order=True).head(MOST_SHOWN // 2)
        sets = wide.filter(pl.col("set").is_in(chosen.implode())).sort("set", maintain_order=True)
        shown = [
            picture
            for number, part, row in sets.select("set", "part", "row").iter_rows()
            for picture in seen.album.pictures([row], group=number, note=part)
        ]
        seen.sheets.append(Sheet(finding, tuple(shown)))


def _part(table: Table, name: str) -> pl.Series:
    column = table.role("split")
    told = pl.repeat(name, table.height, dtype=pl.String, eager=True) if column is None else column
    return told.cast(pl.String).fill_null("train").alias("part")


def _unreadable_tests(test: Table | None, measured: pl.DataFrame, seen: Seen) -> list[Finding]:
    if test is None or not (bad := measured["problem"].is_not_null()).any():
        return []
    rows = test.ids[bad.to_numpy()]
    reasons = ", ".join(f"{n} {why}" for why, n in _counted(measured["problem"]).items())
    finding = Finding(
        "images.test_unreadable",
        f"{len(rows):,} of {test.height:,} test images cannot be read ({reasons}): a model that is asked "
        "about them gets nothing to see.",
        len(rows) / test.height,
        "medium",
        rows=tuple(rows[: Finding.ROWS_SHOWN].tolist()),
        n_rows=len(rows),
        stage="audit.images",
    )
    why = dict(zip(rows.tolist(), measured["problem"].drop_nulls().to_list(), strict=True))
    shown = [p for r in finding.rows[:MOST_SHOWN] for p in seen.album.pictures([r], note=why[r])]
    seen.sheets.append(Sheet(finding, tuple(shown)))
    return [finding]
