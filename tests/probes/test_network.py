"""A torch module of the user's is a probe of columns or images, begun anew in each fit."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.utils.estimator_checks import parametrize_with_checks
from tests.probes.drawn import drawn
from torch import nn

from tilth.bench import ablate, compare
from tilth.bench.given import judges
from tilth.errors import BundleError, DataError
from tilth.pipeline import Pipeline
from tilth.probes import MLP, Network
from tilth.probes.pictures import UnreadableImages
from tilth.stages.augment.mixup import AugmentMixup
from tilth.stages.scale.standard import ScaleStandard
from tilth.table import Table
from tilth.training import Recorder


def hidden(inputs, outputs):
    return nn.Sequential(nn.Linear(inputs, 32), nn.ReLU(), nn.Linear(32, outputs))


def lazy(outputs=2):
    return nn.Sequential(nn.LazyLinear(32), nn.ReLU(), nn.Linear(32, outputs))


def quick(module=hidden, **options):
    quickly = {"device": "cpu", "random_state": 0, "batch_size": 64, "learning_rate": 0.01, "max_epochs": 40}
    return Network(module, **{**quickly, **options})


def interaction(rows=600):
    X = np.random.default_rng(0).normal(size=(rows, 4))
    return X, X[:, 0] * X[:, 1]


def looks(inputs, outputs):
    """A network that flattens as users do."""

    class Looks(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.head = nn.Conv2d(inputs, 8, 3, stride=4), nn.LazyLinear(outputs)

        def forward(self, X):
            seen = torch.relu(self.conv(X))
            return self.head(seen.view(len(seen), -1))

    return Looks()


# scikit-learn's manners


class Hidden(nn.Sequential):
    """What `hidden` makes; a class has the same name in every process, as names of tests must."""

    def __init__(self, inputs, outputs):
        super().__init__(*hidden(inputs, outputs))


@parametrize_with_checks(
    [
        quick(Hidden, task=task, batch_size=32, max_epochs=20, learning_rate=0.02)
        for task in ("classification", "regression")
    ],
    expected_failed_checks=lambda model: {
        "check_sample_weight_equivalence_on_dense_data": "rows are drawn into batches and an inner split",
        "check_methods_subset_invariance": "float32 sums differ in the last digit between batch sizes",
    },
)
@pytest.mark.filterwarnings("ignore::tilth.errors.TilthWarning")
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_a_clone_keeps_parameters_and_fits_the_same():
    X, product = interaction(200)
    model = quick(lazy(), max_epochs=3).fit(X, product > 0)
    twin = clone(model)
    assert not hasattr(twin, "network_")
    assert twin.get_params() == model.get_params()
    np.testing.assert_array_equal(twin.fit(X, product > 0).predict_proba(X), model.predict_proba(X))


def test_survives_the_trip_to_another_process():
    X, product = interaction(200)
    for module, y in ((lazy(), product > 0), (hidden, product)):
        model = quick(module, max_epochs=3).watched(Recorder()).fit(X, y)
        twin = pickle.loads(pickle.dumps(model))
        np.testing.assert_array_equal(twin.predict(X), model.predict(X))
        assert isinstance(twin.network_[0], nn.Linear)
        assert twin._watch is None


def test_importing_it_does_not_import_torch():
    code = "import sys\nfrom tilth.probes import Network\nNetwork(print)\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_naming_who_judges_does_not_import_torch(monkeypatch):
    monkeypatch.delitem(sys.modules, "torch")
    model = MLP()
    told = judges(["linear", ("mine", hidden), ("other", model)], Table.of([[1.0], [2.0]], [0, 1]))
    assert told[0] == "linear"
    assert told[1][1].module is hidden
    assert told[2] == ("other", model)
    assert "torch" not in sys.modules


# Learning


def test_learns_two_classes_more_and_numbers_on_held_out_rows():
    X, product = interaction(700)
    few, rest = slice(0, 500), slice(500, None)
    binary = quick().fit(X[few], product[few] > 0)
    assert is_classifier(binary)
    assert binary.score(X[rest], product[rest] > 0) > 0.85
    three = np.digitize(X[:, 0], [-0.4, 0.4])
    assert quick().fit(X[few], np.array(["a", "b", "c"])[three[few]]).classes_.tolist() == ["a", "b", "c"]
    assert quick(lazy(3)).fit(X[few], three[few]).score(X[rest], three[rest]) > 0.9
    numbers = quick().fit(X[few], 1e4 + 50 * product[few])
    assert is_regressor(numbers)
    assert not hasattr(numbers, "predict_proba")
    assert numbers.score(X[rest], 1e4 + 50 * product[rest]) > 0.6


def test_reads_a_mixed_gappy_table_as_the_mlp_does(mixed):
    frame, score = mixed
    y = np.where(score > 0.2, "high", "low")
    model = quick(lazy()).fit(frame, y)
    assert model.inputs_.names_ == MLP(max_epochs=1, device="cpu").fit(frame, y).inputs_.names_
    assert model.score(frame, y) > 0.8
    strange = frame.head(4).with_columns(pl.Series("age", [float("inf"), float("nan"), None, 1e308]))
    assert np.isfinite(model.predict_proba(strange)).all()
    assert model.predict_proba(frame.head(0)).shape == (0, 2)


def test_values_may_come_without_an_axis_of_outputs():
    class Flat(nn.Linear):
        def forward(self, X):
            return super().forward(X)[:, 0]

    X, _ = interaction(300)
    told = {module: quick(module, max_epochs=5).fit(X, X[:, 0]) for module in (Flat, nn.Linear)}
    np.testing.assert_allclose(told[Flat].predict(X), told[nn.Linear].predict(X))
    twin = pickle.loads(pickle.dumps(quick(nn.Linear(4, 1), max_epochs=2).fit(X, X[:, 0])))
    assert twin.predict(X).shape == (300,)


def test_rows_of_weight_zero_are_as_if_absent():
    X, product = interaction(300)
    wrong = np.random.default_rng(1).random(300) < 0.4
    given = np.where(wrong, product < 0, product > 0)
    weighted = quick(max_epochs=5).fit(X, given, sample_weight=np.where(wrong, 0.0, 1.0))
    removed = quick(max_epochs=5).fit(X[~wrong], given[~wrong], np.ones((~wrong).sum()))
    np.testing.assert_array_equal(weighted.predict_proba(X), removed.predict_proba(X))
    heavy = quick(max_epochs=5).fit(X, product > 0, np.where(product > 0, 10.0, 1.0)).predict(X)
    assert heavy.mean() > quick(max_epochs=5).fit(X, product > 0).predict(X).mean()


def test_a_last_batch_of_one_row_does_not_stop_batch_norm():
    X, product = interaction(65)
    module = nn.Sequential(
        nn.LazyLinear(8), nn.LazyBatchNorm1d(), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 2)
    )
    model = quick(module, validation_share=0, batch_size=32, max_epochs=3).fit(X, product > 0)
    assert int(model.network_[1].num_batches_tracked) == 6
    assert len(model.history_) == 3


def test_what_looks_on_sees_the_training():
    X, product = interaction(300)
    watch = Recorder()
    model = quick(max_epochs=4, patience=40).watched(watch).fit(X, product > 0)
    assert len(watch.scores) == len(watch.validation_scores) == len(model.history_) == 4


OPTIONS = {
    "learning_rate": 0.1,
    "weight_decay": 0.5,
    "batch_size": 32,
    "max_epochs": 2,
    "validation_share": 0.4,
    "optimizer": "rmsprop",
    "momentum": 0.5,
    "warmup_share": 0.5,
    "clip_norm": 0.01,
    "l1": 0.01,
    "l2": 0.1,
    "scale": "standard",
    "max_categories": 2,
    "random_state": 1,
}


@pytest.mark.parametrize("name", OPTIONS)
def test_each_option_changes_the_training(name):
    X, product = interaction(200)
    frame = pl.DataFrame(X).with_columns(city=pl.Series(np.digitize(X[:, 2], [-0.5, 0.5])).cast(pl.String))
    plain, other = (
        quick(max_epochs=3, **more) if "max_epochs" not in more else quick(**more)
        for more in ({}, {name: OPTIONS[name]})
    )
    answers = [model.fit(frame, product > 0).predict_proba(frame) for model in (plain, other)]
    assert not np.array_equal(*answers)


def test_batch_stages_reach_its_training():
    X, product = interaction(200)
    plain, mixed_up = (
        quick(max_epochs=3).fit(X, product > 0, augment=stages).predict_proba(X)
        for stages in ((), [AugmentMixup(random_state=0)])
    )
    assert not np.array_equal(plain, mixed_up)


# Weights drawn anew


def test_nothing_that_the_module_learned_before_is_left_in_it():
    X, product = interaction(300)
    fresh = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 2))
    learned = quick(fresh).fit(X, product > 0).network_
    assert int(learned[1].num_batches_tracked) > 0
    before = copy.deepcopy(learned.state_dict())
    models = [quick(module, max_epochs=2).fit(X, product > 0) for module in (fresh, learned, learned)]
    for model in models[1:]:
        np.testing.assert_array_equal(model.predict_proba(X), models[0].predict_proba(X))
    for name, tensor in learned.state_dict().items():
        assert torch.equal(tensor, before[name])  # a pattern is never trained


@pytest.mark.parametrize("module", [hidden, lazy(), nn.Linear(4, 2)])
def test_seeds_vary_the_start_and_fix_it(module):
    X, product = interaction(200)
    torch.manual_seed(3)
    state = torch.random.get_rng_state()
    one, again, other = (
        quick(module, max_epochs=1, random_state=seed).fit(X, product > 0).predict_proba(X)
        for seed in (0, 0, 1)
    )
    assert torch.equal(torch.random.get_rng_state(), state)
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_attention_is_drawn_anew_as_well():
    class Attends(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Linear(1, 8)
            self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
            self.head = nn.Linear(8, 2)

        def forward(self, X):
            return self.head(self.layer(self.embed(X[:, :, None])).mean(1))

    X, product = interaction(100)
    first = Attends()
    second = copy.deepcopy(first)
    with torch.no_grad():
        for parameter in second.parameters():
            parameter.add_(1.0)
    told = [quick(module, max_epochs=1).fit(X, product > 0).predict_proba(X) for module in (first, second)]
    np.testing.assert_array_equal(*told)


def test_a_callable_may_begin_from_weights_of_its_own_and_does_not_train_them():
    X, product = interaction(300)
    learned = quick().fit(X, product > 0).network_
    head = copy.deepcopy(learned.state_dict())
    model = quick(lambda inputs, outputs: learned, learning_rate=1e-9, max_epochs=1).fit(X, product > 0)
    assert model.score(X, product > 0) > 0.85  # as it was
    assert all(torch.equal(tensor, head[name]) for name, tensor in learned.state_dict().items())


# Errors


class Token(nn.Module):
    def __init__(self):
        super().__init__()
        self.token, self.head = nn.Parameter(torch.zeros(4)), nn.Linear(4, 2)

    def forward(self, X):
        return self.head(X + self.token)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Linear(4, 3), r"in shape \(3, 3\); it must be \(3, 2\): one logit for each of 2 classes"),
        (nn.Linear(4, 1), r"in shape \(3, 1\); it must be \(3, 2\)"),
        (nn.Linear(5, 2), r"cannot take a batch of shape \(3, 4\): .*nn.LazyLinear"),
        (nn.GRU(4, 2), "must return one tensor; it returned a tuple"),
        (nn.Softmax(1), r"in shape \(3, 4\)"),
        (nn.Sequential(nn.Flatten(), nn.AdaptiveAvgPool1d(2)), "no weights to train"),
        (Token(), "parameters token cannot be drawn anew.*pass a callable"),
        (nn.utils.parametrizations.weight_norm(nn.Linear(4, 2)), "cannot be drawn anew"),
        (nn.Sequential(nn.Linear(4, 4).requires_grad_(False), nn.Linear(4, 2)), "not to be trained"),
        (lambda inputs: nn.Linear(4, 2), "cannot be called so"),
        (lambda inputs, outputs: "module", "returned a str"),
    ],
)
def test_a_module_that_cannot_be_right_is_refused(module, message):
    X, product = interaction(50)
    with pytest.raises(DataError, match=f"Network: .*{message}"):
        quick(module).fit(X, product > 0)


def test_one_value_is_needed_of_a_regression():
    X, product = interaction(50)
    with pytest.raises(DataError, match=r"in shape \(2, 2\); it must be \(2, 1\): one value per row"):
        quick(nn.Linear(4, 2)).fit(X, product)


def test_what_is_no_module_is_refused_by_scikit_learns_own_error():
    with pytest.raises(ValueError, match=r"The 'module' parameter of Network must be a callable"):
        Network("resnet").fit([[1.0], [2.0]], [0, 1])


# Pipelines and bundles


def test_ends_a_pipeline_and_cannot_be_saved_in_a_bundle(mixed, tmp_path):
    frame, score = mixed
    y = pl.Series("y", np.where(score > 0.2, "high", "low"))
    pipe = Pipeline([ScaleStandard(), ("mine", quick(lazy(), max_epochs=5))]).fit(frame, y)
    np.testing.assert_array_equal(
        pipe.predict(frame),
        quick(lazy(), max_epochs=5).fit(pipe[:-1].transform(frame), y).predict(pipe[:-1].transform(frame)),
    )
    with pytest.raises(BundleError, match=r"\(Network\) holds a network of your own, which is code"):
        pipe.save(tmp_path / "bundle")
    pipe[:-1].save(tmp_path / "stages")


# In the bench


def scores_of(done):
    return done.scores.drop_nans()["value"].to_numpy()


def test_a_module_judges_like_the_probe_that_holds_it(mixed):
    frame, score = mixed[0][:240], mixed[1][:240]
    y = score > 0.2
    learned = quick(lazy(), max_epochs=3).fit(frame, y).network_  # it has seen all rows
    few = {"folds": 2, "repeats": 1, "n_jobs": 1}
    stages = [ScaleStandard()]
    told = [
        compare(None, stages, frame, y, probes=[("mine", module)], **few)
        for module in (learned, Network(learned), Network(copy.deepcopy(learned).apply(_drawn)))
    ]
    assert all(np.array_equal(scores_of(done), scores_of(told[0])) for done in told)
    assert not [f for f in told[0].leaks if f.kind == "bench.fitted_allowed"]
    assert told[0].scores.filter(metric="roc_auc")["value"].min() > 0.6
    assert set(told[0].scores["probe"]) == {"mine"}


def _drawn(module):
    if hasattr(module, "reset_parameters"):
        module.reset_parameters()


def test_a_callable_judges_any_number_of_columns_and_goes_to_other_processes():
    cloudpickle = pytest.importorskip("cloudpickle")
    X, product = interaction(200)
    few = {"folds": 2, "repeats": 1, "n_jobs": 1}
    module = lambda inputs, outputs: nn.Linear(inputs, outputs)  # no pickle takes it
    one, two = (
        ablate([ScaleStandard()], X, product > 0, probes=[("mine", each)], **few)
        for each in (module, pickle.loads(cloudpickle.dumps(Network(module))))
    )
    assert np.array_equal(scores_of(one), scores_of(two))
    assert set(one.scores["probe"]) == {"mine"}


def test_its_own_gradients_are_followed_and_its_rate_is_tuned():
    X, _ = interaction(160)
    few = {"folds": 2, "repeats": 1, "n_jobs": 1, "probes": [("mine", quick(nn.Linear, max_epochs=4))]}
    done = compare(None, None, X, X[:, 0], robustness=True, tune=True, **few)
    attacked = done.robustness.scores.filter(pl.col("challenge").is_in(["fgsm", "pgd"]), metric="rmse")
    whole = done.robustness.scores.filter(challenge="as it is", metric="rmse")["value"].mean()
    assert attacked["value"].min() > 0
    assert attacked.filter(level=0.1)["value"].mean() > whole
    assert not done.robustness.notes
    assert set(done.tuned["parameter"]) == {"learning_rate"}


def test_many_classes_are_classes_to_a_probe_that_was_not_told():
    codes = np.tile(np.arange(24), 10)
    X = np.random.default_rng(0).normal(size=(240, 2)) + codes[:, None]
    y = np.char.add("class ", codes.astype(str))
    done = compare(None, None, X, y, probes=[("mine", nn.Linear)], folds=2, repeats=1, n_jobs=1)
    assert done.task == "multiclass"
    assert np.isfinite(done.scores.filter(metric="log_loss")["value"].to_numpy()).all()


@pytest.mark.parametrize(
    ("probes", "message"),
    [
        (
            [nn.Sequential(nn.Linear(4, 2), nn.ReLU())],
            r"Sequential is neither the name of a probe nor a pair",
        ),
        ([("mine", 3)], "'mine' is 3, which cannot be fitted"),
        ([("mine", Network)], "which cannot be fitted. Pass an estimator \\(not its class\\)"),
    ],
)
def test_what_cannot_judge_is_refused(probes, message):
    X, product = interaction(40)
    with pytest.raises(DataError, match=message):
        compare(None, None, X, product > 0, probes=probes, folds=2, repeats=1, n_jobs=1)


# Images


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    """120 images."""
    return drawn(tmp_path_factory.mktemp("shapes"), 120)


def test_learns_from_images_where_there_is_nothing_else(shapes, tmp_path):
    frame, kinds, sizes = shapes
    model = quick(looks, max_epochs=8).fit(frame[:90], kinds[:90])
    assert model.of_images_
    assert model.reads_images
    assert model.score(frame[90:], kinds[90:]) > 0.65
    flat = nn.Sequential(nn.Flatten(), nn.LazyLinear(1))
    numbers = quick(flat, task="regression", max_epochs=1).fit(frame[:20], sizes[:20])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(numbers)).predict(frame), numbers.predict(frame))
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    with pytest.warns(UnreadableImages, match="Network: 1 of 1 images"):
        said = model.predict_proba(pl.DataFrame({"path": [str(broken)]}))
    np.testing.assert_allclose(said[0], [np.mean(kinds[:90] == c) for c in model.classes_])


def test_looks_at_the_columns_unless_an_image_is_named(shapes):
    frame, kinds, sizes = shapes
    both = frame.with_columns(size=pl.Series(sizes))
    columns = quick(nn.Linear, max_epochs=1).fit(both, kinds)
    assert (columns.reads_images, columns.inputs_.names_) == (False, ["size"])
    pictures = quick(looks, image="path", max_epochs=1, side=16, framing="pad").fit(both, kinds)
    assert pictures.reads_images
    assert clone(columns).reads_images is False
    assert pictures.network_.head.in_features == 8 * 4 * 4


def test_a_module_judges_images_decoded_once(shapes):
    frame, kinds, _ = shapes
    few = {"folds": 2, "repeats": 1, "n_jobs": 1}
    module = nn.Sequential(nn.LazyConv2d(4, 3, stride=4), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2))
    done = compare(None, None, frame, kinds, probes=[("mine", Network(module, max_epochs=2))], **few)
    told = [f.message for f in done.leaks if f.kind == "bench.images"]
    assert len(told) == 1
    assert told[0].startswith("mine: 120 images were decoded to 32 x 32 pixels once")
    pipe = Pipeline([("mine", Network(module, max_epochs=2))])
    again = compare(pipe, pipe, frame, kinds, probes=[], **few)
    assert np.array_equal(scores_of(again), scores_of(done))
