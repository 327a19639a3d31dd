"""What is wrong with the data, with evidence and a proposed recipe: stages that find and do not act."""

import sys
from types import ModuleType
from typing import Any

from tilth.audit import (
    across,
    causes,
    columns,
    cues,
    dimension,
    drift,
    embedded,
    held_out,
    hidden,
    imputation,
    leakage,
    looking,
    missing,
    pairs,
    pictures,
    slices,
    target,
)
from tilth.audit.auditing import audit
from tilth.audit.looking import LOOKERS
from tilth.audit.result import Audit, Facts, ImageFacts, Picture, Sheet
from tilth.audit.slices import weak_slices

FINDS: dict[str, str] = {
    **target.FINDS,
    **hidden.FINDS,
    **columns.FINDS,
    **pairs.FINDS,
    **dimension.FINDS,
    **missing.FINDS,
    **causes.FINDS,
    **imputation.FINDS,
    **leakage.FINDS,
    **across.FINDS,
    **drift.FINDS,
    **held_out.FINDS,
    **pictures.FINDS,
    **cues.FINDS,
    **embedded.FINDS,
    **slices.FINDS,
    **looking.FINDS,
}
"""Every finding that the audit's own checks may report; those of the stages stand in their `finds`."""

__all__ = ["FINDS", "LOOKERS", "Audit", "Facts", "ImageFacts", "Picture", "Sheet", "audit", "weak_slices"]


class _Room(ModuleType):
    """Let `tilth.audit` be the function, also after this room was imported under the same name."""

    def __call__(self, *args: Any, **kwargs: Any) -> Audit:
        return audit(*args, **kwargs)


sys.modules[__name__].__class__ = _Room
