"""Rows gathered ahead are the rows that were asked for, in order."""

from __future__ import annotations

import threading

import pytest
import torch

from tilth.loaders import TableLoader
from tilth.loaders.gather import HostGather, ahead


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.bfloat16, torch.float8_e5m2, torch.bool, torch.uint8, torch.int64]
)
@pytest.mark.parametrize("shape", [(50,), (50, 3), (50, 2, 4, 4), (50, 0)])
def test_gathered_rows_equal_index_select_for_every_type_and_shape(dtype, shape):
    values = (torch.arange(50.0).reshape(-1, *[1] * (len(shape) - 1)) % 7).expand(shape).contiguous()
    tensor = values.to(dtype)
    index = torch.tensor([49, 0, 7, 7])
    gather = HostGather([tensor])
    (found,) = gather(index.numpy())
    assert found.dtype == dtype and torch.equal(found.float(), values.to(dtype).float()[index])
    (cut,) = gather(slice(3, 9))
    assert torch.equal(cut.float(), tensor.float()[3:9])
    assert cut.numel() == 0 or cut.data_ptr() != tensor[3:9].data_ptr()


@pytest.mark.parametrize("count", [0, 1, 2, 3, 50])
def test_results_come_in_order_and_each_item_is_worked_on_once(count):
    worked: list[int] = []

    def square(item: int) -> int:
        worked.append(item)
        return item * item

    assert list(ahead(square, range(count))) == [i * i for i in range(count)]
    assert sorted(worked) == list(range(count))


def test_the_caller_goes_on_with_later_items_while_the_thread_is_held_up():
    caller, begun, held = threading.get_ident(), threading.Event(), threading.Event()
    done_by_caller: list[int] = []

    def work(item: int) -> int:
        if threading.get_ident() == caller:
            assert begun.wait(60)
            done_by_caller.append(item)
            if item == 3:
                held.set()
        else:
            begun.set()
            assert held.wait(60)
        return item

    assert list(ahead(work, range(4), depth=4)) == [0, 1, 2, 3]
    assert done_by_caller in ([1, 2, 3], [0, 2, 3])


@pytest.mark.parametrize("broken", [0, 3, 8])
def test_an_error_reaches_the_caller_and_ends_the_thread(broken):
    def fail(item: int) -> int:
        if item == broken:
            raise ZeroDivisionError
        return item

    with pytest.raises(ZeroDivisionError):
        list(ahead(fail, range(9)))
    assert _threads() == 0


def _threads() -> int:
    return sum(thread.name.startswith("tilth-gather") for thread in threading.enumerate())


def test_the_thread_ends_with_a_pass_whether_finished_or_left(monkeypatch):
    monkeypatch.setattr("tilth.loaders.table.BLOCK_BYTES", 1)
    loader = TableLoader(torch.zeros(100, 2), batch_size=10, device="cpu")
    left = iter(loader)
    next(left)
    assert _threads() == 1
    left.close()
    assert _threads() == 0
    for _ in loader:
        pass
    assert _threads() == 0
