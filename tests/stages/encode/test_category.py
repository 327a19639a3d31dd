"""EncodeCategory: scikit-learn's encoders are the oracle."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from tilth.core import Finding
from tilth.errors import DataError
from tilth.stages.encode.category import MANY_LEVELS, EncodeCategory
from tilth.table import Table

ALL = "categorical | boolean"
LEVELS = ["b", "a", "ä", "", "Z", "b b"]
COUNTS = [50, 31, 20, 11, 3, 2]


@pytest.fixture
def frame() -> pl.DataFrame:
    cells = [level for level, n in zip(LEVELS, COUNTS, strict=True) for _ in range(n)]
    rng = np.random.default_rng(0)
    rng.shuffle(cells)
    holed = [None if draw < 0.1 else c for c, draw in zip(cells, rng.random(len(cells)), strict=True)]
    return pl.DataFrame({"full": cells, "holed": holed, "flag": rng.random(len(cells)) < 0.3})


def objects(frame: pl.DataFrame) -> np.ndarray:
    out = np.empty(frame.shape, dtype=object)
    for j, column in enumerate(frame):
        out[:, j] = column.to_list()
    return out


def test_booleans_are_encoded_only_where_they_are_named(frame: pl.DataFrame) -> None:
    assert EncodeCategory().fit_transform(frame)["flag"].equals(frame["flag"])
    assert "flag=true" in EncodeCategory(on=["flag"]).fit_transform(frame).columns


@pytest.mark.parametrize("drop, peer", [("none", None), ("first", "first"), ("binary", "if_binary")])
def test_one_hot_equals_scikit_learn(frame: pl.DataFrame, drop: str, peer: str | None) -> None:
    ours = EncodeCategory(drop=drop, on=ALL).fit_transform(frame)
    theirs = OneHotEncoder(sparse_output=False, drop=peer).fit_transform(objects(frame))
    np.testing.assert_array_equal(ours.to_numpy(), theirs)
    assert set(ours.dtypes) == {pl.UInt8}


def test_unseen_levels_are_all_zeros_as_in_scikit_learn(frame: pl.DataFrame) -> None:
    new = pl.DataFrame({"full": ["c", "a"], "holed": ["b", "??"], "flag": [True, False]})
    peer = OneHotEncoder(sparse_output=False, handle_unknown="ignore").fit(objects(frame))
    ours = EncodeCategory(on=ALL).fit(frame).transform(new)
    np.testing.assert_array_equal(ours.to_numpy(), peer.transform(objects(new)))


@pytest.mark.parametrize(
    "ours, theirs",
    [({"rare_share": 0.1}, {"min_frequency": 0.1}), ({"max_levels": 3}, {"max_categories": 3})],
)
def test_rare_levels_are_grouped_as_in_scikit_learn(frame: pl.DataFrame, ours: dict, theirs: dict) -> None:
    frame = frame.select("full")
    new = pl.DataFrame({"full": [*LEVELS, "never seen"]})
    peer = OneHotEncoder(sparse_output=False, handle_unknown="infrequent_if_exist", **theirs)
    peer.fit(objects(frame))
    stage = EncodeCategory(unseen="other", **ours).fit(frame)
    np.testing.assert_array_equal(stage.transform(new).to_numpy(), peer.transform(objects(new)))
    assert stage.transform(frame).columns[-1] == "full=(other)"


def test_ordinal_codes_equal_scikit_learn(frame: pl.DataFrame) -> None:
    ours = EncodeCategory(method="ordinal", missing="null", on=ALL).fit_transform(frame)
    theirs = OrdinalEncoder().fit_transform(pd.DataFrame(objects(frame)).fillna(np.nan))
    np.testing.assert_array_equal(ours.cast(pl.Float64).fill_null(np.nan).to_numpy(), theirs)
    assert set(ours.dtypes) == {pl.Int32}


def test_ordinal_unseen_levels_are_missing(frame: pl.DataFrame) -> None:
    stage = EncodeCategory(method="ordinal", on="full").fit(frame)
    new = frame.head(2).with_columns(pl.Series("full", ["??", "a"]))
    assert stage.transform(new)["full"].to_list() == [None, stage.levels_["full"].index("a")]


def test_frequency_is_the_share_of_the_rows_learned_from(frame: pl.DataFrame) -> None:
    ours = EncodeCategory(method="frequency", on="holed").fit_transform(frame)["holed"]
    shares = frame["holed"].to_pandas().value_counts(normalize=True, dropna=False)
    expected = [
        shares[shares.index.isna()].iloc[0] if cell is None else shares[cell] for cell in frame["holed"]
    ]
    np.testing.assert_allclose(ours.to_numpy(), expected, rtol=1e-12)


def test_frequency_of_an_unseen_level_is_zero_or_that_of_the_rare(frame: pl.DataFrame) -> None:
    new = frame.head(1).with_columns(pl.lit("??").alias("full"))
    ignoring = EncodeCategory(method="frequency", rare_share=0.1, on="full").fit(frame)
    grouping = EncodeCategory(method="frequency", rare_share=0.1, on="full", unseen="other").fit(frame)
    assert ignoring.transform(new)["full"].item() == 0
    assert grouping.transform(new)["full"].item() == pytest.approx(16 / 117)


def test_missing_cells_stay_missing_in_every_flag_if_asked(frame: pl.DataFrame) -> None:
    ours = EncodeCategory(missing="null", on="holed").fit_transform(frame)
    flags = ours.select(pl.selectors.starts_with("holed="))
    assert flags.width == len(LEVELS)
    holes = frame["holed"].is_null().to_list()
    assert all(column.is_null().to_list() == holes for column in flags)


def test_missing_cells_are_unseen_where_there_was_none_at_fit(frame: pl.DataFrame) -> None:
    new = frame.head(1).with_columns(pl.lit(None, pl.String).alias("full"))
    row = EncodeCategory(on="full").fit(frame).transform(new)
    assert row.select(pl.selectors.starts_with("full=")).sum_horizontal().item() == 0
    with pytest.raises(DataError, match="'full' holds a missing cell"):
        EncodeCategory(on="full", unseen="error").fit(frame).transform(new)


def test_an_unseen_level_is_an_error_that_names_column_and_level(frame: pl.DataFrame) -> None:
    stage = EncodeCategory(unseen="error", rare_share=0.1).fit(frame)
    assert stage.transform(frame).height == frame.height  # rare levels are not unseen
    with pytest.raises(DataError, match="column 'full' holds 'Atlantis'"):
        stage.transform(frame.with_columns(pl.lit("Atlantis").alias("full")))


@pytest.mark.parametrize("method", ["one_hot", "ordinal", "frequency"])
def test_string_categorical_and_pandas_category_agree(frame: pl.DataFrame, method: str) -> None:
    frame = frame.select("full", "holed")
    stage = EncodeCategory(method=method)
    plain = stage.fit_transform(frame)
    assert stage.fit_transform(frame.cast(pl.Categorical)).equals(plain)
    pandas = stage.fit_transform(frame.to_pandas().astype("category"))
    assert isinstance(pandas, pd.DataFrame)
    np.testing.assert_array_equal(pandas.to_numpy(), plain.to_numpy())


@pytest.mark.parametrize("dtype", [pl.Enum(["small", "medium", "large", "huge"]), pl.Categorical, pl.String])
def test_the_type_that_holds_the_levels_does_not_order_them(dtype) -> None:
    frame = pl.DataFrame({"size": pl.Series(["small", "large", "medium"], dtype=dtype)})
    assert EncodeCategory(method="ordinal").fit_transform(frame)["size"].to_list() == [2, 0, 1]


def test_flags_stand_where_the_column_stood_and_take_no_name_twice() -> None:
    frame = pl.DataFrame({"n": [1, 2], "c": ["a", "b"], "c=a": [5, 6]})
    assert EncodeCategory().fit_transform(frame).columns == ["n", "c=a_", "c=b", "c=a"]


def test_the_query_stays_lazy_and_rows_keep_their_roles(frame: pl.DataFrame) -> None:
    table = Table.of(frame, y=frame["full"], groups=frame["holed"])
    stage = EncodeCategory().fit(table)
    after = stage.transform(table)
    assert isinstance(after.frame, pl.LazyFrame)
    assert after.y.equals(table.y)
    assert "PYTHON" not in after.frame.explain().upper()


def test_a_column_without_values_is_one_missing_level() -> None:
    frame = pl.DataFrame({"c": pl.Series([None, None], dtype=pl.String)})
    assert EncodeCategory().fit_transform(frame).rows() == [(1,), (1,)]
    assert EncodeCategory(method="ordinal", missing="null").fit_transform(frame)["c"].to_list() == [
        None,
        None,
    ]


def test_rare_and_many_levels_are_reported(frame: pl.DataFrame) -> None:
    found = EncodeCategory(rare_share=0.1).fit(frame).findings_
    assert next((f.kind, f.columns, f.n_rows) for f in found) == ("category.rare", ("full",), 16)
    wide = pl.DataFrame({"id": [f"row {i}" for i in range(MANY_LEVELS + 1)]})
    (finding,) = EncodeCategory().fit(wide).findings_
    assert isinstance(finding, Finding) and finding.kind == "category.many"
    assert EncodeCategory(**finding.remedy["encode.category"]).fit_transform(wide).width == MANY_LEVELS // 2


def test_too_many_flags_are_refused_with_a_way_out() -> None:
    wide = pl.DataFrame({"id": [f"row {i}" for i in range(10_001)]})
    with pytest.raises(DataError, match=r"10001 columns.*'id'.*max_levels"):
        EncodeCategory().fit(wide)
    assert EncodeCategory(method="ordinal").fit_transform(wide)["id"].n_unique() == 10_001


@given(
    st.lists(st.sampled_from(["x", "y", "z", None]), min_size=1, max_size=30),
    st.floats(0, 0.6),
    st.integers(1, 4),
)
def test_every_row_has_exactly_one_flag(cells: list, rare_share: float, max_levels: int) -> None:
    frame = pl.DataFrame({"c": pl.Series(cells, dtype=pl.String)})
    stage = EncodeCategory(rare_share=rare_share, max_levels=max_levels).fit(frame)
    flags = stage.transform(frame)
    assert flags.sum_horizontal().to_list() == [1] * len(cells)
    assert flags.width <= max_levels + (None in cells)
    codes = EncodeCategory(method="ordinal", rare_share=rare_share, max_levels=max_levels).fit_transform(
        frame
    )
    np.testing.assert_array_equal(codes["c"].to_numpy(), flags.to_numpy().argmax(axis=1))
    for name, share in zip(stage.names_["c"], stage.shares_["c"], strict=True):
        assert flags[name].mean() == pytest.approx(share)


# The way back


@pytest.mark.parametrize("drop", ["none", "first", "binary"])
@pytest.mark.parametrize("missing", ["level", "null"])
def test_one_hot_gives_the_cells_back(frame: pl.DataFrame, drop: str, missing: str) -> None:
    rows = frame.with_columns(pl.col("full").cast(pl.Categorical), pl.lit(1).alias("n"))
    stage = EncodeCategory(drop=drop, missing=missing, on=ALL).fit(rows)
    assert stage.restores == "exactly"
    flags = stage.transform(rows)
    assert stage.inverse_transform(flags).equals(rows)
    # What models and reductions leave of the flags: no longer 0 and 1.
    soft = flags.with_columns(pl.selectors.integer().exclude("n").cast(pl.Float64) * 0.6 + 0.1)
    if drop == "none":
        assert stage.inverse_transform(soft).equals(rows)


def test_one_hot_is_undone_as_scikit_learn_does(frame: pl.DataFrame) -> None:
    cells = objects(frame.select("full"))
    for drop, peer in (("none", None), ("first", "first")):
        theirs = OneHotEncoder(sparse_output=False, drop=peer).fit(cells)
        stage = EncodeCategory(drop=drop).fit(frame.select("full"))
        back = stage.inverse_transform(pl.DataFrame(theirs.transform(cells), schema=stage.names_["full"]))
        assert back["full"].to_list() == theirs.inverse_transform(theirs.transform(cells))[:, 0].tolist()


@pytest.mark.parametrize("form", ["pandas", "polars"])
def test_codes_give_the_cells_back(frame: pl.DataFrame, form: str) -> None:
    X = frame.to_pandas() if form == "pandas" else frame
    stage = EncodeCategory(method="ordinal", on=ALL).fit(X)
    back = stage.inverse_transform(stage.transform(X))
    assert back.equals(X)
    off = pl.DataFrame({"full": [-0.4, 99.0, None], "holed": [0.6, 1.0, 6.0], "flag": [0.2, 0.9, None]})
    told = EncodeCategory(method="ordinal", on=ALL).fit(frame).inverse_transform(off)
    assert told["full"].to_list() == ["", "ä", None]
    assert told["holed"].to_list() == ["Z", "Z", None]
    assert told["flag"].to_list() == [False, True, None]


@pytest.mark.parametrize("method", ["one_hot", "ordinal"])
def test_levels_that_were_put_together_or_ignored_come_back_missing(frame: pl.DataFrame, method: str) -> None:
    rows = frame.select("full")
    stage = EncodeCategory(method=method, rare_share=0.1).fit(rows)
    assert stage.restores == "nearly"
    back = stage.inverse_transform(stage.transform(rows))["full"]
    rare = rows["full"].is_in(stage.rare_["full"])
    assert back.is_null().equals(rare)
    assert back.filter(~rare).equals(rows["full"].filter(~rare))
    new = stage.transform(pl.DataFrame({"full": ["Atlantis"]}))
    assert stage.inverse_transform(new)["full"].to_list() == [None]


def test_a_frequency_cannot_be_undone(frame: pl.DataFrame) -> None:
    stage = EncodeCategory(method="frequency").fit(frame)
    assert not hasattr(stage, "invert") and not hasattr(stage, "inverse_transform")
    assert hasattr(EncodeCategory(), "invert")


@pytest.mark.parametrize("missing, told", [("level", "exactly"), ("null", "nearly")])
def test_a_column_that_left_no_flag_comes_back(missing: str, told: str) -> None:
    rows = pl.DataFrame({"one": ["a", "a"], "c": ["x", "y"], "c=x": ["p", "q"]})
    stage = EncodeCategory(drop="first", missing=missing).fit(rows)
    assert stage.transform(rows).columns == ["c=y", "c=x=q"]
    assert stage.inverse_transform(stage.transform(rows)).equals(rows)
    assert stage.restores == told
    nothing = pl.DataFrame({"no": pl.Series([None, None], dtype=pl.String), "n": [1, 2]})
    stage = EncodeCategory(missing=missing, drop="first").fit(nothing)
    assert stage.inverse_transform(stage.transform(nothing)).equals(nothing)
