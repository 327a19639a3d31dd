"""Windows hold every row once, in order, and none more than was asked for."""

import polars as pl
import pytest

from tilth.statistics.windows import windows

FRAME = pl.DataFrame({"a": range(100), "b": [str(i) for i in range(100)]})


@pytest.mark.parametrize("most", [1, 7, 50, 1000])
@pytest.mark.parametrize("cuts", [[(0, 100)], [(0, 0), (0, 33), (33, 1), (34, 66)]])
def test_every_row_is_in_one_window(most, cuts):
    cut = windows([FRAME.slice(*part).lazy() for part in cuts], most)
    assert max(window.rows for window in cut) <= most
    read = [window.read(["a"]) for window in cut]
    assert [frame.height for frame in read] == [window.rows for window in cut]
    assert pl.concat(read)["a"].to_list() == list(range(100))


def test_files_are_read_as_memory_is(tmp_path):
    FRAME.write_parquet(tmp_path / "rows.parquet", row_group_size=9)
    FRAME.write_csv(tmp_path / "rows.csv")
    for source in (pl.scan_parquet(tmp_path / "rows.parquet"), pl.scan_csv(tmp_path / "rows.csv")):
        parts = [window.read(["b", "a"]) for window in windows([source], 13)]
        assert pl.concat(parts)["a"].to_list() == list(range(100))
        assert parts[0].columns == ["b", "a"]


def test_no_rows_are_no_windows():
    assert windows([FRAME.head(0).lazy()], 5) == []
