"""One small result of each part, made by hand: the report is about showing them, not about making them."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tilth.audit import audit
from tilth.bench.ablation_result import Ablation
from tilth.bench.curve_result import SIZED, Check, Curve, LearningCurve, Point
from tilth.bench.result import COSTS, SCORES, Comparison, Guard, Verdict
from tilth.core import Finding, Ledger, fit
from tilth.recipes import Recipe
from tilth.statistics.power_law import fit_power_law
from tilth.table import Roles, Table

RECIPE = """\
stages:
  - duplicates.exact
  - impute.simple: {indicator: true}
  - scale.robust
  - encode.category
"""


@dataclass
class Run:
    """What the report asks of a run."""

    ledger: Ledger
    before: Table
    after: Table
    findings: list[Finding]
    recipe_yaml: str
    out: Path | None = None


def rows(names=("age", "city", "y")):
    rng = np.random.default_rng(0)
    age, city, y = names
    ages = pl.Series(rng.uniform(18, 80, 120).round(3))
    ages[5] = None
    frame = pl.DataFrame(
        {age: ages, city: rng.choice(["oslo", "rome"], 120), y: rng.choice(["no", "yes"], 120)}
    )
    return pl.concat([frame, frame[:10]])


def run_of(frame, target="y", recipe=RECIPE):
    table = Table.of(frame, roles=Roles(target))
    done = fit(Recipe.from_text(recipe).build(), table)
    return Run(done.ledger, table, done.table, done.findings, recipe, Path("out"))


def verdict(probe="linear", difference=0.02, half=0.01, word="helps", **more):
    told = {"metric": "roc_auc", "p": 0.001, "p_holm": 0.003, "n_scores": 25, "mde80": 0.0123, "rope": 0.005}
    told |= {"p_hurts": 0.01, "p_same": 0.09, "p_helps": 0.9, **more}
    low, high = difference - half, difference + half
    return Verdict(
        probe=probe,
        before=0.8,
        after=0.8 + difference,
        difference=difference,
        low=low,
        high=high,
        word=word,
        **told,
    )


def guard(metric="log_loss", broken=False):
    return Guard(metric, 0.41, 0.45, -0.04, -0.06, -0.02, 0.001, broken)


def comparison_of(*verdicts, **more):
    costs = pl.DataFrame([("after", "linear", 0.5, 1.25, 96.0, 0.923, 120.0)], schema=COSTS, orient="row")
    made = Comparison("binary", ("roc_auc",), 5, 3, 130, pl.DataFrame(schema=SCORES), list(verdicts), costs)
    return replace(made, **more)


@pytest.fixture(scope="session")
def run():
    return run_of(rows())


@pytest.fixture(scope="session")
def seen():
    return audit(rows(), "y", stages=["duplicates.exact", "impute.simple", "outliers.clip"])


@pytest.fixture(scope="session")
def compared():
    nothing = verdict("boosting", 0.001, 0.006, "no evidence", rows_needed=7000)
    bad = verdict(
        "mlp", 0.03, 0.01, "trades", guards={"log_loss": guard(broken=True), "brier": guard("brier")}
    )
    return comparison_of(
        verdict(),
        nothing,
        bad,
        leaks=[Finding("leak.copies", "10 rows have a copy in another fold.", 0.1)],
        controls=[Finding("control.random", "Dropping 10 rows at random gains +0.0001.", 0.0)],
    )


@pytest.fixture(scope="session")
def ablated():
    verdicts = [verdict(stage="impute.simple"), verdict(difference=-0.03, word="hurts", stage="scale.robust")]
    return Ablation(
        "binary", ("roc_auc",), 5, 1, 130, pl.DataFrame(schema=SCORES), verdicts, pl.DataFrame(schema=COSTS),
        stages=("impute.simple", "scale.robust"),
    )  # fmt: skip


def curve_of(probe="linear", word="more rows would help", **more):
    """Make a curve of a planted law: 0.1 + 2 / sqrt(rows), as one minus the ROC AUC."""
    sizes = np.array([100, 200, 400, 800])
    noise = np.random.default_rng(0).normal(0, 0.004, (10, 4))
    law = fit_power_law(sizes, 0.1 + 2 * sizes**-0.5 + noise)
    points = tuple(
        Point(n, 1 - e, 1 - e - 0.02, 1 - e + 0.02, 0.99) for n, e in zip(sizes, law.errors, strict=True)
    )
    made = Curve(probe, "roc_auc", points, word, 0.005, law, rows_needed=law.rows_for(0.005))
    made = replace(
        made,
        twice=made.at(1600),
        tenfold=made.at(8000),
        checked=Check(400.0, made.at(800), 0.83, 0.03, 0.01, 0.05),
    )
    return replace(made, **more)


def curves_of(*curves):
    classes = pl.DataFrame(
        {"rows": [100, 100, 800, 800], "class": ["no", "yes"] * 2, "count": [90.0, 10, 720, 80]}
    )
    return LearningCurve(
        "binary", ("roc_auc",), 5, 2, 1000, (100, 200, 400, 800), pl.DataFrame(schema=SIZED), list(curves),
        classes, pl.DataFrame(), [Finding("leak.copies", "3 rows repeat another.", 0.1)],
    )  # fmt: skip


@pytest.fixture(scope="session")
def grown():
    nothing = curve_of(
        "mlp", "cannot tell", law=None, twice=None, tenfold=None, rows_needed=None, checked=None
    )
    return curves_of(
        curve_of(reading="Overfit: 0.990 on the rows fitted on."),
        curve_of("boosting", "flat"),
        replace(nothing, note="Only 3 rows of the smallest class.", points=nothing.points[:1]),
    )
