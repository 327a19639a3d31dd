"""Loading what a pipeline saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tilth.bundles import read
from tilth.core import DecisionStage, Ledger, Stage
from tilth.core.lineage import Learned
from tilth.errors import BundleError
from tilth.pipeline.deciding import Decisions
from tilth.pipeline.pipeline import Pipeline
from tilth.table import Roles


def load(folder: str | Path) -> Pipeline:
    """Load a fitted pipeline that ``Pipeline.save`` or ``tilth run`` wrote; nothing in the files is run.

    Raises
    ------
    BundleError
        If the folder is no bundle, is damaged, unsafe, or of another major version.
    """
    bundle = read(Path(folder))
    stages = [(step.name, step.build()) for step in bundle.steps]
    facts = bundle.facts
    steps = [*stages, (facts["model_name"], bundle.model)] if bundle.model is not None else stages
    pipe = Pipeline(steps)
    pipe._know(facts["schema"], stages)
    if facts["names"]:
        pipe.feature_names_in_ = np.array(list(facts["schema"]), dtype=object)
    pipe.roles_ = Roles(**facts["roles"])
    pipe.model_ = bundle.model
    pipe.ledger_ = bundle.ledger or Ledger()
    pipe.decisions_ = _decisions(stages, facts.get("prior", {}))
    pipe.learned_ = _learned(facts.get("learned"))
    pipe.findings_ = [finding for _, stage in stages for finding in stage.findings_]
    return pipe


def _decisions(stages: list[tuple[str, Stage]], prior: Any) -> Decisions:
    """Return what the pipeline decides by; a bundle of an older version tells of no prior."""
    if not (isinstance(prior, dict) and all(isinstance(factor, float) for factor in prior.values())):
        raise BundleError(f"The bundle is damaged: what it says of class frequencies is {prior!r}.")
    deciding = [stage for _, stage in stages if isinstance(stage, DecisionStage) and stage.decided]
    return Decisions(prior, deciding[-1] if deciding else None)


def _learned(told: Any) -> Learned | None:
    """Return which rows were fitted on; a bundle of an older version does not say."""
    if told is None:
        return None
    try:
        return Learned(**told)
    except TypeError as error:
        raise BundleError(
            f"The bundle is damaged: what it says of the rows fitted on is {told!r}."
        ) from error
