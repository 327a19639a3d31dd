"""Codes keep more than PCA where data bends, and give columns of every kind back."""

import datetime as dt
import warnings
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from tilth.bundles import read
from tilth.errors import DataError, TilthWarning
from tilth.pipeline import Pipeline, load
from tilth.stages.reduce.autoencoder import ReduceAutoencoder
from tilth.table import Roles, Table

QUICK = {"width": 32, "max_epochs": 15, "learning_rate": 0.003, "device": "cpu"}


def vectors(matrix, dtype=pl.Float64, name="pixels"):
    return pl.DataFrame({name: pl.Series(matrix, dtype=pl.Array(dtype, matrix.shape[1]))})


def mixed(rows=600, seed=0, gaps=0.1):
    """Rows of every kind that one number tells of."""
    random = np.random.default_rng(seed)
    size = random.normal(size=rows)
    kind = np.where(size > 0.5, "large", np.where(size > -0.5, "middle", "small"))
    frame = pl.DataFrame(
        {
            "size": size,
            "square": size**2,
            "kind": pl.Series(kind, dtype=pl.Enum(["small", "middle", "large"])),
            "big": size > 0,
            "day": [dt.date(2020, 1, 1) + dt.timedelta(days=round(100 * s)) for s in size],
            "count": pl.Series((size * 10).round(), dtype=pl.Int16),
            "wave": pl.Series(np.cos(size[:, None] + np.arange(4)), dtype=pl.Array(pl.Float32, 4)),
        }
    )
    return frame.with_columns(
        pl.when(pl.Series(random.random(rows) >= gaps)).then(pl.col(c)).alias(c) for c in frame.columns[2:]
    )


def lost(truth, told):
    return np.square(truth - told).sum() / np.square(truth - truth.mean(axis=0)).sum()


def test_codes_of_digits_lose_far_less_than_as_many_components():
    X = load_digits().data
    random = np.random.default_rng(0).permutation(len(X))
    train, test = X[random[:1300]], X[random[1300:]]
    stage = ReduceAutoencoder(size=8, max_epochs=40, learning_rate=0.003, device="cpu").fit(vectors(train))
    told = stage.inverse_transform(stage.transform(vectors(test)))["pixels"].to_numpy()
    pca = PCA(8).fit(train)
    assert lost(test, told) < 0.65 * lost(test, pca.inverse_transform(pca.transform(test)))


def test_pixels_as_columns_and_as_numpy_do_as_well():
    X = load_digits().data[:500]
    stage = ReduceAutoencoder(size=8, **QUICK).fit(X)
    codes = stage.transform(X)
    assert isinstance(codes, np.ndarray)
    assert codes.shape == (500, 8)
    back = stage.inverse_transform(codes)
    assert back.shape == X.shape
    found = next(f for f in stage.findings_ if f.kind == "reduce.error")
    assert 0 < found.score < 1


def test_columns_of_every_kind_come_back_in_their_types():
    rows = mixed(gaps=0)
    stage = ReduceAutoencoder(size=2, width=64, max_epochs=60, learning_rate=0.01, device="cpu").fit(rows)
    back = stage.inverse_transform(stage.transform(rows))
    assert back.schema == rows.schema
    assert lost(rows["size"].to_numpy(), back["size"].to_numpy()) < 0.05
    assert lost(rows["wave"].to_numpy(), back["wave"].to_numpy()) < 0.05
    assert (rows["kind"] == back["kind"]).mean() > 0.85
    assert (rows["big"] == back["big"]).mean() > 0.9
    assert (rows["day"] - back["day"]).dt.total_days().abs().median() < 20
    assert (rows["count"] - back["count"]).abs().median() <= 2


