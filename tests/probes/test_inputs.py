"""Inputs turn any frame into the same matrix that scikit-learn's own transformers would make."""

import datetime as dt
import time

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, RobustScaler, StandardScaler

from tilth.errors import ColumnError, DataError, UnknownName
from tilth.probes import Inputs

NAN = float("nan")


def one(values, **options):
    """The matrix of a single column, nothing scaled unless asked."""
    frame = pl.DataFrame({"a": values})
    return Inputs(**{"scale": None, **options}).fit(frame).transform(frame)


def test_standard_scale_and_median_fill_equal_scikit_learn():
    random = np.random.default_rng(0)
    X = random.normal(5, 3, size=(200, 4))
    X[random.random(X.shape) < 0.2] = np.nan
    ours = Inputs().fit(pl.DataFrame(X)).transform(pl.DataFrame(X))
    theirs = make_pipeline(
        StandardScaler(), SimpleImputer(strategy="median", add_indicator=True)
    ).fit_transform(X)
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_robust_scale_equals_scikit_learn_then_the_smooth_clip():
    X = np.random.default_rng(0).normal(5, 3, size=(201, 2))  # 201: every quartile is a row
    ours = Inputs(scale="robust").fit(pl.DataFrame(X)).transform(pl.DataFrame(X))
    z = RobustScaler().fit_transform(X)
    np.testing.assert_allclose(ours, z / np.sqrt(1 + (z / 3) ** 2), atol=1e-12)


def test_robust_scale_falls_back_to_half_the_range():
    column = one([0.0] * 9 + [4.0], scale="robust")[:, 0]
    assert column[-1] == pytest.approx(2 / np.sqrt(1 + (2 / 3) ** 2))


@pytest.mark.parametrize("limit", [3, 5, 100])
def test_onehot_equals_scikit_learn_also_for_rare_and_unseen(limit):
    random = np.random.default_rng(0)
    letters = random.choice(list("abcdefgh"), size=500, p=np.arange(1, 9) / 36)
    new = np.array([*"abcdefgh", "unseen"])
    theirs = OneHotEncoder(
        max_categories=limit, handle_unknown="infrequent_if_exist", sparse_output=False
    ).fit(letters[:, None])
    ours = Inputs(max_categories=limit).fit(pl.DataFrame({"a": letters}))
    np.testing.assert_array_equal(ours.transform(pl.DataFrame({"a": new})), theirs.transform(new[:, None]))


def test_ordinal_equals_scikit_learn_also_for_missing_and_unseen():
    letters, new = ["b", "a", None, "c", "a"], ["c", None, "z", "a"]
    theirs = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    # scikit-learn takes None for a category, and NaN for a gap.
    learned, given = ([[NAN if word is None else word] for word in words] for words in (letters, new))
    theirs.fit(np.array(learned, dtype=object))
    ours = Inputs("ordinal", fill=False).fit(pl.DataFrame({"a": letters}))
    np.testing.assert_array_equal(
        ours.transform(pl.DataFrame({"a": new})), theirs.transform(np.array(given, dtype=object))
    )


def test_filled_ordinal_codes_have_no_gap():
    frame = pl.DataFrame({"a": ["x", None, "y"], "n": [1.0, 2.0, None]})
    inputs = Inputs("ordinal", scale=None).fit(frame)
    assert inputs.names_ == ["n", "a is missing", "n is missing", "a"]
    assert inputs.transform(frame).tolist() == [[1, 0, 0, 0], [2, 1, 0, -1], [1.5, 0, 1, 1]]
    assert inputs.categorical_.tolist() == [False, False, False, True]


def test_names_say_what_each_column_of_the_matrix_is():
    frame = pl.DataFrame({"city": ["Oslo", "Oslo", "Rome", "Bern"], "age": [1, None, 3, 4]})
    assert Inputs(max_categories=2).fit(frame).names_ == [
        "age",
        "age is missing",
        "city=Oslo",
        "city=(other)",
    ]


def test_ties_among_rare_categories_are_settled_by_the_alphabet():
    frame = pl.DataFrame({"a": ["d", "c", "b", "a"]})
    assert Inputs(max_categories=3).fit(frame).columns_[0].levels == ("a", "b")


