"""What mends an ailing training, from what is known of the data: a recipe line or a setting, and why."""

from __future__ import annotations

from typing import Any

import numpy as np

from tilth.training.vitals import Vitals

Remedy = tuple[dict[str, Any], str]
"""A recipe line, or ``{"training": {setting: value}}`` for a setting of the trainer; and a sentence."""

FAR = 10.0
"""Root mean square of an input from which scaling is the first thing to try."""
ROWS_PER_INPUT = 10
"""Fewer rows to an input, and it is worth asking which inputs are needed."""
FEW_ROWS = 5000
NAMED = 10
"""Columns that a remedy names at most."""


def fill() -> Remedy:
    """Return what fills gaps."""
    return {"impute.simple": {"indicator": True}}, "Fill them: impute.simple."


def scale(v: Vitals) -> Remedy:
    """Return what brings inputs near 0, for the columns that need it where they have names."""
    return _scaling(v), f"Scale them: scale.robust{_skewed(v)}."


def calm(v: Vitals) -> Remedy:
    """Return what keeps steps from being too large: scaled inputs first, then a lower rate."""
    if v.columns is not None and v.columns.missing:
        return fill()
    if _far(v):
        return _scaling(v), f"{_spreads(v)}: scale.robust, before a lower learning_rate."
    line = {"training": {"learning_rate": "a tenth", "clip_norm": 1.0}}
    return line, "The inputs are scaled: lower learning_rate (a tenth, say), clip_norm 1, or batch norm."


def revive(v: Vitals) -> Remedy:
    """Return what lets gradients through again."""
    if _far(v):
        return _scaling(v), f"{_spreads(v)}: scale.robust."
    line = {"training": {"activation": "leaky_relu", "initialization": "he", "batch_norm": True}}
    return line, "Use activation leaky_relu, He weights or batch norm; a lower learning_rate if units died."


def soften(v: Vitals) -> Remedy:
    """Return what keeps units off the ends of their range."""
    if _far(v, least=3.0):
        return _scaling(v), f"{_spreads(v)}: scale.robust."
    line = {"training": {"initialization": "xavier", "weight_decay": 1e-2}}
    return line, "Begin with smaller weights (Xavier), or use an activation without ends such as gelu."


def learn(v: Vitals, could: bool) -> Remedy:
    """Return what gets a training off the ground."""
    if _far(v):
        return _scaling(v), f"{_spreads(v)}: scale.robust."
    if could:
        line = {"training": {"learning_rate": "ten times"}}
        return (
            line,
            "It could learn 64 rows by heart: raise learning_rate or epochs. If that does not help, the "
            "target may not follow from these columns.",
        )
    return grow(v)


def signal() -> Remedy:
    """Return what to do where the target does not follow from the columns."""
    line = {"labels.clean": {"action": "report"}}
    return (
        line,
        "Look whether labels are right and in the right rows (labels.clean), and whether any column tells "
        "of the target (select.relevant).",
    )


def grow(v: Vitals) -> Remedy:
    """Return what makes a network able to fit."""
    if _far(v):
        return _scaling(v), f"{_spreads(v)}: scale.robust."
    line = {"training": {"hidden": [256, 256], "batch_norm": True}}
    return line, "Use wider or more layers, fewer penalties, batch norm."


def prune(v: Vitals) -> Remedy:
    """Return what holds a network to what is general: fewer columns, more rows, or a smaller network."""
    width = 0 if v.columns is None else len(v.columns.size)
    if width and v.rows < ROWS_PER_INPUT * width:
        words = f"{v.rows:,} rows for {width:,} inputs: leave out those that tell nothing (select.relevant)"
        return {"select.relevant": {}}, f"{words}, augment (augment.mixup), or stop earlier."
    if v.rows < FEW_ROWS:
        return {
            "augment.mixup": {}
        }, f"{v.rows:,} rows are few: augment.mixup, more dropout or weight_decay, early stopping."
    line = {"training": {"dropout": 0.3, "weight_decay": 1e-2}}
    return line, "More dropout or weight_decay, a smaller network, or early stopping."


def shrink(v: Vitals) -> Remedy:
    """Return what brings numbers down."""
    if _far(v):
        return _scaling(v), f"{_spreads(v)}: scale.robust."
    return {"training": {"weight_decay": 1e-2}}, "weight_decay or batch norm keeps them small."


def settle(v: Vitals) -> Remedy:
    """Return what makes a result depend less on how it began."""
    if _far(v):
        return _scaling(v), f"{_spreads(v)}: scale.robust."
    line = {"training": {"warmup_share": 0.1, "batch_norm": True}}
    return line, "Average over several, warm up longer, use batch norm; more rows."


def _far(v: Vitals, least: float = FAR) -> bool:
    return v.columns is not None and bool(len(v.columns.size)) and float(v.columns.size.max()) > least


def _scaling(v: Vitals) -> dict[str, Any]:
    """Return the line that scales the columns far from 0; all where they are many or have no names."""
    assert v.columns is not None
    far = np.flatnonzero(v.columns.size > FAR)
    if not v.columns.names or not 0 < len(far) <= NAMED:
        return {"scale.robust": {}}
    return {"scale.robust": {"on": [v.columns.name(int(place)) for place in far]}}


def _spreads(v: Vitals) -> str:
    assert v.columns is not None
    top = int(np.argmax(v.columns.size))
    return (
        f"Inputs are not scaled ({v.columns.name(top)}: root mean square {v.columns.size[top]:.3g}, spread "
        f"{v.columns.spread[top]:.3g})"
    )


def _skewed(v: Vitals) -> str:
    """Return a hint at scale.log where columns differ by orders of magnitude."""
    assert v.columns is not None
    spread = v.columns.spread[v.columns.spread > 0]
    many = len(spread) > 1 and spread.max() > 1e4 * np.median(spread)
    return ", or scale.log for columns that span orders of magnitude" if many else ""
