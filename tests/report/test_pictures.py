"""Pictures show the numbers they are given."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.report import pictures
from tilth.report.pictures import Bar, Interval


def attribute(name, markup):
    return [float(v) for v in re.findall(rf'\b{name}="(-?[\d.]+)"', markup)]


def heights(svg, kind):
    """Return the heights of the bars of a histogram, from its path."""
    path = re.search(rf'<path d="([^"]*)" class="{kind}', svg).group(1)
    if kind == "after-line":
        tops = [float(v) for v in re.findall(r"V([\d.]+)h", path)]
    else:
        tops = [float(v) for v in re.findall(r"M[\d.]+ \d+V([\d.]+)h", path)]
    return np.array([pictures.HEIGHT - 20 - t for t in tops])


def test_bars_of_a_histogram_are_numpys_shares():
    values = np.random.default_rng(0).normal(size=1000)
    counts, _ = np.histogram(values, bins=pictures.BINS)
    drawn = heights(pictures.histogram("x", values), "before")
    expected = counts[counts > 0] / counts.max() * (pictures.HEIGHT - 26)
    assert np.abs(drawn - expected).max() <= 0.06


def test_values_that_lie_where_they_lay_share_an_axis_and_scaled_ones_do_not():
    values = np.random.default_rng(0).normal(50, 10, 500)
    clipped = pictures.histogram("x", values, values.clip(30, 70))
    scaled = pictures.histogram("x", values, (values - 50) / 10)
    assert clipped.count('class="axis"') == 1
    assert scaled.count('class="axis"') == 2
    assert len(heights(clipped, "after-line")) == pictures.BINS


@pytest.mark.parametrize(
    "values", [[], [3.0], [7.0] * 9, [1e308, -1e308], [5e-324, 0.0], [np.nan, np.inf, 1.0]]
)
def test_odd_columns_are_drawn_without_a_number_that_is_none(values):
    svg = pictures.histogram("x", np.array(values, float), np.array(values, float))
    assert not re.search(r"\b(nan|inf)\b", svg)


def test_lengths_of_bars_are_proportional():
    svg = pictures.category_bars("t", {"a": 60, "b": 30, "c": 10}, {"a": 50, "b": 50})
    before = [float(w) for w in re.findall(r'width="([\d.]+)" height="7" rx="2" class="before"', svg)]
    after = [float(w) for w in re.findall(r'width="([\d.]+)" height="7" rx="2" class="after"', svg)]
    assert np.array(before) / before[0] == pytest.approx([1, 0.5, 1 / 6], abs=0.01)
    assert np.array(after) / before[0] == pytest.approx([5 / 6, 5 / 6, 1 / before[0]], abs=0.01)
    assert "60% → 50%" in svg


def test_categories_beyond_the_largest_are_put_together():
    svg = pictures.category_bars("t", {f"c{i}": 100 - i for i in range(20)})
    rest = sum(100 - i for i in range(8, 20)) / sum(100 - i for i in range(20))
    assert "12 others" in svg and f"{rest:.0%}" in svg


def test_missing_cells_the_gappiest_first():
    svg = pictures.missing_bars({"few": 1, "many": 50}, 200)
    assert svg.index("many") < svg.index("few")
    assert "25.0%" in svg and "0.5%" in svg


def test_forest_places_dot_interval_zero_and_band_on_one_axis():
    lines = [
        Interval("a", 0.02, 0.01, 0.03, 0.005, "helps", "good"),
        Interval("b", -0.01, -0.02, 0.0, 0.005, "x", "even"),
    ]
    svg = pictures.forest("t", lines)
    zero = float(re.search(r'd="M([\d.]+) 0V\d+" class="zero"', svg).group(1))
    dots = attribute("cx", svg)
    unit = (dots[0] - zero) / 0.02
    assert dots[1] == pytest.approx(zero - 0.01 * unit, abs=0.2)
    ends = re.findall(r'd="M([\d.]+) \d+H([\d.]+)" class="good"', svg)[0]
    assert [float(e) for e in ends] == pytest.approx([zero + 0.01 * unit, zero + 0.03 * unit], abs=0.2)
    x, width = re.search(r'class="band" x="([\d.]+)" width="([\d.]+)"', svg).groups()
    assert [float(x), float(width)] == pytest.approx([zero - 0.005 * unit, 0.01 * unit], abs=0.2)


def test_forest_names_lines_without_an_interval():
    nan = float("nan")
    svg = pictures.forest("t", [Interval("a", nan, nan, nan, nan, "not testable", "even")])
    assert "not testable" in svg and "<circle" not in svg and "nan" not in svg


def test_scores_are_two_dots_per_line():
    svg = pictures.scores("t", [Bar("a", 0.8, 0.9, "0.8 → 0.9"), Bar("b", 0.85, 0.85, "same")])
    first, second, third, fourth = attribute("cx", svg)
    assert first < third == fourth < second
    assert third == pytest.approx((first + second) / 2, abs=0.2)


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9))
def test_ticks_are_round_and_within(low, width):
    high = low + width
    if high <= low:
        return
    found = pictures.ticks(low, high)
    assert 1 <= len(found) <= 8
    if len(found) > 1:
        slack = 1e-6 * max(abs(low), abs(high), 1)
        assert low - slack <= found[0] and found[-1] <= high + slack


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (3175, "3175"),
        (12345, "12.3k"),
        (-1.5e6, "\u22121.5M"),
        (0.012345, "0.0123"),
        (1e300, "1e+300"),
    ],
)
def test_numbers_of_axes_are_short(number, text):
    assert pictures.short(number) == text


def test_labels_are_cut_and_escaped():
    svg = pictures.category_bars("<t>", {"<b>" + "x" * 90: 3})
    assert "&lt;t&gt;" in svg and "&lt;b&gt;" in svg and "<b>" not in svg
    assert "…" in svg