def test_gaps_are_no_values_and_come_back_as_gaps():
    random = np.random.default_rng(0)
    size = random.normal(size=1500)
    away = size > 0.8  # which cells are missing can be told from the others
    rows = pl.DataFrame(
        {"a": size, "b": 2 * size, "c": pl.Series(np.where(away, np.nan, size + 100), nan_to_null=True)}
    )
    stage = ReduceAutoencoder(size=1, width=32, max_epochs=40, learning_rate=0.01, device="cpu").fit(rows)
    back = stage.inverse_transform(stage.transform(rows))
    assert (back["c"].is_null() == rows["c"].is_null()).mean() > 0.95
    both = (rows["c"].is_not_null() & back["c"].is_not_null()).to_numpy()
    assert lost(rows["c"].to_numpy()[both], back["c"].to_numpy()[both]) < 0.1


def test_what_is_written_into_a_missing_cell_changes_nothing():
    rows = mixed()
    other = rows.with_columns(pl.when(pl.col("size") > 2).then(None).otherwise("size").alias("size"))
    infinite = rows.with_columns(pl.when(pl.col("size") > 2).then(np.inf).otherwise("size").alias("size"))
    one, two = (ReduceAutoencoder(size=2, **{**QUICK, "max_epochs": 2}).fit(f) for f in (other, other))
    # An infinity is seen as what it is: no measurement.
    assert one.transform(infinite).equals(two.transform(other))


def test_a_vector_with_an_element_missing_is_missing():
    whole = np.random.default_rng(0).normal(size=(60, 3))
    holed = whole.copy()
    holed[5, 1] = np.nan
    frame, gone = (
        vectors(holed),
        vectors(whole).with_columns(pl.when(pl.int_range(pl.len()) != 5).then("pixels").alias("pixels")),
    )
    one, two = (ReduceAutoencoder(size=2, **QUICK).fit(f) for f in (gone, gone))
    assert one.transform(frame).equals(two.transform(gone))


def test_lists_of_one_length_are_vectors_too():
    matrix = load_digits().data[:200]
    array, lists = vectors(matrix), pl.DataFrame({"pixels": matrix.tolist()})
    codes = [ReduceAutoencoder(size=4, **QUICK).fit(f).transform(f) for f in (array, lists)]
    assert codes[0].equals(codes[1])
    stage = ReduceAutoencoder(size=4, **QUICK).fit(lists)
    assert stage.inverse_transform(codes[1]).schema == lists.schema
    with pytest.raises(DataError, match="'pixels' are of length"):
        stage.transform(pl.DataFrame({"pixels": [[1.0, 2.0]]}))


def test_a_row_alone_gets_the_codes_it_gets_among_others():
    rows = mixed()
    stage = ReduceAutoencoder(size=3, **QUICK).fit(rows)
    codes = stage.transform(rows).to_numpy()
    alone = np.vstack([stage.transform(rows[place]).to_numpy() for place in range(0, 600, 50)])
    np.testing.assert_allclose(alone, codes[::50], rtol=0, atol=1e-9)


@pytest.mark.parametrize("method", ["undercomplete", "denoising", "variational"])
def test_the_order_and_parts_of_rows_change_nothing(method):
    rows = mixed().with_columns(pl.int_range(pl.len()).cast(pl.String).alias("key"))
    turned = rows[np.random.default_rng(1).permutation(600)]
    stages = []
    for frame, bounds in ((rows, [0, 600]), (turned, [0, 100, 101, 600])):
        table = Table.of(frame, roles=Roles(row_id="key"))
        parts = [table.with_frame(table.frame.slice(a, b - a)) for a, b in pairwise(bounds)]
        stages.append(ReduceAutoencoder(size=2, method=method, **{**QUICK, "max_epochs": 3}).fit_table(parts))
    table = Table.of(rows, roles=Roles(row_id="key"))
    one, two = (stage.change(table.frame).collect().select("code1", "code2").to_numpy() for stage in stages)
    np.testing.assert_allclose(one, two, rtol=0, atol=1e-9)


