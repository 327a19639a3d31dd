"""Randomness by (seed, row id, epoch): fixed for good, even, and unrelated between seeds."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tilth.statistics import hash_rows, key_of, new_ids, uniform

IDS = np.arange(20_000, dtype=np.uint64)
KEYS = [8430096805215748559, 4259241206155935355, 12996460759660457]
GOLDEN, LAST = 0x9E3779B97F4A7C15, 2**64 - 1


def mix(z):
    """SplitMix64's finalizer in plain integers, after the paper."""
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & LAST
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & LAST
    return z ^ (z >> 31)


def word(seed, row, epoch=0):
    """The word of one row, in plain integers."""
    start = mix(mix(seed + GOLDEN & LAST) + epoch * GOLDEN & LAST)
    return mix(start + (row + 1) * GOLDEN & LAST)


def test_the_words_are_fixed_for_good():
    """A bundle or a split made last year must be made again today: these numbers never change."""
    assert hash_rows(0, np.array([0, 1], np.uint64)).tolist() == [6235967106033911276, 4964577235801436555]
    assert key_of(["a", 1, None]).tolist() == KEYS


def test_the_mixing_is_the_published_one():
    """From state 0, SplitMix64's published code gives this word first."""
    assert mix(GOLDEN) == 0xE220A8397B1DCDAF


@given(st.integers(0, LAST), st.integers(0, LAST), st.integers(0, 1000))
def test_words_equal_those_of_plain_integers(seed, row, epoch):
    assert int(hash_rows(seed, np.array([row], np.uint64), epoch)[0]) == word(seed, row, epoch)


def test_seed_and_row_do_not_stand_for_one_another():
    seeds = np.arange(500)
    square = np.array([uniform(int(s), seeds.astype(np.uint64)) for s in seeds])
    assert not (square == square.T)[~np.eye(500, dtype=bool)].any()
    assert stats.kstest(np.diag(square), "uniform").pvalue > 1e-3


@pytest.mark.parametrize("seed", [0, 1, -1, 2**63, 2**64 + 5])
def test_draws_are_uniform_for_any_seed(seed):
    draws = uniform(seed, IDS)
    assert ((draws >= 0) & (draws < 1)).all()
    assert stats.kstest(draws, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("other", [{"seed": 1}, {"seed": 0, "epoch": 1}, {"seed": 2**32}])
def test_two_seeds_and_two_epochs_are_unrelated(other):
    correlation = np.corrcoef(uniform(0, IDS), uniform(ids=IDS, **other))[0, 1]
    assert abs(correlation) < 4 / np.sqrt(len(IDS))


def test_neighboring_ids_are_unrelated():
    draws = uniform(0, IDS)
    assert abs(np.corrcoef(draws[:-1], draws[1:])[0, 1]) < 4 / np.sqrt(len(IDS))


def test_a_draw_depends_on_its_row_alone():
    whole = uniform(3, IDS)
    assert (uniform(3, IDS[::-1])[::-1] == whole).all()
    assert uniform(3, IDS[41:42])[0] == whole[41]


def test_hashes_of_many_rows_do_not_collide():
    assert len(np.unique(hash_rows(0, np.arange(1_000_000)))) == 1_000_000


def test_made_ids_and_keys_fit_into_63_bits_and_do_not_collide():
    made = new_ids(5, np.arange(1_000_000))
    assert len(np.unique(made)) == 1_000_000
    assert max(made.max(), key_of(range(1000)).max()) < 2**63


def test_keys_are_the_same_in_every_process():
    code = "from tilth.statistics import key_of; print(key_of(['a', 1, None]).tolist())"
    for hash_seed in ("0", "1"):
        told = subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert told.stdout.strip() == str(KEYS)


def test_no_ids_give_no_draws():
    assert uniform(0, np.array([], np.uint64)).shape == (0,)
    assert key_of([]).shape == (0,)
