"""Law 9: findings are declared, finite, about what is there, and their remedy can be used."""

import math
import re

import pytest

from tests.laws.cases import Case, cases
from tilth import stages
from tilth.core import model_of
from tilth.core.finding import SEVERITIES
from tilth.core.parameters import plain


@pytest.mark.parametrize("case", cases("findings"))
def test_law_9_findings_are_declared_finite_and_about_what_is_there(case: Case):
    table = case.table()
    ids, columns = set(table.ids.tolist()), set(table.schema)
    for found in case.fitted().findings_:
        assert found.kind in case.cls.finds
        assert re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", found.kind)
        assert math.isfinite(found.score)
        assert found.severity in SEVERITIES
        assert found.stage == case.key
        assert set(found.columns) <= columns
        assert set(found.rows) <= ids
        assert len(found.rows) <= found.n_rows <= max(table.height, len(found.rows))
        assert found.message.strip()
        assert "nan" not in found.message.lower().split()
        for key, parameters in (found.remedy or {}).items():
            if key != "data":
                model_of(stages.find(key)).model_validate(plain(parameters or {}))


@pytest.mark.parametrize("key", stages.keys())
def test_law_9_the_docs_name_every_finding(key: str):
    cls = stages.find(key)
    assert "Findings" in cls.__doc__ or not cls.finds
    for kind in cls.finds:
        assert kind in cls.__doc__, f"{key}: its docs do not name the finding {kind}"
