"""What backbones are called: known without loading any, so that a recipe is checked before data is read."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from tilth.errors import UnknownName

NAMES = ("auto", "efficientnet_lite0", "histograms")
GROUP = "tilth.backbones"
"""Entry points of other packages: a name, and a function that returns a Module or a Backbone."""


def offered() -> dict[str, EntryPoint]:
    """Return the backbones of other packages by their names."""
    return {point.name: point for point in entry_points(group=GROUP)}


def known(name: str) -> str:
    """Return the name of a backbone.

    Raises
    ------
    UnknownName
        There is none of this name; the nearest ones are offered.
    """
    if name not in NAMES and name not in (others := offered()):
        raise UnknownName.among("backbone", name, [*NAMES, *others])
    return name
