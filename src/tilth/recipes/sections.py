"""What the sections of a recipe may say, besides its stages."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen, MultipleOf
from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from tilth.table import Kind

Name = Annotated[str, MinLen(1)]
Pixels = Annotated[int, Ge(1)]
Orders = Literal["shuffle", "sequential", "blocks", "weighted", "balanced", "grouped", "balanced_groups"]
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

    See `tilth.loaders.TableLoader`, `tilth.loaders.StreamLoader` and, where rows are images,
    `tilth.loaders.ImageLoader`.
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
    sampler: Orders | None = None
    """The order of rows by name; null: as `shuffle` says."""
    block_rows: Annotated[int, Ge(1)] = 65_536
    """Rows that are shuffled among each other, where `sampler: blocks`."""
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    """The type of the numbers."""
    place: Literal["auto", "device", "pinned", "host"] = "auto"
    """Of tables, as the next four: where the table rests."""
    codes: list[Name] | dict[Name, list[str | int | float | bool]] | None = None
    """Prepared columns that come as whole numbers for an embedding, by name; or each with its categories."""
    stream: bool = False
    """Feed the rows from the Parquet file that the run wrote, piece by piece, and not from memory."""
    buffer_rows: Annotated[int, Ge(1)] | None = None
    """Rows of a stream that are in memory and shuffled among each other; null: as many as make 128 MiB."""
    slice_rows: Annotated[int, Ge(1)] | None = None
    """Rows of a stream that lie together in the file and are read together; null: a 32nd of those."""
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
    workers: Annotated[int, Ge(0)] = 0
    """How many processes decode, in place of threads; 0: none."""
    multiprocessing_context: Literal["fork", "forkserver", "spawn"] | None = None
    """How these processes are started; null: forkserver where there is one, else spawn."""
    cache: Literal["memory", "disk"] | None = None
    """Where decoded pixels are kept: memory, or disk, in the cache folder; null: decoded each time."""
    unreadable: Literal["skip", "raise"] = "skip"
    """What becomes of an image that cannot be decoded."""
    channels_last: bool = True
    """Batches lie in memory pixel after pixel; false: channel after channel."""
    max_pixels: Annotated[int, Ge(1)] = 100_000_000
    """Images of more pixels are not decoded."""

    @model_validator(mode="after")
    def _goes_together(self) -> Loader:
        told = self.model_fields_set
        for contradiction in (self._of_two_kinds(told), self._of_streams(told), self._of_orders(told)):
            if contradiction:
                raise PydanticCustomError("loader", "{told}", {"told": contradiction})
        return self

    def _of_two_kinds(self, told: set[str]) -> str | None:
        names = list(type(self).model_fields)
        of_tables = [n for n in names[names.index("place") : names.index("size")] if n in told]
        of_images = [n for n in names[names.index("size") :] if n in told]
        if of_tables and of_images:
            return f"'{of_tables[0]}' is said of tables and '{of_images[0]}' of images; drop one of them"
        if "multiprocessing_context" in told and not self.workers:
            return "'multiprocessing_context' goes with 'workers: 2'; add that, or drop it"
        return None

    def _of_orders(self, told: set[str]) -> str | None:
        if "shuffle" in told and self.sampler and self.shuffle == (self.sampler == "sequential"):
            said = f"shuffle: {str(self.shuffle).lower()}"
            return f"'{said}' contradicts 'sampler: {self.sampler}'; drop one of them"
        in_turn = self.sampler in ("blocks", "sequential") or (self.sampler is None and not self.shuffle)
        if self.place == "pinned" and not in_turn:
            return "'place: pinned' sends a table block by block; add 'sampler: blocks' or 'sequential'"
        if "block_rows" in told and self.sampler != "blocks":
            return "'block_rows' goes with 'sampler: blocks'; add that, or drop 'block_rows'"
        return None

    def _of_streams(self, told: set[str]) -> str | None:
        windows = [n for n in ("buffer_rows", "slice_rows") if n in told]
        if not self.stream:
            return f"'{windows[0]}' goes with 'stream: true'; add that, or drop it" if windows else None
        if "place" in told:
            return "'place' says where a whole table rests, and a stream has none; drop 'place' or 'stream'"
        if self.sampler not in (None, "shuffle", "sequential"):
            return f"'sampler: {self.sampler}' needs all rows at hand; a stream knows shuffle and sequential"
        return None


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
    time: Name | None = None
    """The column of dates or numbers by which rows came: each part is tested by earlier rows only; null: that
    of `data: {split: {by: time}}`, if rows are split so."""
    fixed_test: bool = False
    """Judge on the rows that `data: {split: ...}`, or the folder `test` of images, keeps for testing, and not
    in folds; `repeats` then says how many training seeds are tried."""
    slices: list[Name] | None = None
    """Columns whose categories, or quarters of values, must not pay for a gain; null: all."""
    clean: Name | None = None
    """The column of labels that were checked, null where nobody did: what is gained by them is told beside
    what is gained by the labels as given. No feature, for the bench and for runs: it goes along as it is."""
    tune: bool | dict[Name, bool | dict[Name, Annotated[list[Any], MinLen(1)]]] = False
    """Choose hyper-parameters of the probes by 3 inner folds of each training part: true, each probe among
    its own few settings; or what to try, probe by probe, such as `{linear: {C: [0.1, 1.0]}, mlp: true}`."""
    ablate: bool | Literal["leave_one_out", "add_one", "shapley"] = False
    """Judge each stage: true or leave_one_out, by leaving it out; add_one, by taking it alone; shapley, by
    its share in the gain of all."""
    permutations: Annotated[int, Ge(4), MultipleOf(2)] = 200
    """Orders drawn for `ablate: shapley` of more than 6 stages."""
    explain: bool | list[Name] | dict[Name, Name | list[Name]] = False
    """Say which columns matter, and which rows pay: true, for all; selections of columns; or named groups of
    columns, such as `{address: [street, city], numbers: numeric}`."""
    robustness: bool = False
    """Say how the recipe fares on rows made worse, and on rows moved to where models err."""
    learning_curve: bool = False
    """Say whether more rows would help, and how much."""
    sizes: Annotated[list[int | float], MinLen(4)] | None = None
    """The training rows that a learning curve tries, as counts or as shares; null: 8, up to all."""
    random_state: Annotated[int, Ge(0)] = 0
    """The seed of folds and probes."""
    n_jobs: int | None = None
    """Processes; null: one per core."""

    @model_validator(mode="after")
    def _goes_with_one_test_set(self) -> Bench:
        if not self.fixed_test:
            return self
        names = ("folds", "time", "learning_curve", "explain", "robustness")
        against = [n for n in names if n in self.model_fields_set and getattr(self, n)]
        against += ["ablate: shapley"] if self.ablate == "shapley" else []
        if against:
            told = "'{name}' goes by folds, and 'fixed_test: true' draws none; drop one of them"
            raise PydanticCustomError("fixed_test", told, {"name": against[0]})
        return self


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
