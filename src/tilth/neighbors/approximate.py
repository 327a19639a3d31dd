"""Nearest rows found by walking a graph: nearly all of them, and of few rows measured."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tilth.errors import DataError, TilthError
from tilth.neighbors.copies import distinct, told_apart, without_self
from tilth.neighbors.space import Sides, Space

EDGES = 32
"""Neighbors that a row keeps in the graph; twice as many on its lowest level."""
LOOKED_AT = 40
"""Rows that are candidates for an edge while the graph is built."""
LEAST_WALK = 96
WALK, WALK_ROWS = 128, 200_000
"""Rows that a search keeps in mind: so many among so many rows, and more with the square root of the rows.
That finds more than 95 of 100 neighbors even where 32 columns are independent of one another."""
BLOCK = 1 << 14
"""Query rows searched at once."""


def nearest_walked(
    space: Space, query: np.ndarray, reference: np.ndarray, k: int, *, exclude_self: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Find about the `k` nearest reference rows of each query row; `nearest` says what goes in and out.

    The rows are laid out so that the graph's distance orders them as `space` does: numbers as they are, a
    0/1 column for each category, scaled so that a mismatch counts what it should. What the graph finds is
    measured in float64. The graph is built on one thread, of rows in the order of a hash of their cells, so
    that neither threads nor the order of rows decide how it comes out. Equal rows stand in it once. A row
    of which it finds fewer than `k` is compared with all.

    Raises
    ------
    DataError
        A cell is missing.
    TilthError
        faiss is not installed.

    Source
    ------
    Malkov and Yashunin, "Efficient and robust approximate nearest neighbor search using hierarchical
    navigable small world graphs", IEEE TPAMI 42 (2020); the implementation is that of faiss.
    """
    faiss = _faiss()
    query, reference = np.asarray(query, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    for name, rows in (("query", query), ("reference", reference)):
        if gaps := int(np.isnan(rows).any(axis=1).sum()):
            raise DataError(
                f"neighbors: search='approximate' takes complete rows, and {gaps} {name} rows have missing "
                "cells. Put impute.simple before, or use search='exact'."
            )
    distances, indices = np.full((len(query), k), np.inf), np.full((len(query), k), -1, dtype=np.int64)
    if not (len(query) and len(reference)):
        return distances, indices
    first, member_of = distinct(reference)
    asked, asker_of = distinct(query)
    wanted = k + exclude_self
    found = _walked(faiss, space.sides(query[asked], reference[first]), wanted)
    distances, indices = (part[asker_of] for part in told_apart(*found, member_of))
    return without_self(distances, indices) if exclude_self else (distances, indices)


def _walked(faiss: Any, sides: Sides, wanted: int) -> tuple[np.ndarray, np.ndarray]:
    """Search a graph of rows of which no two are equal; where there are fewer than wanted, the rest is -1."""
    q, r = _laid_out(sides)
    order = np.argsort(_hashed(r), kind="stable")
    gower = sides.space.metric == "gower"
    graph = faiss.IndexHNSWFlat(r.shape[1], EDGES, faiss.METRIC_L1 if gower else faiss.METRIC_L2)
    graph.hnsw.efConstruction = LOOKED_AT
    with _one_thread(faiss):
        graph.add(r[order])
    k = min(wanted, len(r))
    # A few more than asked for: float32 may take one neighbor for another.
    candidates = min(k + 8 + k // 8, len(r))
    graph.hnsw.efSearch = max(LEAST_WALK, 2 * candidates, int(WALK * np.sqrt(len(r) / WALK_ROWS)))
    measures, indices = np.empty((len(q), k)), np.empty((len(q), k), dtype=np.int64)
    for start in range(0, len(q), BLOCK):
        rows = np.arange(start, min(start + BLOCK, len(q)))
        found = graph.search(q[rows], candidates)[1]
        place = np.sort(np.where(found >= 0, order[found], len(r)), axis=1)
        measures[rows], indices[rows] = _best(sides, rows, place, k)
    for row in np.flatnonzero(np.isinf(measures[:, -1])):
        everything = np.arange(len(r))[None]
        measures[row], indices[row] = _best(sides, np.array([row]), everything, k)
    more = ((0, 0), (0, wanted - k))
    distances = np.pad(sides.distances(measures, masked=False), more, constant_values=np.inf)
    return distances, np.pad(indices, more, constant_values=-1)


def _faiss() -> Any:
    try:
        import faiss
    except ImportError as error:
        raise TilthError(
            "neighbors: search='approximate' needs faiss, which is not installed. "
            "Install it with: pip install 'tilth[neighbors]', or use search='exact'."
        ) from error
    return faiss


def _best(sides: Sides, rows: np.ndarray, place: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Measure each row against its own places, rising, and return the nearest `k`; n_reference: no place."""
    there = place < len(sides.r_present)
    measures = np.full(place.shape, np.inf)
    i = np.broadcast_to(rows[:, None], place.shape)[there]
    measures[there] = sides.between(i, place[there], masked=False)
    order = np.argsort(measures, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(measures, order, 1), np.take_along_axis(place, order, 1)


def _laid_out(sides: Sides) -> tuple[np.ndarray, np.ndarray]:
    """Return both sides as float32, around the middle of the reference: offsets would cost digits."""
    numbers = [sides.q_numbers / sides.widths, sides.r_numbers / sides.widths]
    center = numbers[1].mean(axis=0)
    numbers = [part - center for part in numbers]
    # Two rows of different categories differ in two columns.
    mismatch = sides.space.mismatch
    flag = mismatch / 2 if sides.space.metric == "gower" else np.sqrt(mismatch / 2)
    unit = max(float(np.median(np.abs(numbers[1]).max(axis=1))) if numbers[1].size else 0.0, flag) or 1.0
    wide = []
    for part, coded in zip(numbers, (sides.q_codes, sides.r_codes), strict=True):
        columns = [np.clip(part / unit, -1e15, 1e15).astype(np.float32)]
        for place in range(coded.shape[1]):
            levels = np.unique(sides.r_codes[:, place])
            columns.append((coded[:, place, None] == levels).astype(np.float32) * np.float32(flag / unit))
        wide.append(np.ascontiguousarray(np.hstack(columns)))
    return wide[0], wide[1]


def _hashed(rows: np.ndarray) -> np.ndarray:
    """Hash the bits of each row; equal rows alike."""
    hashed = np.zeros(len(rows), dtype=np.uint64)
    with np.errstate(over="ignore"):
        for column in rows.T:
            hashed = (hashed ^ (column + np.float32(0)).view(np.uint32)) * np.uint64(0x9E3779B97F4A7C15)
            hashed ^= hashed >> np.uint64(29)
    return hashed


@contextmanager
def _one_thread(faiss: Any) -> Iterator[None]:
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
