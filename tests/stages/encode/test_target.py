"""EncodeTarget: scikit-learn's TargetEncoder is the oracle, and no training row sees its own label."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import PredefinedSplit
from sklearn.preprocessing import TargetEncoder

import tilth
from tilth import Pipeline, stage
from tilth.errors import DataError
from tilth.stages.encode.target import EncodeTarget
from tilth.statistics.folding import fold_by_hash
from tilth.table import ROW, Roles, Table

ROWS = 600


@pytest.fixture
def frame() -> pl.DataFrame:
    rng = np.random.default_rng(0)
    city = rng.choice(["Rome", "Oslo", "Bonn", "Nice", None], ROWS, p=[0.4, 0.3, 0.19, 0.01, 0.1])
    return pl.DataFrame(
        {
            "city": city.tolist(),
            "code": [f"c{i}" for i in rng.integers(0, 90, ROWS)],
            "n": rng.normal(size=ROWS),
            "yes": (rng.random(ROWS) < 0.3 + 0.3 * (city == "Rome")).tolist(),
            "kind": rng.choice(["x", "y", "z"], ROWS).tolist(),
            "size": rng.normal(50, 3, ROWS) + 4 * (city == "Rome"),
            "who": rng.integers(0, 40, ROWS),
            "w": rng.choice([0.0, 1.0, 2.0], ROWS),
        }
    )


X = ["city", "code", "n"]
TARGETS = {"yes": "binary", "kind": "multiclass", "size": "continuous"}


def folds(count: int = ROWS, seed: int = 0) -> np.ndarray:
    ids = pl.DataFrame({"id": pl.Series(range(count), dtype=pl.UInt64)})
    return ids.select(fold_by_hash(5, seed, "id")).to_series().to_numpy()


def objects(frame: pl.DataFrame) -> np.ndarray:
    return frame.select("city", "code").to_pandas().to_numpy(dtype=object)


def made(out: pl.DataFrame) -> np.ndarray:
    return out.select(pl.selectors.starts_with("city", "code")).to_numpy()


def peer(frame: pl.DataFrame, target: str, smooth: object) -> tuple[np.ndarray, np.ndarray]:
    """What scikit-learn gives the training rows, in our folds, and the same rows as new ones."""
    encoder = TargetEncoder(smooth=smooth, target_type=TARGETS[target], cv=PredefinedSplit(folds()))
    trained = encoder.fit_transform(objects(frame), frame[target].to_numpy())
    return trained, encoder.transform(objects(frame))


@pytest.mark.parametrize("smooth", ["auto", 10.0, 0.0])
@pytest.mark.parametrize("target", TARGETS)
def test_new_and_training_rows_equal_scikit_learn(frame, target, smooth):
    trained, new = peer(frame, target, smooth)
    encoder = EncodeTarget(smooth=smooth)
    np.testing.assert_allclose(
        made(encoder.fit_transform(frame.select(X), frame[target])), trained, rtol=1e-9
    )
    np.testing.assert_allclose(made(encoder.transform(frame.select(X))), new, rtol=1e-9)
    assert np.abs(trained - new).max() > 1e-3


def test_training_rows_equal_a_fit_on_the_other_folds_by_hand(frame):
    rows, y, fold = frame.select("city"), frame["size"].to_numpy(), folds(seed=7)
    out = EncodeTarget(smooth=3.0, random_state=7).fit_transform(rows, y)["city"].to_numpy()
    city = frame["city"].fill_null("?").to_numpy()
    for k in range(5):
        others = fold != k
        for level in np.unique(city):
            seen = y[others & (city == level)]
            wanted = (seen.sum() + 3.0 * y[others].mean()) / (len(seen) + 3.0)
            np.testing.assert_allclose(out[~others & (city == level)], wanted, rtol=1e-9)


@given(st.integers(0, 59), st.sampled_from(["auto", 2.0]))
def test_no_row_sees_its_own_label(row, smooth):
    rng = np.random.default_rng(1)
    levels = pl.DataFrame({"c": [f"{i}" for i in rng.integers(0, 12, 60)]})
    y = rng.random(60) < 0.5
    other = y.copy()
    other[row] = ~other[row]
    one, two = (EncodeTarget(smooth=smooth).fit_transform(levels, t)["c"] for t in (y, other))
    assert one[row] == two[row]
    assert not one.equals(two)


def test_no_row_sees_a_label_of_its_group(frame):
    y = frame["size"].to_numpy()
    other = np.where(frame["who"] == 3, 1000.0, y)
    rows = frame.select("city")
    one, two = (
        Pipeline([EncodeTarget()]).fit_transform(rows, t, groups=frame["who"])["city"].to_numpy()
        for t in (y, other)
    )
    inside = (frame["who"] == 3).to_numpy()
    np.testing.assert_array_equal(one[inside], two[inside])
    assert (one[~inside] != two[~inside]).any()


def test_the_order_of_rows_does_not_matter(frame):
    table = Table.of(frame.with_row_index("key"), roles=Roles(target="size", group="who", row_id="key"))
    turned = table.with_frame(table.frame.collect().sample(fraction=1, shuffle=True, seed=0).lazy())
    one, two = (EncodeTarget().fit_transform(t).frame.sort(ROW).collect() for t in (table, turned))
    np.testing.assert_allclose(one["city"].to_numpy(), two["city"].to_numpy(), rtol=1e-12)


def test_several_classes_make_a_column_each_in_the_place_of_theirs(frame):
    rows = frame.select("n", "city").with_columns(pl.lit(1).alias("city=y"))
    encoder = EncodeTarget().fit(rows, frame["kind"])
    assert encoder.transform(rows).columns == ["n", "city=x", "city=y_", "city=z", "city=y"]
    assert list(encoder.get_feature_names_out()) == encoder.transform(rows).columns


@pytest.mark.parametrize(
    "labels, classes",
    [
        ([0, 1, 1, 0], ["0", "1"]),
        ([10.0, 2.0, 2.0, 10.0], ["2", "10"]),
        ([True, False, True, True], ["false", "true"]),
        (["b", "a", "a", "b"], ["a", "b"]),
        (pd.Series(["b", "a", "a", "b"], dtype=pd.CategoricalDtype(["b", "a"])), ["a", "b"]),
        ([3, 1, 2, 3], ["1", "2", "3"]),
        ([0.5, 1.0, 1.0, 2.0], []),
    ],
)
def test_the_target_is_read_as_what_it_is(labels, classes):
    rows = pl.DataFrame({"c": ["p", "q", "q", "p"]})
    encoder = EncodeTarget(smooth=0.0).fit(rows, labels)
    assert encoder.classes_ == classes
    out = encoder.transform(rows).to_numpy()
    if len(classes) == 2:
        text = pl.DataFrame({"y": pd.Series(labels)}).select(pl.col("y").cast(pl.String)).to_series()
        share = [(text.str.strip_suffix(".0") == classes[1])[at].mean() for at in ([0, 3], [1, 2])]
        assert out[:2, 0].tolist() == share
    else:
        assert out.shape == (4, max(1, len(classes)))


def test_task_overrules_what_the_target_looks_like(frame):
    rows, y = frame.select("city"), np.arange(ROWS) % 3
    numbers = EncodeTarget(task="regression", smooth=0.0).fit(rows, y)
    assert numbers.transform(rows).columns == ["city"]
    assert EncodeTarget().fit(rows, y).transform(rows).columns == ["city=0", "city=1", "city=2"]
    with pytest.raises(DataError, match="task is 'regression'"):
        EncodeTarget(task="regression").fit(rows, frame["kind"])
    with pytest.raises(DataError, match="fractional"):
        EncodeTarget(task="classification").fit(rows, frame["size"])


def test_weights_count_as_repeated_rows(frame):
    table = Table.of(frame.select("city"), frame["size"], sample_weight=frame["w"])
    often = frame[np.repeat(np.arange(ROWS), frame["w"].cast(pl.Int64).to_numpy())]
    weighted = EncodeTarget().fit(table).transform(frame.select("city"))
    repeated = EncodeTarget().fit(often.select("city"), often["size"]).transform(frame.select("city"))
    np.testing.assert_allclose(weighted.to_numpy(), repeated.to_numpy(), rtol=1e-9)


def test_rows_without_a_label_get_values_and_give_none(frame):
    rows = frame.select("city")
    holed = frame["size"].to_list()
    holed[::2] = [None] * 300
    encoder = EncodeTarget(unseen="error")
    out = encoder.fit_transform(rows, holed)["city"]
    assert out.null_count() == 0
    kept = EncodeTarget().fit(rows[1::2], frame["size"][1::2])
    np.testing.assert_allclose(encoder.transform(rows)["city"], kept.transform(rows)["city"], rtol=1e-12)
    with pytest.raises(DataError, match="no row has a label"):
        EncodeTarget().fit(rows, np.full(ROWS, np.nan))


def test_an_unseen_level_is_the_mean_missing_or_an_error(frame):
    rows, new = frame.select("city"), pl.DataFrame({"city": ["Atlantis", "Rome"]})
    mean = EncodeTarget().fit(rows, frame["size"]).transform(new)["city"][0]
    assert mean == pytest.approx(frame["size"].mean())
    out = EncodeTarget(unseen="null").fit(rows, frame["size"]).transform(new)["city"]
    assert out.is_null().to_list() == [True, False]
    with pytest.raises(DataError, match="column 'city' holds 'Atlantis', which was not there at fit"):
        EncodeTarget(unseen="error").fit(rows, frame["size"]).transform(new)


def test_missing_cells_are_a_level_or_stay_missing(frame):
    rows, holes = frame.select("city"), frame["city"].is_null()
    level = EncodeTarget(smooth=0.0).fit(rows, frame["size"]).transform(rows)["city"]
    assert level.filter(holes).unique().item() == pytest.approx(frame.filter(holes)["size"].mean())
    kept = EncodeTarget(missing="null")
    assert kept.fit_transform(rows, frame["size"])["city"].is_null().equals(holes)
    assert kept.transform(rows)["city"].is_null().equals(holes)
    whole = EncodeTarget().fit(rows.drop_nulls(), frame.drop_nulls("city")["size"])
    new = whole.transform(pl.DataFrame({"city": pl.Series([None], dtype=pl.String)}))["city"]
    assert new.item() == pytest.approx(frame.drop_nulls("city")["size"].mean())


def test_levels_of_few_rows_get_the_mean_of_all(frame):
    rows = frame.select("city")
    nice = pl.DataFrame({"city": ["Nice", "Rome"]})
    out = EncodeTarget(rare_rows=30).fit(rows, frame["size"]).transform(nice)["city"]
    assert out[0] == pytest.approx(frame["size"].mean())
    assert out[1] != pytest.approx(frame["size"].mean(), rel=1e-3)


def test_numbers_that_are_names_are_levels_whatever_their_type(frame):
    rows = frame.select(pl.col("who").alias("zip"), "n")
    encoder = EncodeTarget(on="zip").fit(rows, frame["size"])
    out = encoder.transform(rows)
    assert out["n"].equals(rows["n"])
    codes = rows.select("zip").to_numpy()
    peer = TargetEncoder(target_type="continuous").fit(codes, frame["size"].to_numpy())
    np.testing.assert_allclose(out["zip"], peer.transform(codes)[:, 0], rtol=1e-9)
    # pandas turns whole numbers with a gap into floats: they are the same levels.
    floats = rows.with_columns(pl.col("zip").cast(pl.Float64))
    assert encoder.transform(floats).equals(out)


@pytest.mark.parametrize("dtype", [pl.Categorical, pl.Enum(["Rome", "Oslo", "Nice", "Bonn"])])
def test_the_type_that_holds_the_levels_does_not_matter(frame, dtype):
    rows, y = frame.select("city"), frame["size"]
    plain = EncodeTarget().fit_transform(rows, y)
    assert EncodeTarget().fit_transform(rows.cast(dtype), y).equals(plain)
    pandas = EncodeTarget().fit_transform(rows.to_pandas().astype("category"), y)
    assert isinstance(pandas, pd.DataFrame)
    np.testing.assert_array_equal(pandas.to_numpy(), plain.to_numpy())


def test_the_query_for_new_rows_is_expressions_and_roles_stay(frame):
    table = Table.of(frame.select(X), y=frame["yes"], groups=frame["who"])
    encoder = EncodeTarget().fit(table)
    after = encoder.transform(table)
    assert "PYTHON" not in after.frame.explain().upper()
    assert after.y.equals(table.y)
    assert after.frame.collect(engine="streaming").equals(after.frame.collect())


# In a pipeline


def test_a_pipeline_gives_training_rows_what_the_other_folds_say_and_new_rows_what_all_say(frame):
    trained, new = peer(frame, "size", "auto")
    pipe = Pipeline([stage("impute.simple", on="n"), EncodeTarget(), stage("scale.standard", on="n")])
    rows, y = frame.select(X), frame["size"].to_numpy()
    np.testing.assert_allclose(made(pipe.fit_transform(rows, y)), trained, rtol=1e-9)
    np.testing.assert_allclose(made(pipe.fit_resample(rows, y)[0]), trained, rtol=1e-9)
    np.testing.assert_allclose(made(pipe.transform(rows)), new, rtol=1e-9)
    pandas = clone(pipe).fit_transform(rows.to_pandas(), y)
    np.testing.assert_allclose(pandas[["city", "code"]].to_numpy(), trained, rtol=1e-9)


def test_later_stages_and_the_model_learn_from_cross_fitted_values(frame):
    trained, new = peer(frame, "size", "auto")
    rows, y = frame.select("city", "code"), frame["size"].to_numpy()
    pipe = Pipeline([EncodeTarget(), stage("scale.standard"), LinearRegression()]).fit(rows, y)
    scale = pipe["scale.standard"]
    np.testing.assert_allclose(list(scale.mean_.values()), trained.mean(axis=0), rtol=1e-9)
    scaled = lambda values: (values - trained.mean(axis=0)) / trained.std(axis=0)
    peers = LinearRegression().fit(scaled(trained), y)
    np.testing.assert_allclose(pipe.predict(rows), peers.predict(scaled(new)), rtol=1e-9)


def test_row_stages_before_and_after_leave_each_row_its_fold(frame):
    rows = frame.select(X)[np.r_[:500, :20]]  # the last 20 are copies, which are dropped
    y = frame["yes"].to_numpy()[np.r_[:500, :20]]
    pipe = Pipeline([stage("duplicates.exact"), EncodeTarget(), stage("balance.under")])
    out, labels = pipe.fit_resample(rows, y)
    alone = EncodeTarget().fit_transform(rows[:500], y[:500])
    wanted = alone.with_columns(pl.Series("y", y[:500])).rows()
    kept = out.with_columns(pl.Series("y", labels)).rows()
    assert len(kept) == 2 * min(y[:500].sum(), (~y[:500]).sum())
    assert set(kept) <= set(wanted)


def test_the_loader_replays_cross_fitted_values_also_from_a_bundle(frame, tmp_path):
    rows, y = frame.select(X), frame["yes"].to_numpy().astype(int)
    pipe = Pipeline([EncodeTarget(), stage("balance.under"), stage("scale.standard")]).fit(rows, y)
    wanted, labels = pipe.fit_resample(rows, y)
    pipe.save(tmp_path / "bundle")
    for held in (pipe, tilth.load(tmp_path / "bundle")):
        batches = list(held.loader(rows, y, batch_size=64, device="cpu", shuffle=False))
        seen = torch.cat([b[0] for b in batches]).numpy()
        np.testing.assert_allclose(seen, wanted.to_numpy().astype(np.float32), rtol=1e-6)
        assert torch.cat([b[1] for b in batches]).tolist() == list(labels)
        new = held.dataset(rows, training=False)
        first = np.asarray(new[0][0] if isinstance(new[0], tuple) else new[0])
        np.testing.assert_allclose(first, held.transform(rows).to_numpy()[0], rtol=1e-5)


def test_training_rows_without_the_groups_of_the_fit_are_refused(frame):
    rows, y, who = frame.select(X), frame["yes"].to_numpy().astype(int), frame["who"].to_numpy()
    pipe = Pipeline([EncodeTarget()]).fit(rows, y, groups=who)
    assert len(pipe.dataset(rows, y, groups=who)) == ROWS
    with pytest.raises(DataError, match="Pass the same groups"):
        pipe.dataset(rows, y)


class Recorder(LogisticRegression):
    seen: list = []

    def fit(self, X, y, sample_weight=None):
        self.seen.append(np.asarray(X))
        return super().fit(X, y, sample_weight)

    def predict_proba(self, X):
        self.seen.append(np.asarray(X))
        return super().predict_proba(X)


def test_the_bench_judges_by_cross_fitted_values():
    rows = pl.DataFrame({"zip": np.random.default_rng(0).integers(0, 60, 400)})
    y, encoder = np.arange(400) % 2, EncodeTarget(on="zip")
    tilth.compare(None, [encoder], rows, y, probes=[("recorder", Recorder())], repeats=1, n_jobs=1)
    after = [values for values in Recorder.seen if (values % 1 != 0).any()]
    trained, tested = after[0], after[1]
    assert (len(trained), len(tested)) == (320, 80)
    # A level has one value among new rows, and one for each fold it is in among training rows.
    assert len(np.unique(tested)) <= 60 < len(np.unique(trained))


# Findings


def test_what_the_encoding_cannot_tell_is_reported():
    rows = pl.DataFrame({"id": [f"{i}" for i in range(40)], "c": ["a", "b"] * 20})
    y = np.arange(40) % 3 == 0
    (found,) = EncodeTarget().fit(rows, y).findings_
    assert (found.kind, found.columns, found.score) == ("encoding.alone", ("id",), 1.0)
    mended = EncodeTarget(**found.remedy["encode.target"]).fit_transform(rows, y)
    assert mended["id"].n_unique() <= 5  # the mean of the others of each fold
    table = Table.of(rows.select("c"), y, groups=["one"] * 40)
    encoder = EncodeTarget().fit(table)
    assert [f.kind for f in encoder.findings_] == ["encoding.one_fold"]
    out = encoder.fit_transform(table).frame.collect()["c"].to_numpy()
    np.testing.assert_allclose(out, y.mean())
    flat = EncodeTarget().fit(rows.select("c"), ["same"] * 40)
    assert [f.kind for f in flat.findings_] == ["encoding.one_value"]
    assert flat.transform(rows.select("c"))["c"].unique().to_list() == [1.0]


def test_a_target_that_is_not_there_and_too_many_columns_are_refused(frame):
    with pytest.raises(DataError, match="requires y to be passed"):
        EncodeTarget().fit(frame.select(X))
    wide = pl.DataFrame({f"c{i}": ["a", "b"] * 150 for i in range(40)})
    with pytest.raises(DataError, match="would make 12000 columns"):
        EncodeTarget().fit(wide, [f"class {i}" for i in range(300)])
