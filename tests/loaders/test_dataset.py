"""What a user holds becomes tensors, or a clear error names what does not."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.preprocessing import LabelEncoder
from torch.utils.data import BatchSampler, DataLoader, TensorDataset

from tilth.errors import DataError
from tilth.loaders import RowSampler, TableDataset

NUMBERS = {"a": [1.5, 2.5, -3.0], "b": [1, 2, 3], "c": [True, False, True]}
BLOCK = torch.tensor([[1.5, 1, 1], [2.5, 2, 0], [-3, 3, 1]])


@pytest.mark.parametrize(
    "features",
    [
        pl.DataFrame(NUMBERS),
        pl.LazyFrame(NUMBERS),
        pd.DataFrame(NUMBERS, index=[7, 7, 9]),
        pd.DataFrame(NUMBERS).convert_dtypes(),
        pl.DataFrame(NUMBERS).to_arrow(),
        BLOCK.numpy(),
        np.asfortranarray(BLOCK.double().numpy()),
        BLOCK.tolist(),
        BLOCK,
    ],
    ids=["polars", "lazy", "pandas", "nullable", "arrow", "float32", "fortran", "list", "tensor"],
)
def test_any_table_becomes_one_contiguous_float32_block(features):
    X = TableDataset(features).tensors[0]
    assert X.dtype == torch.float32 and X.is_contiguous()
    assert torch.equal(X, BLOCK)


def test_a_contiguous_float32_array_or_tensor_is_not_copied():
    array = np.ones((4, 2), np.float32)
    assert TableDataset(array).tensors[0].data_ptr() == array.ctypes.data
    tensor = torch.ones(4, 2)
    assert TableDataset(tensor).tensors[0].data_ptr() == tensor.data_ptr()


def test_a_read_only_array_is_copied_without_a_warning(recwarn):
    array = np.ones((4, 2), np.float32)
    array.flags.writeable = False
    assert TableDataset(array).tensors[0].data_ptr() != array.ctypes.data
    assert not recwarn.list


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.float16, torch.float64])
def test_tensors_of_any_shape_keep_their_type(dtype):
    X = TableDataset(torch.ones(5, 3, 4, 4).to(dtype)).tensors[0]
    assert X.dtype == dtype and X.shape == (5, 3, 4, 4)


def test_missing_values_of_frames_become_nan_and_infinities_stay():
    frame = pl.DataFrame({"a": [1, None, 3], "b": [True, None, False], "c": [np.inf, 0.0, np.nan]})
    X = TableDataset(frame).tensors[0]
    expected = torch.tensor([[1, 1, torch.inf], [torch.nan, torch.nan, 0], [3, 0, torch.nan]])
    assert torch.equal(X.nan_to_num(-9), expected.nan_to_num(-9))


@pytest.mark.parametrize("dtype", [pl.Array(pl.Float32, 2), pl.List(pl.Float64)])
def test_vector_columns_become_columns_in_their_place(dtype):
    vectors = pl.Series("v", [[1.0, 2.0], [3.0, 4.0], None], dtype=dtype)
    X = TableDataset(pl.DataFrame({"a": [9, 8, 7]}).with_columns(vectors, b=pl.lit(5))).tensors[0]
    assert X.nan_to_num(-1).tolist() == [[9, 1, 2, 5], [8, 3, 4, 5], [7, -1, -1, 5]]


def test_vectors_of_several_lengths_are_refused():
    with pytest.raises(DataError, match="column 'v' are of 2 lengths: 1, 2"):
        TableDataset(pl.DataFrame({"v": [[1.0], [1.0, 2.0]]}))


@pytest.mark.parametrize("kind", [pl.DataFrame, pd.DataFrame])
def test_columns_without_numbers_are_named_with_the_stage_that_turns_them(kind):
    frame = kind({"income": [1, 2], "city": ["x", "y"], "job": ["a", "b"]})
    with pytest.raises(DataError, match=r"2 of 3 columns.*city.*job.*encode\.category") as caught:
        TableDataset(frame)
    assert "income" not in str(caught.value)


def test_categories_and_dates_are_refused_too():
    frame = pd.DataFrame({"c": pd.Categorical(["a", "b"]), "d": pd.to_datetime(["2020-01-01"] * 2)})
    with pytest.raises(DataError, match=r"c \(Cat.*d \(Datetime"):
        TableDataset(frame)


@pytest.mark.parametrize(
    "features", [np.array([[1.0, 1e300]]), pl.DataFrame({"x0": [1.0], "1": [1e300]})], ids=["array", "frame"]
)
def test_numbers_too_large_for_float32_are_refused_and_never_turn_infinite(features):
    with pytest.raises(DataError, match=r"beyond 3\.4e38.*1"):
        TableDataset(features)


def test_one_dimensional_and_sparse_features_are_refused():
    with pytest.raises(DataError, match=r"reshape\(-1, 1\)"):
        TableDataset(torch.ones(3))
    with pytest.raises(DataError, match="dense"):
        TableDataset(torch.eye(3).to_sparse())


@pytest.mark.parametrize(
    "labels",
    [
        ["b", "a", "c", "a"],
        np.array(["b", "a", "c", "a"]),
        pd.Series(["b", "a", "c", "a"], index=[3, 1, 1, 0]),
        pd.Series(["b", "a", "c", "a"], dtype="category"),
        pl.Series(["b", "a", "c", "a"], dtype=pl.Enum(["c", "b", "a"])),
        [True, False, True, True],
        torch.tensor([True, False, True, True]),
        np.array([30, 10, 20, 10]),
        pd.Series([30, 10, 20, 10], dtype="Int64"),
    ],
)
def test_labels_are_encoded_as_scikit_learn_encodes_them(labels):
    dataset = TableDataset(torch.zeros(4, 1), labels)
    plain = labels.to_list() if isinstance(labels, pl.Series) else np.asarray(labels)
    peer = LabelEncoder().fit(plain)
    assert dataset.tensors[1].dtype == torch.int64
    assert dataset.tensors[1].tolist() == peer.transform(plain).tolist()
    assert dataset.classes_.tolist() == peer.classes_.tolist()


def test_integers_in_a_tensor_are_codes_already():
    dataset = TableDataset(torch.zeros(3, 1), torch.tensor([5, 0, 5], dtype=torch.int32))
    assert dataset.tensors[1].tolist() == [5, 0, 5]
    assert dataset.tensors[1].dtype == torch.int64 and dataset.classes_ is None


@pytest.mark.parametrize(
    "target", [[0.5, 1.5], np.array([0.5, 1.5]), pd.Series([0.5, 1.5]), torch.tensor([0.5, 1.5]).double()]
)
def test_float_targets_stay_floats(target):
    dataset = TableDataset(torch.zeros(2, 1), target)
    assert dataset.tensors[1].dtype == torch.float32 and dataset.classes_ is None
    assert dataset.tensors[1].tolist() == [0.5, 1.5]


def test_soft_labels_keep_their_shape_and_a_single_column_is_flattened():
    assert TableDataset(torch.zeros(2, 1), np.full((2, 3), 1 / 3)).tensors[1].shape == (2, 3)
    assert TableDataset(torch.zeros(2, 1), np.full((2, 1), 1 / 3)).tensors[1].shape == (2,)


def test_validation_labels_take_the_codes_of_training_and_unseen_ones_are_named():
    train = TableDataset(torch.zeros(3, 1), ["a", "b", "c"])
    valid = TableDataset(torch.zeros(2, 1), ["c", "b"], classes=train.classes_)
    assert valid.tensors[1].tolist() == [2, 1]
    with pytest.raises(DataError, match=r"first in row 1.*'d'"):
        TableDataset(torch.zeros(2, 1), ["c", "d"], classes=train.classes_)


def test_numeric_classes_encode_tensor_and_float_labels():
    assert TableDataset(torch.zeros(2, 1), torch.tensor([7, 3]), classes=[3, 7]).tensors[1].tolist() == [1, 0]
    assert TableDataset(torch.zeros(2, 1), np.array([7.0, 3.0]), classes=[3.0, 7.0]).tensors[1].tolist() == [
        1,
        0,
    ]


def test_classes_that_repeat_are_refused():
    with pytest.raises(DataError, match="each class once"):
        TableDataset(torch.zeros(1, 1), ["a"], classes=["a", "a"])


@pytest.mark.parametrize(
    "target", [["a", None, "b"], pd.Series(["a", None, "b"]), [1.0, float("nan"), 2.0], [1.0, np.inf, 2.0]]
)
def test_missing_or_infinite_targets_are_refused_with_their_row(target):
    with pytest.raises(DataError, match=r"target: 1 of 3.*row 1"):
        TableDataset(torch.zeros(3, 1), target)


@pytest.mark.parametrize(
    ("weight", "words"),
    [
        ([1, -1], "row 1 is negative"),
        ([1, np.nan], "row 1"),
        (["a", "b"], "numbers are needed"),
        ([1], "holds 1"),
    ],
)
def test_weights_that_cannot_weigh_are_refused(weight, words):
    with pytest.raises(DataError, match=words):
        TableDataset(torch.zeros(2, 1), [0, 1], weight=weight)


def test_lengths_must_agree():
    with pytest.raises(DataError, match="features hold 3 rows, but the target holds 2"):
        TableDataset(torch.zeros(3, 1), ["a", "b"])


def test_weight_or_classes_without_target_are_refused():
    with pytest.raises(DataError, match="without a target"):
        TableDataset(torch.zeros(2, 1), weight=[1, 2])
    with pytest.raises(DataError, match="without a target"):
        TableDataset(torch.zeros(2, 1), classes=["a"])


def _same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_it_works_in_a_default_dataloader_as_tensor_dataset_does():
    X, y = torch.randn(23, 4), torch.arange(23)
    ours, theirs = TableDataset(X, y), TensorDataset(X, y)
    for settings in ({"batch_size": 5}, {"batch_size": 5, "drop_last": True}, {"batch_size": None}):
        pairs = zip(DataLoader(ours, **settings), DataLoader(theirs, **settings), strict=True)
        assert all(_same(a, b) for a, b in pairs)


CITIES = pl.DataFrame({"age": [3.0, 4.0, 5.0], "city": ["Rome", None, "Oslo"], "job": ["x", "y", "x"]})


def test_codes_come_after_the_features_and_before_target_and_weight():
    dataset = TableDataset(CITIES, ["b", "a", "b"], weight=[1, 2, 3], codes=["job", "city"])
    assert [part.tolist() for part in dataset[:]] == [
        [[3], [4], [5]],
        [[1, 2], [2, 0], [1, 1]],
        [1, 0, 1],
        [1, 2, 3],
    ]
    assert {name: known.tolist() for name, known in dataset.codes_.items()} == {
        "job": ["x", "y"],
        "city": ["Oslo", "Rome"],
    }
    assert dataset.cardinalities_ == [3, 3]


def test_codes_and_short_numbers_pass_through_a_default_dataloader():
    dataset = TableDataset(CITIES, ["b", "a", "b"], codes=["city", "job"], dtype="bfloat16")
    ((X, codes, y),) = list(DataLoader(dataset, batch_size=3))
    assert _same((X, codes, y), dataset.tensors)
    assert (X.dtype, codes.dtype) == (torch.bfloat16, torch.int64)


def test_a_dataset_may_go_to_another_process_or_place_and_keeps_what_its_codes_mean(monkeypatch):
    dataset = TableDataset(CITIES, ["b", "a", "b"], codes=["city", "job"])
    monkeypatch.setattr(torch.Tensor, "pin_memory", torch.Tensor.clone)
    for other in (pickle.loads(pickle.dumps(dataset)), dataset.to(torch.device("cpu")), dataset.pin_memory()):
        assert _same(other.tensors, dataset.tensors)
        assert other.classes_.tolist() == ["a", "b"] and other.cardinalities_ == [3, 3]
        assert list(other.codes_) == ["city", "job"]
    assert dataset.to(torch.device("cpu")).tensors[0].data_ptr() == dataset.tensors[0].data_ptr()
    assert {part.device.type for part in dataset.to(torch.device("meta")).tensors} == {"meta"}


def test_all_parts_are_where_the_features_are():
    dataset = TableDataset(torch.zeros(3, 2, device="meta"), [0, 1, 0], weight=[1, 2, 3])
    assert {part.device.type for part in dataset.tensors} == {"meta"}


def test_a_sampler_may_name_whole_batches():
    X = torch.randn(23, 4)
    rows = BatchSampler(RowSampler(23, random_state=3), 5, drop_last=False)
    batches = [x for (x,) in DataLoader(TableDataset(X), sampler=rows, batch_size=None)]
    assert torch.equal(torch.cat(batches), X[RowSampler(23, random_state=3).rows(0)])


def test_rows_are_taken_by_number_slice_list_tensor_or_mask():
    X = torch.arange(5.0).reshape(5, 1)
    dataset = TableDataset(X)
    assert dataset[-1][0].item() == 4 and dataset[np.int64(2)][0].item() == 2
    for rows in ([3, 0], torch.tensor([3, 0]), np.array([3, 0])):
        assert dataset[rows][0].flatten().tolist() == [3, 0]
    assert dataset[1:3][0].flatten().tolist() == [1, 2]
    assert dataset[X.flatten() > 2][0].flatten().tolist() == [3, 4]
    assert dataset[[]][0].shape == (0, 1)
