"""Rows are cut out of files by their position alone, and what is no good source is refused at once."""

from __future__ import annotations

import polars as pl
import pytest

from tilth.errors import DataError
from tilth.loaders.parquet import ParquetRows, sliceable

FRAME = pl.DataFrame({"a": range(9), "b": [str(i) for i in range(9)]})


@pytest.fixture
def folder(tmp_path):
    """Nine rows in four files, of which one is empty and one has its columns the other way round."""
    for name, start, stop in (("0", 0, 3), ("1", 3, 3), ("more/2", 3, 8), ("more/3", 8, 9)):
        file = tmp_path / f"{name}.parquet"
        file.parent.mkdir(exist_ok=True)
        part = FRAME[start:stop]
        (part.select("b", "a") if name == "more/2" else part).write_parquet(file)
    return tmp_path


def test_any_cut_of_several_files_holds_the_rows_at_these_places(folder):
    rows = ParquetRows(folder)
    assert len(rows) == 9
    for start in range(9):
        for stop in range(start, 10):
            assert rows.cut(start, stop).collect().equals(FRAME[start:stop])
    assert rows.whole().collect().equals(FRAME)


def test_a_cut_reads_no_file_but_those_that_hold_its_rows(folder):
    rows = ParquetRows(folder)
    for file in ("0.parquet", "more/3.parquet"):
        (folder / file).unlink()
    assert rows.cut(3, 8).collect()["a"].to_list() == [3, 4, 5, 6, 7]


@pytest.mark.parametrize("kind", ["folder", "pattern", "list", "query", "arrow"])
def test_every_kind_of_source_gives_the_same_rows(folder, kind):
    FRAME.write_ipc(folder / "all.arrow")
    source = {
        "folder": folder,
        "pattern": str(folder / "**" / "*.parquet"),
        "list": [folder / "0.parquet", folder / "more"],
        "query": pl.scan_parquet(folder / "**/*.parquet").with_columns(pl.col("a") + 0),
        "arrow": pl.scan_ipc(folder / "all.arrow"),
    }[kind]
    rows = ParquetRows(source)
    assert len(rows) == 9
    assert rows.cut(2, 8).collect()["a"].to_list() == [2, 3, 4, 5, 6, 7]
    assert rows.names == ["a", "b"]


def test_a_name_with_signs_of_a_pattern_in_it_is_a_name_where_there_is_such_a_file(tmp_path):
    FRAME.write_parquet(tmp_path / "part[1].parquet")
    assert len(ParquetRows(tmp_path / "part[1].parquet").cut(0, 9).collect()) == 9


def test_rows_are_told_by_file_and_place_in_it(folder):
    told = ParquetRows(folder).where(2, 5)
    assert told == f"{folder / '0.parquet'}, row 2, and {folder / 'more/2.parquet'}, rows 0 to 1"
    assert ParquetRows(pl.scan_parquet(folder)).where(2, 5) == "the query, rows 2 to 4"


def test_the_largest_row_group_is_known(tmp_path):
    FRAME.write_parquet(tmp_path / "a.parquet", row_group_size=2)
    FRAME.write_parquet(tmp_path / "b.parquet", row_group_size=4)
    assert ParquetRows(tmp_path).group_rows == 4


def test_a_file_that_is_not_there_is_told_with_the_nearest_name(folder):
    with pytest.raises(DataError, match=r"no such file \(did you mean '0.parquet'"):
        ParquetRows(folder / "00.parquet")


def test_a_folder_or_pattern_without_files_is_refused(tmp_path):
    for source in (tmp_path, tmp_path / "*.parquet"):
        with pytest.raises(DataError, match="no Parquet file is found"):
            ParquetRows(source)
    with pytest.raises(DataError, match="list of files is empty"):
        ParquetRows([])


def test_a_file_of_another_format_is_refused_with_the_way_to_convert_it(tmp_path):
    FRAME.write_csv(tmp_path / "rows.csv")
    with pytest.raises(DataError, match=r"rows.csv: is not a Parquet file .*sink_parquet"):
        ParquetRows(tmp_path / "rows.csv")


def test_a_file_cut_short_is_refused(tmp_path):
    file = tmp_path / "rows.parquet"
    FRAME.write_parquet(file)
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"rows.parquet: is not a Parquet file"):
        ParquetRows(file)


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (FRAME.with_columns(pl.col("a").cast(pl.Float32)), "column 'a' is Float32, but in .* it is Int64"),
        (FRAME.drop("b"), "column 'b' is not there, but in .* it is String"),
        (FRAME.with_columns(c=1), "column 'c' is Int32, but in .* it is not there"),
    ],
)
def test_files_of_other_columns_are_refused_by_file_and_column(tmp_path, other, told):
    FRAME.write_parquet(tmp_path / "a.parquet")
    other.write_parquet(tmp_path / "b.parquet")
    with pytest.raises(DataError, match=rf"b.parquet: {told}"):
        ParquetRows(tmp_path)


def test_folders_that_hold_columns_in_their_names_are_not_read_without_them(tmp_path):
    (tmp_path / "year=2020").mkdir()
    FRAME.write_parquet(tmp_path / "year=2020" / "a.parquet")
    with pytest.raises(DataError, match="scan_parquet"):
        ParquetRows(tmp_path)
    assert ParquetRows(pl.scan_parquet(tmp_path)).names == ["a", "b", "year"]


def test_a_remote_path_is_sent_to_a_scan():
    with pytest.raises(DataError, match=r"polars.scan_parquet\('s3://bucket/rows.parquet'\)"):
        ParquetRows("s3://bucket/rows.parquet")


@pytest.mark.parametrize(
    "asked",
    [
        lambda scan: scan.filter(pl.col("a") > 1),
        lambda scan: scan.sort("b"),
        lambda scan: scan.unique(),
        lambda scan: scan.group_by("b").len(),
        lambda scan: scan.join(scan, on="a"),
        lambda scan: pl.concat([scan, scan.with_columns(pl.col("a") + 1)]),
        lambda scan: scan.with_columns(pl.col("a").sum().alias("total")),
        lambda scan: scan.collect().lazy(),
        lambda scan: scan.map_batches(lambda frame: frame),
    ],
    ids=["filter", "sort", "unique", "group", "join", "union", "aggregate", "memory", "opaque"],
)
def test_a_query_whose_slices_read_more_than_the_slice_is_refused(folder, asked):
    query = asked(pl.scan_parquet(folder / "0.parquet"))
    assert not sliceable(query)
    with pytest.raises(DataError, match="sink_parquet"):
        ParquetRows(query)


def test_a_csv_is_no_source_whose_slices_are_cheap(tmp_path):
    FRAME.write_csv(tmp_path / "rows.csv")
    assert not sliceable(pl.scan_csv(tmp_path / "rows.csv"))
