"""AugmentMixup: the formulas of Zhang et al. (2018) are the oracle; as rows, the loss of a mixed label."""

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import tilth
from tilth.errors import DataError, StageError
from tilth.loaders import TableDataset, TableLoader
from tilth.stages.augment.mixup import AugmentMixup
from tilth.table import Roles, Table

N, CLASSES = 6000, 3


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    random = seeded(5)
    y = torch.randint(0, CLASSES, (N,), generator=random)
    X = torch.randn(N, 4, generator=random, dtype=torch.float64) + y[:, None]
    return X, y, torch.rand(N, generator=random, dtype=torch.float64) + 0.5


def fitted(batch, **parameters) -> AugmentMixup:
    return AugmentMixup(**parameters).fit(batch[0].numpy(), batch[1].numpy())


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_mean_and_variance_are_those_of_the_formula(batch, alpha):
    """Var(s a + (1 - s) b) = Var(a) (E[s^2] + E[(1 - s)^2]) for a and b drawn alike."""
    X = batch[0]
    out = fitted(batch, alpha=alpha).augment(batch, seeded())[0]
    second = 0.25 + 0.25 / (2 * alpha + 1)  # E[s^2] of Beta(alpha, alpha)
    np.testing.assert_allclose(out.mean(0), X.mean(0), atol=0.1)
    np.testing.assert_allclose(out.var(0), X.var(0) * 2 * second, rtol=0.06)


def test_labels_and_weights_are_mixed_as_the_rows_are(batch):
    """Rows of one number per class and per weight show the share and the partner of each row."""
    X = torch.stack([functional.one_hot(batch[1], CLASSES)[:, 1].double(), batch[2]], dim=1)
    stage = fitted((X, batch[1]), alpha=1.0)
    out, y, weight = stage.augment((X, *batch[1:]), seeded())
    torch.testing.assert_close(y[:, 1], out[:, 0])
    torch.testing.assert_close(weight, out[:, 1])
    torch.testing.assert_close(y.sum(1), torch.ones(N, dtype=y.dtype))
    frequency = torch.bincount(batch[1]) / N
    np.testing.assert_allclose(y.mean(0), frequency, atol=0.02)


def test_numbers_in_the_target_are_mixed(batch):
    X = batch[0]
    target = X[:, 0].clone()
    for y in (target, torch.stack([target, -target], dim=1)):
        out, mixed = fitted((X, target), alpha=1.0).augment((X, y), seeded())
        assert mixed.shape == y.shape
        torch.testing.assert_close(mixed if y.ndim == 1 else mixed[:, 0], out[:, 0])


def test_shares_of_classes_are_mixed_again(batch):
    stage = fitted(batch)
    once = stage.augment(batch, seeded(1))
    twice = stage.augment(once, seeded(2))
    torch.testing.assert_close(twice[1].sum(1), torch.ones(N, dtype=torch.float64))
    assert twice[1].shape == (N, CLASSES)


def test_one_share_for_the_batch_or_one_for_each_row(batch):
    X = torch.eye(400, dtype=torch.float64)
    for per, many in (("batch", 1), ("row", 300)):
        stage = AugmentMixup(alpha=1.0, per=per).fit(X.numpy())
        (out,) = stage.augment((X,), seeded())
        shares = out.diagonal().round(decimals=9).unique()
        assert len(shares) == 1 if many == 1 else len(shares) > many
        torch.testing.assert_close(out.sum(1), torch.ones(400, dtype=torch.float64))


def test_within_a_class_labels_stay_as_they_are(batch):
    out, y, _ = fitted(batch, within="class", alpha=1.0).augment(batch, seeded())
    torch.testing.assert_close(y, functional.one_hot(batch[1], CLASSES).double())
    assert (out != batch[0]).any(dim=1).all()
    for c in range(CLASSES):
        np.testing.assert_allclose(out[batch[1] == c].mean(0), batch[0][batch[1] == c].mean(0), atol=0.15)


@settings(deadline=None, max_examples=50)
@given(
    st.integers(1, 30),
    st.integers(0, 9),
    st.sampled_from(["row", "batch"]),
    st.sampled_from(["all", "class"]),
)
def test_every_cell_lies_between_the_least_and_the_largest_of_its_column(rows, seed, per, within):
    X = torch.randn(rows, 3, generator=seeded(seed))
    y = torch.randint(0, 2, (rows,), generator=seeded(seed + 1))
    before = X.clone()
    stage = AugmentMixup(per=per, within=within, n_classes=2, alpha=0.5).fit(X.numpy())
    out, shares = stage.augment((X, y), seeded(seed))
    assert ((out >= X.min(0).values - 1e-6) & (out <= X.max(0).values + 1e-6)).all()
    assert (shares >= 0).all()
    torch.testing.assert_close(shares.sum(1), torch.ones(rows))
    again = stage.augment((X, y), seeded(seed))
    assert torch.equal(out, again[0])
    assert torch.equal(shares, again[1])
    assert torch.equal(X, before)


