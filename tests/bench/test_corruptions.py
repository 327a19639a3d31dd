"""Rows made worse: what is asked for happens, nothing else does, and no order of rows matters."""

import cv2
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.bench.corruptions import IMAGES, PICTURES, TABULAR, UNITS, UNSEEN, Columns, Corruption, worsened
from tilth.table import ROW

N = 4000
KINDS = {"x": "numeric", "n": "numeric", "flag": "numeric", "same": "numeric", "city": "categorical"}
KINDS |= {"size": "categorical", "when": "datetime"}


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    made = pl.DataFrame(
        {
            "x": rng.normal(5, 2, N),
            "n": rng.integers(0, 100, N).astype(np.int16),
            "flag": rng.integers(0, 2, N),
            "same": np.full(N, 3.0),
            "city": rng.choice(["Oslo", "Rome", UNSEEN], N),
            "size": pl.Series(rng.choice(["s", "m"], N), dtype=pl.Enum(["s", "m"])),
            "when": pl.Series(rng.integers(0, 10**6, N)).cast(pl.Datetime),
            ROW: rng.permutation(np.arange(N, dtype=np.uint64)) + 7,
        }
    )
    gap = pl.int_range(pl.len()) % 10 == 0
    return made.with_columns(x=pl.when(~gap).then("x"), city=pl.when(~gap).then("city"))


@pytest.fixture(scope="module")
def columns(frame):
    return Columns.of(frame, KINDS)


def one(name, level):
    return Corruption(name, level, "{}")


def test_flags_constants_and_dates_are_no_numbers_to_make_worse(columns, frame):
    assert set(columns.spread) == {"x", "n"}
    assert columns.spread["x"] == pytest.approx(frame["x"].std(ddof=0))
    assert columns.categories == ("city", "size")
    assert "image" not in Columns.of(frame, KINDS | {"city": "image"}).cells


@pytest.mark.parametrize("level", [0.1, 0.5])
def test_so_large_a_share_of_the_cells_of_every_feature_goes_missing(frame, columns, level):
    made = worsened(frame, one("missing cells", level), columns, 0)
    for name in KINDS:
        before, after = frame[name].is_null(), made[name].is_null()
        assert (after | ~before).all()
        assert after.filter(~before).mean() == pytest.approx(level, abs=0.03)
        assert made[name].filter(~after).equals(frame[name].filter(~after))


def test_a_higher_level_goes_on_from_a_lower_one(frame, columns):
    low, high = (worsened(frame, one("missing cells", level), columns, 0) for level in (0.1, 0.3))
    assert high["x"].is_null().filter(low["x"].is_null()).all()


def test_noise_has_the_size_asked_for_in_standard_deviations(frame, columns):
    made = worsened(frame, one("noise", 0.5), columns, 0)
    moved = (made["x"] - frame["x"]).drop_nulls()
    assert moved.mean() == pytest.approx(0, abs=0.05)
    assert moved.std() == pytest.approx(0.5 * columns.spread["x"], rel=0.05)


def test_a_shift_moves_all_values_of_a_column_by_the_same(frame, columns):
    moved = (worsened(frame, one("shifted columns", 0.25), columns, 0)["x"] - frame["x"]).drop_nulls()
    assert np.allclose(moved.abs(), 0.25 * columns.spread["x"])
    assert moved.std() == pytest.approx(0, abs=1e-9)


def test_signs_of_shifts_differ_between_columns():
    wide = pl.DataFrame({f"c{k}": [0.0, 1.0, 2.0] for k in range(20)} | {ROW: np.arange(3, dtype=np.uint64)})
    columns = Columns.of(wide, {f"c{k}": "numeric" for k in range(20)})
    made = worsened(wide, one("shifted columns", 1.0), columns, 0)
    assert len({float(np.sign(made[f"c{k}"][0])) for k in range(20)}) == 2


def test_rescaled_and_mixed_up_numbers_are_multiplied(frame, columns):
    known = frame["x"].is_not_null()
    assert np.allclose(
        worsened(frame, one("rescaled columns", 1.5), columns, 0)["x"].drop_nulls(),
        frame["x"].drop_nulls() * 1.5,
    )
    ratio = (
        (worsened(frame, one("mixed-up units", 0.2), columns, 0)["x"] / frame["x"]).filter(known).to_numpy()
    )
    assert ((ratio == 1) | np.isclose(ratio, UNITS)).all()
    assert (ratio > 1).mean() == pytest.approx(0.2, abs=0.03)


def test_whole_numbers_stay_whole_and_within_their_type(frame, columns):
    made = worsened(frame, one("mixed-up units", 0.5), columns, 0)
    assert made["n"].dtype == pl.Int16
    assert made["n"].max() == 32767


def test_an_unseen_category_is_new_even_where_its_name_is_taken(frame, columns):
    made = worsened(frame, one("unseen categories", 0.3), columns, 0)
    new = set(made["city"].drop_nulls()) - set(frame["city"].drop_nulls())
    assert new == {UNSEEN + "!"}
    assert made["city"].is_null().equals(frame["city"].is_null())
    assert UNSEEN in set(made["size"])


def test_a_categorical_column_stays_one():
    frame = pl.DataFrame({"c": pl.Series(["a", "b"] * 50, dtype=pl.Categorical), ROW: np.arange(100)})
    made = worsened(frame, one("unseen categories", 0.5), Columns((), ("c",), ("c",)), 0)
    assert made["c"].dtype == pl.Categorical
    assert UNSEEN in set(made["c"].cast(pl.String))


@given(order=st.permutations(range(40)), which=st.sampled_from(TABULAR), seed=st.integers(0, 2**32))
def test_no_order_of_rows_matters_and_ids_stay(frame, columns, order, which, seed):
    some = frame.head(40)
    made = worsened(some, which, columns, seed)
    assert worsened(some[order], which, columns, seed).equals(made[order])
    assert made[ROW].equals(some[ROW])


def test_what_no_column_can_suffer_does_not_apply():
    none = Columns({}, (), ("when",))
    assert [c.name for c in TABULAR if none.apply(c)] == ["missing cells"] * 3


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (6, 24, 24, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", PICTURES)
def test_a_higher_level_changes_images_more_and_keeps_their_form(pixels, name):
    levels = [c.level for c in IMAGES if c.name == name]
    smooth = np.stack([cv2.GaussianBlur(p, (0, 0), 3) for p in pixels])
    given = pixels if name == "blur" else smooth
    ids = np.arange(6, dtype=np.uint64)
    made = [PICTURES[name](given, level, ids, 0) for level in levels]
    assert all(m.shape == given.shape and m.dtype == np.uint8 for m in made)
    off = [float(np.abs(m.astype(int) - given).mean()) for m in made]
    assert off == sorted(off)
    assert off[0] > 0


def test_noise_of_images_is_keyed_by_row(pixels):
    ids = np.arange(6, dtype=np.uint64)
    made, order = PICTURES["image noise"](pixels, 0.1, ids, 0), np.array([3, 1, 0, 5, 4, 2])
    assert np.array_equal(PICTURES["image noise"](pixels[order], 0.1, ids[order], 0), made[order])


def test_jpeg_keeps_the_order_of_channels():
    red = np.zeros((1, 16, 16, 3), np.uint8)
    red[..., 0] = 200
    made = PICTURES["JPEG"](red, 60, np.arange(1, dtype=np.uint64), 0)
    assert made[..., 0].mean() > 150 > made[..., 2].mean()
