"""Relevance of values and the bumps it parts them into: SciPy's splines and counts by hand are the oracle."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import CubicHermiteSpline, PchipInterpolator

from tilth.statistics.relevance import Bumps, box_points, relevance, wanted_rows

VALUES = st.lists(st.floats(-100, 100), min_size=1, max_size=40).map(np.array)


def test_the_box_plots_whiskers_are_those_of_matplotlib() -> None:
    from matplotlib.cbook import boxplot_stats

    generator = np.random.default_rng(0)
    for values in (generator.normal(size=300), np.exp(generator.normal(size=300)), generator.normal(size=7)):
        (peer,) = boxplot_stats(values, whis=1.5)
        out = [(values < peer["whislo"]).any(), (values > peer["whishi"]).any()]
        assert box_points(values) == [
            (peer["whislo"], float(out[0])),
            (peer["med"], 0.0),
            (peer["whishi"] if out[1] else values.max(), float(out[1])),
        ]


def test_only_the_side_asked_for_is_relevant_and_a_longer_whisker_leaves_less() -> None:
    values = np.concatenate([[-50.0, -49.0], np.arange(20.0), [70.0]])
    sides = {side: [h for _, h in box_points(values, extremes=side)] for side in ("both", "low", "high")}
    assert sides == {"both": [1, 0, 1], "low": [1, 0, 0], "high": [0, 0, 1]}
    assert [h for _, h in box_points(values, whisker=4.0)] == [1, 0, 1]
    assert [h for _, h in box_points(values, whisker=5.5)] == [0, 0, 0]


def test_where_the_box_has_no_height_values_beyond_it_are_relevant() -> None:
    assert box_points(np.array([0.0] * 9 + [2.0, 5.0])) == [(0.0, 0.0), (2.0, 1.0)]
    assert box_points(np.array([-4.0, -1.0] + [0.0] * 9)) == [(-1.0, 1.0), (0.0, 0.0)]


def test_between_points_relevance_is_scipys_monotone_cubic() -> None:
    points = [(-2.0, 1.0), (0.0, 0.0), (3.0, 1.0)]
    x, heights = np.array(points).T
    inside = np.linspace(-2, 3, 200)
    got = relevance(inside, points)
    np.testing.assert_allclose(got, CubicHermiteSpline(x, heights, np.zeros(3))(inside), atol=1e-12)
    # Where the points go up and down in turn, PCHIP is flat at all but the two ends.
    longer = PchipInterpolator([-9, -6, *x, 7, 12], [1, 0, *heights, 0, 1])(inside)
    np.testing.assert_allclose(got, longer, atol=1e-12)


def test_beyond_the_points_relevance_stays_and_half_way_it_is_the_mean() -> None:
    points = [(15.0, 1.0), (30.0, 0.0), (55.0, 0.4)]
    got = relevance(np.array([-1e9, 15.0, 22.5, 30.0, 42.5, 55.0, 1e9]), points)
    np.testing.assert_allclose(got, [1, 1, 0.5, 0, 0.2, 0.4, 0.4], atol=1e-12)
    assert relevance(np.array([1.0, 2.0]), [(5.0, 0.3)]).tolist() == [0.3, 0.3]


@given(VALUES, st.floats(0.1, 1))
def test_bumps_part_the_values_in_order_into_runs_that_are_rare_or_not(values, threshold: float) -> None:
    scores = relevance(values, [(-50.0, 1.0), (0.0, 0.0), (20.0, 1.0), (60.0, 0.0)])
    bumps = Bumps.part(values, scores, threshold)
    assert bumps.counts.sum() == len(values) and (bumps.counts > 0).all()
    assert (bumps.rare[bumps.of] == (scores >= threshold)).all()
    assert (np.diff(bumps.rare.astype(int)) != 0).all()
    for bump in range(len(bumps.rare)):
        own = values[bumps.of == bump]
        assert (own.min(), own.max()) == (bumps.low[bump], bumps.high[bump])
    assert (bumps.low[1:] > bumps.high[:-1]).all()


def test_wanted_rows_are_counted_by_hand() -> None:
    counts, rare = np.array([4, 90, 26]), np.array([True, False, True])
    assert wanted_rows(counts, rare, "balance", True).tolist() == [40, 40, 40]
    assert wanted_rows(counts, rare, "balance", False).tolist() == [40, 90, 40]
    share = 120 / np.array([4, 90, 26]) / (1 / 4 + 1 / 90 + 1 / 26)
    assert wanted_rows(counts, rare, "extreme", True).tolist() == [round(share[0]), round(share[1]), 26]


@given(st.lists(st.integers(1, 500), min_size=1, max_size=6), st.booleans(), st.booleans())
def test_rare_bumps_lose_no_row_and_others_gain_none(counts: list, first: bool, drop: bool) -> None:
    rare = np.arange(len(counts)) % 2 == int(first)
    for amount in ("balance", "extreme"):
        wanted = wanted_rows(np.array(counts), rare, amount, drop)
        assert (wanted[rare] >= np.array(counts)[rare]).all()
        assert (wanted[~rare] <= np.array(counts)[~rare]).all() and (wanted >= 1).all()
        if not drop:
            assert (wanted[~rare] == np.array(counts)[~rare]).all()


@pytest.mark.parametrize("count", [1, 17])
def test_one_bump_stays_as_it_is(count: int) -> None:
    for rare in (True, False):
        for amount in ("balance", "extreme"):
            assert wanted_rows(np.array([count]), np.array([rare]), amount, True).tolist() == [count]
