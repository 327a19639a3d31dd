"""What a fitted pipeline feeds to a training loop: its rows as numbers, as images, or streamed from disk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from tilth.core import BatchStage, Ledger, apply, conform, replay
from tilth.errors import DataError, UnknownName
from tilth.pipeline import streaming
from tilth.pipeline.columns import (
    Codes,
    Image,
    image_to_feed,
    images_of,
    names_of,
    numbers_of,
    paths_of,
    refuse_images,
    types_of_numbers,
)
from tilth.pipeline.model import needs_numbers
from tilth.pipeline.reading import read_rows
from tilth.pipeline.steps import Steps
from tilth.table import ROW, Roles, Table

if TYPE_CHECKING:
    from tilth.loaders import ImageDataset, ImageLoader, StreamLoader, TableDataset, TableLoader

# What a pipeline tells a loader, and no caller.
_OWN = {
    *("features", "paths", "source", "target", "weight", "groups", "augment"),
    *("ids", "columns", "change", "row_index"),
}

OR_CODES = ", or name it in codes=[...]"


class Feeding(Steps):
    """Feed prepared rows to PyTorch."""

    schema_: dict[str, str]
    roles_: Roles
    ledger_: Ledger

    def loader(
        self,
        X: Any,
        y: Any = None,
        *,
        sample_weight: Any = None,
        groups: Any = None,
        training: bool = True,
        augment: Any = (),
        image: Image = None,
        codes: Codes | None = None,
        stream: bool | None = None,
        **options: Any,
    ) -> TableLoader | ImageLoader | StreamLoader:
        """Feed prepared rows to a training loop: numbers, or the images that a column names.

        Images are normalized as `scale.channels` learned, where the pipeline has it and `normalize` does
        not say otherwise; whatever is random about them is keyed by the row's id.

        Parameters
        ----------
        X, y, sample_weight, groups
            Rows; with `training`, those that were given to `fit`. `X` may be a path: of a CSV or Parquet
            file, or of a folder of images, whose columns have the roles they had at fit. Groups are what
            the samplers ``"grouped"`` and ``"balanced_groups"`` go by.
        training : bool, default True
            True: rows, labels and weights as the row stages left them, shuffled anew each epoch,
            augmented by the pipeline's batch stages that did not add rows already. False: all rows as they
            come.
        augment : BatchStage or sequence of BatchStage
            Further batch stages; they learn from the prepared rows.
        image : str or False, optional
            The column of images to feed; by default the one there is. False: the numbers beside it.
        codes : list of str, or mapping of str to categories, optional
            Prepared columns that leave the block of floats and come as whole numbers for ``nn.Embedding``;
            they need no stage that encodes them. For validation rows pass the training loader's `codes_`.
            Batch stages do not see them.
        stream : bool, optional
            True: leave the rows in their Parquet file, `X` being its path or ``tilth.read(path, lazy=True)``,
            and prepare them piece by piece; row stages must have left all rows as they were. False: prepare
            all rows in memory. None: stream rows that are on disk where they would need more than a quarter
            of the free memory, and no option asks for what only rows in memory can do.
        **options
            As in `tilth.loaders.TableLoader`, `tilth.loaders.StreamLoader` or, for images,
            `tilth.loaders.ImageLoader`: batch_size, device, random_state, sampler, dtype, size, cache ...

        Raises
        ------
        DataError
            If a column is no number (the stage that would make it one is named), the rows are
            not those of `fit`, or they cannot be streamed.
        StageError
            If a stage to augment with adds rows (`expand`), which is done when a pipeline is fitted; if row
            stages changed rows that are to be streamed.
        UnknownName
            If an option is not one of the loader.
        """
        from tilth.loaders import ImageLoader, TableLoader

        rows = self._entered(X, y, sample_weight, groups, training, lazy=stream is not False)
        options.setdefault("shuffle", training or options.get("sampler") is not None)
        if stream:
            streaming.check_order(options)
        if stream or (stream is None and self._does_not_fit(rows, training, image, options)):
            return self._stream(rows, training, augment, image, codes, options)
        table, column = self._prepared(rows, training, image, codes)
        beside = options | ({} if codes is None else {"codes": codes})
        _check_options(beside, TableLoader if column is None else ImageLoader)
        given = {"target": table.y, "weight": table.role("weight"), "groups": table.role("group")}
        told = given | {"augment": self._augmentations(table, training, augment, codes)} | beside
        if column is None:
            return TableLoader(numbers_of(table), **told)
        told |= {"ids": table.ids, "normalize": told.get("normalize") or self._normalization(column)}
        return ImageLoader(paths_of(table, column), **told)

    def dataset(
        self,
        X: Any,
        y: Any = None,
        *,
        sample_weight: Any = None,
        groups: Any = None,
        training: bool = True,
        image: Image = None,
        codes: Codes | None = None,
        **options: Any,
    ) -> TableDataset | ImageDataset:
        """Return prepared rows as a map-style dataset, for those who bring their own DataLoader.

        The parameters are those of `loader`; the options those of `tilth.loaders.TableDataset` or, for
        images, `tilth.loaders.ImageDataset`. No batch stage changes what comes out.
        """
        from tilth.loaders import ImageDataset, TableDataset

        rows = self._entered(X, y, sample_weight, groups, training, lazy=False)
        table, column = self._prepared(rows, training, image, codes)
        beside = options | ({} if codes is None else {"codes": codes})
        _check_options(beside, TableDataset if column is None else ImageDataset)
        given: dict[str, Any] = {"target": table.y, "weight": table.role("weight"), **beside}
        if column is None:
            return TableDataset(numbers_of(table), **given)
        given["normalize"] = options.get("normalize") or self._normalization(column)
        return ImageDataset(paths_of(table, column), **given)

    def _stream(
        self,
        rows: Table,
        training: bool,
        augment: Any,
        image: Image,
        codes: Codes | None,
        options: dict[str, Any],
    ) -> StreamLoader:
        found = streaming.streamed(rows, self.stages_, self.ledger_, training=training)
        refuse_images(found.table, image)
        needs_numbers(types_of_numbers(found.table, codes), "A loader", OR_CODES)
        told = {"change": found.change, "row_index": ROW}
        augment = self._augmentations(found.table, training, augment, codes)
        return _stream_loader(found.source, found.table.roles, augment, codes, options, told)

    def _stream_file(
        self,
        path: Path,
        prepared: Table,
        *,
        augment: Any = (),
        image: Image = None,
        codes: Codes | None = None,
        **options: Any,
    ) -> StreamLoader:
        """Feed prepared training rows from the Parquet file that they were written to."""
        refuse_images(prepared, image)
        needs_numbers(types_of_numbers(prepared, codes), "A loader", OR_CODES)
        told = {"columns": list(numbers_of(prepared).columns)}
        augment = self._augmentations(prepared, True, augment, codes)
        return _stream_loader(path, prepared.roles, augment, codes, options, told)

    def _does_not_fit(
        self,
        rows: Table,
        training: bool,
        image: Image,
        options: Mapping[str, Any],
    ) -> bool:
        """Tell whether rows are on disk, too many for the memory that is free, and can be streamed."""
        if not streaming.sliceable(rows) or options.get("sampler") not in streaming.STREAMED_ORDERS:
            return False
        if training and streaming.changed_rows(self.stages_, self.ledger_):
            return False
        from tilth.loaders import StreamLoader
        from tilth.loaders.device import free_host_bytes

        in_memory = set(options) - {*signature(StreamLoader).parameters, "sampler"}
        if in_memory or (images_of(rows) and image is not False):
            return False
        free = free_host_bytes()  # 0 where the system does not tell
        return 0 < streaming.STREAM_SHARE * free < streaming.bytes_as_prepared(rows)

    def _augmentations(self, table: Table, training: bool, augment: Any, codes: Codes | None) -> list[Any]:
        """Return the batch stages of the pipeline and of the call, fitted on what batches hold."""
        if not training:
            return []
        extra = [augment] if isinstance(augment, BatchStage) else list(augment)
        own = [clone(s) for _, s in self.stages_ if isinstance(s, BatchStage) and not s.on_rows]
        if names_of(codes):
            # They learn where columns stand, and codes stand apart.
            table = table.with_frame(table.frame.drop(names_of(codes), strict=False))
        return [s.for_batches(table) if isinstance(s, BatchStage) else s for s in [*own, *extra]]

    def _normalization(self, column: str) -> Any:
        """Return mean and standard deviation of the colors of a column, where a stage has learned them."""
        for _, stage in self.stages_:
            if stage.key == "scale.channels" and column in stage.mean_:
                return stage.mean_[column], stage.std_[column]
        return None

    def _entered(
        self, X: Any, y: Any, sample_weight: Any, groups: Any, training: bool, *, lazy: bool
    ) -> Table:
        check_is_fitted(self)
        if isinstance(X, str | Path):
            X = read_rows(X, self.roles_, training=training, lazy=lazy)
        table = Table.of(X, y, sample_weight=sample_weight, groups=groups)
        return conform(table, self.schema_, "Pipeline")

    def _prepared(
        self, table: Table, training: bool, image: Image, codes: Codes | None
    ) -> tuple[Table, str | None]:
        """Return the prepared rows, and the column of images to feed, or None to feed numbers."""
        if training:
            table = replay(self.stages_, table, self.ledger_)
        else:
            table = table.with_frame(apply(self.stages_, table.frame))
        table = table.collect()
        column = image_to_feed(table, image)
        if column is None:
            needs_numbers(types_of_numbers(table, codes), "A loader", OR_CODES)
        elif codes is not None:
            raise DataError(
                f"codes are columns of a table, and images are fed, of column '{column}'. Pass image=False "
                "to feed the columns beside them."
            )
        return table, column


def _stream_loader(
    source: Any,
    roles: Roles,
    augment: list[Any],
    codes: Codes | None,
    options: dict[str, Any],
    told: dict[str, Any],
) -> StreamLoader:
    from tilth.loaders import StreamLoader
    from tilth.loaders.passes import named_order

    order = named_order(options.pop("sampler", None), options.get("shuffle", True))
    options = options | {"shuffle": order == "shuffle"}
    _check_options(options, StreamLoader)
    return StreamLoader(
        source, roles.target, weight=roles.weight, codes=codes, augment=augment, **options, **told
    )


def _check_options(options: Iterable[str], of: type) -> None:
    known = set(signature(of).parameters) - _OWN
    for name in options:
        if name not in known:
            raise UnknownName.among(f"option of {of.__name__}", name, sorted(known))
