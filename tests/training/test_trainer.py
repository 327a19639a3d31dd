"""The trainer learns, stops, remembers, repeats, and leaves the process as it found it."""

import math
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from tilth.errors import DataError, TilthWarning, UnknownName
from tilth.training import Trainer, cross_entropy, mlp, outputs, squared_error


def moons(rows=600, noise=0.1, seed=0):
    random = np.random.default_rng(seed)
    X = random.normal(size=(rows, 4)).astype(np.float32)
    y = (X[:, 0] * X[:, 1] + noise * random.normal(size=rows) > 0).astype(np.int64)
    return X, y


def small(inputs=4, outputs=2, **options):
    return mlp(inputs, outputs, hidden=(32, 32), **options)


def trainer(network=None, loss="cross_entropy", **options):
    return Trainer(network or small(), loss, **{"device": "cpu", "batch_size": 64, **options})


def test_learns_an_interaction_that_no_linear_model_can():
    X, y = moons(1200)
    fitted = trainer().fit(X[:900], y[:900])
    assert (fitted.predict(X[900:]).argmax(1).numpy() == y[900:]).mean() > 0.88


def test_same_seed_same_weights_other_seed_other_weights():
    X, y = moons()
    runs = [trainer(random_state=seed, max_epochs=5).fit(X, y).predict(X) for seed in (1, 1, 2)]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_global_random_states_and_threads_are_untouched():
    X, y = moons(200)
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy(), torch.get_num_threads()  # noqa: NPY002
    trainer(max_epochs=2).fit(X, y).predict(X)
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert torch.get_num_threads() == before[2]


def test_result_does_not_depend_on_the_callers_random_state():
    X, y = moons(200)
    torch.manual_seed(1)
    first = trainer(max_epochs=3).fit(X, y).predict(X)
    torch.manual_seed(2)
    assert torch.equal(trainer(max_epochs=3).fit(X, y).predict(X), first)


def test_stops_by_patience_and_restores_the_best_weights():
    X, y = moons(300, noise=2.0)
    seen = []
    fitted = trainer(patience=4, on_epoch=lambda number, epoch: seen.append((number, epoch))).fit(X, y)
    losses = [epoch.validation_loss for epoch in fitted.history_]
    assert fitted.stopped_ == "patience"
    assert fitted.best_epoch_ == int(np.argmin(losses)) == len(losses) - 1 - 4
    assert seen == list(enumerate(fitted.history_))
    # Judging the restored network on the same inner rows gives the best loss again.
    from tilth.training import inner_split

    aside = inner_split(y, 0.15, 0, stratified=True)[1]
    loss = cross_entropy(fitted.predict(X[aside]), torch.from_numpy(y[aside])).mean().item()
    assert loss == pytest.approx(min(losses), rel=1e-5)


def test_without_validation_all_epochs_run_and_the_last_is_kept():
    X, y = moons(200)
    fitted = trainer(validation_share=0, max_epochs=7, patience=1).fit(X, y)
    assert (fitted.stopped_, fitted.best_epoch_, len(fitted.history_)) == ("epochs", 6, 7)
    assert all(math.isnan(epoch.validation_loss) for epoch in fitted.history_)


def test_callback_can_end_the_training():
    X, y = moons(200)
    fitted = trainer(on_epoch=lambda number, epoch: number == 2).fit(X, y)
    assert (fitted.stopped_, len(fitted.history_)) == ("asked", 3)


def test_rate_warms_up_to_its_peak_and_falls_to_almost_zero():
    X, y = moons(400)
    fitted = trainer(validation_share=0, max_epochs=40, learning_rate=0.01, warmup_share=0.25).fit(X, y)
    rates = [epoch.learning_rate for epoch in fitted.history_]
    peak = int(np.argmax(rates))
    assert peak == pytest.approx(10, abs=1)
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert max(rates) == pytest.approx(0.01, rel=0.01)
    assert rates[-1] < 1e-5


