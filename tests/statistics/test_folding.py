"""Folds by hash: the same for any order and partition, and no group in two of them."""

import numpy as np
import polars as pl
import pytest

from tilth.statistics import hash_rows
from tilth.statistics.folding import fold_by_hash

ROWS = pl.DataFrame(
    {
        "id": pl.Series(range(2000), dtype=pl.UInt64),
        "who": pl.Series([None if i % 10 == 0 else f"person {i % 97}" for i in range(2000)]),
    }
)


def folds(rows: pl.DataFrame, count: int = 5, seed: int = 0, group: str | None = None) -> list[int]:
    return rows.select(fold_by_hash(count, seed, "id", group)).to_series().to_list()


def test_folds_are_about_equal_and_those_of_the_hash():
    found = np.array(folds(ROWS))
    np.testing.assert_array_equal(found, hash_rows(0, ROWS["id"].to_numpy()) % np.uint64(5))
    assert np.bincount(found).min() > 340
    assert folds(ROWS, seed=1) != found.tolist()


@pytest.mark.parametrize("group", [None, "who"])
def test_a_row_lies_in_the_same_fold_in_any_order_and_partition(group):
    whole = dict(zip(ROWS["id"], folds(ROWS, group=group), strict=True))
    shuffled = ROWS.sample(fraction=1, shuffle=True, seed=1)
    for part in (shuffled.head(1), shuffled[1:700], shuffled[700:]):
        assert folds(part, group=group) == [whole[i] for i in part["id"]]
    assert folds(ROWS.head(0), group=group) == []


@pytest.mark.parametrize("kind", [pl.String, pl.Categorical, pl.Enum([f"person {i}" for i in range(97)])])
def test_no_group_lies_in_two_folds_and_its_type_does_not_matter(kind):
    rows = ROWS.with_columns(pl.col("who").cast(kind))
    found = rows.with_columns(fold_by_hash(5, 3, "id", "who").alias("fold"))
    in_folds = found.drop_nulls("who").group_by("who").agg(pl.col("fold").n_unique())
    assert in_folds["fold"].to_list() == [1] * 97
    assert found["fold"].to_list() == folds(ROWS, seed=3, group="who")


def test_a_row_without_a_group_is_a_group_of_its_own():
    alone = ROWS.filter(pl.col("who").is_null())
    assert folds(alone, group="who") == folds(alone)
    assert folds(alone.with_columns(who=pl.lit(None, pl.Int64)), group="who") == folds(alone)
