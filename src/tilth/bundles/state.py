"""What a stage is and what it learned, taken out of it and put back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tilth.core.stage import Stage
from tilth.errors import BundleError
from tilth.stages import find, keys
from tilth.stages.adapt import AdaptTransformer
from tilth.stages.adapt_rows import AdaptDetector, AdaptSampler

# Stages around an estimator have no key of their own, but their estimators can be held.
_ADAPTED = {f"adapt:{c.__name__}": c for c in (AdaptTransformer, AdaptSampler, AdaptDetector)}

# A plan is about the rows it was made for; a loaded stage serves other rows.
_LEFT_OUT = {"plan_"}
# Not learned, but chosen: the container that `transform` returns.
_CHOSEN = "_sklearn_output_config"


def key_of(name: str, stage: Stage) -> str:
    """Return the key by which a bundle finds the class of a stage again.

    Raises
    ------
    BundleError
        If it would have to hold code.
    """
    kind = type(stage)
    if kind in _ADAPTED.values():
        return f"adapt:{kind.__name__}"
    if not getattr(stage, "recipe", True) and hasattr(stage, "offered_as"):
        raise BundleError(
            f"Step '{name}' ({kind.__name__}) holds code of your own, which a bundle does not hold. Offer it "
            f"under a name (entry point group '{stage.offered_as}') and pass the name, or save the pipeline "
            "without this step."
        )
    if stage.key in keys() and find(stage.key) is kind:
        return stage.key
    raise BundleError(
        f"Step '{name}' ({kind.__name__}) is code of your own, which a bundle does not hold. Offer it "
        "as a stage (entry point group 'tilth.stages'), or save the pipeline without it."
    )


def build(key: str, params: Mapping[str, Any], state: Mapping[str, Any]) -> Stage:
    """Return the fitted stage that a bundle holds.

    Raises
    ------
    UnknownName
        If there is no such stage, such as one of a package that is not installed.
    """
    cls = _ADAPTED[key] if key in _ADAPTED else find(key)
    return restore(cls(**params), state)


def state_of(stage: Stage) -> dict[str, Any]:
    """Return what a fitted stage learned: its attributes that end in ``_``."""
    learned = {n: v for n, v in vars(stage).items() if _is_learned(n) and n not in _LEFT_OUT}
    if _CHOSEN in vars(stage):
        learned[_CHOSEN] = dict(vars(stage)[_CHOSEN])
    return learned


def restore(stage: Stage, state: Mapping[str, Any]) -> Stage:
    """Put what was learned back into a stage, and return it.

    Raises
    ------
    BundleError
        If a name is none of an attribute that a stage learns.
    """
    for name, value in state.items():
        if not _is_learned(name) and name != _CHOSEN:
            raise BundleError(
                f"{stage.key}: '{name}' is not the name of something learned. It is not loaded."
            )
        setattr(stage, name, value)
    return stage


def _is_learned(name: str) -> bool:
    return name.isidentifier() and name.endswith("_") and not name.startswith("_")