def test_history_counts_clipped_steps_and_measures_gradients():
    X, y = moons(400)
    always = trainer(max_epochs=2, clip_norm=1e-9).fit(X, y).history_
    never = trainer(max_epochs=2, clip_norm=None).fit(X, y).history_
    assert [epoch.clipped_share for epoch in always] == [1, 1]
    assert [epoch.clipped_share for epoch in never] == [0, 0]
    assert all(epoch.gradient_first > 0 and epoch.gradient_last > 0 for epoch in always + never)


def test_recorded_gradients_equal_those_of_one_full_batch():
    X, y = moons(64)
    network = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
    copy = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
    copy.load_state_dict(network.state_dict())
    epoch = trainer(network, max_epochs=1, validation_share=0).fit(X, y).history_[0]
    loss = nn.functional.cross_entropy(copy(torch.from_numpy(X)), torch.from_numpy(y))
    loss.backward()
    assert epoch.train_loss == pytest.approx(loss.item(), rel=1e-5)
    assert epoch.gradient_first == pytest.approx(copy[0].weight.grad.norm().item(), rel=1e-4)
    assert epoch.gradient_last == pytest.approx(copy[2].weight.grad.norm().item(), rel=1e-4)


def test_one_step_equals_torch_adamw():
    X, y = moons(64)
    network, copy = small(batch_norm=False, dropout=0), small(batch_norm=False, dropout=0)
    trainer(network, max_epochs=1, validation_share=0, warmup_share=0, clip_norm=0.1).fit(X, y)
    optimizer = torch.optim.AdamW(copy.parameters(), lr=1e-3, weight_decay=1e-4)
    nn.functional.cross_entropy(copy(torch.from_numpy(X)), torch.from_numpy(y)).backward()
    nn.utils.clip_grad_norm_(copy.parameters(), 0.1)
    optimizer.step()
    for ours, theirs in zip(network.parameters(), copy.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_last_batch_of_one_row_is_dropped():
    X, y = moons(65)  # one row more than a batch; batch norm would fail on it
    fitted = trainer(validation_share=0, max_epochs=2).fit(X, y)
    assert len(fitted.history_) == 2


def test_weights_decide_between_contradicting_rows():
    X, y = moons(400, noise=0)
    both, labels = np.concatenate([X, X]), np.concatenate([y, 1 - y])
    weight = np.concatenate([np.full(400, 5.0), np.zeros(400)])
    fitted = trainer(max_epochs=60).fit(both, labels, weight)
    assert (fitted.predict(X).argmax(1).numpy() == y).mean() > 0.9


def test_unit_of_the_weights_does_not_matter():
    X, y = moons(200)
    weight = np.random.default_rng(0).uniform(0.5, 2, 200)
    first = trainer(max_epochs=3).fit(X, y, weight).predict(X)
    second = trainer(max_epochs=3).fit(X, y, weight * 1024).predict(X)
    torch.testing.assert_close(first, second, rtol=1e-3, atol=1e-4)


def test_without_a_target_the_network_learns_its_inputs():
    X, _ = moons(500)
    network = mlp(4, 4, hidden=(), batch_norm=False)
    fitted = trainer(network, "squared_error", learning_rate=0.05, max_epochs=60).fit(X)
    assert squared_error(fitted.predict(X), torch.from_numpy(X)).mean().item() < 0.01


def test_a_loss_of_ones_own_is_used():
    X, _ = moons(400)
    values = (3 * X[:, 0] + np.random.default_rng(0).exponential(size=400)).astype(np.float32)

    def pinball(output, target):
        error = target - output[:, 0]
        return torch.maximum(0.9 * error, -0.1 * error)

    fitted = trainer(small(outputs=1), pinball, learning_rate=0.01).fit(X, values)
    assert 0.8 < (values < fitted.predict(X).numpy()[:, 0]).mean() < 0.98


def test_divergence_is_said_and_leaves_finite_weights():
    X, y = moons(200)

    def breaks(output, target, calls=[]):  # noqa: B006
        calls.append(1)
        return cross_entropy(output, target) * (math.nan if len(calls) > 30 else 1.0)

    with pytest.warns(TilthWarning, match="diverged in epoch"):
        fitted = trainer(loss=breaks).fit(X, y)
    assert fitted.stopped_ == "diverged"
    assert torch.isfinite(fitted.predict(X)).all()
    assert fitted.best_epoch_ < len(fitted.history_) - 1


@pytest.mark.parametrize(
    ("X", "y", "weight", "message"),
    [
        (np.ones((5, 4)), np.ones(4, int), None, "Rows do not match: X has 5, y 4"),
        (np.full((5, 4), np.nan), np.ones(5, int), None, "X holds NaN"),
        (np.ones((5, 4)), np.full(5, np.inf), None, "y holds NaN or infinite"),
        (np.ones((5, 4)), np.ones(5, int), [1, 1, 1, 1, -1], "must not be negative"),
        (np.ones((5, 4)), np.ones(5, int), np.zeros(5), "at least one must be above 0"),
        (np.ones((1, 4)), np.ones(1, int), None, "at least 2 rows"),
        (np.ones((0, 4)), np.ones(0, int), None, "at least 2 rows"),
    ],
)
def test_unusable_rows_are_refused_with_the_reason(X, y, weight, message):
    with pytest.raises(DataError, match=message):
        trainer().fit(X, y, weight)


def test_unusable_settings_are_refused():
    with pytest.raises(UnknownName, match="did you mean 'cross_entropy'"):
        Trainer(small(), "crossentropy")
    with pytest.raises(ValueError, match="batch_size"):
        Trainer(small(), "cross_entropy", batch_size=1)


def test_predictions_come_in_parts_without_gradients_and_for_no_rows():
    network = small()
    X = torch.randn(20_000, 4)
    predicted = outputs(network, X)
    assert not predicted.requires_grad
    network.eval()
    torch.testing.assert_close(predicted, network(X).detach(), rtol=1e-4, atol=1e-5)
    assert outputs(network, X[:0]).shape == (0, 2)


def test_inputs_are_not_changed_and_may_be_read_only():
    X, y = moons(100)
    before = X.copy(), y.copy()
    trainer(max_epochs=2).fit(X, y)
    assert np.array_equal(X, before[0])
    assert np.array_equal(y, before[1])
    X.flags.writeable = y.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trainer(max_epochs=2).fit(X, y)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_trains_on_cuda_and_restores_its_generator():
    X, y = moons(1200)
    before = torch.cuda.get_rng_state()
    fitted = trainer(device="cuda").fit(X, y)
    assert torch.equal(torch.cuda.get_rng_state(), before)
    assert fitted.device_.type == "cuda"
    assert (fitted.predict(X).argmax(1).numpy() == y).mean() > 0.9


def test_training_rows_are_corrupted_anew_and_validation_rows_once():
    X, _ = moons(200)
    seen = []

    def corrupt(inputs, target):
        kept = (torch.rand_like(inputs) > 0.5).float()
        seen.append((len(inputs), kept))
        return inputs * kept, torch.cat([target, 1 - kept], dim=1)

    def loss(output, target):
        values, hidden = target.split(4, dim=1)
        return (hidden * (output - values).square()).sum(1)

    runs = [
        trainer(small(outputs=4), loss, corrupt=corrupt, max_epochs=3, batch_size=200).fit(X)
        for _ in range(2)
    ]
    assert [count for count, _ in seen[:4]] == [30, 170, 170, 170]
    assert not torch.equal(seen[1][1], seen[2][1])
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(seen[:4], seen[4:], strict=True))
    assert runs[0].history_ == runs[1].history_
    # The validation loss is that of the rows as they were corrupted, not of whole ones.
    from tilth.training import inner_split

    aside = torch.from_numpy(X[inner_split(X, 0.15, 0)[1]])
    kept = seen[0][1]
    output = runs[0].predict(aside * kept)
    best = min(epoch.validation_loss for epoch in runs[0].history_)
    assert loss(output, torch.cat([aside, 1 - kept], dim=1)).mean().item() == pytest.approx(best, rel=1e-5)


