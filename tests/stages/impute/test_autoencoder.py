"""Gaps are filled by what other cells tell: near the linear answer where it is right, better elsewhere."""

import datetime as dt

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer

from tilth.errors import TilthError
from tilth.stages.impute.autoencoder import ImputeAutoencoder

QUICK = {"max_epochs": 20, "width": 32, "device": "cpu"}


def factors(rows=2000, columns=20, factors=5, seed=0):
    """Make rows of a Gaussian with few factors, scaled."""
    random = np.random.default_rng(seed)
    full = random.normal(size=(rows, factors)) @ random.normal(size=(factors, columns))
    full += 0.6 * random.normal(size=full.shape)
    return (full - full.mean(0)) / full.std(0)


def waves(rows=1500, seed=0):
    """Make rows on a bent curve in eight dimensions, scaled."""
    random = np.random.default_rng(seed)
    angle = random.uniform(0, 2 * np.pi, (rows, 1))
    full = np.cos(angle * [1, 2, 3, 1, 2, 3, 1, 2] + random.uniform(0, 6, 8))
    full += 0.05 * random.normal(size=full.shape)
    return (full - full.mean(0)) / full.std(0)


def holed(full, share=0.2, seed=1):
    hidden = np.random.default_rng(seed).random(full.shape) < share
    return np.where(hidden, np.nan, full), hidden


def rmse(filled, full, hidden):
    return float(np.sqrt(np.mean((np.asarray(filled) - full)[hidden] ** 2)))


def test_near_the_linear_answer_where_relations_are_linear():
    full = factors()
    rows, hidden = holed(full)
    linear = rmse(IterativeImputer(random_state=0, max_iter=3).fit_transform(rows), full, hidden)
    found = rmse(ImputeAutoencoder(max_epochs=25, device="cpu").fit_transform(rows), full, hidden)
    assert linear < 0.4
    assert found < 1.12 * linear


def test_better_than_the_linear_answer_where_relations_bend():
    full = waves()
    rows, hidden = holed(full)
    linear = rmse(IterativeImputer(random_state=0, max_iter=3).fit_transform(rows), full, hidden)
    found = rmse(ImputeAutoencoder(max_epochs=25, device="cpu").fit_transform(rows), full, hidden)
    assert found < 0.65 * linear


@pytest.fixture(scope="module")
def mixed():
    """Rows of every kind that tell of one another."""
    random = np.random.default_rng(0)
    size = random.normal(size=600)
    kind = np.where(size > 0.5, "large", np.where(size > -0.5, "middle", "small"))
    day = [dt.date(2020, 1, 1) + dt.timedelta(days=round(100 * s)) for s in size]
    frame = pl.DataFrame(
        {"size": size, "kind": kind, "big": size > 0, "day": day, "count": (size * 10).round()}
    )
    return frame.with_columns(
        pl.col("count").cast(pl.Int16), pl.col("kind").cast(pl.Enum(["small", "middle", "large"]))
    )


def with_gaps(frame, share=0.2):
    random = np.random.default_rng(3)
    return frame.with_columns(
        pl.when(pl.Series(random.random(frame.height) >= share)).then(pl.col(c)).alias(c)
        for c in frame.columns
    )


def test_every_kind_is_filled_in_its_own_type_and_with_sense(mixed):
    rows = with_gaps(mixed)
    out = ImputeAutoencoder(**QUICK).fit_transform(rows)
    # Whole numbers with gaps can hold fractions afterwards.
    assert out.schema == {**mixed.schema, "count": pl.Float64}
    assert out.null_count().sum_horizontal().item() == 0
    for name in ("kind", "big"):
        gap = rows[name].is_null()
        assert (out[name].filter(gap) == mixed[name].filter(gap)).mean() > 0.85
    for name, unit in (("size", 1.0), ("count", 10.0)):
        gap = rows[name].is_null()
        assert (out[name] - mixed[name]).filter(gap).abs().mean() < 0.3 * unit
    off = (out["day"] - mixed["day"]).dt.total_days().filter(rows["day"].is_null())
    assert off.abs().mean() < 30
    kept = pl.all_horizontal(pl.all().is_not_null())
    assert out.filter(rows.select(kept).to_series()).equals(rows.filter(kept))


