"""Tilth prepares data for training, says what it did to every row, and proves whether it helped.

>>> import tilth
>>> tilth.stage("scale.robust")
ScaleRobust()
>>> tilth.ScaleRobust is type(tilth.stage("scale.robust"))
True
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from tilth import loaders, probes
    from tilth.audit import audit
    from tilth.bench import ablate, compare, learning_curve
    from tilth.core.finding import Finding
    from tilth.core.ledger import Ledger
    from tilth.errors import TilthError
    from tilth.pipeline import Pipeline, load
    from tilth.recipes import Recipe
    from tilth.stages import stage
    from tilth.table import Table, read

# Where each public name lives. Nothing is imported before it is used: `import tilth` stays light.
_PLACES = {
    "Finding": "tilth.core.finding",
    "Ledger": "tilth.core.ledger",
    "Pipeline": "tilth.pipeline",
    "Recipe": "tilth.recipes",
    "Table": "tilth.table",
    "TilthError": "tilth.errors",
    "ablate": "tilth.bench",
    "audit": "tilth.audit",
    "compare": "tilth.bench",
    "learning_curve": "tilth.bench",
    "load": "tilth.pipeline",
    "loaders": "",
    "probes": "",
    "read": "tilth.table",
    "stage": "tilth.stages",
}

__all__ = [
    "Finding",
    "Ledger",
    "Pipeline",
    "Recipe",
    "Table",
    "TilthError",
    "ablate",
    "audit",
    "compare",
    "learning_curve",
    "load",
    "loaders",
    "probes",
    "read",
    "stage",
]


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        place = _PLACES[name]
        value = getattr(import_module(place), name) if place else import_module(f"tilth.{name}")
    elif name[:1].isupper():
        from tilth.stages import class_named

        value = class_named(name)
    else:
        value = None
    if value is None:
        raise AttributeError(f"module 'tilth' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