def test_as_many_cells_are_missing_as_were(batch):
    X = batch[0].clone()
    X[torch.rand(X.shape, generator=seeded(3)) < 0.3] = torch.nan
    X[:50, 0] = torch.inf
    (out,) = AugmentMixup(alpha=1.0).fit(batch[0].numpy()).augment((X,), seeded())
    assert out.isnan().double().mean().item() == pytest.approx(X.isnan().double().mean().item(), abs=0.02)
    assert 30 < out[:, 0].isinf().sum() < 80


def test_columns_that_are_not_named_stay_the_rows_own(batch):
    frame = pl.DataFrame(batch[0].numpy(), schema=["a", "b", "c", "d"])
    (out,) = AugmentMixup(on=["b", "d"]).fit(frame).augment((batch[0],), seeded())
    assert (out == batch[0]).all(dim=0).tolist() == [True, False, True, False]
    same = AugmentMixup(on=[]).fit(frame).augment(batch, seeded())
    assert all(torch.equal(one, two) for one, two in zip(same, batch, strict=True))


def test_what_a_batch_lacks_is_told():
    X, codes = torch.zeros(4, 2), torch.tensor([0, 1, 0, 1])
    stage = AugmentMixup().fit(X.numpy())
    with pytest.raises(StageError, match="how many classes there are is not known"):
        stage.augment((X, codes), seeded())
    with pytest.raises(StageError, match=r"within='class' needs the classes.*no target"):
        AugmentMixup(within="class").fit(X.numpy()).augment((X,), seeded())
    with pytest.raises(StageError, match=r"within='class' needs the classes.*target of numbers"):
        AugmentMixup(within="class").fit(X.numpy()).augment((X, codes.float()), seeded())
    with pytest.raises(StageError, match="floating-point"):
        stage.augment((X.long(), codes), seeded())


def test_a_plain_torch_loop_learns_from_a_pipelines_loader():
    random = np.random.default_rng(0)
    X = random.normal(size=(1500, 4))
    y = np.where(X[:, 0] + X[:, 1] > 0, "yes", "no")
    pipe = tilth.Pipeline([tilth.stage("scale.standard")]).fit(X, y)
    loader = pipe.loader(X, y, batch_size=128, device="cpu", augment=tilth.stage("augment.mixup"))
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.ReLU(), torch.nn.Linear(16, 2))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(6):
        for features, labels in loader:
            loss = functional.cross_entropy(network(features), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    plain = pipe.loader(X, y, training=False, device="cpu", batch_size=1500)
    features, labels = next(iter(plain))
    assert (network(features).argmax(1) == labels).float().mean() > 0.95


def test_batches_of_any_loader_will_do():
    X = np.random.default_rng(0).normal(size=(100, 3)).astype(np.float32)
    labels = ["a", "b", "c", "b"] * 25
    stage = AugmentMixup().fit(X, labels)
    rows = TableDataset(X, labels)
    for loader in (DataLoader(rows, 40), DataLoader(TensorDataset(*rows.tensors), 40)):
        for batch in loader:
            features, shares = stage.augment(batch)
            assert features.shape == (len(batch[0]), 3)
            assert shares.shape == (len(batch[0]), 3)
            assert functional.cross_entropy(torch.zeros(len(features), 3), shares).item() == pytest.approx(
                np.log(3)
            )
    one, two = (TableLoader(X, labels, batch_size=32, device="cpu", augment=stage) for _ in range(2))
    assert all(torch.equal(a, b) for parts in zip(one, two, strict=True) for a, b in zip(*parts, strict=True))


# As rows


def table(rows: int = 400, **roles) -> Table:
    random = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "x": random.normal(size=rows),
            "n": random.integers(0, 100, rows),
            "flag": random.integers(0, 2, rows).astype(np.uint8),
            "city": random.choice(["Oslo", "Rome"], rows),
            "y": random.choice(["no", "yes"], rows, p=[0.7, 0.3]),
            "w": random.uniform(0.5, 2, rows),
            "g": np.arange(rows) // 4,
            "key": [f"k{i}" for i in range(rows)],
        }
    )
    return Table.of(frame, roles=Roles(target="y", row_id="key", **roles))


