"""Recording sees what happened, and changes nothing of it."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from tilth.training import Recorder, Trainer, mlp, outputs
from tilth.training.recording import EVERY, WINDOW


def rows(count=300):
    random = np.random.default_rng(0)
    X = random.normal(size=(count, 4)).astype(np.float32)
    return X, (X[:, 0] * X[:, 1] > 0).astype(np.int64)


def trained(network, watch=None, **options):
    X, y = rows()
    told = {"max_epochs": 4, "batch_size": 32, "device": "cpu"}
    return Trainer(network, "cross_entropy", watch=watch, **told | options).fit(X, y)


def test_recording_does_not_change_a_single_bit_of_the_training():
    runs = [trained(mlp(4, 2, (32, 32)), watch, max_epochs=8) for watch in (None, Recorder(keep=True))]
    for first, second in zip(*(run.network.state_dict().values() for run in runs), strict=True):
        assert torch.equal(first, second)
    assert runs[0].history_ == runs[1].history_


def test_steps_are_those_of_the_history():
    watch = Recorder()
    history = trained(mlp(4, 2, (16,)), watch, clip_norm=None).history_
    assert len(watch.steps) == len(history)
    for epoch, steps in zip(history, watch.steps, strict=True):
        assert steps.shape == (8, 4)
        assert steps[:, 1].mean() == pytest.approx(epoch.gradient_first)
        assert steps[:, 2].mean() == pytest.approx(epoch.gradient_last)
        assert (steps[:, 3] >= steps[:, 1]).all()


def test_scores_are_the_accuracy_of_the_epochs_own_batches_and_of_rows_kept_aside():
    from tilth.training import inner_split

    X, y = rows()
    watch = Recorder()
    fitted = trained(mlp(4, 2, (16,), dropout=0, batch_norm=False), watch, max_epochs=1, learning_rate=0.0)
    training, aside = inner_split(y, 0.15, 0, stratified=True)
    right = fitted.predict(X).argmax(1).numpy() == y  # a rate of 0: the weights are the same throughout
    assert watch.scores == pytest.approx([right[training].mean()])
    assert watch.validation_scores == pytest.approx([right[aside].mean()])


def test_units_that_no_gradient_reaches_are_counted():
    network = mlp(4, 2, (16,), dropout=0, batch_norm=False)
    with torch.no_grad():
        network[0].bias[:12] = -100.0
    watch = Recorder()
    trained(network, watch, optimizer="sgd", learning_rate=1e-6)
    assert watch.idle
    assert watch.idle == pytest.approx([12 / 16] * len(watch.idle), abs=0.07)


def test_a_loss_at_its_floor_makes_no_units_idle():
    watch = Recorder()
    X, y = rows()
    network = mlp(4, 2, (16,), dropout=0, batch_norm=False)
    Trainer(
        network,
        lambda output, target: output.sum(1) * 0,
        watch=watch,
        max_epochs=4,
        batch_size=32,
        device="cpu",
    ).fit(X, y)
    assert watch.idle
    assert max(watch.idle) == 0


def test_windows_are_of_as_many_looks():
    watch = Recorder()
    trained(mlp(4, 2, (16,)), watch, max_epochs=8)  # 64 steps, 8 looks, 2 windows
    assert len(np.concatenate(watch.steps)) == 64
    assert len(watch.idle) == 64 // EVERY // WINDOW


def test_a_network_without_hidden_layers_is_recorded_too():
    watch = Recorder()
    trained(nn.Sequential(nn.Linear(4, 2)), watch)
    assert watch.idle == []
    assert len(watch.scores) == 4


def test_the_network_before_training_is_kept_where_asked():
    X, _ = rows()
    network = mlp(4, 2, (16,))
    before = outputs(network, X)
    watch = Recorder(keep=True)
    trained(network, watch)
    assert torch.equal(outputs(watch.begun, X), before)
    assert not torch.equal(outputs(network, X), before)
    assert Recorder().begun is None


def test_outputs_and_targets_that_do_not_fit_have_no_score():
    X, _ = rows()
    watch = Recorder()
    Trainer(
        mlp(4, 3, (8,)),
        lambda output, target: output.square().mean(1),
        watch=watch,
        max_epochs=2,
        device="cpu",
    ).fit(X, np.zeros(300, np.float32))
    assert all(math.isnan(score) for score in watch.scores)
