"""Who judges, as a user names them: probes by name, estimators, torch modules, and pipelines' own models."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from sklearn.base import clone

from tilth.bench.design import MODEL, Arm
from tilth.bench.fitting import either
from tilth.bench.pictures import images_of
from tilth.errors import DataError, UnknownName
from tilth.probes import PROBES
from tilth.probes.pictures import image_columns
from tilth.table import Table


def judges(probes: Sequence[Any] | None, table: Table) -> list[Any] | None:
    """Return the probes asked for, as names and (name, estimator).

    Parameters
    ----------
    probes : sequence of str or (name, estimator, torch module, or callable that makes one), or None
    table : Table

    Returns
    -------
    list or None
        None: nobody was named.

    Raises
    ------
    DataError
        One is neither a name nor a pair of a name and what can be fitted.
    """
    if probes is None:
        return None
    return [
        item if isinstance(item, str) else _estimator(item, table)
        for item in ([probes] if isinstance(probes, str) else probes)
    ]


def named(probes: Sequence[Any], arms: Sequence[Arm], table: Table) -> tuple[tuple[str, Any], ...]:
    """Name the probes; a model of a pipeline's own comes first, and judges arms that have none too."""
    found = own(arms, table)
    for item in probes:
        if isinstance(item, str):
            if item not in PROBES:
                raise UnknownName.among("probe", item, PROBES)
            found.append((item, None))
        else:
            name, estimator = item
            found.append((str(name), estimator))
    if not found:
        raise DataError("There is no probe and no model to judge by. Name at least one of probes.")
    if len({name for name, _ in found}) < len(found):
        raise DataError(f"Two probes have the same name: {[name for name, _ in found]}.")
    return tuple(found)


def own(arms: Sequence[Arm], table: Table) -> list[tuple[str, Any]]:
    """Return the model that pipelines have of their own, if any has."""
    models = [arm.model for arm in arms if arm.model is not None]
    return [(MODEL, looking(models[-1], table))] if models else []


def looking(estimator: Any, table: Table) -> Any:
    """Return a probe of columns or images with its column of images named, where there are no others."""
    if not either(estimator):
        return estimator
    found = images_of(table) or image_columns(table.X())[:1]
    alone = bool(found) and len(found) == len(table.features)
    return clone(estimator).set_params(image=found[0]) if alone else estimator


def _estimator(item: Any, table: Table) -> tuple[str, Any]:
    """Return a probe as (name, estimator): a module is wrapped in a probe that trains it."""
    if not isinstance(item, tuple | list) or len(item) != 2:
        raise DataError(
            f"probes: {type(item).__name__} is neither the name of a probe nor a pair. Pass (name, "
            "estimator), where a torch module counts as one: probes=[('mine', module)]."
        )
    name, what = item
    if not hasattr(what, "fit") and (_is_module(what) or callable(what)):
        from tilth.probes import Network

        what = Network(what)
    if isinstance(what, type) or not hasattr(what, "fit"):
        raise DataError(
            f"probes: '{name}' is {what!r}, which cannot be fitted. Pass an estimator (not its class), a "
            "torch.nn.Module, or a callable (n_inputs, n_outputs) that returns one."
        )
    return str(name), looking(what, table)


def _is_module(what: Any) -> bool:
    # Who passes a module has imported torch.
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(what, torch.nn.Module)
