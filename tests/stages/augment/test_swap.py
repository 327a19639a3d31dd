"""AugmentSwap: a cell is that of another row with the probability asked for; columns stay what they are."""

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tilth.errors import DataError, StageError
from tilth.stages.augment.swap import AugmentSwap
from tilth.table import Roles, Table

N, D = 4000, 10


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def marked(rows: int = N, columns: int = D) -> torch.Tensor:
    """Return rows whose every cell is the row's number."""
    return torch.arange(rows, dtype=torch.float32)[:, None].expand(rows, columns).contiguous()


@pytest.mark.parametrize("share", [0.15, 0.5, 1.0])
def test_so_many_cells_are_replaced_as_were_asked_for_each_by_itself(share):
    X = marked()
    (out,) = AugmentSwap(share=share, within="all").fit(X.numpy()).augment((X,), seeded())
    swapped = out != X
    assert swapped.double().mean().item() == pytest.approx(share, abs=0.01)
    counts = torch.bincount(swapped.sum(1), minlength=D + 1).double().numpy()
    wanted = stats.binom(D, share).pmf(np.arange(D + 1)) * N
    kept = wanted > 5
    if kept.sum() > 1:
        scaled = wanted[kept] * counts[kept].sum() / wanted[kept].sum()
        assert stats.chisquare(counts[kept], scaled).pvalue > 1e-3
    if share == 1:
        assert swapped.all()
        # Cells of a row come from rows of their own.
        assert np.median([len(row.unique()) for row in out]) > D - 2


def test_columns_keep_their_distribution_and_lose_their_correlation():
    """Each of two cells stays with probability 1 - share, so that the correlation shrinks by its square."""
    random = np.random.default_rng(0)
    a = random.normal(size=20_000)
    X = torch.tensor(np.column_stack([a, a + 0.5 * random.normal(size=20_000), np.exp(a)]))
    (out,) = AugmentSwap(share=0.3, within="all").fit(X.numpy()).augment((X,), seeded())
    before, after = np.corrcoef(X.T), np.corrcoef(out.T)
    assert after[0, 1] == pytest.approx(before[0, 1] * 0.7**2, abs=0.02)
    for j in range(3):
        assert stats.ks_2samp(X[:, j], out[:, j]).pvalue > 1e-3


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 25), st.integers(0, 99), st.floats(0.05, 1))
def test_cells_come_from_rows_of_the_same_class(rows, seed, share):
    X, y = marked(rows, 4), torch.randint(0, 3, (rows,), generator=seeded(seed))
    stage = AugmentSwap(share=share).fit(X.numpy())
    out, labels = stage.augment((X, y), seeded(seed))
    assert labels is y
    assert torch.equal(y[out.long()], y[:, None].expand(-1, 4))
    assert torch.equal(out, stage.augment((X, y), seeded(seed))[0])
    soft = torch.nn.functional.one_hot(y, 3) * 0.6 + 0.4 / 3
    assert torch.equal(out, stage.augment((X, soft), seeded(seed))[0])


def test_weights_are_the_mean_of_those_of_the_rows_that_cells_come_from():
    X, y = marked(), torch.zeros(N, dtype=torch.int64)
    weight = torch.rand(N, generator=seeded(1)) + 0.5
    out, _, weights = AugmentSwap(share=0.4).fit(X.numpy()).augment((X, y, weight), seeded())
    torch.testing.assert_close(weights, weight[out.long()].mean(1))


def test_one_hot_columns_are_replaced_together():
    codes = np.random.default_rng(0).integers(0, 3, 500)
    frame = pl.DataFrame({f"city={c}": (codes == i).astype(np.float32) for i, c in enumerate("abc")})
    frame = frame.with_columns(x=np.arange(500.0, dtype=np.float32))
    X = torch.tensor(frame.to_numpy())
    (out,) = AugmentSwap(share=0.5, within="all").fit(frame).augment((X,), seeded())
    assert (out[:, :3].sum(1) == 1).all()
    assert not torch.equal(out[:, :3], X[:, :3])


def test_vectors_are_replaced_whole_and_unnamed_columns_never():
    vectors = np.arange(200, dtype=np.float32)[:, None].repeat(3, 1)
    frame = pl.DataFrame(
        {"v": pl.Series(vectors, dtype=pl.Array(pl.Float32, 3)), "a": vectors[:, 0], "b": vectors[:, 0]}
    )
    X = marked(200, 5)
    (out,) = AugmentSwap(share=0.5, within="all", on=["v", "b"]).fit(frame).augment((X,), seeded())
    assert ((out[:, 0] == out[:, 1]) & (out[:, 1] == out[:, 2])).all()
    assert (out != X).any(0).tolist() == [True, True, True, False, True]


def test_what_a_batch_or_a_table_lacks_is_told():
    X = marked(10, 2)
    with pytest.raises(StageError, match=r"within='class' needs the classes.*no target"):
        AugmentSwap().fit(X.numpy()).augment((X,), seeded())
    with pytest.raises(StageError, match="target of numbers"):
        AugmentSwap().fit(X.numpy()).augment((X, torch.rand(10)), seeded())
    with pytest.raises(DataError, match=r"within='class' needs classes.*is not there"):
        AugmentSwap(expand=1).fit(X.numpy())


def table(rows: int = 600, group: bool = False) -> Table:
    random = np.random.default_rng(0)
    frame = pl.DataFrame({c: np.arange(rows) for c in "abcdefgh"}).with_columns(
        y=pl.Series(random.choice(["no", "yes"], rows)),
        w=random.uniform(0.5, 2, rows),
        group=np.arange(rows) // 5,
        key=pl.Series([f"k{i}" for i in range(rows)]),
    )
    roles = Roles(target="y", weight="w", row_id="key", group="group" if group else None)
    return Table.of(frame if group else frame.drop("group"), roles=roles)


@pytest.mark.parametrize("within", ["class", "all"])
def test_rows_that_are_made_name_every_row_they_have_cells_of(within):
    source = table()
    stage = AugmentSwap(share=0.3, within=within, expand=1.5, random_state=2)
    out = stage.fit_resample(source).frame.collect()[source.height :]
    plan = stage.plan_
    cells = out.select(list("abcdefgh")).to_numpy()
    swapped = cells != plan.parents[:, :1]
    assert len(cells) == 900
    assert swapped.mean() == pytest.approx(0.3, abs=0.02)
    np.testing.assert_allclose(plan.shares.sum(1), 1)
    np.testing.assert_allclose(plan.shares[:, 0], 1 - swapped.mean(1))
    for row in range(0, 900, 50):
        told = sorted(plan.parents[row, 1:][plan.shares[row, 1:] > 0])
        assert told == sorted(cells[row][swapped[row]])
    weights = source.role("weight").to_numpy()
    np.testing.assert_allclose(out["w"], weights[cells].mean(1))
    y = source.y.to_numpy()
    assert out["y"].to_list() == y[plan.parents[:, 0]].tolist()
    same = (y[cells] == y[plan.parents[:, :1]]).all()
    assert same == (within == "class")


def test_cells_stay_within_the_group():
    source = table(group=True)
    stage = AugmentSwap(share=1.0, expand=1)
    out = stage.fit_resample(source).frame.collect()[source.height :]
    assert (out.select(list("abcdefgh")).to_numpy() // 5 == out["group"].to_numpy()[:, None]).all()
    (found,) = stage.findings_
    alone = source.frame.collect().group_by("group", "y").len().filter(pl.col("len") == 1)
    assert found.n_rows == alone.height
    assert "of their group and class" in found.message
