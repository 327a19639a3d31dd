"""A stream hands out every row once, the same way whatever the files, and reads no more than it must."""

from __future__ import annotations

import json
import threading
import time
import warnings
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils._param_validation import InvalidParameterError

from tilth.errors import DataError, StageError, TilthWarning
from tilth.loaders import TableLoader
from tilth.loaders.stream import StreamLoader
from tilth.loaders.stream_dataset import StreamDataset

ROWS = 1003
rng = np.random.default_rng(0)
FRAME = pl.DataFrame(
    {
        "row": np.arange(ROWS, dtype=np.float32),
        "noise": rng.standard_normal(ROWS).astype(np.float32),
        "city": rng.choice(["Rome", "Oslo", "Bern"], ROWS),
        "label": rng.choice(["b", "a", "c"], ROWS),
        "weight": rng.random(ROWS).astype(np.float32),
    }
)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("stream") / "rows.parquet"
    FRAME.write_parquet(path, row_group_size=100)
    return path


def loader(source, target="label", **settings):
    given = {"batch_size": 32, "device": "cpu", "slice_rows": 25, "buffer_rows": 100, "random_state": 5}
    return StreamLoader(source, target, **{**given, "columns": ["row", "noise"], **settings})


def met(batches):
    return [row for X, *_ in batches for row in X[:, 0].tolist()]


def stream(batches):
    return [tuple(part.tolist() for part in batch) for batch in batches]


def threads():
    return [each for each in threading.enumerate() if each.name.startswith("tilth-stream")]


@pytest.fixture
def reads(monkeypatch):
    """The stretches of rows that are read, in turn."""
    found = []
    read = StreamDataset.tensors

    def noted(self, start, stop):
        found.append((start, stop))
        return read(self, start, stop)

    monkeypatch.setattr(StreamDataset, "tensors", noted)
    return found


@given(
    n_rows=st.integers(0, 60),
    batch_size=st.integers(1, 20),
    slice_rows=st.integers(1, 12),
    slices=st.integers(1, 5),
    world_size=st.integers(1, 3),
    drop_last=st.booleans(),
    shuffle=st.booleans(),
)
@settings(max_examples=25)
def test_every_row_comes_once_over_all_processes_in_equally_many_steps(
    tmp_path_factory, n_rows, batch_size, slice_rows, slices, world_size, drop_last, shuffle
):
    path = tmp_path_factory.getbasetemp() / f"first-{n_rows}.parquet"
    if not path.exists():
        FRAME[:n_rows].write_parquet(path, row_group_size=17)
    seen, steps = [], set()
    for rank in range(world_size):
        own = loader(
            path,
            None,
            batch_size=batch_size,
            slice_rows=slice_rows,
            buffer_rows=slice_rows * slices,
            drop_last=drop_last,
            shuffle=shuffle,
            rank=rank,
            world_size=world_size,
        )
        batches = list(own)
        assert len(batches) == len(own)
        steps.add(len(batches))
        assert all(0 < len(X) <= batch_size for (X,) in batches)
        assert not drop_last or all(len(X) == batch_size for (X,) in batches)
        seen += met(batches)
    assert len(steps) == 1
    if drop_last:
        assert len(set(seen)) == len(seen) == steps.pop() * batch_size * world_size
    elif n_rows >= world_size and batch_size > 1:
        assert sorted(seen) == list(range(n_rows))
    else:
        assert set(seen) == set(range(n_rows))


def test_batches_are_the_rows_that_the_sampler_names_as_a_table_in_memory_holds_them(file):
    ours = loader(file, weight="weight", codes=["city"])
    table = TableLoader(
        FRAME.select("row", "noise", "city"),
        FRAME["label"],
        weight=FRAME["weight"],
        codes=["city"],
        batch_size=ROWS,
        shuffle=False,
        device="cpu",
    )
    whole = next(iter(table))
    for epoch in range(2):
        rows = ours.sampler.rows(epoch)
        for batch, cut in zip(ours, ours.cuts(), strict=True):
            assert len(batch) == 4
            assert all(torch.equal(a, b[rows[cut]]) for a, b in zip(batch, whole, strict=True))
    assert ours.classes_.tolist() == table.classes_.tolist() == ["a", "b", "c"]
    assert ours.codes_["city"].tolist() == table.codes_["city"].tolist()
    assert list(ours.cardinalities_) == list(table.cardinalities_) == [4]
    assert ours.columns_ == ["row", "noise"]


