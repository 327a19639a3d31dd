"""In order, ahead by a bounded number, and with a rate that is told."""

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.images import each as each_module
from tilth.images.each import cores, each, nobody, telling


@given(st.lists(st.integers(), max_size=200), st.integers(1, 5), st.integers(1, 40))
def test_results_come_in_order_for_any_number_of_threads(items, threads, most_ahead):
    assert list(each(lambda n: n * 2, items, threads=threads, most_ahead=most_ahead)) == [
        2 * n for n in items
    ]


def test_several_threads_work_at_once():
    meeting = threading.Barrier(3, timeout=10)
    assert list(each(lambda n: (meeting.wait(), n)[1], range(3), threads=3, most_ahead=6)) == [0, 1, 2]


@pytest.mark.parametrize("threads", [1, 3])
def test_items_are_read_no_more_than_so_far_ahead(threads):
    read = []

    def items():
        for n in range(500):
            read.append(n)
            yield n

    results = each(lambda n: n, items(), threads=threads, most_ahead=20)
    assert [next(results) for _ in range(5)] == list(range(5))
    assert len(read) <= 5 + 20 + 1
    results.close() if hasattr(results, "close") else None


@pytest.mark.parametrize("threads", [1, 2])
def test_what_the_work_raises_comes_at_its_place(threads):
    def work(n):
        return 1 // (n - 7)

    results, seen = each(work, range(40), threads=threads), []
    with pytest.raises(ZeroDivisionError):
        seen.extend(results)
    assert len(seen) == 7


def test_a_caller_that_stops_early_stops_the_work():
    done = []

    def work(n):
        time.sleep(0.001)
        done.append(n)
        return n

    results = each(work, range(10_000), threads=2, most_ahead=8)
    next(results)
    results.close()
    count = len(done)
    time.sleep(0.05)
    assert len(done) == count < 100


def test_progress_is_told_a_few_times_a_second_and_at_the_end(monkeypatch):
    clock = iter(n / 10 for n in range(1000))
    monkeypatch.setattr(each_module.time, "monotonic", lambda: next(clock))
    told = []
    list(each(lambda n: n, range(12), threads=1, progress=told.append, what="files"))
    assert told[-1].startswith("12 of 12 files (") and told[-1].endswith("/s)")
    assert 3 <= len(told) < 12


def test_progress_of_an_unknown_number_names_no_total():
    told = []
    list(each(lambda n: n, iter(range(1500)), threads=1, progress=told.append))
    assert told[-1].startswith("1,500 images (")


def test_nothing_to_do_tells_nothing():
    told = []
    assert list(each(lambda n: n, [], threads=2, progress=told.append)) == [] and told == []


def test_there_is_a_core_and_threads_are_at_least_one():
    assert cores() >= 1
    with pytest.raises(ValueError, match="must be at least 1"):
        each(abs, [1], threads=0)
    with pytest.raises(ValueError, match="must be at least 1"):
        each(abs, [1], most_ahead=0)


def test_who_listens_hears_of_what_names_nobody():
    heard, named = [], []
    with telling(heard.append):
        assert list(each(abs, [-1], threads=1)) == [1]
        list(each(abs, [1, 2], threads=2, progress=named.append))
        list(each(abs, [1, 2, 3], progress=nobody))
    list(each(abs, [1, 2, 3, 4]))
    assert [word.split(" (")[0] for word in heard] == ["1 of 1 images"]
    assert [word.split(" (")[0] for word in named] == ["2 of 2 images"]
