"""What benchmarks end with: a part is kept as soon as it is done, beside those of other runs."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def bars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the module, its results in a folder of the test's."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
    import bars

    monkeypatch.setattr(bars, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(bars, "machine", dict)
    return bars


@pytest.fixture
def run(bars: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that runs a benchmark of three parts, the last of which fails."""
    made: Any = types.ModuleType("parts")
    made.good = lambda quick: ([bars.Bar("x.good", 1.0, 1.0, True)], {"quick": quick})
    made.short = lambda quick: ([bars.Bar("x.short", 2.0, 1.0, False)], {})

    def broken(quick: bool) -> Any:
        raise RuntimeError("no such data")

    made.broken = broken
    monkeypatch.setitem(sys.modules, "parts", made)

    def run(*asked: str) -> tuple[int, dict[str, Any]]:
        monkeypatch.setattr(sys, "argv", ["x", *asked])
        code = bars.drive("x", "What it is.", {p: ("parts", p) for p in ("good", "short", "broken")})
        file = bars.RESULTS / "x.json"
        return code, json.loads(file.read_text()) if file.exists() else {}

    return run


def test_parts_run_one_by_one_lie_beside_each_other(run: Any) -> None:
    assert run("--only", "good")[0] == 0
    code, held = run("--only", "short")
    assert code == 1
    assert list(held["parts"]) == ["good", "short"]
    assert held["parts"]["good"]["figures"] == {"quick": False}
    assert {"commit", "changed", "date", "versions", "device", "seconds"} <= set(held["parts"]["short"])
    assert held["parts"]["short"]["bars"] == [{"name": "x.short", "value": 2.0, "goal": 1.0, "ok": False}]


def test_a_part_that_fails_is_told_and_takes_nothing_from_the_others(
    run: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    run("--only", "good")
    code, held = run()
    told = capsys.readouterr()
    assert code == 1
    assert list(held["parts"]) == ["good", "short"]
    assert "no such data" in told.err
    assert "BAR x.good 1 1 ok" in told.out
    assert "x: missed x.short, broken failed" in told.out


def test_several_parts_can_be_asked_for_and_an_unknown_one_is_refused(run: Any) -> None:
    assert list(run("--only", "short", "good")[1]["parts"]) == ["good", "short"]
    with pytest.raises(SystemExit, match="2"):
        run("--only", "goods")


def test_a_quick_run_writes_nothing(run: Any, bars: Any) -> None:
    code, held = run("--quick")
    assert code == 1
    assert held == {}
    assert not bars.RESULTS.exists()


def test_what_is_written_is_written_whole(run: Any, bars: Any) -> None:
    run("--only", "good")
    assert [file.name for file in bars.RESULTS.iterdir()] == ["x.json"]
