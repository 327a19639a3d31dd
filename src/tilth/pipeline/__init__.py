"""What a user holds: stages, a model, a recipe, a bundle, a loader, a ledger."""

from tilth.pipeline.load import from_bundle, load
from tilth.pipeline.pipeline import Pipeline
from tilth.pipeline.run import RunResult, prepare, read_data, run, split

__all__ = ["Pipeline", "RunResult", "from_bundle", "load", "prepare", "read_data", "run", "split"]
