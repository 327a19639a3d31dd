"""Turn images into numbers, so that every stage for tables works on them."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
import polars as pl
from annotated_types import Ge, Len
from pydantic import AfterValidator, WithJsonSchema
from sklearn.base import clone

from tilth.core.stage import ColumnStage, Selection, Stage
from tilth.errors import StageError, TilthWarning
from tilth.images.backbone_names import GROUP, known
from tilth.stages.foreign import mapped
from tilth.statistics import Statistics
from tilth.table import ROW
from tilth.table.container import free_name

if TYPE_CHECKING:
    from tilth.training.backbones import Backbone

Network = Annotated[Callable[..., Any], WithJsonSchema({"type": "string"})]


class EmbedImages(ColumnStage):
    """Put the vector that a network makes of each image in the place of its path.

    Images that look alike to the network get vectors that lie close together, so that `labels.clean`,
    `outliers.*`, `duplicates.near`, `prune.coreset`, `reduce.*` and linear models work on them as on any
    table of numbers.

    Learns
        Which backbone it is, by name, size and a fingerprint of its weights; nothing of the images.
    New data
        The column gives way to Float32 columns ``<name>_1 ... <name>_<width>``, in its place. Files that
        cannot be read have nulls in all of them, and a warning counts them; a missing path has nulls, too.
    Training
        Same as new data; files that cannot be read are a finding.
    Weights
        Ignored.
    Cost
        A pass through the network for each different file: EfficientNet-Lite0 takes about 0.2 billion
        multiplications at 160 pixels. Files are decoded in threads ahead of it. What was embedded once is
        kept on disk by its content, and then costs a look at the file's size and time of change.
    Scaling
        Exact: it learns nothing of the rows. A vector depends on the batch it is made in, and on the device,
        in the sixth digit.

    Parameters
    ----------
    model : str, Module or callable
        'efficientnet_lite0' (trained on ImageNet, 1,280 numbers; ``pip install 'tilth[vision]'``),
        'histograms' (edges and colors in cells, no training, 688 numbers), the name of another
        package's backbone (entry point group ``tilth.backbones``), or a network of your own, of torch,
        torchvision or timm, that gives vectors, tokens or maps; of the latter two the mean is taken. 'auto'
        is the first where it is installed, and the second otherwise.
    side : int, at least 1, optional
        Pixels: images are squashed to a square of this side. By default 160 for 'efficientnet_lite0', which
        takes multiples of 32 (224 sees a little more, at twice the time; 128 takes two thirds of it); 64 for
        'histograms'; for your own 224, or what a model of timm says.
    normalize : list of two lists of 3 floats, optional
        For a network of your own: mean and standard deviation of the channels, 0 to 1; by default what a
        model of timm says, or those of ImageNet.
    batch_size : int, at least 1, optional
        Images at a time; by default 16 on a CPU and 128 elsewhere.
    device : str
        'auto', 'cpu', 'cuda', 'cuda:1' or 'mps'.
    keep : bool
        Leave the path beside the numbers, for stages and loaders that need the image.
    cache : bool
        Keep vectors on disk, in the folder that the environment variable ``TILTH_CACHE`` names or in the
        user's cache, and take those that are there.
    max_pixels : int, at least 1
        Images of more pixels are not decoded, and count as unreadable.
    progress : bool
        Print a line on stderr with images done and the rate, a few times a second. `tilth run` tells so
        anyway.
    on : selection, optional
        The columns; by default the images. A column of texts that is named is taken for paths.

    Findings
        embed.model : what the numbers come from.
        embed.fallback : no pretrained network is installed; histograms stand in for it.
        embed.unreadable : images that cannot be read; their numbers are missing.

    Raises
        TilthError : the weights of 'efficientnet_lite0' are not installed, or the device is not present.
        StageError : the backbone has other weights than at fit, or gives no vectors.

    Source
        Tan and Le, "EfficientNet", ICML 2019 (its lite variant); Dalal and Triggs, CVPR 2005 (histograms of
        gradients). The tests compare with the packaged network as it comes, to 1e-4.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> path = Path(tempfile.mkdtemp()) / "red.png"
    >>> Image.new("RGB", (32, 32), "red").save(path)
    >>> rows = pl.DataFrame({"photo": [str(path)]})
    >>> EmbedImages(model="histograms", on=["photo"], cache=False).fit_transform(rows).shape
    (1, 688)
    """

    handles: ClassVar = ("image", "text", "categorical")
    takes: ClassVar = ("image",)
    finds: ClassVar = {
        "embed.model": "what the numbers come from",
        "embed.fallback": "no pretrained network is installed; histograms stand in for it",
        "embed.unreadable": "images that cannot be read; their numbers are missing",
    }
    fused: ClassVar = False
    partial: ClassVar = True
    offered_as: ClassVar = GROUP

    def __init__(
        self,
        *,
        model: Annotated[str, AfterValidator(known)] | Network = "auto",
        side: Annotated[int, Ge(1)] | None = None,
        normalize: Annotated[list[Annotated[list[float], Len(3, 3)]], Len(2, 2)] | None = None,
        batch_size: Annotated[int, Ge(1)] | None = None,
        device: str = "auto",
        keep: bool = False,
        cache: bool = True,
        max_pixels: Annotated[int, Ge(1)] = 100_000_000,
        progress: bool = False,
        on: Selection = None,
    ) -> None:
        self.model = model
        self.side = side
        self.normalize = normalize
        self.batch_size = batch_size
        self.device = device
        self.keep = keep
        self.cache = cache
        self.max_pixels = max_pixels
        self.progress = progress
        self.on = on

    @property
    def recipe(self) -> bool:
        """Tell whether text can say what it does: not if the model is a network of the user's own."""
        return isinstance(self.model, str)

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [{"model": "histograms"}, {"model": "auto", "keep": True, "cache": False, "device": "cpu"}]

    def concrete(self) -> Stage:
        """Return the stage with the backbone that 'auto' chose."""
        if self.model != "auto" or not getattr(self, "backbone_", None):
            return self
        return clone(self).set_params(model=self.backbone_["name"])

    def learn(self, statistics: Statistics) -> None:
        """Learn which backbone it is, and name the columns."""
        self.backbone_: dict[str, Any] = {}
        self.names_: dict[str, list[str]] = {}
        self.cells_ = dict.fromkeys(self.columns_, 0)
        if not self.columns_:
            return
        chosen = self._backbone()
        self.backbone_ = {n: getattr(chosen, n) for n in ("name", "side", "width", "fingerprint")}
        taken = [c for c in statistics.schema.names() if self.keep or c not in self.columns_]
        for name in self.columns_:
            self.names_[name] = []
            for number in range(1, chosen.width + 1):
                self.names_[name].append(free_name(f"{name}_{number}", taken))
            taken += self.names_[name]
        told = f"{chosen.width} numbers per image, of '{chosen.name}' at {chosen.side} x {chosen.side} pixels"
        self.report("embed.model", told + ".", chosen.width, columns=tuple(self.columns_))
        if self.model == "auto" and chosen.name == "histograms":
            self.report(
                "embed.fallback",
                "No pretrained network is installed, so images are told apart by edges and colors only. "
                "Install one: pip install 'tilth[vision]'.",
                0.0,
                severity="medium",
                columns=tuple(self.columns_),
            )

    def change(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Put the vectors in the place of the paths."""
        return self._changed(frame, self._warned)

    def change_training(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Do the same, and report the images that cannot be read."""
        return self._changed(frame, self._reported)

    def _changed(
        self, frame: pl.LazyFrame, tell: Callable[[str, pl.Series, pl.Series, np.ndarray], None]
    ) -> pl.LazyFrame:
        if not self.columns_:
            return frame
        from tilth.images.each import listener

        before = frame.collect_schema()
        known = ROW in before
        # Asked here: the query may be carried out in another thread, where nobody listens.
        progress = _say if self.progress else listener()

        def vectors(rows: pl.DataFrame) -> pl.DataFrame:
            made = [rows[c] for c in ([ROW] if known else []) + (self.columns_ if self.keep else [])]
            chosen = self._backbone()
            for name in self.columns_:
                paths = rows[name].cast(pl.String)
                numbers = chosen.embed(
                    paths.to_list(),
                    device=self.device,
                    batch_size=self.batch_size,
                    cache=self.cache,
                    progress=progress,
                    max_pixels=self.max_pixels,
                )
                lost = np.isnan(numbers[:, 0])
                tell(name, paths, rows[ROW] if known else pl.Series(range(len(paths))), lost)
                nulls = pl.Series(lost)
                for out, column in zip(self.names_[name], numbers.T, strict=True):
                    cells = pl.Series(out, np.ascontiguousarray(column))
                    made.append(cells.set(nulls, None) if lost.any() else cells)
            return pl.DataFrame(made)

        kept = {c: before[c] for c in ([ROW] if known else []) + (self.columns_ if self.keep else [])}
        outs = {out: pl.Float32() for names in self.names_.values() for out in names}
        order: list[str] = []
        for c in before.names():
            order += [c] if c in kept or c not in self.names_ else []
            order += self.names_.get(c, [])
        asked = [*([ROW] if known else []), *self.columns_]
        return mapped(frame, asked, {**kept, **outs}, vectors, self.key).select(order)

    def _backbone(self) -> Backbone:
        """Return the backbone; the one that was learned with, once it is fitted."""
        from tilth.training.backbones import backbone

        learned = getattr(self, "backbone_", {})
        model = learned["name"] if learned and self.model == "auto" else self.model
        normalize = None if self.normalize is None else (self.normalize[0], self.normalize[1])
        chosen = backbone(model, side=self.side, normalize=normalize)
        if learned and (chosen.fingerprint, chosen.width) != (learned["fingerprint"], learned["width"]):
            raise StageError(
                f"{self.key}: the backbone '{chosen.name}' is not the one that was fitted with: its weights "
                "or its size differ. Install the packages it was fitted with, or fit again."
            )
        return chosen

    def _warned(self, name: str, paths: pl.Series, ids: pl.Series, lost: np.ndarray) -> None:
        gone = paths.filter(pl.Series(lost)).drop_nulls()
        if len(gone):
            warnings.warn(
                f"{self.key}: {len(gone)} of {len(paths)} images of '{name}' cannot be read, such as "
                f"{gone[0]}; their numbers are missing. For a model that takes no gaps, put impute.simple "
                "behind this stage.",
                TilthWarning,
                stacklevel=2,
            )

    def _reported(self, name: str, paths: pl.Series, ids: pl.Series, lost: np.ndarray) -> None:
        gone = paths.filter(pl.Series(lost)).drop_nulls()
        # What was reported of these rows before is told again, not twice.
        kept = [f for f in self.findings_ if f.kind != "embed.unreadable" or f.columns != (name,)]
        self.findings_ = kept
        if len(gone):
            rows = ids.filter(pl.Series(lost) & paths.is_not_null()).to_numpy()
            self.report_rows(
                "embed.unreadable",
                f"{len(gone)} of {len(paths)} images of '{name}' cannot be read, such as {gone[0]}; their "
                "numbers are missing.",
                rows,
                np.zeros(len(rows)),
                score=len(gone) / len(paths),
                severity="medium",
                columns=(name,),
                remedy={"prune.unreadable": {}},
            )


def _say(word: str) -> None:
    print(f"embed.images: {word}", file=sys.stderr, flush=True)
