"""The report as plain values, for programs."""

from __future__ import annotations

import math
from importlib import metadata
from pathlib import Path
from platform import python_version
from typing import Any

from tilth.audit import Audit
from tilth.bench import LearningCurve
from tilth.bench.result import Trial
from tilth.report.words import findings_of, summary

PACKAGES = ("tilth", "polars", "numpy", "pandas", "scikit-learn", "torch", "cleanlab")


def as_json(
    audit: Audit | None = None,
    run: Any = None,
    comparison: Trial | None = None,
    ablation: Trial | None = None,
    curve: LearningCurve | None = None,
) -> dict[str, Any]:
    """Return what the report says as values that JSON can hold; a part that is not there is left out.

    Parameters
    ----------
    audit : Audit, optional
    run : RunResult, optional
        Anything with ``ledger``, ``findings``, ``recipe_yaml`` and ``out``.
    comparison, ablation : Trial, optional
    curve : LearningCurve, optional

    Returns
    -------
    dict
        ``summary``, ``findings``, ``audit``, ``run``, ``comparison``, ``ablation``, ``curve``, ``versions``.
        What is not a finite number is None.
    """
    cards = summary(audit, run, comparison, ablation, curve)
    told: dict[str, Any] = {
        "summary": [{"what": c.what, "answer": c.big, "lines": list(c.lines)} for c in cards]
    }
    if audit is not None or run is not None:
        found = findings_of(audit, run)
        told["findings"] = [f.as_dict() if audit is None else audit.told(f) for f in found]
    if audit is not None:
        told["audit"] = {name: value for name, value in audit.as_dict().items() if name != "findings"}
    if run is not None:
        told["run"] = {
            "account": run.ledger.account(),
            "rows": run.ledger.diff().to_dicts(),
            "columns": run.ledger.columns.to_dicts(),
            "recipe": run.recipe_yaml,
            "out": None if run.out is None else str(run.out),
        }
    for name, trial in (("comparison", comparison), ("ablation", ablation), ("curve", curve)):
        if trial is not None:
            told[name] = trial.as_dict()
    told["versions"] = versions()
    plain: dict[str, Any] = _plain(told)
    return plain


def versions() -> dict[str, str]:
    """Return the versions that the result depends on, of the packages that are installed."""
    found = {"python": python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int | bool):
        return value
    return str(value) if isinstance(value, Path) or not hasattr(value, "item") else _plain(value.item())