def test_rows_of_two_classes_come_out_twice_and_give_the_loss_of_the_mixed_label():
    source = table(weight="w")
    stage = AugmentMixup(alpha=1.0, expand=1)
    out = stage.fit_resample(source)
    plan = stage.plan_
    made = out.frame.collect()[source.height :]
    labels = source.y
    two = labels.gather(plan.parents[:, 0]).ne_missing(labels.gather(plan.parents[:, 1])).to_numpy()
    assert made.height == source.height + two.sum() // 2
    np.testing.assert_allclose(plan.shares.sum(1), 1)
    weights = source.role("weight").to_numpy()
    mixed = (weights[plan.parents] * plan.shares).sum(1)
    np.testing.assert_allclose(made["w"], mixed * plan.fresh_weight)
    # Any loss: here a made-up number per row and class.
    x = made["x"].to_numpy()
    loss = {"no": np.abs(x - 1), "yes": (x + 2) ** 2}
    as_rows = np.where(made["y"] == "yes", loss["yes"], loss["no"]) @ made["w"].to_numpy()
    first = plan.shares[: source.height, 0]
    yes = labels.to_numpy() == "yes"
    a, b = yes[plan.parents[: source.height].T]
    soft = first * a + (1 - first) * b
    n = source.height
    as_labels = ((soft * loss["yes"][:n] + (1 - soft) * loss["no"][:n]) * mixed[:n]).sum()
    assert as_rows == pytest.approx(as_labels, rel=1e-9)


def test_cells_of_made_rows_are_those_of_the_formula():
    source = table()
    stage = AugmentMixup(alpha=1.0, expand=2)
    out = stage.fit_resample(source).frame.collect()
    plan, before = stage.plan_, source.frame.collect()
    made = out[source.height :]
    for name in ("x", "n"):
        mixed = (before[name].to_numpy()[plan.parents] * plan.shares).sum(1)
        np.testing.assert_allclose(made[name], mixed if name == "x" else np.round(mixed), atol=1e-9)
    major = plan.parents[np.arange(made.height), plan.shares.argmax(1)]
    for name in ("flag", "city"):
        assert made[name].to_list() == before[name].gather(major).to_list()
    assert made.schema.items() <= out.schema.items()
    assert made["x"].dtype == before["x"].dtype


@pytest.mark.parametrize("expand, made", [(1, 400), (0.25, 100), (2.5, 1000)])
def test_so_many_rows_are_made_as_were_asked_for(expand, made):
    stage = AugmentMixup(expand=expand, within="class").fit(table())
    assert stage.plan_.fresh.height == made
    base = np.bincount(stage.plan_.parents[:, 0], minlength=400)
    assert set(base) <= {int(expand), int(np.ceil(expand))}


def test_partners_are_of_the_rows_own_group():
    source = table(group="g")
    stage = AugmentMixup(expand=1).fit(source)
    group = source.role("group").to_numpy()
    assert (group[stage.plan_.parents[:, 0]] == group[stage.plan_.parents[:, 1]]).all()
    assert stage.findings_ == []


def test_rows_without_a_partner_are_copied_and_told():
    frame = pl.DataFrame({"x": [1.0, 2.0, 3.0], "y": ["a", "b", "a"]})
    stage = AugmentMixup(expand=1, within="class", alpha=1.0)
    X, y = stage.fit_resample(frame.select("x"), frame["y"])
    assert X["x"][4] == 2.0
    assert y[3:].to_list() == ["a", "b", "a"]
    assert stage.plan_.shares[1].tolist() == [1.0, 0.0]
    (found,) = stage.findings_
    assert (found.kind, found.n_rows) == ("augment.alone", 1)
    assert "of their class" in found.message


def test_numbers_in_a_tables_target_are_mixed_and_rows_without_one_left_out():
    random = np.random.default_rng(0)
    X = pl.DataFrame({"x": random.normal(size=100)})
    y = pl.Series("y", [None, *(3 * X["x"][1:]).to_list()])
    stage = AugmentMixup(expand=1, alpha=1.0)
    out, labels = stage.fit_resample(X, y)
    assert len(out) == 199
    np.testing.assert_allclose(labels[100:], 3 * out["x"][100:], atol=1e-12)
    assert 0 not in stage.plan_.parents
    assert stage.plan_.fresh_weight is None


