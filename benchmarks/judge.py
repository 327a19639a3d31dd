"""Judge the judge: false claims, power, leaks, its arithmetic, and the probes beside their peers.

    python benchmarks/judge.py [--quick] [--only claims | power | arithmetic | leaks | probes]

claims      1,000 runs in which nothing is better: as much noise again. How often is it said to help?
power       planted gains and harms of the sizes in `judge_runs.PLANTED`: how often are they found?
arithmetic  the corrected t test and the correlated posterior beside baycomp's.
leaks       rows prepared before the split, by a filter of labels and by SMOTE: refused?
probes      boosting beside LightGBM as it comes, mlp beside a tuned MLPClassifier of scikit-learn's.

Every run of the first two is a whole call of `tilth.compare`, with the linear probe and 5 folds x 5 repeats.
The parts are in `judge_runs` and `judge_probes`, which say how they measure. LightGBM and baycomp come as
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
}

if __name__ == "__main__":
    sys.exit(drive("judge", __doc__, PARTS))
