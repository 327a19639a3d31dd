"""Rows that go by time: each block is tested by what was learned from earlier rows, and by nothing else."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import TimeSeriesSplit

from tests.bench import planted
from tests.bench.planted import SEEN, RowSpy, Spy, gaussian
from tilth.bench import ablate, compare, learning_curve
from tilth.bench.chaining import earlier, forward, times_of
from tilth.bench.controls import Blur, Nothing
from tilth.bench.statistics import corrected_t
from tilth.errors import DataError
from tilth.stages.balance.threshold import BalanceThreshold
from tilth.table import Table

ALONE = {"probes": ["linear"], "n_jobs": 1}


def _timed(rows=300, each=3, seed=0):
    X, y = gaussian(rows, seed, strength=1.0)
    turn = np.random.default_rng(seed).permutation(rows)
    return X, y, np.arange(rows)[turn] // each


def test_blocks_are_those_of_scikit_learns_time_series_split():
    time = np.random.default_rng(0).permutation(60)
    found = forward(time, folds=5)
    for fold, (train, test) in enumerate(TimeSeriesSplit(5).split(np.arange(60))):
        assert sorted(time[found == fold]) == test.tolist()
        alone = np.arange(60)
        assert sorted(time[earlier(time, alone, found == fold)]) == train.tolist()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-1, 40), min_size=30, max_size=120), st.integers(2, 6), st.integers(1, 5))
def test_no_block_is_earlier_than_one_before_and_no_moment_is_parted(times, folds, repeats):
    time = np.array(times)
    for repeat in range(repeats):
        block = forward(time, folds, repeat, repeats)
        assert (block[time < 0] == -1).all() and block.max() < folds
        for moment in np.unique(time):
            assert len(np.unique(block[time == moment])) == 1
        tested = block >= 0
        order = np.argsort(time[tested], kind="stable")
        assert (np.diff(block[tested][order]) >= 0).all()
    turn = np.random.default_rng(0).permutation(len(time))
    assert (forward(time[turn], folds) == forward(time, folds)[turn]).all()


def test_repeats_move_the_blocks_by_half_of_one_at_most():
    time = np.arange(600)
    starts = [np.flatnonzero(forward(time, 5, r, 5) == 0)[0] for r in range(5)]
    assert starts == [100, 90, 80, 70, 60]
    assert (forward(time, 5, 4, 5)[-40:] == -1).all()


def test_no_stage_learns_from_a_row_that_is_not_earlier():
    X, y, time = _timed()
    SEEN.clear()
    done = compare([Spy()], [Spy(), RowSpy()], X, y, time=time, folds=4, repeats=2, **ALONE)
    assert len(SEEN) == 4 * 2 * 3
    for repeat in range(2):
        block = forward(time, 4, repeat, 2)
        for fold in range(4):
            first = time[block == fold].min()
            for _, ids in SEEN[(repeat * 4 + fold) * 3 :][:3]:
                assert sorted(ids.astype(int)) == sorted(np.flatnonzero(time < first))
    assert "bench.time_order" in [f.kind for f in done.leaks]
    assert done.verdicts[0].n_scores == 8


def test_groups_and_copies_of_test_rows_are_not_learned_from():
    X, y, time = _timed()
    groups = np.random.default_rng(1).integers(0, 60, 300)
    SEEN.clear()
    compare(None, [Spy()], X, y, time=time, groups=groups, folds=3, repeats=1, **ALONE)
    for fold, (_, ids) in enumerate(SEEN):
        test = forward(time, 3) == fold
        learned = ids.astype(int)
        assert len(learned) and not set(groups[learned]) & set(groups[test])


def test_inner_folds_go_by_time_too():
    X, y, time = _timed(rows=240)
    SEEN.clear()
    compare(None, [Spy(), BalanceThreshold()], X, y, time=time, folds=2, repeats=1, metric="f1", **ALONE)
    outer = [time[forward(time, 2) == fold].min() for fold in range(2)]
    latest = [time[ids.astype(int)].max() for _, ids in SEEN]
    most = [max(t for t in latest if t < first) for first in outer]
    # Each outer training part, and shorter and shorter beginnings of it.
    assert most == [first - 1 for first in outer]
    assert len(set(latest)) > 2 * len(outer)
    for _, ids in SEEN:
        learned = time[ids.astype(int)]
        assert sorted(np.flatnonzero(time <= learned.max())) == sorted(ids.astype(int))


def test_intervals_are_those_of_training_parts_that_grow():
    X, y, time = _timed(rows=600, each=1)
    done = compare(None, [Blur(spread=0.5)], X, y, time=time, folds=5, repeats=1, **ALONE)
    (verdict,) = done.verdicts
    values = {
        arm: done.scores.filter(arm=arm, metric="roc_auc").sort("fold")["value"].to_numpy()
        for arm in ("before", "after")
    }
    gains = values["after"] - values["before"]
    ratio = np.mean([1 / k for k in range(1, 6)])
    told = corrected_t(gains, 5, ratio=ratio)
    assert (verdict.low, verdict.high) == pytest.approx((told.low, told.high), rel=1e-9)
    assert told.se > corrected_t(gains, 5).se


def test_drift_is_seen_by_time_and_hidden_by_random_folds():
    random = np.random.default_rng(0)
    rows = 1200
    y = random.integers(0, 2, rows)
    time = np.arange(rows)
    # What tells the class turns around as time goes on.
    x = (2 * y - 1) * np.where(time < 600, 1.0, -1.0) + random.normal(size=rows)
    X = pl.DataFrame({"x": x, "late": (time >= 600) * 1.0, "both": x * (time >= 600)})
    shuffled, ordered = (
        compare(None, None, X, y, repeats=2, **ALONE, **more).verdicts[0].before
        for more in ({}, {"time": time})
    )
    assert shuffled > ordered + 0.1


def test_a_column_names_the_time_and_dates_are_read():
    X, y, time = _timed()
    days = [dt.date(2024, 1, 1) + dt.timedelta(days=int(t)) for t in time]
    frame = X.with_columns(day=pl.Series(days))
    named = compare(None, [Nothing()], frame, y, time="day", repeats=1, **ALONE)
    given_ = compare(None, [Nothing()], frame, y, time=days, repeats=1, **ALONE)
    assert named.scores.equals(given_.scores)
    assert "Column 'day' orders the rows" in named.leaks[0].message


def test_rows_without_a_time_are_learned_from_and_never_tested():
    X, y, time = _timed()
    known = pl.Series(time).to_frame("t").with_columns(t=pl.when(pl.col("t") < 20).then(None).otherwise("t"))
    SEEN.clear()
    done = compare(None, [Spy()], X, y, time=known["t"], repeats=1, **ALONE)
    gone = np.flatnonzero(time < 20)
    assert all(set(gone) <= set(ids.astype(int)) for _, ids in SEEN)
    (finding,) = [f for f in done.leaks if f.kind == "bench.time_unknown"]
    assert finding.n_rows == len(gone) == 60


def test_a_learning_curve_goes_by_time_too():
    X, y, time = _timed()
    SEEN.clear()
    done = learning_curve([Spy()], X, y, time=time, folds=3, repeats=1, sizes=[20, 30, 40, 60], **ALONE)
    assert done.sizes == (20, 30, 40, 60)
    firsts = [time[forward(time, 3) == fold].min() for fold in range(3)]
    for place, (_, ids) in enumerate(SEEN):
        assert time[ids.astype(int)].max() < firsts[place // 4]
    with pytest.raises(DataError, match="a training part has 75 labeled rows"):
        learning_curve(None, X, y, time=time, folds=3, repeats=1, sizes=[20, 30, 40, 90], **ALONE)


def test_what_gives_no_order_is_refused_with_the_reason():
    X, y, time = _timed()
    more = {"repeats": 1, **ALONE}
    with pytest.raises(DataError, match="time has 3 values"):
        compare(None, None, X, y, time=[1, 2, 3], **more)
    with pytest.raises(DataError, match="dates or numbers"):
        compare(None, None, X, y, time=[str(t) for t in time], **more)
    with pytest.raises(DataError, match="holds 5 moments, and 5 blocks"):
        compare(None, None, X, y, time=time % 5, **more)
    with pytest.raises(DataError, match="when"):
        compare(None, None, X, y, time="when", **more)
    late = np.where(np.arange(300) < 290, 50, np.arange(300))
    with pytest.raises(DataError, match="many rows are of one moment"):
        compare(None, None, X, y, time=late, **more)


def test_places_are_dense_and_unknown_ones_come_first():
    table = Table.of(pl.DataFrame({"x": [1.0, 2.0, 3.0, 4.0]}), [0, 1, 0, 1])
    places, _ = times_of(table, [10.0, float("nan"), 7.0, 10.5], folds=2)
    assert places.tolist() == [1, -1, 0, 2]


def test_an_ablation_goes_by_time_too():
    X, y, time = _timed(rows=150)
    SEEN.clear()
    done = ablate([Spy(), planted.NoOp()], X, y, time=time, folds=2, repeats=1, **ALONE)
    assert "bench.time_order" in [f.kind for f in done.leaks]
    assert len({len(ids) for _, ids in SEEN}) == 2
