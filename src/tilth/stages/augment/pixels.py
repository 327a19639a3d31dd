"""Flip, shift, erase and light batches of images on their device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Gt, Le, Lt

from tilth.core.batch import BatchStage
from tilth.core.stage import Selection
from tilth.stages.batches import concerns_images, image_batch, rectangles, tell_no_image
from tilth.table import Table

if TYPE_CHECKING:
    import torch

Share = Annotated[float, Ge(0), Le(1)]
Area = Annotated[float, Gt(0), Lt(1)]
TRIES = 10
"""Rectangles drawn for an image; the first that fits into it is erased."""
ASPECT = float(np.log(1 / 0.3))
"""Sides of a rectangle are as 0.3 to 1 at the most; the logarithm of their ratio is uniform."""


class AugmentPixels(BatchStage):
    """Flip, shift, erase and light images of a batch on its device, each by draws of its own.

    Learns
        Nothing: it works without being fitted, too.
    Training
        Of each image, in this order: contrast and brightness are changed, it is shifted (padded on all sides
        and cropped at random) and flipped, and a rectangle is erased. Labels and weights stay as they are.
        Everything is drawn at once for all images of the batch; flip and shift are one copy of it, and light
        another.

        It works on batches as a loader of images hands them out, normalized or not, in any type of
        floating-point numbers, in either layout of memory; whole numbers too, where
        `brightness` and `contrast` are 0 and nothing is filled with noise.
    Weights
        Unused.
    Cost
        One new batch for light, whose contrast reads the pixels once more for their means, and one for flip
        and shift; erasing, and the zeros of a border, are written into it. Where only erasing is asked for,
        one. On a GPU, noise takes two more.
    Scaling
        Exact for any partition.

    A table without images is left as it is, which is told as a finding.

    Parameters
    ----------
    flip : float, in [0, 1]
        Probability that an image is flipped left to right: 0 where a mirror image is no example of its class.
    flip_vertical : float, in [0, 1]
        Probability that it is flipped upside down.
    shift : float, in [0, 0.5)
        The most that an image is shifted, in each direction, as a share of its side: 0.125 are 4 pixels of
        32. All whole numbers of pixels up to it are alike likely.
    border : {'reflect', 'edge', 'zero'}
        What comes in from beyond the edge: the mirror image, the last pixel, or 0, which after normalization
        is the mean.
    erase : float, in [0, 1]
        Probability that a rectangle is erased.
    area_least, area_most : float, in (0, 1)
        The least and the most of the image that it covers, as shares.
    fill : {'noise', 'zero'}
        What it is filled with: numbers of the standard normal distribution, one for each pixel and channel,
        or 0.
    brightness : float, >= 0
        The most that is added to all pixels of an image, or taken from them, in units of the batch: where it
        is normalized, standard deviations.
    contrast : float, in [0, 1)
        The most by which the distances of pixels from the image's mean, channel by channel, are stretched or
        shrunk, as a share.
    on : selection, optional
        The column of images; by default the one there is.

    Findings
        augment.no_image : the table has no column of images, so that nothing is done.

    Raises
        StageError : the batch holds no images of shape (n_rows, channels, height, width), or whole numbers
        that cannot be lit.

    Source
        Zhong, Zheng, Kang, Li and Yang, "Random Erasing Data Augmentation", AAAI 2020, algorithm 1, with at
        most 10 rectangles drawn for an image; flips and shifts as in He, Zhang, Ren and Sun, "Deep Residual
        Learning for Image Recognition", CVPR 2016, section 4.2. The tests compare with the same done to one
        image after another.

    Examples
    --------
    >>> import torch
    >>> X, y = torch.arange(4.0).reshape(1, 1, 2, 2), torch.tensor([1])
    >>> AugmentPixels(flip=1, shift=0).augment((X, y))[0].tolist()
    [[[[1.0, 0.0], [3.0, 2.0]]]]
    """

    handles: ClassVar = ("image",)
    finds: ClassVar = {"augment.no_image": "there is no image to change"}

    def __init__(
        self,
        *,
        flip: Share = 0.5,
        flip_vertical: Share = 0.0,
        shift: Annotated[float, Ge(0), Lt(0.5)] = 0.125,
        border: Literal["reflect", "edge", "zero"] = "reflect",
        erase: Share = 0.0,
        area_least: Area = 0.02,
        area_most: Area = 0.33,
        fill: Literal["noise", "zero"] = "noise",
        brightness: Annotated[float, Ge(0)] = 0.0,
        contrast: Annotated[float, Ge(0), Lt(1)] = 0.0,
        on: Selection = None,
    ) -> None:
        self.flip = flip
        self.flip_vertical = flip_vertical
        self.shift = shift
        self.border = border
        self.erase = erase
        self.area_least = area_least
        self.area_most = area_most
        self.fill = fill
        self.brightness = brightness
        self.contrast = contrast
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [
            {},
            {"flip": 0, "flip_vertical": 0.5, "border": "edge", "erase": 0.5, "area_least": 0.1},
            {"border": "zero", "erase": 1.0, "fill": "zero", "brightness": 0.2, "contrast": 0.3},
        ]

    def learn(self, table: Table) -> None:
        """Learn nothing; tell if there is no image."""
        tell_no_image(self)

    def augment(self, batch: Any, generator: torch.Generator | None = None) -> tuple[torch.Tensor, ...]:
        """Return the changed batch; the batch that came in is not changed.

        Parameters
        ----------
        batch : (X,), (X, y) or (X, y, weight)
            X of shape (n_rows, channels, height, width).
        generator : torch.Generator, optional
            Of the batch's device; all draws come from it. None: torch's own.
        """
        import torch

        if not concerns_images(self, batch):
            return tuple(batch)
        X = image_batch(
            self,
            batch,
            floating=bool(self.brightness or self.contrast or (self.erase and self.fill == "noise")),
        )
        draw = lambda *shape: torch.rand(shape, generator=generator, device=X.device)
        if self.contrast or self.brightness:
            X = self._lit(X, draw(2, len(X)))
        if self.flip or self.flip_vertical or self.shift:
            X = self._moved(X, draw(4, len(X)))
        if self.erase:
            X = self._erased(X, draw(1 + 4 * TRIES, len(X)), generator, made_here=X is not batch[0])
        return (X, *batch[1:])

    def _lit(self, X: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
        import torch

        wide, more = (2 * draws - 1).to(X.dtype)[:, :, None, None, None]
        if not self.contrast:
            return X + self.brightness * more
        away = self.brightness * more - self.contrast * wide * X.mean(dim=(2, 3), keepdim=True)
        return torch.addcmul(away, X, 1 + self.contrast * wide)

    def _moved(self, X: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
        """Copy each pixel from where it comes from: one gather for flips and shifts."""
        import torch

        (channels, height, width), (over, left_right, down, across) = X.shape[1:], draws
        rows = self._places(height, down, over < self.flip_vertical)
        columns = self._places(width, across, left_right < self.flip)
        image = torch.arange(len(X), device=X.device)[:, None, None]
        at = (image, rows.clamp(0, height - 1)[:, :, None], columns.clamp(0, width - 1)[:, None, :])
        if _layout(X) == torch.channels_last:  # the channels of a pixel are copied together
            moved = X.permute(0, 2, 3, 1)[at].permute(0, 3, 1, 2)
        else:
            channel = torch.arange(channels, device=X.device)[None, :, None, None]
            moved = X[at[0][:, None], channel, at[1][:, None], at[2][:, None]]
        if self.border == "zero":
            inside = ((rows >= 0) & (rows < height))[:, None, :, None]
            inside = inside & ((columns >= 0) & (columns < width))[:, None, None, :]
            moved.masked_fill_(~inside, 0)
        return moved

    def _places(self, side: int, draw: torch.Tensor, flipped: torch.Tensor) -> torch.Tensor:
        """Return for each place of the changed image the one it comes from, of shape (n_rows, side)."""
        import torch

        most = int(self.shift * side)
        shift = (draw * (2 * most + 1)).to(torch.int64).clamp(max=2 * most) - most
        at = torch.arange(side, device=draw.device) + shift[:, None]
        if self.border == "reflect":
            at = (side - 1) - ((side - 1) - at.abs()).abs()
        return torch.where(flipped[:, None], at.flip(1), at)

    def _erased(
        self, X: torch.Tensor, draws: torch.Tensor, generator: Any, *, made_here: bool
    ) -> torch.Tensor:
        """Fill a rectangle of each image, in place if the batch was made here."""
        import torch

        n_rows, channels, height, width = X.shape
        (area, aspect, down, across), chance = draws[1:].reshape(4, TRIES, n_rows), draws[0]
        area = (self.area_least + (self.area_most - self.area_least) * area) * height * width
        aspect = torch.exp((2 * aspect - 1) * ASPECT)
        tall, wide = (area * aspect).sqrt().round(), (area / aspect).sqrt().round()
        fits = (tall < height) & (wide < width)
        first = fits.to(torch.uint8).argmax(dim=0, keepdim=True)
        erased = (chance < self.erase) & fits.any(dim=0)
        tall, wide, down, across = (each.gather(0, first)[0] for each in (tall, wide, down, across))
        top, left = (down * (height - tall + 1)).floor(), (across * (width - wide + 1)).floor()
        inside = rectangles(top, tall * erased, left, wide, X)
        randn = lambda *shape: torch.randn(shape, generator=generator, device=X.device, dtype=X.dtype)
        if self.fill == "noise" and X.device.type != "cpu":
            # Counting the pixels would wait for the device, which draws more numbers than are needed sooner.
            noise = randn(n_rows, height, width, channels).permute(0, 3, 1, 2)
            return torch.where(inside, noise, X).contiguous(memory_format=_layout(X))
        X = X if made_here else X.clone()
        if self.fill == "zero":
            return X.masked_fill_(inside, 0)
        return X.masked_scatter_(inside, randn(int(inside.sum()) * channels))


def _layout(X: torch.Tensor) -> torch.memory_format:
    """Return how a batch lies in memory."""
    import torch

    # Of one channel, or of one pixel, both hold.
    plain = X.is_contiguous() or not X.is_contiguous(memory_format=torch.channels_last)
    return torch.contiguous_format if plain else torch.channels_last
