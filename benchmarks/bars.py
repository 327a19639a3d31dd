"""What every benchmark ends with: one line per bar, one JSON file, an exit code."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import traceback
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("tilth", "numpy", "polars", "pandas", "scikit-learn", "torch")


class Bar(NamedTuple):
    """One figure and the goal it is held to."""

    name: str
    value: float
    goal: float
    ok: bool


def drive(name: str, told: str | None, parts: dict[str, tuple[str, str]]) -> int:
    """Run a benchmark of several parts, all or some of them by ``--only``, and return the exit code.

    ``results/<name>.json`` holds the latest run of each part, with its commit, date and device, and is
    written as soon as a part is done: what is stopped on the way keeps what it has, and parts that are run
    one by one come to lie beside each other. A quick run writes nothing: its figures are no measure. A part
    that fails is told, and the others are run all the same.

    Parameters
    ----------
    name : str
        What the results are called.
    told : str
        What the benchmark says of itself.
    parts : dict of name to (module, function)
        A function takes whether to be quick, and returns its bars and figures.
    """
    parser = argparse.ArgumentParser(description=told, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rows, one round; writes no results")
    parser.add_argument("--only", nargs="+", choices=parts, metavar="PART", help=" | ".join(parts))
    asked = parser.parse_args()
    missed: list[str] = []
    for part, (module, function) in parts.items():
        if asked.only and part not in asked.only:
            continue
        facts = state()
        begun = perf_counter()
        try:
            bars, figures = getattr(import_module(module), function)(asked.quick)
        except Exception:
            traceback.print_exc()
            missed.append(f"{part} failed")
            continue
        if not asked.quick:
            keep(name, part, as_told(bars, figures) | facts | {"seconds": round(perf_counter() - begun, 1)})
        print_bars(bars)
        missed += [bar.name for bar in bars if not bar.ok]
    if missed:
        print(f"{name}: missed {', '.join(missed)}")
    return 1 if missed else 0


def conclude(name: str, bars: list[Bar], figures: dict[str, Any]) -> int:
    """Write ``results/<name>.json``, print a line per bar, and return the exit code."""
    _write(name, as_told(bars, figures) | {"commit": state()["commit"]})
    print_bars(bars)
    return 0 if all(bar.ok for bar in bars) else 1


def keep(name: str, part: str, told: dict[str, Any]) -> None:
    """Put what one part gave into ``results/<name>.json``, beside the other parts."""
    file = RESULTS / f"{name}.json"
    held = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    _write(name, {"parts": held.get("parts", {}) | {part: told}})


def as_told(bars: list[Bar], figures: dict[str, Any]) -> dict[str, Any]:
    """Return bars and figures with versions and device, as JSON holds them."""
    return {
        "bars": [bar._asdict() for bar in bars],
        "figures": figures,
        "versions": {p: version(p) for p in PACKAGES} | {"python": platform.python_version()},
        "device": machine(),
    }


def print_bars(bars: list[Bar]) -> None:
    """Print a line per bar."""
    for bar in bars:
        print(f"BAR {bar.name} {bar.value:g} {bar.goal:g} {'ok' if bar.ok else 'MISS'}", flush=True)


def state() -> dict[str, Any]:
    """Return the commit, whether code was changed since, and the date; None where git does not tell."""
    commit = _git("rev-parse", "HEAD")
    changed = _git("status", "--porcelain", "--", "../src", "*.py") if commit else None
    date = datetime.now(UTC).isoformat(timespec="seconds")
    return {"commit": commit or None, "changed": None if changed is None else bool(changed), "date": date}


def _git(*asked: str) -> str | None:
    done = subprocess.run(
        ["git", *asked], capture_output=True, text=True, check=False, cwd=Path(__file__).parent
    )
    return done.stdout.strip() if done.returncode == 0 else None


def _write(name: str, told: dict[str, Any]) -> None:
    """Write the file whole or not at all."""
    RESULTS.mkdir(exist_ok=True)
    made = RESULTS / f"{name}.json.tmp"
    made.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    made.replace(RESULTS / f"{name}.json")


def machine() -> dict[str, Any]:
    """Return the facts of this machine that speed depends on."""
    import torch

    pages = getattr(os, "sysconf_names", {}).keys() >= {"SC_PHYS_PAGES", "SC_PAGE_SIZE"}
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if pages else None
    cards = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
    return {
        "machine": platform.machine(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "memory, GB": None if memory is None else round(memory / 1e9, 1),
        "gpu": [torch.cuda.get_device_name(card) for card in cards] or None,
        "system": platform.system(),
    }


def processor() -> str | None:
    """Return the name of the processor; None where the system does not tell."""
    told = Path("/proc/cpuinfo")
    if told.exists():
        named = [
            line.split(":", 1)[1] for line in told.read_text().splitlines() if line.startswith("model name")
        ]
        return named[0].strip() if named else None
    if platform.system() == "Darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or None
    return platform.processor() or None
