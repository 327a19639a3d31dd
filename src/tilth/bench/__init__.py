"""Did it help? Pipelines judged on identical folds, with intervals that hold what they promise."""

from tilth.bench.ablation import ablate
from tilth.bench.comparison import compare
from tilth.bench.curve import learning_curve
from tilth.bench.curve_result import Curve, LearningCurve
from tilth.bench.result import Ablation, Comparison, Guard, Trial, Verdict

__all__ = [
    "Ablation",
    "Comparison",
    "Curve",
    "Guard",
    "LearningCurve",
    "Trial",
    "Verdict",
    "ablate",
    "compare",
    "learning_curve",
]