def test_without_shuffling_batches_are_those_of_a_table_in_memory(file):
    table = TableLoader(
        FRAME.select("row", "noise"), FRAME["label"], batch_size=32, shuffle=False, device="cpu"
    )
    assert stream(loader(file, shuffle=False)) == stream(table)


@pytest.mark.parametrize("layout", ["large groups", "small groups", "many files", "query"])
def test_batches_are_the_same_however_the_rows_are_laid_out(file, tmp_path, layout):
    edges = [0, 1, 1, 400, 1000, ROWS] if layout == "many files" else [0, ROWS]
    groups = {"large groups": ROWS, "small groups": 7}.get(layout, 300)
    for i, (start, stop) in enumerate(pairwise(edges)):
        FRAME[start:stop].write_parquet(tmp_path / f"{i}.parquet", row_group_size=groups)
    source = pl.scan_parquet(tmp_path) if layout == "query" else tmp_path
    assert stream(loader(source)) == stream(loader(file))


def test_epochs_differ_and_a_seed_gives_them_again(file):
    first, second = loader(file), loader(file)
    epochs = [stream(first), stream(first)]
    assert epochs[0] != epochs[1]
    second.set_epoch(1)
    assert stream(second) == epochs[1]
    assert stream(loader(file, random_state=6)) != epochs[0]


def test_the_global_generator_is_neither_read_nor_moved(file):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    ours = stream(loader(file))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert stream(loader(file)) == ours


@pytest.mark.parametrize("position", [0, 1, 3, 4, 31, 32])
def test_a_pass_resumes_with_the_batches_that_were_left(file, position):
    whole = loader(file, augment=lambda batch, generator: (*batch, torch.rand(1, generator=generator)))
    epochs = [stream(whole) for _ in range(3)]
    begun = loader(file)
    next(iter(begun))
    begun.set_epoch(1)
    batches = iter(begun)
    for _ in range(position):
        next(batches)
    state = json.loads(json.dumps(begun.state_dict()))
    resumed = loader(
        file, random_state=9, augment=lambda batch, generator: (*batch, torch.rand(1, generator=generator))
    )
    resumed.load_state_dict(state)
    left = epochs[1][position:] or epochs[2]  # after the last batch, the next epoch is due
    assert stream(resumed) == left


def test_resuming_jumps_to_its_window_without_reading_those_before(file, reads):
    whole = stream(loader(file))
    resumed = loader(file)
    resumed.load_state_dict({**resumed.state_dict(), "position": 16})
    reads.clear()
    assert stream(resumed) == whole[16:]
    windows = resumed.sampler.windows(0)
    first = next(i for i in range(len(windows)) if sum(map(len, windows[: i + 1])) > 16 * 32)
    wanted = sorted(cut for window in windows[first:] for cut in window.slices)
    read = sum(stop - start for start, stop in reads)
    assert read == sum(stop - start for start, stop in wanted) < 0.6 * ROWS


def test_a_state_of_other_windows_is_refused(file):
    state = loader(file).state_dict()
    with pytest.raises(DataError, match="buffer_rows=100, but this loader has buffer_rows=75"):
        loader(file, buffer_rows=75).load_state_dict(state)
    with pytest.raises(DataError, match="block_rows"):
        loader(file, slice_rows=20).load_state_dict(state)
    ordered = loader(file, shuffle=False).state_dict()
    loader(file, shuffle=False, buffer_rows=75).load_state_dict(ordered)  # windows change nothing there
    assert loader(file, shuffle=False, buffer_rows=75).state_dict() == ordered


def test_a_process_reads_its_own_share_and_little_more(file, reads):
    shares = []
    for rank in range(4):
        own = loader(file, rank=rank, world_size=4)
        reads.clear()
        list(own)
        shares.append(sum(stop - start for start, stop in reads))
        assert shares[-1] == len(own.sampler)
    assert sum(shares) == ROWS


def test_all_processes_learn_the_same_classes(tmp_path):
    path = tmp_path / "sorted.parquet"
    FRAME.sort("label").write_parquet(path)
    for rank in range(3):
        own = loader(path, rank=rank, world_size=3, shuffle=False)
        assert own.classes_.tolist() == ["a", "b", "c"]


def test_slices_that_touch_are_read_together_and_none_twice(file, reads):
    list(loader(file, shuffle=False, slice_rows=10, buffer_rows=400))
    assert reads == [
        (start, min(start + 100, end))
        for begin, end in ((0, 330), (330, 670), (670, ROWS))
        for start in range(begin, end, 100)
    ]


