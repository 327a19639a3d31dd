"""Worker processes: the stream of threads, errors that name the file, and nothing left of them."""

from __future__ import annotations

import copy
import gc
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.loaders.pictures import broken, folder_of
from tests.loaders.stages_for_workers import AT, Fragile, Happening, Shifted, Told
from tilth.errors import DataError, ImageError, StageError, TilthError, TilthWarning
from tilth.loaders import ImageLoader, workers

COUNT = 23
on_linux = pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="Linux lists what is mapped")


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return folder_of(tmp_path_factory.mktemp("images"), COUNT)


def loader(paths, target=None, **settings):
    target = np.arange(len(paths)) if target is None else target
    given = {"size": 16, "batch_size": 4, "device": "cpu", "random_state": 5, "workers": 2, **settings}
    return ImageLoader(paths, target, **given)


def stream(batches):
    return [tuple(part.tolist() for part in batch) for batch in batches]


def children():
    return [p for p in multiprocessing.active_children() if p.name.startswith("tilth-image")]


def soon(what):
    """Return whether something comes true within a few seconds."""
    until = time.monotonic() + 10
    while not what() and time.monotonic() < until:
        time.sleep(0.01)
    return what()


@pytest.fixture(autouse=True)
def nothing_is_left():
    yield
    gc.collect()
    assert soon(lambda: not children())


class Noise:
    def augment(self, batch, generator):
        X, *rest = batch
        return (X + torch.rand(X.shape, generator=generator), *rest)


WAYS = {
    "stages": {"augment": [Shifted(), Noise()], "normalize": "imagenet", "fit": "random", "flip": 0.5},
    "memory": {"fit": "random", "flip": 0.5, "cache": "memory", "channels_last": False},
    "disk": {"cache": "folder", "dtype": "bfloat16"},
    "balanced": {"sampler": "balanced", "augment": Shifted(), "fit": "random"},
}


@pytest.mark.parametrize("way", WAYS)
def test_the_stream_is_that_of_threads_for_any_number_of_workers_and_where_it_is_resumed(
    paths, way, tmp_path
):
    settings = {**WAYS[way]}
    if settings.get("cache") == "folder":
        settings["cache"] = tmp_path
    labels = [i % 3 for i in range(COUNT)]
    threaded = loader(paths, labels, workers=0, threads=4, **settings)
    expected = [stream(threaded) for _ in range(2)]
    for count in (1, 8):
        batches = loader(paths, labels, workers=count, **settings)
        seen, begun = [], []
        for _ in range(2):
            seen.append(stream(batches))
            begun.append({child.pid for child in children()})
        assert seen == expected
        # They stay from one whole pass to the next; one is started where no other stands idle.
        assert begun[0] <= begun[1] and 1 <= len(begun[0]) <= len(begun[1]) <= count
        del batches
        gc.collect()
        assert soon(lambda: not children())
    passing = iter(batches := loader(paths, labels, **settings))
    first = stream(next(passing) for _ in range(2))
    state = batches.state_dict()
    passing.close()
    resumed = loader(paths, labels, **{**settings, "random_state": 0})
    resumed.load_state_dict(state)
    assert [first + stream(resumed), stream(resumed)] == expected


@pytest.mark.parametrize("method", sorted({*multiprocessing.get_all_start_methods()} - {"forkserver"}))
def test_processes_may_be_started_in_any_way(paths, method, tmp_path):
    settings = {"fit": "random", "cache": "memory", "augment": Shifted()}
    batches = loader(paths, multiprocessing_context=method, **settings)
    assert stream(batches) == stream(loader(paths, workers=0, **settings))
    passing = iter(batches)
    next(passing)
    assert {type(p).__name__.lower() for p in children()} == {f"{method}process"}
    passing.close()
    assert not children()


