"""The audit tries ways of filling missing cells, tells how far off they were, and proposes the best."""

import numpy as np
import polars as pl

from tilth.audit import audit
from tilth.audit.imputation import IMPUTERS, methods
from tilth.pipeline.run import prepare

FEW = ("impute.simple",)


def rows(related, n=500):
    random = np.random.default_rng(0)
    a = random.normal(size=n)
    b = 3 * a + 0.1 * random.normal(size=n) if related else random.normal(size=n)
    frame = pl.DataFrame({"a": a, "b": b, "c": random.normal(size=n), "y": np.where(a > 0, "yes", "no")})
    holes = {c: random.random(n) < 0.1 for c in ("a", "b")}
    return frame.with_columns(pl.when(~pl.Series(h)).then(pl.col(c)).alias(c) for c, h in holes.items())


def test_where_columns_tell_one_another_the_better_method_is_proposed_with_its_reason():
    frame = rows(related=True)
    seen = audit(frame, "y", stages=FEW)
    (found,) = seen.of("impute.choice")
    assert found.columns == ("a", "b")
    assert found.stage == "audit.methods"
    assert "impute.simple 1.0" in found.message or "impute.simple 0.9" in found.message
    (line,) = [
        x for x in seen.proposed["stages"] if isinstance(x, dict) and next(iter(x)).startswith("impute.")
    ]
    assert line == found.remedy
    ((key, params),) = line.items()
    assert key != "impute.simple"
    assert params["indicator"] is True
    assert f"is taken, with a loss of {found.score:.3f} per cell" in seen.reasons[key]
    after = prepare(seen.recipe, data=None if seen.recipe.data.path else _table(frame)).after
    assert sum(after.frame.collect().null_count().row(0)) == 0


def _table(frame):
    from tilth.table import Roles, Table

    return Table.of(frame, roles=Roles(target="y"))


def test_where_nothing_beats_it_the_simple_one_is_proposed_and_that_is_said():
    seen = audit(rows(related=False), "y", stages=FEW)
    assert {"impute.simple": {"indicator": True}} in seen.proposed["stages"]
    assert "impute.simple is taken" in seen.reasons["impute.simple"]


def test_without_imputers_or_with_few_gaps_nothing_is_tried():
    frame = rows(related=True)
    off = audit(frame, "y", stages=FEW, imputers=())
    few = audit(frame.with_columns(pl.col("a", "b").fill_null(0.0)), "y", stages=FEW)
    assert off.of("impute.choice") == few.of("impute.choice") == []
    assert {"impute.simple": {"indicator": True}} in off.proposed["stages"]


def test_other_imputers_may_be_tried_and_the_choice_does_not_depend_on_the_run():
    frame = rows(related=True)
    lines = ["impute.simple", {"impute.iterative": {"model": "linear", "max_iter": 50}}]
    one, two = (audit(frame, "y", stages=FEW, imputers=lines) for _ in range(2))
    assert one.proposed == two.proposed
    line = {"impute.iterative": {"model": "linear", "max_iter": 50, "indicator": True}}
    assert line in one.proposed["stages"]
    refused = audit(frame, "y", stages=FEW, imputers=["duplicates.exact"])
    assert any("is no column stage" in f.message for f in refused.of("check.failed"))


def test_columns_that_tell_nothing_are_left_out_of_the_trial():
    table = _table(rows(related=True))
    (found,) = methods(table, ["b"], IMPUTERS, 0)
    assert found.columns == ("a",)
    assert found.remedy == {"impute.simple": {"indicator": True}}
