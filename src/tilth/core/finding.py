"""A finding: one thing seen in the data, with its evidence and the recipe line that would treat it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

Severity = Literal["info", "low", "medium", "high"]


@dataclass(frozen=True)
class Finding:
    """Say what was seen, where, how sure, and what would treat it.

    Parameters
    ----------
    kind : str
        The code of the finding, such as ``missing.cells``.
    message : str
        One plain sentence with its figures.
    score : float
        The finding's own measure (a share, a distance, a probability); finite.
    severity : {'info', 'low', 'medium', 'high'}
    columns : tuple of str
    rows : tuple of int
        Row ids, at most `ROWS_SHOWN` of them, worst first; `n_rows` counts them all.
    n_rows : int
    remedy : dict or None
        A recipe line: ``{"impute.simple": {"indicator": True}}``, or a change to the data section:
        ``{"data": {"null_values": ["?"]}}``.
    stage : str
        The stage or check that found it.
    """

    kind: str
    message: str
    score: float
    severity: Severity = "info"
    columns: tuple[str, ...] = ()
    rows: tuple[int, ...] = ()
    n_rows: int = 0
    remedy: dict[str, Any] | None = None
    stage: str = ""

    ROWS_SHOWN = 1000

    def __post_init__(self) -> None:
        if not math.isfinite(self.score):
            raise ValueError(f"Finding '{self.kind}': its score is {self.score}; it must be finite.")

    @classmethod
    def on_rows(cls, kind: str, message: str, ids: np.ndarray, scores: np.ndarray, **more: Any) -> Finding:
        """Build a finding about rows: the worst first (lowest score), and how many in all."""
        order = np.argsort(scores, kind="stable")[: cls.ROWS_SHOWN]
        return cls(kind, message, rows=tuple(int(i) for i in ids[order]), n_rows=len(ids), **more)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold."""
        return asdict(self)


SEVERITIES: dict[str, int] = {"info": 0, "low": 1, "medium": 2, "high": 3}
"""Severities by rank, for sorting."""

__all__ = ["SEVERITIES", "Finding", "Severity"]
