"""Rows gathered ahead are the rows that were asked for, in order."""

from __future__ import annotations

import threading

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.loaders import TableLoader
from tilth.loaders.gather import (
    HostGather,
    ahead,
    arranged,
    gathered,
    in_batches,
    stretches,
    whole_blocks,
)


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
    assert torch.equal(found.float(), gathered([tensor], index)[0].float())
    assert found.dtype == dtype and torch.equal(found.float(), values.to(dtype).float()[index])
    for (cut,) in (gather(slice(3, 9)), gathered([tensor], slice(3, 9))):
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


@given(
    groups=st.lists(st.integers(0, 9), max_size=8),
    sizes=st.lists(st.integers(1, 12), max_size=8),
)
@settings(max_examples=200, deadline=None)
def test_batches_are_cut_across_groups_in_order_and_of_the_sizes_asked(groups, sizes):
    rows = torch.arange(sum(groups))
    made = list(in_batches(([part, part * 2] for part in rows.split(groups) if groups), sizes))
    whole = [size for size, end in zip(sizes, torch.tensor(sizes).cumsum(0), strict=True) if end <= len(rows)]
    assert [len(batch[0]) for batch in made] == whole
    if made:
        assert torch.equal(torch.cat([batch[0] for batch in made]), rows[: sum(whole)])
    assert all(torch.equal(second, first * 2) for first, second in made)


def test_a_group_is_asked_for_when_its_batch_is_due_and_not_before():
    asked = []

    def groups():
        for start in (0, 3, 6):
            asked.append(start)
            yield [torch.arange(start, start + 3)]

    batches = in_batches(groups(), [2, 2, 2, 3])
    met = []
    for (batch,) in batches:
        met.append((batch.tolist(), list(asked)))
    assert met == [([0, 1], [0]), ([2, 3], [0, 3]), ([4, 5], [0, 3]), ([6, 7, 8], [0, 3, 6])]


def test_stretches_hold_whole_batches_and_end_with_the_last():
    cuts = [slice(3, 6), slice(6, 9), slice(9, 10)]
    assert stretches(cuts, 2) == [slice(3, 9), slice(9, 10)]
    assert stretches(cuts, 5) == [slice(3, 10)]
    assert stretches([], 2) == []


@given(sizes=st.lists(st.integers(1, 7), min_size=1, max_size=6), data=st.data())
@settings(max_examples=200, deadline=None)
def test_blocks_put_in_order_on_the_device_are_the_rows_in_their_order(sizes, data):
    total = sum(sizes)
    first = data.draw(st.integers(0, total))
    last = data.draw(st.integers(first, total))
    ends = torch.tensor(sizes).cumsum(0).tolist()
    natural = [(end - size, end) for size, end in zip(sizes, ends, strict=True)]
    blocks = data.draw(st.permutations(natural))
    rows = torch.tensor([row for block in blocks for row in data.draw(st.permutations(range(*block)))])
    table = [torch.arange(total) * 3, torch.arange(total * 2.0).reshape(total, 2)]

    sent = list(whole_blocks(table, rows, blocks, slice(first, last)))
    found = list(arranged(sent))
    for part, tensor in zip(zip(*found, strict=True), table, strict=False):
        assert torch.equal(torch.cat(part), tensor[rows[first:last]])
    assert bool(found) == (first < last)

    lying = list(whole_blocks(table, None, natural, slice(first, last)))
    assert all(a.untyped_storage().data_ptr() == table[0].untyped_storage().data_ptr() for a, _ in lying)
    if lying:
        assert torch.equal(torch.cat([part for part, _ in lying]), table[0][first:last])


def test_a_block_is_sent_once_as_a_view_with_short_numbers_for_its_order():
    table = [torch.arange(8.0).reshape(8, 1)]
    ((block, inside),) = whole_blocks(table, torch.tensor([6, 4, 5]), [(4, 7)], slice(0, 3))
    assert block.data_ptr() == table[0][4].data_ptr() and len(block) == 3
    assert inside.dtype == torch.int32 and inside.tolist() == [2, 0, 1]
