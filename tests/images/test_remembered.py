"""What the cache knows is not learned again."""

from pathlib import Path

import polars as pl
import pytest

from tilth.images import remembered as module
from tilth.images.each import telling
from tilth.images.remembered import remembered

SCHEMA = pl.Schema({"length": pl.Int64(), "problem": pl.String()})


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.setenv("TILTH_CACHE", str(tmp_path / "cache"))
    made = [tmp_path / f"{n}.bin" for n in range(5)]
    for n, file in enumerate(made):
        file.write_bytes(b"x" * n)
    return [str(file) for file in made]


class Reader:
    """Tell how long files are, and remember which were asked for."""

    def __init__(self, problem=None):
        self.asked, self.problem = [], problem

    def __call__(self, path):
        self.asked.append(path)
        if not Path(path).exists():
            return {"length": None, "problem": "missing"}
        return {"length": Path(path).stat().st_size, "problem": self.problem}

    def of(self, paths, version="1", **more):
        return remembered(self, paths, SCHEMA, name="lengths", version=version, threads=2, **more)


def test_each_path_has_its_row_and_is_read_once(files):
    reader = Reader()
    paths = [files[3], None, files[1], files[3], files[0] + "x"]
    told = reader.of(paths)
    assert told["path"].to_list() == paths and told["length"].to_list() == [3, None, 1, 3, None]
    assert told["problem"].to_list() == [None, "missing", None, None, "missing"]
    assert sorted(reader.asked) == sorted({files[3], files[1], files[0] + "x"})


def test_a_second_time_only_what_changed_is_read(files, monkeypatch):
    monkeypatch.setattr(module, "KEPT_AT_ONCE", 2)
    first = Reader().of(files)
    Path(files[2]).write_bytes(b"longer than it was")
    again = Reader()
    told = again.of([*files, "gone"])
    assert again.asked == [files[2], "gone"]
    assert told["length"].to_list() == [0, 1, 18, 3, 4, None] and first["length"].to_list() == [0, 1, 2, 3, 4]
    assert told.schema == {"path": pl.String, **SCHEMA}


def test_without_the_cache_all_is_read_and_nothing_kept(files, tmp_path):
    assert Reader().of(files, cache=False).height == 5 and not (tmp_path / "cache").exists()
    Reader().of(files)
    reader = Reader()
    reader.of(files, cache=False)
    assert reader.asked == files


def test_another_version_reads_anew(files):
    Reader().of(files)
    reader = Reader()
    reader.of(files, version="2")
    assert len(reader.asked) == 5


def test_problems_that_may_pass_are_not_kept(files):
    Reader("permission").of(files)
    assert Reader().of(files)["problem"].to_list() == [None] * 5
    Reader("empty").of(files, version="2")
    assert Reader().of(files, version="2")["problem"].to_list() == ["empty"] * 5


def test_what_was_learned_before_a_fault_is_kept(files, monkeypatch):
    monkeypatch.setattr(module, "KEPT_AT_ONCE", 2)

    def work(path):
        if path == files[4]:
            raise KeyboardInterrupt
        return {"length": 0, "problem": None}

    with pytest.raises(KeyboardInterrupt):
        remembered(work, files, SCHEMA, name="lengths", version="1", threads=1)
    again = Reader()
    again.of(files)
    assert again.asked == [files[4]]


def test_no_paths_make_no_rows(files):
    assert Reader().of([]).schema == {"path": pl.String, **SCHEMA}


@pytest.mark.parametrize("together", [0, 2])
def test_progress_counts_files_however_they_are_handed_over(files, together):
    def work(asked):
        lines = [{"length": 1, "problem": None} for _ in range(max(together, 1))]
        return lines[: len(asked)] if together else lines[0]

    heard = []
    with telling(heard.append):
        told = remembered(work, files, SCHEMA, name="n", version="1", threads=2, together=together)
    assert told["length"].to_list() == [1] * 5 and heard[-1].startswith("5 of 5 images (")
    named = []
    remembered(work, files, SCHEMA, name="n", version="2", together=together, progress=named.append)
    assert named[-1].startswith("5 of 5 images (")
