"""AugmentJitter: NumPy's standard deviation is the oracle for the size of the noise."""

import numpy as np
import polars as pl
import pytest
import torch
from scipy import stats
from sklearn.base import clone
from torch.utils.data import DataLoader, TensorDataset

from tilth.errors import DataError, StageError
from tilth.loaders import TableLoader
from tilth.stages.augment.jitter import AugmentJitter
from tilth.table import Table

N = 4000


@pytest.fixture
def frame() -> pl.DataFrame:
    rng = np.random.default_rng(0)
    return pl.DataFrame(
        {
            "small": rng.normal(5, 0.01, N),
            "flag": rng.integers(0, 2, N).astype(np.uint8),
            "large": rng.normal(-3, 1000, N),
            "whole": rng.integers(0, 50, N),
            "same": np.full(N, 7.0),
        }
    )


def tensors(frame: pl.DataFrame) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return torch.tensor(frame.to_numpy(), dtype=torch.float32), torch.arange(N), torch.rand(N)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_noise_is_the_share_of_each_columns_spread(frame: pl.DataFrame) -> None:
    X, y, weight = tensors(frame)
    out, labels, weights = AugmentJitter(share=0.3).fit(frame).augment((X, y, weight), seeded())
    noise = (out - X).double().numpy()
    expected = 0.3 * frame.to_numpy().std(axis=0)
    for j in (0, 2, 3):
        assert noise[:, j].std() == pytest.approx(expected[j], rel=0.05)
        assert abs(noise[:, j].mean()) < 5 * expected[j] / np.sqrt(N)
    assert not noise[:, [1, 4]].any()  # flags and constants
    assert labels is y and weights is weight


def test_columns_get_noise_of_their_own(frame: pl.DataFrame) -> None:
    X, *_ = tensors(frame)
    (out,) = AugmentJitter().fit(frame).augment((X,), seeded())
    noise = (out - X).double().numpy()[:, [0, 2, 3]]
    assert np.abs(np.corrcoef(noise.T) - np.eye(3)).max() < 0.1


def test_all_noise_comes_from_the_generator(frame: pl.DataFrame) -> None:
    X, *_ = tensors(frame)
    stage = AugmentJitter().fit(frame)
    state = torch.get_rng_state()
    first, again, other = (stage.augment((X,), seeded(s))[0] for s in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_batch_that_came_in_is_left_untouched(frame: pl.DataFrame) -> None:
    X, *_ = tensors(frame)
    before = X.clone()
    AugmentJitter().fit(frame).augment((X,), seeded())
    assert torch.equal(X, before)


def test_named_columns_alone_get_noise_flags_included(frame: pl.DataFrame) -> None:
    X, *_ = tensors(frame)
    (out,) = AugmentJitter(on=["flag", "large"]).fit(frame).augment((X,), seeded())
    assert ((out - X) != 0).any(dim=0).tolist() == [False, True, True, False, False]
    (same,) = AugmentJitter(on=[]).fit(frame).augment((X,), seeded())
    assert torch.equal(same, X)


def test_missing_cells_stay_missing() -> None:
    X = pl.DataFrame({"a": [1.0, None, 3.0, 8.0]})
    batch = torch.tensor([[1.0], [float("nan")], [3.0], [8.0]])
    (out,) = AugmentJitter().fit(X).augment((batch,), seeded())
    assert torch.isnan(out).flatten().tolist() == [False, True, False, False]


def test_vectors_before_a_column_shift_its_place() -> None:
    frame = pl.DataFrame(
        {
            "v": pl.Series([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]], dtype=pl.Array(pl.Float32, 2)),
            "a": [1.0, 2.0, 4.0],
        }
    )
    loader = TableLoader(frame, augment=AugmentJitter().fit(frame), batch_size=3, shuffle=False, device="cpu")
    ((X,),) = list(loader)
    plain = torch.tensor([[0.0, 0.0, 1.0], [1.0, 1.0, 2.0], [2.0, 2.0, 4.0]])
    assert ((X - plain) != 0).any(dim=0).tolist() == [False, False, True]


def test_a_loader_calls_it_anew_each_epoch_and_alike_each_run(frame: pl.DataFrame) -> None:
    stage = AugmentJitter(share=0.2).fit(frame)
    runs = []
    for _ in range(2):
        loader = TableLoader(
            frame, np.arange(N), augment=[stage], batch_size=1000, shuffle=False, device="cpu"
        )
        runs.append([torch.cat([X for X, _ in loader]) for _ in range(2)])
    assert torch.equal(runs[0][0], runs[1][0]) and torch.equal(runs[0][1], runs[1][1])
    assert not torch.equal(runs[0][0], runs[0][1])


