"""Did it help? Pipelines judged on identical folds, with intervals that hold what they promise."""

from tilth.bench.ablation import ablate
from tilth.bench.ablation_result import Ablation
from tilth.bench.across import across
from tilth.bench.across_result import Across
from tilth.bench.comparison import compare
from tilth.bench.contributing import contributions
from tilth.bench.curve import learning_curve
from tilth.bench.curve_result import Curve, LearningCurve
from tilth.bench.explain import Explanation
from tilth.bench.result import Comparison, Guard, Trial, Verdict
from tilth.bench.robustness_result import Robustness

__all__ = [
    "Ablation",
    "Across",
    "Comparison",
    "Curve",
    "Explanation",
    "Guard",
    "LearningCurve",
    "Robustness",
    "Trial",
    "Verdict",
    "ablate",
    "across",
    "compare",
    "contributions",
    "learning_curve",
]
