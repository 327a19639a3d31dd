"""Principal components against scikit-learn's, on every path."""

from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from sklearn.decomposition import PCA, IncrementalPCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import tilth
from tilth.errors import DataError
from tilth.stages.reduce.pca import ReducePca
from tilth.stages.reducing import device_for
from tilth.table import Table


def rows_of(rows=300, width=8, factors=3, noise=0.3, seed=0, dtype=np.float64):
    random = np.random.default_rng(seed)
    made = random.normal(size=(rows, factors)) @ random.normal(size=(factors, width))
    return ((made + noise * random.normal(size=(rows, width))) * np.linspace(1, 2, width) + 3).astype(dtype)


def found(stage, kind):
    return next((f for f in stage.findings_ if f.kind == kind), None)


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("scale", [False, True])
@pytest.mark.parametrize("keep", [1, 4, 0.9, "all", "mle"])
def test_equal_to_scikit_learn(keep, scale, whiten):
    X = rows_of()
    stage = ReducePca(keep=keep, scale=scale, whiten=whiten)
    peer = PCA(None if keep == "all" else keep, whiten=whiten, svd_solver="full")
    chain = make_pipeline(StandardScaler(with_std=scale), peer)
    np.testing.assert_allclose(stage.fit_transform(X), chain.fit_transform(X), rtol=1e-8, atol=1e-9)
    for name in (
        "components_",
        "explained_variance_",
        "explained_variance_ratio_",
        "singular_values_",
        "noise_variance_",
    ):
        np.testing.assert_allclose(
            getattr(stage, name), getattr(peer, name), rtol=1e-8, atol=1e-9, err_msg=name
        )
    assert (stage.n_components_, stage.n_samples_) == (peer.n_components_, peer.n_samples_)
    new = rows_of(seed=5)
    np.testing.assert_allclose(stage.transform(new), chain.transform(new), rtol=1e-8, atol=1e-8)
    codes = stage.transform(new)
    np.testing.assert_allclose(stage.inverse_transform(codes), chain.inverse_transform(codes), atol=1e-8)


def test_single_precision_is_close_to_double_and_falls_back_where_it_is_not():
    X = rows_of(5000, 12, dtype=np.float32)
    stage, exact = ReducePca(keep=3).fit(X), PCA(3, svd_solver="full").fit(X.astype(np.float64))
    assert stage.single_
    np.testing.assert_allclose(stage.explained_variance_, exact.explained_variance_, rtol=1e-6)
    np.testing.assert_allclose(stage.transform(X), exact.transform(X), atol=1e-4)
    # A component of little variance is found by a second pass, in double precision.
    faint = ReducePca(keep="all").fit(rows_of(5000, 12, noise=0.003, dtype=np.float32))
    whole = PCA(svd_solver="full").fit(rows_of(5000, 12, noise=0.003, dtype=np.float32).astype(np.float64))
    assert not faint.single_ and faint.n_components_ == 12
    np.testing.assert_allclose(faint.explained_variance_, whole.explained_variance_, rtol=1e-6)
    # So are numbers whose squares single precision does not hold.
    huge = ReducePca(keep=2).fit(rows_of(dtype=np.float32) * np.float32(1e30))
    assert not huge.single_ and np.isfinite(huge.explained_variance_).all()


def test_parts_give_what_the_whole_gives_and_what_incremental_pca_only_nearly_does():
    X = rows_of(2000)
    frame = pl.DataFrame(X, schema=[f"x{i}" for i in range(8)])
    whole = ReducePca(keep=3).fit(frame)
    bounds = [0, 0, 1, 40, 900, 2000]
    table = Table.of(frame)
    shards = [table.with_frame(table.frame.slice(a, b - a)) for a, b in pairwise(bounds)]
    parts = ReducePca(keep=3).fit_table(shards)
    np.testing.assert_allclose(parts.explained_variance_, whole.explained_variance_, rtol=1e-12)
    np.testing.assert_allclose(parts.components_, whole.components_, atol=1e-12)
    incremental = IncrementalPCA(3, batch_size=100).fit(X)
    np.testing.assert_allclose(incremental.explained_variance_, whole.explained_variance_, rtol=0.05)


