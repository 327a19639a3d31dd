"""AugmentCutmix: the shares of Yun et al. (2019) are the oracle; every cell comes from one of two rows."""

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

import tilth
from tilth.errors import StageError
from tilth.stages.augment.cutmix import AugmentCutmix

N, D = 4000, 12


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def marked(rows: int = N, columns: int = D) -> torch.Tensor:
    """Return rows whose every cell is the row's number: where it comes from can be read off it."""
    return torch.arange(rows, dtype=torch.float32)[:, None].expand(rows, columns).contiguous()


def taken_from(out: torch.Tensor) -> torch.Tensor:
    return out != torch.arange(len(out), dtype=out.dtype)[:, None]


@pytest.mark.parametrize("block", ["random", "contiguous"])
@pytest.mark.parametrize("alpha", [0.3, 1.0, 5.0])
def test_the_share_taken_has_the_mean_and_variance_of_the_formula(block, alpha):
    """A row keeps s of its features, s from Beta(alpha, alpha); a draw for each adds E[s (1 - s)] / D."""
    X = marked()
    (out,) = AugmentCutmix(alpha=alpha, block=block).fit(X.numpy()).augment((X,), seeded())
    kept = 1 - taken_from(out).double().mean(1)
    variance = 0.25 / (2 * alpha + 1)
    extra = (0.25 - variance) / D if block == "random" else 1 / (12 * D**2)  # or what rounding adds
    assert kept.mean().item() == pytest.approx(0.5, abs=0.02)
    assert kept.var().item() == pytest.approx(variance + extra, rel=0.08)


@pytest.mark.parametrize("block", ["random", "contiguous"])
@pytest.mark.parametrize("per", ["row", "batch"])
def test_labels_and_weights_follow_the_share_of_the_features(block, per):
    X, y = marked(), torch.arange(N) % 5
    weight = torch.rand(N, generator=seeded(3)) + 0.5
    stage = AugmentCutmix(block=block, per=per).fit(X.numpy(), y.numpy())
    out, labels, weights = stage.augment((X, y, weight), seeded())
    taken = taken_from(out)
    kept = 1 - taken.float().mean(1)
    partner = torch.where(taken.any(1), (out * taken).amax(1).long(), torch.arange(N))
    own, other = functional.one_hot(y, 5), functional.one_hot(y[partner], 5)
    torch.testing.assert_close(labels, kept[:, None] * own + (1 - kept)[:, None] * other)
    torch.testing.assert_close(weights, kept * weight + (1 - kept) * weight[partner])
    assert len({tuple(row) for row in taken.tolist()}) == (1 if per == "batch" else len(taken.unique(dim=0)))
    assert (out[taken] != 0).any()


def test_neighbors_are_taken_as_one_block_anywhere():
    X = marked()
    (out,) = AugmentCutmix(block="contiguous").fit(X.numpy()).augment((X,), seeded())
    taken = taken_from(out).int()
    edges = (taken.diff(dim=1) != 0).sum(1)
    assert edges.max() <= 2
    single = taken[taken.sum(1) == 1].sum(0)
    assert (single > 0).all()


def test_single_features_are_taken_evenly():
    X = marked()
    (out,) = AugmentCutmix().fit(X.numpy()).augment((X,), seeded())
    np.testing.assert_allclose(taken_from(out).double().mean(0), 0.5, atol=0.04)


def one_hot_frame(rows: int = 300) -> pl.DataFrame:
    random = np.random.default_rng(0)
    raw = pl.DataFrame(
        {
            "age": np.where(random.random(rows) < 0.3, np.nan, random.normal(size=rows)),
            "city": random.choice(["Oslo", "Rome", "Bern"], rows),
            "kind": random.choice(["a", "b"], rows),
            "size": random.normal(size=rows),
        }
    )
    stages = [tilth.stage("impute.simple", indicator=True), tilth.stage("encode.category")]
    return tilth.Pipeline(stages).fit_transform(raw)


