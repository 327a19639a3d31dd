"""Rows that stay in their file and come prepared: as from memory, or an error that says why not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from tests.loaders.pictures import folder_of

import tilth
from tilth.errors import DataError, StageError, UnknownName
from tilth.loaders import StreamLoader, TableLoader
from tilth.pipeline import streaming
from tilth.table import Roles, Table

ROWS = 3000
SMALL = {"batch_size": 128, "device": "cpu", "slice_rows": 100, "buffer_rows": 500}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    place = tmp_path / "rows.parquet"
    pl.DataFrame(
        {
            "id": [f"row {i}" for i in range(ROWS)],
            "age": [None if i % 7 == 1 else float(v) for i, v in enumerate(rng.normal(40, 9, ROWS))],
            "city": rng.choice(["Oslo", "Rome", "Kyiv"], ROWS),
            "wage": np.where(np.arange(ROWS) % 7 == 2, np.nan, rng.normal(3, 1, ROWS)),
            "house": rng.integers(0, 300, ROWS),
            "count": rng.uniform(1, 2, ROWS),
            "sick": rng.choice(["yes", "no"], ROWS),
        }
    ).write_parquet(place, row_group_size=700)
    return place


def read(path: Path, *, lazy: bool = True, **roles: str) -> Table:
    rows = tilth.read(path, target="sick", weight="count", lazy=lazy, **roles)
    unused = [c for c in ("id", "house") if c not in roles.values()]
    return rows.with_frame(rows.frame.drop(unused, strict=False))


def fitted(rows: Table, *keys: str) -> tilth.Pipeline:
    return tilth.Pipeline([tilth.stage(key) for key in keys]).fit(rows)


def whole(loader: StreamLoader | TableLoader) -> list[np.ndarray]:
    return [torch.cat(part).numpy() for part in zip(*loader, strict=True)]


def same_rows(one: list[np.ndarray], other: list[np.ndarray]) -> None:
    """Compare parts of batches whatever the order of rows, which X tells apart."""
    orders = [np.lexsort(parts[0].T) for parts in (one, other)]
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a[orders[0]], b[orders[1]], rtol=1e-5)


COLUMNS = ("impute.simple", "scale.standard", "encode.category")


def test_a_stream_gives_the_rows_that_memory_gives(path: Path) -> None:
    rows = read(path)
    pipe = fitted(rows, *COLUMNS)
    loader = pipe.loader(rows, stream=True, **SMALL)
    assert isinstance(loader, StreamLoader) and not np.array_equal(loader.sampler.rows(0), np.arange(ROWS))
    memory = pipe.loader(read(path, lazy=False), stream=False, device="cpu")
    assert isinstance(memory, TableLoader)
    same_rows(whole(loader), whole(memory))
    plain = pipe.loader(rows, stream=True, training=False, **SMALL)
    ordered = pipe.loader(rows, stream=False, training=False, device="cpu")
    for a, b in zip(whole(plain), whole(ordered), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_a_path_is_streamed_with_the_roles_of_the_fit(path: Path) -> None:
    frame = pl.read_parquet(path).drop("id", "house")
    frame.write_parquet(path)
    pipe = fitted(read(path), *COLUMNS)
    told = {"stream": True, "sampler": "sequential", **SMALL}
    one, other = (whole(pipe.loader(x, **told)) for x in (path, read(path)))
    assert len(one) == 3 and all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("key", ["augment.cutmix", "augment.jitter", "augment.mixup", "augment.swap"])
def test_batch_stages_do_to_a_stream_what_they_do_to_a_table(path: Path, key: str) -> None:
    rows = read(path)
    pipe = fitted(rows, *COLUMNS, key)
    told = {"shuffle": False, "batch_size": 128, "device": "cpu"}
    streamed = whole(pipe.loader(rows, stream=True, slice_rows=100, buffer_rows=500, **told))
    for a, b in zip(streamed, whole(pipe.loader(rows, stream=False, **told)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("roles", [{}, {"group": "house"}, {"row_id": "id"}], ids=str)
def test_values_learned_out_of_fold_are_those_of_the_same_rows(path: Path, roles: dict[str, str]) -> None:
    held = read(path, lazy=False, **roles)
    pipe = fitted(held, "encode.target", "impute.simple")
    expected = pipe.fit_transform(held).X().to_numpy().astype(np.float32)
    rows = read(path, **roles)
    trained = pipe.loader(rows, stream=True, shuffle=False, **SMALL)
    np.testing.assert_allclose(whole(trained)[0], expected, rtol=1e-5)
    new = whole(pipe.loader(rows, stream=True, training=False, **SMALL))[0]
    assert not np.allclose(new, expected)
    np.testing.assert_allclose(new, pipe.transform(held).X().to_numpy(), rtol=1e-5)


def test_codes_and_batch_stages_go_with_a_stream(path: Path) -> None:
    rows = read(path)
    pipe = fitted(rows, "impute.simple", "scale.standard", "augment.jitter")
    told = {"codes": ["city"], "shuffle": False, **SMALL}
    plain = whole(pipe.loader(rows, stream=True, training=False, **told))
    loader = pipe.loader(rows, stream=True, **told)
    X, codes, y, weight = whole(loader)
    assert (plain[0] != X).any(axis=0).all()
    assert [np.array_equal(a, b) for a, b in zip((codes, y, weight), plain[1:], strict=True)] == [True] * 3
    known = np.array([None, *loader.codes_["city"]])
    assert known[codes[:, 0]].tolist() == pl.read_parquet(path)["city"].to_list()
    with pytest.raises(DataError, match=r"'city' holds String.*or name it in codes"):
        pipe.loader(rows, stream=True)


def test_a_stream_resumes_where_it_was(path: Path) -> None:
    rows = read(path)
    make = lambda: fitted(rows, *COLUMNS).loader(rows, stream=True, **SMALL)
    loader = make()
    batches = iter(loader)
    for _ in range(9):
        next(batches)
    again = make()
    again.load_state_dict(loader.state_dict())
    for (a, *_), (b, *_) in zip(batches, again, strict=True):
        assert torch.equal(a, b)


def test_rows_that_row_stages_changed_are_not_streamed_as_training_rows(path: Path) -> None:
    rows = read(path)
    pipe = fitted(rows, *COLUMNS, "balance.weight")
    with pytest.raises(StageError, match=r"balance\.weight dropped, added.*tilth run.*StreamLoader\("):
        pipe.loader(rows, stream=True)
    assert len(pipe.loader(rows, stream=True, training=False, **SMALL).dataset) == ROWS
    # A row stage that left all rows as they were is no obstacle.
    assert len(fitted(rows, "duplicates.exact", *COLUMNS).loader(rows, stream=True, **SMALL).dataset) == ROWS
    with pytest.raises(DataError, match=r"fitted on 3000 rows, and these are 2000"):
        part = tilth.read(path, target="sick", lazy=True)
        pipe.loader(part.with_frame(part.frame.head(2000).drop("id", "house", "count")), stream=True)


def test_only_rows_of_a_parquet_file_are_streamed(path: Path) -> None:
    rows = read(path)
    pipe = fitted(rows, *COLUMNS)
    frame = pl.read_parquet(path).drop("id", "house", "count")
    frame.write_csv(path.with_suffix(".csv"))
    for X in (
        Table.of(frame, roles=Roles("sick")),
        rows.with_frame(rows.frame.sort("age")),
        tilth.read(path.with_suffix(".csv"), target="sick", lazy=True),
        path.with_suffix(".csv"),
    ):
        with pytest.raises(DataError, match=r"stream=True: rows are read piece by piece.*sink_parquet"):
            pipe.loader(X, stream=True, training=False)


def test_labels_in_memory_go_with_rows_on_disk(path: Path) -> None:
    rows, sick = pl.scan_parquet(path).drop("id", "house", "count", "sick"), pl.read_parquet(path)["sick"]
    pipe = tilth.Pipeline([tilth.stage(key) for key in COLUMNS]).fit(rows, sick)
    one, other = (whole(pipe.loader(rows, sick, shuffle=False, stream=s, device="cpu")) for s in (True, None))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_options_that_need_all_rows_at_hand_are_refused(path: Path) -> None:
    rows = read(path)
    pipe = fitted(rows, *COLUMNS)
    with pytest.raises(DataError, match=r"sampler='balanced' needs all rows at hand"):
        pipe.loader(rows, stream=True, sampler="balanced")
    with pytest.raises(UnknownName, match="option of StreamLoader 'place'"):
        pipe.loader(rows, stream=True, place="host")
    with pytest.raises(UnknownName, match="option of StreamLoader 'change'"):
        pipe.loader(rows, stream=True, change=lambda frame: frame)
    with pytest.raises(UnknownName, match="option of TableLoader 'buffer_rows'"):
        pipe.loader(rows, stream=False, buffer_rows=100)


def test_rows_on_disk_are_streamed_by_themselves_where_memory_is_short(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = read(path)
    pipe = fitted(rows, *COLUMNS)
    needed = streaming.bytes_as_prepared(rows)
    assert needed == ROWS * 3 * 8
    free = int(needed / streaming.STREAM_SHARE)
    given = lambda **more: type(pipe.loader(rows, device="cpu", **more))
    monkeypatch.setattr("tilth.loaders.device.free_host_bytes", lambda: free)
    assert given() is TableLoader
    monkeypatch.setattr("tilth.loaders.device.free_host_bytes", lambda: free - 8)
    assert given() is StreamLoader and given(sampler="sequential") is StreamLoader
    assert given(stream=False) is given(sampler="balanced") is given(place="host") is TableLoader
    assert type(pipe.loader(read(path, lazy=False), device="cpu")) is TableLoader
    weighed = fitted(rows, *COLUMNS, "balance.weight")
    assert type(weighed.loader(rows, device="cpu")) is TableLoader
    assert type(weighed.loader(rows, training=False, device="cpu")) is StreamLoader
    monkeypatch.setattr("tilth.loaders.device.free_host_bytes", lambda: 0)
    assert given() is TableLoader


def test_images_are_not_streamed_but_what_stands_beside_them_is(tmp_path: Path) -> None:
    names = [Path(p).name for p in folder_of(tmp_path, 6)]
    pl.DataFrame({"photo": names, "age": range(6), "y": [0, 1] * 3}).write_parquet(tmp_path / "list.parquet")
    rows = Table.of(pl.scan_parquet(tmp_path / "list.parquet"), roles=Roles("y", image="photo"))
    pipe = tilth.Pipeline([tilth.ScaleStandard()]).fit(rows)
    with pytest.raises(DataError, match="read one by one as it is"):
        pipe.loader(rows, stream=True)
    ((ages, _),) = pipe.loader(rows, stream=True, image=False, device="cpu")
    assert ages.shape == (6, 1) and abs(ages.mean().item()) < 1e-6
