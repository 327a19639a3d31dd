"""Which settings of a probe are tried where it is to be tuned: its own grid, or one that a user names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from sklearn.base import clone

from tilth.bench.design import MODEL, Arm
from tilth.bench.fitting import made
from tilth.errors import DataError, UnknownName
from tilth.probes.model import Probe

Values = Mapping[str, Any]
Grids = Mapping[str, tuple[Values, ...]]
OWN: Values = {}
"""The setting that a probe comes with."""
BENCHS_OWN = ("task", "random_state")
"""What the bench sets itself: the best of several seeds is luck, and no better setting."""

SETTINGS = pl.Schema(
    {
        "probe": pl.String,
        "arm": pl.String,
        "repeat": pl.Int64,
        "fold": pl.Int64,
        "parameter": pl.String,
        "value": pl.String,
    }
)
"""What was chosen, fold by fold."""


def grids_of(
    tune: Any, probes: Sequence[tuple[str, Any]], arms: Sequence[Arm], task: str
) -> dict[str, tuple[Values, ...]] | None:
    """Return, per probe that is to be tuned, the settings that are tried; None: nothing is tuned.

    Parameters
    ----------
    tune : bool, or mapping of probe to bool or grid
        True: each of Tilth's probes by its own grid, `tilth.probes.Probe.grid`, and by what it was given. A
        grid is a mapping of parameter to values, or a list of such mappings, as of scikit-learn's
        ``ParameterGrid``; nothing else is tried then.
    probes : sequence of (name, estimator or None)
    arms : sequence of Arm
        Each may have a model of its own, which is the probe ``model``.
    task : str

    Raises
    ------
    DataError
        Neither a bool nor a mapping, no probe in it, or a grid that is none.
    UnknownName
        A probe or parameter does not exist.
    InvalidParameterError
        A parameter cannot have such a value.
    """
    if not isinstance(tune, bool | Mapping) or tune == {}:
        raise DataError(
            f"tune is {tune!r}. Pass True for the probes' own grids, or name probes and what to try: "
            "tune={'linear': {'C': [0.1, 1.0]}}."
        )
    if tune is False:
        return None
    names = [name for name, _ in probes]
    if isinstance(tune, Mapping):
        for name in tune:
            if name not in names:
                raise UnknownName.among("probe to tune", str(name), names)
    grids: dict[str, tuple[Values, ...]] = {}
    for name, estimator in probes:
        asked = tune if isinstance(tune, bool) else tune.get(name, False)
        models = _models(name, estimator, arms)
        if asked is False:
            continue
        if asked is True:
            own = next((model.grid for _, model in models if isinstance(model, Probe)), {})
            found = (OWN, *_expanded(name, own)) if own else ()
            if not found and isinstance(tune, Mapping):
                raise DataError(
                    f"tune: the probe '{name}' has no grid of its own. Name what to try: "
                    f"tune={{'{name}': {{'parameter': [values]}}}}."
                )
        else:
            found = _expanded(name, asked)
        for where, model in models:
            _check(name, where, model, found)
        if found:
            grids[name] = found
    return grids


def set_to(base: Any, name: str, task: str, values: Values) -> Any:
    """Return an unfitted probe with these values.

    Parameters
    ----------
    base : estimator or None
        As it was given; None: the probe of this name.
    """
    if base is not None:
        return clone(base).set_params(**values)
    return made(name, None, task="regression" if task == "regression" else "classification", **values)


def settings_of(probes: Sequence[tuple[str, Any]], grids: Grids | None, task: str) -> list[tuple[str, Any]]:
    """List the probes in all settings that are tried besides their own."""
    return [
        (name, set_to(estimator, name, task, values))
        for name, estimator in probes
        for values in (grids or {}).get(name, ())
        if values != OWN
    ]


def in_words(values: Values) -> str:
    """Write a setting as text: ``C=0.1, max_iter=100``."""
    return ", ".join(f"{name}={as_text(value)}" for name, value in values.items())


def as_text(value: Any) -> str:
    """Write a value as text."""
    if isinstance(value, str):
        return value
    return repr(value.item() if hasattr(value, "item") and getattr(value, "size", 0) == 1 else value)


def _models(name: str, estimator: Any, arms: Sequence[Arm]) -> list[tuple[str, Any]]:
    """Return who judges by this name, and where: each arm may have a model of its own."""
    if name == MODEL:
        own = [(f" of the '{arm.name}' arm", arm.model) for arm in arms if arm.model is not None]
        if own:
            return own
    return [("", made(name, estimator))]


def _expanded(name: str, grid: Any) -> tuple[Values, ...]:
    """Return all settings of a grid."""
    from sklearn.model_selection import ParameterGrid

    try:
        found = tuple(ParameterGrid(grid))
    except (TypeError, ValueError) as error:
        raise DataError(
            f"tune: what is to be tried of '{name}' is no grid of parameters and values, such as "
            f"{{'C': [0.1, 1.0]}}: {error}"
        ) from error
    if not all(found):
        raise DataError(f"tune: the grid of '{name}' names no parameter. Name one, and the values to try.")
    return found


def _check(name: str, where: str, model: Any, settings: Sequence[Values]) -> None:
    """Raise where a setting cannot be."""
    known = model.get_params() if hasattr(model, "get_params") else {}
    free = [each for each in known if each.split("__")[-1] not in BENCHS_OWN]
    for values in settings:
        for parameter in values:
            if parameter.split("__")[-1] in BENCHS_OWN:
                raise DataError(
                    f"tune: '{parameter}' of the probe '{name}' is not tried: the bench sets it, the same "
                    "for all. The best of several seeds would be luck. Take it out of the grid."
                )
            if parameter not in known:
                raise UnknownName.among(f"parameter of the probe '{name}'{where}", parameter, free)
        changed = clone(model).set_params(**values)
        if hasattr(changed, "_parameter_constraints"):
            try:
                changed._validate_params()
            except ValueError as error:
                error.add_note(f"tune: {in_words(values)}, of the probe '{name}'{where}.")
                raise