@settings(deadline=None, max_examples=25)
@given(st.sampled_from(["random", "contiguous"]), st.integers(0, 999))
def test_one_hot_columns_stay_one_hot_and_marks_stay_with_their_column(block, seed):
    frame = one_hot_frame()
    X = torch.tensor(frame.cast(pl.Float32).to_numpy())
    out = AugmentCutmix(block=block).fit(frame).augment((X,), seeded(seed))[0].numpy()
    made = dict(zip(frame.columns, out.T, strict=True))
    for name in ("city", "kind"):
        group = np.stack([cells for column, cells in made.items() if column.startswith(f"{name}=")])
        assert (group.sum(0) == 1).all()
        assert set(np.unique(group)) == {0, 1}
    filled = float(frame["age"].filter(frame["age_missing"])[0])
    assert (made["age"][made["age_missing"] == 1] == np.float32(filled)).all()


def test_a_feature_counts_once_however_many_columns_it_has():
    frame = pl.DataFrame({f"city={c}": [0.0, 1.0] * 500 for c in "abcdefgh"} | {"x": [0.0, 1.0] * 500})
    X, y = torch.tensor(frame.to_numpy()), torch.arange(1000) % 2
    stage = AugmentCutmix().fit(frame, y.numpy())
    labels = stage.augment((X, y), seeded())[1]
    assert stage.features_ == 2
    assert set(labels.flatten().tolist()) == {0.0, 0.5, 1.0}


def test_columns_that_are_not_named_are_never_taken_but_count():
    frame = pl.DataFrame(marked(columns=4).numpy(), schema=["a", "b", "c", "d"])
    X, y = torch.tensor(frame.to_numpy()), torch.arange(N) % 2
    out, labels = AugmentCutmix(on=["b", "c"]).fit(frame, y.numpy()).augment((X, y), seeded())
    assert taken_from(out).any(0).tolist() == [False, True, True, False]
    assert labels.min() == 0
    assert labels.amax(1).min() >= 0.5


def test_labels_may_be_kept_and_partners_be_of_the_class():
    X, y = marked(), torch.arange(N) % 3
    out, labels = AugmentCutmix(label="keep", within="class").fit(X.numpy()).augment((X, y), seeded())
    assert torch.equal(labels, y)
    assert torch.equal(out % 3, (y[:, None] % 3).expand(-1, D).float())


def test_cells_keep_their_type():
    X = torch.randint(0, 200, (50, 6), dtype=torch.uint8, generator=seeded())
    (out,) = AugmentCutmix().fit(X.numpy()).augment((X,), seeded())
    assert out.dtype == torch.uint8
    assert not torch.equal(out, X)


def test_a_stage_that_adds_rows_changes_no_batch():
    X = marked(10, 3)
    stage = AugmentCutmix(expand=1).fit(X.numpy())
    with pytest.raises(StageError, match=r"augment\.cutmix: with expand above 0"):
        stage.augment((X,), seeded())


@pytest.mark.parametrize("block", ["random", "contiguous"])
def test_rows_that_are_made_name_what_they_are_made_of(block):
    random = np.random.default_rng(0)
    rows = 500
    frame = pl.DataFrame({c: np.arange(rows) for c in "abcdef"} | {"t": [f"row {i}" for i in range(rows)]})
    y = pl.Series("y", random.choice(["no", "yes"], rows))
    stage = AugmentCutmix(expand=1, block=block, random_state=1)
    X, labels, weight = stage.fit_resample(frame, y, sample_weight=np.ones(rows))
    plan, made = stage.plan_, X[rows:]
    cells = made.select("abcdef"[i] for i in range(6)).to_numpy()
    texts = made["t"].str.strip_prefix("row ").cast(pl.Int64).to_numpy()
    of = np.column_stack([cells, texts])
    first, second = plan.parents.T
    assert ((of == first[:, None]) | (of == second[:, None])).all()
    np.testing.assert_allclose((of == first[:, None]).mean(1), plan.shares[:, 0])
    assert labels[rows:].to_list() == y.gather(first).to_list()
    two = (y.gather(first) != y.gather(second)).to_numpy() & (plan.shares[:, 1] > 0)
    np.testing.assert_allclose(weight[rows:], np.where(two, plan.shares[:, 0], 1))
    assert weight[rows:].sum() == pytest.approx(rows)


