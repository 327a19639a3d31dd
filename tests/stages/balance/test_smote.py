"""BalanceSMOTE: imbalanced-learn's samplers are the oracles for neighbors, categories, bases and counts."""

from collections import Counter

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imblearn.metrics.pairwise import ValueDifferenceMetric
from imblearn.over_sampling import ADASYN, SMOTE, SMOTENC, BorderlineSMOTE
from scipy.stats import ks_2samp
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from tilth.errors import DataError, TilthWarning
from tilth.stages.balance.smote import BalanceSMOTE
from tilth.table import Roles, Table

METHODS = ("regular", "borderline-1", "borderline-2", "svm", "kmeans", "adasyn")


def numbers(seed: int = 0, rows: int = 400, share: float = 0.15) -> tuple[np.ndarray, np.ndarray]:
    """Two classes of correlated numbers, on scales far apart."""
    random = np.random.default_rng(seed)
    y = (random.random(rows) < share).astype(int)
    X = random.normal(size=(rows, 4)) @ random.normal(size=(4, 4)) + y[:, None]
    return X * [1, 10, 0.1, 3], y


def mixed(seed: int = 0, rows: int = 300) -> tuple[pd.DataFrame, np.ndarray]:
    X, y = numbers(seed, rows, 0.2)
    random = np.random.default_rng(seed + 1)
    frame = pd.DataFrame(X[:, :2], columns=["a", "b"])
    frame["c"] = random.choice(list("pqrs"), rows)
    frame["d"] = random.choice(["x", "y"], rows, p=[0.7, 0.3])
    return frame, y


def pairs(stage: BalanceSMOTE) -> set[tuple[int, int]]:
    return set(map(tuple, stage.plan_.parents[:, :2].tolist()))


# --- peers: neighbors, categories, bases, counts ---


@pytest.mark.parametrize("k", [1, 5])
def test_rows_are_made_towards_imbalanced_learns_neighbors(k: int) -> None:
    X, y = numbers()
    own = np.flatnonzero(y == 1)
    stage = BalanceSMOTE(k=k, scale="none", ratio={1: 20_000}).fit(X, y)
    peer = SMOTE(k_neighbors=k)
    peer.fit_resample(X, y)
    near = peer.nn_k_.kneighbors(X[own], return_distance=False)[:, 1:]
    assert pairs(stage) == {(int(i), int(j)) for i, line in zip(own, own[near], strict=True) for j in line}


def test_standard_scale_is_that_of_the_scaler_before() -> None:
    X, y = numbers()
    scaled = StandardScaler().fit_transform(X)
    inside = BalanceSMOTE().fit(X, y)
    before = BalanceSMOTE(scale="none").fit(scaled, y)
    np.testing.assert_array_equal(inside.plan_.parents, before.plan_.parents)
    np.testing.assert_array_equal(BalanceSMOTE().fit(scaled, y).plan_.parents, before.plan_.parents)
    assert (BalanceSMOTE(scale="none").fit(X, y).plan_.parents != inside.plan_.parents).any()


def test_mixed_rows_have_imbalanced_learns_neighbors_and_leading_categories() -> None:
    X, y = mixed()
    own = np.flatnonzero(y == 1)
    stage = BalanceSMOTE(scale="none", ratio={1: 20_000}).fit(X, y)
    peer = SMOTENC(categorical_features=["c", "d"])
    peer.fit_resample(X, y)
    near = own[peer.nn_k_.kneighbors(peer.nn_k_._fit_X, return_distance=False)[:, 1:]]
    assert pairs(stage) == {(int(i), int(j)) for i, line in zip(own, near, strict=True) for j in line}
    fresh = stage.plan_.fresh.to_pandas()
    for name in ("c", "d"):
        votes = {int(i): Counter(X[name].to_numpy()[line]) for i, line in zip(own, near, strict=True)}
        leaders = {i: {c for c, n in told.items() if n == max(told.values())} for i, told in votes.items()}
        seen: dict[int, set] = {}
        for base, cell in zip(stage.plan_.parents[:, 0].tolist(), fresh[name], strict=True):
            seen.setdefault(base, set()).add(cell)
        assert seen == leaders  # with so many rows every tie falls either way
    voters = [set(line) for line in stage.plan_.parents[:, 1:].tolist()]
    near_of = {int(i): set(line.tolist()) for i, line in zip(own, near, strict=True)}
    assert all(v == near_of[b] for b, v in zip(stage.plan_.parents[:, 0].tolist(), voters, strict=True))