def test_passes_at_the_same_time_do_not_mix(paths):
    batches, threaded = loader(paths, augment=Shifted()), loader(paths, augment=Shifted(), workers=0)
    for _ in range(2):
        ours, theirs = zip(batches, batches, strict=True), zip(threaded, threaded, strict=True)
        assert [stream(pair) for pair in ours] == [stream(pair) for pair in theirs]
    assert len(children()) == 2


def test_a_stage_that_was_changed_between_passes_is_sent_anew(paths):
    stage = Shifted(by=1)
    batches, threaded = loader(paths, augment=stage), loader(paths, augment=stage, workers=0)
    before = stream(batches)
    first = {p.pid for p in children()}
    stage.by = 90
    threaded.set_epoch(1)
    after = stream(batches)
    assert after == stream(threaded) and {p.pid for p in children()}.isdisjoint(first)
    stage.by = 1
    threaded.set_epoch(0)
    assert before == stream(threaded)


def test_workers_hold_no_torch(paths):
    assert all(not X.any() for X, _ in loader(paths, augment=Told()))
    assert all(X.all() for X, _ in loader(paths, augment=Told(), workers=0))


@pytest.mark.parametrize(
    ("what", "how"),
    [
        ("SIGKILL", "was killed by SIGKILL"),
        ("SIGTERM", "was killed by SIGTERM"),
        ("leave", "ended with exit code 3"),
    ],
)
def test_a_worker_that_dies_is_told_with_the_file_it_was_at_and_the_rest_is_resumed(
    paths, tmp_path, what, how
):
    mark = tmp_path / "mended"
    batches = loader(paths, shuffle=False, augment=Happening(what, str(mark)), workers=3)
    given = []
    with pytest.raises(DataError, match=rf"A worker process {how} while it was at .*013\.png.*fewer workers"):
        for batch in batches:
            given += stream([batch])
    assert not children() and len(given) <= AT // 4
    mark.touch()
    assert batches.state_dict()["position"] == len(given)
    resumed = loader(paths, shuffle=False)
    resumed.load_state_dict(batches.state_dict())
    assert given + stream(resumed) == stream(loader(paths, shuffle=False, workers=0))
    batches.set_epoch(0)
    assert len(list(batches)) == 6  # and the same loader may be used again


def test_a_decoder_that_crashes_is_told_with_the_file_in_any_epoch(paths):
    batches = loader(paths)
    list(batches)
    batches.dataset.pictures = Fragile(paths, (16, 16), "crop")
    with pytest.raises(DataError, match=r"killed by SIGSEGV while it was at .*013\.png"):
        list(batches)
    assert not children()


def test_workers_that_die_while_they_wait_for_a_pass_are_started_anew(paths):
    batches = loader(paths)
    list(batches)
    for process in children():
        os.kill(process.pid, signal.SIGKILL)
    assert soon(lambda: not children())
    assert len(list(batches)) == 6


def test_workers_that_cannot_start_tell_why_they_may_not(paths, monkeypatch, capfd):
    stage = Shifted()
    batches = loader(paths, augment=stage)
    monkeypatch.setattr(Shifted, "__reduce__", lambda self: (exec, ("raise SystemExit(1)",)))
    with pytest.raises(TilthError, match=r"exit code 1 before it came to an image.*__main__.*workers=0"):
        list(batches)
    assert not children()


def test_a_death_while_another_worker_is_being_started_is_told_as_a_death(paths, monkeypatch):
    batches = loader(paths, augment=Happening("kill"), shuffle=False)
    submit = workers.ProcessPoolExecutor.submit

    def closed_meanwhile(pool, *given):
        if len(pool._processes) == 1:
            next(iter(pool._processes.values())).kill()
            raise OSError(9, "Bad file descriptor")
        return submit(pool, *given)

    monkeypatch.setattr(workers.ProcessPoolExecutor, "submit", closed_meanwhile)
    with pytest.raises(TilthError, match="was killed by SIGKILL"):
        list(batches)
    assert not children()


def test_an_error_of_the_system_is_no_death(paths, monkeypatch):
    def full(pool, *given):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(workers.ProcessPoolExecutor, "submit", full)
    with pytest.raises(OSError, match="Too many open files"):
        list(loader(paths))