def test_made_rows_keep_their_label_if_asked_to():
    frame = pl.DataFrame({"a": range(50), "b": range(50)})
    y = pl.Series("y", ["no", "yes"] * 25)
    stage = AugmentCutmix(expand=2, label="keep")
    X, labels = stage.fit_resample(frame, y)
    assert len(X) == 150
    assert labels[50:].to_list() == y.gather(stage.plan_.parents[:, 0]).to_list()
    assert (stage.plan_.fresh_weight == 1).all()


# As images


def numbered(n: int = 3000, height: int = 20, width: int = 30, channels: int = 2) -> torch.Tensor:
    """Return images whose every pixel is the row's number."""
    return torch.arange(float(n))[:, None, None, None].expand(n, channels, height, width).contiguous()


def cut(out: torch.Tensor) -> torch.Tensor:
    return out != torch.arange(float(len(out)))[:, None, None, None]


@pytest.mark.parametrize("per", ["row", "batch"])
def test_one_rectangle_of_another_image_is_put_in_and_labels_follow_its_area(per):
    X, y = numbered(), torch.arange(3000) % 5
    weight, before = torch.rand(3000, generator=seeded(3)) + 0.5, X.clone()
    stage = AugmentCutmix(per=per, n_classes=5)
    out, labels, weights = stage.augment((X, y, weight), seeded(1))
    assert torch.equal(X, before)
    inside = cut(out)
    assert torch.equal(inside[:, 0], inside[:, 1])
    inside = inside[:, 0]
    rows, columns = inside.any(2), inside.any(1)
    assert torch.equal(inside, rows[:, :, None] & columns[:, None, :])
    assert max((side.int().diff(dim=1) != 0).sum(1).max() for side in (rows, columns)) <= 2
    taken = inside.float().mean(dim=(1, 2))
    partner = torch.where(inside, out[:, 0], -1.0).amax(dim=(1, 2)).long()
    partner = torch.where(partner < 0, torch.arange(3000), partner)
    # All pixels of the rectangle are of one and the same image.
    assert torch.equal(
        torch.where(inside, out[:, 0], 0), torch.where(inside, partner[:, None, None].float(), 0)
    )
    own, other = functional.one_hot(y, 5), functional.one_hot(y[partner], 5)
    torch.testing.assert_close(labels, (1 - taken)[:, None] * own + taken[:, None] * other)
    torch.testing.assert_close(weights, (1 - taken) * weight + taken * weight[partner])
    assert (len({tuple(m.flatten().tolist()) for m in inside[:50]}) == 1) == (per == "batch")


@pytest.mark.parametrize("alpha", [0.3, 1.0, 5.0])
def test_areas_are_those_of_the_papers_box(alpha):
    """The box of section 3.1, drawn by NumPy for one image after another."""
    X = numbered(4000, 32, 32, 1)
    (out,) = AugmentCutmix(alpha=alpha).augment((X,), seeded())
    taken = cut(out)[:, 0].double().mean(dim=(1, 2)).numpy()
    random = np.random.default_rng(0)
    areas = []
    for share in random.beta(alpha, alpha, 20000):
        side = int(32 * np.sqrt(1 - share))
        edges = [np.clip([at - side // 2, at - side // 2 + side], 0, 32) for at in random.integers(0, 32, 2)]
        areas.append(np.prod([end - start for start, end in edges]) / 32**2)
    assert taken.mean() == pytest.approx(np.mean(areas), abs=0.015)
    assert taken.std() == pytest.approx(np.std(areas), abs=0.015)
    np.testing.assert_allclose(
        np.quantile(taken, [0.25, 0.5, 0.75]), np.quantile(areas, [0.25, 0.5, 0.75]), atol=0.03
    )


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_images_keep_their_type_and_layout_of_memory(dtype, layout):
    X = torch.randint(0, 99, (32, 3, 8, 8), generator=seeded()).to(dtype).to(memory_format=layout)
    stage = AugmentCutmix(n_classes=4, label="keep", within="class")
    y = torch.arange(32) % 4
    out, labels = stage.augment((X, y), seeded())
    assert (out.dtype, out.shape) == (dtype, X.shape)
    assert out.is_contiguous(memory_format=layout)
    assert labels is y
    assert not torch.equal(out, X)
    again = stage.augment((X, y), seeded())[0]
    assert torch.equal(out, again)
