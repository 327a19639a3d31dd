"""Sheets of small images: what a finding or a stage is about, to be looked at."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np
import polars as pl

from tilth.audit.album import Album
from tilth.audit.result import Audit, Picture
from tilth.errors import ImageError
from tilth.images.decode import decode, resized
from tilth.images.each import each
from tilth.report import pictures
from tilth.report.elements import Child, Element, element, name_of
from tilth.report.words import ACTIONS, count

SIDE = 112
"""Pixels of a thumbnail's longer side; a smaller image is kept as it is."""
SHARP = 56
"""Up to this side an image is shown enlarged with its pixels to be seen."""
QUALITY = 80
PER_SHEET = 24
"""Images shown for one finding."""
PER_PAGE = 360
"""Images shown in one report; many sheets show fewer each, down to `FEWEST`."""
FEWEST = 4
LISTED = 200
"""File names listed below a sheet."""
EPOCHS, CLASSES = 4, 6
"""How often an image is shown augmented, and how many images are."""
SCORES = {
    "labels.issue": "the probability of its label, by a model that never saw the image",
    "outliers.rows": "how far its nearest others are",
    "images.alike": "how far the nearest other is; 1 is usual",
}
"""What the number below an image says."""
SHOWN_ACTIONS = ("dropped", "relabeled", "weighted")


def thumbnail(path: str, side: int = SIDE) -> tuple[str, int] | str:
    """Return a small copy of an image as a data URI with its longer side, or why there is none.

    Parameters
    ----------
    path : str
        The file, or what else opens it.
    side : int, pixels
        The longer side of the copy; an image is never enlarged.
    """
    try:
        return as_uri(decode(path, side=side), side)
    except ImageError as error:
        return error.reason


def as_uri(pixels: np.ndarray, side: int = SIDE) -> tuple[str, int]:
    """Return pixels (height, width, 3) as a JPEG in a data URI, and the longer side of it."""
    import simplejpeg

    height, width = pixels.shape[:2]
    scale = min(side / max(height, width), 1.0)
    height, width = (max(round(length * scale), 1) for length in (height, width))
    small = resized(pixels, height, width)
    # Chroma at half resolution blurs the edges of what is small anyway.
    packed = simplejpeg.encode_jpeg(
        np.ascontiguousarray(small), quality=QUALITY, colorspace="RGB", colorsubsampling="444"
    )
    return f"data:image/jpeg;base64,{base64.b64encode(packed).decode('ascii')}", max(height, width)


def sheet(shown: Sequence[Picture], most: int = PER_SHEET, total: int = 0) -> Element:
    """Show images side by side, each with its name, label, suggested label and score.

    Images of one group, copies of one another, share a frame. What there is no room for is named.

    Parameters
    ----------
    shown : sequence of Picture
        The first are the most telling ones.
    most : int
        How many are shown as images.
    total : int
        How many there are, where more than are given.
    """
    some, rest = _parted(shown, most)
    made = dict(zip(some, each(lambda p: thumbnail(p.path), some), strict=True))
    frames = []
    for group, members in groupby(some, key=lambda p: p.group):
        inside = [_figure(p, made[p]) for p in members]
        frames += inside if group is None else [element("div", inside, class_="copies")]
    return element("div", element("div", frames, class_="sheet"), _rest(rest, total - len(some)))