def test_categories_alone_have_neighbors_as_near_as_imbalanced_learns_and_their_mode() -> None:
    random = np.random.default_rng(0)
    y = (random.random(300) < 0.2).astype(int)
    X = pd.DataFrame({c: random.choice(list("abcdef"), 300) for c in "uvw"})
    X.loc[y == 1, "u"] = random.choice(list("ab"), y.sum())
    stage = BalanceSMOTE(k=4).fit(X, y)
    codes = X.apply(lambda c: c.astype("category").cat.codes).to_numpy().astype(np.int32)
    own = np.flatnonzero(y == 1)
    far = ValueDifferenceMetric().fit(codes, y).pairwise(codes[own])
    place = {int(row): at for at, row in enumerate(own)}
    nearest = np.sort(far + np.diag(np.full(len(own), np.inf)), axis=1)[:, :4]
    fresh, parents = stage.plan_.fresh.to_pandas(), stage.plan_.parents
    assert parents.shape[1] == 5
    np.testing.assert_allclose(stage.plan_.shares, 0.2)
    for made, line in enumerate(parents.tolist()):
        at = [place[row] for row in line]
        np.testing.assert_allclose(np.sort(far[at[0], at[1:]]), nearest[at[0]], atol=1e-12)
        for name in "uvw":
            votes = Counter(X[name].to_numpy()[line])
            assert votes[fresh[name][made]] == max(votes.values())


def test_borderline_bases_and_their_partners_of_any_class_are_imbalanced_learns() -> None:
    X, y = numbers(2, 600, 0.25)
    for kind in ("borderline-1", "borderline-2"):
        stage = BalanceSMOTE(method=kind, scale="none", ratio={1: 30_000}).fit(X, y)
        peer = BorderlineSMOTE(kind=kind)
        peer.fit_resample(X, y)
        danger = peer.in_danger_indices[1]
        near = peer.nn_k_.kneighbors(X[danger], return_distance=False)[:, 1:]
        near = np.flatnonzero(y == 1)[near] if kind == "borderline-1" else near
        expected = {(int(i), int(j)) for i, line in zip(danger, near, strict=True) for j in line}
        assert pairs(stage) == expected
        gap = stage.plan_.shares[:, 1]
        other = y[stage.plan_.parents[:, 1]] != 1
        assert gap[~other].max() > 0.9
        if kind == "borderline-2":
            assert other.any() and 0.4 < gap[other].max() <= 0.5


def test_adasyn_shares_rows_out_by_density_and_hits_the_total() -> None:
    X, y = numbers(3)
    stage = BalanceSMOTE(method="adasyn", scale="none").fit(X, y)
    own = np.flatnonzero(y == 1)
    near = NearestNeighbors(n_neighbors=6).fit(X).kneighbors(X[own], return_distance=False)[:, 1:]
    density = (y[near] != 1).mean(axis=1)
    more = (y == 0).sum() - (y == 1).sum()
    made = np.bincount(stage.plan_.parents[:, 0], minlength=len(y))[own]
    assert made.sum() == more
    assert np.abs(made - more * density / density.sum()).max() <= 1
    theirs = Counter(ADASYN().fit_resample(X, y)[1].tolist())[1] - (y == 1).sum()
    assert abs(theirs - more) <= len(own) / 2  # rounding, base by base


