"""Gaps between means: known intervals, SciPy's tests, and clusters that are treated as what they are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import brentq

from tilth.statistics.gap import LEAST_CLUSTERS, gap


def split(yes, count, rest, others):
    values = np.repeat([1.0, 0.0, 1.0, 0.0], [yes, count - yes, rest, others - rest])
    return values, np.arange(count + others) < count


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    # Newcombe (1998), table II, method 10.
    [
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((6, 7, 2, 7), 0.0582, 0.8062),
        ((5, 56, 0, 29), -0.0381, 0.1926),
        ((0, 10, 0, 20), -0.1611, 0.2775),
        ((0, 10, 0, 10), -0.2775, 0.2775),
        ((10, 10, 0, 20), 0.6791, 1.0),
        ((10, 10, 0, 10), 0.6075, 1.0),
    ],
)
def test_intervals_of_shares_are_the_published_ones(counts, low, high):
    told = gap(*split(*counts))
    assert (told.low, told.high) == pytest.approx((low, high), abs=6e-5)


@given(st.integers(1, 60), st.integers(1, 60), st.data())
def test_shares_are_scipys(count, others, data):
    yes, rest = data.draw(st.integers(0, count)), data.draw(st.integers(0, others))
    told = gap(*split(yes, count, rest, others))
    table = [[yes, count - yes], [rest, others - rest]]
    assert told.p_value == pytest.approx(stats.fisher_exact(table, "greater").pvalue, abs=1e-9)
    # Wilson's ends are the shares of which the one seen is 1.96 standard errors away.
    z = stats.norm.ppf(0.975)
    for share, of, ends in (
        (yes / count, count, (told.inside_low, told.inside_high)),
        (rest / others, others, (told.outside_low, told.outside_high)),
    ):
        for end in ends:
            if 0 < end < 1:
                assert (share - end) ** 2 == pytest.approx(z**2 * end * (1 - end) / of, abs=1e-9)
            else:
                assert share == pytest.approx(end, abs=1e-12)
        assert ends[0] <= share + 1e-12 and share <= ends[1] + 1e-12 and ends[0] < ends[1]
    assert told.low <= told.difference <= told.high


def test_numbers_are_welchs():
    random = np.random.default_rng(0)
    one, two = random.exponential(2, 30), random.exponential(1, 90)
    told = gap(np.append(one, two), np.arange(120) < 30)
    scipy = stats.ttest_ind(one, two, equal_var=False, alternative="greater")
    both = stats.ttest_ind(one, two, equal_var=False).confidence_interval()
    assert told.p_value == pytest.approx(scipy.pvalue)
    assert (told.low, told.high) == pytest.approx((both.low, both.high))
    alone = stats.t.interval(0.95, 29, one.mean(), stats.sem(one))
    assert (told.inside_low, told.inside_high) == pytest.approx(alone)


def sandwich(values, inside, cluster):
    """Return the standard error of the slope on `inside`, by Bell and McCaffrey's matrices (CR2)."""
    X = np.column_stack([np.ones(len(values)), inside])
    bread = np.linalg.inv(X.T @ X)
    rest = values - X @ (bread @ X.T @ values)
    scores = []
    for own in (cluster == g for g in np.unique(cluster)):
        size, vectors = np.linalg.eigh(np.eye(own.sum()) - X[own] @ bread @ X[own].T)
        scores.append(X[own].T @ (vectors / np.sqrt(size)) @ vectors.T @ rest[own])
    scores = np.array(scores)
    return np.sqrt((bread @ scores.T @ scores @ bread)[1, 1])


@pytest.mark.parametrize("across", [True, False])
def test_clusters_are_the_sandwich_of_a_regression(across):
    random = np.random.default_rng(1)
    cluster = np.arange(400) % 20
    inside = np.arange(400) < 120 if across else cluster < 8
    values = random.normal(size=20)[cluster] + random.normal(size=400)
    told = gap(values, inside, cluster)
    error = sandwich(values, inside, cluster)
    if across:
        assert told.high - told.difference == pytest.approx(stats.t.ppf(0.975, 19) * error)
        assert told.p_value == pytest.approx(stats.t.sf(told.difference / error, 19))
    free = brentq(lambda n: stats.t.ppf(0.975, n) * error - (told.high - told.difference), 1, 100)
    assert free == pytest.approx(19) if across else 7 < free < 18


