"""Change images, every epoch anew, by a policy or by named transforms."""

from __future__ import annotations

import json
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Ge, Le

from tilth.core.batch import BatchStage
from tilth.core.parameters import plain
from tilth.core.stage import Selection
from tilth.errors import StageError
from tilth.stages import policies
from tilth.stages.batches import tell_no_image
from tilth.stages.classes import Classes, place_of
from tilth.statistics import hash_rows, key_of
from tilth.table import Table

Factor = Annotated[float, Ge(0), Le(3)]
RAREST = 2.0
"""The most that 'balanced' multiplies the strength of a rare class by."""


class AugmentImages(BatchStage):
    """Change images, every epoch anew, by a policy or by named transforms of albumentations.

    Learns
        Where `strength` is per class, how many different images each has (``counts_``; copies of an image
        count once), and how strongly they are changed (``strengths_``).
    Training
        Every image is changed when it has been decoded, at the size it is to have, and before it is
        normalized; in the threads of a loader of images, and by nothing else. An image keeps its shape, its
        8-bit pixels and its label. What is drawn is keyed by `random_state`, the id of the row and the epoch:
        the same for any number of threads, order and partition, and another for each copy of a row that
        `balance.over` makes. Gray images are changed as three equal channels, and stay gray.

        'light' flips half of the images left to right, and shifts them by up to 1/8 of their sides.
        'standard' also zooms by up to 10%, turns by up to 15 degrees, and changes brightness, contrast and
        saturation by up to 20%. 'heavy' does so up to 25%, 25 degrees and 40%, shears, blurs, sharpens or
        compresses some images, and grays a rectangle of others out. Beyond the edges, images go on as
        their mirror image.

        'rand' is RandAugment: `n` operations, drawn with replacement, of magnitude `m`. 'trivial' is
        TrivialAugment in its wide space: one operation of any magnitude. Beyond the edges is black.

        `transforms` come after the policy, in their order, as they are written.
    Weights
        Unused.
    Cost
        In the thread that decodes an image, 0.2 to 0.3 ms of a core for 28 x 28 pixels, and 0.3 to 1.1 ms for
        224 x 224, 'heavy' being the slowest.
    Scaling
        Exact for any partition.

    A table without images is left as it is, which is told as a finding.

    Parameters
    ----------
    policy : {'none', 'light', 'standard', 'heavy', 'trivial', 'rand'}
        What is done.
    transforms : list of name, or of mapping of name to parameters, optional
        Any transform of images that albumentations has: ``[ToGray, {HorizontalFlip: {p: 0.5}}]``; within one
        another too: ``{OneOf: {transforms: [...], p: 0.5}}``. Without `p` it is albumentations' own.
    strength : float in [0, 3], 'balanced' or dict of class to float
        A factor on the magnitudes of the policy, up to a most of each, and on how often its parts are done;
        0 does nothing. 'balanced': the square root of how many times the images of the most frequent class
        are those of the row's, up to 2. A class that is not named, or was not there at fit, has 1.
    flip : bool
        Whether 'light', 'standard' and 'heavy' flip images: False where a mirror image is no example of its
        class, as of letters, digits and road signs.
    n : int, >= 1
        Of 'rand': operations per image.
    m : int, 0 to 30
        Of 'rand': their magnitude.
    random_state : int
        Seed of all draws.
    on : selection, optional
        The column of images; by default the one there is.

    Findings
        augment.no_image : the table has no column of images, so that nothing is done.
        augment.strength : rarer classes are changed more than others; score: smallest / largest class.
        augment.meaning : transforms that may make of an image one of another class, such as a flip upside
        down; score: how many.

    Raises
        RecipeError : a transform or its parameter is not known, with the nearest that is; a value is not
        allowed; a transform needs more than an image, gives no pixels, or leaves nothing of an image.
        StageError : the transforms change the shape of images.
        DataError : `strength` names no class, or is 'balanced' and the target has no classes.

    Source
        Cubuk, Zoph, Shlens and Le, "RandAugment: Practical automated data augmentation with a reduced search
        space", CVPR workshops 2020; Müller and Hutter, "TrivialAugment: Tuning-free Yet State-of-the-Art Data
        Augmentation", ICCV 2021. As in torchvision, magnitudes have 31 steps; other than there, a shift is
        up to 45% of the side for both, so that small images do not leave the frame, and Sharpness below 1 is
        a Gaussian blur. The tests compare the operations with Pillow's, which the papers use. Transforms:
        Buslaev et al., "Albumentations: Fast and Flexible Image Augmentations", Information 11 (2020).

    Examples
    --------
    >>> import numpy as np
    >>> image = np.arange(28 * 28 * 3, dtype=np.uint8).reshape(28, 28, 3)
    >>> stage = AugmentImages(policy="standard", flip=False)
    >>> one, again, next_epoch = (stage.augment_image(image, row=7, epoch=epoch) for epoch in (0, 0, 1))
    >>> one.shape, bool((one == again).all()), bool((one == next_epoch).all())
    ((28, 28, 3), True, False)

    What is done to images, as a recipe may write and change it:

    >>> AugmentImages(policy="light").written()[0]
    {'HorizontalFlip': {'p': 0.5}}
    """

    per_image: ClassVar[bool] = True
    handles: ClassVar = ("image",)
    finds: ClassVar = {
        "augment.no_image": "there is no image to change",
        "augment.strength": "rarer classes are changed more than others",
        "augment.meaning": "transforms may make of an image one of another class",
    }
    counts_: dict[str, int]
    strengths_: dict[str, float]

    def __init__(
        self,
        *,
        policy: policies.Name = "standard",
        transforms: policies.Transforms | None = None,
        strength: Factor | Literal["balanced"] | dict[str | int | bool, Factor] = 1.0,
        flip: bool = True,
        n: Annotated[int, Ge(1)] = 2,
        m: Annotated[int, Ge(0), Le(30)] = 9,
        random_state: int = 0,
        on: Selection = None,
    ) -> None:
        self.policy = policy
        self.transforms = transforms
        self.strength = strength
        self.flip = flip
        self.n = n
        self.m = m
        self.random_state = random_state
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [
            {},
            {"policy": "heavy", "strength": "balanced", "flip": False, "random_state": 3},
            {"policy": "rand", "n": 3, "m": 12, "strength": {"yes": 2.0}},
            {"policy": "trivial", "strength": 0.5},
            {"policy": "none", "transforms": ["ToGray", {"Affine": {"rotate": [-90, 90], "p": 0.5}}]},
        ]

    def learn(self, table: Table) -> None:
        """Learn how strongly each class is changed."""
        for name in ("counts_", "strengths_"):
            self.__dict__.pop(name, None)
        if not self.columns_:
            tell_no_image(self)
            return
        for names, done, where in policies.risks(self.transforms or []):
            message = f"{', '.join(names)}: images are {done}. Leave it out {where}."
            self.report("augment.meaning", message, float(len(names)), severity="low")
        if not isinstance(self.strength, float | int):
            self._learn_classes(table)

    def _learn_classes(self, table: Table) -> None:
        classes = Classes.of(table.need("target", f"{self.key} with a strength per class"), self.key)
        image = table.frame.select(self.columns_[0]).collect().to_series()
        seen = pl.DataFrame({"code": classes.codes, "image": image}).filter(pl.col("code") >= 0).unique()
        counts = np.bincount(seen["code"].to_numpy(), minlength=len(classes.names))
        self.counts_ = dict(zip(classes.names, counts.tolist(), strict=True))
        if isinstance(self.strength, dict):
            where = f"{self.key}: strength"
            named = {place_of(name, classes.names, where): by for name, by in self.strength.items()}
            self.strengths_ = {classes.names[place]: float(by) for place, by in named.items()}
            return
        strengths = np.minimum(np.sqrt(counts.max() / np.maximum(counts, 1)), RAREST)
        self.strengths_ = dict(zip(classes.names, strengths.round(3).tolist(), strict=True))
        if strengths.max() > strengths.min():
            rare = sorted(self.strengths_.items(), key=lambda one: -one[1])[:5]
            told = ", ".join(f"'{name}' {by:.2f} ({self.counts_[name]:,} images)" for name, by in rare)
            message = f"Rarer classes are changed more, by factors of: {told}."
            self.report("augment.strength", message, float(counts.min() / counts.max()), severity="low")

    def written(self, label: Any = None) -> list[Any]:
        """Return what is done to every image of a class, as a recipe writes `transforms`."""
        return self._policy(label).written()

    def augment_image(self, pixels: np.ndarray, *, row: int, epoch: int, label: Any = None) -> np.ndarray:
        """Return one changed image, of one or three channels; see `BatchStage.augment_image`."""
        if self.on is not None and not getattr(self, "columns_", True):
            return pixels
        policy = self._policy(label)
        salt = int(key_of([(self.key, policy.name, policy.transforms)])[0])
        word = hash_rows(self.random_state + salt, np.array([row], np.uint64), epoch)[0]
        return policy.apply(pixels, int(word), self.key)

    def _policy(self, label: Any) -> policies.Policy:
        by = self.strength
        if not isinstance(by, float | int):
            if not hasattr(self, "strengths_"):
                raise StageError(
                    f"{self.key}: does not know how strongly classes are changed: it is not fitted on a "
                    "table of images (Roles(image='path')) with a target. A pipeline's loader does so."
                )
            by = self.strengths_.get(str(label), 1.0)
        written = json.dumps(plain({"": self.transforms or []})[""])
        return policies.Policy(self.policy, float(by), self.flip, self.n, self.m, written)
