"""A model and a loader of the user are examined on a copy; faults are named, and health is not doubted."""

import json
import random
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from tilth.errors import DataError, UnknownName
from tilth.loaders import TableLoader
from tilth.training import examine, mlp


def rows(count=480, seed=0):
    draw = np.random.default_rng(seed)
    X = draw.normal(size=(count, 6)).astype(np.float32)
    return X, (X[:, 0] + X[:, 1] * X[:, 2] > 0).astype(np.int64)


def batches(X, y, *weight, size=32):
    parts = [torch.as_tensor(part) for part in (X, y, *weight)]
    return [tuple(part[i : i + size] for part in parts) for i in range(0, len(X), size)]


def plain(hidden=(32, 32), activation="relu", inputs=6, outputs=2):
    return mlp(inputs, outputs, hidden, activation, dropout=0, batch_norm=False)


X, Y = rows()
TRAIN, ASIDE = batches(X[:360], Y[:360]), batches(X[360:], Y[360:])


def told(model=None, loader=None, validation=ASIDE, **options):
    given = {"epochs": 10, "learning_rate": 3e-3, "device": "cpu", "n_jobs": 1, "memorize": False}
    return examine(
        model or plain(), TRAIN if loader is None else loader, validation=validation, **given | options
    )


def kinds(examination):
    return {f.kind.removeprefix("health.") for f in examination.findings if f.severity in ("medium", "high")}


def test_a_healthy_training_has_no_finding():
    done = told(patience=3, memorize=True)
    assert done.findings == []
    assert done.healthy
    assert done.vitals.memorized < 0.1
    assert str(done).splitlines()[-1] == "Nothing ails this training."


def test_the_model_and_all_random_states_are_left_as_they_are():
    model = plain().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    shuffled = DataLoader(TensorDataset(torch.from_numpy(X), torch.from_numpy(Y)), 32, shuffle=True)
    states = torch.random.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    threads = torch.get_num_threads()
    told(model, shuffled, memorize=True, inits=2)
    assert torch.equal(torch.random.get_rng_state(), states[0])
    assert np.array_equal(np.random.get_state()[1], states[1])  # noqa: NPY002
    assert random.getstate() == states[2]
    assert torch.get_num_threads() == threads
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())


def test_the_same_seed_gives_the_same_numbers_with_a_shuffling_loader():
    shuffled = DataLoader(TensorDataset(torch.from_numpy(X), torch.from_numpy(Y)), 32, shuffle=True)
    model = plain()
    first, again, other = (told(model, shuffled, random_state=seed).history for seed in (1, 1, 2))
    assert first == again
    assert first != other


# Each fault once; benchmarks/health.py plants them many times.


def test_columns_that_are_not_scaled_are_named():
    unit = np.array([1, 1e4, 1, 1, 1, 1], np.float32)
    done = told(loader=batches(X[:360] * unit, Y[:360]), validation=None, names=list("abcdef"))
    found = done.findings[0]
    assert found.kind == "health.unscaled"
    assert found.columns == ("b",)
    assert found.remedy == {"scale.robust": {"on": ["b"]}}


def changed(model, change):
    with torch.no_grad():
        for number, layer in enumerate(module for module in model if isinstance(module, nn.Linear)):
            change(number, layer)
    return model


def test_tiny_weights_in_a_deep_network_let_gradients_vanish():
    model = changed(plain((16,) * 10, "tanh"), lambda number, layer: layer.weight.mul_(0.05))
    assert {"vanishing", "not_learning"} <= kinds(told(model))


def test_huge_weights_explode():
    model = changed(plain((32,) * 6), lambda number, layer: layer.weight.mul_(6))
    assert kinds(told(model, optimizer="sgd", learning_rate=1e-4)) & {"exploding", "diverged"}


def test_units_below_zero_for_all_rows_are_dead():
    model = changed(plain(), lambda number, layer: layer.bias.fill_(-20.0 if number == 1 else 0.0))
    assert "dead" in kinds(told(model))


