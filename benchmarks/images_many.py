"""Audit 50,000 image files in a process of its own, then again from what the first audit remembered.

With its copies the folder holds 53,000, of which an audit looks at 50,000 if it is not told otherwise.

The images are embedded as histograms. EfficientNet-Lite0, which an audit takes by default where it is
installed, would take most of an hour on two cores: its rate is measured on a few hundred and told beside.
"""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bars import Bar
from images_planted import planted

IMAGES, QUICK_IMAGES, RATED = 50_000, 1_000, 512
EMBEDDING = "histograms"
MEGABYTES, FASTER = 2_000, 10.0
RATE = re.compile(r"^(.*?) ?[\d,]+ of [\d,]+ images \(([\d,]+)/s\)$")


def many(quick: bool) -> tuple[list[Bar], dict[str, Any]]:
    """Measure peak memory, rate and seconds of an audit with an empty cache, and of the next one."""
    figures: dict[str, Any] = {"embedding": EMBEDDING}
    with planted(QUICK_IMAGES if quick else IMAGES) as (photos, truth):
        figures["files"] = truth.height
        if not quick:
            figures["efficientnet_lite0, images/s"] = rated([str(photos / f) for f in truth["file"][:RATED]])
        for run in ("first", "second"):
            start = time.perf_counter()
            command = f"import images_many; images_many.audited({str(photos)!r})"
            done = subprocess.run(
                [sys.executable, "-c", command],
                cwd=Path(__file__).parent,
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            figures[run] = json.loads(done.stdout.splitlines()[-1])
            figures[run]["seconds of the process"] = time.perf_counter() - start
            tell(run, figures[run], truth.height)
    first, second = figures["first"], figures["second"]
    if first["findings"] != second["findings"]:
        raise RuntimeError("The second audit found something else than the first.")
    faster = first["seconds"] / second["seconds"]
    whole = first["seconds of the process"] / second["seconds of the process"]
    print(f"faster the second time: {faster:.1f}x, with starting Python and imports {whole:.1f}x")
    if "efficientnet_lite0, images/s" in figures:
        print(f"efficientnet_lite0: {figures['efficientnet_lite0, images/s']:.1f} images/s")
    peak, name = round(max(run["MB"] for run in (first, second))), f"images.many.{EMBEDDING}"
    return [
        Bar(f"{name}.MB", peak, MEGABYTES, peak < MEGABYTES),
        Bar(f"{name}.rates_told", len(first["rates"]), 1, len(first["rates"]) > 0),
        Bar(f"{name}.second_run/first", round(faster, 1), FASTER, quick or faster >= FASTER),
    ], figures


def tell(run: str, told: dict[str, Any], files: int) -> None:
    """Print what one audit took."""
    looked = f"{told['looked_at']:,} of {files:,} files"
    print(f"{run} audit, {looked}: {told['seconds']:.1f} s, peak {told['MB']:,.0f} MB")
    print("  seconds:", ", ".join(f"{step} {s:.1f}" for step, s in told["steps"].items() if s >= 0.05))
    print("  images/s, as told:", ", ".join(f"{step} {rate:,}" for step, rate in told["rates"].items()))
    print("  found:", ", ".join(f"{kind} {n:,}" for kind, n in told["findings"].items()), flush=True)


def audited(photos: str) -> None:
    """Audit a folder and print, as JSON, what that took: seconds by step, rates told, peak memory."""
    from tilth.audit import audit

    heard: list[tuple[float, str]] = []
    start = time.perf_counter()
    found = audit(
        photos, embedding=EMBEDDING, progress=lambda told: heard.append((time.perf_counter(), told))
    )
    end = time.perf_counter()
    steps: dict[str, float] = {}
    rates: dict[str, int] = {}
    step = "reading"
    for (at, told), (until, _) in zip(heard, [*heard[1:], (end, "")], strict=True):
        rated = RATE.match(told)
        if rated is None or rated[1]:  # headers are told while reading, without a name
            step = told if rated is None else rated[1]
        if rated is not None:
            rates[step] = int(rated[2].replace(",", ""))
        steps[step] = steps.get(step, 0.0) + until - at
    counts: dict[str, int] = {}
    for finding in found.findings:
        counts[finding.kind] = counts.get(finding.kind, 0) + finding.n_rows
    told = {"seconds": end - start, "MB": peak(), "steps": steps, "rates": rates, "findings": counts}
    print(json.dumps({"looked_at": found.facts.looked_at, **told}))


def peak() -> float:
    """Return the most memory, in MB, that this process held at once, and any process that it started."""
    # Where a process is started from a large one, ru_maxrss begins with what that held: the kernel's own word
    # is of this program only.
    status = Path("/proc/self/status")
    own = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    unit = 1 if sys.platform == "darwin" else 1024
    largest = int(own[1]) * 1024 if own else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return (largest + resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit) / 1e6


def rated(paths: list[str]) -> float:
    """Return how many images per second the network of the extra ``vision`` embeds."""
    from tilth.training.backbones import backbone

    model = backbone("efficientnet_lite0")
    model.embed(paths[:16], cache=False)
    start = time.perf_counter()
    model.embed(paths, cache=False)
    return len(paths) / (time.perf_counter() - start)
