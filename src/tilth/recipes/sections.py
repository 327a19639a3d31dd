"""What the sections of a recipe may say, besides its stages."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from tilth.table import Kind

Name = Annotated[str, MinLen(1)]
Pixels = Annotated[int, Ge(1)]
Share = Annotated[float, Gt(0), Le(1)]


class Section(BaseModel):
    """Hold one section: a frozen value; unknown words and words of another type are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)

    def told(self) -> dict[str, Any]:
        """Return what was said, in order, and nothing of what was left to the defaults."""
        return self.model_dump(exclude_unset=True)


class Split(Section):
    """Keep some rows apart for testing."""

    test: Annotated[float, Gt(0), Lt(1)] = 0.2
    """Share of the rows, or of the groups, that are kept for testing."""
    by: Literal["random", "group", "column", "time"] = "random"
    """random: rows, within each class; group: whole groups; column: rows whose `column` says test; time: the
    latest rows by `column`."""
    column: Name | None = None
    """The column that says train or test (`by: column`), or that holds dates or numbers (`by: time`)."""

    @model_validator(mode="before")
    @classmethod
    def _column_says_how(cls, told: Any) -> Any:
        if not isinstance(told, dict) or told.get("column") is None or told.get("by") == "time":
            return told
        if "test" in told:
            raise PydanticCustomError(
                "split", "'test' is a share, but 'column' tells the test rows; drop one"
            )
        return {**told, "by": told.get("by", "column")}

    @model_validator(mode="after")
    def _one_way(self) -> Split:
        if (self.by in ("column", "time")) != (self.column is not None):
            by = self.by if self.by == "time" else "column"
            raise PydanticCustomError("split", f"'by: {by}' and 'column' go together: name both, or neither")
        return self


class Data(Section):
    """Say which rows to read, and what their columns are."""

    path: Name | None = None
    """A CSV or Parquet file, or a folder of images; a relative path starts at the recipe's folder."""
    target: Name | None = None
    """The column to predict; of a folder of images by default the class folder, `label`."""
    image: Name | None = None
    """The column of a file that holds paths of images; relative ones start at the file's folder."""
    weight: Name | None = None
    """The column that says how much a row counts."""
    group: Name | None = None
    """The column that says which rows belong together."""
    row_id: Name | None = None
    """The column that names each row; by default its position in the file."""
    annotators: list[Name] = []
    """The columns that each hold one person's labels; without a target, one is made for them."""
    split: Split | None = None
    """How rows are kept for testing; by default the folder `test` of an image folder, else none."""
    null_values: list[str] = []
    """Texts that mean "missing" in a CSV, besides the empty cell; class folders that stand for no label."""
    kinds: dict[str, Kind] = {}
    """Kinds that a column's type does not tell: text, image."""

    @model_validator(mode="after")
    def _group_is_named(self) -> Data:
        if self.split is not None and self.split.by == "group" and self.group is None:
            raise PydanticCustomError("split", "'split: {by: group}' needs 'group: my_column' beside it")
        return self


class Loader(Section):
    """Say how prepared rows are fed to a training loop.

    See `tilth.loaders.TableLoader` and, where rows are images, `tilth.loaders.ImageLoader`.
    """

    batch_size: Annotated[int, Ge(1)] = 1024
    """Rows per batch; of images, where it is not said, 64."""
    shuffle: bool = True
    """Visit the rows in a new order each epoch."""
    drop_last: bool = False
    """Leave out the last batch where it is not full."""
    device: Name = "auto"
    """Where batches are wanted: auto, cpu, cuda, mps."""
    random_state: Annotated[int, Ge(0)] | None = 0
    """The seed of orders and augmentations; null takes a fresh one."""
    place: Literal["auto", "device", "host"] = "auto"
    """Where the table rests; not of images."""
    sampler: Literal["shuffle", "sequential", "weighted", "balanced"] | None = None
    """The order of rows by name; null: as `shuffle` says."""
    size: Pixels | Annotated[list[Pixels], MinLen(2), MaxLen(2)] = 224
    """Of images, as all that follows: height and width in pixels, as one number or two."""
    fit: Literal["crop", "squash", "pad", "random"] = "crop"
    """How an image of another shape fits: cut, scaled apart, between black bars, or by a random part."""
    scale: Annotated[list[Share], MinLen(2), MaxLen(2)] = [0.35, 1.0]
    """The least and the greatest share of the area that a random part covers."""
    stretch: Annotated[float, Ge(1)] = 4 / 3
    """How many times as wide, or as narrow, as `size` a random part may be; 1: never."""
    flip: Annotated[float, Ge(0), Le(1)] = 0.0
    """How often an image is mirrored, left to right."""
    normalize: Literal["imagenet"] | None = None
    """imagenet: as networks trained on ImageNet expect; null: as `scale.channels` learned, or from 0 to 1."""
    threads: Annotated[int, Ge(1)] | None = None
    """How many images are decoded at once; null: one per core."""
    cache: Literal["memory", "disk"] | None = None
    """Where decoded pixels are kept: memory, or disk, in the cache folder; null: decoded each time."""
    unreadable: Literal["skip", "raise"] = "skip"
    """What becomes of an image that cannot be decoded."""
    channels_last: bool = True
    """Batches lie in memory pixel after pixel; false: channel after channel."""
    max_pixels: Annotated[int, Ge(1)] = 100_000_000
    """Images of more pixels are not decoded."""


class Bench(Section):
    """Say how the recipe is judged."""

    probes: Annotated[list[Literal["linear", "boosting", "mlp", "cnn", "transfer"]], MinLen(1)] | None = None
    """The models that judge; null: linear, boosting and mlp, or cnn and transfer where rows are images."""
    folds: Annotated[int, Ge(2)] = 5
    """Parts that rows are split into; each is the test part once."""
    repeats: Annotated[int, Ge(1)] = 5
    """How often the folds are drawn anew."""
    metric: Name = "auto"
    """The metric that verdicts are about; auto: the task's own."""
    ablate: bool = False
    """Judge each stage by leaving it out."""
    learning_curve: bool = False
    """Say whether more rows would help, and how much."""
    sizes: Annotated[list[int | float], MinLen(4)] | None = None
    """The training rows that a learning curve tries, as counts or as shares; null: 8, up to all."""
    random_state: Annotated[int, Ge(0)] = 0
    """The seed of folds and probes."""
    n_jobs: int | None = None
    """Processes; null: one per core."""


class Output(Section):
    """Say where prepared rows go."""

    dir: Name = "out"
    """A folder; a relative path starts at the recipe's folder."""
    format: Literal["parquet", "csv"] = "parquet"
    """The format of the prepared rows."""
    images: Literal["none", "copy", "resize"] = "none"
    """Where rows are images. none: a manifest names the files where they are; copy: their bytes are copied
    into class folders; resize: they are scaled down into class folders."""
    size: Annotated[int, Ge(8)] = 256
    """Pixels of the shorter side that `images: resize` scales down to; smaller images keep their size."""

    @model_validator(mode="after")
    def _size_is_used(self) -> Output:
        if "size" in self.model_fields_set and self.images != "resize":
            raise PydanticCustomError("size", "'size' goes with 'images: resize'; add that, or drop 'size'")
        return self
