"""What a loader of a pipeline can be told: codes, orders, types, groups, and rows given as a path."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.utils._param_validation import InvalidParameterError
from tests.loaders.pictures import folder_of

import tilth
from tilth.errors import ColumnError, DataError, UnknownName
from tilth.loaders import TableLoader
from tilth.table import Roles, Table

CITIES = ["Oslo", "Rome", None, "Kyiv"]


def frame(rows: int = 40) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    return pl.DataFrame(
        {
            "age": rng.normal(40, 9, rows),
            "city": [CITIES[i % 4] for i in range(rows)],
            "wage": rng.normal(3, 1, rows),
            "house": [i // 4 for i in range(rows)],
            "sick": [("yes", "no")[i % 3 == 0] for i in range(rows)],
        }
    )


def table(rows: int = 40) -> Table:
    return Table.of(frame(rows), roles=Roles("sick", group="house"))


def whole(loader: TableLoader) -> list[np.ndarray]:
    return [torch.cat(part).numpy() for part in zip(*loader, strict=True)]


def test_columns_named_as_codes_need_no_stage_that_encodes_them() -> None:
    rows = table()
    pipe = tilth.Pipeline([tilth.ScaleStandard()]).fit(rows)
    loader = pipe.loader(rows, codes=["city"], shuffle=False, device="cpu")
    X, codes, y = whole(loader)
    np.testing.assert_allclose(X, pipe.transform(rows).X().drop("city").to_numpy(), rtol=1e-6)
    named = np.array([None, *loader.codes_["city"]])
    assert named[codes[:, 0]].tolist() == rows.frame.collect()["city"].to_list()
    assert loader.classes_[y].tolist() == rows.y.to_list()
    with pytest.raises(
        DataError, match=r"'city' holds String\. Put encode\.category before it, or name it in c"
    ):
        pipe.loader(rows)


def test_codes_of_the_training_rows_number_other_rows_alike() -> None:
    rows = table()
    pipe = tilth.Pipeline([tilth.ScaleStandard()]).fit(rows)
    loader = pipe.loader(rows, codes=["city"], device="cpu")
    strange = frame(4).with_columns(city=pl.Series(["Rome", "Bonn", None, "Kyiv"]))
    other = Table.of(strange, roles=Roles("sick", group="house"))
    held = pipe.loader(other, training=False, codes=loader.codes_, classes=loader.classes_, device="cpu")
    known = ["", *loader.codes_["city"]]
    assert whole(held)[1][:, 0].tolist() == [known.index("Rome"), 0, 0, known.index("Kyiv")]
    assert held.cardinalities_ == loader.cardinalities_ == [4]


def test_batch_stages_see_the_columns_that_are_no_codes() -> None:
    rows = table()
    pipe = tilth.Pipeline([tilth.ScaleStandard(), tilth.stage("augment.jitter", share=0.3, on="wage")])
    pipe.fit(rows)
    plain = whole(pipe.loader(rows, training=False, codes=["city"], device="cpu"))
    X, codes, y = whole(pipe.loader(rows, codes=["city"], shuffle=False, device="cpu"))
    # 'wage' is the third column, and the second of those that are left in X.
    np.testing.assert_array_equal(X[:, 0], plain[0][:, 0])
    assert (X[:, 1] != plain[0][:, 1]).all()
    np.testing.assert_array_equal(codes, plain[1])
    np.testing.assert_array_equal(y, plain[2])
    extra = tilth.stage("augment.swap", share=1.0)
    swapped = whole(pipe.loader(rows, codes=["city"], shuffle=False, device="cpu", augment=extra))
    np.testing.assert_array_equal(swapped[1], plain[1])


def test_a_code_that_is_no_column_is_named_with_those_there_are() -> None:
    rows = table()
    pipe = tilth.Pipeline([tilth.ScaleStandard()]).fit(rows)
    with pytest.raises(ColumnError, match=r"'town'.*age, city, wage"):
        pipe.loader(rows, codes=["city", "town"])
    with pytest.raises(InvalidParameterError, match=r"codes=\['city'\]"):
        pipe.loader(rows, codes="city")


def test_a_dataset_holds_codes_and_short_floats_and_feeds_torchs_own_loader_with_workers() -> None:
    rows = table()
    pipe = tilth.Pipeline([tilth.ScaleStandard()]).fit(rows)
    dataset = pipe.dataset(rows, codes=["city"], dtype="bfloat16")
    assert dataset[:][0].dtype == torch.bfloat16 and dataset.cardinalities_ == [4]
    loader = torch.utils.data.DataLoader(dataset, batch_size=16, num_workers=2)
    for part, expected in zip(zip(*loader, strict=True), dataset[:], strict=True):
        assert torch.equal(torch.cat(part), expected)


def test_groups_reach_the_orders_that_go_by_them() -> None:
    rows = table()
    pipe = tilth.Pipeline([tilth.ScaleStandard()]).fit(rows)
    told = {"codes": ["city"], "device": "cpu"}
    visited = pipe.loader(rows, sampler="grouped", **told).sampler.rows(0).numpy() // 4
    assert (np.diff(visited) != 0).sum() == 9  # ten houses, each in one piece
    assert visited.tolist() != sorted(visited)
    X = frame().drop("sick", "house", "city")
    pipe = tilth.Pipeline([tilth.ScaleStandard()]).fit(X, groups=frame()["house"])
    drawn = pipe.loader(X, groups=frame()["house"], sampler="balanced_groups", device="cpu")
    assert len(drawn.sampler.rows(0)) == 40
    with pytest.raises(DataError, match="group"):
        pipe.loader(X, sampler="grouped", device="cpu")


def test_orders_and_their_sizes_are_handed_on_also_for_other_rows() -> None:
    rows = table()
    pipe = tilth.Pipeline([tilth.ScaleStandard()]).fit(rows)
    loader = pipe.loader(rows, training=False, codes=["city"], sampler="blocks", block_rows=10, device="cpu")
    order = loader.sampler.rows(0).numpy()
    assert all(len(set(order[i : i + 10] // 10)) == 1 for i in range(0, 40, 10))
    balanced = pipe.loader(rows, training=False, codes=["city"], sampler="balanced", device="cpu")
    assert balanced.sampler.order == "balanced"
    with pytest.raises(InvalidParameterError, match="shuffle=False contradicts"):
        pipe.loader(rows, codes=["city"], sampler="blocks", shuffle=False)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_rows_may_be_given_as_a_path(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"rows.{suffix}"
    getattr(frame(), f"write_{suffix}")(path)
    pipe = tilth.Pipeline([tilth.ScaleStandard()]).fit(table())
    told = {"codes": ["city"], "shuffle": False, "device": "cpu"}
    for part, expected in zip(
        whole(pipe.loader(path, **told)), whole(pipe.loader(table(), **told)), strict=True
    ):
        np.testing.assert_allclose(part, expected, rtol=1e-6)
    assert len(pipe.dataset(str(path), codes=["city"])) == 40


def test_a_path_without_labels_feeds_new_rows_and_no_training_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    frame().drop("sick", "house").write_csv(path)
    pipe = tilth.Pipeline([tilth.ScaleStandard()]).fit(table())
    X, codes = whole(pipe.loader(path, training=False, codes=["city"], device="cpu"))
    assert len(X) == len(codes) == 40
    with pytest.raises(ColumnError, match=r"rows\.csv: target: no column 'sick'"):
        pipe.loader(path, codes=["city"])


def test_rows_named_by_a_key_are_replayed_from_a_path(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    keyed = pl.concat([frame(), frame().head(5)]).with_columns(key=pl.int_range(45).cast(pl.String) + "k")
    keyed.write_parquet(path)
    rows = tilth.read(path, target="sick", group="house", row_id="key")
    pipe = tilth.Pipeline([tilth.stage("duplicates.exact"), tilth.ScaleStandard()]).fit(rows)
    assert len(pipe.loader(path, codes=["city"], device="cpu").dataset) == 40


def test_images_have_no_codes(tmp_path: Path) -> None:
    paths = folder_of(tmp_path, 6)
    rows = Table.of(pl.DataFrame({"photo": paths, "city": ["a", "b"] * 3}), roles=Roles(image="photo"))
    pipe = tilth.Pipeline([]).fit(rows)
    with pytest.raises(DataError, match=r"of column 'photo'\. Pass image=False"):
        pipe.loader(rows, codes=["city"], size=8)
    ((X, codes),) = pipe.loader(rows, image=False, codes=["city"], shuffle=False, device="cpu")
    assert X.shape == (6, 0) and codes[:, 0].tolist() == [1, 2] * 3
    with pytest.raises(UnknownName, match="option of TableLoader 'workers'"):
        pipe.loader(rows, image=False, codes=["city"], workers=2)