def test_every_type_becomes_the_number_it_stands_for():
    day = dt.date(1970, 1, 3)
    noon = dt.datetime(1970, 1, 2, 12)
    frame = pl.DataFrame(
        {
            "date": [day],
            "naive": [noon],
            "aware": pl.Series([noon]).dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Tokyo"),
            "nanos": pl.Series([noon], dtype=pl.Datetime("ns")),
            "span": [dt.timedelta(hours=6)],
            "time": [dt.time(18)],
            "yes": [True],
            "decimal": pl.Series(["1.25"]).cast(pl.Decimal(10, 2)),
            "small": pl.Series([7], dtype=pl.UInt8),
        }
    )
    inputs = Inputs(scale=None).fit(frame)
    assert inputs.transform(frame).tolist() == [[2, 1.5, 1.5, 1.5, 0.25, 0.75, 1, 1.25, 7]]


def test_string_categorical_and_enum_are_one_kind():
    letters = pl.Series("a", ["x", "y", "x"])
    inputs = Inputs().fit(letters.to_frame())
    expected = inputs.transform(letters.to_frame())
    for dtype in (pl.Categorical, pl.Enum(["y", "x", "never"])):
        frame = letters.cast(dtype).to_frame()
        np.testing.assert_array_equal(inputs.transform(frame), expected)
        np.testing.assert_array_equal(Inputs().fit(frame).transform(frame), expected)


def test_nan_null_and_infinities_are_missing_alike():
    assert one([1.0, NAN, None, np.inf, -np.inf, 3.0]).tolist() == [[1, 0], *[[2, 1]] * 4, [3, 0]]
    assert np.isnan(one([1.0, NAN, None, np.inf, -np.inf], fill=False)[1:, 0]).all()


def test_wholly_missing_column_stays_without_a_value_whatever_comes():
    frame = pl.DataFrame(
        {"null": [None, None], "nan": [NAN, NAN], "text": pl.Series([None, None], dtype=pl.String)}
    )
    later = pl.DataFrame({"null": ["word"], "nan": [5.0], "text": ["word"]})
    for scale in (None, "standard", "robust"):
        assert Inputs(scale=scale).fit(frame).transform(later).tolist() == [[0, 0, 0]]
    assert np.isnan(Inputs("ordinal", fill=False).fit(frame).transform(later)).all()


@pytest.mark.parametrize("scale", ["standard", "robust"])
@pytest.mark.parametrize("constant", [0.0, 0.1, 1e-300, 5e-324, 1e200, -7.3e15])
def test_constant_column_scales_to_zero_whatever_comes(scale, constant):
    inputs = Inputs(scale=scale).fit(pl.DataFrame({"a": [constant] * 777}))
    assert inputs.transform(pl.DataFrame({"a": [constant, 12.5, None]}))[:, 0].tolist() == [0, 0, 0]


def test_unseen_category_without_a_rare_level_is_all_zeros_or_missing():
    frame, new = pl.DataFrame({"a": ["x", "y"]}), pl.DataFrame({"a": ["new"]})
    assert Inputs().fit(frame).transform(new).tolist() == [[0, 0]]
    assert np.isnan(Inputs("ordinal", fill=False).fit(frame).transform(new)).all()


def test_empty_string_and_the_word_na_are_categories_not_gaps():
    assert one(["", "NA", None]).tolist() == [[0, 1, 0], [0, 0, 1], [1, 0, 0]]


def test_columns_are_found_by_name_and_further_ones_ignored():
    frame = pl.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"], "c": [True, False]})
    inputs = Inputs().fit(frame)
    moved = frame.select("c", pl.lit("more").alias("extra"), "b", "a")
    np.testing.assert_array_equal(inputs.transform(moved), inputs.transform(frame))


def test_missing_column_is_named_with_the_nearest():
    inputs = Inputs().fit(pl.DataFrame({"income": [1, 2], "age": [1, 2]}))
    with pytest.raises(ColumnError, match=r"no column 'income' \(did you mean 'incomes'\?\)"):
        inputs.transform(pl.DataFrame({"incomes": [1], "age": [1]}))


@pytest.mark.parametrize(
    ("learned", "given"),
    [([1, 2], ["a"]), (["a", "b"], [1]), ([dt.date(2020, 1, 1)], [3]), ([1.5], [dt.time(1)])],
)
def test_retyped_column_is_named(learned, given):
    inputs = Inputs().fit(pl.DataFrame({"a": learned}))
    with pytest.raises(ColumnError, match=r"column 'a' is .*, but it was"):
        inputs.transform(pl.DataFrame({"a": given}))


