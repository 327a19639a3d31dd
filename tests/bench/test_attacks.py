"""Attacks: by the gradient, within the distance, on the rows' usual way, and named where there is none."""

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.tree import DecisionTreeClassifier

from tests.bench.looking import judged
from tests.probes.drawn import drawn
from tilth.bench import attacks
from tilth.bench.again import View, answered, asked
from tilth.bench.attacks import FGSM, PGD, Attack, attack_of
from tilth.probes import CNN, MLP, Linear, Transfer
from tilth.stages.scale.standard import ScaleStandard
from tilth.table import Roles, Table

N = 240


def right(of, answer):
    return float((answer.raw.argmax(axis=1) == of.truth).mean())


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(1)
    X = pl.DataFrame({"a": 100 * rng.normal(size=N), "b": rng.normal(size=N), "flag": rng.integers(0, 2, N)})
    X = X.with_columns(city=pl.Series(rng.choice(["x", "y"], N)))
    X = X.with_columns(b=pl.when(pl.int_range(N) % 9 > 0).then("b"))
    told = X["a"] / 100 + X["b"].fill_null(0) + (X["city"] == "x") + pl.Series(rng.normal(size=N)) * 0.3
    return X, (told > 0.5).cast(pl.Int64).alias("y")


@pytest.fixture(scope="module")
def linear(data):
    return judged(*data, "linear")


@pytest.fixture(scope="module")
def network(data):
    return judged(*data, ("mlp", MLP(hidden=(16,), max_epochs=60, device="cpu")), ScaleStandard())


def numbers(of):
    return attacks._Numbers.of(of, of.model, of.through(of.rows))


def test_only_numbers_move_and_gaps_flags_and_categories_stay(linear):
    found = numbers(linear)
    assert set(found.names) == {"a", "b"}
    step = found.displaced(FGSM, 0.1, 0)
    assert np.allclose(np.abs(step), np.where(np.isfinite(found.values), 0.1, 0))


def test_fgsm_on_a_linear_model_follows_the_sign_of_its_coefficients(linear):
    found = numbers(linear)
    step = found.displaced(FGSM, 0.1, 0)
    slope = np.sign(linear.model.model_.coef_[0][list(found.places)])
    toward = np.where(linear.truth == 1, -1, 1)[:, None] * slope
    known = np.isfinite(found.values)
    assert np.array_equal(np.sign(step)[known], np.broadcast_to(toward, step.shape)[known])


def test_what_the_gradient_sees_is_what_the_probe_sees(network):
    # A step by hand, taken through the probe's own inputs, is the step the attack believes in.
    found = numbers(network)
    losses = attacks._errors(network, network.model)
    base = torch.from_numpy(network.model.inputs_.transform(network.through(network.rows)))
    own = losses(network.model.network_.eval()(base), slice(None)).detach().numpy()
    said = network.says(network.through(network.rows))
    assert np.allclose(np.logaddexp(0, own), -np.log(said[np.arange(len(said)), network.truth]), atol=1e-5)
    moved = found.answer(FGSM, 0.1, 0).raw
    assert np.log(moved / said)[np.arange(len(moved)), network.truth].mean() < -0.01


@pytest.mark.parametrize("name", ["linear", "network"])
def test_pgd_is_no_weaker_than_fgsm_nor_fgsm_than_nothing_and_far_moves_leave_nothing(name, request):
    of = request.getfixturevalue(name)
    attack = attack_of(of)
    assert isinstance(attack, Attack)
    assert attack.through == of.probe
    clean = right(of, asked(of, of.rows))
    fgsm, pgd = (right(of, attack.answer(method, 0.3, 0)) for method in (FGSM, PGD))
    assert clean > 0.7
    assert pgd <= fgsm + 0.02 < clean
    assert right(of, attack.answer(PGD, attack.huge, 0)) < 0.1


def test_a_move_of_nothing_changes_no_answer(network):
    assert np.array_equal(
        attack_of(network).answer(PGD, 0.0, 0).raw, answered(network, network.says(network.ready.X_test)).raw
    )