@pytest.mark.parametrize("scale", [False, True])
@pytest.mark.parametrize("keep", [3, 0.9, "all", "parallel"])
def test_a_sketch_finds_what_the_covariance_tells(keep, scale):
    X = rows_of(400, 90, factors=5, noise=0.05)
    exact = ReducePca(keep=keep, scale=scale).fit(X)
    sketched = ReducePca(keep=keep, scale=scale, solver="randomized", random_state=4).fit(X)
    assert sketched.n_components_ == exact.n_components_
    np.testing.assert_allclose(sketched.explained_variance_[:5], exact.explained_variance_[:5], rtol=1e-7)
    np.testing.assert_allclose(
        sketched.explained_variance_ratio_[:5], exact.explained_variance_ratio_[:5], rtol=1e-7
    )
    np.testing.assert_allclose(sketched.transform(X)[:, :3], exact.transform(X)[:, :3], atol=1e-4)


def test_a_sketch_grows_until_the_share_is_reached():
    X = np.random.default_rng(0).normal(size=(300, 150))
    exact, sketched = ReducePca(keep=0.8).fit(X), ReducePca(keep=0.8, solver="randomized").fit(X)
    assert exact.n_components_ > 64  # more than are looked for at first
    assert abs(sketched.n_components_ - exact.n_components_) <= 2


def test_auto_sketches_wide_rows(monkeypatch):
    monkeypatch.setattr("tilth.stages.reduce.pca.WIDE", 50)
    made = []
    monkeypatch.setattr(ReducePca, "_exact", lambda self, statistics: made.append(1) or 1 / 0)
    X = rows_of(200, 60)
    assert ReducePca(keep=3).fit(X).n_components_ == 3  # few of many
    assert ReducePca(keep=0.9).fit(X[:12]).n_components_ <= 11  # few rows
    for keep in (40, 0.9, "mle"):
        with pytest.raises(ZeroDivisionError):
            ReducePca(keep=keep).fit(X)
    assert len(made) == 3
    with pytest.raises(DataError, match="every component"):
        ReducePca(keep="mle", solver="randomized").fit(X)


def test_parallel_analysis_keeps_factors_and_says_so_where_there_are_none():
    X = rows_of(500, 10, factors=2, noise=0.4)
    assert ReducePca(keep="parallel", scale=True).fit(X).n_components_ == 2
    stage = ReducePca(keep="parallel", scale=True).fit(np.random.default_rng(1).normal(size=(500, 10)))
    assert stage.n_components_ == 1 and found(stage, "reduce.chance").severity == "medium"


def test_findings_tell_shares_loadings_and_what_was_not_there():
    rows = pl.DataFrame({"a": [1.0, 2.0, 3.0, 5.0], "b": [2.0, 4.0, 6.0, 10.0], "c": [1.0, 0.0, 0.0, 1.0]})
    stage = ReducePca(keep=3).fit(rows)
    told = found(stage, "reduce.explained")
    assert told.score == pytest.approx(1.0) and "+0.89 b" in told.message and "pca1 9" in told.message
    assert found(stage, "reduce.fewer").score == 2 == stage.n_components_
    assert found(ReducePca(keep=0.9999).fit(rows.select("a", "c")), "reduce.nothing").score == 2
    assert found(ReducePca(keep="all").fit(rows.select("a", "c")), "reduce.nothing") is None


