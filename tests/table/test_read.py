"""Reading files: what is there arrives, what cannot be read is named."""

import json
from datetime import date

import polars as pl
import pytest

from tilth.errors import ColumnError, DataError
from tilth.table import ROW, read


def written(folder, content, name="data.csv"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


HARD = {
    "quotes and commas": (
        'a,b\n"x, y",1\n"he said ""no""",2\n',
        {"a": ["x, y", 'he said "no"'], "b": [1, 2]},
    ),
    "newlines in cells": ('a,b\n"one\ntwo",1\n"three",2\n', {"a": ["one\ntwo", "three"], "b": [1, 2]}),
    "windows line ends": ("a,b\r\n1,x\r\n2,y\r\n", {"a": [1, 2], "b": ["x", "y"]}),
    "windows line ends in cells": ('a,b\r\n"one\r\ntwo",1\r\n', {"a": ["one\r\ntwo"], "b": [1]}),
    "byte order mark": ("\ufeffa,b\n1,x\n", {"a": [1], "b": ["x"]}),
    "no newline at the end": ("a,b\n1,x", {"a": [1], "b": ["x"]}),
    "empty cells": ('a,b,c\n,,1\n2,"",3\n', {"a": [None, 2], "b": [None, None], "c": [1, 3]}),
    "umlauts": ("größe,b\nü,日本\n", {"größe": ["ü"], "b": ["日本"]}),
    "json in a cell": ('a,b\n1,"{""k"": ""v""}"\n', {"a": [1], "b": ['{"k": "v"}']}),
    "spaces stay": ("a,b\n x ,1\n", {"a": [" x "], "b": [1]}),
    "dates": ("a,b\n2020-02-29,1\n2021-01-01,2\n", {"a": [date(2020, 2, 29), date(2021, 1, 1)], "b": [1, 2]}),
    "a text in the last row": ("a\n" + "1\n" * 3000 + "x\n", {"a": ["1"] * 3000 + ["x"]}),
    "Namibia is no missing value": ("a\nNA\nDE\n", {"a": ["NA", "DE"]}),
    "NaN in numbers is missing": ("a\n1.5\nNaN\n", {"a": [1.5, None]}),
    "whole numbers beyond floats": (f"a\n{2**53 + 1}\n", {"a": [2**53 + 1]}),
    "one column": ("a\n1\n2\n", {"a": [1, 2]}),
}


@pytest.mark.parametrize("case", HARD)
def test_hard_files_arrive_cell_for_cell(tmp_path, case):
    content, wanted = HARD[case]
    assert read(written(tmp_path, content)).X().to_dict(as_series=False) == wanted


def test_a_csv_written_by_polars_comes_back(tmp_path):
    frame = pl.DataFrame({"n": [1.5, None, -0.0], "s": ['"', "a,b", "\n"], "b": [True, None, False]})
    frame.write_csv(tmp_path / "x.csv")
    assert read(tmp_path / "x.csv").X().equals(frame)


def test_tabs_separate_in_tsv(tmp_path):
    assert read(written(tmp_path, "a\tb\n1,5\tx\n", "t.tsv")).X().rows() == [("1,5", "x")]


@pytest.mark.parametrize("suffix", [".parquet", ".pq", ".PARQUET"])
def test_parquet_keeps_its_types(tmp_path, suffix):
    frame = pl.DataFrame(
        {"c": pl.Series(["x", None], dtype=pl.Enum(["x", "y"])), "n": pl.Series([1, 2], dtype=pl.Int8)}
    )
    frame.write_parquet(tmp_path / f"f{suffix}")
    assert read(str(tmp_path / f"f{suffix}")).X().equals(frame)
    assert read(tmp_path / f"f{suffix}").schema == frame.schema


def test_reading_stays_lazy_where_asked_to(tmp_path):
    path = written(tmp_path, "a\n1\n")
    assert "SCAN" in read(path, lazy=True).frame.explain().upper()
    assert "SCAN" not in read(path).frame.explain().upper()


def test_texts_that_mean_missing_are_declared(tmp_path):
    table = read(written(tmp_path, "a,b\n?,x\n3,?\n"), null_values=["?"])
    assert table.X().to_dict(as_series=False) == {"a": [None, 3], "b": ["x", None]}


def test_roles_and_kinds_are_taken(tmp_path):
    path = written(tmp_path, "id,t,y,w,g,s\n7,hello,1,2,a,train\n8,you,0,1,b,test\n")
    table = read(path, target="y", weight="w", group="g", row_id="id", split="s", kinds={"t": "text"})
    assert table.kinds == {"t": "text"}
    assert table.y.to_list() == [1, 0]
    assert table.role("split").to_list() == ["train", "test"]
    assert table.schema.names() == ["id", "t", "y", "w", "g", "s"]
    assert ROW in table.frame.collect_schema()


def test_annotators_are_read_and_offered_where_they_are_misspelled(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("v,ann,bob\n1,x,\n2,,y\n")
    table = read(path, annotators=["ann", "bob"])
    assert (table.features, table.roles.annotators, table.roles.target) == (["v"], ("ann", "bob"), "label")
    with pytest.raises(ColumnError, match=r"annotators: no column 'bop' \(did you mean 'bob'"):
        read(path, annotators=["ann", "bop"])


def test_a_frame_in_memory_is_taken_as_well():
    table = read(pl.DataFrame({"a": [1], "y": [0]}), target="y")
    assert table.features == ["a"]


class TestErrors:
    """Each says which file, and what to do."""

    def test_a_missing_file_offers_the_nearest(self, tmp_path):
        written(tmp_path, "a\n1\n", "adult.csv")
        with pytest.raises(DataError, match=r"adlt\.csv: no such file \(did you mean 'adult\.csv'\?\)"):
            read(tmp_path / "adlt.csv")

    def test_a_file_in_no_folder(self, tmp_path):
        with pytest.raises(DataError, match="no such file"):
            read(tmp_path / "nowhere" / "x.csv")

    def test_a_folder(self, tmp_path):
        with pytest.raises(DataError, match="the folder holds no image"):
            read(tmp_path)

    @pytest.mark.parametrize("name", ["x.xlsx", "x", "x.csv.gz"])
    def test_another_suffix(self, tmp_path, name):
        with pytest.raises(DataError, match=r"cannot read .* files; use \.csv"):
            read(written(tmp_path, "a\n1\n", name))

    @pytest.mark.parametrize("name", ["x.csv", "x.tsv", "x.parquet"])
    def test_an_empty_file(self, tmp_path, name):
        with pytest.raises(DataError, match="empty"):
            read(written(tmp_path, "", name))

    def test_a_header_without_rows(self, tmp_path):
        with pytest.raises(DataError, match=r"header \(2 columns\) but no rows"):
            read(written(tmp_path, "a,b\n"))

    def test_a_parquet_file_without_rows(self, tmp_path):
        pl.DataFrame({"a": []}).write_parquet(tmp_path / "x.parquet")
        with pytest.raises(DataError, match="no rows"):
            read(tmp_path / "x.parquet")

    @pytest.mark.parametrize("content", ["\n\n", "\na,b\n1,2\n", "  \na\n"])
    def test_a_blank_first_line(self, tmp_path, content):
        with pytest.raises(DataError, match="first line is blank"):
            read(written(tmp_path, content))

    @pytest.mark.parametrize(
        "content", ["größe,b\n1,2\n".encode("latin-1"), "a,b\nü,2\nx,3\n".encode("latin-1")]
    )
    def test_a_file_that_is_not_utf8(self, tmp_path, content):
        with pytest.raises(DataError, match=r"data\.csv: .*(?i:utf-?8)"):
            read(written(tmp_path, content)).X()

    @pytest.mark.parametrize("content", [b"PAR1 this is not parquet PAR1", b"a,b\n1,2\n"])
    def test_a_broken_parquet_file(self, tmp_path, content):
        with pytest.raises(DataError, match=r"x\.parquet: cannot be read"):
            read(written(tmp_path, content, "x.parquet"))

    def test_a_cut_parquet_file(self, tmp_path):
        pl.DataFrame({"a": range(1000)}).write_parquet(tmp_path / "x.parquet")
        whole = (tmp_path / "x.parquet").read_bytes()
        with pytest.raises(DataError, match=r"cut\.parquet: cannot be read"):
            read(written(tmp_path, whole[: len(whole) // 2], "cut.parquet"))

    def test_a_row_with_too_many_cells(self, tmp_path):
        with pytest.raises(DataError, match=r"data\.csv: cannot be read"):
            read(written(tmp_path, "a,b\n1,2\n3,4,5\n")).X()

    @pytest.mark.parametrize("role", ["target", "weight", "group", "row_id", "split"])
    def test_a_role_without_its_column_offers_the_nearest(self, tmp_path, role):
        path = written(tmp_path, "age,income\n1,2\n")
        with pytest.raises(
            ColumnError, match=rf"data\.csv: {role}: no column 'incom' \(did you mean 'income'\?\)"
        ):
            read(path, **{role: "incom"})

    def test_repeated_column_names(self, tmp_path):
        with pytest.raises(DataError, match=r"data\.csv.*(repeat|twice).*'a'"):
            read(written(tmp_path, "a,b,a\n1,2,3\n"))

    def test_a_row_id_that_repeats(self, tmp_path):
        with pytest.raises(DataError, match=r"Row id column 'id' repeats 1"):
            read(written(tmp_path, "id,a\n1,2\n1,3\n"), row_id="id")


def test_a_file_as_json_writes_strings_is_read(tmp_path):
    rows = [json.dumps("tab\there"), json.dumps("plain")]
    assert len(read(written(tmp_path, "a\n" + "\n".join(rows) + "\n")).X()) == 2