def test_column_of_lists_is_refused_by_name():
    with pytest.raises(ColumnError, match=r"column 'tags' is List"):
        Inputs().fit(pl.DataFrame({"tags": [[1], [2]]}))


def test_nothing_to_learn_from_is_refused():
    for frame in (pl.DataFrame({"a": []}), pl.DataFrame()):
        with pytest.raises(DataError, match="nothing to learn from"):
            Inputs().fit(frame)


def test_no_rows_and_one_row_are_transformed():
    frame = pl.DataFrame({"a": [1.0, None], "b": ["x", None], "c": [dt.date(2020, 1, 1), None]})
    inputs = Inputs().fit(frame)
    assert inputs.transform(frame.head(0)).shape == (0, len(inputs.names_))
    np.testing.assert_array_equal(inputs.transform(frame.head(1)), inputs.transform(frame)[:1])


@pytest.mark.parametrize("scale", [None, "standard", "robust"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_huge_and_tiny_numbers_give_finite_matrices(scale, dtype):
    values = [1e308, -1e308, 1e-308, 5e-324, 0.0, 1.0, 2.0**63]
    assert np.isfinite(one(values, scale=scale, dtype=dtype)).all()
    narrow = Inputs(scale=scale, dtype=dtype).fit(pl.DataFrame({"a": [0.0, 1e-200, 2e-200, 3e-200]}))
    later = narrow.transform(pl.DataFrame({"a": [1e308, -5.0]}))
    assert np.isfinite(later).all()
    assert later.dtype == dtype


@pytest.mark.parametrize("options", [{"encoding": "one_hot"}, {"scale": "robbust"}])
def test_unknown_words_offer_the_nearest(options):
    with pytest.raises(UnknownName, match="did you mean"):
        Inputs(**options)


cells = st.one_of(st.none(), st.integers(-9, 9).map(float), st.just(float("inf")))
words = st.one_of(st.none(), st.sampled_from(["a", "b", "c", "d", ""]))


@given(
    rows=st.lists(
        st.tuples(cells, words, st.one_of(st.none(), st.booleans()), st.integers(1, 3)), min_size=1
    ),
    encoding=st.sampled_from(["onehot", "ordinal"]),
    scale=st.sampled_from([None, "standard", "robust"]),
    fill=st.booleans(),
)
@settings(max_examples=120, deadline=None)
def test_whole_weights_count_as_repeated_rows_and_rows_stand_alone(rows, encoding, scale, fill):
    schema = {"n": pl.Float64, "w": pl.String, "b": pl.Boolean}
    frame = pl.DataFrame([row[:3] for row in rows], schema=schema, orient="row")
    weight = np.array([row[3] for row in rows])
    repeated = frame[np.repeat(np.arange(len(rows)), weight)]
    options = {"encoding": encoding, "scale": scale, "fill": fill, "max_categories": 3}
    weighted = Inputs(**options).fit(frame, weight)
    matrix = weighted.transform(frame)
    np.testing.assert_allclose(matrix, Inputs(**options).fit(repeated).transform(frame), atol=1e-9)
    assert matrix.shape == (len(rows), len(weighted.names_))
    assert not fill or np.isfinite(matrix).all()
    parts = [weighted.transform(frame[i : i + 1]) for i in range(len(rows))]
    np.testing.assert_array_equal(np.concatenate(parts), matrix)


def test_fifty_thousand_mixed_rows_take_well_under_a_second():
    random = np.random.default_rng(0)
    rows = 50_000
    frame = pl.DataFrame(
        {f"n{i}": random.normal(size=rows) for i in range(10)}
        | {f"c{i}": pl.Series(random.integers(0, 30, rows)).cast(pl.String) for i in range(4)}
        | {"id": [f"user {i}" for i in range(rows)]}
    )
    start = time.perf_counter()
    matrix = Inputs(dtype="float32").fit(frame).transform(frame)
    assert time.perf_counter() - start < 2  # about 0.15 s on an idle core
    assert matrix.shape == (rows, 10 + 4 * 30 + 50)
