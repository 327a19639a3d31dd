"""A file that is as it was is not read again; what is damaged counts as not kept."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pytest

from tilth.errors import TilthWarning
from tilth.images import cache as cache_module
from tilth.images.cache import Cache, cache_folder, file_keys


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TILTH_CACHE", str(tmp_path / "cache"))


def frame(keys, value=1):
    return pl.DataFrame({"key": [str(k) for k in keys], "value": [value] * len(keys)})


def test_what_was_kept_is_recalled_by_its_keys():
    kept = Cache("things", "1")
    kept.keep(frame([1, 2, 3]))
    found = kept.recall(pl.Series(["2", "9", None, "2"]))
    assert found.to_dicts() == [{"key": "2", "value": 1}]


def test_nothing_kept_recalls_nothing():
    found = Cache("things", "1").recall(pl.Series(["1"]))
    assert found.height == 0 and found.columns == ["key"] and found.schema["key"] == pl.String


def test_the_latest_counts_and_versions_and_names_are_apart():
    kept = Cache("things", "1")
    kept.keep(frame([1, 2], value=1))
    kept.keep(frame([2], value=2))
    assert dict(kept.recall(pl.Series(["1", "2"])).iter_rows()) == {"1": 1, "2": 2}
    for other in (Cache("things", "2"), Cache("others", "1")):
        assert other.recall(pl.Series(["1", "2"])).height == 0


def test_rows_without_a_key_are_not_kept():
    kept = Cache("things", "1")
    kept.keep(pl.DataFrame({"key": [None], "value": [1]}, schema={"key": pl.String, "value": pl.Int64}))
    assert not cache_folder().exists()


def test_many_parts_become_one_and_lose_nothing():
    kept = Cache("things", "1")
    for n in range(3 * cache_module.MOST_PARTS):
        kept.keep(frame([n, "same"], value=n))
    parts = list(kept.folder.iterdir())
    assert len(parts) <= cache_module.MOST_PARTS + 1 and all(p.suffix == ".parquet" for p in parts)
    wanted = [str(n) for n in range(3 * cache_module.MOST_PARTS)]
    assert dict(kept.recall(pl.Series([*wanted, "same"])).iter_rows()) == {
        **{n: int(n) for n in wanted},
        "same": 3 * cache_module.MOST_PARTS - 1,
    }


def test_a_damaged_part_is_ignored_and_replaced():
    kept = Cache("things", "1")
    kept.keep(frame([1]))
    kept.keep(frame([2]))
    broken = sorted(kept.folder.iterdir())[0]
    broken.write_bytes(b"PAR1 and no more")
    left = kept.recall(pl.Series(["1", "2"]))
    assert left.height == 1 and not broken.exists()
    kept.keep(frame([1, 2]))
    assert kept.recall(pl.Series(["1", "2"])).height == 2


def test_a_part_of_another_shape_is_left_alone():
    kept = Cache("things", "1")
    kept.keep(frame([1]))
    kept.keep(pl.DataFrame({"key": ["2"], "other": [1.5]}))
    assert kept.recall(pl.Series(["1", "2"])).columns == ["key", "other"]


def test_several_writers_at_once_lose_nothing():
    def write(n):
        kept = Cache("things", "1")
        kept.keep(frame([n], value=n))
        return kept.recall(pl.Series([str(n)])).height

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(write, range(60))) == [1] * 60
    assert Cache("things", "1").recall(pl.Series(map(str, range(60)))).height == 60


def test_the_oldest_make_room(monkeypatch):
    kept = Cache("things", "1")
    kept.keep(frame([1]))
    old = next(kept.folder.iterdir())
    os.utime(old, (1, 1))
    monkeypatch.setattr(cache_module, "MOST_BYTES", old.stat().st_size + 1)
    Cache("things", "2").keep(frame([2]))
    assert not old.exists() and Cache("things", "2").recall(pl.Series(["2"])).height == 1


def test_an_empty_name_switches_off(monkeypatch):
    monkeypatch.setenv("TILTH_CACHE", "")
    kept = Cache("things", "1")
    kept.keep(frame([1]))
    assert cache_folder() is None and kept.recall(pl.Series(["1"])).height == 0


def test_the_folder_is_the_users_where_none_is_told(monkeypatch, tmp_path):
    monkeypatch.delenv("TILTH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "tilth"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "tilth"


def test_a_folder_that_cannot_be_written_is_told_of(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TILTH_CACHE", str(tmp_path / "file"))
    with pytest.warns(TilthWarning, match="cannot be written"):
        Cache("things", "1").keep(frame([1]))
    assert Cache("things", "1").recall(pl.Series(["1"])).height == 0


def test_keys_change_where_files_do(tmp_path, monkeypatch):
    file = tmp_path / "a.jpg"
    file.write_bytes(b"one")
    (tmp_path / "b.jpg").write_bytes(b"one")
    first = file_keys([str(file), str(tmp_path / "b.jpg"), str(tmp_path / "gone"), None, "odd\0name"])
    assert first.is_null().to_list() == [False, False, True, True, True] and first[0] != first[1]
    monkeypatch.chdir(tmp_path)
    assert file_keys(["a.jpg"])[0] == first[0] == file_keys([str(file)])[0]
    os.utime(file, ns=(1, 1))
    touched = file_keys([str(file)])[0]
    file.write_bytes(b"three")
    os.utime(file, ns=(1, 1))
    assert len({first[0], touched, file_keys([str(file)])[0]}) == 3