def test_units_of_functions_are_known_by_their_gradients():
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(6, 32), nn.Linear(32, 2)

        def forward(self, X):
            return self.last(torch.relu(self.first(X) - 50))

    done = told(Functional())
    assert "dead" in kinds(done)
    assert any("no modules of activation" in note for note in done.notes)


def test_a_cell_that_is_nan_is_found_and_no_warning_is_left():
    broken = X[:360].copy()
    broken[7, 2] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        done = told(loader=batches(broken, Y[:360]), memorize=True)
    assert done.stopped == "diverged"
    assert [f.kind for f in done.findings[:2]] == ["health.missing", "health.diverged"]
    assert done.findings[0].remedy == {"impute.simple": {"indicator": True}}
    json.dumps(done.to_dict(), allow_nan=False)


def test_labels_in_the_wrong_rows_hold_nowhere_else():
    wrong = np.random.default_rng(0).permutation(Y)
    done = told(loader=batches(X[:360], wrong[:360]), validation=batches(X[360:], wrong[360:]))
    assert "no_signal" in kinds(done)


def test_a_tiny_network_underfits():
    noise = np.random.default_rng(0).integers(0, 2, 360)
    assert "underfit" in kinds(told(plain((1,)), batches(X[:360], noise), None, memorize=True))


def test_a_wide_network_on_few_rows_overfits_unless_it_stops_in_time():
    few = batches(X[:40], Y[:40], size=8)
    over = told(plain((128, 128)), few, epochs=40)
    assert over.vitals.train_score == 1
    assert "overfit" in kinds(over)
    assert over.best_epoch == 39
    stopped = told(plain((128, 128)), few, epochs=40, patience=3)
    assert stopped.stopped == "patience"
    assert stopped.best_epoch < len(stopped.history) - 1 < 39
    assert stopped.vitals.validation_loss == pytest.approx(min(stopped.vitals.validation_losses), rel=1e-4)


def test_a_rate_far_too_high_and_far_too_low():
    high = told(learning_rate=1.0, optimizer="adamw")
    assert kinds(high) & {"dead", "exploding", "oscillating", "not_learning", "diverged"}
    low = told(learning_rate=1e-6, memorize=True)
    assert "not_learning" in kinds(low)
    remedy = next(f.remedy for f in low.findings if f.kind == "health.not_learning")
    assert remedy == {"training": {"learning_rate": "ten times"}}


def test_inputs_at_the_ends_of_tanh_saturate():
    assert "saturated" in kinds(told(plain((32,), "tanh"), batches(100 * X[:360], Y[:360]), None))


# Models and loaders


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(2))
        self.head = nn.Linear(32, 2)

    def forward(self, images):
        return self.head(self.body(images).flatten(1))


def images(count=96):
    draw = torch.Generator().manual_seed(0)
    y = torch.arange(count) % 2
    pixels = 0.5 * torch.randn(count, 3, 12, 12, generator=draw)
    pixels[:, 0, :6] += (2 * y - 1)[:, None, None]
    return pixels, y


def test_images_are_examined_and_pixels_up_to_255_are_found():
    pixels, y = images()
    done = told(Net(), batches(pixels, y, size=16), epochs=8, validation=None, learning_rate=0.01)
    assert kinds(done) == set()
    assert done.vitals.train_score > 0.95
    assert len(done.vitals.columns.size) == 3
    raw = told(Net(), batches(128 + 50 * pixels, y, size=16), epochs=2, validation=None)
    assert "unscaled" in kinds(raw)


def test_a_table_loader_with_weights_is_examined():
    weight = np.where(np.arange(360) < 180, 1.0, 0.0).astype(np.float32)
    contrary = Y[:360].copy()
    contrary[180:] = 1 - contrary[180:]
    given = TableLoader(X[:360], contrary, weight=weight, batch_size=40, device="cpu")
    done = told(loader=given, epochs=15, learning_rate=0.01)
    # Rows of weight 0 say the contrary, and are not listened to.
    assert done.vitals.validation_score > 0.75
    assert done.vitals.rows == 360


