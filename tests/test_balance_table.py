"""The arithmetic of the benchmark of rare classes: its scores are the bench's, its words follow from them."""

from __future__ import annotations

import importlib
import runpy
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.stats import wilcoxon

from tilth.bench.arms import run_fold
from tilth.bench.design import Arm
from tilth.bench.statistics import corrected_t, holm
from tilth.bench.trial import plan
from tilth.stages import stage

ROOT = Path(__file__).parents[1]
CLAIMS = runpy.run_path(str(ROOT / "benchmarks" / "balance_claims.py"))
claims_of, over_sets, word, advice = (CLAIMS[n] for n in ("claims_of", "over_sets", "word", "advice"))
SETS = [f"set {i}" for i in range(16)]


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the benchmark's module, which imports those beside it."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("balance_table")


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the module that writes the report."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("balance_report")


def made_case(table: Any, rows: int = 240) -> Any:
    """Return a set of one number and one category, 20% of whose rows are of the rare class."""
    random = np.random.default_rng(0)
    rare = np.arange(rows) % 5 == 0
    X = pl.DataFrame({"a": random.normal(size=rows) + rare, "c": random.choice(["p", "q"], rows)})
    design, _ = plan(
        X, pl.Series("rare", rare), None, None, arms=(), probes=("linear",), folds=3, repeats=1,
        metric="auto", random_state=0, allow_fitted=False,
    )  # fmt: skip
    return table.Case("made", design, ("none", "weight"), {})


@pytest.mark.parametrize("treatment", ["none", "weight"])
def test_scores_are_those_of_the_bench(table: Any, treatment: str) -> None:
    case = made_case(table)
    test = case.design.fold_of[0] == 1
    told = table.answers(case, treatment, 0, 1)
    truth = case.design.truth
    said = (told[f"linear.{which}"] for which in ("raw", "said", "inner"))
    ours = table.scores_of(truth[test], truth[~test], *said)

    steps = [(key, stage(key, **p)) for line in table.TREATMENTS[treatment] for key, p in line.items()]
    arms = [Arm("plain", tuple(steps))]
    for metric in ("f1", "balanced_accuracy"):
        cut = stage("balance.threshold", metric=metric, folds=table.INNER_FOLDS)
        arms.append(Arm(metric, (*steps, ("balance.threshold", cut))))
    result = run_fold(case.design, arms, 0, 1, random_drop=False, optional=())
    bench = {(line["arm"], line["metric"]): line["value"] for line in result.scores}
    uncorrected = "plain, uncorrected" if treatment == "weight" else "plain"
    for metric in ("roc_auc", "pr_auc", "log_loss", "ece"):
        assert ours[metric] == pytest.approx(bench[uncorrected, metric], abs=1e-12)
    for metric in ("log_loss", "ece"):
        assert ours[f"{metric}, corrected"] == pytest.approx(bench["plain", metric], abs=1e-12)
    for metric in ("f1", "balanced_accuracy"):
        assert ours[f"{metric} at 0.5"] == pytest.approx(bench["plain", metric], abs=1e-12)
        assert ours[f"{metric} tuned"] == pytest.approx(bench[metric, metric], abs=1e-12)
    if treatment == "weight":
        assert ours["log_loss"] != ours["log_loss, corrected"]


def test_a_run_that_was_stopped_goes_on_where_it_was(table: Any, tmp_path: Path) -> None:
    case = made_case(table)
    table.fit([case], tmp_path, jobs=1)
    files = sorted(tmp_path.rglob("*.npz"))
    assert len(files) == 2 * 3 and not list(tmp_path.rglob("*.tmp"))
    whole = table.scored(case, tmp_path)
    times = {file: file.stat().st_mtime_ns for file in files}
    files[0].unlink()
    table.fit([case], tmp_path, jobs=1)
    assert {file for file in files if file.stat().st_mtime_ns != times[file]} == {files[0]}
    assert table.scored(case, tmp_path).equals(whole)


def test_another_treatment_or_other_rows_are_other_cells(table: Any, tmp_path: Path) -> None:
    case, longer = made_case(table), made_case(table, rows=300)
    places = {
        table.place(tmp_path, c, t, 0, f) for c in (case, longer) for t in case.treatments for f in (0, 1)
    }
    assert len(places) == 8


def test_comments_do_not_make_another_cell_and_code_does(table: Any) -> None:
    one = '"""A."""\ndef f(x):\n    """B."""\n    return x + 1\n'
    assert table._code(one) == table._code(one.replace("B.", "C.").replace("x + 1", "x + 1  # more"))
    assert table._code(one) != table._code(one.replace("x + 1", "x + 2"))


def test_rows_are_drawn_from_each_class_in_its_share(table: Any) -> None:
    rare = np.random.default_rng(0).random(5000) < 0.05
    rows = table.drawn(rare, 1000)
    assert len(np.unique(rows)) == 1000 and (np.diff(rows) > 0).all()
    assert rare[rows].sum() == round(1000 * rare.mean())
    assert np.array_equal(table.drawn(rare[:900], 1000), np.arange(900))


def made_scores(gain: float, of: str = "weight f1 at 0.5") -> pl.DataFrame:
    """Return scores of two treatments in which the score `of` is better by `gain`, and others are alike."""
    random = np.random.default_rng(0)
    asked = list(CLAIMS["QUESTIONS"].values())
    kinds = sorted({q.score for q in asked} | {q.base for q in asked})
    lines = []
    for name, repeat, fold, kind in product(SETS, range(2), range(5), kinds):
        base = 0.5 + 0.1 * random.random()
        for treatment in ("none", "weight", "over"):
            value = base + 0.0005 * random.normal() + gain * (of == f"{treatment} {kind}")
            where = {"set": name, "treatment": treatment, "repeat": repeat, "fold": fold}
            lines.append({**where, "probe": "linear", "score": kind, "value": value})
    return pl.DataFrame(lines)


