"""Ranking: scikit-learn's QuantileTransformer, and numpy.interp both ways, are the oracles."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.preprocessing import QuantileTransformer

from tilth.statistics.ranking import Ranking, _Grid

SHAPES = {
    "normal": lambda r, n: r.normal(size=n),
    "lognormal": lambda r, n: np.exp(8 * r.normal(size=n)),
    "far below 0": lambda r, n: -np.exp(20 * r.normal(size=n)),
    "long tails": lambda r, n: np.sinh(20 * r.normal(size=n)),
    "whole": lambda r, n: r.integers(-5, 6, n).astype(float),
    "mostly zero": lambda r, n: np.where(r.random(n) < 0.6, 0.0, r.normal(size=n)),
    "far from 0": lambda r, n: r.normal(1e6, 1, n),
    "two sizes": lambda r, n: np.where(r.random(n) < 0.5, 1e-6 * r.normal(size=n), r.normal(1e3, 1, n)),
    "tiny": lambda r, n: 1e-300 * r.normal(size=n),
    "one value": lambda r, n: np.full(n, 7.5),
}


def both_ways(values: np.ndarray, quantiles: np.ndarray) -> np.ndarray:
    """Interpolate upward and downward and take the mean, as scikit-learn does."""
    shares = np.linspace(0, 1, len(quantiles))
    up = np.interp(values, quantiles, shares)
    down = -np.interp(-values, -quantiles[::-1], -shares[::-1])
    out = (up + down) / 2
    out[values == quantiles[-1]] = 1.0
    out[values == quantiles[0]] = 0.0
    return out


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("count", [2, 37, 1000])
@pytest.mark.parametrize("rows", [500, 40_000])
def test_shares_equal_the_mean_of_both_interpolations(shape: str, count: int, rows: int) -> None:
    random = np.random.default_rng(0)
    learned = SHAPES[shape](random, rows)
    quantiles = np.maximum.accumulate(np.quantile(learned, np.linspace(0, 1, count)))
    new = np.concatenate([learned, quantiles, learned * 3, [np.inf, -np.inf]])
    found = Ranking(quantiles).shares(new)
    np.testing.assert_allclose(found, both_ways(new, quantiles), rtol=0, atol=1e-12)


# Not of log-normal values: those within 1e-7 of the lowest scikit-learn takes for it.
@pytest.mark.parametrize("shape", ["normal", "whole", "mostly zero", "far from 0", "one value"])
def test_scores_equal_scikit_learn(shape: str) -> None:
    learned = SHAPES[shape](np.random.default_rng(1), 5000)
    peer = QuantileTransformer(output_distribution="normal", subsample=None).fit(learned[:, None])
    ours = Ranking(peer.quantiles_[:, 0])
    new = np.concatenate([learned, 2 * learned, [np.nan]])
    wanted = peer.transform(new[:, None])[:, 0]
    np.testing.assert_allclose(ours.scores(new), wanted, rtol=0, atol=1e-8)
    back = peer.inverse_transform(wanted[:, None])[:, 0]
    np.testing.assert_allclose(ours.of_scores(wanted), back, rtol=1e-9, atol=1e-12)


@given(
    st.lists(st.floats(-1e6, 1e6) | st.integers(-3, 3).map(float), min_size=1, max_size=40),
    st.lists(st.floats(-2e6, 2e6) | st.integers(-3, 3).map(float), max_size=20),
)
def test_any_quantiles_give_rising_shares_and_few_and_many_values_the_same(
    learned: list[float], new: list[float]
) -> None:
    ranking = Ranking(np.sort(learned))
    values = np.sort(np.array(learned + new))
    few = ranking.shares(values)
    assert (np.diff(few) >= 0).all() and few.min() >= 0 and few.max() <= 1
    many = ranking.shares(np.tile(values, 17_000 // len(values) + 1))
    np.testing.assert_array_equal(many[: len(values)], few)


@pytest.mark.parametrize("shape", SHAPES)
def test_values_within_come_back_from_their_shares(shape: str) -> None:
    learned = SHAPES[shape](np.random.default_rng(2), 3000)
    ranking = Ranking(np.sort(learned))
    size = np.abs(learned).max()
    np.testing.assert_allclose(ranking.of_shares(ranking.shares(learned)), learned, rtol=0, atol=1e-11 * size)


def test_values_beyond_come_back_as_the_bounds() -> None:
    ranking = Ranking(np.array([1.0, 2.0, 4.0]))
    far = np.array([-9.0, 1.0, 4.0, 99.0, np.inf])
    assert ranking.of_shares(ranking.shares(far)).tolist() == [1, 1, 4, 4, 4]
    assert ranking.of_scores(ranking.scores(far)).tolist() == [1, 1, 4, 4, 4]
    assert ranking.of_shares(np.array([-0.5, 1.5])).tolist() == [1, 4]


def test_scores_are_the_normal_quantiles_of_the_shares() -> None:
    ranking = Ranking(np.linspace(0, 1, 11))
    shares = np.array([0.1, 0.25, 0.5, 0.9])
    np.testing.assert_allclose(ranking.scores(shares), norm.ppf(shares), atol=1e-12)


def test_columns_of_small_numbers_are_not_flattened() -> None:
    small = 1e-9 * np.random.default_rng(0).normal(size=400)
    scores = Ranking(np.quantile(small, np.linspace(0, 1, 100))).scores(small)
    np.testing.assert_allclose(np.sort(scores)[1:-1].std(), 1, atol=0.1)
    assert len(np.unique(scores)) == 400


def test_nothing_is_known_of_what_is_missing() -> None:
    ranking = Ranking(np.array([1.0, 2.0, 2.0, 3.0]))
    for rows in (3, 20_000):
        values = np.where(np.arange(rows) % 3 == 1, np.nan, 2.0)
        for made in (ranking.shares, ranking.scores, ranking.of_shares, ranking.of_scores):
            assert (np.isnan(made(values)) == np.isnan(values)).all()


@pytest.mark.parametrize(
    "shape", ["normal", "lognormal", "far below 0", "far from 0", "cubed", "long tails", "two sizes"]
)
def test_few_values_need_a_binary_search(shape: str) -> None:
    """Most values lie in cells of one quantile, or in fine ones: what the speed rests on."""
    random = np.random.default_rng(0)
    values = random.normal(size=20_000) ** 3 if shape == "cubed" else SHAPES[shape](random, 20_000)
    known = np.unique(np.quantile(values, np.linspace(0, 1, 1000)))
    assert _Grid.of(known, np.full(len(known), 1e-3)).searched(values).mean() < 0.05


def test_the_two_zeros_are_one_value() -> None:
    learned = np.concatenate([-np.exp(np.linspace(-30, 30, 50)), [0.0], np.exp(np.linspace(-30, 30, 50))])
    ranking = Ranking(np.sort(learned))
    assert ranking.shares(np.array([0.0, -0.0])).tolist() == [0.5, 0.5]
    many = ranking.shares(np.tile([0.0, -0.0], 10_000))
    assert (many == 0.5).all()
