"""Rows of files become the tensors that the same rows in memory would, or an error that says which do not."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.utils._param_validation import InvalidParameterError

from tilth.errors import ColumnError, DataError, StageError
from tilth.loaders import TableLoader
from tilth.loaders.stream_dataset import StreamDataset

ROWS = 700
rng = np.random.default_rng(0)
FRAME = pl.DataFrame(
    {
        "size": rng.standard_normal(ROWS),
        "count": rng.integers(0, 1000, ROWS),
        "coast": rng.random(ROWS) < 0.5,
        "city": rng.choice(["Rome", "Oslo", "Bern"], ROWS),
        "kind": rng.choice(["b", "a", "c"], ROWS),
        "price": rng.standard_normal(ROWS),
        "weight": rng.random(ROWS),
    }
).with_columns(pl.when(pl.col("count") % 7 == 0).then(None).otherwise(pl.col("size")).alias("size"))


@pytest.fixture
def file(tmp_path):
    return written(FRAME, tmp_path)


def written(frame, tmp_path):
    path = tmp_path / "rows.parquet"
    frame.write_parquet(path, row_group_size=100)
    return path


def same(ours, theirs):
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert a.dtype == b.dtype
        torch.testing.assert_close(a, b, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize(
    ("target", "settings"),
    [
        (None, {}),
        ("kind", {}),
        ("price", {}),
        ("coast", {}),
        ("count", {}),
        ("kind", {"classes": ["c", "b", "a"]}),
        ("kind", {"weight": "weight"}),
        ("kind", {"dtype": "float16"}),
        ("kind", {"codes": ["city", "count"]}),
        ("kind", {"codes": {"city": ["Rome", "Bern"]}, "weight": "weight"}),
    ],
)
def test_rows_become_the_tensors_that_a_table_in_memory_becomes(file, target, settings):
    numbers = ["size", "count", "coast"]
    features = [name for name in [*numbers, *settings.get("codes", ())] if name != target]
    features = list(dict.fromkeys(features))
    ours = StreamDataset(file, target, columns=[n for n in numbers if n != target], **settings)
    weight = FRAME["weight"] if "weight" in settings else None
    theirs = TableLoader(
        FRAME.select(features),
        None if target is None else FRAME[target],
        **{**settings, "weight": weight},
        batch_size=ROWS,
        shuffle=False,
        device="cpu",
    )
    same(ours[:], next(iter(theirs)))
    same(ours[123:457], [part[123:457] for part in next(iter(theirs))])
    same(ours[-1], [part[-1] for part in next(iter(theirs))])
    if theirs.classes_ is None:
        assert ours.classes_ is None
    else:
        assert ours.classes_.tolist() == theirs.classes_.tolist()
    assert {n: c.tolist() for n, c in ours.codes_.items()} == {
        n: c.tolist() for n, c in theirs.codes_.items()
    }
    assert list(ours.cardinalities_) == list(theirs.cardinalities_)


def test_a_missing_feature_is_nan(file):
    missing = FRAME["size"].is_null().to_numpy()
    X = StreamDataset(file, columns=["size"])[:][0]
    assert (torch.isnan(X[:, 0]).numpy() == missing).all() and missing.any()


def test_features_are_all_columns_but_target_and_weight_or_those_named(file):
    assert StreamDataset(file, "kind", weight="weight", codes=["city"]).columns_ == [
        "size",
        "count",
        "coast",
        "price",
    ]
    named = StreamDataset(file, "kind", columns=["price", "size"])
    assert named.columns_ == ["price", "size"]
    torch.testing.assert_close(named[5:9][0][:, 0], torch.tensor(FRAME["price"][5:9].to_list()))


def test_all_features_may_be_codes(file):
    dataset = StreamDataset(file, "kind", columns=[], codes=["city"])
    assert [part.shape for part in dataset[3:10]] == [(7, 0), (7, 1), (7,)]


def test_vectors_are_spread_out_and_of_one_length(tmp_path):
    vectors = pl.DataFrame({"v": [[1.0, 2.0]] * 300 + [[1.0, 2.0, 3.0]] * 10, "n": range(310)})
    dataset = StreamDataset(written(vectors, tmp_path))
    assert dataset[7][0].tolist() == [1.0, 2.0, 7.0]
    with pytest.raises(DataError, match="rows 300 to 309: rows become 4 numbers, but the first rows 3"):
        dataset[300:]


def test_the_bytes_of_a_row_are_those_of_its_tensors(file):
    dataset = StreamDataset(file, "kind", columns=["size", "price"], codes=["city"], weight="weight")
    assert dataset.row_bytes == 2 * 4 + 8 + 8 + 4


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"target": "kynd"}, r"target: no column 'kynd' \(did you mean 'kind'"),
        ({"target": "kind", "weight": "wait"}, "weight: no column 'wait'"),
        ({"columns": ["size", "prize"]}, r"columns: no column 'prize' \(did you mean 'price'"),
        ({"columns": ["size"], "codes": ["town"]}, "codes: no column 'town'"),
    ],
)
def test_an_unknown_column_is_told_with_the_nearest_one(file, settings, told):
    with pytest.raises(ColumnError, match=told):
        StreamDataset(file, **settings)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"columns": "size"}, r"columns=\['size'\]"),
        ({"columns": ["size", "size"]}, "named twice"),
        ({"target": "kind", "columns": ["size", "kind"]}, "'kind' is the target"),
        ({"columns": ["size"], "codes": "city"}, r"codes=\['city'\]"),
        ({"columns": ["size"], "row_index": "city"}, "the source holds a column of this name"),
        ({"columns": ["size"], "dtype": "float8"}, "dtype='float8'"),
    ],
)
def test_parameters_that_contradict_themselves_are_refused(file, settings, told):
    with pytest.raises(InvalidParameterError, match=told):
        StreamDataset(file, **settings)


def test_a_weight_or_classes_without_a_target_are_refused(file):
    with pytest.raises(DataError, match="weight was given without a target"):
        StreamDataset(file, columns=["size"], weight="weight")
    with pytest.raises(DataError, match="classes were given without a target"):
        StreamDataset(file, columns=["size"], classes=["a"])


def test_texts_are_refused_at_once_with_the_stage_that_encodes_them(file):
    with pytest.raises(DataError, match=r"do not hold numbers: city \(String\), kind .*encode.category"):
        StreamDataset(file)


def test_a_missing_label_is_told_by_its_row(tmp_path, monkeypatch):
    monkeypatch.setattr("tilth.loaders.stream_dataset._AT_ONCE", 100)
    gappy = FRAME.with_row_index().with_columns(
        pl.when(pl.col("index").is_in([450, 600])).then(None).otherwise("kind").alias("kind")
    )
    path = written(gappy, tmp_path)
    with pytest.raises(
        DataError, match=r"2 of 700 labels of 'kind' are missing, the first in .*parquet, row 450"
    ):
        StreamDataset(path, "kind", columns=["size"])
    dataset = StreamDataset(path, "kind", columns=["size"], classes=["a", "b", "c"])
    with pytest.raises(
        DataError, match=r"rows 400 to 499: target: 1 of 100 labels .* row 50\. .*from the first of"
    ):
        dataset[400:500]


def test_a_label_that_is_no_class_is_told_by_its_rows(file):
    dataset = StreamDataset(file, "kind", columns=["size"], classes=["a", "b", "c", "d"])
    assert dataset[:][1].max() == 2
    with pytest.raises(DataError, match=r"rows 0 to 255: target: .* not among the classes: 'c'"):
        StreamDataset(file, "kind", columns=["size"], classes=["a", "b"])


def test_a_negative_weight_is_told_by_its_rows(tmp_path):
    wrong = FRAME.with_columns(weight=pl.int_range(0, ROWS) * -1.0 + 500)
    dataset = StreamDataset(written(wrong, tmp_path), "kind", columns=["size"], weight="weight")
    with pytest.raises(DataError, match=r"rows 450 to 699: weight: row 51 is negative"):
        dataset[450:]


def test_change_works_on_rows_that_are_cut_out_and_nothing_else(file):
    seen = []

    def change(frame):
        seen.append(frame.collect().height)
        return frame.select(pl.col("size").fill_null(0) * 2, double=pl.col("count") * 2, kind="kind")

    dataset = StreamDataset(file, "kind", change=change, classes=["a", "b", "c"])
    assert dataset.columns_ == ["size", "double"]
    seen.clear()
    X, _ = dataset[300:420]
    assert seen == [120]
    assert X[:, 1].tolist() == (FRAME["count"][300:420] * 2).to_list()


def test_what_is_no_part_of_a_batch_is_not_computed(file):
    seen = []

    def noted(values):
        seen.append(len(values))
        return values

    def change(frame):
        return frame.with_columns(costly=pl.col("size").map_batches(noted, return_dtype=pl.Float64))

    dataset = StreamDataset(file, columns=["size"], change=change)
    seen.clear()
    assert len(dataset[300:420][0]) == 120
    assert seen == []


def test_classes_and_categories_are_those_after_change_learned_in_one_pass(file):
    seen = []

    def change(frame):
        def upper(part):
            seen.append(part.height)
            return part.with_columns(pl.col("kind", "city").str.to_uppercase())

        return frame.map_batches(upper)

    dataset = StreamDataset(file, "kind", columns=["size"], codes=["city"], change=change)
    assert dataset.classes_.tolist() == ["A", "B", "C"]
    assert dataset.codes_["city"].tolist() == ["BERN", "OSLO", "ROME"]
    assert sum(seen) == 256 + ROWS  # the first rows tell the columns; then everything once


def test_change_may_know_the_place_of_each_row_in_the_source(file):
    def change(frame):
        return frame.with_columns(place=pl.col("row") * 10)

    dataset = StreamDataset(file, columns=["place"], change=change, row_index="row")
    assert dataset[650:653][0].flatten().tolist() == [6500, 6510, 6520]
    everything = StreamDataset(file, "kind", codes=["city"], change=change, row_index="row")
    assert "row" not in everything.columns_ and "place" in everything.columns_
    kinds = []
    StreamDataset(
        file,
        columns=["size"],
        row_index="row",
        change=lambda frame: kinds.append(frame.collect_schema()["row"]) or frame,
    )
    assert kinds == [pl.UInt64]


def test_change_that_makes_other_rows_is_refused_with_the_rows(file):
    with pytest.raises(StageError, match=r"rows 0 to 255: it made \d+ rows of 256"):
        StreamDataset(file, columns=["size"], change=lambda frame: frame.filter(pl.col("count") > 500))


@pytest.mark.parametrize("how", ["at once", "when it runs"])
def test_change_that_fails_is_told_with_the_rows(file, how):
    def fails(frame):
        if how == "at once":
            raise KeyError("nothing there")
        return frame.map_batches(lambda part: {}["nothing there"])

    with pytest.raises(StageError, match=r"change: .*rows.parquet, rows 0 to 255: KeyError: 'nothing there'"):
        StreamDataset(file, columns=["size"], change=fails)


@pytest.mark.parametrize("change", [None, lambda frame: frame])
def test_a_damaged_file_is_told_by_the_rows_that_cannot_be_read(tmp_path, change):
    path = tmp_path / "rows.parquet"
    pl.DataFrame({"x": rng.standard_normal(20_000)}).write_parquet(
        path, row_group_size=5_000, compression="zstd"
    )
    dataset = StreamDataset(path, change=change)
    content = bytearray(path.read_bytes())
    middle = len(content) * 5 // 8
    content[middle - 15_000 : middle + 15_000] = bytes(30_000)
    path.write_bytes(content)
    assert len(dataset[:5_000][0]) == 5_000
    with pytest.raises(DataError, match=r"rows.parquet, rows 12000 to 13999: cannot be read: .*damaged"):
        dataset[12_000:14_000]


def test_a_file_that_is_gone_is_told_when_its_rows_are_due(file):
    dataset = StreamDataset(file, columns=["size"])
    file.unlink()
    with pytest.raises(DataError, match=r"rows.parquet, row 5: cannot be read: FileNotFoundError"):
        dataset[5]


def test_rows_are_counted_from_the_end_where_they_are_negative_and_end_where_they_end(file):
    dataset = StreamDataset(file, columns=["count"])
    assert dataset[-1][0].item() == FRAME["count"][-1]
    assert len(dataset[690:9999][0]) == 10
    assert len(dataset[20:10][0]) == 0
    for wrong in (700, -701):
        with pytest.raises(IndexError, match="there are 700 rows"):
            dataset[wrong]
    with pytest.raises(IndexError, match="a step of 2"):
        dataset[::2]


def test_a_source_without_rows_has_columns_and_no_classes(tmp_path):
    dataset = StreamDataset(written(FRAME.clear(), tmp_path), "kind", columns=["size"], codes=["city"])
    assert len(dataset) == 0
    assert [part.shape for part in dataset[:]] == [(0, 1), (0, 1), (0,)]
    assert dataset.classes_.tolist() == []
