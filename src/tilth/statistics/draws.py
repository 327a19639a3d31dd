"""Randomness keyed by (seed, row id, epoch): never by the order of calls."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def hash_rows(seed: int, ids: np.ndarray, epoch: int = 0) -> np.ndarray:
    """Hash row ids to uniform 64-bit words: word `id` of the SplitMix64 stream that (seed, epoch) starts.

    Parameters
    ----------
    seed, epoch : int
        The words of two seeds, or of two epochs, are unrelated.
    ids : ndarray of shape (n_rows,), uint64

    Returns
    -------
    ndarray of shape (n_rows,), uint64

    Source
    ------
    Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
    """
    with np.errstate(over="ignore"):
        # Mixed twice, so that seed and id do not stand for one another: (2, 1) draws another than (1, 2).
        start = _mix(_mix(np.uint64(int(seed) % 2**64) + _GOLDEN) + np.uint64(int(epoch) % 2**64) * _GOLDEN)
        words: np.ndarray = _mix(start + (np.asarray(ids).astype(np.uint64) + np.uint64(1)) * _GOLDEN)
        return words


def uniform(seed: int, ids: np.ndarray, epoch: int = 0) -> np.ndarray:
    """Draw one number in [0, 1) per row id."""
    return (hash_rows(seed, ids, epoch) >> np.uint64(11)) * 2.0**-53


def new_ids(seed: int, ids: np.ndarray) -> np.ndarray:
    """Make row ids from others; 63 bits, so that readers without unsigned numbers hold them too."""
    made: np.ndarray = hash_rows(seed, ids) >> np.uint64(1)
    return made


def key_of(values: Iterable[object]) -> np.ndarray:
    """Turn key values of any type into row ids (63 bits) that are the same in every process."""
    digests = (hashlib.blake2b(repr(v).encode(), digest_size=8).digest() for v in values)
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64) >> np.uint64(1)


def _mix(z: Any) -> Any:
    with np.errstate(over="ignore"):
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))
