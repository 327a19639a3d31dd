"""Draws of one fixed test set: what is drawn, and whether intervals and p values hold what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap

from tilth.bench.fixed_draws import ByDraws, Items, Part, drawn_scores, estimated, shares
from tilth.bench.fixed_scores import Said
from tilth.bench.metrics import METRICS
from tilth.bench.statistics import rows_needed, wilson


def _all(items, draws=200):
    return np.hstack([counts for _, counts in items.blocks(draws)])


def test_as_many_rows_of_each_class_are_drawn_as_there_are():
    strata = np.repeat([0, 1, 2], [50, 7, 3])
    counts = _all(Items(strata, np.arange(60), seed=3))
    for code, size in enumerate([50, 7, 3]):
        assert (counts[strata == code].sum(axis=0) == size).all()
    assert counts.mean(axis=1) == pytest.approx(1, abs=0.35)
    np.testing.assert_array_equal(counts, _all(Items(strata, np.arange(60), seed=3)))
    assert (counts != _all(Items(strata, np.arange(60), seed=4))).any()


def test_groups_are_drawn_whole_in_the_class_of_most_of_their_rows():
    units = np.repeat(np.arange(20), 3)
    strata = np.where(units < 8, 1, 0)
    strata[0] = 0
    counts = _all(Items(strata, units[::-1].copy()[::-1]))
    for unit in range(20):
        assert (counts[units == unit] == counts[units == unit][:1]).all()
    assert (counts[units < 8].sum(axis=0) == 24).all()


def test_draws_do_not_depend_on_how_they_are_cut_into_blocks(monkeypatch):
    whole = _all(Items(np.zeros(40, int), np.arange(40)), draws=30)
    monkeypatch.setattr("tilth.bench.fixed_draws.CELLS", 40 * 7)
    assert [w for w, _ in Items(np.zeros(40, int), np.arange(40)).blocks(30)][-1] == slice(28, 30)
    np.testing.assert_array_equal(whole, _all(Items(np.zeros(40, int), np.arange(40)), draws=30))


def _right(rows, seed, before=0.75, after=0.8):
    random = np.random.default_rng(seed)
    both = random.random(rows)
    return both < before, both + 0.1 * random.normal(size=rows) < after


def test_percentiles_of_one_seed_are_those_of_scipy():
    truth = np.arange(400) % 2
    one, other = _right(400, 0)
    answers = {
        ("p", arm): [Said(None, np.where(right, truth, 1 - truth))]
        for arm, right in (("before", one), ("after", other))
    }
    parts = [Part("", np.arange(400), truth, (METRICS["accuracy"],))]
    drawn = drawn_scores(Items(truth, np.arange(400)), np.ones(400), answers, parts, 2)
    held = {
        ("p", "accuracy", arm): np.array([right.mean()]) for arm, right in (("before", one), ("after", other))
    }
    ours = ByDraws(drawn, {("", False): 10**9}).gain(held, "p", METRICS["accuracy"], "before", "after")
    gain = other.astype(float) - one
    theirs = bootstrap(
        (gain[truth == 0], gain[truth == 1]),
        lambda a, b, axis=-1: (a.sum(axis=axis) + b.sum(axis=axis)) / 400,
        n_resamples=10_000,
        method="percentile",
        rng=np.random.default_rng(1),
    )
    assert ours.mean == pytest.approx(gain.mean())
    assert ours.se == pytest.approx(theirs.standard_error, rel=0.03)
    interval = theirs.confidence_interval
    assert (ours.low, ours.high) == pytest.approx((interval.low, interval.high), abs=0.1 * ours.se)
    assert ours.mde80 == pytest.approx((1.960 + 0.842) * ours.se, rel=1e-3)


def _runs(count, rows, seeds, of_rows, of_seeds, of_both, truth=0.0, draws=400):
    """Simulate runs: the gain of each row and seed is theirs, and some of its own."""
    random = np.random.default_rng(0)
    weights = ByDraws(None, {}).seeds(draws, seeds)
    found = []
    for run in range(count):
        gains = truth + of_rows * random.normal(size=(rows, 1)) + of_seeds * random.normal(size=(1, seeds))
        gains = gains + of_both * random.normal(size=(rows, seeds))
        counts = _all(Items(np.zeros(rows, int), np.arange(rows), seed=run), draws)
        told, _ = estimated(gains.mean(axis=0), counts.T @ gains / rows, weights, rows - 1)
        found.append(told)
    return found


@pytest.mark.parametrize(
    "parts",
    [(1.0, 0.0, 0.0), (1.0, 0.07, 0.0), (0.1, 1.0, 0.0), (0.0, 0.0, 1.0)],
    ids=["rows", "rows and seeds", "seeds", "each by itself"],
)
def test_where_nothing_is_better_a_twentieth_of_the_runs_claims_it(parts):
    found = _runs(400, 200, 5, *parts)
    claims = sum(told.p < 0.05 for told in found)
    low, _ = wilson(claims, len(found))
    assert low < 0.05, claims
    covered = sum(told.low <= 0 <= told.high for told in found)
    assert covered == pytest.approx(len(found) - claims, abs=6)


def test_intervals_hold_a_true_gain_and_tell_what_would_be_found():
    found = _runs(300, 200, 5, 1.0, 0.07, 0.0, truth=0.23)
    _, high = wilson(sum(told.low <= 0.23 <= told.high for told in found), len(found))
    assert high > 0.95
    mde = np.mean([told.mde80 for told in found])
    assert mde == pytest.approx(0.23, rel=0.15)
    low, high = wilson(sum(told.low > 0 for told in found), len(found))
    assert low < 0.85 and high > 0.75


def test_few_seeds_that_vary_widen_intervals_more_than_draws_alone_would():
    observed = np.array([0.0, 0.1, 0.2, 0.3, 0.4])
    drawn = np.tile(observed, (2000, 1))
    told, _ = estimated(observed, drawn, ByDraws(None, {}).seeds(2000, 5), 1000)
    assert told.se == pytest.approx(observed.std(ddof=1) / np.sqrt(5), rel=0.05)
    # All that varies is the seeds: Student's t with 4 degrees of freedom.
    assert told.mde80 == pytest.approx((2.776 + 0.941) * told.se, rel=1e-3)
    assert told.high - told.low > 2 * 1.96 * told.se
    assert told.floor == pytest.approx(told.mde80, rel=0.05)


def test_p_values_are_never_zero_and_equal_arms_differ_by_nothing():
    sure = np.full((999, 1), 5.0) + np.random.default_rng(0).normal(size=(999, 1)) * 0.01
    told, drawn = estimated(np.array([5.0]), sure, np.ones((999, 1)), 100)
    assert told.p == pytest.approx(2 / 1000) and shares(drawn, 1.0) == (0, 0, 1)
    same, drawn = estimated(np.zeros(3), np.zeros((50, 3)), np.full((50, 3), 1 / 3), 100)
    assert (same.mean, same.se, same.p) == (0, 0, 1) and shares(drawn, 0.1) == (0, 1, 0)


def test_draws_without_a_score_are_left_out_and_too_many_say_nothing():
    drawn = np.random.default_rng(0).normal(size=(100, 1))
    drawn[:40] = np.nan
    assert estimated(np.zeros(1), drawn, np.ones((100, 1)), 10)[0].n_scores == 1
    drawn[:60] = np.nan
    assert estimated(np.zeros(1), drawn, np.ones((100, 1)), 10) is None


def test_rows_do_not_lower_what_seeds_vary_by():
    assert rows_needed(1000, 0.02, 0.01) == 4000
    assert (
        rows_needed(1000, 0.02, 0.01, floor=0.006)
        == 1000 * (0.02**2 - 0.006**2) / (0.01**2 - 0.006**2) // 1 + 1
    )
    assert rows_needed(1000, 0.02, 0.01, floor=0.01) is None
