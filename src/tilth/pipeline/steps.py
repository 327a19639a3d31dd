"""The steps of a pipeline: their names, their parameters, and which of them is the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from sklearn.base import BaseEstimator

from tilth.core import Stage
from tilth.errors import StageError, UnknownName
from tilth.stages.adapt import adapt


class Steps(BaseEstimator):
    """Hold steps as they were given; give them names, and their parameters names of two parts."""

    stages_: list[tuple[str, Stage]]
    model_: Any

    def __init__(self, steps: Sequence[Any]) -> None:
        self.steps = steps

    def named_steps(self) -> list[tuple[str, Any]]:
        """Return all steps as (name, step); unnamed steps take their key, made unique by a number."""
        pairs: list[tuple[str, Any]] = []
        for step in self.steps:
            if isinstance(step, tuple | list):
                name, step = step
            elif step is None or isinstance(step, str):
                name = "passthrough"
            else:
                name = step.key if isinstance(step, Stage) else _lower_name(step)
            taken = [n for n, _ in pairs]
            if name in taken:
                name = next(f"{name}-{i}" for i in range(2, len(taken) + 3) if f"{name}-{i}" not in taken)
            pairs.append((name, step))
        return pairs

    def stages_named(self) -> list[tuple[str, Stage]]:
        """Return the stages as they were given, as (name, Stage), without the model."""
        pairs = [(n, s) for n, s in self.named_steps() if s is not None and s != "passthrough"]
        if pairs and _predicts(pairs[-1][1]):
            pairs = pairs[:-1]
        for name, step in pairs:
            if _predicts(step) and not hasattr(step, "transform"):
                raise StageError(
                    f"Step '{name}' ({type(step).__name__}) is a model; a model can only come last."
                )
        return [(name, step if isinstance(step, Stage) else adapt(step)) for name, step in pairs]

    @property
    def model(self) -> Any:
        """Return the model as it was given, or None."""
        last = self.named_steps()[-1][1] if len(self.steps) else None
        return last if _predicts(last) else None

    @property
    def named_stages(self) -> dict[str, Any]:
        """Return steps by name: fitted, once the pipeline is."""
        given = dict(self.named_steps())
        if hasattr(self, "stages_"):
            given |= dict(self.stages_)
            if self.model_ is not None:
                given[self.named_steps()[-1][0]] = self.model_
        return given

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return parameters; deep: also each step by name, and its parameters as ``name__parameter``."""
        params: dict[str, Any] = {"steps": self.steps}
        for name, step in self.named_steps() if deep else []:
            params[name] = step
            if hasattr(step, "get_params"):
                params |= {f"{name}__{key}": value for key, value in step.get_params(deep=True).items()}
        return params

    def set_params(self, **params: Any) -> Self:
        """Set ``steps``, a step by name, or a step's parameter by ``name__parameter``."""
        if "steps" in params:
            self.steps = params.pop("steps")
        for key, value in sorted(params.items()):
            pairs = self.named_steps()
            name, _, parameter = key.partition("__")
            known = dict(pairs)
            if name not in known:
                raise UnknownName.among("step", name, known)
            if parameter:
                known[name].set_params(**{parameter: value})
            else:
                self.steps = [(n, value if n == name else s) for n, s in pairs]
        return self


def _predicts(step: Any) -> bool:
    """Tell whether a step can be the model: if last, also one that transforms (stacking, LDA)."""
    if step is None or isinstance(step, Stage | str) or not hasattr(step, "fit"):
        return False
    return hasattr(step, "predict") and not hasattr(step, "fit_resample")


def _lower_name(step: Any) -> str:
    name = getattr(step, "__name__", type(step).__name__)
    return str(name).lower().strip("<>")
