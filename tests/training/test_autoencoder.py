"""The autoencoder gives back what it cannot see, errs where it should, and answers rows one by one."""

import numpy as np
import pytest
import torch

from tilth.training import reconstruct, reconstruction_errors, train_autoencoder
from tilth.training.losses import log_shares

OPTIONS = {
    "hidden": (32,),
    "corruption": 0.3,
    "known_weight": 0.3,
    "learning_rate": 0.01,
    "batch_size": 64,
    "max_epochs": 40,
    "patience": 10,
    "device": "cpu",
    "random_state": 0,
}
NUMBERS = np.zeros(3, dtype=bool)
PLACES = np.arange(3)


def train(wide, source=PLACES, categorical=NUMBERS, **more):
    return train_autoencoder(wide, source, categorical, **{**OPTIONS, **more})


def curve(rows=400, seed=0):
    """Make a parabola, and noise beside it; all of mean 0 and standard deviation 1."""
    random = np.random.default_rng(seed)
    x = random.uniform(-1, 1, rows)
    columns = np.column_stack([x, x**2, random.normal(size=rows)])
    return (columns - columns.mean(0)) / columns.std(0)


def mixed(rows=400, seed=0):
    """Make a number whose sign is told by a category, 0/1 per level, with gaps."""
    random = np.random.default_rng(seed)
    level = random.choice(3, rows, p=[0.6, 0.3, 0.1])
    number = np.array([-1.0, 0.5, 2.0])[level] + 0.1 * random.normal(size=rows)
    wide = np.column_stack([(number - number.mean()) / number.std(), np.eye(3)[level]])
    wide[random.random(rows) < 0.2, 0] = np.nan
    wide[random.random(rows) < 0.2, 1:] = np.nan
    return wide, level


def test_a_bent_relation_is_learned_and_noise_is_answered_by_its_mean():
    rows = curve()
    weights = train(rows)
    hidden = rows.copy()
    hidden[:, 1:] = np.nan
    told = reconstruct(weights, hidden, PLACES)
    assert np.mean((told[:, 1] - rows[:, 1]) ** 2) < 0.1
    assert np.abs(told[:, 2]).mean() < 0.3


def test_a_category_is_told_from_a_number_and_a_number_from_a_category():
    wide, level = mixed()
    source, categorical = np.array([0, 1, 1, 1]), np.array([False, True])
    weights = train(wide, source, categorical)
    bare = wide.copy()
    bare[:, 1:] = np.nan
    seen = ~np.isnan(wide[:, 0])
    assert (reconstruct(weights, bare, source)[seen, 1:].argmax(1) == level[seen]).mean() > 0.95
    bare = wide.copy()
    bare[:, 0] = np.nan
    kept = seen & ~np.isnan(wide[:, 1])
    assert np.mean((reconstruct(weights, bare, source) - wide)[kept, 0] ** 2) < 0.1


def test_of_a_single_row_only_the_middle_is_known():
    wide = np.array([[0.0, 1.0, 0.0], [0.0, np.nan, np.nan], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    source, categorical = np.array([0, 1, 1]), np.array([False, True])
    told = reconstruct(train(wide[:1], source, categorical), wide, source)
    assert (told[:, 0] == 0).all()
    assert (told[:, 1] > told[:, 2]).all()
    start = reconstruct(train(wide, source, categorical, max_epochs=1, learning_rate=1e-12), wide, source)
    np.testing.assert_allclose(np.exp(start[:, 1:]), np.tile([2 / 3, 1 / 3], (4, 1)), rtol=1e-5)


def test_rows_are_answered_alone_as_among_others():
    rows = curve()
    rows[::3, 1] = np.nan
    weights = train(rows, max_epochs=3)
    alone = np.vstack([reconstruct(weights, row[None], PLACES) for row in rows])
    np.testing.assert_allclose(reconstruct(weights, rows, PLACES), alone, rtol=0, atol=1e-12)


def test_the_answer_is_that_of_the_network_in_torch():
    rows = curve(50)
    rows[::4, 0] = np.nan
    weights = [torch.from_numpy(w).double() for w in train(rows, max_epochs=2, hidden=(8, 4))]
    known = ~np.isnan(rows)
    values = torch.from_numpy(np.hstack([np.where(known, rows, 0).clip(-10, 10), known]))
    for place in (0, 2):
        values = torch.nn.functional.silu(values @ weights[place].T + weights[place + 1])
    wanted = values @ weights[4].T + weights[5]
    told = reconstruct([w.float().numpy() for w in weights], rows, PLACES)
    np.testing.assert_allclose(told, wanted.numpy(), rtol=1e-12, atol=1e-12)


def test_far_cells_decide_no_more_than_the_limit_and_overflow_nothing():
    rows = curve()
    weights = train(rows, max_epochs=2)
    far, limit = rows.copy(), rows.copy()
    far[:, 0], limit[:, 0] = 1e100, 10.0
    with np.errstate(all="raise"):
        told = reconstruct(weights, far, PLACES)
    np.testing.assert_array_equal(told, reconstruct(weights, limit, PLACES))


def test_the_same_seed_gives_the_same_weights_and_last_digits_do_not_matter():
    rows = curve()
    one, again, other = train(rows, max_epochs=3), train(rows, max_epochs=3), train(rows, random_state=1)
    moved = train(rows + 1e-10, max_epochs=3)
    assert all((a == b).all() and (a == c).all() for a, b, c in zip(one, again, moved, strict=True))
    assert any((a != b).any() for a, b in zip(one, other, strict=True))


def test_errors_are_squares_of_numbers_and_log_shares_of_categories():
    source, categorical = np.array([0, 1, 1, 1, 2]), np.array([False, True, False])
    output = np.array([[1.0, np.log(0.2), np.log(0.5), np.log(0.3), -1.0]] * 3)
    wide = np.array([[3.0, 0, 1, 0, np.nan], [np.nan, 0, 0, 0, -1.0], [1.0, np.nan, np.nan, np.nan, 1.0]])
    errors = reconstruction_errors(output + np.array([0, 7, 7, 7, 0]), wide, source, categorical)
    wanted = [[4, -np.log(0.5), np.nan], [np.nan, -np.log(0.2), 0], [0, np.nan, 4]]
    np.testing.assert_allclose(errors, wanted, rtol=1e-12)


def test_log_shares_are_those_of_softmax_within_each_column():
    output = torch.tensor([[1.0, 900.0, 901.0, -5.0, 2.0], [0.0, -3.0, 3.0, 1.0, 1.0]], requires_grad=True)
    shares = log_shares(output, torch.tensor([0, 1, 1, 2, 2]), 3)
    parts = [part.log_softmax(1) for part in output.split([1, 2, 2], dim=1)]
    torch.testing.assert_close(shares, torch.cat(parts, 1))
    (ours,) = torch.autograd.grad(shares[:, 1].sum(), output)
    (theirs,) = torch.autograd.grad(parts[1][:, 0].sum(), output)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_on_cuda_as_good_as_on_the_cpu():
    rows = curve()
    hidden = rows.copy()
    hidden[:, 1] = np.nan
    off = [
        np.mean((reconstruct(train(rows, device=device), hidden, PLACES)[:, 1] - rows[:, 1]) ** 2)
        for device in ("cpu", "cuda")
    ]
    assert off[1] < off[0] + 0.05
