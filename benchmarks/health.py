"""Measure what the health checks of a training find, and how often they cry wolf.

    python benchmarks/health.py [--quick] [--thresholds]

Faults of 14 kinds are planted into trainings on made data, 20 of each, and 240 trainings on eight other sets
are as a training should be: scaled inputs, a fitting network and rate, early stopping. Each goes through
`tilth.training.examine`. Printed are, for each fault, the share in which a finding names it and the share in
which there is any alarm; for healthy trainings the share with an alarm, and its 95 % Wilson interval. Alarms
are findings of severity medium or high; remarks (low) are counted beside them.

Healthy is what also reaches the score, on rows kept aside, of the better of a linear model and a support
vector machine, less 0.03: a training that falls short of that has something wrong with it. Those are left out
and counted.

The thresholds were set on other sets (moons, friedman2, wine, classes, blobs) and, for the faults, on other
seeds (from 1,000,000 on) than those that are reported (from 2,000,000 on); `--thresholds` runs those instead,
and holds no bar. The reported sets are no clean holdout all the same: earlier runs on them were looked at,
what counts as healthy was narrowed after one in which 8 of 208 gave an alarm, and new seeds change of the
real sets among them the split and the weights only.

Also measured: the time that recording takes, as a share of the time of training, and that the weights are the
same bits with and without.

Not planted, and so not claimed: wrong labels in part of the rows, leaks, faults of layers that are no torch
modules (activations called as functions are seen by their gradients only), and what shows after hours only.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections import Counter
from typing import Any

import numpy as np
import torch
from joblib import Parallel, delayed

from bars import Bar, conclude
from health_runs import FAULTS, REPORTED, SHORT, THRESHOLDS_FROM, rows_of, told
from tilth.bench.statistics import wilson
from tilth.errors import TilthWarning
from tilth.training import Recorder, Trainer, mlp

RECALL, FALSE, OVERHEAD = 0.9, 0.02, 0.05
THRESHOLD_SEEDS, REPORTED_SEEDS = 1_000_000, 2_000_000


def main() -> int:
    """Measure, print, and return 1 where a bar is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="2 of each fault, 24 trainings without")
    parser.add_argument("--thresholds", action="store_true", help="run what thresholds were set on")
    asked = parser.parse_args()
    faulty, sound = (2, 3) if asked.quick else (20, 30)
    sets, first = (THRESHOLDS_FROM, THRESHOLD_SEEDS) if asked.thresholds else (REPORTED, REPORTED_SEEDS)
    jobs = [("healthy", name, first + seed) for seed in range(sound) for name in sets]
    jobs += [(kind, "", first + seed) for seed in range(faulty) for kind in FAULTS]
    begun = time.perf_counter()
    done = Parallel(-1)(delayed(_quietly)(*job) for job in jobs)
    figures: dict[str, Any] = {"seconds": round(time.perf_counter() - begun, 1)}
    bars = [*_faults(done, figures), _healthy(done, sets, figures)]
    bars += _overhead(asked.quick, figures)
    if asked.thresholds:
        print("These trainings set the thresholds, so that no bar is held.")
        return 0
    return conclude("health", bars, figures)


def _quietly(*job: Any) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TilthWarning)
        return told(*job)


def _faults(done: list[dict[str, Any]], figures: dict[str, Any]) -> list[Bar]:
    """Print the table of faults, and return a bar for each."""
    bars = []
    figures["faults"] = {}
    print(f"{'fault':13} {'named':>7} {'alarm':>7}   found")
    for kind, (_, names) in FAULTS.items():
        runs = [run for run in done if run["kind"] == kind]
        named = float(np.mean([bool({*names} & {*run["found"]}) for run in runs]))
        alarm = float(np.mean([bool(run["found"]) for run in runs]))
        found = Counter(code for run in runs for code in run["found"])
        figures["faults"][kind] = {"runs": len(runs), "named": named, "alarm": alarm, "found": dict(found)}
        listed = ", ".join(f"{code} {count}" for code, count in found.most_common())
        print(f"{kind:13} {named:7.0%} {alarm:7.0%}   {listed}")
        bars.append(Bar(f"health.recall.{kind}", named, RECALL, named >= RECALL))
    return bars


def _healthy(done: list[dict[str, Any]], sets: tuple[str, ...], figures: dict[str, Any]) -> Bar:
    """Print the alarms on healthy trainings, and return their bar."""
    figures["healthy"] = {}
    for name in sets:
        runs = [run for run in done if run["kind"] == "healthy" and run["set"] == name]
        told = _counted([run for run in runs if run["short"] <= SHORT])
        told["left_out"] = _counted([run for run in runs if run["short"] > SHORT])
        figures["healthy"][name] = told
        print(
            f"healthy {name:13} {told['alarms']} of {told['runs']} with an alarm {told['found'] or ''}; "
            f"remarks {told['remarks']}; {told['left_out']['runs']} short of the reference, "
            f"{told['left_out']['alarms']} with an alarm"
        )
    told = _counted([run for run in done if run["kind"] == "healthy" and run["short"] <= SHORT])
    alarms, count = told["alarms"], told["runs"]
    low, high = wilson(alarms, count)
    figures["false_alarms"] = {"runs": count, "alarms": alarms, "low": low, "high": high}
    print(f"healthy: {alarms} of {count} with an alarm, 95 % interval {low:.3f} to {high:.3f}")
    return Bar("health.false_alarms", alarms / count, FALSE, alarms / count <= FALSE)


def _counted(runs: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "runs": len(runs),
        "alarms": sum(bool(run["found"]) for run in runs),
        "found": dict(Counter(code for run in runs for code in run["found"])),
        "remarks": dict(Counter(code for run in runs for code in run["remarks"])),
    }


def _overhead(quick: bool, figures: dict[str, Any]) -> list[Bar]:
    """Time trainings with and without a recorder, in turns, and see that they end in the same weights."""
    shapes = {"probe": ((256, 256), 256, 4096), "small": ((32, 32), 64, 2048)}
    bars = []
    X, y = rows_of("hastie", 0)
    X, y = np.tile(X, (3, 1)).astype(np.float32), np.tile(y, 3)
    figures["overhead"] = {}
    for name, (hidden, batch_size, rows) in shapes.items():
        seconds: dict[bool, list[float]] = {True: [], False: []}
        weights = {}
        for turn in range(6 if quick else 20):
            for recorded in (True, False) if turn % 2 else (False, True):
                network = mlp(X.shape[1], 2, hidden)
                watch = Recorder() if recorded else None
                trainer = Trainer(
                    network,
                    "cross_entropy",
                    batch_size=batch_size,
                    max_epochs=8,
                    patience=8,
                    device="cpu",
                    watch=watch,
                )
                begun = time.thread_time()
                trainer.fit(X[:rows], y[:rows])
                seconds[recorded].append(time.thread_time() - begun)
                weights[recorded] = torch.cat([p.detach().flatten() for p in network.parameters()])
        if not torch.equal(weights[True], weights[False]):
            raise SystemExit("recording changed the training")
        share = float(np.median(np.array(seconds[True]) / np.array(seconds[False])) - 1)
        figures["overhead"][name] = {"share": share, "seconds": float(np.median(seconds[False]))}
        print(f"overhead {name}: {share:+.1%} of {np.median(seconds[False]):.2f} s of CPU")
        bars.append(Bar(f"health.overhead.{name}", share, OVERHEAD, share <= OVERHEAD))
    return bars


if __name__ == "__main__":
    sys.exit(main())