def test_the_unit_of_the_weights_does_not_matter():
    weight = np.random.default_rng(0).uniform(0.5, 2, 360).astype(np.float32)
    model = plain()
    first, second = (
        told(model, batches(X[:360], Y[:360], unit * weight), epochs=2).history for unit in (1, 1024)
    )
    assert first[-1].train_loss == pytest.approx(second[-1].train_loss, rel=1e-3)


@pytest.mark.parametrize(
    ("target", "outputs", "loss"),
    [
        (Y.astype(np.float32), 1, "auto"),
        (Y, 1, "binary_cross_entropy"),
        (X[:, :3], 3, "squared_error"),
        (Y, 2, lambda output, target: nn.functional.cross_entropy(output, target, reduction="none")),
    ],
)
def test_losses_by_name_by_themselves_and_of_ones_own(target, outputs, loss):
    done = told(plain(outputs=outputs), batches(X, target), None, loss=loss, epochs=12, learning_rate=0.01)
    assert done.history[-1].train_loss < 0.7 * done.history[0].train_loss
    known = isinstance(loss, str)
    assert any("of this loss it is not known" in note for note in done.notes) != known


def test_several_first_weights_are_compared():
    model = plain()
    done = told(model, inits=3)
    assert len(done.vitals.init_scores) == 3
    assert len(set(done.vitals.init_scores)) > 1
    assert done.vitals.init_scores[0] == done.vitals.validation_score
    assert done.history == told(model).history


def test_what_could_not_be_checked_is_said():
    done = told(nn.Linear(6, 2), validation=None)
    notes = " ".join(done.notes)
    for words in ("overfitting", "no hidden layer", "no modules of activation"):
        assert words in notes
    assert f"Not checked: {done.notes[0]}" in str(done)


def test_the_result_is_plain_json_and_readable():
    done = told(learning_rate=1.0)
    plain_values = json.loads(json.dumps(done.to_dict(), allow_nan=False))
    assert plain_values["healthy"] is False
    assert plain_values["findings"][0]["kind"] == done.findings[0].kind
    assert len(plain_values["numbers"]["train_losses"]) == len(done.history)
    first, second, *_ = str(done).splitlines()
    assert first.startswith("10 epochs on 360 rows, ended by their number; loss ")
    assert second.startswith(f"{done.findings[0].severity}: ")


def test_a_callback_ends_the_training():
    assert len(told(on_epoch=lambda number, epoch: number == 1).history) == 2


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"loader": iter(TRAIN)}, DataError, "only once"),
        ({"loader": []}, DataError, "nothing to train on"),
        ({"loader": [torch.ones(4, 6)]}, DataError, "a Tensor"),
        ({"loader": [(torch.ones(4, 6),)]}, DataError, "1 parts"),
        ({"loader": [(torch.ones(4, 6), ["a"] * 4)]}, DataError, "Tensor, list"),
        ({"loader": [(torch.ones(4, 6), torch.ones(3))]}, DataError, "do not match"),
        ({"loader": batches(X, Y, -np.ones(len(X)))}, DataError, "negative"),
        ({"validation": []}, DataError, "validation loader gives no rows"),
        ({"loss": "cross_entropie"}, UnknownName, "did you mean 'cross_entropy'"),
        ({"loss": nn.functional.cross_entropy}, DataError, "one number per row"),
        ({"model": nn.Flatten()}, DataError, "no weights to train"),
        ({"epochs": 0}, ValueError, "at least 1"),
    ],
)
def test_what_cannot_be_examined_is_refused_with_the_reason(options, error, message):
    with pytest.raises(error, match=message):
        told(**options)