def test_shares_of_classes_are_learned_as_codes_are():
    X, y = torch.randn(300, 4, generator=torch.Generator().manual_seed(0)), torch.arange(300) % 3
    shares = nn.functional.one_hot(y, 3).float()
    other = shares.roll(1, 0)
    torch.testing.assert_close(cross_entropy(X[:, :3], shares), cross_entropy(X[:, :3], y))
    mixed = 0.3 * cross_entropy(X[:, :3], shares) + 0.7 * cross_entropy(X[:, :3], other)
    torch.testing.assert_close(cross_entropy(X[:, :3], 0.3 * shares + 0.7 * other), mixed)
    X[:, 0] = y
    fitted = Trainer(mlp(4, 3), "cross_entropy", max_epochs=60, device="cpu", patience=60).fit(X, shares)
    assert (fitted.predict(X).argmax(1) == y).float().mean() > 0.9


def test_the_weights_before_training_are_kept_where_asked_and_no_epoch_is_better():
    X, y = moons(200)
    network = small()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    good = trainer(network, max_epochs=30).fit(X, y)
    assert good.best_epoch_ > 0
    learned = {name: value.clone() for name, value in network.state_dict().items()}
    again = trainer(network, learning_rate=1.0, max_epochs=2, start_counts=True).fit(X, y)
    assert again.best_epoch_ == -1
    assert all(torch.equal(network.state_dict()[name], learned[name]) for name in before)
    trainer(network, learning_rate=1.0, max_epochs=2).fit(X, y)
    assert not all(torch.equal(network.state_dict()[name], learned[name]) for name in before)


