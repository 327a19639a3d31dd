"""Numbers keep the type that was asked for, and no number turns infinite on the way."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

from tilth.errors import DataError
from tilth.loaders import TableDataset
from tilth.loaders.tensors import feature_tensor, target_tensor, weight_tensor

NUMBERS = np.random.default_rng(0).normal(size=(70_000, 2)) * 100


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", torch.bfloat16])
@pytest.mark.parametrize(
    "container",
    [np.asarray, pl.DataFrame, lambda a: pd.DataFrame(a, columns=["a", "b"]), torch.from_numpy],
    ids=["numpy", "polars", "pandas", "tensor"],
)
def test_a_short_type_is_torchs_rounding_of_float32(dtype, container):
    block = feature_tensor(container(NUMBERS), dtype)
    expected = torch.from_numpy(NUMBERS).float().to(getattr(torch, str(dtype).removeprefix("torch.")))
    assert block.dtype == expected.dtype and block.is_contiguous()
    assert torch.equal(block, expected)


def test_missing_and_infinite_numbers_and_booleans_stay_what_they_are():
    frame = pl.DataFrame({"a": [None, 1.0], "b": [np.inf, -np.inf], "c": [True, False]})
    block = feature_tensor(frame, "float16")
    assert block.isnan().tolist() == [[True, False, False], [False, False, False]]
    assert block[:, 1].tolist() == [np.inf, -np.inf] and block[:, 2].tolist() == [1, 0]


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("kind", [torch.uint8, torch.int64, torch.bool])
def test_a_tensor_of_whole_numbers_keeps_its_type(dtype, kind):
    assert feature_tensor(torch.ones(3, 2, dtype=kind), dtype).dtype == kind


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_float32_leaves_a_tensor_as_it_is(kind):
    tensor = torch.ones(3, 2, dtype=kind)
    assert feature_tensor(tensor).data_ptr() == tensor.data_ptr()


def test_a_tensor_that_has_the_short_type_is_not_copied():
    tensor = torch.ones(3, 2, dtype=torch.float16)
    assert feature_tensor(tensor, "float16").data_ptr() == tensor.data_ptr()


@pytest.mark.parametrize(
    ("dtype", "value", "words"),
    [("float16", 65_520.0, "65504 do not fit float16"), ("bfloat16", 3.4e38, r"3\.4e38")],
)
@pytest.mark.parametrize("row", [0, 69_999])
@pytest.mark.parametrize(
    "container",
    [np.asarray, lambda a: pl.DataFrame(a, schema=["a", "1"]), torch.from_numpy],
    ids=["numpy", "polars", "tensor"],
)
def test_numbers_too_large_for_a_short_type_are_refused_with_their_column(
    dtype, value, words, row, container
):
    numbers = NUMBERS.astype(np.float32)
    numbers[row, 1] = -value
    with pytest.raises(DataError, match=rf"{words}.*: (column )?1\."):
        feature_tensor(container(numbers), dtype)


def test_the_largest_short_number_is_let_through():
    assert feature_tensor(np.array([[65_504.0, 65_519.0]]), "float16").tolist() == [[65_504, 65_504]]


@pytest.mark.parametrize("dtype", ["float64", "int8", None, 16])
def test_a_type_that_is_not_known_is_refused(dtype):
    with pytest.raises(ValueError, match=r"dtype=.*float32, float16, bfloat16"):
        feature_tensor(NUMBERS, dtype)


def test_no_rows_have_a_short_type_too():
    block = feature_tensor(
        pl.DataFrame({"a": [], "b": []}, schema={"a": pl.Float64, "b": pl.Int8}), "float16"
    )
    assert block.shape == (0, 2) and block.dtype == torch.float16


@pytest.mark.parametrize(
    "labels",
    [
        pd.Categorical(["b", "a", "b"]),
        pd.Categorical(["b", "a", "b"], categories=["b", "a"], ordered=True),
        pd.Index(["b", "a", "b"]),
        pd.CategoricalIndex(["b", "a", "b"]),
        pd.array(["b", "a", "b"]),
        pa.array(["b", "a", "b"]),
        pa.array(["b", "a", "b"]).dictionary_encode(),
        pa.chunked_array([["b"], ["a", "b"]]),
    ],
    ids=lambda labels: type(labels).__name__,
)
def test_labels_come_in_any_array_of_pandas_and_pyarrow(labels):
    codes, classes = target_tensor(labels)
    assert codes.tolist() == [1, 0, 1] and classes.tolist() == ["a", "b"]
    assert TableDataset(torch.zeros(3, 1), labels, classes=pd.Categorical(["b", "a"])).tensors[
        1
    ].tolist() == [0, 1, 0]


@pytest.mark.parametrize("labels", [pd.Categorical(["b", None]), pd.array([1, None]), pa.array(["b", None])])
def test_missing_labels_of_these_are_refused_with_their_row(labels):
    with pytest.raises(DataError, match="1 of 2 labels are missing, the first in row 1"):
        target_tensor(labels)


@pytest.mark.parametrize("values", [pd.array([1, 2]), pd.array([1.0, 2.0]), pa.array([1, 2])])
def test_numbers_of_these_weigh(values):
    assert weight_tensor(values).tolist() == [1, 2]


@pytest.mark.parametrize("values", [pd.array([1.5, 2.0]), pa.array([1.5, 2.0])])
def test_floats_of_these_are_float_targets(values):
    target, classes = target_tensor(values)
    assert target.tolist() == [1.5, 2] and classes is None
