"""What every benchmark ends with: one line per bar, one JSON file, an exit code."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
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
    """Run a benchmark of several parts, all or one of them by ``--only``, and return the exit code.

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
    parser.add_argument("--quick", action="store_true", help="fewer rows, one round")
    parser.add_argument("--only", choices=parts)
    asked = parser.parse_args()
    bars: list[Bar] = []
    figures: dict[str, Any] = {}
    for part, (module, function) in parts.items():
        if asked.only in (None, part):
            found, figures[part] = getattr(import_module(module), function)(asked.quick)
            bars += found
    return conclude(name if asked.only is None else f"{name}-{asked.only}", bars, figures)


def conclude(name: str, bars: list[Bar], figures: dict[str, Any]) -> int:
    """Write ``results/<name>.json``, print a line per bar, and return the exit code."""
    RESULTS.mkdir(exist_ok=True)
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    told = {
        "bars": [bar._asdict() for bar in bars],
        "figures": figures,
        "versions": {p: version(p) for p in PACKAGES} | {"python": platform.python_version()},
        "device": machine(),
        "commit": commit or None,
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    for bar in bars:
        print(f"BAR {bar.name} {bar.value:g} {bar.goal:g} {'ok' if bar.ok else 'MISS'}")
    return 0 if all(bar.ok for bar in bars) else 1


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