def test_svm_makes_rows_outwards_only_from_safe_support_vectors() -> None:
    X, y = numbers(4, 500, 0.3)
    stage = BalanceSMOTE(method="svm", scale="none").fit(X, y)
    base, other = stage.plan_.parents.T
    made = stage.plan_.fresh.drop("target").to_numpy()
    along = ((made - X[base]) * (X[other] - X[base])).sum(1) / ((X[other] - X[base]) ** 2).sum(1)
    assert -0.5 <= along.min() < -0.1 and 0.5 < along.max() <= 1
    np.testing.assert_allclose(made, X[base] + along[:, None] * (X[other] - X[base]), atol=1e-9)
    near = NearestNeighbors(n_neighbors=11).fit(X).kneighbors(X[base], return_distance=False)[:, 1:]
    np.testing.assert_array_equal(along < 0, (y[near] != 1).sum(axis=1) < 5)
    np.testing.assert_allclose(stage.plan_.shares[along < 0], [[1, 0]] * int((along < 0).sum()))


def test_kmeans_makes_no_row_between_clusters() -> None:
    random = np.random.default_rng(0)
    X = np.vstack(
        [random.normal(size=(200, 2)), random.normal([20, 0], 1, (30, 2)), random.normal([0, 20], 1, (30, 2))]
    )
    y = np.repeat([0, 1], [200, 60])
    plan = BalanceSMOTE(method="kmeans", clusters=3, k=20).fit(X, y).plan_
    assert ((plan.parents[:, 0] < 230) == (plan.parents[:, 1] < 230)).all()
    assert len(np.unique(plan.parents)) == 60


@pytest.mark.parametrize("ratio", [0.3, 0.5, 0.77, 1.0, {"1": 250, "2": 100}])
def test_counts_equal_imbalanced_learns(ratio: object) -> None:
    random = np.random.default_rng(0)
    y = random.choice(3, 400, p=[0.8, 0.1, 0.1]) if isinstance(ratio, dict) else random.random(400) < 0.15
    y = y.astype(int)
    X = random.normal(size=(400, 2))
    theirs = {int(k): v for k, v in ratio.items()} if isinstance(ratio, dict) else ratio
    expected = Counter(SMOTE(sampling_strategy=theirs).fit_resample(X, y)[1].tolist())
    assert Counter(BalanceSMOTE(ratio=ratio).fit_resample(X, y)[1].tolist()) == expected


def test_made_rows_are_distributed_as_imbalanced_learns() -> None:
    X, y = numbers(5, 4000, 0.1)
    ours = BalanceSMOTE(scale="none").fit_resample(X, y)[0][len(y) :]
    theirs = SMOTE(random_state=0).fit_resample(X, y)[0][len(y) :]
    for column in range(X.shape[1]):
        assert ks_2samp(ours[:, column], theirs[:, column]).pvalue > 1e-3
    search = NearestNeighbors(n_neighbors=1).fit(X[y == 1])
    near = [search.kneighbors(made)[0].ravel() for made in (ours, theirs)]
    assert ks_2samp(*near).pvalue > 1e-3


# --- invariants ---


@st.composite
def tables(draw: st.DrawFn) -> tuple[pl.DataFrame, np.ndarray]:
    random = np.random.default_rng(draw(st.integers(0, 2**31)))
    rows = draw(st.integers(12, 60))
    holes = draw(st.sampled_from([0.0, 0.2]))
    y = np.sort(random.choice(["a", "b", "c"], rows, p=[0.6, 0.25, 0.15]))
    y[:3] = ["a", "b", "c"]
    frame = pl.DataFrame(
        {
            "x": random.normal(size=rows),
            "n": random.integers(0, 30, rows),
            "day": random.integers(0, 900, rows),
            "word": random.choice(list("uvw"), rows),
            "yes": random.random(rows) < 0.5,
        }
    ).with_columns(pl.col("day").cast(pl.Int32).cast(pl.Date))
    frame = frame.with_columns(
        pl.when(~pl.Series(random.random(rows) < holes)).then(pl.col(c)).alias(c) for c in frame.columns
    )
    return frame, y