def test_a_stage_that_fails_is_told_with_the_file_as_in_threads(paths):
    told = []
    for count in (0, 2):
        batches = loader(paths, shuffle=False, augment=Happening("fail"), workers=count)
        with pytest.raises(StageError) as caught:
            list(batches)
        told.append(str(caught.value))
    assert told[0] == told[1] and "013.png could not be changed: ZeroDivisionError: one by zero" in told[0]
    assert not children()


@pytest.mark.parametrize("cache", [None, "memory"])
def test_what_cannot_be_decoded_is_left_out_counted_and_told_once(paths, tmp_path, cache):
    hostile = broken(tmp_path)
    mixed = [*paths[:3], hostile[0], *paths[3:7], *hostile[1:], *paths[7:10]]
    batches = loader(mixed, cache=cache, shuffle=False)
    with pytest.warns(TilthWarning, match=r"cut\.jpg: truncated") as told:
        seen = list(batches)
    assert len(told) == 1
    with pytest.warns(TilthWarning):
        assert stream(seen) == stream(loader(mixed, cache=cache, shuffle=False, workers=0))
    assert [y.tolist() for _, y in seen] == [[0, 1, 2], [4, 5, 6, 7], [10, 11], [12]]
    assert batches.skipped == dict(zip(hostile, ("truncated", "not an image", "missing"), strict=True))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        list(batches)
    with pytest.raises(ImageError, match=r"cut\.jpg") as caught:
        list(loader(mixed, unreadable="raise"))
    assert caught.value.reason == "truncated"


SHARED = Path("/dev/shm")


def mapped():
    """Return the bytes of each piece of shared memory that this process holds, by its number."""
    lines = [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
    ranges = {int(line[4]): line[0].split("-") for line in lines if line[5:] and str(SHARED) in line[5]}
    return {number: int(stop, 16) - int(start, 16) for number, (start, stop) in ranges.items()}


def named():
    """Return which of all processes' pieces have a name, and so outlive these."""
    return {entry.inode() for entry in os.scandir(SHARED)}


@on_linux
@pytest.mark.parametrize("way", ["left", "closed", "raised", "died", "failed", "deleted"])
def test_no_processes_no_threads_and_no_shared_memory_are_left(paths, way):
    settings = {"size": 400, "shuffle": False}  # of more memory than Python keeps for the next
    for _ in loader(paths, **settings):
        break
    gc.collect()
    before, threads, held, names = set(mapped()), threading.active_count(), {}, set()
    stages = {"died": Happening("SIGKILL"), "failed": Happening("fail")}
    batches = loader(paths, augment=stages.get(way, ()), **settings)

    def go_on(until=None):
        for number, _ in enumerate(batches):
            held.update(mapped())
            names.update(named())
            assert children() or way == "died"  # where that may have been by now
            if number == 1 and until is not None:
                until()
                return

    def interrupted():
        raise KeyboardInterrupt

    if way == "left":
        go_on(until=lambda: None)
    elif way == "closed":
        passing = iter(batches)
        next(passing)
        held, names = mapped(), named()
        passing.close()
    elif way == "raised":
        with pytest.raises(KeyboardInterrupt):
            go_on(until=interrupted)
    elif way in stages:
        with pytest.raises(TilthError):
            go_on()
    else:
        go_on()
        assert len(children()) == 2
        del batches
    assert not children() or way == "deleted"
    more = set(held) - before
    assert sum(held[piece] for piece in more) > 3 * 4 * 400 * 400 * 3 and names & more
    gc.collect()
    assert soon(lambda: threading.active_count() == threads), threading.enumerate()
    assert soon(lambda: not named() & more)
    # Python keeps small pieces for the next array.
    assert soon(lambda: sum(size for piece, size in mapped().items() if piece not in before) < 2**20)


def test_a_stage_that_never_returns_does_not_keep_the_loop_from_ending(paths, monkeypatch):
    monkeypatch.setattr(workers, "GRACE", 0.2)
    for number, _ in enumerate(loader(paths, shuffle=False, augment=Happening("wait"))):
        if number == 2:
            break
    assert not children()


@on_linux
@pytest.mark.parametrize("killed", [True, False])
def test_workers_end_with_the_training_process_however_that_ends(paths, tmp_path, killed):
    script = tmp_path / "train.py"
    script.write_text(
        "import multiprocessing, sys, time\n"
        "from tilth.loaders import ImageLoader\n"
        "if __name__ == '__main__':\n"
        "    loader = ImageLoader(sys.argv[1:], size=16, batch_size=2, device='cpu', workers=2)\n"
        "    for X in loader:\n"
        "        pids = [p.pid for p in multiprocessing.active_children()]\n"
        "    print(*pids, flush=True)\n"
        "    passing, threaded = iter(loader), iter(ImageLoader(sys.argv[1:], size=16, device='cpu'))\n"
        "    next(passing), next(threaded)\n"
        f"    time.sleep({100 * killed})\n"
    )
    training = subprocess.Popen(
        [sys.executable, script, *paths], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert training.stdout is not None and training.stderr is not None
    pids = [int(pid) for pid in training.stdout.readline().split()]
    assert len(pids) == 2
    if killed:
        training.kill()
    assert training.wait() == (-signal.SIGKILL if killed else 0)
    assert soon(lambda: not any(running(pid) for pid in pids))
    said = training.stderr.read()
    assert killed or not said, said
    training.stdout.close()
    training.stderr.close()


def running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda loader: pickle.loads(pickle.dumps(loader))])
@pytest.mark.parametrize("cache", [None, "memory", "folder"])
def test_a_loader_may_be_copied_while_its_workers_wait(paths, copied, cache, tmp_path):
    batches = loader(paths, cache=tmp_path if cache == "folder" else cache)
    list(batches)
    other = copied(batches)
    assert other.epoch == 0
    assert stream(other) == stream(batches)
    assert len(children()) == 4


