"""Each rule at and around its threshold, from numbers worked by hand; and what mends it."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from tilth.training import CODES, Vitals, diagnose
from tilth.training.layers import Layers
from tilth.training.vitals import Columns

LAYERS = Layers(silent=0.1, saturated=0.1, activation=0.5, weight=1.0, seen=2)
GOOD = Vitals(
    train_losses=tuple(0.7 * 0.8**n for n in range(10)),
    validation_losses=tuple(0.7 * 0.82**n for n in range(10)),
    scores=tuple(np.linspace(0.6, 0.95, 10)),
    validation_scores=tuple(np.linspace(0.6, 0.93, 10)),
    first=(0.1,) * 10,
    last=(0.2,) * 10,
    norm=(0.3,) * 10,
    layers=LAYERS,
    matrices=3,
    dummy_loss=0.69,
    dummy_score=0.5,
    train_loss=0.09,
    train_score=0.95,
    validation_loss=0.12,
    validation_score=0.93,
    validation_error=0.01,
    validation_dummy=0.69,
    rows=1000,
    validation_rows=500,
    memorized=0.03,
)


def kinds(vitals, least="low"):
    ranks = ("info", "low", "medium", "high")
    return [f.kind for f in diagnose(vitals) if ranks.index(f.severity) >= ranks.index(least)]


def the(kind, vitals):
    return next(f for f in diagnose(vitals) if f.kind == f"health.{kind}")


def test_a_good_training_has_no_findings():
    assert diagnose(GOOD) == []


def around(field, below, above, kind, *, layer=False, **more):
    """Return a case: no finding at `below`, the finding at `above`."""
    return pytest.param(field, below, above, f"health.{kind}", layer, more, id=f"{kind}-{field}")


@pytest.mark.parametrize(
    ("field", "below", "above", "kind", "layer", "more"),
    [
        around("silent", 0.5, 0.51, "dead", layer=True),
        around("idle", 0.5, 0.51, "dead"),
        around("saturated", 0.5, 0.51, "saturated", layer=True),
        around("weight", 5.0, 5.1, "large_weights", layer=True),
        around("activation", 9.9, 10.0, "large_activations", layer=True),
        around("memorized", 0.1, 0.11, "underfit"),
        around("memorized", math.nan, 0.5, "underfit"),
        around("broken_steps", 0, 1, "diverged"),
        # The ratio of the first layer's gradient to the last one's, in half of the epochs.
        around("first", (13.9,) * 10, (14.1,) * 10, "exploding", last=(0.2,) * 10),
        around("first", (14.1,) * 4 + (1.0,) * 6, (14.1,) * 5 + (1.0,) * 5, "exploding"),
        around("norm", (69.0,) * 10, (0.3,) * 9 + (69.1,), "exploding"),
        # More than half of the steps clipped, and to less than a tenth.
        around("clipped", 0.5, 0.51, "exploding", clip_norm=1.0, norm=(10.1,) * 10),
        around("norm", (10.0,) * 10, (10.1,) * 10, "exploding", clip_norm=1.0, clipped=0.9),
        around(
            "norm",
            (50.0,) * 4 + (1.0,) * 6,
            (50.0,) * 6 + (1.0,) * 4,
            "exploding",
            clip_norm=1.0,
            clipped=0.9,
        ),
        around("first", (1.1e-4,) * 10, (0.9e-4,) * 10, "vanishing", last=(0.2,) * 10),
        around("last", (0.04,) * 10, (0.06,) * 10, "vanishing", first=(5e-5,) * 10),
        around("first", (5e-5,) * 4 + (0.1,) * 6, (5e-5,) * 5 + (0.1,) * 5, "vanishing"),
        around("train_losses", (1.0, 2.1, 2.1, 1.9), (1.0, 2.1, 2.1, 2.1, 0.1), "diverged"),
        around("train_losses", (600.0, 689.0), (600.0, 691.0), "diverged"),
        around("train_losses", (0.7, 0.5), (0.7, math.nan), "diverged"),
        around("train_losses", (0.7, 0.62), (0.7, 0.63), "not_learning", train_loss=0.65),
        around("validation_loss", 0.683, 0.684, "no_signal", train_score=0.95),
        # Falls of 0.03 or more in a fifth of ten epochs; one row of 100,000 is no noise.
        around(
            "scores",
            (0.5, 0.6, 0.56, 0.7, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8),
            (0.5, 0.6, 0.56, 0.7, 0.8, 0.76, 0.8, 0.8, 0.8, 0.8, 0.8),
            "oscillating",
            rows=100_000,
        ),
        around(
            "scores",
            (0.9, 0.871) * 5,
            (0.9, 0.869) * 5,
            "oscillating",
            rows=100_000,
        ),
        # Twice a tenth of 100 rows: the sampling error of a fall is 0.07.
        around("scores", (0.5, 0.44) * 5, (0.5, 0.42) * 5, "oscillating", rows=100),
        around("scores", (0.5, 0.4, 0.5, 0.4), (0.5, 0.4, 0.5, 0.4, 0.5), "oscillating"),
        # Gaps: 0.10 up to a score of 0.9, 0.07 above; and three standard errors.
        around("validation_score", 0.795, 0.785, "overfit", train_score=0.89),
        around("validation_score", 0.885, 0.875, "overfit", train_score=0.95),
        around("validation_error", 0.034, 0.033, "overfit", train_score=0.95, validation_score=0.85),
        around("validation_rows", 0, 500, "overfit", validation_score=0.5),
    ],
)
def test_rules_at_their_thresholds(field, below, above, kind, layer, more):
    def told(value):
        if layer:
            return kinds(replace(GOOD, layers=replace(LAYERS, **{field: value}), **more))
        return kinds(replace(GOOD, **{field: value}, **more))

    assert kind not in told(below)
    assert kind in told(above)


def columns(size, spread=None, names=(), missing=0):
    size = np.array(size, dtype=float)
    return Columns(size, size if spread is None else np.array(spread, dtype=float), names, missing)


def test_inputs_far_from_zero_are_named_with_their_figures():
    assert kinds(replace(GOOD, columns=columns([1.0, 30.0]))) == []
    found = the("unscaled", replace(GOOD, columns=columns([1.0, 31.0, 2000.0], names=("a", "b", "c"))))
    assert found.columns == ("c", "b")
    assert found.severity == "high"
    assert "c has a root mean square of 2e+03" in found.message
    assert found.remedy == {"scale.robust": {"on": ["b", "c"]}}


def test_many_columns_far_from_zero_are_scaled_all_at_once():
    names = tuple(f"x{n}" for n in range(20))
    assert the("unscaled", replace(GOOD, columns=columns([99.0] * 20, names=names))).remedy == {
        "scale.robust": {}
    }


def test_gaps_are_found_and_filling_them_mends_the_loss():
    vitals = replace(GOOD, columns=columns([1.0], missing=3), train_losses=(math.nan,), broken_steps=4)
    assert the("missing", vitals).remedy == {"impute.simple": {"indicator": True}}
    assert the("diverged", vitals).remedy == {"impute.simple": {"indicator": True}}


@pytest.mark.parametrize(
    ("kind", "ailing"),
    [
        ("exploding", {"norm": (900.0,) * 10}),
        ("diverged", {"train_losses": (1.0, 3.0, 4.0, 5.0)}),
        ("vanishing", {"first": (1e-6,) * 10}),
        ("dead", {"idle": 0.8}),
        ("underfit", {"memorized": 0.9}),
        ("not_learning", {"train_losses": (0.69,) * 5, "train_loss": 0.69}),
        ("oscillating", {"scores": (0.9, 0.5) * 5}),
    ],
)
def test_unscaled_columns_are_the_first_thing_to_mend(kind, ailing):
    scaled = the(kind, replace(GOOD, columns=columns([1.0, 2.0]), **ailing))
    assert "scale.robust" not in (scaled.remedy or {})
    unscaled = the(kind, replace(GOOD, columns=columns([1.0, 4e4], names=("age", "income")), **ailing))
    assert unscaled.remedy == {"scale.robust": {"on": ["income"]}}
    assert "income: root mean square 4e+04" in unscaled.message


def test_dead_units_of_scaled_inputs_are_mended_by_another_activation():
    found = the("dead", replace(GOOD, idle=0.95))
    assert (found.severity, found.remedy["training"]["activation"]) == ("high", "leaky_relu")


@pytest.mark.parametrize(
    ("rows", "width", "remedy"),
    [(99, 10, "select.relevant"), (101, 10, "augment.mixup"), (9000, 10, "training")],
)
def test_overfitting_is_mended_by_fewer_columns_more_rows_or_a_smaller_network(rows, width, remedy):
    vitals = replace(GOOD, rows=rows, columns=columns([1.0] * width), train_score=1.0, validation_score=0.8)
    assert next(iter(the("overfit", vitals).remedy)) == remedy


def test_overfitting_is_graded_by_what_it_cost():
    gap = replace(GOOD, train_score=1.0, validation_score=0.9)
    assert (
        the("overfit", replace(gap, validation_losses=(0.3, 0.115))).severity == "low"
    )  # 4 % above its lowest
    assert the("overfit", replace(gap, validation_losses=(0.3, 0.114))).severity == "medium"  # 5.3 %
    wide = replace(gap, validation_score=0.85)
    assert the("overfit", replace(wide, validation_losses=())).severity == "medium"
    assert the("overfit", replace(wide, validation_losses=(0.05,))).severity == "high"


def test_a_small_network_that_fits_well_is_only_remarked_on():
    assert the("underfit", replace(GOOD, memorized=0.5)).severity == "low"
    assert the("underfit", replace(GOOD, memorized=0.5, train_loss=0.5)).severity == "medium"


def test_units_that_training_took_to_their_ends_are_only_remarked_on_where_it_fits():
    ends = replace(GOOD, layers=replace(LAYERS, saturated=0.8))
    assert the("saturated", replace(ends, saturated_before=0.2)).severity == "low"
    assert the("saturated", replace(ends, saturated_before=0.2, train_loss=0.4)).severity == "medium"
    assert the("saturated", replace(ends, saturated_before=0.6)).severity == "medium"


def test_training_that_fails_is_told_from_a_network_that_cannot():
    stuck = replace(GOOD, train_losses=(0.68,) * 5, train_loss=0.68)
    assert the("not_learning", stuck).remedy == {"training": {"learning_rate": "ten times"}}
    unable = replace(stuck, memorized=0.8)
    assert "hidden" in the("not_learning", unable).remedy["training"]


def test_first_weights_that_matter_as_much_as_folds_do():
    folds = (0.80, 0.84, 0.82, 0.78, 0.86)  # standard deviation 0.0316
    sure, shaky = (0.82, 0.83, 0.84, 0.83, 0.82), (0.80, 0.84, 0.81, 0.79, 0.83)  # 0.0084, 0.0207
    assert "health.unstable" not in kinds(replace(GOOD, init_scores=sure, fold_scores=folds))
    found = the("unstable", replace(GOOD, init_scores=shaky, fold_scores=folds))
    assert found.score == pytest.approx(np.std(shaky, ddof=1))
    # Without folds the error of the rows kept aside stands in.
    assert "health.unstable" in kinds(replace(GOOD, init_scores=shaky))
    assert "health.unstable" not in kinds(replace(GOOD, init_scores=shaky, validation_error=0.03))
    # And a spread below a hundredth means nothing.
    assert "health.unstable" not in kinds(replace(GOOD, init_scores=sure, fold_scores=(0.82, 0.821)))
    assert "health.unstable" not in kinds(replace(GOOD, init_scores=(0.8,)))


def test_the_worst_comes_first_and_kinds_are_declared():
    vitals = replace(
        GOOD,
        train_losses=(0.7, math.nan),
        broken_steps=2,
        columns=columns([50.0], missing=1),
        layers=replace(LAYERS, weight=6.0, activation=2000.0, saturated=0.9),
        memorized=0.9,
        validation_score=0.2,
        first=(1e-9,) * 10,
        init_scores=(0.1, 0.9),
    )
    found = diagnose(vitals)
    ranks = [("info", "low", "medium", "high").index(f.severity) for f in found]
    assert ranks == sorted(ranks, reverse=True)
    assert {f.kind for f in found} <= set(CODES)
    assert len(found) >= 8
    assert all(f.remedy and f.message.endswith(".") and f.stage == "health" for f in found)


def test_what_was_not_measured_raises_no_finding():
    assert diagnose(Vitals((0.7, 0.6))) == []


def test_numbers_are_plain_json():
    told = replace(GOOD, columns=columns([1.0], names=("a",)), memorized=math.nan).as_dict()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["memorized"] is None
    assert told["columns"]["names"] == ["a"]


def test_columns_are_measured_over_what_is_there():
    X = np.array([[1.0, 10.0], [3.0, np.nan], [2.0, np.inf], [2.0, 14.0]], dtype=np.float32)
    told = Columns.of(X, ["a", "b"])
    assert told.missing == 2
    assert told.size == pytest.approx([math.sqrt(18 / 4), math.sqrt(148)])
    assert told.spread == pytest.approx([math.sqrt(0.5), 2.0])
    images = Columns.of(np.stack([np.full((2, 4, 4), 5.0), np.full((2, 4, 4), 7.0)]))
    assert images.size.shape == (2,)
    assert (told.name(0), images.name(1)) == ("a", "input 1")
