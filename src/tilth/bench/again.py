"""A fitted pipeline and its probe asked once more: about test rows that were changed on purpose."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tilth.bench.answering import Answer, Judged
from tilth.bench.design import Design
from tilth.bench.fitting import certain
from tilth.bench.metrics import CHANCE, METRICS
from tilth.core.prior import corrected
from tilth.errors import ColumnError
from tilth.probes.pictures import Shelf, pixels_of
from tilth.statistics import hash_rows
from tilth.table import ROW

if TYPE_CHECKING:
    from tilth.training.backbones import Backbone

AT_ONCE = 256
"""Images that a backbone is shown at once."""
SQUASH = "squash"


def answered(judged: Judged, raw: NDArray[np.float64]) -> Answer:
    """Return an answer as the bench scores it: class frequencies turned back, the class decided for."""
    if judged.design.task == "regression":
        return Answer(raw, raw, raw)
    said = corrected(raw, judged.design.labels.to_list(), judged.ready.prepared.prior)
    decides = judged.ready.decides
    decided = raw.argmax(axis=1) if decides is None else decides.decide(said)
    return Answer(raw, said, certain(decided, raw.shape[1]))


def asked(judged: Judged, raw: pl.DataFrame) -> Answer:
    """Return the answer for raw rows."""
    return answered(judged, judged.says(judged.through(raw)))


def metrics_asked(design: Design) -> list[str]:
    """Name what is scored when rows are changed: the primary metrics, accuracy, and what tells chance."""
    beside = () if design.task == "regression" else ("accuracy",)
    return list(dict.fromkeys([*design.primary, CHANCE[design.task][0], *beside]))


def scored(
    metrics: Sequence[str], answer: Answer, truth: NDArray, weight: NDArray[np.float64]
) -> Iterator[tuple[str, float]]:
    """Score an answer by each metric; rows of weight 0 do not count."""
    counts = weight > 0
    for name in metrics:
        metric = METRICS[name]
        said = answer.decided if metric.labels else answer.said
        value = metric.score(truth[counts], said[counts], weight[counts]) if counts.any() else float("nan")
        yield name, float(value)


@dataclass(frozen=True)
class View:
    """Hold test images as a probe looks at them, and how to ask it about changed ones.

    Parameters
    ----------
    column : str
        The feature that names the images.
    side, framing
        How the probe brings images to its size.
    pixels : ndarray of shape (n_rows, side, side, 3), uint8
    problems : list of str or None
        Why an image cannot be read.
    prepared : DataFrame
        The test rows as the stages left them.
    backbone : Backbone, optional
        What makes vectors of the pixels, where the probe reads those.
    """

    column: str
    side: int
    framing: Any
    pixels: NDArray[np.uint8]
    problems: list[str | None]
    prepared: pl.DataFrame
    backbone: Backbone | None = None

    @classmethod
    def of(cls, judged: Judged) -> View | None:
        """Look at the test images as a probe does; None where it reads none, or in a way of its own."""
        model = judged.model
        if model is None or not getattr(model, "reads_images", False):
            return None
        backbone = None
        if hasattr(model, "framing"):
            side, framing = model.side, model.framing
        elif hasattr(model, "backbone_"):
            from tilth.training.backbones import backbone as made

            found = made(model.model, side=model.side)
            side, framing = found.side, SQUASH
            backbone = None if hasattr(model, "network_") else found
        else:
            return None
        prepared = judged.through(judged.rows)
        column = model.inputs_.name_
        if column not in prepared.columns:
            raise ColumnError.missing([column], prepared.columns, "bench")
        paths = np.array(prepared[column].cast(pl.String).to_list(), dtype=object)
        pixels, problems = pixels_of(paths, side, framing, model.n_jobs)
        return cls(column, side, framing, pixels, problems, prepared, backbone)

    def asked(self, judged: Judged, pixels: NDArray[np.uint8]) -> Answer:
        """Return the answer for the rows with other pixels, of the same shape."""
        names = [f"changed image {place}" for place in range(len(pixels))]
        # The probe takes from the shelf what it would else decode: nothing is written to any file.
        shelf = Shelf(names, pixels={(self.side, self.framing): (pixels, self.problems)})
        if self.backbone is not None:
            key = self.backbone.fingerprint
            shelf.vectors[key] = self._vectors(pixels, judged.model.device)
        renamed = self.prepared.with_columns(pl.Series(self.column, names))
        with shelf.lent():
            return answered(judged, judged.says(renamed))

    def _vectors(self, pixels: NDArray[np.uint8], device: str) -> NDArray[np.float32]:
        assert self.backbone is not None
        run = self.backbone.runner(device)
        parts = [run(pixels[at : at + AT_ONCE]) for at in range(0, len(pixels), AT_ONCE)]
        vectors = np.concatenate(parts).astype(np.float32)
        vectors[[problem is not None for problem in self.problems]] = np.nan
        return vectors


def ids_of(frame: pl.DataFrame) -> NDArray[np.uint64]:
    """Return the ids of rows."""
    return frame[ROW].to_numpy()


def seed_of(judged: Judged) -> int:
    """Return the seed of one test part: the same for all arms and probes, whatever order its rows are in."""
    return int(np.bitwise_xor.reduce(hash_rows(judged.design.random_state, ids_of(judged.rows))))