class Local:
    """A stage that holds what cannot be sent."""

    per_image = True

    def __init__(self):
        self.change = lambda pixels: 255 - pixels

    def augment_image(self, pixels, *, row, epoch, label=None):
        return self.change(pixels)

    def augment(self, batch, generator):
        return batch


def test_a_stage_that_cannot_be_sent_is_refused_before_anything_begins(paths):
    with pytest.raises(DataError, match=r"augment: .*Local.* cannot be sent.*top of a module.*'fork'"):
        loader(paths, augment=Local())


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no forks here")
def test_a_fork_needs_to_be_sent_nothing_and_does_not_wait_for_threads_of_opencv(paths):
    cv2.GaussianBlur(np.zeros((2000, 2000, 3), np.uint8), (9, 9), 2)  # all of its threads are at work
    before = cv2.getNumThreads()
    batches = loader(paths, augment=Local(), multiprocessing_context="fork")
    threaded = loader(paths, augment=Local(), workers=0)
    for _ in range(2):
        assert stream(batches) == stream(threaded)
    assert cv2.getNumThreads() == before


def test_a_stage_of_tilth_changes_images_in_workers(paths):
    import tilth

    stage = tilth.stage("augment.images", policy="heavy")
    assert stream(loader(paths, augment=stage, workers=1)) == stream(loader(paths, augment=stage, workers=0))


def test_the_number_of_workers_stands_where_frameworks_look(paths):
    batches = loader(paths, workers=2)
    assert batches.num_workers == 2 and "2 workers" in repr(batches)
    assert loader(paths, workers=0).num_workers == 0


@pytest.mark.parametrize(
    "wrong",
    [{"workers": -1}, {"workers": 1.5}, {"workers": True}, {"multiprocessing_context": "thread"}],
)
def test_parameters_out_of_range_are_refused(paths, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        loader(paths, **wrong)