def test_a_window_is_read_while_the_one_before_is_in_use_and_no_other(file, reads):
    own = loader(file)
    batches = iter(own)
    next(batches)
    windows = own.sampler.windows(0)
    expected = sum(len(window) for window in windows[:2])
    until = time.monotonic() + 5
    while sum(b - a for a, b in reads) < expected and time.monotonic() < until:
        time.sleep(0.002)
    time.sleep(0.03)
    assert sum(b - a for a, b in reads) == expected
    del batches


@pytest.mark.parametrize("how", ["to the end", "break", "error", "kept"])
def test_no_thread_outlives_its_pass(file, how):
    own = loader(file)
    assert threads() == []
    if how == "to the end":
        assert len(list(own)) == len(own)
    elif how == "break":
        for _ in own:
            assert len(threads()) == 1
            break
    elif how == "error":
        with pytest.raises(ZeroDivisionError):
            for _ in own:
                1 / 0  # noqa: B018
    else:
        batches = iter(own)
        kept = next(batches)
        batches.close()
        assert len(kept[0]) == 32
    assert threads() == []


def test_a_batch_may_be_kept_and_changed(file):
    own = loader(file)
    first = stream(own)
    own.set_epoch(0)
    kept = []
    for X, y in own:
        kept.append((X.clone(), y.clone()))
        X += 1
        y *= 0
    assert stream(kept) == first


def test_damage_in_mid_stream_is_raised_with_the_file_and_rows_and_ends_the_thread(tmp_path):
    for i in range(4):
        FRAME[i * 250 : (i + 1) * 250].write_parquet(tmp_path / f"{i}.parquet")
    own = loader(tmp_path, shuffle=False)
    content = bytearray((tmp_path / "2.parquet").read_bytes())
    content[4:-1000] = bytes(len(content) - 1004)
    (tmp_path / "2.parquet").write_bytes(content)
    seen = []
    with pytest.raises(DataError, match=r"2\.parquet, rows \d+ to \d+: cannot be read"):
        for X, _ in own:
            seen += X[:, 0].tolist()
    assert seen == list(range(len(seen))) and 400 <= len(seen) <= 500
    assert threads() == []


def test_a_missing_label_in_mid_stream_is_raised_with_the_file_and_rows(tmp_path):
    path = tmp_path / "rows.parquet"
    gap = pl.when(pl.col("row") == 700).then(None).otherwise("label")
    FRAME.with_columns(label=gap).write_parquet(path)
    own = loader(path, classes=["a", "b", "c"], shuffle=False)
    with pytest.raises(
        DataError, match=r"rows.parquet, rows 700 to 724: target: .* missing, the first in row 0"
    ):
        list(own)


def test_change_that_loses_rows_in_mid_stream_is_raised_with_the_rows(file):
    own = loader(file, None, shuffle=False, change=lambda frame: frame.filter(pl.col("row") != 700))
    with pytest.raises(StageError, match="rows 700 to 724: it made 24 rows of 25"):
        list(own)


def test_change_makes_the_features(file):
    own = loader(file, columns=["twice"], change=lambda frame: frame.with_columns(twice=pl.col("row") * 2))
    assert sorted(met(own)) == [2.0 * row for row in range(ROWS)]


def test_the_place_of_a_row_in_the_source_goes_with_it(file):
    def change(frame):
        return frame.with_columns(wrong=pl.col("row") - pl.col("place").cast(pl.Float32))

    own = loader(file, columns=["wrong", "row"], change=change, row_index="place")
    assert all((X[:, 0] == 0).all() for X, _ in own)


def test_batches_are_augmented_by_their_position_and_codes_stay_with_their_row(file):
    class Reversed:
        def for_batches(self, *names):
            raise AssertionError

        def augment(self, batch, generator):
            assert len(batch) == 2
            return (batch[0] * 0 + torch.rand(1, generator=generator), batch[1])

    plain = list(loader(file, codes=["city"]))
    changed = list(loader(file, codes=["city"], augment=[Reversed()]))
    again = list(loader(file, codes=["city"], augment=Reversed()))
    assert all(
        torch.equal(a[1], b[1]) and torch.equal(a[2], b[2]) for a, b in zip(plain, changed, strict=True)
    )
    assert all(torch.equal(a[0], b[0]) for a, b in zip(again, changed, strict=True))
    assert len({a[0][0, 0].item() for a in changed}) > 20


