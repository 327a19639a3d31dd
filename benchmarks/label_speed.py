"""Time the flags of confident learning beside cleanlab's, in fresh processes that take turns.

Run by `python benchmarks/labels.py --only speed`. One measurement alone:

    python benchmarks/label_speed.py tilth|batched|default ROWS CLASSES
"""

from __future__ import annotations

import hashlib
import json
import resource
import subprocess
import sys
import time
import warnings
from statistics import median
from typing import Any

import numpy as np

from bars import Bar

SIZES = {(1_000_000, 10): 2.5, (50_000, 1000): 1.0}
"""Rows and classes, and how many times as fast as cleanlab's batched version."""
WHO = ("tilth", "batched", "default")
NOISE = 0.05


def speed_bars(quick: bool, figures: dict[str, Any]) -> list[Bar]:
    """Check that the rows are cleanlab's, then time both and its batched version."""
    bars = []
    rounds = 1 if quick else 5
    for (rows, classes), goal in SIZES.items():
        rows = rows // (10 if quick else 1)
        runs: dict[str, list[dict[str, Any]]] = {who: [] for who in WHO}
        for _ in range(rounds):
            for who in WHO:
                command = [sys.executable, __file__, who, str(rows), str(classes)]
                out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
                runs[who].append(json.loads(out.splitlines()[-1]))
        seconds = {who: median(run["seconds"] for run in told) for who, told in runs.items()}
        extra = {who: max(run["extra_mb"] for run in told) for who, told in runs.items()}
        quality = {who: (told[0]["precision"], told[0]["recall"]) for who, told in runs.items()}
        same = runs["tilth"][0]["flags"] == runs["default"][0]["flags"]
        name = f"labels.flags.{rows}x{classes}"
        for who in WHO:
            right, found = quality[who]
            print(
                f"{name} {who}: {seconds[who]:.3f} s, {extra[who]:.0f} MB, "
                f"precision {right:.3f}, recall {found:.3f}"
            )
        ratio = seconds["batched"] / seconds["tilth"]
        bars += [
            Bar(f"{name}.same_rows_as_default", float(same), 1.0, same),
            # A tenth of the rows is no size to hold a ratio to.
            Bar(f"{name}.times_batched", ratio, goal, quick or ratio >= goal),
            Bar(
                f"{name}.memory_of_batched",
                extra["tilth"] / max(extra["batched"], 1.0),
                1.0,
                quick or extra["tilth"] <= extra["batched"],
            ),
        ]
        figures[name] = {"seconds": seconds, "extra_mb": extra, "precision_recall": quality}
    return bars


def measure(who: str, rows: int, classes: int) -> dict[str, Any]:
    """Flag once on a small part, then time all rows; memory is what the flags added to the peak."""
    warnings.filterwarnings("ignore")
    flag = {"tilth": _tilth, "batched": _batched, "default": _default}[who]
    labels, probabilities, wrong = make(rows, classes)
    few = slice(0, 20 * classes)
    flag(labels[few], probabilities[few])
    before = _peak()
    start = time.perf_counter()
    mask = flag(labels, probabilities)
    seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        "extra_mb": _peak() - before,
        "flags": hashlib.blake2b(mask.tobytes(), digest_size=16).hexdigest(),
        "precision": float(wrong[mask].mean()),
        "recall": float(mask[wrong].mean()),
    }


def make(rows: int, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make probabilities that are mostly right, and labels of which some are wrong."""
    random = np.random.default_rng(0)
    # Nothing wider is made on the way: the peak before the flags must be that of the data.
    scores = random.standard_normal((rows, classes), dtype=np.float32)
    truth = random.integers(0, classes, rows)
    scores[np.arange(rows), truth] += 3 if classes < 100 else 5
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=1, keepdims=True)
    wrong = random.random(rows) < NOISE
    labels = np.where(wrong, (truth + random.integers(1, classes, rows)) % classes, truth)
    return labels, scores, wrong


def _tilth(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    from tilth.statistics import find_label_issues

    return find_label_issues(labels, probabilities)


def _default(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    from cleanlab.filter import find_label_issues

    return np.asarray(find_label_issues(labels, probabilities, n_jobs=1))


def _batched(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    from cleanlab.experimental.label_issues_batched import find_label_issues_batched

    mask = np.zeros(len(labels), dtype=bool)
    mask[find_label_issues_batched(labels=labels, pred_probs=probabilities, n_jobs=1, verbose=False)] = True
    return mask


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