def test_known_cells_and_infinities_stay_and_rows_without_any_cell_are_filled(mixed):
    stage = ImputeAutoencoder(**QUICK).fit(with_gaps(mixed))
    new = pl.DataFrame(
        {
            "size": [np.inf, None, None],
            "kind": [None, None, "small"],
            "big": [None, None, False],
            "day": [None] * 3,
            "count": [7, None, None],
        },
        schema=mixed.schema,
    )
    out = stage.transform(new)
    assert out["size"][0] == np.inf and out["count"][0] == 7 and out["kind"][2] == "small"
    assert out.null_count().sum_horizontal().item() == 0
    assert abs(out["size"][1]) < 0.5


def test_a_column_without_values_stays_empty(mixed):
    rows = with_gaps(mixed).with_columns(
        none=pl.lit(None, pl.Float64), void=pl.lit(None, pl.String), never=pl.lit(None, pl.Boolean)
    )
    stage = ImputeAutoencoder(**QUICK).fit(rows)
    out = stage.transform(rows)
    assert out.select("none", "void", "never").null_count().row(0) == (600, 600, 600)
    assert out.select(mixed.columns).null_count().sum_horizontal().item() == 0
    assert {f.kind for f in stage.findings_} == {"missing.filled", "missing.all"}


def test_rows_are_filled_alone_as_among_others(mixed):
    rows = with_gaps(mixed).head(40)
    stage = ImputeAutoencoder(**QUICK).fit(rows)
    alone = pl.concat([stage.transform(rows[i]) for i in range(40)])
    together = stage.transform(rows)
    for name in ("size", "count"):
        np.testing.assert_allclose(alone[name], together[name], rtol=1e-12)
    assert alone.drop("size", "count").equals(together.drop("size", "count"))


def test_a_seed_gives_the_same_fills_and_the_callers_random_state_is_left(mixed):
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    rows = with_gaps(mixed)
    options = {**QUICK, "max_epochs": 2}
    one, again, other = (
        ImputeAutoencoder(**options, random_state=seed).fit_transform(rows) for seed in (1, 1, 2)
    )
    assert torch.equal(torch.random.get_rng_state(), before)
    assert one.equals(again)
    assert not one.equals(other)


def test_max_rows_bounds_what_is_learned_from(mixed):
    rows = with_gaps(mixed)
    options = {**QUICK, "max_epochs": 2}
    few, every, more = (
        ImputeAutoencoder(**options, max_rows=count).fit(rows).weights_ for count in (40, None, 600)
    )
    assert all((a == b).all() for a, b in zip(every, more, strict=True))
    assert any((a != b).any() for a, b in zip(every, few, strict=True))


def test_width_and_layers_are_those_of_the_network():
    stage = ImputeAutoencoder(width=5, layers=3, max_epochs=1, device="cpu").fit(holed(factors(60, 4))[0])
    assert [w.shape for w in stage.weights_ if w.ndim == 2] == [(5, 8), (5, 5), (5, 5), (4, 5)]


def test_more_passes_teach_more(mixed):
    rows, hidden = holed(factors(500))
    off = [
        rmse(ImputeAutoencoder(max_epochs=n, device="cpu").fit_transform(rows), factors(500), hidden)
        for n in (1, 15)
    ]
    assert off[1] < 0.75 * off[0]


def test_of_one_row_the_middle_is_learned():
    rows = pl.DataFrame({"a": [2.0, None], "b": ["x", None]})
    out = ImputeAutoencoder(device="cpu").fit(rows.head(1)).transform(rows)
    assert out.rows() == [(2.0, "x"), (2.0, "x")]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA here")
def test_a_device_that_is_not_there_is_named(mixed):
    with pytest.raises(TilthError, match="'cuda'"):
        ImputeAutoencoder(device="cuda").fit(with_gaps(mixed))