def behind(audit: Audit) -> Element | None:
    """Show the images behind each finding, in the order of the findings."""
    from tilth.report.parts import badge, section

    sheets = [s for s in audit.sheets if s.pictures]
    if not sheets:
        return None
    most = max(min(PER_PAGE // len(sheets), PER_SHEET), FEWEST)
    blocks = [
        element(
            "div",
            element("h3", element("bdi", s.finding.message)),
            element(
                "p",
                badge(s.finding.severity),
                " ",
                element("code", s.finding.kind),
                f" · the number: {SCORES[s.finding.kind]}" if s.finding.kind in SCORES else None,
                class_="note",
            ),
            sheet(s.pictures, most, s.finding.n_rows),
            class_="shown",
        )
        for s in sheets
    ]
    lead = (
        "The images behind each finding, the most telling first; copies of one another share a frame. "
        "They are small copies, kept inside this file."
    )
    return section("images", "The images", element("p", lead, class_="lead"), blocks)


def done(run: Any) -> Element | None:
    """Show what a run did to images: those left out or given another label, and augmented ones.

    Parameters
    ----------
    run : RunResult
    """
    from tilth.report.parts import section

    if run.before.roles.image is None:
        return None
    album = Album.of(run.before)
    events = run.ledger.events.with_columns(pl.col("action").cast(pl.String))
    touched = events.filter(pl.col("action").is_in(list(SHOWN_ACTIONS)))
    parts = touched.partition_by("stage", "action", maintain_order=True)
    most = max(min(PER_PAGE // max(len(parts), 1), PER_SHEET), FEWEST)
    blocks = []
    for part in parts:
        stage, action = part.row(0, named=True)["stage"], part.row(0, named=True)["action"]
        shown = [album.touched(line) for line in part.head(most + LISTED).iter_rows(named=True)]
        title = [element("code", stage), f": {count(part.height, 'image')} {ACTIONS[action]}"]
        block = [element("h3", title), sheet(shown, most, part.height)]
        blocks.append(element("div", block, class_="shown"))
    blocks += _augmented(run, album)
    if not blocks:
        return None
    lead = "Training images that stages touched, with the reason that the ledger keeps. No file was changed."
    return section("pictures", "What became of images", element("p", lead, class_="lead"), blocks)


def _augmented(run: Any, album: Album) -> list[Element]:
    """Show one image of each class as it is, and as a loader sees it in the first epochs."""
    steps = run.pipeline.stages_ if hasattr(run, "pipeline") else []
    stages = [stage for _, stage in steps if getattr(stage, "per_image", False)]
    if not stages:
        return []
    frames = []
    for picture in album.examples(run.after.ids, CLASSES):
        try:
            pixels = decode(picture.path, side=2 * SIDE)
        except ImageError:
            continue
        seen = [_figure(picture, as_uri(pixels))]
        label = album.labels.get(picture.row)
        for epoch in range(EPOCHS):
            changed = pixels
            for stage in stages:
                changed = stage.augment_image(changed.copy(), row=picture.row, epoch=epoch, label=label)
            told = replace(picture, name=f"epoch {epoch + 1}", label=None)
            seen.append(_figure(told, as_uri(changed)))
        frames.append(element("div", seen, class_="copies"))
    names = ", ".join(stage.key for stage in stages)
    note = f"One image of each class as it is, and as a loader would see it in {EPOCHS} epochs."
    title = element("h3", element("code", names), ": augmented")
    block = [title, element("p", note, class_="note"), element("div", frames, class_="sheet")]
    return [element("div", block, class_="shown")] if frames else []


def _parted(shown: Sequence[Picture], most: int) -> tuple[list[Picture], list[Picture]]:
    """Part what is shown from what is named; a group is cut only where it is larger than a sheet."""
    some: list[Picture] = []
    for group, members in groupby(shown, key=lambda p: p.group):
        mine = list(members)
        if group is not None and some and len(some) + len(mine) > most:
            break
        some += mine[: most - len(some)]
        if len(some) == most:
            break
    places = {id(p) for p in some}
    return some, [p for p in shown if id(p) not in places]


def _figure(shown: Picture, made: tuple[str, int] | str) -> Element:
    if isinstance(made, str):
        drawn = element("span", made, class_="none")
    else:
        sharp = "small" if made[1] <= SHARP else None
        drawn = element("img", src=made[0], alt=shown.name, title=shown.name, loading="lazy", class_=sharp)
    told: list[Child] = [element("span", name_of(shown.name), class_="file", title=shown.name)]
    if shown.label is not None:
        label: list[Child] = [name_of(shown.label)]
        if shown.suggested is not None:
            label += [" → ", element("b", name_of(shown.suggested))]
        told.append(element("span", label))
    if shown.score is not None:
        told.append(element("span", f"{shown.score:.3g}".replace("-", pictures.MINUS), class_="score"))
    if shown.note:
        told.append(element("span", element("bdi", shown.note)))
    frame = element("div", drawn, class_="frame")
    return element("figure", frame, element("figcaption", told), class_="thumb")


def _rest(rest: Sequence[Picture], total: int) -> Element | None:
    left = max(total, len(rest))
    if not rest:
        return element("p", f"and {left:,} more", class_="note") if left else None
    listed: list[Element] = [element("li", _named(p)) for p in rest[:LISTED]]
    if left > len(listed):
        listed.append(element("li", f"and {left - len(listed):,} more"))
    return element(
        "details", element("summary", f"{count(left, 'more image')}, by name"), element("ul", listed)
    )


def _named(shown: Picture) -> Iterable[Child]:
    yield name_of(shown.name)
    if shown.label is not None:
        yield from (" · ", name_of(shown.label))
    if shown.suggested is not None:
        yield from (" → ", name_of(shown.suggested))
    if shown.note:
        yield from (" · ", element("bdi", shown.note))
