"""Learning something of each of many files: what the cache knows is not learned again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any

import polars as pl

from tilth.images.cache import Cache, file_keys
from tilth.images.each import Progress, cores, each, listener, nobody, told

PASSING = ("missing", "permission")
"""Problems that may be gone though the file is as it was: they are not kept."""
KEPT_AT_ONCE = 10_000
"""Files after which what was learned is written: what is broken off begins there again."""


def remembered(
    work: Callable[[Any], Any],
    paths: Sequence[str | None],
    schema: pl.Schema,
    *,
    name: str,
    version: str,
    threads: int | None = None,
    progress: Progress | None = None,
    cache: bool = True,
    together: int = 0,
) -> pl.DataFrame:
    """Return what `work` tells of each path, one row each, in order; a path that comes twice is read once.

    Parameters
    ----------
    work : callable
        Takes a path, gives the columns of `schema`; called on several threads at once.
    paths : sequence of str or None
        None, a path that is not known, is ``missing``.
    schema : Schema
        Columns and their types; among them ``problem``, null for what is well.
    name, version : str
        Of the cache. What another version kept is not used.
    threads : int, optional
        By default one per core.
    progress : callable, optional
        Told how many files were read, and how fast.
    cache : bool
        Take what is known of files that have not changed, and keep what is learned.
    together : int
        Not 0: `work` takes a list of so many paths, and gives as many dicts.
    """
    asked = pl.DataFrame({"path": pl.Series(paths, dtype=pl.String)}).with_row_index("place")
    files = asked.select("path").drop_nulls().unique(maintain_order=True)
    keys = file_keys(files["path"].to_list()) if cache else pl.Series(dtype=pl.String)
    files = files.with_columns(keys.alias("key") if cache else pl.lit(None, pl.String).alias("key"))
    store = Cache(name, version)
    known = store.recall(files["key"])
    if not known.height:
        known = pl.DataFrame(schema={"key": pl.String, **schema})
    todo = files.join(known.select("key"), on="key", how="anti", maintain_order="left")
    parts = [files.join(known, on="key", how="inner").select("path", *schema)]
    rows: list[dict[str, Any]] = []

    def put() -> None:
        some = pl.DataFrame(rows, schema={"path": pl.String, "key": pl.String, **schema})
        rows.clear()
        parts.append(some.drop("key"))
        if cache:
            store.keep(some.filter(~pl.col("problem").is_in(PASSING).fill_null(False)).drop("path"))

    files_left = todo["path"].to_list()
    learned: Iterable[dict[str, Any]]
    if together:
        some = (files_left[at : at + together] for at in range(0, len(files_left), together))
        ahead = 3 * (threads or cores())  # so few that each thread is handed one list at a time
        learned = chain.from_iterable(each(work, some, threads=threads, most_ahead=ahead, progress=nobody))
        progress = progress or listener()
        learned = learned if progress is None else told(learned, len(files_left), progress, "images")
    else:
        learned = each(work, files_left, threads=threads, progress=progress)
    for (path, key), line in zip(todo.iter_rows(), learned, strict=True):
        rows.append({"path": path, "key": key, **line})
        if len(rows) == KEPT_AT_ONCE:
            put()
    put()
    out = asked.join(pl.concat(parts), on="path", how="left", maintain_order="left")
    problem = pl.when(pl.col("path").is_null()).then(pl.lit("missing")).otherwise("problem")
    return out.with_columns(problem=problem).select("path", *schema)
