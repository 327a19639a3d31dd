"""The waterfall of stages: bars that begin where the last one ended, in the metric's own units."""

from dataclasses import replace

import pytest

from tests.report.conftest import verdict
from tilth.report import proof
from tilth.report.waterfall import Step, steps_of, waterfall, waterfalls


def moved(stage, before, after, **more):
    """Make a verdict on a stage that moves the score."""
    return replace(verdict(stage=stage, **more), before=before, after=after)


def of(ablated, method, verdicts):
    return replace(ablated, method=method, verdicts=verdicts)


def test_shares_lead_from_none_to_all_whichever_way_is_better(ablated):
    up = [moved("a", 0.80, 0.85), moved("b", 0.87, 0.85, word="hurts")]
    steps = steps_of(of(ablated, "shapley", up), up)
    assert [step.label for step in steps] == ["no stage", "a", "b", "all stages"]
    assert steps[0].end == pytest.approx(0.82) and steps[0].start is None
    assert [steps[1].start, steps[1].end] == pytest.approx([0.82, 0.87])
    assert [steps[2].start, steps[2].end] == pytest.approx([0.87, 0.85])
    assert steps[3].end == 0.85 and (steps[1].tone, steps[2].tone) == ("good", "bad")
    down = [moved("a", 0.5, 0.3, metric="log_loss")]
    assert [s.end for s in steps_of(of(ablated, "shapley", down), down)] == pytest.approx([0.5, 0.3, 0.3])


def test_stages_left_out_lead_to_all_and_stages_alone_begin_at_none(ablated):
    told = [moved("a", 0.8, 0.85)]
    left = steps_of(of(ablated, "leave_one_out", told), told)
    assert [(s.label, s.start, s.end) for s in left] == [("a", 0.8, 0.85), ("all stages", None, 0.85)]
    alone = steps_of(of(ablated, "add_one", told), told)
    assert [(s.label, s.start, s.end) for s in alone] == [("no stage", None, 0.8), ("a", 0.8, 0.85)]


def test_stages_that_could_not_be_tested_have_no_bar(ablated):
    nan = float("nan")
    none = moved("a", nan, nan, difference=nan, word="not testable")
    assert steps_of(of(ablated, "shapley", [none]), [none]) == []
    assert waterfalls(of(ablated, "shapley", [none])) == []


def test_there_is_a_picture_per_probe_and_metric_and_it_says_its_numbers(ablated):
    told = [moved(s, 0.8, 0.85, probe=p) for p in ("linear", "mlp") for s in ("a", "b")]
    drawn = waterfalls(of(ablated, "shapley", told))
    assert len(drawn) == 2
    text = str(drawn[0])
    assert "linear: ROC AUC by stage" in text and "a +0.0500; b +0.0500; all stages 0.8500" in text


def test_equal_scores_are_drawn_too():
    assert "a +0.0000" in str(waterfall("same", [Step("a", 0.5, 0.5), Step("all stages", 0.5)]))


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("leave_one_out", "The whole recipe against the recipe without one stage"),
        ("add_one", "Each stage alone against no stage"),
        ("shapley", "its Shapley value"),
    ],
)
def test_the_report_says_how_stages_were_asked_about(ablated, method, words):
    assert words in str(proof.ablation(replace(ablated, method=method)))