@pytest.mark.filterwarnings("ignore:balance.smote")
@settings(max_examples=60, deadline=None)
@given(
    tables(), st.sampled_from(METHODS), st.integers(1, 6), st.sampled_from(["equal", 0.8]), st.integers(0, 3)
)
def test_counts_are_exact_and_made_cells_lie_between_those_of_the_parents(
    rows: tuple, method: str, k: int, ratio: object, seed: int
) -> None:
    X, y = rows
    stage = BalanceSMOTE(method=method, k=k, ratio=ratio, random_state=seed)
    out, labels = stage.fit_resample(X, pl.Series("y", y))
    counts, wanted = Counter(y), int((1.0 if ratio == "equal" else ratio) * max(Counter(y).values()))
    assert Counter(labels.to_list()) == {c: max(n, wanted) for c, n in counts.items()}
    plan = stage.plan_
    if plan.fresh is None:
        return
    np.testing.assert_allclose(plan.shares.sum(axis=1), 1)
    assert plan.shares.min() >= 0
    base, other = plan.parents[:, 0], plan.parents[:, 1]
    assert plan.fresh["y"].to_list() == y[base].tolist()
    if method != "borderline-2":
        assert (y[plan.parents] == y[base][:, None]).all()
    assert out.head(X.height).equals(X)
    for name in ("x", "n", "day"):
        values = X[name].to_physical().cast(pl.Float64).to_numpy()
        cells = plan.fresh[name].to_physical().cast(pl.Float64).to_numpy()
        one, two = values[base], values[other]
        np.testing.assert_array_equal(np.isnan(cells), np.isnan(one))
        alone = ~np.isnan(one) & np.isnan(two)
        np.testing.assert_array_equal(cells[alone], one[alone])
        both = ~np.isnan(one) & ~np.isnan(two)
        if method != "svm":
            assert (np.minimum(one, two)[both] <= cells[both]).all()
            assert (cells[both] <= np.maximum(one, two)[both]).all()
            away = plan.shares[:, 1]
            away = away[:, None] if away.ndim > 1 else away
            line = one + away * (two - one)
            np.testing.assert_allclose(cells[both], line[both], atol=1e-9 if name == "x" else 0.5 + 1e-9)
    for name in ("word", "yes"):
        cells = X[name].to_numpy()
        for made, line in zip(plan.fresh[name].to_list(), plan.parents.tolist(), strict=True):
            assert made in [cells[row] for row in line]


@pytest.mark.filterwarnings("ignore:balance.smote")
@settings(max_examples=25, deadline=None)
@given(tables(), st.sampled_from(METHODS))
def test_what_is_made_does_not_depend_on_the_order_of_rows(rows: tuple, method: str) -> None:
    X, y = rows
    X = X.with_columns(pl.Series("y", y), pl.Series("id", [f"row {i}" for i in range(X.height)]))
    order = np.random.default_rng(0).permutation(X.height)
    roles = Roles(target="y", row_id="id")
    outs = []
    for frame in (X, X[order]):
        out = BalanceSMOTE(method=method).fit_resample(Table.of(frame, roles=roles)).frame.collect()
        outs.append(out.sort("__row__"))
    assert outs[0]["__row__"].equals(outs[1]["__row__"])
    for name in ("n", "day", "word", "yes", "y"):
        assert outs[0][name].equals(outs[1][name])
    np.testing.assert_allclose(outs[0]["x"].to_numpy(), outs[1]["x"].to_numpy(), rtol=1e-9)


def test_bases_take_turns_and_the_seed_says_which_come_once_more() -> None:
    X, y = numbers()
    plans = [BalanceSMOTE(random_state=seed).fit(X, y).plan_ for seed in (0, 0, 1)]
    for plan in plans:
        often = np.bincount(plan.parents[:, 0], minlength=len(y))[y == 1]
        assert np.ptp(often) == 1
    assert plans[0].fresh.equals(plans[1].fresh) and not plans[0].fresh.equals(plans[2].fresh)