def test_clusters_of_any_size_are_those_of_the_sandwich():
    random = np.random.default_rng(2)
    cluster = random.integers(0, 20, 300) ** 2 // 20
    inside = random.random(300) < 0.4
    values = random.normal(size=20)[cluster] + random.normal(size=300)
    told = gap(values, inside, cluster)
    shares = [np.bincount(cluster[side]) / side.sum() for side in (inside, ~inside)]
    free = min(1 / (share**2).sum() for share in shares) - 1
    half = stats.t.ppf(0.975, free) * sandwich(values, inside, cluster)
    assert told.high - told.difference == pytest.approx(half)


def test_clusters_of_one_row_are_rows():
    random = np.random.default_rng(2)
    values, inside = random.normal(size=80), np.arange(80) < 25
    assert gap(values, inside, np.arange(80)) == gap(values, inside)


@pytest.mark.parametrize("shares", [True, False])
def test_groups_that_are_right_or_wrong_together_are_no_more_evidence_than_one_row_each(shares):
    random = np.random.default_rng(3)
    false = alone = 0
    for _ in range(300):
        of_group = random.integers(0, 2, 24).astype(float) if shares else random.normal(size=24)
        values, cluster = np.repeat(of_group, 20), np.repeat(np.arange(24), 20)
        inside = cluster < 10
        false += gap(values, inside, cluster).p_value <= 0.05
        alone += gap(values, inside).p_value <= 0.05
    assert false <= 0.09 * 300 < 0.25 * 300 < alone


def test_clusters_all_wrong_are_not_sure_beyond_their_number():
    cluster = np.repeat(np.arange(12), 50)
    values, inside = (cluster < 6).astype(float), cluster < 6
    told = gap(values, inside, cluster)
    assert 1e-6 < told.p_value < 0.01 and told.low < 1
    assert gap(values, inside).p_value < 1e-100


def test_too_few_clusters_tell_nothing():
    cluster = np.arange(60) // 10
    told = gap((cluster < LEAST_CLUSTERS - 1).astype(float), cluster < LEAST_CLUSTERS - 1, cluster)
    assert told.p_value == 1 and told.low == -np.inf and told.inside == 1


def test_only_the_ratios_of_weights_count():
    random = np.random.default_rng(4)
    values, inside = random.integers(0, 2, 100).astype(float), np.arange(100) < 40
    weight = random.uniform(0.5, 2, 100)
    assert gap(values, inside, None, np.full(100, 3.0)) == gap(values, inside)
    one, two = gap(values, inside, None, weight), gap(values, inside, None, 7 * weight)
    assert one.p_value == pytest.approx(two.p_value) and one.low == pytest.approx(two.low)
    assert one.inside == pytest.approx(np.average(values[:40], weights=weight[:40]))


def test_ends_of_shares_are_shares():
    values, inside = split(19, 20, 5, 100)
    told = gap(values, inside, None, np.random.default_rng(5).uniform(0.5, 2, 120))
    assert told.inside_high == 1 and told.high <= 1 and told.outside_low > 0


def test_a_row_of_a_large_weight_makes_the_interval_wide():
    values, inside = np.random.default_rng(6).normal(size=120), np.arange(120) < 20
    weight = np.ones(120)
    weight[0] = 30
    wide, usual = gap(values, inside, None, weight), gap(values, inside)
    assert wide.inside_high - wide.inside_low > 2 * (usual.inside_high - usual.inside_low)


def test_a_heavy_row_or_cluster_alone_is_no_evidence():
    random = np.random.default_rng(7)
    inside, cluster = np.arange(120) < 20, np.minimum(np.arange(120), 12)
    weight = np.where(np.arange(120) == 0, 30.0, 1.0)
    false = [0, 0]
    for _ in range(400):
        values = random.normal(size=120)
        false[0] += gap(values, inside, None, weight).p_value <= 0.05
        false[1] += gap(random.normal(size=120)[cluster], inside, cluster).p_value <= 0.05
    assert max(false) <= 0.1 * 400


@given(st.lists(st.tuples(st.floats(0, 100), st.booleans()), min_size=2, max_size=40))
def test_any_rows_give_an_answer_in_order(rows):
    values, inside = np.array([v for v, _ in rows]), np.array([i for _, i in rows])
    if inside.all() or not inside.any():
        return
    told = gap(values, inside)
    assert 0 <= told.p_value <= 1
    assert told.low <= told.difference <= told.high
    assert told.inside_low <= told.inside <= told.inside_high
    other = gap(values, ~inside)
    assert other.difference == pytest.approx(-told.difference)
    assert other.low == pytest.approx(-told.high, abs=1e-9)
