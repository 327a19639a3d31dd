"""Windows of slices hold every row once, mix what is far apart, and are read one ahead."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils._param_validation import InvalidParameterError

from tilth.loaders.windows import WINDOW_BYTES, Window, WindowSampler, read_ahead, window_sizes

sizes = st.integers(1, 12)


def sampler(n_rows=100, shuffle=True, slice_rows=5, buffer_rows=20, **settings):
    return WindowSampler(n_rows, shuffle=shuffle, slice_rows=slice_rows, buffer_rows=buffer_rows, **settings)


def threads():
    return [each for each in threading.enumerate() if each.name.startswith("tilth-stream")]


@given(
    n_rows=st.integers(0, 120),
    slice_rows=sizes,
    slices=sizes,
    world_size=st.integers(1, 5),
    shuffle=st.booleans(),
)
def test_all_processes_together_hold_every_row_once(n_rows, slice_rows, slices, world_size, shuffle):
    met = []
    for rank in range(world_size):
        own = sampler(
            n_rows, shuffle, slice_rows, slice_rows * slices, pad=False, rank=rank, world_size=world_size
        )
        rows = own.rows(3)
        assert len(rows) == len(own) == sum(map(len, own.windows(3)))
        assert all(0 < len(window) <= slice_rows * slices for window in own.windows(3))
        met += rows.tolist()
    if n_rows >= world_size:
        assert sorted(met) == list(range(n_rows))
    else:
        assert set(met) == set(range(n_rows))


def test_rows_are_permuted_within_their_window_and_not_beyond():
    own = sampler(200)
    place = 0
    for window in own.windows(0):
        rows = own.rows(0)[place : place + len(window)].tolist()
        assert sorted(rows) == sorted(row for a, b in window.slices for row in range(a, b))
        assert rows != sorted(rows)
        place += len(window)


def test_epochs_windows_and_processes_are_permuted_in_ways_of_their_own():
    own = sampler()
    assert not torch.equal(own.rows(0), own.rows(1))
    assert own.windows(0) != own.windows(1)
    first, second = own.windows(0)[:2]
    assert own.within(0, first).tolist() != own.within(0, second).tolist()
    other = sampler(rank=1, world_size=2)
    assert own.within(0, first).tolist() != other.within(0, first).tolist()


def test_without_shuffling_rows_keep_their_order():
    assert torch.equal(sampler(shuffle=False).rows(4), torch.arange(100))


def test_windows_share_the_slices_out_evenly():
    counts = [len(window.slices) for window in sampler(5 * 21, buffer_rows=5 * 10).windows(0)]
    assert counts == [7, 7, 7]  # and not 10, 10, 1, of which the last would hardly be mixed


@pytest.mark.parametrize(
    ("most", "reads"),
    [(3, [(0, 3), (3, 6), (9, 12), (12, 13)]), (6, [(0, 6), (9, 13)]), (100, [(0, 6), (9, 13)])],
)
def test_slices_that_touch_are_read_at_once_up_to_a_size(most, reads):
    assert Window(0, [(9, 12), (3, 6), (12, 13), (0, 3)]).reads(most) == reads


def test_a_row_that_comes_twice_is_read_twice():
    assert Window(0, [(0, 1), (0, 1)]).reads(10) == [(0, 1), (0, 1)]


def test_sizes_by_default_make_windows_of_a_known_size_of_many_slices():
    buffer, part = window_sizes(212, None, None)
    assert WINDOW_BYTES - 212 < buffer * 212 <= WINDOW_BYTES
    assert buffer // part == 32


def test_slices_of_wide_tables_keep_rows_enough_to_be_worth_their_pages():
    buffer, part = window_sizes(4000, None, None)
    assert (buffer, part) == (WINDOW_BYTES // 4000, WINDOW_BYTES // 4000 // 8)
    assert window_sizes(1000, None, None)[1] == 8192
    assert window_sizes(2 * WINDOW_BYTES, None, None) == (1, 1)


def test_sizes_that_are_given_are_used_as_they_are():
    assert window_sizes(8, 100, 7) == (100, 7)
    assert window_sizes(8, 64, None) == (64, 8)
    assert window_sizes(WINDOW_BYTES, None, 50) == (50, 50)
    assert window_sizes(8, np.int64(100), np.int64(10)) == (100, 10)


@pytest.mark.parametrize(
    "wrong", [{"buffer_rows": 0}, {"slice_rows": -1}, {"buffer_rows": 2.5}, {"slice_rows": True}]
)
def test_sizes_that_are_no_number_of_rows_are_refused_by_name(wrong):
    with pytest.raises(InvalidParameterError, match=next(iter(wrong))):
        window_sizes(8, **{"buffer_rows": None, "slice_rows": None, **wrong})


def test_a_window_smaller_than_a_slice_is_refused():
    with pytest.raises(InvalidParameterError, match="buffer_rows=10 is less than slice_rows=11"):
        window_sizes(8, 10, 11)


def test_a_thread_reads_one_window_ahead_and_no_further():
    begun = []
    reading = read_ahead(
        lambda window, left: begun.append(window.number) or window.number, sampler().windows(0)
    )
    assert begun == []
    for number in range(3):
        assert next(reading) == number
        until = time.monotonic() + 5
        while len(begun) < number + 2 and time.monotonic() < until:
            time.sleep(0.001)
        time.sleep(0.02)
        assert begun == list(range(number + 2))
    reading.close()
    assert threads() == []


def test_a_reader_that_is_left_is_told_so_and_waited_for():
    began, told = threading.Event(), []

    def read(window, left):
        if window.number:
            began.set()
            told.append(left.wait(5))

    reading = read_ahead(read, sampler().windows(0))
    next(reading)
    assert began.wait(5)
    reading.close()
    assert told == [True]
    assert threads() == []


def test_an_error_of_the_thread_is_raised_where_its_window_is_due():
    def read(window, left):
        if window.number == 2:
            raise OSError("disk")
        return window.number

    reading = read_ahead(read, sampler().windows(0))
    assert [next(reading), next(reading)] == [0, 1]
    with pytest.raises(OSError, match="disk"):
        next(reading)
    assert threads() == []


def test_nothing_to_read_is_nothing_to_yield():
    assert list(read_ahead(lambda window, left: window, [])) == []