def test_it_stands_alone_beside_any_loader(frame: pl.DataFrame) -> None:
    X, y, _ = tensors(frame)
    stage = AugmentJitter(share=0.5).fit(X.numpy())
    for batch in DataLoader(TensorDataset(X, y), batch_size=N):
        out, labels = stage.augment(tuple(batch))
        assert out.shape == X.shape and torch.equal(labels, y)
        assert (out - X)[:, 2].std().item() == pytest.approx(0.5 * X[:, 2].std().item(), rel=0.05)


def test_double_precision_batches_stay_double(frame: pl.DataFrame) -> None:
    (out,) = AugmentJitter().fit(frame).augment((torch.zeros(2, 5, dtype=torch.float64),), seeded())
    assert out.dtype == torch.float64


def test_a_batch_of_other_columns_or_of_whole_numbers_is_refused(frame: pl.DataFrame) -> None:
    stage = AugmentJitter().fit(frame)
    with pytest.raises(StageError, match=r"fitted on 5 columns.*\(2, 4\)"):
        stage.augment((torch.zeros(2, 4),), seeded())
    with pytest.raises(StageError, match="floating-point"):
        stage.augment((torch.zeros(2, 5, dtype=torch.int64),), seeded())


def test_infinity_is_refused_with_a_way_out() -> None:
    with pytest.raises(DataError, match=r"column 'a' holds infinity.*outliers\.clip"):
        AugmentJitter().fit(pl.DataFrame({"a": [1.0, float("inf"), 3.0]}))


def test_targets_and_weights_are_not_among_the_columns(frame: pl.DataFrame) -> None:
    stage = AugmentJitter().fit_table(Table.of(frame, np.arange(N), sample_weight=np.ones(N)))
    assert stage.width_ == 5 and list(stage.spread_) == ["small", "large", "whole"]


def test_a_clone_has_learned_nothing_and_a_new_share_takes_effect(frame: pl.DataFrame) -> None:
    stage = AugmentJitter().fit(frame)
    assert not hasattr(clone(stage), "spread_")
    X = torch.zeros(2, 5)
    (small,) = stage.augment((X,), seeded())
    (large,) = stage.set_params(share=1.0).augment((X,), seeded())
    torch.testing.assert_close(large, small * 10)


# As rows


def test_rows_that_are_made_have_the_noise_of_each_column(frame: pl.DataFrame) -> None:
    frame = frame.with_columns(city=pl.Series(["Oslo", "Rome"] * (N // 2)))
    stage = AugmentJitter(share=0.3, expand=1.5)
    X, y = stage.fit_resample(frame, np.arange(N) % 2)
    made, plan = X[N:], stage.plan_
    assert len(made) == 1.5 * N
    before = frame[plan.parents[:, 0]]
    assert made.select("flag", "same", "city").equals(before.select("flag", "same", "city"))
    assert made.schema == frame.schema
    assert y[N:].tolist() == (plan.parents[:, 0] % 2).tolist()
    for name in ("small", "large"):
        noise = (made[name] - before[name]).to_numpy()
        expected = 0.3 * frame[name].std(ddof=0)
        assert noise.std() == pytest.approx(expected, rel=0.04)
        assert stats.kstest(noise / expected, "norm").pvalue > 1e-3
    assert (made["whole"] != before["whole"]).any()
    assert made["whole"].is_between(0, 49).all()


def test_each_row_of_the_same_row_and_each_seed_has_noise_of_its_own(frame: pl.DataFrame) -> None:
    one, two = (AugmentJitter(expand=2, random_state=s).fit(frame).plan_.fresh["small"] for s in (0, 1))
    assert one.n_unique() == 2 * N
    assert not (one == two).any()


def test_missing_and_infinite_cells_of_made_rows_stay(frame: pl.DataFrame) -> None:
    gaps = frame.with_columns(small=pl.when(pl.int_range(pl.len()) % 3 > 0).then("small"))
    out, _ = AugmentJitter(expand=1).fit_resample(gaps, np.zeros(N))
    assert out["small"].null_count() == 2 * gaps["small"].null_count()
