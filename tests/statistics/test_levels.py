"""Means of levels: scikit-learn's TargetEncoder is the oracle, and any partition gives the same."""

from functools import reduce
from operator import add

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import PredefinedSplit
from sklearn.preprocessing import TargetEncoder

from tilth.statistics import Statistics
from tilth.statistics.folding import fold_by_hash
from tilth.statistics.levels import Levels, as_level, slot_of

ROW = st.tuples(
    st.sampled_from(["a", "b", "c", None]),
    st.none() | st.integers(-40, 40).map(lambda n: n / 4),
    st.sampled_from([0.0, 0.5, 1.0, 2.0]),
)
SCHEMA = {"c": pl.String, "y": pl.Float64, "w": pl.Float64}


def made(rows: int = 3000) -> pl.DataFrame:
    """Levels of which some are rare, and a target far from zero that depends on them."""
    rng = np.random.default_rng(0)
    level = rng.choice(["a", "b", "c", "rare", None], rows, p=[0.4, 0.3, 0.19, 0.01, 0.1])
    return pl.DataFrame(
        {
            "c": level.tolist(),
            "many": rng.integers(0, 700, rows),
            "y": rng.normal(1e6, 1, rows) + (level == "a"),
            "k": rng.choice(["x", "y", "z"], rows).tolist(),
            "id": pl.Series(range(rows), dtype=pl.UInt64),
        }
    )


def encoded(levels: Levels, rows: pl.DataFrame, column: str, which: object, **how) -> np.ndarray:
    slot = rows.select(slot_of(as_level(column, rows.schema[column]), levels.names[column])).to_series()
    return levels.means(column, **how)[which, slot.to_numpy()]


@pytest.mark.parametrize("smooth", ["auto", 0.0, 7.5])
@pytest.mark.parametrize("column", ["c", "many"])
def test_means_equal_scikit_learn_with_all_rows_and_without_each_fold(column, smooth):
    rows = made()
    fold = rows.select(fold_by_hash(4, 0, "id")).to_series().to_numpy()
    levels = Levels.of(rows.lazy(), [column], "y", fold=fold_by_hash(4, 0, "id"), folds=4)
    X, y = rows[column].to_numpy().astype(object)[:, None], rows["y"].to_numpy()
    peer = TargetEncoder(smooth=smooth, target_type="continuous", cv=PredefinedSplit(fold))
    trained, new = peer.fit_transform(X, y), peer.transform(X)
    np.testing.assert_allclose(encoded(levels, rows, column, 0, smooth=smooth), new, rtol=1e-12)
    ours = encoded(levels, rows, column, 1 + fold, smooth=smooth)
    np.testing.assert_allclose(ours, trained, rtol=1e-12)


def test_classes_give_a_value_each():
    rows = made()
    levels = Levels.of(rows.lazy(), ["c"], "k", ["x", "y", "z"])
    X = rows["c"].to_numpy().astype(object)[:, None]
    peer = TargetEncoder().fit(X, rows["k"].to_numpy())
    found = encoded(levels, rows, "c", 0)
    np.testing.assert_allclose(found, peer.transform(X), atol=1e-12)
    np.testing.assert_allclose(encoded(levels, rows, "c", 0, smooth=4.0).sum(axis=1), 1.0)


@given(st.lists(st.lists(ROW, max_size=9), min_size=1, max_size=5), st.sampled_from(["auto", 0.0, 3.0]))
def test_merged_parts_equal_the_whole(parts, smooth):
    frames = [pl.DataFrame(part, schema=SCHEMA, orient="row").with_row_index("id") for part in parts]
    frames = [f.with_columns(pl.col("id").cast(pl.UInt64) + 100 * i) for i, f in enumerate(frames)]
    of = lambda f: Levels.of(f.lazy(), ["c"], "y", weight="w", fold=fold_by_hash(3, 0, "id"), folds=3)
    merged, whole = reduce(add, map(of, frames)), of(pl.concat(frames))
    assert merged.names == whole.names
    for one, two in zip(merged.spread["c"], whole.spread["c"], strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(merged.means("c", smooth), whole.means("c", smooth), rtol=1e-9, atol=1e-9)


@given(st.lists(ROW, min_size=1, max_size=30), st.sampled_from(["auto", 2.0]))
def test_whole_weights_are_repeated_rows(rows, smooth):
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row").with_columns(pl.col("w") * 2)
    often = frame.select(pl.exclude("w").repeat_by(pl.col("w").cast(pl.Int64)).explode()).drop_nulls("y")
    weighted = Levels.of(frame.lazy(), ["c"], "y", weight="w")
    repeated = Levels.of(often.lazy(), ["c"], "y")
    if not often.height:
        assert np.isnan(weighted.means("c", smooth)).all()
        return
    mine = encoded(weighted, frame, "c", 0, smooth=smooth)
    theirs = encoded(repeated, frame, "c", 0, smooth=smooth)
    np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-9)


