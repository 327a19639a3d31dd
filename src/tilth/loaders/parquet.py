"""Cut rows out of Parquet files by their position, without reading the rows before them."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from os import PathLike
from pathlib import Path

import polars as pl

from tilth.errors import DataError, nearest

Source = str | PathLike[str] | Sequence[str | PathLike[str]] | pl.LazyFrame

# What reading a damaged file may raise; a panic of the reader is no Exception.
UNREADABLE = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)


class ParquetRows:
    """Rows of Parquet files, one file after the other, or of a query over a scan of them.

    Parameters
    ----------
    source : path, sequence of paths, or LazyFrame
        A file, a folder (all its ``.parquet`` files, also those further down, sorted by path), a pattern
        such as ``"data/*.parquet"``, several of these, or a scan of Parquet with row-by-row steps on it.

    Attributes
    ----------
    files : list of Path
        The files, in the order of their rows; empty for a LazyFrame.
    names : list of str
        The columns.
    group_rows : int
        The rows of the largest row group, which is read from the disk as a whole; 0 for a LazyFrame.

    Raises
    ------
    DataError
        If there is no such file, a file is not Parquet, files differ in their columns, or the slices of a
        LazyFrame are not cheap.
    """

    def __init__(self, source: Source) -> None:
        self.files: list[Path] = []
        self.group_rows = 0
        if isinstance(source, pl.LazyFrame):
            if not sliceable(source):
                raise DataError(
                    "source: slices of this LazyFrame are not cut out of a Parquet file directly, so that "
                    "each would cost a pass over the data. Write its result to a file first, "
                    "query.sink_parquet(path), and pass the path; or, where it is in memory, use "
                    "TableLoader. Steps that go row by row belong into `change`."
                )
            self._query = source
            self.names = source.collect_schema().names()
            self._ends = [source.select(pl.len()).collect().item()]
            return
        self.files = _files(source)
        self.names = _same_columns(self.files)
        scans = [pl.scan_parquet(file, glob=False) for file in self.files]
        self._query = pl.concat([scan.select(self.names) for scan in scans])
        footers = [_footer(file) for file in self.files]
        self._ends = list(accumulate(rows for rows, _ in footers))
        self.group_rows = max(largest for _, largest in footers)

    def __len__(self) -> int:
        return self._ends[-1]

    def cut(self, start: int, stop: int) -> pl.LazyFrame:
        """Return rows `start` to `stop` - 1 as a query of their own, to which only they are read."""
        if not self.files:
            return self._query.slice(start, stop - start)
        # File by file: over several at once, Polars would read how many rows there are in all those before.
        cuts = [
            pl.scan_parquet(self.files[number], glob=False).slice(first, last - first).select(self.names)
            for number, first, last in self._within(start, stop)
        ]
        return cuts[0] if len(cuts) == 1 else pl.concat(cuts)

    def whole(self) -> pl.LazyFrame:
        """Return all rows, to be streamed."""
        return self._query

    def where(self, start: int, stop: int) -> str:
        """Say which rows of which files these are, counted from 0 in each."""
        if not self.files:
            return f"the query, {_rows(start, stop)}"
        return ", and ".join(f"{self.files[i]}, {_rows(a, b)}" for i, a, b in self._within(start, stop))

    def _within(self, start: int, stop: int) -> list[tuple[int, int, int]]:
        """Return (number of the file, first row in it, row after the last) for each file concerned."""
        found: list[tuple[int, int, int]] = []
        number = min(bisect_right(self._ends, start), len(self._ends) - 1)
        while not found or start < stop:
            before = self._ends[number - 1] if number else 0
            last = min(stop, self._ends[number])
            if start < last or start == stop:
                found.append((number, start - before, last - before))
            start, number = max(start, last), number + 1
        return found


def _rows(start: int, stop: int) -> str:
    return f"row {start}" if stop == start + 1 else f"rows {start} to {stop - 1}"


def sliceable(query: pl.LazyFrame) -> bool:
    """Tell whether a slice of the query reads no more than the slice, out of Parquet or Arrow files.

    Of others, a slice costs a pass over the data, and may hold other rows each time.
    """
    plan = query.slice(1, 1).explain()
    # One scan, with the slice in it. A union has several, of which a slice reads all from their start.
    scans = re.findall(r"^ *(\w+) SCAN ", plan, re.MULTILINE)
    return scans in (["Parquet"], ["Ipc"]) and len(re.findall(r"^ *SLICE: ", plan, re.MULTILINE)) == 1


def _files(source: str | PathLike[str] | Sequence[str | PathLike[str]]) -> list[Path]:
    several: Iterable[str | PathLike[str]] = [source] if isinstance(source, str | PathLike) else source
    files = [file for each in several for file in _found(each)]
    if not files:
        raise DataError("source: the list of files is empty. Name at least one Parquet file.")
    return files


def _found(named: str | PathLike[str]) -> list[Path]:
    if "://" in str(named):
        raise DataError(f"{named}: is no local path. Pass polars.scan_parquet('{named}') as the source.")
    path = Path(named)
    if path.is_file():
        return [path]
    if path.is_dir():
        files = sorted(path.rglob("*.parquet"))
        if any("=" in part for file in files for part in file.relative_to(path).parts[:-1]):
            raise DataError(
                f"{path}: its folders are named key=value, and hold a column each. "
                f"Pass polars.scan_parquet('{path}') as the source, which reads them."
            )
    elif any(sign in str(path) for sign in "*?["):
        files = sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
    else:
        near = [p.name for p in path.parent.glob("*")] if path.parent.is_dir() else []
        raise DataError(f"{path}: no such file{nearest(path.name, near)}. Check the path.")
    if not files:
        raise DataError(f"{path}: no Parquet file is found there. Check the path.")
    return files


def _footer(file: Path) -> tuple[int, int]:
    """Return how many rows a file holds, and how many its largest row group."""
    from pyarrow import parquet

    told = parquet.read_metadata(file)
    return told.num_rows, max((told.row_group(i).num_rows for i in range(told.num_row_groups)), default=0)


def _same_columns(files: list[Path]) -> list[str]:
    """Return the names of the columns, in the order of the first file, checked to be those of all."""
    first, expected = files[0], _schema(files[0])
    for file in files[1:]:
        found = _schema(file)
        for name in [*expected, *found]:
            here, there = found.get(name, "not there"), expected.get(name, "not there")
            if here != there:
                raise DataError(
                    f"{file}: column '{name}' is {here}, but in {first} it is {there}. Files of one source "
                    "need the same columns of the same types: write them anew alike, or leave some out."
                )
    return list(expected)


def _schema(file: Path) -> dict[str, pl.DataType]:
    try:
        return dict(pl.scan_parquet(file, glob=False).collect_schema())
    except UNREADABLE as error:
        raise DataError(
            f"{file}: is not a Parquet file that can be read: {error}. Write it anew, or convert it first: "
            "polars.scan_csv(path).sink_parquet(...) makes one of a CSV file of any size."
        ) from error
