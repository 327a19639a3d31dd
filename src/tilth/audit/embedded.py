"""What images as numbers tell: labels in doubt, images far from all others, copies that hashes miss."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from threadpoolctl import get_cached_controller

from tilth.audit.album import Album
from tilth.audit.kept import Answer, kept
from tilth.audit.result import Sheet
from tilth.core.finding import Finding
from tilth.errors import TilthError
from tilth.neighbors import Space, groups_of, nearest
from tilth.stages.detecting import limit_of
from tilth.stages.judging import Judgment, digest
from tilth.statistics import label_quality
from tilth.table import Table
from tilth.table.container import free_name

if TYPE_CHECKING:
    from tilth.core import Stage

FINDS = {"images.alike": "images are so alike that one may be an edited copy of the other"}

NUMBERS = 128
"""Principal components that stand for an image: they tell labels about as well as all do, in less time."""

NEAREST = 10
"""Neighbors by which an image is far from others, or not."""

NEAR = 0.4
"""Images are alike whose distance is below this share of what is usual between nearest images."""

FEW = 20
"""With fewer images there is nothing usual."""

MOST_SHOWN = 200


@dataclass(frozen=True)
class Embedded:
    """Hold images as numbers, beside the other features and the roles of their rows.

    Parameters
    ----------
    table : Table
        One row for each image that can be read, one of each set of copies.
    columns : tuple of str
        The columns that stand for the image.
    name : str
        What made the numbers.
    """

    table: Table
    columns: tuple[str, ...]
    name: str

    @classmethod
    def of(
        cls,
        rest: Table,
        paths: Sequence[str],
        chosen: np.ndarray,
        embedding: str,
        tell: Callable[[str], None],
    ) -> Embedded:
        """Embed the images of the rows that are chosen.

        Parameters
        ----------
        rest : Table
            All rows, without their images.
        paths : sequence of str
            Their images.
        chosen : ndarray of shape (n_rows,), bool
        embedding : str
            A name that `tilth.training.backbones.backbone` knows.
        tell : callable
        """
        from tilth.training.backbones import backbone

        model = backbone(embedding)
        some = [path for path, keep in zip(paths, chosen, strict=True) if keep]
        vectors = model.embed(some, progress=lambda told: tell(f"embedding {told}"))
        fine = np.isfinite(vectors).all(axis=1)
        chosen = chosen.copy()
        chosen[np.flatnonzero(chosen)[~fine]] = False
        numbers = components(vectors if fine.all() else vectors[fine])
        frame = rest.frame.collect().filter(pl.Series(chosen))
        names: list[str] = []
        for place in range(numbers.shape[1]):
            names.append(free_name(f"embedding_{place + 1}", [*frame.columns, *names]))
        frame = frame.with_columns(pl.Series(n, numbers[:, i]) for i, n in enumerate(names))
        return cls(rest.with_frame(frame.lazy()), tuple(names), model.name)

    def look(self, album: Album) -> Iterator[tuple[Finding, Sheet]]:
        """Find images that are almost the same, though hashes tell them apart, and images far from others."""
        rows = self.table.height
        if rows < FEW or not self.columns:
            return
        matrix = self.table.frame.select(self.columns).collect().to_numpy().astype(np.float64)
        answer = kept("nearest", (matrix, NEAREST), lambda: _nearest(matrix))
        apart, other, far = answer["apart"], answer["other"], answer["far"]
        usual = float(np.median(apart))
        if usual <= 0:
            return
        hit = np.flatnonzero(apart < NEAR * usual)
        if len(hit):
            yield self._alike(hit, apart / usual, other, album)
        limit, _ = limit_of(far, "adjusted")
        out = np.flatnonzero(far > limit)
        if len(out):
            yield self._far(out[np.argsort(-far[out], kind="stable")], far / usual, album)

    def _alike(
        self, hit: np.ndarray, apart: np.ndarray, other: np.ndarray, album: Album
    ) -> tuple[Finding, Sheet]:
        rows, ids = self.table.height, self.table.ids
        sets = groups_of(hit, other[hit], rows)
        members = np.flatnonzero(np.isin(sets, sets[hit]))
        # The nearest pair first, each set in one piece.
        best = np.full(int(sets.max()) + 1, np.inf)
        np.minimum.at(best, sets[hit], apart[hit])
        members = members[np.lexsort((members, sets[members], best[sets[members]]))]
        number = len(np.unique(sets[members]))
        several = "a pair" if len(members) == 2 else "1 set" if number == 1 else f"{number:,} sets"
        finding = Finding(
            "images.alike",
            f"{len(members):,} of {rows:,} different images ({len(members) / rows:.1%}) are almost the same "
            f"to {self.name}, in {several}: cut, mirrored or edited copies, or one scene taken twice. "
            "Look at them.",
            len(members) / rows,
            "low",
            rows=tuple(ids[members][: Finding.ROWS_SHOWN].tolist()),
            n_rows=len(members),
            stage="audit.images",
        )
        shown = [
            album.picture(int(ids[at]), group=int(sets[at]), score=float(apart[at]))
            for at in members[:MOST_SHOWN]
        ]
        return finding, Sheet(finding, tuple(shown))

    def _far(self, out: np.ndarray, far: np.ndarray, album: Album) -> tuple[Finding, Sheet]:
        rows, ids = self.table.height, self.table.ids
        finding = Finding(
            "outliers.rows",
            f"{len(out):,} of {rows:,} different images ({len(out) / rows:.1%}) lie far from all others, as "
            f"{self.name} sees them: look whether they belong here.",
            len(out) / rows,
            "low",
            rows=tuple(ids[out][: Finding.ROWS_SHOWN].tolist()),
            n_rows=len(out),
            remedy={"outliers.neighbors": {"scale": "none", "n_neighbors": NEAREST, "action": "weight"}},
            stage="outliers.neighbors",
        )
        shown = [album.picture(int(ids[at]), score=float(far[at])) for at in out[:MOST_SHOWN]]
        return finding, Sheet(finding, tuple(shown))


def _nearest(matrix: np.ndarray) -> Answer:
    """Return of each image how far the nearest is, which that is, and how far the tenth is."""
    most = min(NEAREST, len(matrix) - 1)
    apart, other = nearest(Space(), matrix, matrix, most, exclude_self=True)
    return {"apart": apart[:, 0], "other": other[:, 0], "far": apart[:, -1]}


def components(vectors: np.ndarray, most: int = NUMBERS) -> np.ndarray:
    """Return the first principal components of vectors, turned: float32 of shape (n_vectors, at most `most`).

    They are turned at random, which keeps all distances: then each number varies about as much as any other,
    and a probe that brings columns to one scale makes no small component as large as the first.
    """
    from sklearn.decomposition import PCA

    rows, width = vectors.shape
    if rows < 2 or width <= most:
        return vectors.astype(np.float32)
    size = min(most, rows - 1)
    # By the covariance: a centered copy of all vectors would be as large as they are.
    found = PCA(size, svd_solver="covariance_eigh").fit_transform(vectors)
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(size, size)))
    return (found @ turn).astype(np.float32)


def judged_before(one: Stage, seen: Table) -> Stage:
    """Return a stage that judges labels with its judgment: that of an earlier audit, or one made now."""
    columns = [c for c, kind in seen.kinds.items() if kind in one.handles]
    word = digest(seen, columns, one.get_params(deep=False))
    if not word:
        return one

    def judge() -> Answer:
        # Probes multiply thin matrices: threads would wait for one another far longer than they work.
        with get_cached_controller().limit(limits=1, user_api="blas"):
            one.fit_table(seen)
        told = getattr(one, "judgment_", None)
        return {"digest": one.digest_, **told} if told else {}

    try:
        answer = dict(kept("judgment", (word,), judge))
    except TilthError:
        return one  # what is wrong is told when it looks
    if answer:
        one.digest_ = answer.pop("digest")
        one.judgment_ = answer
    return one


def in_doubt(one: Stage, seen: Table, finding: Finding, album: Album) -> Sheet:
    """Return the images whose labels are in doubt, with the likeliest label of each."""
    found = Judgment(**one.judgment_)
    quality = label_quality(found.labels, found.probabilities, method="self_confidence")
    guess = found.probabilities.argmax(axis=1)
    ids = seen.ids[found.rows].tolist()
    told = {row: (str(found.classes[g]), float(q)) for row, g, q in zip(ids, guess, quality, strict=True)}
    shown = [
        album.picture(row, suggested=told[row][0], score=told[row][1])
        for row in finding.rows[:MOST_SHOWN]
        if row in told and row in album.paths
    ]
    return Sheet(finding, tuple(shown))