def test_a_claim_is_made_of_the_means_of_the_sets() -> None:
    scores = made_scores(0.05)
    claims = claims_of(scores, folds=5)
    assert len(claims) == 12 * 2 + 2
    claim = next(c for c in claims if c["question"] == "F1, at one half" and c["treatment"] == "weight")
    value = lambda name, treatment: scores.filter(set=name, treatment=treatment, score="f1 at 0.5").sort(
        "repeat", "fold"
    )["value"]
    for name in SETS:
        told = corrected_t((value(name, "weight") - value(name, "none")).to_numpy(), folds=5)
        assert claim["sets"][name] == pytest.approx((told.mean, told.low, told.high))
    means = np.array([mean for mean, _, _ in claim["sets"].values()])
    assert claim["mean"] == pytest.approx(means.mean()) and claim["p"] == wilcoxon(means).pvalue
    assert [c["holm"] for c in claims] == pytest.approx(holm([c["p"] for c in claims]).tolist())
    assert (claim["win"], claim["tie"], claim["loss"], claim["word"]) == (16, 0, 0, "better")


def test_losses_count_the_other_way_and_a_threshold_is_doing_nothing_tuned() -> None:
    worse = claims_of(made_scores(0.05, "weight log_loss"), folds=5)
    found = {(c["question"], c["treatment"]): c for c in worse}
    assert found["log loss", "weight"]["word"] == "worse" and found["log loss", "weight"]["mean"] < -0.04
    assert found["log loss", "over"]["word"] == "same"
    moved = {
        (c["question"], c["treatment"]): c for c in claims_of(made_scores(0.05, "none f1 tuned"), folds=5)
    }
    assert moved["F1, at one half", "threshold"]["word"] == "better"
    assert moved["F1, at one half", "weight"]["word"] == "same"
    assert moved["F1, both thresholds tuned", "weight"]["word"] == "worse"
    assert moved["F1, beside a moved threshold", "weight"]["word"] == "worse"


@pytest.mark.parametrize(
    ("mean", "low", "high", "p", "expected"),
    [
        (0.02, 0.01, 0.03, 0.01, "better"),
        (-0.02, -0.03, -0.01, 0.01, "worse"),
        (0.02, 0.01, 0.03, 0.06, "unclear"),
        (0.004, 0.001, 0.009, 0.01, "same"),
        (0.004, 0.001, 0.02, 0.01, "unclear"),
        (0.0, -0.02, 0.02, 1.0, "unclear"),
    ],
)
def test_words_follow_the_rule(mean: float, low: float, high: float, p: float, expected: str) -> None:
    assert word({"mean": mean, "low": low, "high": high, "holm": p, "rope": 0.01}) == expected


def test_the_interval_over_sets_is_wide_where_sets_differ_and_no_difference_is_no_effect() -> None:
    alike, apart = over_sets(np.full(16, 0.1)), over_sets(np.tile([0.0, 0.2], 8))
    assert alike["low"] == pytest.approx(alike["high"]) and alike["mean"] == pytest.approx(apart["mean"])
    assert apart["low"] < 0.07 and apart["high"] > 0.13
    assert over_sets(np.zeros(16))["p"] == 1.0


def test_advice_says_what_the_claims_say() -> None:
    """Nothing is called useless that was better, and what was worse is named."""
    nothing = " ".join(advice(claims_of(made_scores(0.0), folds=5)))
    assert "nothing was shown to rank better" in nothing and "Worse" not in nothing
    assert "Moving it was not shown to help" in nothing and "not shown to spoil" in nothing
    ranked = " ".join(advice(claims_of(made_scores(0.05, "over roc_auc"), folds=5)))
    assert "Better ranked over (linear)." in ranked and "nothing was shown to rank better" not in ranked
    harmed = " ".join(advice(claims_of(made_scores(-0.05, "over f1 tuned"), folds=5)))
    assert "Worse: over (linear)." in harmed
    spoiled = " ".join(advice(claims_of(made_scores(0.05, "over log_loss"), folds=5)))
    assert "spoils them: of 4 comparisons 1 worse, 3 same" in spoiled
    moved = " ".join(advice(claims_of(made_scores(0.05, "none f1 tuned"), folds=5)))
    assert "Moving the threshold helps with linear only" in moved


def test_the_report_holds_every_comparison_and_every_set(report: Any) -> None:
    scores = made_scores(0.05, "over roc_auc")
    claims = claims_of(scores, folds=5)
    sets = [{"set": name, "share": 0.1, "categories": 0} for name in SETS]
    told = {"sets": sets, "rows_at_most": 1500, "folds": 5, "repeats": 2, "inner_folds": 3}
    told["treatments"] = {"none": [], "over": [{"balance.over": {}}]}
    text = report.summary(told, claims)
    assert "16 real sets (0 with categories)" in text and "*over* (`balance.over`)," in text
    assert text.count("**better**") == 1
    assert "| over | +0.050 **better** |" in text
    assert report.intervals_table(claims).count("\n| ") == len(claims) + 1
    assert report.by_set(claims, "ROC AUC").count("\n| set ") == len(SETS) + 1
    assert report.means_table(scores).count("\n| ") == 3 + 1


def test_the_guide_shows_the_results_that_are_published(report: Any) -> None:
    shown = report.BLOCK.search((ROOT / "docs" / "imbalance.md").read_text(encoding="utf-8"))
    published = (ROOT / "benchmarks" / "results" / "balance.md").read_text(encoding="utf-8")
    assert shown is not None and shown[2].strip() and shown[2] in published