def test_beyond_the_buffer_codes_lose_little_more():
    X = load_digits().data[:1500]
    order = np.argsort(load_digits().target[:1500], kind="stable")  # sorted by class: the hardest to mix
    frame = vectors(X[order])
    shares = []
    for buffer_rows in (2000, 200):
        stage = ReduceAutoencoder(size=8, buffer_rows=buffer_rows, **QUICK).fit(frame)
        shares.append(stage.errors_["codes"].item())
    assert shares[1] < 1.15 * shares[0]
    assert shares[1] < 0.8 * stage.errors_["pca"].item()


def test_rows_count_by_their_weight():
    random = np.random.default_rng(0)
    angle = random.uniform(0, 3, 1000)
    arc = np.column_stack([np.cos(angle), np.sin(angle), np.zeros(1000)])
    line = np.column_stack([np.zeros(1000), np.zeros(1000), random.normal(size=1000)])
    frame = pl.DataFrame(np.vstack([arc, line]), schema=["a", "b", "c"])
    errors = []
    for light in (arc, line):
        weight = np.repeat([0.001, 1.0] if light is arc else [1.0, 0.001], 1000)
        table = Table.of(frame.with_columns(w=weight), roles=Roles(weight="w"))
        stage = ReduceAutoencoder(size=1, layers=2, **{**QUICK, "max_epochs": 25}).fit_table([table])
        back = stage.inverse_transform(stage.transform(frame)).to_numpy()
        errors.append([lost(part, told) for part, told in ((arc, back[:1000]), (line[:, 2], back[1000:, 2]))])
    assert errors[1][0] < errors[0][0]
    assert errors[0][1] < errors[1][1]


def kinds(stage):
    return {finding.kind: finding for finding in stage.findings_}


def test_what_is_lost_is_told_beside_pca_and_per_column():
    X = load_digits().data[:800]
    stage = ReduceAutoencoder(size=4, **QUICK).fit(vectors(X))
    found = kinds(stage)["reduce.error"]
    row = stage.errors_.row(0, named=True)
    assert row["column"] == "pixels"
    assert found.score == pytest.approx(row["codes"])
    assert f"{row['codes']:.1%}" in found.message
    assert f"{row['pca']:.1%}" in found.message
    assert found.n_rows == 80


def test_where_nothing_was_learned_codes_are_components_and_pca_is_named():
    X = np.random.default_rng(0).normal(size=(300, 5)) * [5, 4, 3, 2, 1]
    stage = ReduceAutoencoder(size=2, layers=0, max_epochs=1, learning_rate=1e-9, device="cpu").fit(X)
    scaled = (X - X.mean(0)) / X.std(0)
    told = (stage.inverse_transform(stage.transform(X)) - X.mean(0)) / X.std(0)
    assert lost(scaled, told) == pytest.approx(
        1 - PCA(2).fit(scaled).explained_variance_ratio_.sum(), abs=0.02
    )
    np.testing.assert_allclose(stage.errors_["codes"], stage.errors_["pca"], atol=1e-5)
    assert kinds(stage)["reduce.linear"].remedy == {"reduce.pca": {"keep": 2}}


def test_pca_is_not_named_where_codes_lose_less():
    stage = ReduceAutoencoder(size=4, **QUICK).fit(load_digits().data[:400])
    assert "reduce.linear" not in kinds(stage)


def test_more_codes_than_columns_and_codes_without_use_are_told():
    random = np.random.default_rng(0)
    a = random.normal(size=300)
    stage = ReduceAutoencoder(size=9, layers=0, **{**QUICK, "width": 1}).fit(
        pl.DataFrame({"a": a, "b": a, "flat": np.ones(300)})
    )
    found = kinds(stage)
    assert found["reduce.size"].score == 3
    assert found["reduce.dead"].score == pytest.approx(2 / 3)
    assert found["reduce.dead"].remedy == {"reduce.autoencoder": {"size": 1}}


