"""`tilth.loaders.from_bundle`: rows, prepared by a saved pipeline, from whatever holds them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from tests.loaders.pictures import folder_of

import tilth
from tilth.errors import BundleError, ColumnError, DataError
from tilth.loaders import ImageLoader, StreamLoader, from_bundle
from tilth.pipeline import run
from tilth.table import ROW


def frame(rows: int = 60) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    return pl.DataFrame(
        {
            "age": [None if i % 5 == 0 else float(v) for i, v in enumerate(rng.normal(40, 9, rows))],
            "city": [("Oslo", "Rome", "?")[i % 3] for i in range(rows)],
            "sick": [("yes", "no")[i % 4 == 0] for i in range(rows)],
        }
    )


def bundle(folder: Path, *keys: str) -> Path:
    frame().write_csv(folder / "rows.csv")
    rows = tilth.read(folder / "rows.csv", target="sick", null_values=["?"])
    keys = keys or ("duplicates.exact", "impute.simple", "encode.category", "balance.over", "augment.jitter")
    pipe = tilth.Pipeline([tilth.stage(key) for key in keys]).fit(rows)
    return pipe.save(folder / "bundle")


def same(one, other) -> bool:
    pairs = zip(one, other, strict=True)
    return all(torch.equal(a, b) for batches in pairs for a, b in zip(*batches, strict=True))


def test_training_rows_of_a_file_come_as_from_the_pipeline_itself(tmp_path: Path) -> None:
    place, path = bundle(tmp_path), tmp_path / "rows.csv"
    rows = tilth.read(path, target="sick", null_values=["?"])
    told = {"batch_size": 16, "device": "cpu"}
    expected = tilth.load(place).loader(rows, **told)
    made = from_bundle(place, path, null_values=["?"], **told)
    assert len(made.dataset) == 78 and made.dataset[:][1].bincount().tolist() == [39, 39]
    assert same(made, expected) and made.classes_.tolist() == ["no", "yes"]
    of_frame = from_bundle(place, rows.frame.collect().drop(ROW), **told)
    assert same(of_frame, from_bundle(place, path, null_values=["?"], **told))


def test_other_rows_come_as_a_frame_a_table_or_a_file_without_labels(tmp_path: Path) -> None:
    place = bundle(tmp_path, "impute.simple", "encode.category")
    new = frame(9).drop("sick").with_columns(pl.col("city").replace("?", None))
    new.write_parquet(tmp_path / "new.parquet")
    told = {"training": False, "device": "cpu"}
    forms = (
        new,
        new.to_pandas(),
        tilth.Table.of(new),
        tmp_path / "new.parquet",
        str(tmp_path / "new.parquet"),
    )
    (first, *others) = [list(from_bundle(place, X, **told)) for X in forms]
    assert len(first[0]) == 1 and len(first[0][0]) == 9
    assert all(same(first, other) for other in others)
    streamed = from_bundle(place, tmp_path / "new.parquet", stream=True, **told)
    assert isinstance(streamed, StreamLoader) and same(first, streamed)


def test_arrays_come_by_the_place_of_their_columns(tmp_path: Path) -> None:
    X, y = np.arange(12.0).reshape(6, 2), [0, 1] * 3
    place = tilth.Pipeline([tilth.ScaleStandard()]).fit(X, y).save(tmp_path / "bundle")
    ((made, labels),) = from_bundle(place, X, y=y, shuffle=False, device="cpu")
    np.testing.assert_allclose(made.numpy(), (X - X.mean(0)) / X.std(0), rtol=1e-6)
    assert labels.tolist() == y


def test_a_folder_of_images_comes_with_the_colors_that_were_learned(tmp_path: Path) -> None:
    for name, count in (("cat", 5), ("dog", 3)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        folder_of(tmp_path / "photos" / name, count)
    rows = tilth.read(tmp_path / "photos")
    pipe = tilth.Pipeline([tilth.stage("scale.channels"), tilth.stage("balance.over")]).fit(rows)
    place = pipe.save(tmp_path / "bundle")
    told = {"size": 8, "device": "cpu"}
    loader = from_bundle(place, tmp_path / "photos", **told)
    assert isinstance(loader, ImageLoader) and len(loader.dataset) == 10
    assert same(loader, pipe.loader(rows, **told))


def test_a_run_leaves_a_bundle_that_feeds_the_rows_it_was_fitted_on(tmp_path: Path) -> None:
    frame().write_csv(tmp_path / "rows.csv")
    text = (
        "data: {path: rows.csv, target: sick, null_values: ['?']}\nstages: [impute.simple, encode.category]"
    )
    result = run(tilth.Recipe.from_text(text), base=tmp_path)
    made = from_bundle(result.out / "bundle", tmp_path / "rows.csv", null_values=["?"], device="cpu")
    assert same(made, result.loader(device="cpu"))


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    place = bundle(tmp_path)
    frame(9).drop("sick").write_csv(tmp_path / "new.csv")
    with pytest.raises(ColumnError, match=r"new\.csv: target: no column 'sick'"):
        from_bundle(place, tmp_path / "new.csv")
    with pytest.raises(DataError, match=r"fitted on 60 rows, and these are 9.*training=False"):
        from_bundle(place, frame(9))
    with pytest.raises(DataError, match="null_values says what a file's texts mean"):
        from_bundle(place, frame(9), null_values=["?"])
    with pytest.raises(BundleError):
        from_bundle(tmp_path / "rows.csv", frame())
    with pytest.raises(DataError, match=r"bundel\.csv: no such file"):
        from_bundle(place, tmp_path / "bundel.csv")


def test_the_room_of_loaders_knows_the_name_and_loads_no_pipeline_for_it() -> None:
    code = "import sys, tilth.loaders; dir(tilth.loaders); print(*sys.modules)"
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "tilth.loaders" in told and not {"tilth.pipeline", "torch", "polars"} & set(told)
    assert {"from_bundle", "StreamLoader"} <= set(dir(tilth.loaders))
    assert all(getattr(tilth.loaders, name) is not None for name in tilth.loaders.__all__)
    with pytest.raises(AttributeError, match="no attribute 'from_bundel'"):
        _ = tilth.loaders.from_bundel
