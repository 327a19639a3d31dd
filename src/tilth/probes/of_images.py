"""A network that the one trainer trains on the images that one column names."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tilth.errors import DataError
from tilth.probes.model import Matrix, Vector
from tilth.probes.neural import Neural
from tilth.probes.pictures import (
    ImageColumn,
    Shelf,
    Shown,
    UnreadableImages,
    pixels_of,
    shares,
    unreadable,
)

if TYPE_CHECKING:
    import torch

AT_ONCE = 512
"""Images decoded and answered at once."""
IMAGES = 32
"""Of a batch, where a probe has none of its own."""
STEPS = 500
"""So many steps a network needs to learn something, however few images there are;"""
FEW = 8
"""Images that show a network what it is to get;"""
EPOCHS = (12, 60)
"""but no fewer epochs than these, and no more."""


class OfImages(Neural):
    """Train a network on small pictures, and ask it about others; the probe says how the network begins."""

    image: str | None
    side: int
    framing: str
    batch_size: int | None
    max_epochs: int | None
    validation_share: float
    mean_: NDArray[np.float32]
    std_: NDArray[np.float32]

    @abstractmethod
    def _begin(self, few: Any, seed: int) -> torch.nn.Module:
        """Return the untrained network for pictures such as these, which are as it is to get them."""

    def _inputs(self) -> Any:
        return ImageColumn(self.image)

    def _learn(
        self,
        matrix: NDArray[np.object_],
        target: NDArray[Any],
        weight: Vector | None,
        ids: NDArray[np.uint64] | None = None,
        augment: Sequence[Any] = (),
    ) -> None:
        from tilth.training import inner_split
        from tilth.training.pictures import Channels

        who = type(self).__name__
        ids = np.arange(len(matrix), dtype=np.uint64) if ids is None else ids
        pixels, problems = pixels_of(matrix, self.side, self.framing, self.n_jobs)
        # By row id: what is learned does not depend on the order in which rows come.
        kept = np.array(
            [place for place in np.argsort(ids, kind="stable") if problems[place] is None], np.int64
        )
        if len(kept) < len(matrix):
            warnings.warn(f"{who}: {unreadable(problems)}; not learned from.", UnreadableImages, stacklevel=4)
        if len(kept) < 2:
            raise DataError(f"{who} needs at least 2 readable images to learn from; there are {len(kept)}.")
        seed, classification = self._seed(), self.task_ == "classification"
        self.unseen_ = shares(target, weight, len(self.classes_) if classification else None)
        values = self._standardized(target, weight)
        pixels, values, weight = pixels[kept], values[kept], None if weight is None else weight[kept]
        labels = self.classes_[values] if classification else target[kept]
        channels = Channels.of(pixels)
        self.mean_, self.std_ = channels.mean, channels.std
        parts = inner_split(values, self.validation_share, seed, classification)
        size = self.batch_size or IMAGES
        self._train_on_images(
            self._begin(channels.tensor(pixels[:FEW]), seed),
            Shown(self.inputs_.name_, matrix[kept], labels, ids[kept], pixels),
            values,
            weight,
            parts,
            channels,
            augment,
            seed,
            size,
            self.max_epochs or int(np.clip(STEPS * size // len(parts[0]), *EPOCHS)),
        )

    def stock(self, shelf: Shelf, progress: Callable[[str], None] | None = None) -> str:
        """Put the pixels of its images on a shelf, and say what was done; nothing where they are there."""
        done = shelf.stock_pixels(self.side, self.framing, progress)
        return f"decoded to {self.side} x {self.side} pixels" if done else ""

    def _answer(self, matrix: NDArray[np.object_]) -> Matrix:
        from tilth.training import outputs, threads
        from tilth.training.pictures import Channels

        channels = Channels(self.mean_, self.std_)
        answers = np.repeat(self.unseen_[None], len(matrix), axis=0)
        reasons: list[str | None] = []
        for start in range(0, len(matrix), AT_ONCE):
            paths = matrix[start : start + AT_ONCE]
            pixels, problems = pixels_of(paths, self.side, self.framing, self.n_jobs)
            reasons += problems
            seen = np.flatnonzero([problem is None for problem in problems])
            if len(seen):
                with threads(self.n_jobs):
                    made = outputs(self.network_, channels.tensor(pixels[seen]))
                answers[start + seen] = self._from_outputs(made)
        if any(reasons):
            warnings.warn(
                f"{type(self).__name__}: {unreadable(reasons)}; answered without being seen.",
                UnreadableImages,
                stacklevel=4,
            )
        return answers