def test_collapsed_codes_are_told():
    X = load_digits().data[:400, 20:30]
    quick = {**QUICK, "method": "variational", "warm_up": 0, "batch_size": 16, "learning_rate": 0.01}
    assert "reduce.collapsed" not in kinds(ReduceAutoencoder(size=2, beta=0.01, **quick).fit(X))
    found = kinds(ReduceAutoencoder(size=2, beta=100.0, **quick).fit(X))
    assert found["reduce.collapsed"].score == 1


def test_a_training_cut_short_and_one_that_diverged_are_told():
    X = load_digits().data[:300]
    found = kinds(ReduceAutoencoder(size=4, **{**QUICK, "max_epochs": 2}).fit(X))
    assert found["training.short"].remedy == {"reduce.autoencoder": {"max_epochs": 4}}
    with pytest.warns(TilthWarning, match="diverged"):
        stage = ReduceAutoencoder(size=4, activation="relu", **{**QUICK, "learning_rate": 1e30}).fit(X)
    assert kinds(stage)["training.diverged"].severity == "high"
    assert np.isfinite(stage.transform(X)).all()


def test_weights_are_held_as_safetensors_and_the_codes_stay(tmp_path):
    rows = mixed()
    pipe = Pipeline([ReduceAutoencoder(size=2, **{**QUICK, "max_epochs": 2})]).fit(rows)
    pipe.save(tmp_path / "bundle")
    from safetensors.numpy import load_file

    arrays = load_file(tmp_path / "bundle" / "arrays.safetensors")
    weights = read(tmp_path / "bundle").steps[0].state["weights_"]
    assert sum(a.size for a in arrays.values()) >= sum(w.size for w in weights.values()) > 500
    again = load(tmp_path / "bundle")
    assert again.transform(rows).equals(pipe.transform(rows))
    assert again.inverse_transform(again.transform(rows)).equals(pipe.inverse_transform(pipe.transform(rows)))


def test_progress_is_a_line_on_stderr_and_nothing_where_it_is_not_asked_for(capsys):
    X = load_digits().data[:200]
    ReduceAutoencoder(size=2, **QUICK).fit(X)
    assert capsys.readouterr() == ("", "")
    ReduceAutoencoder(size=2, progress=True, **QUICK).fit(X)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1].startswith("reduce.autoencoder: epoch 15 of at most 15, loss ")


def test_columns_without_a_value_come_back_empty_and_alone_are_refused():
    rows = mixed(100).with_columns(
        pl.lit(None, pl.Float64).alias("none"), pl.lit(None, pl.String).alias("void")
    )
    stage = ReduceAutoencoder(size=2, **{**QUICK, "max_epochs": 1}).fit(rows)
    back = stage.inverse_transform(stage.transform(rows))
    assert back.schema == rows.schema
    assert back["none"].null_count() == back["void"].null_count() == 100
    with pytest.raises(DataError, match="No column has a value"):
        ReduceAutoencoder(**QUICK).fit(rows.select("none", "void"))


def test_other_columns_stay_where_they_are():
    rows = mixed(100)
    stage = ReduceAutoencoder(size=2, on=["size", "count"], **{**QUICK, "max_epochs": 1}).fit(rows)
    out = stage.transform(rows)
    assert out.columns == ["code1", "code2", "square", "kind", "big", "day", "wave"]
    assert stage.inverse_transform(out).columns == rows.columns


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_few_rows_get_codes(rows):
    frame = mixed(rows, gaps=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stage = ReduceAutoencoder(size=2, **{**QUICK, "max_epochs": 2}).fit(frame)
        assert np.isfinite(stage.transform(frame).to_numpy()).all()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_learns_as_well():
    frame = vectors(load_digits().data)
    shares = [
        ReduceAutoencoder(size=8, **{**QUICK, "device": device}).fit(frame).errors_["codes"].item()
        for device in ("cpu", "cuda")
    ]
    assert shares[1] < 1.1 * shares[0]
