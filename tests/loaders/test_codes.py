"""Columns become the places of their cells among categories; 0 is whatever has none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import OrdinalEncoder

from tilth.errors import ColumnError, DataError, StageError
from tilth.loaders import TableDataset, TableLoader
from tilth.loaders.codes import Codes

CELLS = {
    "text": st.text(max_size=3),
    "whole": st.integers(-(2**63), 2**63 - 1),
    "boolean": st.booleans(),
}
WORDS = ["b", None, "a", "b", "c"]


def codes_of(features, codes):
    return TableDataset(features, codes=codes).tensors[1]


def decoded(dataset):
    """Return the cells that the codes stand for, column by column."""
    columns = zip(dataset.tensors[1].T, dataset.codes_.values(), strict=True)
    return [[None if code == 0 else known[code - 1] for code in column] for column, known in columns]


@st.composite
def tables(draw):
    rows = draw(st.integers(0, 12))
    kinds = draw(st.lists(st.sampled_from(sorted(CELLS)), min_size=1, max_size=4))
    types = {"text": pl.String, "whole": pl.Int64, "boolean": pl.Boolean}
    return pl.DataFrame(
        [
            pl.Series(
                f"c{j}", draw(st.lists(st.none() | CELLS[kind], min_size=rows, max_size=rows)), types[kind]
            )
            for j, kind in enumerate(kinds)
        ]
    )


@given(frame=tables(), data=st.data())
@settings(max_examples=150, deadline=None)
def test_codes_stand_for_the_cells_they_were_made_of(frame, data):
    names = data.draw(st.permutations(frame.columns))
    dataset = TableDataset(frame.with_columns(number=pl.lit(1.5)), codes=names)
    features, codes = dataset.tensors
    assert decoded(dataset) == [frame[name].to_list() for name in names]
    assert features.tolist() == [[1.5]] * frame.height
    assert dataset.cardinalities_ == [frame[name].drop_nulls().n_unique() + 1 for name in names]
    assert codes.dtype == torch.int64 and codes.shape == (frame.height, len(names))
    for known in dataset.codes_.values():
        assert known.tolist() == sorted(known.tolist())
    again = TableDataset(frame[::-1].with_columns(number=pl.lit(1.5)), codes=dataset.codes_)
    assert torch.equal(again.tensors[1], codes.flip(0))


@given(
    learned=st.lists(CELLS["text"], min_size=1, max_size=15),
    later=st.lists(st.none() | CELLS["text"], min_size=1, max_size=15),
)
@settings(max_examples=100, deadline=None)
def test_codes_are_one_more_than_those_of_scikit_learn(learned, later):
    coding = Codes(["c"], ["c"], lambda name: pl.Series(learned, dtype=pl.String))
    found = coding.tensor(pl.DataFrame({"c": pl.Series(later, dtype=pl.String)}))
    peer = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    peer.fit(np.array(learned, dtype=object).reshape(-1, 1))
    expected = peer.transform(np.array(later, dtype=object).reshape(-1, 1)) + 1
    assert found.tolist() == expected.tolist()


@pytest.mark.parametrize(
    "column",
    [
        pl.Series("c", WORDS),
        pl.Series("c", WORDS, dtype=pl.Categorical),
        pl.Series("c", WORDS, dtype=pl.Enum(["c", "b", "z", "a"])),
        pd.Series(WORDS, name="c", index=[4, 4, 1, 0, 9]),
        pd.Series(WORDS, name="c", dtype="string"),
        pd.Series(pd.Categorical(WORDS), name="c"),
        pd.Series(pd.Categorical(WORDS, categories=["c", "b", "z", "a"], ordered=True), name="c"),
        pd.Series([w or np.nan for w in WORDS], name="c", dtype=object),
        pa.table({"c": WORDS}),
        pa.table({"c": pa.array(WORDS).dictionary_encode()}),
    ],
    ids=lambda column: f"{type(column).__module__.partition('.')[0]}-{getattr(column, 'dtype', '')}"[:40],
)
def test_texts_and_categories_of_any_container_have_the_same_codes(column):
    if isinstance(column, pl.Series | pd.Series):
        column = column.to_frame()
    dataset = TableDataset(column, codes=["c"])
    assert dataset.tensors[1].tolist() == [[2], [0], [1], [2], [3]]
    assert dataset.codes_["c"].tolist() == ["a", "b", "c"] and dataset.cardinalities_ == [4]
    assert dataset.tensors[0].shape == (5, 0)


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([20, 10, 20]),
        pd.Series([20.0, 10.0, 20.0]),
        pd.Series([20, 10, 20], dtype="UInt8"),
        pl.Series([20, 10, 20], dtype=pl.UInt64),
        pl.Series([20.0, 10.0, 20.0]).cast(pl.Decimal(10, 2)),
    ],
)
def test_whole_numbers_of_any_type_have_the_same_codes_and_so_have_those_that_miss_some(column):
    dataset = TableDataset(column.rename("c").to_frame(), codes=["c"])
    assert dataset.tensors[1].flatten().tolist() == [2, 1, 2]
    assert dataset.codes_["c"].dtype == np.int64
    gaps = pd.DataFrame({"c": [10.0, np.nan, 30.0, 20.0]})
    assert codes_of(gaps, dataset.codes_).flatten().tolist() == [1, 0, 0, 2]


@pytest.mark.parametrize(
    "features",
    [
        np.array([[7.0, 0.5, 2], [3, 1.5, np.nan], [7, 2.5, 2]]),
        torch.tensor([[7.0, 0.5, 2], [3, 1.5, np.nan], [7, 2.5, 2]], dtype=torch.bfloat16),
        [[7, 0.5, 2], [3, 1.5, None], [7, 2.5, 2]],
        [["y", 0.5, "m"], ["x", 1.5, None], ["y", 2.5, "m"]],
        np.array([["y", 0.5, "m"], ["x", 1.5, np.nan], ["y", 2.5, "m"]], dtype=object),
    ],
    ids=["array", "tensor", "list", "texts", "objects"],
)
def test_columns_of_arrays_are_named_by_their_number(features):
    dataset = TableDataset(features, codes=[2, np.int64(0)])
    assert dataset.tensors[1].tolist() == [[1, 2], [0, 1], [1, 2]]
    assert dataset.tensors[0].float().tolist() == [[0.5], [1.5], [2.5]]
    assert list(dataset.codes_) == [2, 0]
    again = TableDataset(features, codes=dataset.codes_)
    assert torch.equal(again.tensors[1], dataset.tensors[1])


def test_a_list_of_rows_keeps_its_numbers_beside_texts():
    X, codes = TableDataset([["y", 0.5], ["x", 1]], codes=[0]).tensors
    assert X.tolist() == [[0.5], [1]] and codes.tolist() == [[2], [1]]


@pytest.mark.parametrize(
    "features", [np.ones((4, 2), np.int16), torch.ones(4, 2, dtype=torch.bool), [[1, 1]] * 4]
)
def test_all_columns_of_an_array_may_be_codes(features):
    X, codes = TableDataset(features, codes=[0, 1]).tensors
    assert X.shape == (4, 0) and codes.tolist() == [[1, 1]] * 4


def test_a_frame_with_numbers_for_names_is_asked_by_number_or_text():
    frame = pd.DataFrame({0: ["x", "y"], 1: [0.5, 1.5]})
    for name in (0, "0"):
        dataset = TableDataset(frame, codes=[name])
        assert dataset.tensors[1].tolist() == [[1], [2]] and list(dataset.codes_) == [name]


def test_a_lazy_frame_is_coded_as_its_rows_are():
    frame = pl.DataFrame({"c": WORDS, "x": range(5)})
    assert torch.equal(codes_of(frame.lazy(), ["c"]), codes_of(frame, ["c"]))


def test_given_categories_number_the_cells_in_their_order_and_others_are_0():
    dataset = TableDataset(pl.DataFrame({"c": WORDS}), codes={"c": ["c", "a"]})
    assert dataset.tensors[1].flatten().tolist() == [0, 0, 2, 0, 1]
    assert dataset.codes_["c"].tolist() == ["c", "a"] and dataset.cardinalities_ == [3]


@pytest.mark.parametrize(
    "categories",
    [
        ["a", "b"],
        ("a", "b"),
        np.array(["a", "b"]),
        pd.Index(["a", "b"]),
        pl.Series(["a", "b"]),
        pa.array(["a", "b"]),
        pd.Categorical(["a", "b"]),
        pl.Series(["a", "b"], dtype=pl.Categorical),
    ],
    ids=lambda given: type(given).__name__,
)
def test_categories_may_come_in_any_sequence(categories):
    assert codes_of(pl.DataFrame({"c": WORDS}), {"c": categories}).flatten().tolist() == [2, 0, 1, 2, 0]


def test_categories_of_pandas_that_are_numbers_can_be_given_as_numbers():
    frame = pd.DataFrame({"zip": pd.Categorical([10, 2, None])})
    assert codes_of(frame, {"zip": [2, 10]}).flatten().tolist() == [2, 1, 0]
    assert TableDataset(frame, codes=["zip"]).codes_["zip"].tolist() == [
        "10",
        "2",
    ]  # texts, and sorted as such


def test_booleans_are_the_numbers_0_and_1_where_categories_were_learned_of_those():
    flags = pl.DataFrame({"c": [True, None, False]})
    assert codes_of(flags, ["c"]).flatten().tolist() == [2, 0, 1]
    assert codes_of(flags, {"c": [1, 0]}).flatten().tolist() == [1, 0, 2]
    assert codes_of(pl.DataFrame({"c": [0, 1, 7]}), {"c": [False, True]}).flatten().tolist() == [1, 2, 0]


@pytest.mark.parametrize(
    "empty", [pl.Series("c", [None, None]), pl.Series("c", [None, None], dtype=pl.String)]
)
def test_a_column_without_a_cell_has_no_category(empty):
    dataset = TableDataset(empty.to_frame(), codes=["c"])
    assert dataset.tensors[1].tolist() == [[0], [0]] and dataset.cardinalities_ == [1]
    assert codes_of(empty.to_frame(), {"c": ["a"]}).tolist() == [[0], [0]]
    assert codes_of(pl.DataFrame({"c": WORDS}), {"c": []}).tolist() == [[0]] * 5


def test_a_column_that_is_not_there_is_an_error_with_the_nearest_name():
    frame = pl.DataFrame({"city": ["a"], "age": [1]})
    with pytest.raises(ColumnError, match=r"codes: no column 'ctiy' \(did you mean 'city'\?\)"):
        TableDataset(frame, codes=["ctiy"])
    for wrong in ("city", 2, -1, True):
        with pytest.raises(ColumnError, match=r"no column .*named by their number, here 0 to 1"):
            TableDataset(np.ones((3, 2)), codes=[wrong])


@pytest.mark.parametrize("codes", ["city", 0, ["city", "city"], [0, "0"]])
def test_one_name_or_a_name_that_comes_twice_is_refused(codes):
    frame = pd.DataFrame({"city": ["a"], 0: ["b"]})
    with pytest.raises(ValueError, match=r"is one name.*list|named twice"):
        TableDataset(frame, codes=codes)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([1.0, 2.5], r"column 'c' holds numbers that are not whole, the first in row 1: 2\.5"),
        ([1.0, np.inf], "not whole, the first in row 1"),
        ([1.0, 1e19], r"beyond 2\*\*63"),
        (pl.Series([2**63], dtype=pl.UInt64), r"beyond 2\*\*63"),
        (pd.to_datetime(["2020-01-01"]), "column 'c' is Datetime"),
        ([[1, 2], [3, 4]], "column 'c' is List"),
    ],
)
def test_what_cannot_be_coded_is_refused_with_its_column(values, words):
    with pytest.raises(DataError, match=words):
        TableDataset(pl.DataFrame({"c": values}), codes=["c"])


@pytest.mark.parametrize("categories", [["a", "a"], ["a", None], [1, 1]])
def test_categories_that_repeat_or_are_missing_are_refused(categories):
    with pytest.raises(DataError, match="each category of 'c' once"):
        TableDataset(pl.DataFrame({"c": WORDS}), codes={"c": categories})


@pytest.mark.parametrize(
    ("column", "categories"), [(WORDS, [1, 2]), ([1, 2], ["1", "2"]), ([True], ["True"])]
)
def test_categories_of_another_kind_are_refused_since_every_cell_would_be_unknown(column, categories):
    with pytest.raises(DataError, match=r"column 'c' holds .*, but its categories are"):
        TableDataset(pl.DataFrame({"c": column}), codes={"c": categories})


@pytest.mark.parametrize(
    "features",
    [np.array([[1, 0.5, 1e300]]), np.array([["a", 0.5, 1e300]], dtype=object)],
    ids=["numbers", "objects"],
)
def test_errors_call_the_columns_of_an_array_as_they_were_numbered(features):
    with pytest.raises(DataError, match=r"float32: column 2\."):
        TableDataset(features, codes=[0])
    features[0, 2] = 70_000
    with pytest.raises(DataError, match=r"float16: column 2\."):
        TableDataset(features, codes=[0], dtype="float16")


def test_features_of_more_dimensions_have_no_columns_to_code():
    with pytest.raises(DataError, match=r"two dimensions.*\(2, 3, 4\)"):
        TableDataset(torch.zeros(2, 3, 4), codes=[0])


def test_inputs_stay_as_they_are():
    frame = pd.DataFrame({"c": pd.Categorical(["a", "b"]), "x": [1.0, 2.0]}, index=[3, 3])
    before = frame.copy()
    codes_of(frame, ["c"])
    pd.testing.assert_frame_equal(frame, before)
    array = np.arange(6.0).reshape(3, 2)
    TableDataset(array, codes=[0]).tensors[0].zero_()
    assert array.tolist() == [[0, 1], [2, 3], [4, 5]]


TOWNS = pd.DataFrame(
    {"size": [1.0, 2.0, 3.0, 4.0], "name": ["Rome", "Oslo", None, "Rome"], "port": [0, 1, 1, 0]}
)


def test_codes_come_second_in_a_batch_and_their_columns_leave_the_features():
    batches = TableLoader(
        TOWNS, list("abab"), weight=[1, 2, 3, 4], codes=["name", "port"], shuffle=False, device="cpu"
    )
    ((features, codes, target, weight),) = list(batches)
    assert features.tolist() == [[1], [2], [3], [4]]
    assert codes.tolist() == [[2, 1], [1, 2], [0, 2], [2, 1]] and codes.dtype == torch.int64
    assert (target.tolist(), weight.tolist()) == ([0, 1, 0, 1], [1, 2, 3, 4])
    assert {n: c.tolist() for n, c in batches.codes_.items()} == {"name": ["Oslo", "Rome"], "port": [0, 1]}
    assert batches.cardinalities_ == [3, 3]


def test_a_balanced_draw_goes_by_the_target_also_where_there_are_codes():
    labels = np.where(np.arange(4000) < 100, "rare", "common")
    batches = TableLoader(torch.ones(4000, 2), labels, codes=[0], sampler="balanced", device="cpu")
    assert abs(torch.cat([target for _, _, target in batches]).float().mean() - 0.5) < 0.05


def test_validation_data_takes_the_codes_of_training_and_what_is_unseen_is_0():
    train = TableLoader(TOWNS, codes=["name"], device="cpu")
    valid = pd.DataFrame({"size": [5.0, 6.0], "name": ["Paris", "Rome"], "port": [1, 1]})
    ((_, codes),) = list(TableLoader(valid, codes=train.codes_, shuffle=False, device="cpu"))
    assert codes.tolist() == [[0], [2]]


@pytest.mark.parametrize("none", [None, [], {}])
def test_no_codes_leave_batches_as_they_are(none):
    numbers = TOWNS[["size", "port"]]
    batches = TableLoader(numbers, shuffle=False, codes=none, device="cpu")
    (batch,) = list(batches)
    assert len(batch) == 1 and batch[0].tolist() == numbers.to_numpy().tolist()
    assert (batches.codes_, batches.cardinalities_) == ({}, [])


def test_columns_may_all_be_codes():
    ((features, codes),) = list(TableLoader(TOWNS[["name"]], codes=["name"], shuffle=False, device="cpu"))
    assert features.shape == (4, 0) and codes.flatten().tolist() == [2, 1, 0, 2]


class Fits:
    """Stands for a batch stage: it knows the columns of X and nothing of codes."""

    def for_batches(self, table):
        return self

    def augment(self, batch, generator):
        features, target = batch
        return (features.flip(0), target.flip(0).float())


def test_stages_see_no_codes_and_any_other_augmentation_sees_all():
    seen = []

    def look(batch, generator):
        seen.append(len(batch))
        return batch

    batches = TableLoader(
        TOWNS, [0, 1, 2, 3], codes=["name", "port"], augment=[look, Fits(), look], shuffle=False, device="cpu"
    )
    ((features, codes, target),) = list(batches)
    assert seen == [3, 3]
    assert (features.flatten().tolist(), target.tolist()) == ([4, 3, 2, 1], [3, 2, 1, 0])
    assert codes.tolist() == [[2, 1], [1, 2], [0, 2], [2, 1]]


def test_a_stage_that_changes_the_number_of_rows_cannot_keep_codes():
    class Halves(Fits):
        def augment(self, batch, generator):
            return tuple(part[::2] for part in batch)

    batches = TableLoader(TOWNS, [0, 1, 2, 3], codes=["name", "port"], augment=Halves(), device="cpu")
    with pytest.raises(StageError, match="Halves made 2 rows of 4"):
        list(batches)


def test_an_embedding_learns_from_codes_what_no_number_tells():
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"noise": generator.normal(size=3000), "town": generator.choice(list("abcdef"), 3000)}
    )
    labels = np.isin(frame["town"], ["b", "c", "f"])
    batches = TableLoader(frame, labels, codes=["town"], batch_size=100, device="cpu", sampler="blocks")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        look_up = torch.nn.Embedding(batches.cardinalities_[0], 4, padding_idx=0)
        head = torch.nn.Linear(5, 2)

    def model(features, codes):
        return head(torch.cat([features, look_up(codes).flatten(1)], dim=1))

    optimizer = torch.optim.Adam([*look_up.parameters(), *head.parameters()], lr=0.05)
    for _ in range(4):
        for features, codes, target in batches:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(features, codes), target).backward()
            optimizer.step()
    with torch.no_grad():
        hits = torch.cat([model(f, c).argmax(1) == t for f, c, t in batches])
    assert hits.float().mean() > 0.99
