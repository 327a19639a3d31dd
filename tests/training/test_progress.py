"""A line now and then, and the last one always."""

import math

from tilth.training import Epoch, Progress
from tilth.training import progress as module


def epoch(loss, aside=math.nan):
    return Epoch(loss, aside, 0.0, 0.0, 0.0, 0.0)


def told(monkeypatch, capsys, times):
    clock = iter([0.0, *times])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    progress = Progress("a.stage", len(times))
    for number in range(len(times)):
        progress(number, epoch(1 / (number + 1), 0.5))
    progress.close()
    out, err = capsys.readouterr()
    assert out == ""
    return err.splitlines()


def test_lines_are_a_second_apart_and_the_last_is_told(monkeypatch, capsys):
    lines = told(monkeypatch, capsys, [0.4, 0.8, 1.2, 1.6, 2.4, 2.5])
    assert [line.split()[2] for line in lines] == ["3", "5", "6"]
    assert lines[0] == "a.stage: epoch 3 of at most 6, loss 0.33333, 0.5 on rows kept aside, 1.2 s"


def test_no_line_is_told_twice(monkeypatch, capsys):
    assert len(told(monkeypatch, capsys, [5.0])) == 1


def test_without_rows_aside_none_are_spoken_of(capsys):
    progress = Progress("a.stage", 1)
    progress(0, epoch(0.25))
    progress.close()
    assert "kept aside" not in capsys.readouterr().err
