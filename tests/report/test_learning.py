"""The part about more rows: its picture and its table hold the curve's numbers, its words the rules'."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest

from tests.report.conftest import curve_of, curves_of
from tests.report.test_page import Walk, headings
from tilth.report import as_json, page, summary
from tilth.report.learning import HEIGHT, WIDTH, learning_curve, picture
from tilth.report.terminal import cards, curve_table, plain
from tilth.statistics.power_law import fit_power_law


def path(svg, kind, dashed=False):
    found = re.findall(rf'<path d="([^"]*)" class="{kind}"( stroke-dasharray)?', svg)
    drawn = next(d for d, dash in found if bool(dash) == dashed)
    return np.array([[float(v) for v in pair.split()] for pair in drawn.strip("Mz").split("L")])


def test_the_picture_places_points_curve_and_band_on_shared_axes():
    curve = curve_of()
    svg = picture(curve)
    dots = np.array([[float(v) for v in d] for d in re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', svg)])
    rows, scores = (np.array([getattr(p, k) for p in curve.points]) for k in ("rows", "score"))
    # Rows on a logarithmic axis, scores on a plain one: both are lines through the dots.
    across = np.polyfit(np.log(rows), dots[:, 0], 1)
    up = np.polyfit(scores, dots[:, 1], 1)
    assert np.polyval(across, np.log(rows)) == pytest.approx(dots[:, 0], abs=0.1)
    assert np.polyval(up, scores) == pytest.approx(dots[:, 1], abs=0.1)
    fitted, ahead, band = path(svg, "after-line"), path(svg, "after-line", dashed=True), path(svg, "band")
    assert fitted[0, 0] == pytest.approx(dots[0, 0], abs=0.2) and fitted[-1] == pytest.approx(
        ahead[0], abs=0.2
    )
    assert ahead[-1] == pytest.approx(
        [np.polyval(across, math.log(8000)), np.polyval(up, curve.tenfold.score)], abs=0.3
    )
    ends = np.sort(band[np.abs(band[:, 0] - ahead[-1, 0]) < 0.1][:, 1])
    assert ends == pytest.approx(sorted(np.polyval(up, [curve.tenfold.low, curve.tenfold.high])), abs=0.3)
    assert (band >= 0).all() and (band <= [WIDTH, HEIGHT]).all()
    assert f"foretold at 8,000 rows {curve.tenfold.score:.4f}" in svg


def test_a_band_far_wider_than_what_was_measured_is_cut_at_the_frame():
    curve = curve_of()
    random = np.random.default_rng(0).normal(0, 1, (3, 4))
    wild = replace(curve, law=fit_power_law([100, 200, 400, 800], np.abs(0.3 + random)))
    svg = picture(wild)
    ends = path(svg, "band")
    assert (ends >= 0).all() and (ends <= [WIDTH, HEIGHT]).all()
    dots = np.array([float(v) for v in re.findall(r'cy="([\d.]+)"', svg)])
    assert np.ptp(dots) > HEIGHT / 12


def test_a_curve_that_could_not_be_fitted_shows_its_points_alone():
    svg = picture(curve_of(law=None, twice=None, tenfold=None))
    assert svg.count("<circle") == 4 and "band" not in svg and "after-line" not in svg
    assert not re.search(r"\b(nan|inf)\b", svg)


def test_the_part_holds_gains_rows_needed_classes_and_checks(grown):
    text = learning_curve(grown)
    Walk(text)
    first = grown.curves[0]
    for told in (
        f"{first.twice.gain:+.4f}",
        f"{first.rows_needed.value:,}",
        "more rows would help",
        "Only 3 rows of the smallest class.",
        "Overfit: 0.990 on the rows fitted on.",
        "720",
        "3 rows repeat another.",
        "Fitted up to 400 rows, the curve foretells",
        "5 folds, 2 times; 4 sizes from 100 to 800 training rows",
    ):
        assert told in text
    assert text.count('role="img"') == 2  # the third has one point, which is no curve


def test_a_check_that_fails_says_so():
    curve = curve_of()
    wrong = replace(curve, checked=replace(curve.checked, gain=-0.5))
    assert "do not rely on this curve" in wrong.in_words()
    right = replace(curve, checked=replace(curve.checked, gain=curve.checked.said.gain))
    assert "do not rely on this curve" not in right.in_words()


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["more rows would help", "flat"], "More rows would help 1 of 2 models"),
        (["flat", "flat"], "More rows would change little"),
        (["flat", "cannot tell"], "Flat for 1 of 2 models, unknown for the rest"),
        (["cannot tell"], "These rows cannot tell"),
    ],
)
def test_the_answer_follows_from_the_words(words, answer):
    done = curves_of(*(curve_of(word=word) for word in words))
    assert answer in page(curve=done) and answer in plain(cards(summary(curve=done)))
    assert headings(page(curve=done)) == ["rows"]


def test_programs_and_terminals_are_told_the_same(grown):
    told = as_json(curve=grown)
    assert list(told) == ["summary", "curve", "versions"]
    first = told["curve"]["curves"][0]
    assert first["word"] == "more rows would help" and first["law"]["c"] > 0
    assert told["curve"]["curves"][2]["twice"] is None
    text = plain(curve_table(grown))
    assert f"{grown.curves[0].twice.gain:+.4f}" in text and "cannot tell" in text
    assert f"{grown.curves[0].rows_needed.value:,}" in text