# --- roles, types, containers ---


@pytest.mark.parametrize("method", ["regular", "borderline-2", "kmeans"])
def test_made_rows_have_parents_of_one_group_and_the_mix_of_their_weights(method: str) -> None:
    X, y = numbers(6)
    group = np.random.default_rng(0).integers(0, 9, len(y))
    weight = np.random.default_rng(1).uniform(1, 2, len(y))
    stage = BalanceSMOTE(method=method)
    _, _, weights, groups = stage.fit_resample(X, y, weight, group)
    plan, n = stage.plan_, len(stage.plan_.sources) - stage.plan_.fresh.height
    assert (group[plan.parents] == group[plan.parents[:, :1]]).all()
    np.testing.assert_array_equal(groups[n:], group[plan.parents[:, 0]])
    np.testing.assert_allclose(weights[n:], (weight[plan.parents] * plan.shares).sum(axis=1))


def test_a_row_alone_in_its_group_is_repeated_and_that_is_told() -> None:
    X = pl.DataFrame({"x": [0.5, 1.5, 2.5, 3.5, 9.5, 9.7, 30.5]})
    y, groups = ["n"] * 4 + ["y"] * 3, [0, 0, 1, 1, 2, 2, 3]
    with pytest.warns(TilthWarning, match="Class 'y' has 3 rows, so each has 2 neighbors and not 5"):
        stage = BalanceSMOTE(ratio={"y": 9}).fit(X, y, groups=groups)
    assert stage.plan_.times.tolist() == [1] * 6 + [3]
    assert set(stage.plan_.parents.ravel().tolist()) == {4, 5}
    alone = next(f for f in stage.findings_ if f.kind == "balance.alone")
    assert alone.n_rows == 1 and alone.score == pytest.approx(2 / 6)
    assert "2 of 6 rows added are copies" in alone.message


def test_a_class_of_few_rows_has_fewer_neighbors_and_one_of_one_row_is_repeated() -> None:
    X, y = np.arange(12.5).reshape(-1, 1)[:12], np.array([0] * 8 + [1] * 3 + [2])
    with pytest.warns(TilthWarning) as told:
        stage = BalanceSMOTE().fit(X, y)
    assert [str(w.message).partition(", ")[0] for w in told] == [
        "balance.smote: Class '1' has 3 rows",
        "balance.smote: Class '2' has one row",
    ]
    assert stage.plan_.times[-1] == 8 and Counter(y[stage.plan_.parents[:, 0]]) == {1: 5}
    few = [f for f in stage.findings_ if f.kind == "balance.few"]
    assert [f.score for f in few] == [3.0, 1.0] and few[0].remedy == {"balance.weight": {}}


def test_a_method_without_a_base_says_so_and_takes_all_rows() -> None:
    X, y = numbers()
    X = X + 100 * y[:, None]  # far apart: no row is in danger
    for method in ("borderline-1", "adasyn"):
        with pytest.warns(TilthWarning, match="finds no row of class '1'"):
            stage = BalanceSMOTE(method=method).fit(X, y)
        assert len(np.unique(stage.plan_.parents[:, 0])) == (y == 1).sum()
        assert [f.kind for f in stage.findings_] == ["balance.classes", "balance.method"]


