"""The benchmark of what reaches a GPU runs line by line on a CPU; and without a GPU it measures nothing."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("loader_device")


def test_without_a_gpu_nothing_is_measured_and_that_is_said(benchmark, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert benchmark.device(True) == ([], {"skipped": "no CUDA device"})
    assert "skipped" in capsys.readouterr().out


def test_it_runs_from_end_to_end(benchmark):
    sizes = benchmark.Sizes(4096, 1024, 512, 4096, 6, 48, 3, 1)
    bars, figures = benchmark.measured(torch.device("cpu"), sizes)
    assert [bar.name for bar in bars] == [
        f"loader.device.{name}" for name in ("copy", "bus", "mlp", "images")
    ]
    assert all(bar.value > 0 for bar in bars)
    assert all(0 < bar.value < 1 for bar in bars[2:])
    rates = figures["gb_per_second"]
    assert bars[0].value == round(rates["device"] / rates["copy"], 4)
    assert bars[1].value == round(rates["pinned"] / rates["bus"], 4)
    assert set(figures["mlp"]) == {"auto", "pinned", "host", "ready"}


def test_batches_that_differ_from_those_of_the_cpu_stop_it(benchmark, monkeypatch, tmp_path):
    cpu = torch.device("cpu")
    monkeypatch.setattr(torch, "equal", lambda a, b: False)
    with pytest.raises(SystemExit, match="device: batches differ"):
        benchmark.check_tables(cpu)
    paths = list(benchmark.pictures(tmp_path, 3, 32))
    with pytest.raises(SystemExit, match="images: batches differ"):
        benchmark.check_images(cpu, paths, {"size": 16})


def test_bars_are_held_to_their_goals(benchmark):
    assert benchmark._reached("copy", 0.5)
    assert not benchmark._reached("bus", 0.79)
    assert benchmark._reached("mlp", 0.05)
    assert not benchmark._reached("images", 0.06)


def test_waiting_is_the_time_between_asking_for_a_batch_and_having_it(benchmark):
    clock = benchmark.Clock(torch.device("cpu"))
    now = 0.0

    def at() -> float:
        return now

    clock.now = at

    def passing(seconds: float) -> None:
        nonlocal now
        now += seconds

    def batches():
        passing(5.0)  # the first batch
        yield (1.0,)
        passing(0.5)
        yield (2.0,)
        passing(0.25)  # to see that there is no more

    share, seconds = benchmark.waiting(batches(), passing, clock)
    assert seconds == 5 + 1 + 0.5 + 2 + 0.25
    assert share == 5.75 / 8.75


def test_a_resnet_18_is_of_its_usual_size(benchmark):
    network = benchmark.resnet18()
    assert sum(each.numel() for each in network.parameters()) == pytest.approx(11.2e6, rel=0.01)
    assert network(torch.zeros(2, 3, 64, 64)).shape == (2, 10)


def test_a_moment_of_a_gpu_is_an_event(benchmark, monkeypatch):
    class Event:
        def __init__(self, enable_timing):
            assert enable_timing
            self.at = None

        def record(self):
            self.at = 3.0

        def synchronize(self):
            assert self.at is not None
            self.done = True

        def elapsed_time(self, other):
            assert other.done
            return 1500.0

    monkeypatch.setattr(torch.cuda, "Event", Event)
    clock = benchmark.Clock(torch.device("cuda"))
    assert clock.seconds(clock.now(), clock.now()) == 1.5
