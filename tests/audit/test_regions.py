"""The tree over losses: planted regions, words that say what is inside, and rows in any order."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.audit.regions import CUTS, FEW, LEVELS, Axis, Region, between, grow

ROWS = 2000


def axis(values, grown=None, name="a"):
    series = pl.Series(name, values, strict=False)
    return Axis.of(series, np.ones(len(series), bool) if grown is None else grown)


def best(loss, depth=3, least=20, weight=None, **columns):
    axes = [a for n, c in columns.items() if (a := axis(c, name=n)) is not None]
    ones = np.ones(len(loss))
    found = grow(axes, loss, ones > 0, ones if weight is None else weight, least, depth)
    return [(region.says(axes), region.mask(axes, len(loss))) for region in found]


def said(values, codes):
    one = axis(values)
    kept = np.zeros(one.missing + 1, bool)
    kept[list(codes)] = True
    return one.says(kept)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_a_planted_region_is_found_and_said(rng):
    age, sex, noise = rng.integers(18, 90, ROWS), rng.choice(["f", "m"], ROWS), rng.normal(size=ROWS)
    region = (age > 50) & (sex == "f")
    loss = (rng.random(ROWS) < np.where(region, 0.5, 0.1)).astype(float)
    ((says, inside), *_) = best(loss, age=age, sex=sex, noise=noise)
    assert (inside & region).sum() / (inside | region).sum() > 0.9
    assert says.startswith("age > ") and says.endswith(" and sex is 'f'")


def test_noise_seldom_grows(rng):
    grown = 0
    for _ in range(30):
        loss = (rng.random(600) < 0.2).astype(float)
        grown += bool(best(loss, depth=1, a=rng.integers(0, 2, 600), b=rng.integers(0, 2, 600)))
    assert grown <= 2


def test_all_alike_or_too_few_rows_grow_nothing(rng):
    values = rng.normal(size=100)
    assert best(np.ones(100), a=values) == []
    assert best((values > 0).astype(float), least=51, a=values) == []
    assert best(rng.random(50), a=["same"] * 50, b=[None] * 50) == []


def test_a_leaf_holds_enough_rows_and_no_more_conditions_than_splits(rng):
    columns = {name: rng.normal(size=ROWS) for name in "abcdef"}
    loss = sum((c > 0).astype(float) for c in columns.values())
    for depth in (1, 2, 4):
        found = best(loss, depth=depth, least=60, **columns)
        assert found and all(inside.sum() >= 60 for _, inside in found)
        assert all(says.count(" and ") < depth for says, _ in found)


def test_a_condition_that_changes_nothing_is_left_out(rng):
    a, b = rng.normal(size=ROWS), rng.normal(size=ROWS)
    loss = np.where(a > 0, 1.0, 0.0) + np.where((a <= 0) & (b > 0), 0.5, 0.0)
    assert "b" not in best(loss, a=a, b=b)[0][0]


def test_weights_say_what_counts(rng):
    a, b = rng.integers(0, 2, ROWS), rng.integers(0, 2, ROWS)
    # Within the rows that count only b tells; within the others a, and more of it.
    counts = rng.random(ROWS) < 0.5
    loss = np.where(counts, b, 3 * a).astype(float)
    assert best(loss, depth=1, a=a, b=b)[0][0] == "a > 0"
    assert best(loss, depth=1, a=a, b=b, weight=np.where(counts, 1, 1e-3))[0][0] == "b > 0"


def test_missing_cells_are_a_region_of_their_own(rng):
    a = pl.Series(rng.normal(size=ROWS)).set(pl.Series(np.arange(ROWS) % 5 == 0), None)
    loss = a.is_null().to_numpy().astype(float)
    assert best(loss, a=a)[0][0] == "a is missing"
    assert best(1 - loss, a=a)[0][0] == "a is not missing"
    word = a.cast(pl.String).str.slice(0, 1)
    assert best(loss, word=word)[0][0] == "word is missing"


def test_dates_and_booleans_and_codes_of_any_kind_are_said_as_they_are_written(rng):
    day = [date(2020, 1, 1) + timedelta(days=int(d)) for d in rng.integers(0, 700, ROWS)]
    late = np.array([d > date(2021, 1, 1) for d in day])
    flag = rng.random(ROWS) < 0.5
    loss = (late & flag).astype(float)
    ((says, inside), *_) = best(loss, day=day, flag=flag)
    assert says.startswith("day > 202") and says.endswith("and flag is true")
    assert inside.sum() > 0.4 * loss.sum()
    took = [timedelta(minutes=int(m)) for m in rng.integers(0, 300, ROWS)]
    long = np.array([m > timedelta(minutes=200) for m in took]).astype(float)
    assert best(long, took=took)[0][0].startswith("took > 3:")


def test_categories_are_said_by_the_shorter_list():
    values = ["a"] * 30 + ["b"] * 20 + ["c"] * 15
    assert said(values, [0]) == "a is 'a'"
    assert said(values, [0, 1]) == "a is not 'c'"
    assert said(values + ["rare"] * (FEW - 1), [0, 1]) == "a is one of 'a', 'b'"
    assert said(values + ["rare"] * (FEW - 1), [2, 3]) == "a is not one of 'a', 'b'"
    gaps = [*values, *[None] * 12]
    assert said(gaps, [1, 4]) == "a is 'b' or is missing"
    assert said(gaps, [0, 1]) == "a is not 'c' and is not missing"
    assert said(gaps, [0, 1, 2]) == said(gaps, [0, 1, 2, 3]) == "a is not missing"
    assert said(gaps, [3, 4]) == said(gaps, [4]) == "a is missing"


def test_many_categories_are_cut():
    values = [f"v{i}" for i in range(LEVELS + 50) for _ in range(FEW)]
    told = said(values, range(40))
    assert told.count("'v") == 8 and told.endswith("and 32 more")
    assert axis(values).codes.max() == LEVELS


def test_numbers_are_cut_where_few_digits_say_it():
    values = np.linspace(0, 1, 1000) ** 2
    one = axis(values)
    assert len(one.edges) <= CUTS and all(len(edge) <= 7 for edge in one.edges)
    kept = np.zeros(one.missing + 1, bool)
    kept[3:6] = True
    low, high = float(one.edges[2]), float(one.edges[5])
    assert one.says(kept) == f"{one.edges[2]} < a <= {one.edges[5]}"
    assert np.array_equal(kept[one.codes], (values > low) & (values <= high))


def test_infinities_are_numbers_and_lie_at_the_ends():
    one = axis([-np.inf] * 50 + list(np.arange(50.0)) + [np.inf] * 50 + [np.nan] * 20)
    assert set(one.codes[:50]) == {0} and set(one.codes[100:150]) == {len(one.edges)}
    assert set(one.codes[150:]) == {one.missing}


def test_a_column_is_cut_by_the_rows_that_grow():
    grown = np.arange(100) < 50
    assert axis([1.0] * 50 + [2.0] * 50, grown) is None
    one = axis(["x"] * 25 + ["y"] * 25 + ["z"] * 50, grown)
    assert one.levels == ["'x'", "'y'"] and set(one.codes[50:]) == {2}


def test_regions_narrow_and_widen():
    axes = [axis([1.0, 2.0] * 50), axis(["x"] * 50 + ["y"] * 50, name="b")]
    kept = np.array([False, True, False])
    region = Region({}).narrowed(0, kept).narrowed(1, np.array([True, False, False, False]))
    assert region.mask(axes, 100).sum() == 25
    assert region.columns(axes) == ("a", "b") and region.says(axes) == "a > 1 and b is 'x'"
    assert region.without(1).mask(axes, 100).sum() == 50 == 100 - Region({0: ~kept}).mask(axes, 100).sum()


@given(st.floats(-1e12, 1e12), st.floats(1e-6, 1e6))
def test_a_number_between_lies_there(low, more):
    if low < low + more:
        assert low <= between(low, low + more) < low + more


@given(st.integers(0, 2**32), st.booleans())
def test_the_order_of_rows_changes_nothing(seed, gaps):
    rng = np.random.default_rng(seed)
    a = pl.Series("a", rng.normal(size=300))
    a = a.set(pl.Series(rng.random(300) < 0.2), None) if gaps else a
    b = pl.Series("b", rng.choice(list("uvwxyz"), 300))
    loss = ((a.fill_null(1) > 0.3).to_numpy() & (rng.random(300) < 0.6)).astype(float)
    turn = rng.permutation(300)
    one, two = best(loss, a=a, b=b), best(loss[turn], a=a[turn], b=b[turn])
    assert [says for says, _ in one] == [says for says, _ in two]
    assert all(np.array_equal(i[turn], j) for (_, i), (_, j) in zip(one, two, strict=True))