def test_the_same_seed_finds_the_same_rows(network):
    one, same, other = (numbers(network).displaced(PGD, 0.1, seed) for seed in (0, 0, 1))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert np.abs(other).max() <= 0.1 + 1e-6


def test_many_rows_are_moved_part_by_part_alike(network, monkeypatch):
    whole = numbers(network).displaced(FGSM, 0.1, 0)
    monkeypatch.setattr(attacks, "ROWS_AT_ONCE", 7)
    assert np.array_equal(numbers(network).displaced(FGSM, 0.1, 0), whole)


@pytest.mark.parametrize("probe", ["boosting", ("tree", DecisionTreeClassifier(max_depth=3))])
def test_a_probe_without_gradient_is_attacked_by_those_of_a_linear_model(data, probe):
    X, y = data
    of = judged(X.select("a", "flag").with_columns(b=X["b"].fill_null(0)), y, probe)
    attack = attack_of(of)
    assert attack.through == "linear"
    assert right(of, attack.answer(FGSM, 0.5, 0)) < right(of, asked(of, of.rows))


def test_a_regression_is_moved_to_larger_errors(data):
    X, _ = data
    y = (X["a"] / 50 + X["b"].fill_null(0)).alias("y")
    for probe in ("linear", ("mlp", MLP(hidden=(16,), max_epochs=15, device="cpu"))):
        of = judged(X, y, probe)
        attack = attack_of(of)
        error = [
            float(((a.raw - of.truth) ** 2).mean()) for a in (asked(of, of.rows), attack.answer(FGSM, 0.1, 0))
        ]
        assert error[1] > error[0]


def test_where_no_number_reaches_a_probe_it_is_said(data):
    X, y = data
    assert attack_of(judged(X.select("flag", "city"), y, "linear")) == "no numeric column reaches it"


def test_labels_that_are_no_codes_are_found(data):
    X, y = data
    of = judged(X, pl.Series("y", np.where(y == 1, "low", "high")), "linear")
    assert right(of, attack_of(of).answer(FGSM, 1.0, 0)) < right(of, asked(of, of.rows)) - 0.2


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    frame, kinds = drawn(tmp_path_factory.mktemp("shapes"), 90)[:2]
    return Table.of(frame, pl.Series("kind", kinds), roles=Roles(image="path"))


@pytest.fixture(scope="module")
def seen(shapes):
    return judged(
        shapes, None, ("cnn", CNN(widths=(8,), side=16, max_epochs=20, device="cpu", random_state=0))
    )


def test_pixels_move_by_whole_levels_and_no_further(seen, monkeypatch):
    shown = []
    monkeypatch.setattr(View, "asked", lambda self, judged, pixels: shown.append(pixels))
    attack = attack_of(seen)
    attack.answer(PGD, 8 / 255, 0)
    off = np.abs(shown[0].astype(int) - View.of(seen).pixels)
    assert shown[0].dtype == np.uint8
    assert 1 <= off.max() <= 8


def test_a_network_of_images_is_attacked_through_its_pixels(seen):
    attack = attack_of(seen)
    clean = right(seen, asked(seen, seen.rows))
    assert right(seen, View.of(seen).asked(seen, View.of(seen).pixels)) == clean
    fgsm, pgd = (right(seen, attack.answer(method, 8 / 255, 0)) for method in (FGSM, PGD))
    assert pgd <= fgsm + 0.03 <= clean
    assert right(seen, attack.answer(PGD, attack.huge, 0)) < 0.34


def test_a_linear_model_of_vectors_is_named_as_not_attacked_and_still_shown_other_pixels(shapes):
    of = judged(shapes, None, ("transfer", Transfer(model="histograms", cache=False)))
    assert "no gradient" in attack_of(of)
    view = View.of(of)
    assert np.allclose(view.asked(of, view.pixels).raw, asked(of, of.rows).raw, atol=1e-6)
    assert not np.allclose(view.asked(of, 255 - view.pixels).raw, asked(of, of.rows).raw, atol=0.05)


def test_the_linear_probe_is_found_wherever_it_is(linear):
    assert isinstance(linear.model, Linear)
