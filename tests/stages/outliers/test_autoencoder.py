"""Rows whose cells do not go together are found, whatever is missing, and the same ones each time."""

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.metrics import roc_auc_score

from tilth.errors import TilthError
from tilth.stages.outliers.autoencoder import OutliersAutoencoder

QUICK = {"width": 32, "learning_rate": 0.01, "device": "cpu"}


def bent(rows=600, odd=12, seed=0):
    """Make rows on a curve, and a few off it in one column, whose cell alone is like those of others."""
    random = np.random.default_rng(seed)
    x = random.uniform(-1.5, 1.5, rows)
    columns = np.column_stack([x, x**2, np.sin(3 * x), np.abs(x - 0.5), np.cos(3 * x)])
    columns[:odd, 1] = 2.25 - columns[:odd, 1]
    return pl.DataFrame(columns + 0.03 * random.normal(size=columns.shape), schema=list("xysvc"))


@pytest.fixture(scope="module")
def curve():
    return bent()


def test_rows_off_a_bent_surface_are_found_where_a_linear_one_sees_nothing(curve):
    pca = pytest.importorskip("pyod.models.pca").PCA(n_components=3).fit(curve.to_numpy())
    odd = np.arange(600) < 12
    scores = -OutliersAutoencoder(**QUICK).fit(curve).plan_.score
    assert roc_auc_score(odd, scores) > 0.95
    assert roc_auc_score(odd, pca.decision_scores_) < 0.7


def test_a_category_that_does_not_go_with_the_rest_is_found_and_named():
    random = np.random.default_rng(0)
    kind = random.choice(["cat", "dog"], 400)
    size = np.where(kind == "cat", 4.0, 30.0) + random.normal(size=400)
    rows = pl.DataFrame({"kind": kind, "size": size, "tail": random.random(400) < 0.5})
    rows[7, "kind"] = "cat" if kind[7] == "dog" else "dog"
    stage = OutliersAutoencoder(**QUICK, threshold=0.0025).fit(rows)
    assert (stage.plan_.times == 0).nonzero()[0].tolist() == [7]
    assert stage.plan_.reason[7].split("; ")[0].partition(" ")[0] in ("kind", "size")
    assert stage.findings_[0].rows == (7,)


def test_the_reason_names_the_cell_that_is_far_first(curve):
    rows = curve.with_columns(s=pl.when(pl.int_range(600) == 20).then(9.0).otherwise("s"))
    plan = OutliersAutoencoder(**QUICK, threshold=0.002).fit(rows).plan_
    assert plan.reason[20].startswith("s 9 (99.9% of the others: ")


def test_rows_are_not_flagged_for_their_gaps():
    random = np.random.default_rng(0)
    full = random.normal(size=(800, 2)) @ random.normal(size=(2, 8)) + 0.1 * random.normal(size=(800, 8))
    gappy = random.random(800) < 0.25
    holed = np.where(gappy[:, None] & (random.random(full.shape) < 0.6), np.nan, full)
    holed[3] = np.nan
    plan = OutliersAutoencoder(**QUICK, threshold=0.05).fit(holed).plan_
    assert np.isfinite(plan.score).all()
    assert (plan.times == 0)[gappy].mean() < 0.08
    assert plan.times[3] == 1
    # Yet an odd cell is seen in a row with gaps, too.
    row = np.flatnonzero(gappy & ~np.isnan(holed).all(axis=1))[0]
    holed[row, np.flatnonzero(~np.isnan(holed[row]))[0]] = 30.0
    assert OutliersAutoencoder(**QUICK, threshold=0.05).fit(holed).plan_.score.argmin() == row


def test_the_same_seed_gives_the_same_scores_and_the_callers_random_state_is_left(curve):
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    stages = [OutliersAutoencoder(max_epochs=2, device="cpu", random_state=s) for s in (1, 1, 2)]
    one, again, other = (stage.fit(curve).plan_.score for stage in stages)
    assert torch.equal(torch.random.get_rng_state(), before)
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


def test_max_rows_bounds_what_is_learned_from_and_all_rows_are_scored(curve):
    few = OutliersAutoencoder(max_epochs=2, max_rows=50, device="cpu").fit(curve)
    every = OutliersAutoencoder(max_epochs=2, max_rows=None, device="cpu").fit(curve)
    same = OutliersAutoencoder(max_epochs=2, device="cpu").fit(curve)
    assert len(few.plan_.score) == 600
    assert (few.plan_.score != every.plan_.score).any()
    np.testing.assert_array_equal(every.plan_.score, same.plan_.score)


def test_width_and_layers_are_those_of_the_network(curve):
    stage = OutliersAutoencoder(width=5, layers=3, max_epochs=1, device="cpu").fit(curve)
    assert [w.shape for w in stage.weights_ if w.ndim == 2] == [(5, 10), (5, 5), (5, 5), (5, 5)]


def test_constant_columns_and_single_rows_are_scored():
    flat = pl.DataFrame({"a": [1.0] * 20, "b": [None, *["x"] * 19]})
    assert np.isfinite(OutliersAutoencoder(max_epochs=2, device="cpu").fit(flat).plan_.score).all()
    assert OutliersAutoencoder(device="cpu").fit(flat.tail(1)).plan_.times.tolist() == [1]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA here")
def test_a_device_that_is_not_there_is_named(curve):
    with pytest.raises(TilthError, match="'cuda'"):
        OutliersAutoencoder(device="cuda").fit(curve)
