"""The examples that train a network: in one process, in two, and in Lightning."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

RECIPES = Path(__file__).parents[2] / "recipes"
EPOCHS = ("--device", "cpu", "--epochs", "2")


def run(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> str:
    monkeypatch.syspath_prepend(str(RECIPES))
    monkeypatch.setattr(sys, "argv", [name, *EPOCHS])
    runpy.run_path(str(RECIPES / name), run_name="__main__")
    return capsys.readouterr().out


def accuracy(told: str) -> float:
    found = re.search(r"^accuracy ([0-9.]+) on 1200 test rows$", told, re.MULTILINE)
    assert found, told
    return float(found[1])


def test_the_lightning_example_learns_what_the_plain_one_learns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    pytest.importorskip("lightning")
    monkeypatch.chdir(tmp_path)
    plain = run("network.py", monkeypatch, capsys)
    assert plain.count("process 0: 38 steps, 4799 rows") == 2
    # The same batches in the same order: the same network, in any framework.
    assert accuracy(run("network_lightning.py", monkeypatch, capsys)) == accuracy(plain) > 0.8
    assert not list(tmp_path.iterdir())


@pytest.mark.xdist_group("two processes")
def test_two_processes_share_the_rows_of_each_epoch(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*command, str(RECIPES / "network.py"), *EPOCHS],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("process 0: 19 steps, 2400 rows") == 2
    assert done.stdout.count("process 1: 19 steps, 2399 rows") == 2
    assert accuracy(done.stdout) > 0.8
