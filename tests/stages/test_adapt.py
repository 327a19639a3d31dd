"""adapt: the estimator itself is the oracle for what its stage does."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from imblearn.over_sampling import SMOTE, RandomOverSampler
from imblearn.under_sampling import ClusterCentroids, RandomUnderSampler, TomekLinks
from sklearn.base import BaseEstimator, clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.feature_selection import SelectKBest
from sklearn.manifold import TSNE
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, PolynomialFeatures, StandardScaler, TargetEncoder

from tilth.core import apply, fit
from tilth.errors import DataError, StageError, TilthWarning
from tilth.stages.adapt import AdaptFunction, AdaptTransformer, adapt
from tilth.stages.adapt_rows import AdaptDetector, AdaptSampler
from tilth.stages.impute.simple import ImputeSimple
from tilth.table import Table


@pytest.fixture
def frame() -> pl.DataFrame:
    rng = np.random.default_rng(0)
    return pl.DataFrame(
        {**{f"x{j}": rng.normal(j, 1 + j, 60) for j in range(3)}, "c": rng.choice(["a", "b"], 60)}
    )


@pytest.fixture
def y(frame: pl.DataFrame) -> np.ndarray:
    return np.where(frame["x1"].to_numpy() > 2.2, "rare", "often")


def numbers(frame: pl.DataFrame) -> np.ndarray:
    return frame.select("x0", "x1", "x2").to_numpy()


# Transformers


def test_a_transformer_does_what_scikit_learn_does_and_keeps_the_other_columns(frame: pl.DataFrame) -> None:
    stage = adapt(StandardScaler(), on="numeric")
    out = stage.fit_transform(frame)
    np.testing.assert_array_equal(numbers(out), StandardScaler().fit_transform(numbers(frame)))
    assert out.columns == frame.columns and out["c"].equals(frame["c"])


def test_columns_that_come_out_take_the_transformers_names(frame: pl.DataFrame) -> None:
    stage = adapt(PCA(2), on="numeric").fit(frame)
    out = stage.transform(frame)
    assert out.columns == ["c", "pca0", "pca1"] == stage.get_feature_names_out().tolist()
    np.testing.assert_allclose(
        out.drop("c").to_numpy(), PCA(2, random_state=0).fit(numbers(frame)).transform(numbers(frame))
    )


def test_sparse_output_and_text_columns_are_served(frame: pl.DataFrame) -> None:
    out = adapt(OneHotEncoder(), on="c").fit_transform(frame)
    assert out.columns == ["x0", "x1", "x2", "c_a", "c_b"]
    assert out["c_a"].to_list() == (frame["c"] == "a").cast(pl.Float64).to_list()


def test_composed_estimators_are_served(frame: pl.DataFrame) -> None:
    inner = ColumnTransformer(
        [("n", make_pipeline(StandardScaler(), PCA(1)), ["x0", "x1"]), ("c", OneHotEncoder(), ["c"])]
    )
    out = adapt(inner).fit_transform(frame)
    np.testing.assert_allclose(out.to_numpy(), clone(inner).fit_transform(frame.to_pandas()), atol=1e-12)


def test_the_target_reaches_a_transformer_that_selects_by_it(frame: pl.DataFrame, y: np.ndarray) -> None:
    out = adapt(SelectKBest(k=1), on="numeric").fit_transform(frame, y)
    assert out.columns == ["x1", "c"]
    with pytest.raises(ValueError, match="requires y"):
        adapt(SelectKBest(k=1), on="numeric").fit(frame)


def test_rows_without_a_label_are_left_out_of_fitting(frame: pl.DataFrame, y: np.ndarray) -> None:
    holed = pl.Series("y", [None if i % 3 == 0 else v for i, v in enumerate(y)])
    stage = adapt(SelectKBest(k=1), on="numeric").fit(frame, holed)
    known = holed.is_not_null().to_numpy()
    np.testing.assert_allclose(
        stage.estimator_.scores_, SelectKBest(k=1).fit(numbers(frame)[known], y[known]).scores_
    )


def test_cross_fitting_encoders_warn_that_training_rows_know_their_label(
    frame: pl.DataFrame, y: np.ndarray
) -> None:
    with pytest.warns(TilthWarning, match="their own labels"):
        out = adapt(TargetEncoder(), on="c").fit_transform(frame, y == "rare")
    assert out["c"].dtype == pl.Float64


@pytest.mark.parametrize("form", ["pandas", "numpy", "polars"])
def test_the_form_is_what_the_estimator_gets(frame: pl.DataFrame, form: str) -> None:
    class Spy(BaseEstimator):
        def fit(self, X, y=None):
            self.seen_ = type(X).__module__.partition(".")[0]
            return self

        def transform(self, X):
            return X

    stage = AdaptTransformer(Spy(), on="numeric", form=form).fit(frame)
    assert stage.estimator_.seen_ == form
    assert stage.transform(frame).equals(frame)


def test_no_row_and_one_row_are_transformed_and_the_query_may_ask_for_some_columns(
    frame: pl.DataFrame,
) -> None:
    stage = adapt(StandardScaler(), on="numeric").fit(frame)
    assert stage.transform(frame[:0]).schema == stage.transform(frame).schema
    assert stage.transform(frame[5:6]).equals(stage.transform(frame)[5:6])
    some = stage.change(frame.lazy()).filter(pl.col("x0") > 0).select("x1").collect()
    whole = stage.transform(frame)
    assert some.equals(whole.filter(pl.col("x0") > 0).select("x1"))


def test_shards_are_learned_from_as_a_whole(frame: pl.DataFrame) -> None:
    parts = [Table.of(frame[:10]), Table.of(frame[10:10]), Table.of(frame[10:])]
    stage = adapt(StandardScaler(), on="numeric").fit_table(parts)
    assert stage.transform(frame).equals(adapt(StandardScaler(), on="numeric").fit_transform(frame))


def test_the_estimator_given_stays_unfitted_and_unset_seeds_are_set(frame: pl.DataFrame) -> None:
    given = make_pipeline(StandardScaler(), PCA(2, svd_solver="randomized"))
    stage = AdaptTransformer(given, on="numeric", random_state=3).fit(frame)
    assert not hasattr(given[0], "mean_") and given[1].random_state is None
    assert stage.estimator_[1].random_state == 3
    twin = clone(stage)
    assert twin.get_params()["estimator__pca__n_components"] == 2 and not hasattr(twin, "estimator_")
    assert twin.fit_transform(frame).equals(stage.transform(frame))


def test_containers_come_back_and_missing_cells_are_null(frame: pl.DataFrame) -> None:
    pandas = frame.to_pandas().set_index(pd.Index(np.arange(60) // 2))
    pandas.loc[3, "x0"] = np.nan
    out = adapt(StandardScaler(), on="numeric").fit_transform(pandas)
    assert isinstance(out, pd.DataFrame) and out.index.equals(pandas.index)
    assert out["x0"].isna().sum() == 2
    polars = adapt(StandardScaler(), on="numeric").fit_transform(pl.from_pandas(pandas))
    assert polars["x0"].null_count() == 2


def test_an_error_of_the_estimator_says_which_stage_and_what_may_help(frame: pl.DataFrame) -> None:
    with pytest.raises(ValueError, match="could not convert string") as error:
        adapt(StandardScaler(), name="my scaler").fit(frame)
    assert any("In stage my scaler" in note and "encode.category" in note for note in error.value.__notes__)


def test_new_columns_take_no_name_that_is_taken() -> None:
    frame = pl.DataFrame({"a": [1.0, 2.0], "pca0": [5, 6]})
    assert adapt(PCA(1), on="a").fit_transform(frame).columns == ["pca0", "pca0_"]


def test_in_a_flow_training_and_new_rows_go_the_same_way(frame: pl.DataFrame, y: np.ndarray) -> None:
    stages = [("fill", ImputeSimple()), ("poly", adapt(PolynomialFeatures(2), on="numeric"))]
    table = Table.of(frame, y)
    done = fit(stages, table)
    assert done.table.y.to_list() == y.tolist()
    assert apply(stages, table.frame).collect().equals(done.table.frame.collect())


def test_an_empty_choice_changes_nothing(frame: pl.DataFrame) -> None:
    assert adapt(PCA(2), on=[]).fit_transform(frame).equals(frame)
    assert adapt(lambda df: df[:0], on=[]).fit_transform(frame).equals(frame)


# Functions


def test_a_function_changes_adds_and_removes_columns(frame: pl.DataFrame) -> None:
    def ratio(df: pl.DataFrame) -> pl.DataFrame:
        return df.select((pl.col("x0") / pl.col("x1")).alias("ratio"), "x1")

    stage = adapt(ratio, on=["x0", "x1"]).fit(frame)
    out = stage.transform(frame)
    assert stage.key == "ratio" and out.columns == ["x1", "x2", "c", "ratio"]
    np.testing.assert_array_equal(out["ratio"].to_numpy(), (frame["x0"] / frame["x1"]).to_numpy())
    assert stage.transform(frame[:0]).schema == out.schema


def test_a_function_that_loses_rows_is_refused(frame: pl.DataFrame) -> None:
    with pytest.raises(StageError, match="returned 1 rows for 60"):
        adapt(lambda df: df.head(1)).fit(frame)
    with pytest.raises(StageError, match="returned dict, not a Polars DataFrame"):
        adapt(lambda df: df.to_dict()).fit(frame)


def test_a_function_that_looks_at_other_rows_is_refused(frame: pl.DataFrame) -> None:
    with pytest.raises(StageError, match="depends on other rows"):
        adapt(lambda df: df.with_columns(pl.col("x0") - pl.col("x0").mean())).fit(frame)


def test_a_function_that_changes_its_columns_later_is_refused(frame: pl.DataFrame) -> None:
    stage = AdaptFunction(lambda df: df if df["x0"].min() > -50 else df.drop("c")).fit(frame)
    with pytest.raises(StageError, match="3 columns, and 4 when it was fitted"):
        stage.transform(frame.with_columns(pl.lit(-99.0).alias("x0")))


# Samplers


def test_a_sampler_that_tells_its_rows_moves_every_role(frame: pl.DataFrame, y: np.ndarray) -> None:
    ids = np.arange(60)
    X, labels, weight, groups = adapt(RandomUnderSampler()).fit_resample(frame, y, ids + 1.0, ids.astype(str))
    peer = RandomUnderSampler(random_state=0).fit(frame.to_pandas(), y)
    peer.fit_resample(frame.to_pandas(), y)
    kept = np.sort(peer.sample_indices_)
    assert X.equals(frame[kept]) and labels.tolist() == y[kept].tolist()
    assert weight.tolist() == (kept + 1.0).tolist() and groups.tolist() == kept.astype(str).tolist()


def test_repeated_rows_are_copies_on_record(frame: pl.DataFrame, y: np.ndarray) -> None:
    plan = adapt(RandomOverSampler()).fit(frame, y).plan_
    peer = RandomOverSampler(random_state=0)
    peer.fit_resample(frame.to_pandas(), y)
    assert (
        plan.times.tolist() == np.bincount(peer.sample_indices_, minlength=60).tolist() and plan.fresh is None
    )


def test_a_sampler_that_shifts_the_rows_it_took_makes_fresh_rows_with_parents(
    frame: pl.DataFrame, y: np.ndarray
) -> None:
    X, groups = frame.drop("c"), np.arange(60)
    stage = adapt(RandomOverSampler(shrinkage=1.0))
    out = stage.fit_resample(Table.of(X, y, groups=groups))
    plan = stage.plan_
    assert (plan.times == 1).all() and plan.fresh.height == out.height - 60
    assert (y[plan.parents[:, 0]] == "rare").all()
    assert out.role("group")[60:].to_list() == plan.parents[:, 0].tolist()


def test_fresh_rows_of_smote_are_told_from_those_that_were_there(frame: pl.DataFrame, y: np.ndarray) -> None:
    X = frame.drop("c").with_columns(pl.col("x2").round().cast(pl.Int32), pl.col("x0").cast(pl.Float32))
    stage = adapt(SMOTE(k_neighbors=2))
    out, labels, weight = stage.fit_resample(X, y, np.full(60, 2.0))
    assert out.schema == X.schema and out[:60].equals(X)
    assert (stage.plan_.times == 1).all() and (y[stage.plan_.parents] == "rare").all()
    assert (labels[60:] == "rare").all() and (labels == "rare").sum() == (labels == "often").sum()
    assert (weight == 2.0).all()
    with pytest.raises(DataError, match="parents of different groups"):
        adapt(SMOTE(k_neighbors=2)).fit_resample(X, y, groups=np.arange(60))


def test_equal_rows_are_counted_when_rows_are_found_again_by_content() -> None:
    class Doubles(BaseEstimator):
        def fit_resample(self, X, y):
            return pd.concat([X.iloc[1:], X.iloc[:2]], ignore_index=True), np.r_[y[1:], y[:2]]

    X = pl.DataFrame({"a": [1, 1, 1, 2, None]})
    plan = AdaptSampler(Doubles(), on="a")
    with pytest.raises(DataError, match=r"takes no missing cells.*impute\.simple"):
        plan.fit(X, list("uuuuu"))
    times = AdaptSampler(Doubles()).fit(X[:4], list("uuuv")).plan_.times
    assert times.sum() == 5 and times[3] == 1 and sorted(times[:3]) == [1, 1, 2]


def test_a_sampler_that_replaces_rows_keeps_none(frame: pl.DataFrame, y: np.ndarray) -> None:
    stage = adapt(ClusterCentroids())
    _, labels = stage.fit_resample(frame.drop("c"), y)
    assert (labels == "often").sum() == (y == "rare").sum() == (labels == "rare").sum()
    # A centroid of one row is that row, found again.
    assert (stage.plan_.times[y == "rare"] == 1).all() and (stage.plan_.times[y == "often"] == 0).mean() > 0.5
    made = stage.plan_.fresh
    assert (made["target"] == "often").all() and not set(made["x0"]) & set(frame["x0"])


def test_text_and_gaps_name_the_stage_that_treats_them(frame: pl.DataFrame, y: np.ndarray) -> None:
    with pytest.raises(
        DataError, match=r"SMOTE: takes numbers, and column 'c' holds String.*encode\.category"
    ):
        adapt(SMOTE()).fit(frame, y)


def test_withheld_features_and_fresh_rows_do_not_go_together(frame: pl.DataFrame, y: np.ndarray) -> None:
    with pytest.raises(StageError, match="would have no 'c'"):
        adapt(SMOTE(k_neighbors=2), on="numeric").fit(frame, y)
    assert adapt(TomekLinks(), on="numeric").fit_resample(frame, y)[0].columns == frame.columns


def test_rows_without_a_label_do_not_reach_the_sampler(frame: pl.DataFrame, y: np.ndarray) -> None:
    holed = pl.Series("y", [None if i % 4 == 0 else v for i, v in enumerate(y)])
    plan = adapt(RandomUnderSampler()).fit(frame, holed).plan_
    assert (plan.times[holed.is_null().to_numpy()] == 1).all() and (plan.times == 0).any()


# Detectors


@pytest.mark.parametrize(
    "detector", [IsolationForest(random_state=1), LocalOutlierFactor(5, contamination=0.1)]
)
def test_rows_a_detector_flags_are_dropped_and_reported(frame: pl.DataFrame, detector) -> None:
    stage = adapt(detector, on="numeric")
    plan = stage.fit(frame).plan_
    peer = clone(detector).fit_predict(frame.select("x0", "x1", "x2").to_pandas())
    np.testing.assert_array_equal(plan.times == 0, peer == -1)
    (finding,) = stage.findings_
    assert finding.rows[0] == plan.score.argmin() and finding.n_rows == (peer == -1).sum()
    report = AdaptDetector(detector, action="report", on="numeric").fit(frame)
    assert (report.plan_.times == 1).all() and report.findings_[0].score == finding.score


def test_detectors_of_pyods_interface_are_served(frame: pl.DataFrame) -> None:
    class Farthest(BaseEstimator):
        def __init__(self, contamination=0.1):
            self.contamination = contamination

        def fit(self, X):
            self.decision_scores_ = np.abs(np.asarray(X)).sum(axis=1)
            cut = np.quantile(self.decision_scores_, 1 - self.contamination)
            self.labels_ = (self.decision_scores_ > cut).astype(int)
            return self

        def decision_function(self, X):
            return np.abs(np.asarray(X)).sum(axis=1)

    plan = adapt(Farthest(), on="numeric").fit(frame).plan_
    assert (plan.times == 0).sum() == 6 and plan.times[plan.score.argmin()] == 0


def test_detectors_refuse_gaps_they_cannot_take(frame: pl.DataFrame) -> None:
    holed = frame.with_columns(pl.when(pl.col("x0") > 1).then("x0").alias("x0"))
    with pytest.raises(DataError, match=r"missing cells, and column 'x0'.*impute\.simple"):
        adapt(LocalOutlierFactor(), on="numeric").fit(holed)


def pyod_detectors():
    pyod = pytest.importorskip("pyod.models.ecod", reason="pyod is an extra")
    from pyod.models.iforest import IForest
    from pyod.models.knn import KNN
    from pyod.models.lof import LOF

    return [pyod.ECOD(), KNN(contamination=0.05), LOF(n_neighbors=10), IForest(random_state=3)]


@pytest.fixture
def odd(frame: pl.DataFrame) -> pl.DataFrame:
    """Rows of which the fifth is far out."""
    far = pl.int_range(pl.len()) == 4
    return frame.with_columns(pl.when(far).then(90.0).otherwise(c).alias(c) for c in ("x0", "x1", "x2"))


@pytest.mark.parametrize("which", range(4), ids=["ECOD", "KNN", "LOF", "IForest"])
def test_a_pyod_detector_flags_its_own_rows_by_its_own_threshold(odd: pl.DataFrame, which: int) -> None:
    detector = pyod_detectors()[which]
    stage = adapt(detector, on="numeric").fit(odd)
    peer = clone(detector).fit(numbers(odd))
    np.testing.assert_array_equal(stage.plan_.times == 0, peer.labels_ == 1)
    np.testing.assert_array_equal(stage.plan_.score, -peer.decision_scores_)
    assert "x1 90 (99.9% of the others: " in stage.plan_.reason[4]
    assert ((stage.plan_.reason != "") == (peer.labels_ == 1)).all()
    (finding,) = stage.findings_
    assert finding.rows[0] == peer.decision_scores_.argmax() and "x1" in finding.columns
    assert type(detector).__name__ in finding.message and finding.remedy is None


@pytest.mark.parametrize("which", range(4), ids=["ECOD", "KNN", "LOF", "IForest"])
def test_down_weighting_follows_how_far_a_row_is_beyond_those_not_flagged(
    odd: pl.DataFrame, which: int
) -> None:
    detector = pyod_detectors()[which]
    plan = adapt(detector, on="numeric", action="weight").fit(odd).plan_
    peer = clone(detector).fit(numbers(odd))
    scores, flagged = peer.decision_scores_, peer.labels_ == 1
    middle = np.median(scores)
    wanted = (scores[~flagged].max() - middle) / (scores[flagged] - middle)
    np.testing.assert_allclose(plan.weight[flagged], wanted)
    assert (plan.weight[~flagged] == 1).all() and (plan.times == 1).all()
    assert (wanted > 0).all() and (wanted < 1).all() and plan.weight.argmin() == scores.argmax()


def test_a_class_that_a_detector_would_drop_whole_is_reported_and_keeps_a_row(frame: pl.DataFrame) -> None:
    far = frame.with_columns(x0=pl.when(pl.int_range(60) < 3).then(pl.col("x0") + 50).otherwise("x0"))
    labels = np.where(np.arange(60) < 3, "rare", "often")
    stage = adapt(IsolationForest(contamination=0.1, random_state=0), on="numeric").fit(far, labels)
    assert {f.kind for f in stage.findings_} == {"outliers.class", "outliers.rows"}
    assert stage.plan_.times[:3].sum() == 1
    assert stage.plan_.times[:3].argmax() == stage.plan_.score[:3].argmax()


def test_a_detector_that_flags_everything_leaves_weights_of_nothing(frame: pl.DataFrame) -> None:
    class Strict(BaseEstimator):
        contamination = 0.5

        def fit(self, X):
            self.decision_scores_ = np.arange(len(X), dtype=float)
            self.labels_ = np.ones(len(X), dtype=int)
            return self

        def decision_function(self, X):
            return np.arange(len(X), dtype=float)

    plan = adapt(Strict(), on="numeric", action="weight").fit(frame).plan_
    assert ((plan.weight >= 0) & (plan.weight <= 1)).all()
    assert (plan.reason != "").all()


# What adapt itself decides


@pytest.mark.parametrize(
    "obj, told",
    [
        ("package.module:function", "never imported by name"),
        (PCA, r"PCA is a class; pass an instance"),
        (TSNE(), "no transform"),
        (3, "int is neither"),
    ],
)
def test_what_cannot_be_adapted_is_refused(obj, told: str) -> None:
    with pytest.raises(StageError, match=told):
        adapt(obj)


def test_a_stage_is_its_own_stage_and_names_go_to_keys() -> None:
    stage = ImputeSimple()
    assert adapt(stage) is stage
    assert adapt(PCA(2)).key == "PCA" and adapt(PCA(2), name="axes").key == "axes"
    assert clone(adapt(SMOTE(), name="s")).key == "s"
    assert not any(kind.recipe for kind in (AdaptTransformer, AdaptFunction, AdaptSampler, AdaptDetector))