def test_classes_are_needed_to_stay_within_them():
    X = pl.DataFrame({"x": [1.0, 2.0, 3.0]})
    for y, told in ((None, "is not there"), ([0.5, 0.7, 0.1], "holds numbers")):
        with pytest.raises(DataError, match=rf"within='class' needs classes.*{told}.*within='all'"):
            AugmentMixup(expand=1, within="class").fit(X, y)


# As images


def pictures(n: int = 3000, side: int = 4, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """Return images whose every pixel is the row's own number, from 0 to 1."""
    return torch.linspace(0, 1, n, dtype=dtype)[:, None, None, None].expand(n, 3, side, side).contiguous()


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_images_are_mixed_as_their_labels_and_with_the_moments_of_the_formula(alpha):
    X = pictures()
    y = (X[:, 0, 0, 0] * 1e6).round().long() % 2
    weight = X[:, 0, 0, 0] + 1
    before = X.clone()
    out, shares, weights = AugmentMixup(alpha=alpha, n_classes=2).augment((X, y, weight), seeded())
    assert torch.equal(X, before)
    assert (out == out[:, :1, :1, :1]).all()
    torch.testing.assert_close(weights, out[:, 0, 0, 0] + 1)
    torch.testing.assert_close(shares.sum(1), torch.ones(len(X), dtype=torch.float64))
    second = 0.25 + 0.25 / (2 * alpha + 1)
    np.testing.assert_allclose(out[:, 0, 0, 0].var(), X[:, 0, 0, 0].var() * 2 * second, rtol=0.08)
    numbers = AugmentMixup(alpha=alpha).augment((X, X[:, 0, 0, 0]), seeded())
    torch.testing.assert_close(numbers[1], numbers[0][:, 0, 0, 0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_images_keep_their_type_and_layout_of_memory(dtype, layout):
    X = torch.randn(32, 3, 8, 8, generator=seeded()).to(dtype).to(memory_format=layout)
    out, shares = AugmentMixup(alpha=1.0, n_classes=4).augment((X, torch.arange(32) % 4), seeded())
    assert (out.dtype, out.shape) == (dtype, X.shape)
    assert out.is_contiguous(memory_format=layout)
    assert shares.dtype == torch.float32
    assert not torch.equal(out, X)


def test_images_may_be_mixed_within_their_class_and_by_one_share_for_all():
    X, y = pictures(400), torch.arange(400) % 4
    marked = X * 0 + y[:, None, None, None]
    out, shares = AugmentMixup(alpha=1.0, within="class", n_classes=4).augment((marked, y), seeded())
    torch.testing.assert_close(out, marked)
    torch.testing.assert_close(shares, functional.one_hot(y, 4).double())
    own = torch.eye(400, dtype=torch.float64).reshape(400, 1, 20, 20)
    out = AugmentMixup(alpha=1.0, per="batch").augment((own,), seeded())[0].reshape(400, 400).diagonal()
    assert len(out.round(decimals=9).unique()) == 1


def test_of_a_table_of_images_all_is_mixed_unless_on_says_none():
    rows = pl.DataFrame({"path": [f"{i}.png" for i in range(6)]})
    images = Table.of(rows, pl.Series("y", list("abcabc")), roles=Roles(image="path"))
    batch = (torch.rand(6, 3, 4, 4, generator=seeded()), torch.tensor([0, 1, 2] * 2))
    for on in (None, "image", ["path"]):
        stage = AugmentMixup(on=on, alpha=1.0).for_batches(images)
        out, shares = stage.augment(batch, seeded())
        assert not torch.equal(out, batch[0])
        assert shares.shape == (6, 3)
    for on in ([], "numeric"):
        same = AugmentMixup(on=on).for_batches(images).augment(batch, seeded())
        assert all(one is two for one, two in zip(same, batch, strict=True))


def test_rows_cannot_be_made_of_images():
    rows = pl.DataFrame({"path": [f"{i}.png" for i in range(6)], "x": [float(i) for i in range(6)]})
    images = Table.of(rows, pl.Series("y", list("ababab")), roles=Roles(image="path"))
    with pytest.raises(DataError, match=r"augment\.mixup: makes new rows.*balance\.over.*augment\.images"):
        AugmentMixup(expand=1).fit_resample(images)
    only = AugmentMixup(expand=1, on="numeric")
    with pytest.raises(DataError, match="makes new rows"):
        only.fit_resample(images)


def test_images_of_whole_numbers_are_refused():
    with pytest.raises(StageError, match=r"augment\.mixup: the batch holds torch\.uint8.*X\.float"):
        AugmentMixup(n_classes=2).augment(
            (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), torch.zeros(2)), seeded()
        )
