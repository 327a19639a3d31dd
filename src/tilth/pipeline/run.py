"""Carrying out a recipe: read, split, fit, transform, and write everything or nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from tilth.bundles import whole_folder
from tilth.core import Finding, Ledger
from tilth.core.lineage import remember
from tilth.errors import ColumnError, DataError, RecipeError
from tilth.images.each import telling
from tilth.pipeline import manifest
from tilth.pipeline.pipeline import Pipeline
from tilth.pipeline.why import why
from tilth.recipes import Recipe
from tilth.statistics import uniform
from tilth.table import ROW, Table, read

if TYPE_CHECKING:
    from tilth.loaders import ImageLoader, StreamLoader, TableLoader

MARK = "tilth-run.json"
MOST_CLASSES = 100
"""A target of more distinct values is not drawn class by class."""


@dataclass
class RunResult:
    """Hold what a run made.

    Parameters
    ----------
    pipeline : Pipeline
        Fitted on the training rows.
    before, after : Table
        The training rows as read and as prepared.
    test : Table or None
        The test rows as transformed.
    test_before : Table or None
        The test rows as read.
    recipe : Recipe
        What was carried out: a stage that chose among others is the one it chose.
    out : Path or None
        The folder that was written.
    """

    pipeline: Pipeline
    before: Table
    after: Table
    test: Table | None
    recipe: Recipe
    out: Path | None = None
    test_before: Table | None = None

    @property
    def ledger(self) -> Ledger:
        """Return what was done to every row."""
        return self.pipeline.ledger_

    @property
    def findings(self) -> list[Finding]:
        """Return what reading left out, and what the stages saw."""
        notes = [Finding("images.unused", note, 1.0, "low", stage="data") for note in self.before.notes]
        return notes + self.pipeline.findings_

    @property
    def recipe_yaml(self) -> str:
        """Return the recipe as text."""
        return self.recipe.to_yaml()

    def why(self, place: int) -> pl.DataFrame:
        """Tell of one training row, by its place in `before`, what was found, done to it, and changed.

        Parameters
        ----------
        place : int
            From 0.

        Returns
        -------
        DataFrame
            ``stage, what, column, reason, score, before, after``; see `tilth.pipeline.why.why`.

        Raises
        ------
        DataError
            There is no such row.
        """
        return why(self.pipeline, self.before, self.findings, place)

    def loader(self, **options: Any) -> TableLoader | ImageLoader | StreamLoader:
        """Feed the prepared training rows, as the recipe's loader section says; `options` go before it.

        Raises
        ------
        DataError
            If the rows are to be streamed, and no Parquet file of them was written.
        """
        told = {**self.recipe.loader.told(), **options}
        if not told.pop("stream", False):
            return self.pipeline.loader(self.before, **told)
        path = None if self.out is None else self.out / "train.parquet"
        if path is None or self.recipe.output.format != "parquet":
            raise DataError(
                "stream: prepared rows are fed from their Parquet file, and none was written. Carry the "
                "recipe out by tilth.pipeline.run, with output: {format: parquet}."
            )
        return self.pipeline._stream_file(path, self.after, **told)


def run(
    recipe: Recipe | str | Path,
    *,
    base: str | Path = ".",
    out: str | Path | None = None,
    data: Table | None = None,
    progress: Callable[[str], None] | None = None,
) -> RunResult:
    """Carry out a recipe and write its output folder: prepared rows, bundle, ledger, findings.

    Parameters
    ----------
    recipe : Recipe or path of one
    base : path
        What relative paths in the recipe start from (for a recipe file: its folder).
    out : path, optional
        The output folder; by default the recipe's ``output.dir``.
    data : Table, optional
        Rows to use instead of the recipe's ``data.path``.
    progress : callable, optional
        Told what is being done.

    Returns
    -------
    RunResult

    Raises
    ------
    RecipeError, DataError, StageError
        Nothing is written then.
    """
    if not isinstance(recipe, Recipe):
        base, recipe = Path(recipe).parent, Recipe.read(recipe)
    folder = Path(out) if out is not None else Path(base) / recipe.output.dir
    _free(folder)
    tell = progress or (lambda _: None)
    tell("reading")
    table = data if data is not None else read_data(recipe, base, tell)
    if recipe.output.images != "none" and table.roles.image is None:
        raise RecipeError(
            f"output: images: {recipe.output.images}, but the data holds no images. Name the column of their "
            "paths (data: {image: path}), or drop it."
        )
    result = prepare(recipe, base=base, data=table, progress=tell)
    tell("writing")
    _write(result, folder, tell)
    result.out = folder
    return result


def prepare(
    recipe: Recipe,
    *,
    base: str | Path = ".",
    data: Table | None = None,
    progress: Callable[[str], None] | None = None,
) -> RunResult:
    """Read, split, fit and transform as a recipe says, and write nothing."""
    tell = progress or (lambda _: None)
    tell("reading")
    table = data if data is not None else read_data(recipe, base, tell)
    with telling(tell):
        training, test = split(table, recipe)
        pipeline = Pipeline(recipe.build())
        before, done = pipeline._fit(training, None, None, None, tell)
        remember(before, done.table, "run of a recipe")
        transformed = None if test is None else pipeline.transform(test)
    if any(stage.concrete() is not stage for _, stage in pipeline.stages_):
        recipe = pipeline.to_recipe(**recipe.told())
    return RunResult(pipeline, training, done.table, transformed, recipe, test_before=test)


def read_data(recipe: Recipe, base: str | Path = ".", progress: Callable[[str], None] | None = None) -> Table:
    """Read the rows that a recipe's data section names; labels checked, if the bench's names them, apart."""
    told = recipe.data
    if told.path is None:
        raise RecipeError("The recipe names no data. Add a section: data: {path: my.csv, target: my_label}")
    return read(
        Path(base) / told.path,
        target=told.target,
        weight=told.weight,
        group=told.group,
        row_id=told.row_id,
        annotators=told.annotators,
        clean=recipe.bench.clean,
        split=told.split.column if told.split and told.split.by == "column" else None,
        null_values=told.null_values,
        image=told.image,
        kinds=told.kinds,
        progress=progress,
    )


def split(table: Table, recipe: Recipe) -> tuple[Table, Table | None]:
    """Return training and test rows as the recipe's ``data.split`` says; the same rows in every process.

    Where it says nothing, the table's own split, such as a folder 'test' of images, is kept. Rows are drawn
    by (seed, row id), within each class of the target. Copies of a row stay together, near copies of an
    image, too, and so does a group, where the table has groups. By time the latest rows are kept for
    testing, and all rows of one moment are on one side.
    """
    how = recipe.data.split
    if how is None and table.roles.split is None:
        return table, None
    frame = table.frame.collect()
    column = table.roles.split if how is None else how.column
    if how is not None and how.by == "time":
        is_test = _latest(frame, str(column), how.test)
    elif how is None or column is not None:
        is_test = (frame[str(column)].cast(pl.String) == "test").fill_null(False)
        if not is_test.any() or is_test.all():
            raise DataError(
                f"Column '{column}' splits nothing: it must say 'test' in some rows and not in all."
            )
    else:
        if how.by == "group":
            table.need("group", "data.split: {by: group}")
        is_test = pl.Series(_drawn(table.with_frame(frame.lazy()), how.test))
    part = lambda mask: table.with_frame(frame.filter(mask).lazy())
    return part(~is_test), part(is_test)


def _latest(frame: pl.DataFrame, column: str, share: float) -> pl.Series:
    """Mark the latest rows; those of one moment are on one side, those without one are for training."""
    if column not in frame.columns:
        raise ColumnError.missing([column], [c for c in frame.columns if c != ROW], "data.split: {by: time}")
    times = frame[column]
    if not (times.dtype.is_temporal() or times.dtype.is_numeric()):
        raise DataError(
            f"Column '{column}' is {times.dtype}: data.split: {{by: time}} needs dates or numbers. "
            "Write dates as 2024-12-31, so that they are read as such."
        )
    known = times.drop_nulls().sort(descending=True)
    if known.n_unique() < 2:
        raise DataError(f"Column '{column}' holds one moment or none, so that no rows are later than others.")
    first = known[min(max(round(share * len(known)), 1), len(known)) - 1]
    # All rows of the first moment that fits are for testing, unless none were left to train on.
    late = times >= first if first > known[-1] else times > first
    return late.fill_null(False)


def _drawn(table: Table, share: float) -> np.ndarray:
    """Return which rows are for testing."""
    group = table.roles.group
    told_apart = table.frame.select([group] if group else table.features).collect().hash_rows(seed=0)
    if group is None and table.roles.image is not None:
        # Decoders are not waited for where there is nothing to decode.
        from tilth.images.copies import groups
        from tilth.images.properties import properties

        paths = table.frame.select(table.roles.image).collect().to_series()
        told_apart = pl.Series(groups(properties(paths.cast(pl.String).fill_null("").to_list())))
    places = pl.DataFrame({"unit": told_apart, "place": np.arange(table.height)})
    first = places.select(pl.col("place").min().over("unit")).to_series().to_numpy()
    firsts, unit_of = np.unique(first, return_inverse=True)
    draws = uniform(0, table.ids[firsts])
    target = table.y
    if group or target is None or target.dtype.is_float() or target.n_unique() > MOST_CLASSES:
        return _smallest(draws, share)[unit_of]
    chosen = np.zeros(len(firsts), bool)
    codes = target.rank("dense").fill_null(0).to_numpy()[firsts]
    for code in np.unique(codes):
        these = np.flatnonzero(codes == code)
        chosen[these] = _smallest(draws[these], share)
    return chosen[unit_of]


def _smallest(draws: np.ndarray, share: float) -> np.ndarray:
    chosen = np.zeros(len(draws), bool)
    chosen[np.argsort(draws, kind="stable")[: round(share * len(draws))]] = True
    return chosen


def _free(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not (folder / MARK).exists())):
        raise DataError(
            f"{folder}: exists and was not written by a run, so it is not replaced. "
            "Choose another folder (--out)."
        )


def _write(result: RunResult, folder: Path, tell: Callable[[str], None]) -> None:
    form = result.recipe.output.format
    with whole_folder(folder) as made:
        paths = None
        if result.before.roles.image is not None:
            paths = manifest.write(result, made, folder.resolve(), tell)
        _rows(result.after, made / f"train.{form}", form, paths)
        if result.test is not None:
            _rows(result.test, made / f"test.{form}", form, paths)
        result.pipeline.save(made / "bundle")
        result.ledger.save(made)
        _json(made / "findings.json", [f.as_dict() for f in result.findings])
        (made / "recipe.yaml").write_text(result.recipe_yaml, encoding="utf-8")
        _json(made / MARK, {"account": result.ledger.account(), "format": form})


def _rows(table: Table, path: Path, form: str, images: pl.DataFrame | None = None) -> None:
    if images is not None and images.columns[1] in table.schema.names():
        # Where the images of a run are is for its manifest to say.
        frame, name = table.frame.collect(), images.columns[1]
        written = frame.select(ROW).join(images, on=ROW, how="left", maintain_order="left")[name]
        table = table.with_frame(frame.with_columns(written).lazy())
    names = [c for c in table.schema.names() if c not in table.roles.reserved]
    roles = [c for c in table.schema.names() if c in table.roles.reserved]
    out = table.frame.select([pl.col(ROW).alias("row_id"), *names, *(r for r in roles if r != "row_id")])
    if form == "csv":
        out.collect().write_csv(path)
    else:
        out.collect().write_parquet(path)


def _json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True, default=str), encoding="utf-8")
