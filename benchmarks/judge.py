"""Judge the judge: false claims, power, leaks, its arithmetic, its probes, training health, and ablations.

    python benchmarks/judge.py [--quick] [--only PART ...]

claims      1,000 runs in which nothing is better: as much noise again. How often is it said to help?
power       planted gains and harms of the sizes in `judge_runs.PLANTED`: how often are they found?
arithmetic  the corrected t test and the correlated posterior beside baycomp's.
leaks       rows prepared before the split, by a filter of labels and by SMOTE: refused?
probes      boosting beside LightGBM as it comes, mlp beside a tuned MLPClassifier of scikit-learn's.
faults      faults of 14 kinds planted into trainings: how often is each named?
alarms      315 trainings as they should be, on 21 sets: how often is there an alarm on a healthy one?
overhead    what recording a training costs.
ablation    Shapley values of 5 stages by 3 probes, work shared, beside each recipe from scratch.

Every run of the first two is a whole call of `tilth.compare`, with the linear probe and 5 folds x 5 repeats.
The parts are in `judge_runs`, `judge_probes`, `health` and `ablation`, which say how they measure. Each is
written into `results/judge.json` as soon as it is done. Data, LightGBM and baycomp come as
benchmarks/requirements.txt says.
"""

from __future__ import annotations

import sys

from bars import drive

PARTS = {
    "claims": ("judge_runs", "claims"),
    "power": ("judge_runs", "power"),
    "arithmetic": ("judge_runs", "arithmetic"),
    "leaks": ("judge_runs", "leaks"),
    "probes": ("judge_probes", "probes"),
    "faults": ("health", "faults"),
    "alarms": ("health", "alarms"),
    "overhead": ("health", "overhead"),
    "ablation": ("ablation", "ablation"),
}

if __name__ == "__main__":
    sys.exit(drive("judge", __doc__, PARTS))
