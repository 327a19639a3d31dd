"""One small result of each part, made by hand: the report is about showing them, not about making them."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tilth.audit import audit
from tilth.bench.result import COSTS, SCORES, Ablation, Comparison, Guard, Verdict
from tilth.core import Finding, Ledger, fit
from tilth.recipes import Recipe
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
    costs = pl.DataFrame([("after", "linear", 0.5, 1.25, 96.0, 0.923)], schema=COSTS, orient="row")
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
