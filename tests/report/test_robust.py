"""The parts of the report that look closer: they say what was found, and escape what came from the data."""

import numpy as np
import polars as pl
import pytest

from tilth.bench import Explanation, Robustness, compare
from tilth.bench.importance import IMPORTANCE
from tilth.bench.worse import WORSE
from tilth.report import page, robust, terminal
from tilth.stages.scale.standard import ScaleStandard

NAME = "<b>a & b</b>"


@pytest.fixture(scope="module")
def compared():
    rng = np.random.default_rng(0)
    X = pl.DataFrame({NAME: rng.normal(size=240), "noise": rng.normal(size=240)})
    y = (X[NAME] + pl.Series(rng.normal(size=240)) * 0.3 > 0).cast(pl.Int64).alias("y")
    how = {"probes": ["linear"], "folds": 3, "repeats": 2, "n_jobs": 1}
    return compare(None, [ScaleStandard()], X, y, explain=True, robustness=True, **how)


def test_the_page_has_both_parts_and_a_way_to_each(compared):
    text = page(comparison=compared)
    for key, title in (("explained", "Which columns matter?"), ("robust", "What does it withstand?")):
        assert f'<h2 id="{key}">{title}</h2>' in text
        assert f'href="#{key}"' in text


def test_names_from_the_data_are_escaped(compared):
    text = page(comparison=compared)
    assert NAME not in text
    assert "&lt;b&gt;a &amp; b&lt;/b&gt;" in text


def test_scores_before_and_after_stand_in_one_cell_per_challenge_and_model(compared):
    text = str(robust.robustness(compared.robustness))
    clean = compared.robustness.table().row(0, named=True)
    assert f"{clean['before']:.4f} → {clean['after']:.4f}" in text
    for told in compared.robustness.scores["told"].unique():
        assert told in text


def test_a_comparison_without_closer_looks_and_an_ablation_have_no_such_part(compared):
    from dataclasses import replace

    assert robust.closer(replace(compared, explanation=None, robustness=None)) == []
    assert len(robust.closer(compared)) == 2


def one(frame_schema, **cells):
    return pl.DataFrame([{name: cells.get(name) for name in frame_schema}], schema=frame_schema)


def test_a_slice_that_loses_is_marked_and_its_table_open():
    told = {
        "slice": "sex = F",
        "probe": "linear",
        "metric": "roc_auc",
        "rows": 240,
        "before": 0.9,
        "after": 0.8,
    }
    told |= {"difference": -0.1, "low": -0.12, "high": -0.08, "p": 0.001, "p_holm": 0.01, "n_scores": 10}
    for worse in (True, False):
        found = Explanation(pl.DataFrame(schema=IMPORTANCE), one(WORSE, **told, worse=worse))
        text = str(robust.explanation(found))
        assert ("<details open" in text) == worse
        assert ("worse where sex = F (240 rows)" in text) == worse
        assert f"{int(worse)} of 1 clearly worse" in text


def test_of_many_slices_that_lose_some_are_put_in_words_and_the_others_counted():
    told = {"probe": "linear", "metric": "roc_auc", "rows": 9, "before": 0.9, "after": 0.8, "worse": True}
    told |= {"difference": -0.1, "low": -0.12, "high": -0.08, "p": 0.001, "p_holm": 0.01, "n_scores": 10}
    slices = pl.concat([one(WORSE, **told, slice=f"city = {k}") for k in range(8)])
    words = Explanation(pl.DataFrame(schema=IMPORTANCE), slices).in_words()
    assert sum("worse where city = " in line for line in words) == 5
    assert words[-1].startswith("After is clearly worse in 3 more lines")


def test_a_check_that_fails_is_open_and_said(compared):
    checks = compared.robustness.checks.with_columns(holds=pl.int_range(pl.len()) > 0)
    text = str(robust.robustness(Robustness(compared.robustness.scores, [], checks)))
    assert "does not hold" in text
    assert "the attack is not sound" in text


def test_tables_in_a_terminal_mark_what_is_sure(compared):
    text = terminal.plain(terminal.importance_table(compared.explanation), 120)
    assert any("*" in line and "a & b" in line for line in text.splitlines())
    assert not any("*" in line and "noise" in line for line in text.splitlines())
    text = terminal.plain(terminal.robustness_table(compared.robustness), 120)
    assert "mixed-up units, 5% of the cells" in text
    assert "PGD, 0.1 sd" in text
