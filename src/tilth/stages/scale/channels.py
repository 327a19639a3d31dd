"""Learn mean and standard deviation of the color channels, for whoever normalizes the images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import polars as pl
from annotated_types import Ge

from tilth.core.stage import ColumnStage, Selection
from tilth.statistics import Statistics

if TYPE_CHECKING:
    from tilth.images.channels import Channels

LEAST = 1 / 255
"""A channel of less spread than one step of its values is taken for constant."""
COLORS = ("red", "green", "blue")


class ScaleChannels(ColumnStage):
    """Learn the mean and the standard deviation of the color channels of the training images.

    The images stay as they are: `pipe.loader` and the probe ``cnn`` subtract the mean and divide by the
    standard deviation when they have decoded them. Without this stage they take the numbers of ImageNet,
    or those told to them.

    Learns
        Per channel mean and standard deviation of the pixels, 0 to 1. Every image counts the same, whatever
        its size; files that cannot be read are left out. A constant channel is divided by 1.
    New data
        Nothing is changed.
    Training
        Same as new data.
    Weights
        Ignored: the scale describes the pixels, not how much an image counts.
    Cost
        One decode of each image, at reduced scale, in threads; what was read once is kept on disk, and then
        costs a look at the file's size and time of change.
    Scaling
        Exact for any partition, to the last bit: sums are of whole numbers. With `max_images` a sample,
        chosen by seed and row id.

    Parameters
    ----------
    side : int, at least 1
        Pixels: larger images are reduced while their shorter side stays at least this long, as a loader
        does.
    max_images : int, at least 1, optional
        Images learned from, at most; by default all.
    random_state : int
        Seed of the sample.
    cache : bool
        Keep what is read of each image on disk.
    max_pixels : int, at least 1
        Images of more pixels are not decoded, and count as unreadable.
    on : selection, optional
        The columns; by default the images. A column of texts that is named is taken for paths.

    Findings
        scale.channels : the mean and the standard deviation.
        scale.constant : a channel has one value only.
        scale.unread : images that cannot be read, and are left out.

    Source
        Peer: NumPy's ``mean`` and ``std`` over the pixels of images of one size; the tests compare to 1e-9.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name, color in (("a.png", "black"), ("b.png", "red")):
    ...     Image.new("RGB", (8, 8), color).save(folder / name)
    >>> rows = pl.DataFrame({"photo": [str(path) for path in sorted(folder.iterdir())]})
    >>> ScaleChannels(on=["photo"], cache=False).fit(rows).mean_
    {'photo': [0.5, 0.0, 0.0]}
    """

    handles: ClassVar = ("image", "text", "categorical")
    takes: ClassVar = ("image",)
    finds: ClassVar = {
        "scale.channels": "the mean and the standard deviation",
        "scale.constant": "a channel has one value only",
        "scale.unread": "images that cannot be read, and are left out",
    }
    partial: ClassVar = True

    def __init__(
        self,
        *,
        side: Annotated[int, Ge(1)] = 224,
        max_images: Annotated[int, Ge(1)] | None = None,
        random_state: int = 0,
        cache: bool = True,
        max_pixels: Annotated[int, Ge(1)] = 100_000_000,
        on: Selection = None,
    ) -> None:
        self.side = side
        self.max_images = max_images
        self.random_state = random_state
        self.cache = cache
        self.max_pixels = max_pixels
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [{}, {"side": 32, "max_images": 50, "random_state": 1, "cache": False}]

    def learn(self, statistics: Statistics) -> None:
        """Read the images and add up their channels."""
        self.mean_: dict[str, list[float]] = {}
        self.std_: dict[str, list[float]] = {}
        self.cells_ = dict.fromkeys(self.columns_, 0)  # no cell changes
        for name in self.columns_:
            found = self._channels(statistics, name)
            self.mean_[name] = found.mean if found.count else [0.0] * 3
            self.std_[name] = [std if std >= LEAST else 1.0 for std in found.std]
            self._tell(name, found)

    def _channels(self, statistics: Statistics, name: str) -> Channels:
        from tilth.images.channels import Channels

        if self.max_images is None:
            paths = pl.concat([shard.select(name) for shard in statistics.shards]).collect()[name]
        else:
            paths = statistics.sample([name], self.max_images, self.random_state)[name]
        often = paths.cast(pl.String).drop_nulls().alias("path").value_counts().sort("path")
        return Channels.of(
            often["path"].to_list(),
            often["count"].to_list(),
            side=self.side,
            cache=self.cache,
            max_pixels=self.max_pixels,
        )

    def _tell(self, name: str, found: Channels) -> None:
        if found.count:
            self._tell_numbers(name, found)
        if found.unread:
            share = found.unread / (found.unread + found.count)
            told = "and are left out" if found.count else "so the channels stay as they are, from 0 to 1"
            self.report(
                "scale.unread",
                f"'{name}': {found.unread} images cannot be read, {told}.",
                share,
                severity="medium" if found.count else "high",
                columns=(name,),
                remedy={"prune.unreadable": {}},
            )

    def _tell_numbers(self, name: str, found: Channels) -> None:
        means, stds = (", ".join(f"{x:.3f}" for x in part) for part in (found.mean, found.std))
        self.report(
            "scale.channels",
            f"'{name}': mean {means} and standard deviation {stds} of {', '.join(COLORS)} in {found.count} "
            "images.",
            float(found.count),
            columns=(name,),
        )
        flat = [c for c, std in zip(COLORS, found.std, strict=True) if std < LEAST]
        if flat:
            told = f"'{name}': {', '.join(flat)} has one value only."
            self.report("scale.constant", told, 0.0, severity="low", columns=(name,))

    def change(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Change nothing."""
        return frame
