"""Hiding known cells: which, how many, the same for any order of rows, and how far off a filling is."""

import numpy as np
import polars as pl
import pytest

from tilth.stages.hiding import GROUPS, Known
from tilth.table import ROW


def rows(n=600, seed=0, gaps=0.2):
    random = np.random.default_rng(seed)
    a = random.normal(size=n)
    frame = pl.DataFrame({"a": a, "b": a + 0.1 * random.normal(size=n), "c": np.where(a > 0, "x", "y")})
    holes = {c: random.random(n) < gaps for c in ("b", "c")}
    frame = frame.with_columns(pl.when(~pl.Series(h)).then(pl.col(c)).alias(c) for c, h in holes.items())
    return frame.with_columns(pl.int_range(pl.len(), dtype=pl.UInt64).alias(ROW))


def known(frame, share=0.1, seed=0):
    return Known(frame, [c for c in frame.columns if c != ROW], share, seed)


def test_only_known_cells_of_columns_with_gaps_are_hidden():
    frame = rows()
    cells = known(frame)
    assert cells.columns == ["b", "c"]
    hidden = cells.hide(0)
    assert not (hidden & cells.gaps).any()
    assert not (hidden[0] & hidden[1]).any()
    held = cells.without(hidden)
    assert held["a"].equals(frame["a"])
    for place, name in enumerate(cells.columns):
        assert held[name].null_count() == frame[name].null_count() + hidden[:, :, place].sum()


def test_where_nothing_is_missing_all_columns_are_hidden_in_at_random():
    cells = known(rows(gaps=0.0))
    assert cells.columns == ["a", "b", "c"]
    random, pattern = cells.hide(0)
    assert random.any(0).all()
    assert not pattern.any()
    assert cells.weight.tolist() == [1.0, 1.0, 1.0]


def test_about_the_share_is_hidden_and_none_twice_in_successive_repeats():
    cells = known(rows(4000), share=0.2)
    drawn = [cells.hide(repeat)[0] for repeat in range(5)]
    for hidden in drawn:
        # Rows over which gaps are laid have none hidden at random.
        assert 0.13 < hidden.sum() / cells.known.sum() < 0.21
    assert np.sum(drawn, axis=0).max() == 1


def test_the_gaps_of_a_row_are_laid_over_the_one_most_like_it():
    n = 400
    at = np.arange(n)
    # Only far rows miss b, so that a cell hidden by the pattern must be far, too.
    frame = pl.DataFrame(
        {"a": at.astype(float), "b": np.where((at > 300) & (at % 2 == 0), np.nan, at)}
    ).fill_nan(None)
    cells = known(frame.with_columns(pl.int_range(pl.len(), dtype=pl.UInt64).alias(ROW)))
    random, pattern = cells.hide(0)
    assert 30 <= pattern.sum() <= 40
    assert np.median(np.flatnonzero(pattern.any(1))) > 290
    assert np.median(np.flatnonzero(random.any(1))) < 250


def test_what_is_hidden_does_not_depend_on_the_order_of_rows():
    frame = rows()
    order = np.random.default_rng(1).permutation(len(frame))
    one, two = known(frame), known(frame[order])
    for repeat in range(3):
        np.testing.assert_array_equal(one.hide(repeat)[:, order], two.hide(repeat))


def test_a_column_of_few_values_keeps_them():
    frame = rows(200).with_columns(
        few=pl.when(pl.int_range(pl.len()) < 2).then(pl.col(ROW).cast(pl.Float64) + 1)
    )
    cells = known(frame, share=0.5)
    for repeat in range(2):
        held = cells.without(cells.hide(repeat))
        assert held["few"].drop_nulls().len() == 2


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_rows_are_no_trouble(count):
    cells = known(rows(3).head(count))
    assert cells.hide(0).shape == (2, count, len(cells.columns))


def test_sums_of_errors_are_those_of_a_loop_over_numbers_held_to_the_middle():
    frame = rows()
    cells = known(frame)
    hidden = cells.hide(0)
    filled = cells.without(hidden).with_columns(pl.col("b").fill_null(0.5), pl.col("c").fill_null("x"))
    off, count = cells.off(filled, hidden), cells.count(hidden)
    assert off.shape == count.shape == (2, 2, GROUPS)
    b, c = frame["b"].to_numpy(), frame["c"].to_list()
    b = np.clip(b, *np.nanquantile(b, [0.01, 0.99]))
    for way in range(2):
        wanted = np.sum((0.5 - b[hidden[way, :, 0]]) ** 2) / np.nanvar(b)
        np.testing.assert_allclose(off[way, 0].sum(), wanted, rtol=1e-12)
        assert off[way, 1].sum() == sum(c[i] != "x" for i in np.flatnonzero(hidden[way, :, 1]))
        assert count[way].sum(-1).tolist() == hidden[way].sum(0).tolist()


def test_a_cell_left_empty_has_the_error_of_the_mean_or_is_wrong():
    frame = rows()
    cells = known(frame)
    hidden = cells.hide(0)
    held = cells.without(hidden)
    empty = cells.off(held, hidden)
    b = frame["b"].drop_nulls().to_numpy()
    mean = np.clip(b, *np.quantile(b, [0.01, 0.99])).mean()
    mean = cells.off(held.with_columns(pl.col("b").fill_null(mean)), hidden)
    np.testing.assert_allclose(empty[:, 0], mean[:, 0])
    np.testing.assert_array_equal(empty[:, 1], cells.count(hidden)[:, 1])


def test_constants_infinities_and_huge_numbers_neither_count_nor_overflow():
    n = 100
    gap = pl.when(pl.int_range(pl.len()) % 5 > 0)
    frame = rows(n).with_columns(
        flat=gap.then(7.0),
        far=gap.then(pl.Series(np.where(np.arange(n) % 7 == 0, np.inf, np.arange(n)))),
        both=gap.then(pl.Series(np.where(np.arange(n) % 2 == 0, np.inf, -np.inf))),
        huge=gap.then(pl.Series(np.where(np.arange(n) % 2 == 0, 1e308, -1e308))),
    )
    with np.errstate(all="raise", under="ignore"):
        cells = known(frame)
        hidden = cells.hide(0)
        off = cells.off(cells.without(hidden).fill_null(strategy="forward").fill_null(0.0), hidden)
    assert not {"flat", "both"} & set(cells.columns)
    infinite = np.isinf(frame["far"].fill_null(0.0).to_numpy())
    assert not hidden[:, infinite, cells.columns.index("far")].any()
    assert np.isfinite(off).all()


def test_one_far_value_does_not_decide():
    frame = rows()
    far = frame.with_columns(b=pl.when(pl.col(ROW) == frame["b"].arg_max()).then(1e6).otherwise("b"))
    sums = []
    for some in (frame, far):
        cells = known(some)
        hidden = np.stack([cells.known, np.zeros_like(cells.known)])
        sums.append(cells.off(cells.without(hidden).with_columns(pl.col("b").fill_null(0.0)), hidden)[0, 0])
    np.testing.assert_allclose(*sums, rtol=1e-6)
