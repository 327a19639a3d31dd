"""The rules on an image's numbers: limits, quartiles, and what is the way these images are."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.images.properties import SCHEMA
from tilth.images.quality import ISSUES, judge, worst

NAN = float("nan")


def frame(count=20, **columns):
    usual = {"width": 40, "height": 40, "aspect": 1.0, "dark": 0.9, "bright": 0.1, "color": 0.4}
    usual |= {"sharpness": 1.5, "entropy": 7.0}
    made = {name: columns.get(name, [value] * count) for name, value in usual.items()}
    return pl.DataFrame(made, schema={name: SCHEMA[name] for name in made})


def few(usual, *others, count=20):
    return [*others, *[usual] * (count - len(others))]


def flagged(judged):
    return np.flatnonzero(judged.flagged).tolist()


@pytest.mark.parametrize(
    ("issue", "column", "limit", "values", "rows"),
    [
        ("dark", "dark", 0.32, (0.31, 0.33, 0.0), [0, 2]),
        ("bright", "bright", 0.85, (0.84, 0.86, 1.0), [1, 2]),
        ("blurry", "sharpness", 0.8, (0.79, 0.81, 0.1), [0, 2]),
        ("low_information", "entropy", 3.0, (2.9, 3.1, 0.0), [0, 2]),
        ("grey", "color", 0.03, (0.025, 0.035, 0.0), [0, 2]),
    ],
)
def test_a_limit_parts_the_images_and_the_worst_has_the_least_score(issue, column, limit, values, rows):
    usual = {"dark": 0.9, "bright": 0.1, "sharpness": 1.5, "entropy": 7.0, "color": 0.4}[column]
    judged = judge(frame(**{column: few(usual, *values)}), issue, limit)
    assert flagged(judged) == rows
    assert judged.score[2] == 0 if issue != "blurry" else judged.score[2] < 0.2
    assert 0.6 < judged.score[rows[0]] < 1 and f"{limit:.2f}" in judged.rule
    assert judged.value[:3] == pytest.approx(values, abs=1e-6)


def test_limits_set_by_the_images_stay_within_bounds():
    alike = judge(frame(sharpness=few(1.5, 0.99, 1.01)), "blurry", "auto")
    assert flagged(alike) == [0] and "below 1.00" in alike.rule
    spread = judge(frame(200, sharpness=[0.72, 0.69, *np.linspace(0.9, 2, 198)]), "blurry", "auto")
    assert flagged(spread) == [1] and "below 0.70" in spread.rule
    rng = np.random.default_rng(0)
    between = judge(frame(400, sharpness=[0.7, 0.95, *rng.normal(1.5, 0.13, 398)]), "blurry", "auto")
    assert flagged(between) == [0] and 0.75 < float(between.rule.split()[4]) < 0.95
    rich = judge(frame(entropy=few(7.5, 2.9, 3.1)), "low_information", "auto")
    plain = judge(frame(200, entropy=[0.4, *np.linspace(0.6, 6, 199)]), "low_information", "auto")
    assert flagged(rich) == [0] and flagged(plain) == [0]
    assert flagged(judge(frame(sharpness=[None] * 20), "blurry", "auto")) == []


def test_sizes_and_shapes_are_odd_by_factors():
    height = few(100, 10, 1000, 102, 98, None)
    judged = judge(frame(height=height, width=height), "odd_size", 3.0)
    assert flagged(judged) == [0, 1] and np.isnan(judged.score[4])
    assert judged.score[0] == pytest.approx(judged.score[1]) and "97.1 to 103" in judged.rule
    # Between a square and twice as long there is no odd one; ten times as long or as high is.
    aspect = np.array([10, 0.1, *np.geomspace(1, 2, 98)])
    assert flagged(judge(frame(100, aspect=aspect), "odd_aspect", 3.0)) == [0, 1]
    assert flagged(judge(frame(100, aspect=aspect), "odd_aspect", 9.0)) == []


def test_grey_images_are_found_among_images_in_color_only():
    assert flagged(judge(frame(color=few(0.3, 0.0, 0.01)), "grey", 0.03)) == [0, 1]
    assert flagged(judge(frame(color=few(0.0, 0.3, 0.4)), "grey", 0.03)) == []
    assert flagged(judge(frame(color=few(None, 0.0, 0.3, 0.3)), "grey", 0.03)) == [0]
    assert flagged(judge(frame(color=few(0.3, 0.0)), "grey", 0.0)) == []


@given(st.lists(st.none() | st.floats(0, 8), min_size=1, max_size=40), st.sampled_from(sorted(ISSUES)))
def test_every_rule_answers_whatever_the_numbers(values, issue):
    share = [None if v is None else v / 8 for v in values]
    sizes = [None if v is None else 1 + int(100 * v) for v in values]
    aspect = [None if v is None else 0.01 + v for v in values]
    given_ = frame(
        len(values), sharpness=values, entropy=values, dark=share, bright=share, color=share,
        width=sizes, height=sizes, aspect=aspect,
    )  # fmt: skip
    limit = {"dark": 0.32, "bright": 1.0, "grey": 0.03, "odd_size": 3.0, "odd_aspect": 3.0}.get(issue, "auto")
    judged = judge(given_, issue, limit)
    unknown = [v is None for v in values]
    assert np.isnan(judged.score).tolist() == unknown and (judged.score[~np.isnan(judged.score)] >= 0).all()
    assert not judged.flagged[unknown].any()
    score, reason = worst({issue: judged}, len(values))
    assert ((score < 1) == (reason != "")).all() and not (score > 1).any()


def test_reasons_name_all_issues_and_the_score_is_of_the_worst():
    table = frame(dark=few(0.9, 0.16, 0.9, None), entropy=few(7.0, 1.5, 2.7, None))
    judged = {"dark": judge(table, "dark", 0.32), "low_information": judge(table, "low_information", 3.0)}
    score, reason = worst(judged, 20)
    assert reason[:4].tolist() == ["dark (0.16), low_information (1.5)", "low_information (2.7)", "", ""]
    assert score[:2] == pytest.approx([0.5, 0.9]) and np.isnan(score[2]) and score[3] == 1