def test_a_source_of_batches_is_trained_on_as_the_same_rows_are():
    X, y = moons(300)
    from tilth.training import Resident, inner_split
    from tilth.training.rows import Rows

    training, aside = inner_split(y, 0.15, 0, stratified=True)
    rows = Rows.of(X, y)
    source = Resident(rows.select(training), rows.select(aside), 64, 0)
    one = trainer(max_epochs=4).fit(X, y)
    two = trainer(max_epochs=4).fit_source(source)
    assert torch.equal(one.predict(X), two.predict(X))
    assert one.history_ == two.history_


def test_defaults_equal_a_plain_loop_to_the_last_bit():
    X, y = moons(300)
    network, copy = (small(dropout=0) for _ in range(2))
    trainer(network, validation_share=0, max_epochs=4).fit(X, y)
    optimizer = torch.optim.AdamW(copy.parameters(), lr=1e-3, weight_decay=1e-4, fused=True)
    order, steps, total = torch.Generator().manual_seed(0), 0, 4 * 5
    inputs, target = torch.from_numpy(X), torch.from_numpy(y)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    copy.train()
    for _ in range(4):
        for batch in torch.randperm(300, generator=order).split(64):
            warm = steps < 0.05 * total
            share = (steps + 1) / 2 if warm else 0.5 * (1 + math.cos(math.pi * (steps - 1) / (total - 1)))
            for group in optimizer.param_groups:
                group["lr"] = 1e-3 * share
            optimizer.zero_grad(set_to_none=True)
            (cross_entropy(copy(inputs[batch]), target[batch]) * torch.ones(len(batch))).mean().backward()
            nn.utils.clip_grad_norm_(copy.parameters(), 1.0)
            optimizer.step()
            steps += 1
    torch.set_num_threads(before)
    for ours, theirs in zip(network.state_dict().values(), copy.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)


def test_the_last_weights_stay_where_the_best_are_not_to_be_restored():
    X, y = moons(300, noise=2.0)
    seen = []
    network = small()
    weights = lambda: torch.cat([p.detach().flatten() for p in network.parameters()])
    fitted = trainer(network, patience=4, restore=False, on_epoch=lambda n, e: seen.append(weights())).fit(
        X, y
    )
    assert fitted.stopped_ == "patience"
    assert fitted.best_epoch_ == len(fitted.history_) - 1
    assert torch.equal(weights(), seen[-1])


def test_what_looks_on_is_told_of_the_end_even_of_a_training_that_broke_off():
    X, y = moons(100)
    calls = []

    class Look:
        def __getattr__(self, name):
            return lambda *args: calls.append(name)

    def breaks(output, target):
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        trainer(loss=breaks, watch=Look()).fit(X, y)
    assert calls == ["begin", "before", "end"]
    calls.clear()
    trainer(watch=Look(), max_epochs=1, batch_size=85).fit(X, y)
    assert calls == ["begin", "before", "after", "trained", "validated", "end"]
