"""Partners and shares: NumPy and torch agree, draws are even, and SciPy's Beta distribution is the oracle."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tilth.statistics.partners import Pools, symmetric_beta

ALPHAS = [0.1, 0.2, 0.5, 1.0, 2.0, 30.0]


def pools(codes: list[int]) -> Pools:
    of = np.array(codes, dtype=np.int64)
    return Pools.of(of, np.argsort(of, kind="stable"), np)


@settings(deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=40), st.data())
def test_a_partner_is_another_row_of_the_same_code_or_the_row_that_is_alone(codes, data):
    draws = np.array(data.draw(st.lists(st.floats(0, 1, exclude_max=True), min_size=40, max_size=40)))
    own = np.arange(len(codes))
    partner = pools(codes).others(draws[: len(codes)], np)
    of = np.array(codes)
    assert (of[partner] == of).all()
    alone = np.bincount(of)[of] == 1
    assert (partner[alone] == own[alone]).all()
    assert (partner[~alone] != own[~alone]).all()


@settings(deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=40), st.integers(1, 3), st.integers(0, 99))
def test_numpy_and_torch_find_the_same_partners(codes, width, seed):
    draws = np.random.default_rng(seed).random((len(codes), width))
    of = torch.tensor(codes)
    found = Pools.of(of, torch.argsort(of, stable=True), torch).others(torch.tensor(draws), torch)
    assert found.tolist() == pools(codes).others(draws, np).tolist()


def test_every_other_row_is_as_likely():
    codes = [0, 1, 0, 0, 1, 0]
    draws = np.random.default_rng(0).random((6, 30_000))
    partner = pools(codes).others(draws, np)
    counts = np.bincount(partner[0], minlength=6)
    assert counts[[0, 1, 4]].tolist() == [0, 0, 0]
    assert stats.chisquare(counts[[2, 3, 5]]).pvalue > 1e-3
    assert (partner[1] == 4).all()


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("xp", [np, torch], ids=["numpy", "torch"])
def test_shares_are_distributed_as_scipys_beta(alpha, xp):
    draws = np.random.default_rng(0).random((4, 100_000))
    share = symmetric_beta(alpha, xp.asarray(draws), xp)
    # Within rounding of 0 and 1 lies much of a small alpha's mass; there the cells are compared as one.
    edges = np.concatenate([[-1], np.linspace(1e-6, 1 - 1e-6, 21), [2]])
    found = np.histogram(np.asarray(share), edges)[0]
    wanted = np.diff(stats.beta(alpha, alpha).cdf(edges)) * 100_000
    kept = wanted > 5
    assert stats.chisquare(found[kept], wanted[kept] * found[kept].sum() / wanted[kept].sum()).pvalue > 1e-3
    assert float(share.mean()) == pytest.approx(0.5, abs=0.005)
    assert float(share.std()) == pytest.approx(stats.beta(alpha, alpha).std(), rel=0.02)


@pytest.mark.parametrize("alpha", [1e-3, *ALPHAS, 1e6])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_least_and_the_largest_draws_give_shares_too(alpha, dtype):
    ends = torch.tensor([0.0, 1 - torch.finfo(dtype).eps / 2], dtype=dtype)
    draws = torch.stack(torch.meshgrid(ends, ends, ends, ends, indexing="ij")).reshape(4, -1)
    share = symmetric_beta(alpha, draws, torch)
    assert ((share >= 0) & (share <= 1)).all()
    with np.errstate(all="raise", under="ignore"):
        assert np.isfinite(symmetric_beta(alpha, draws.double().numpy(), np)).all()
