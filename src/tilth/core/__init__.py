"""What a stage is, what it may do, and what is written down when it does it."""

from tilth.core.batch import BatchStage
from tilth.core.decision import DecisionStage
from tilth.core.finding import Finding
from tilth.core.flow import Prepared, apply, fit, fused, replay
from tilth.core.ledger import Ledger
from tilth.core.parameters import model_of, parameters_of
from tilth.core.plan import RowPlan
from tilth.core.schema import conform, schema_of
from tilth.core.stage import ColumnStage, RowStage, Selection, Stage

__all__ = [
    "BatchStage",
    "ColumnStage",
    "DecisionStage",
    "Finding",
    "Ledger",
    "Prepared",
    "RowPlan",
    "RowStage",
    "Selection",
    "Stage",
    "apply",
    "conform",
    "fit",
    "fused",
    "model_of",
    "parameters_of",
    "replay",
    "schema_of",
]