def test_a_column_that_decides_alone_is_named_with_the_remedy():
    X = pl.DataFrame(rows_of(width=4), schema=["a", "b", "c", "income"]).with_columns(pl.col("income") * 1e4)
    stage = ReducePca(keep=2).fit(X)
    told = found(stage, "reduce.one_column")
    assert told.columns == ("income",) and told.remedy == {"reduce.pca": {"keep": 2, "scale": True}}
    key, parameters = next(iter(told.remedy.items()))
    assert found(tilth.stage(key, **parameters).fit(X), "reduce.one_column") is None


def test_vectors_are_columns_and_come_back():
    X = rows_of()
    frame = pl.DataFrame(
        {"pixels": pl.Series(X[:, :6], dtype=pl.Array(pl.Float64, 6)), "a": X[:, 6], "t": ["u"] * 300}
    )
    stage = ReducePca(keep="all").fit(frame)
    out = stage.transform(frame)
    assert out.columns == [f"pca{i}" for i in range(1, 8)] + ["t"] and stage.components_.shape == (7, 7)
    back = stage.inverse_transform(out)
    assert stage.restores == "exactly" and back.schema == frame.schema
    np.testing.assert_allclose(back["pixels"].to_numpy(), X[:, :6], atol=1e-9)
    assert ReducePca(keep=2).fit(frame).restores == "nearly"


@pytest.mark.parametrize("keep", [2, 0.9, "all", "parallel"])
@pytest.mark.parametrize(
    "rows", [pl.DataFrame({"a": [1.0], "b": [2.0]}), pl.DataFrame({"a": [1.5] * 9, "b": [0.1] * 9})]
)
def test_one_row_and_constant_columns_give_one_component_of_zero(rows, keep):
    for solver in ("gram", "randomized"):
        stage = ReducePca(keep=keep, whiten=True, scale=True, solver=solver).fit(rows)
        assert stage.transform(rows)["pca1"].abs().max() < 1e-9
        assert stage.inverse_transform(stage.transform(rows)).equals(rows)


def test_what_cannot_be_used_is_said():
    with pytest.raises(DataError, match=r"'b' misses 1 of 3 cells.*impute\.simple"):
        ReducePca().fit(pl.DataFrame({"a": [1.0, 2.0, 3.0], "b": [1.0, None, 2.0]}))
    with pytest.raises(DataError, match="n_samples=2, columns: 3"):
        ReducePca(keep="mle").fit(rows_of(2, 3))
    for solver in ("gram", "randomized"):
        with pytest.raises(DataError, match="squares overflow"):
            ReducePca(keep=1, solver=solver).fit(pl.DataFrame({"a": [1e200, -1e200], "b": [0.0, 1.0]}))
    for keep in (0, 1.0, 0.0, "most"):
        with pytest.raises(ValueError, match="keep"):
            ReducePca(keep=keep).fit(rows_of())


def test_torch_gives_the_same(monkeypatch):
    X = rows_of()
    here = ReducePca(keep=3, device="cpu").fit(X)
    # To torch, 'cpu:0' is a device like any other.
    monkeypatch.setattr("tilth.stages.reduce.pca.device_for", lambda device, products: "cpu:0")
    there = ReducePca(keep=3, device="auto").fit(X)
    np.testing.assert_allclose(there.components_, here.components_, atol=1e-9)
    np.testing.assert_allclose(there.transform(X), here.transform(X), atol=1e-9)


def test_small_products_look_for_no_gpu(monkeypatch):
    monkeypatch.setattr("tilth.training.pick_device", lambda device: 1 / 0)
    assert device_for("auto", 10) == device_for("cpu", 10**15) == "cpu"
    with pytest.raises(ZeroDivisionError):
        device_for("auto", 10**12)


def test_it_stands_in_recipes_and_bundles(tmp_path):
    X = pl.DataFrame(rows_of(), schema=list("abcdefgh"))
    pipe = tilth.Pipeline([tilth.stage("impute.simple"), tilth.stage("reduce.pca", keep=2)]).fit(X)
    pipe.save(tmp_path / "bundle")
    assert tilth.load(tmp_path / "bundle").transform(X).equals(pipe.transform(X))
