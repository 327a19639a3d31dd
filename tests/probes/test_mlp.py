"""The neural probe learns fast on one thread, whatever the unit of its inputs and target."""

import pickle
import time

import numpy as np
import polars as pl
import pytest
import torch

from tilth.errors import TilthError
from tilth.probes import MLP


def quick(**options):
    return MLP(**{"hidden": (64,), "batch_size": 64, "device": "cpu", "random_state": 0, **options})


def interaction(rows=1000):
    X = np.random.default_rng(0).normal(size=(rows, 4))
    return X, X[:, 0] * X[:, 1]


def test_learns_an_interaction_on_held_out_rows():
    X, product = interaction(2000)
    model = quick().fit(X[:1500], product[:1500] > 0)
    assert model.score(X[1500:], product[1500:] > 0) > 0.9
    assert quick().fit(X[:1500], product[:1500]).score(X[1500:], product[1500:]) > 0.85


@pytest.mark.parametrize(("shift", "unit"), [(0, 1e-6), (1e6, 1.0), (-5e4, 1e4)])
def test_unit_and_origin_of_a_regression_target_do_not_matter(shift, unit):
    X, product = interaction()
    plain = quick(max_epochs=20).fit(X, product).predict(X)
    moved = quick(max_epochs=20).fit(X, shift + unit * product).predict(X)
    np.testing.assert_allclose((moved - shift) / unit, plain, atol=0.1)


def test_a_constant_regression_target_is_predicted():
    X, _ = interaction(100)
    np.testing.assert_allclose(quick(task="regression").fit(X, np.full(100, 7.5)).predict(X), 7.5, atol=0.5)


def test_a_wild_value_does_not_spoil_the_others():
    X, product = interaction()
    X[0] = 1e12
    assert quick().fit(X, product > 0).score(X[1:], product[1:] > 0) > 0.9


def test_history_says_how_training_went():
    X, product = interaction()
    model = quick().fit(X, product > 0)
    losses = [epoch.validation_loss for epoch in model.history_]
    assert model.stopped_ in ("patience", "epochs")
    assert model.best_epoch_ == int(np.argmin(losses))
    assert model.history_[-1].train_loss < model.history_[0].train_loss


def test_survives_the_trip_to_another_process():
    X, product = interaction(200)
    model = quick(max_epochs=3).fit(X, product > 0)
    twin = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(twin.predict_proba(X), model.predict_proba(X))


def test_threads_are_given_back():
    X, product = interaction(200)
    before = torch.get_num_threads()
    quick(max_epochs=2, n_jobs=1).fit(X, product > 0).predict(X)
    assert torch.get_num_threads() == before


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_an_absent_device_is_refused():
    X, product = interaction(50)
    with pytest.raises(TilthError, match="'cuda' was asked for"):
        quick(device="cuda").fit(X, product > 0)


def test_trains_on_five_thousand_rows_in_seconds_of_one_core():
    random = np.random.default_rng(0)
    X = random.normal(size=(5000, 60))
    y = X[:, :5].sum(axis=1) + 2 * np.sin(2 * X[:, 0]) + random.normal(size=5000) > 0
    MLP(max_epochs=1, device="cpu").fit(X[:100], y[:100])  # what torch loads once is not counted
    frame = pl.DataFrame(X)
    start = time.process_time()
    model = MLP(device="cpu", random_state=0).fit(frame, y)
    assert time.process_time() - start < 8  # 1 to 2 s on an idle core
    assert model.stopped_ == "patience"
    assert model.score(frame, y) > 0.85


OPTIONS = {
    "activation": "leaky_relu",
    "initialization": "xavier",
    "batch_norm": False,
    "optimizer": "rmsprop",
    "momentum": 0.5,
    "warmup_share": 0.5,
    "clip_norm": 0.01,
    "l1": 0.01,
    "l2": 0.1,
    "adversarial": "fgsm",
    "scale": "standard",
}


def test_the_later_parameters_default_to_what_was_done_before():
    X, product = interaction(200)
    told = {
        "activation": "relu",
        "initialization": "he",
        "batch_norm": True,
        "optimizer": "adamw",
        "momentum": 0.9,
        "warmup_share": 0.05,
        "clip_norm": 1.0,
        "l1": 0,
        "l2": 0,
        "adversarial": None,
        "scale": "robust",
    }
    given, plain = (quick(max_epochs=3, **more).fit(X, product > 0) for more in (told, {}))
    np.testing.assert_array_equal(given.predict_proba(X), plain.predict_proba(X))


@pytest.mark.parametrize("name", OPTIONS)
def test_each_option_changes_the_training_and_survives_a_trip(name):
    X, product = interaction(200)
    plain = quick(max_epochs=3).fit(X, product > 0).predict_proba(X)
    model = quick(max_epochs=3, **{name: OPTIONS[name]}).fit(X, product > 0)
    assert not np.array_equal(model.predict_proba(X), plain)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict_proba(X), model.predict_proba(X))


def test_a_probe_saved_before_an_option_was_there_does_as_it_did():
    X, product = interaction(200)
    model = quick(max_epochs=2).fit(X, product > 0)
    state = model.__getstate__()
    for name in (*OPTIONS, "epsilon"):
        del state[name]
    old = MLP.__new__(MLP)
    old.__setstate__(state)
    np.testing.assert_array_equal(old.predict_proba(X), model.predict_proba(X))
    assert (old.activation, old.optimizer) == ("relu", "adamw")


def test_only_numbers_are_moved_in_adversarial_training():
    rows = 100
    frame = pl.DataFrame(
        {
            "flag": [0.0, 1.0] * 50,
            "city": ["a", "b"] * 50,
            "x": [None, *np.linspace(-1, 1, rows - 1)],
            "void": pl.Series([None] * rows, dtype=pl.Float64),
        }
    )
    model = quick(max_epochs=1, adversarial="pgd").fit(frame, ["u", "v"] * 50)
    assert [model.inputs_.names_[place] for place in model._adversary().columns] == ["x"]


def test_what_looks_on_sees_the_training_and_is_not_kept():
    from sklearn.base import clone

    from tilth.training import Recorder

    X, product = interaction(200)
    watch = Recorder()
    model = quick(max_epochs=3).watched(watch)
    model.fit(X, product > 0)
    assert len(watch.scores) == 3
    assert pickle.loads(pickle.dumps(model))._watch is None
    clone(model).fit(X, product > 0)
    assert len(watch.scores) == 3