def test_types_are_kept_in_pandas_and_polars() -> None:
    random, n = np.random.default_rng(0), 80
    X = pd.DataFrame(
        {
            "float32": random.normal(size=n).astype(np.float32),
            "Int64": pd.array(random.integers(0, 9, n), dtype="Int64"),
            "gappy": np.where(random.random(n) < 0.2, np.nan, random.integers(0, 9, n)),
            "category": pd.Categorical(random.choice(list("ab"), n), categories=list("bac"), ordered=True),
            "string": pd.array(random.choice(list("ab"), n), dtype="string"),
            "flag": random.random(n) < 0.5,
            "when": pd.date_range("2020", periods=n),
        }
    )
    X.loc[::7, "Int64"] = pd.NA
    y = pd.Series(np.where(np.arange(n) < 20, "rare", "often"), dtype="category", name="label")
    out, labels = BalanceSMOTE().fit_resample(X, y)
    assert out.dtypes.equals(X.dtypes) and labels.dtype == y.dtype and labels.name == "label"
    made = out.iloc[n:]
    assert (made["gappy"].dropna() % 1 == 0).all() and made["when"].dt.normalize().equals(made["when"])
    frame = pl.from_pandas(X)
    assert BalanceSMOTE().fit_resample(frame, y.astype(str).to_numpy())[0].schema == frame.schema


def test_columns_not_chosen_have_the_bases_cells() -> None:
    X, y = mixed()
    frame = pl.from_pandas(X).with_columns(pl.Series("note", [f"n{i}" for i in range(len(y))]))
    plan = BalanceSMOTE(on="a").fit(frame, y).plan_
    base = plan.parents[:, 0]
    assert plan.parents.shape[1] == 2
    for name in ("b", "c", "d", "note"):
        assert plan.fresh[name].equals(frame[name].gather(base))
    assert not plan.fresh["a"].equals(frame["a"].gather(base))


def test_rows_without_a_label_and_rows_that_share_no_cell_are_left_alone() -> None:
    X = pl.DataFrame({"x": [1.5, 2.5, None, 4.5, 5.5, 6.5], "z": [None, None, 1.5, None, 2.5, None]})
    stage = BalanceSMOTE(k=1, ratio={"b": 7})
    stage.fit(X, ["b", "b", "b", "a", None, "a"])
    made, copied = stage.plan_.parents, stage.plan_.times
    assert (
        set(made.ravel().tolist()) == {0, 1} and copied[2] in (2, 3) and (copied[[0, 1, 3, 4, 5]] == 1).all()
    )


def test_a_plan_says_of_each_base_why() -> None:
    X, y = numbers()
    plan = BalanceSMOTE().fit(X, y).plan_
    assert set(plan.reason[y == 1]) == {f"class '1' has {(y == 1).sum()} rows of {(y == 0).sum()}"}
    assert set(plan.reason[y == 0]) == {""}


def test_nothing_is_made_where_classes_have_enough() -> None:
    X, y = numbers()
    stage = BalanceSMOTE(ratio=0.05).fit(X, y)
    assert stage.plan_.fresh is None and not stage.findings_ and (stage.plan_.times == 1).all()


def test_what_cannot_be_used_is_refused() -> None:
    X, y = numbers()
    with pytest.raises(DataError, match=r"target.*fractions"):
        BalanceSMOTE().fit(X, X[:, 0])
    with pytest.raises(DataError, match="no column that can be compared"):
        BalanceSMOTE().fit(pl.DataFrame({"v": [[1.0], [2.0]]}), [0, 1])
    with pytest.raises(DataError, match="asks for 3 rows of class '1'"):
        BalanceSMOTE(ratio={1: 3}).fit(X, y)


@pytest.mark.parametrize("on", [None, "numeric"])
def test_no_row_is_made_between_images(on: object) -> None:
    frame = pl.DataFrame({"path": [f"{i}.png" for i in range(30)], "v_1": np.linspace(0, 1, 30)})
    images = Table.of(frame, pl.Series("y", ["a"] * 20 + ["b"] * 10), roles=Roles(image="path"))
    with pytest.raises(DataError, match=r"balance\.smote: makes new rows.*balance\.over.*augment\.images"):
        BalanceSMOTE(on=on).fit_resample(images)
    embedded = Table.of(frame.drop("path"), pl.Series("y", ["a"] * 20 + ["b"] * 10))
    assert BalanceSMOTE(on=on).fit_resample(embedded).height == 40
