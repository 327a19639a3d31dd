"""Did it help? Pipelines judged on identical folds, with intervals that hold what they promise."""

from tilth.bench.ablation import ablate
from tilth.bench.comparison import compare
from tilth.bench.result import Ablation, Comparison, Guard, Trial, Verdict

__all__ = ["Ablation", "Comparison", "Guard", "Trial", "Verdict", "ablate", "compare"]
