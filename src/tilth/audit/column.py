"""One column, as the audit's checks look at it and tell of it."""

from __future__ import annotations

import polars as pl

from tilth.core.finding import Finding, Severity
from tilth.stages import column


class Column(column.Column):
    """Hold one column of the table that is looked at, and make findings about it."""

    def finding(
        self,
        kind: str,
        message: str,
        score: float,
        severity: Severity,
        *,
        mask: pl.Series | None = None,
        remedy: dict | None = None,
    ) -> Finding:
        """Make a finding about this column; `mask` marks the rows it is about."""
        rows = () if mask is None else self.where(mask)
        count = 0 if mask is None else int(mask.fill_null(False).sum())
        check = f"audit.{kind.partition('.')[0]}"
        return Finding(kind, message, float(score), severity, (self.name,), rows, count, remedy, check)