def test_a_shuffle_is_exact_where_all_rows_fit_into_a_window(file):
    own = loader(file, slice_rows=None, buffer_rows=None)
    assert own.shuffle_quality == 1.0
    assert len(own.sampler.windows(0)) == 1
    assert own.buffer_rows * own.dataset.row_bytes <= 128 * 2**20
    rows = own.sampler.rows(0)
    assert sorted(rows.tolist()) == list(range(ROWS))
    # As far from their places as in an exact shuffle, whose mean distance is a third of the length.
    assert abs((rows - torch.arange(ROWS)).abs().double().mean() / (ROWS / 3) - 1) < 0.1


@pytest.mark.parametrize(("slice_rows", "buffer_rows"), [(50, 200), (50, 1000), (10, 1000), (50, 4000)])
def test_shuffle_quality_is_the_scatter_of_batches_against_that_of_an_exact_shuffle(
    tmp_path, slice_rows, buffer_rows
):
    n, batch = 4000, 40
    path = tmp_path / "sorted.parquet"
    alike = np.arange(n) // slice_rows  # all rows of a slice are alike, and slices are not
    pl.DataFrame({"x": rng.standard_normal(n // slice_rows)[alike]}).write_parquet(path)
    own = StreamLoader(path, device="cpu", batch_size=batch, slice_rows=slice_rows, buffer_rows=buffer_rows)
    x = own.dataset[:][0][:, 0].double()
    streamed = torch.cat([x[own.sampler.rows(epoch)].view(-1, batch).mean(1) for epoch in range(60)])
    exact = torch.cat([x[torch.from_numpy(rng.permutation(n))].view(-1, batch).mean(1) for _ in range(60)])
    assert own.places == min(buffer_rows, n) // slice_rows
    assert own.shuffle_quality == pytest.approx(float(exact.std() / streamed.std()), rel=0.08)
    assert (own.shuffle_quality == 1) == (buffer_rows == n)


def test_a_larger_buffer_or_smaller_slices_shuffle_better(file):
    def quality(slice_rows, buffer_rows):
        return loader(file, slice_rows=slice_rows, buffer_rows=buffer_rows).shuffle_quality

    assert quality(25, 100) < quality(25, 400) < quality(5, 400) < 1
    assert loader(file, shuffle=False).shuffle_quality == 0


def test_a_loader_says_what_it_is(file):
    assert repr(loader(file)) == (
        "StreamLoader(1003 rows of 1 file, 32 batches of 32 from 3 places or more, 11 windows of up to 100 "
        "rows, batches on cpu)"
    )
    assert "in order" in repr(loader(file, shuffle=False))
    assert "exact shuffle, 1 window of" in repr(loader(file, buffer_rows=2000))
    assert "exact" not in repr(loader(file, buffer_rows=2000, rank=0, world_size=2))
    assert "of a query" in repr(loader(pl.scan_parquet(file)))


def test_it_has_what_frameworks_ask_a_dataloader_for(file):
    own = loader(file)
    assert (own.batch_size, own.num_workers, own.drop_last, own.batch_sampler) == (32, 0, False, None)
    assert len(own.dataset) == ROWS == len(own.sampler)
    assert own.pin_memory is False


def test_row_groups_that_make_slices_dear_are_warned_of(tmp_path, monkeypatch):
    monkeypatch.setattr("tilth.loaders.stream.LARGE_GROUP", 1000)
    path = tmp_path / "rows.parquet"
    FRAME.write_parquet(path)
    with pytest.warns(TilthWarning, match=r"row groups of up to 1003 rows.* about 40 times.*row_group_size"):
        loader(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loader(path, slice_rows=100)
        loader(path, buffer_rows=2000)  # everything is read once, at once
        monkeypatch.setattr("tilth.loaders.stream.LARGE_GROUP", 100_000)
        loader(path)


@pytest.mark.parametrize(
    "wrong", [{"buffer_rows": 0}, {"slice_rows": 2.5}, {"buffer_rows": 20}, {"batch_size": 0}]
)
def test_sizes_out_of_range_are_refused_by_name(file, wrong):
    with pytest.raises(InvalidParameterError, match=next(iter(wrong))):
        loader(file, **wrong)


def test_there_is_no_sampler_to_ask_for(file):
    with pytest.raises(TypeError, match="sampler"):
        loader(file, sampler="weighted")


def test_wrong_settings_of_processes_are_refused(file):
    with pytest.raises(InvalidParameterError, match="rank"):
        loader(file, rank=2, world_size=2)
    with pytest.raises(InvalidParameterError, match="random_state=None"):
        loader(file, rank=0, world_size=2, random_state=None)