def test_rows_without_a_label_or_of_no_weight_add_their_level_and_nothing_else():
    rows = pl.DataFrame({"c": ["a", "b", "c"], "y": [1.0, None, 3.0], "w": [1.0, 1.0, 0.0]})
    levels = Levels.of(rows.lazy(), ["c"], "y", weight="w")
    assert levels.names["c"] == ["a", "b", "c"]
    assert levels.spread["c"].rows.tolist() == [[1, 0, 0, 0]]
    np.testing.assert_array_equal(levels.means("c"), np.ones((2, 5, 1)))


def test_levels_of_few_rows_get_the_mean_of_all():
    rows = pl.DataFrame({"c": ["a", "a", "b"], "y": [1.0, 3.0, 8.0]})
    levels = Levels.of(rows.lazy(), ["c"], "y")
    assert levels.means("c", smooth=0.0, least=1)[0, :2, 0].tolist() == [2.0, 8.0]
    assert levels.means("c", smooth=0.0, least=2)[0, :2, 0].tolist() == [2.0, 4.0]


def test_without_other_folds_a_row_gets_the_mean_of_all():
    rows = pl.DataFrame({"c": ["a", "b"], "y": [1.0, 3.0]})
    levels = Levels.of(rows.lazy(), ["c"], "y", fold=pl.lit(1), folds=3)
    told = levels.means("c", smooth=0.0)[:, :2, 0]
    np.testing.assert_array_equal(told, [[1, 3], [1, 3], [2, 2], [1, 3]])


@pytest.mark.parametrize(
    "values, texts",
    [
        (pl.Series([1, -2, None]), ["1", "-2", None]),
        (pl.Series([1.0, -2.5, None]), ["1", "-2.5", None]),
        (pl.Series([float("inf"), 1e300, 0.1]), ["inf", "1e+300", "0.1"]),
        (pl.Series([True, False, None]), ["true", "false", None]),
        (pl.Series(["b", "a", None], dtype=pl.Categorical), ["b", "a", None]),
        (pl.Series([2**100, 1, None], dtype=pl.Int128), [str(2**100), "1", None]),
    ],
)
def test_equal_values_are_equal_levels_in_any_type(values, texts):
    frame = values.alias("v").to_frame()
    assert frame.select(as_level("v", values.dtype)).to_series().to_list() == texts


def test_slots_tell_missing_from_unknown():
    rows = pl.DataFrame({"c": ["b", None, "?", "a"]})
    assert rows.select(slot_of(pl.col("c"), ["a", "b"])).to_series().to_list() == [1, 2, 3, 0]
    assert rows.select(slot_of(pl.col("c"), [])).to_series().to_list() == [1, 0, 1, 1]


def test_statistics_answer_with_roles_and_shards():
    rows = made(200).with_columns(g=pl.col("many") % 7)
    shards = [rows[:50].lazy(), rows[50:50].lazy(), rows[50:].lazy()]
    asked = Statistics(shards, "id", target="y", group="g").levels(["c", "many"], None, 3, 5)
    whole = Levels.of(rows.lazy(), ["c", "many"], "y", fold=fold_by_hash(3, 5, "id", "g"), folds=3)
    assert asked.names == whole.names
    np.testing.assert_allclose(asked.means("many", 2.0), whole.means("many", 2.0), rtol=1e-12)
