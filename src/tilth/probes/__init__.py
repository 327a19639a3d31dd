"""The models that judge: scikit-learn estimators that take a mixed, gappy table as it is, or images.

Nothing heavy is imported until a probe is asked for; torch only when one that needs it is fitted.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tilth.errors import UnknownName

if TYPE_CHECKING:
    from tilth.probes.boosting import Boosting
    from tilth.probes.cnn import CNN
    from tilth.probes.frame import as_frame
    from tilth.probes.inputs import Inputs
    from tilth.probes.linear import Linear
    from tilth.probes.mlp import MLP
    from tilth.probes.model import Probe
    from tilth.probes.network import Network
    from tilth.probes.transfer import Transfer

_TABLES = {"linear": "Linear", "boosting": "Boosting", "mlp": "MLP"}
_IMAGES = {"cnn": "CNN", "transfer": "Transfer"}
_CLASSES = _TABLES | _IMAGES
_MODULES = {name: module for module, name in _CLASSES.items()} | {
    "Inputs": "inputs",
    "Network": "network",
    "as_frame": "frame",
    "Probe": "model",
}

PROBES = tuple(_CLASSES)
"""The names of all probes,"""
OF_TABLES = tuple(_TABLES)
"""of those that read columns,"""
OF_IMAGES = tuple(_IMAGES)
"""and of those that read images."""

__all__ = [
    "CNN",
    "MLP",
    "OF_IMAGES",
    "OF_TABLES",
    "PROBES",
    "Boosting",
    "Inputs",
    "Linear",
    "Network",
    "Probe",
    "Transfer",
    "as_frame",
    "probe",
]


def probe(name: str, **params: Any) -> Probe:
    """Make a probe by its name.

    Parameters
    ----------
    name : {"linear", "boosting", "mlp", "cnn", "transfer"}
    **params
        Parameters of its class.

    Raises
    ------
    UnknownName
        No probe has this name.

    Examples
    --------
    >>> probe("linear", C=0.1)
    Linear(C=0.1)
    """
    if name not in PROBES:
        raise UnknownName.among("probe", name, PROBES)
    made: Probe = getattr(import_module(f"tilth.probes.{name}"), _CLASSES[name])(**params)
    return made


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'tilth.probes' has no attribute '{name}'")
    return getattr(import_module(f"tilth.probes.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
