"""The transfer probe: vectors of a frozen network and a linear model, or the network's last blocks tuned."""

import pickle

import numpy as np
import polars as pl
import pytest
import torch
from tests.probes.drawn import drawn
from torch import nn

from tilth.errors import DataError, TilthError, TilthWarning
from tilth.probes import Transfer
from tilth.probes.pictures import Shelf, UnreadableImages
from tilth.stages.augment.mixup import AugmentMixup
from tilth.training.backbones import Network, backbone
from tilth.training.finetune import Tuned, last_blocks


class Small(nn.Sequential):
    """A network of three convolutions, with random weights."""

    def __init__(self):
        with torch.random.fork_rng([]):
            torch.manual_seed(0)
            super().__init__(
                nn.Conv2d(3, 8, 3, 2, 1),
                nn.ReLU(),
                nn.Conv2d(8, 16, 3, 2, 1),
                nn.ReLU(),
                nn.Conv2d(16, 24, 3, 2, 1),
            )


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TILTH_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    return drawn(tmp_path_factory.mktemp("shapes"), 160)


def frozen(**options):
    return Transfer(**{"model": "histograms", "device": "cpu", "random_state": 0, **options})


def tuned(**options):
    return Transfer(
        **{
            "model": Small(),
            "side": 32,
            "finetune": True,
            "device": "cpu",
            "random_state": 0,
            "max_epochs": 3,
        }
        | {"learning_rate": 3e-3, **options}
    )


def test_a_linear_model_of_the_vectors_as_scikit_learn_fits_it(shapes):
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression

    frame, kinds, _ = shapes
    model = frozen(C=2.0).fit(frame[:120], kinds[:120])
    vectors = backbone("histograms").embed(frame["path"].to_list()).astype(np.float64)
    # Turned to their components, and no longer on the whole than 1: the penalty does not see a rotation.
    turned = PCA().fit(vectors[:120])
    X = turned.transform(vectors) / turned.explained_variance_.sum() ** 0.5 * (120 / 119) ** 0.5
    peer = LogisticRegression(C=2.0, max_iter=1000, tol=1e-8).fit(X[:120], kinds[:120])
    np.testing.assert_allclose(model.predict_proba(frame[120:]), peer.predict_proba(X[120:]), atol=2e-3)
    assert model.backbone_ == "histograms"
    assert not model.augments


def test_learns_classes_and_numbers_on_held_out_images(shapes):
    frame, kinds, sizes = shapes
    assert frozen().fit(frame[:120], kinds[:120]).score(frame[120:], kinds[120:]) > 0.75
    assert frozen(task="regression").fit(frame[:120], sizes[:120]).score(frame[120:], sizes[120:]) > 0.2


def test_the_unit_of_a_regression_target_does_not_matter(shapes):
    frame, _, sizes = shapes
    plain = frozen(task="regression").fit(frame[:60], sizes[:60]).predict(frame[60:])
    moved = frozen(task="regression").fit(frame[:60], 1e3 + 1e-2 * sizes[:60]).predict(frame[60:])
    np.testing.assert_allclose((moved - 1e3) / 1e-2, plain, atol=1e-4)


def test_images_that_cannot_be_read_are_told_and_answered_by_the_shares(shapes, tmp_path):
    frame, kinds, _ = shapes
    (tmp_path / "text.png").write_bytes(b"no image")
    paths = pl.DataFrame({"path": [*frame["path"][:40], str(tmp_path / "text.png"), None]})
    y = np.array([*kinds[:40], "disc", "disc"])
    shares = [np.mean(y == "disc"), np.mean(y == "square")]
    for model in (frozen(), tuned(max_epochs=1)):
        with pytest.warns(UnreadableImages, match=r"2 of 42 images cannot be read .*not learned from"):
            model.fit(paths, y)
        with pytest.warns(UnreadableImages, match="answered without being seen"):
            said = model.predict_proba(paths)
        np.testing.assert_allclose(said[40:], [shares] * 2)
        assert (said[:40] != shares).all()
    with pytest.warns(UnreadableImages), pytest.raises(DataError, match="at least 2 readable images"):
        frozen(task="regression").fit(paths[39:], np.arange(3.0))


def test_a_class_of_which_no_image_can_be_read_is_known_and_not_answered(shapes):
    frame, kinds, _ = shapes
    paths = pl.DataFrame({"path": [*frame["path"][:40], "gone.png"]})
    for model in (frozen(), tuned(max_epochs=1)):
        with pytest.warns(UnreadableImages):
            model.fit(paths, np.array([*kinds[:40], "other"]))
        assert model.classes_.tolist() == ["disc", "other", "square"]
        assert model.predict_proba(frame[:9])[:, 1].max() < 1e-3


def test_tuning_starts_from_the_linear_model_and_trains_the_last_blocks_only(shapes):
    frame, kinds, _ = shapes
    model = tuned().fit(frame[:120], kinds[:120])
    assert model.augments
    fresh = Small()
    moved = [
        not torch.equal(new, old)
        for new, old in zip(model.network_.body.parameters(), fresh.parameters(), strict=True)
    ]
    assert moved == [False] * 4 + [model.best_epoch_ >= 0] * 2
    assert len(model.history_) <= 3
    linear = Tuned(fresh, 24, 2)
    linear.start(*(torch.from_numpy(part) for part in model._linear_layer()))
    vectors = backbone(fresh, side=32).embed(frame["path"][:9].to_list())
    with torch.inference_mode():
        made = linear.head(torch.from_numpy(vectors)).softmax(1)
    peer = model.model_.predict_proba((vectors - model.vector_mean_) * model.vector_scale_)
    np.testing.assert_allclose(made.numpy(), peer, atol=1e-4)


def test_tuning_is_no_worse_on_the_rows_kept_aside_than_the_linear_model(shapes):
    frame, kinds, sizes = shapes
    wild = tuned(learning_rate=10.0, max_epochs=2).fit(frame[:80], kinds[:80])
    assert wild.best_epoch_ == -1  # every epoch was worse
    numbers = tuned(task="regression").fit(frame[:120], sizes[:120])
    assert np.isfinite(numbers.predict(frame[120:])).all()


def test_stages_augment_where_the_network_is_tuned_and_a_warning_says_where_not(shapes):
    frame, kinds, _ = shapes
    few, y = frame[:60], kinds[:60]
    plain, mixed = (
        tuned(validation_share=0, max_epochs=1).fit(few, y, augment=stages)
        for stages in ((), AugmentMixup(alpha=1))
    )
    assert not np.array_equal(plain.predict_proba(few), mixed.predict_proba(few))
    with pytest.warns(TilthWarning, match="augment is not used without finetune=True"):
        frozen().fit(few, y, augment=[AugmentMixup()])


def test_tuning_histograms_is_refused_with_the_way_out(shapes):
    frame, kinds, _ = shapes
    with pytest.raises(TilthError, match=r"'histograms' is none.*tilth\[vision\].*model="):
        frozen(finetune=True).fit(frame[:20], kinds[:20])


def test_survives_the_trip_to_another_process(shapes):
    frame, kinds, _ = shapes
    for model in (frozen(), tuned(max_epochs=1)):
        model.fit(frame[:60], kinds[:60])
        twin = pickle.loads(pickle.dumps(model))
        np.testing.assert_allclose(twin.predict_proba(frame), model.predict_proba(frame), atol=1e-6)


def test_vectors_on_a_shelf_are_not_made_again(shapes, monkeypatch):
    frame, kinds, _ = shapes
    shelf = Shelf(sorted(frame["path"]))
    assert frozen().stock(shelf) == "embedded by histograms"
    assert frozen().stock(shelf) == ""
    plain = frozen().fit(frame[:60], kinds[:60]).predict_proba(frame)
    monkeypatch.setattr("tilth.training.backbones.Backbone.embed", lambda *_, **__: pytest.fail("made again"))
    with shelf.lent():
        np.testing.assert_array_equal(frozen().fit(frame[:60], kinds[:60]).predict_proba(frame), plain)
    with pytest.raises(pytest.fail.Exception):
        frozen().fit(frame[:60], kinds[:60])


def test_the_last_blocks_hold_a_fifth_of_the_weights():
    blocks = last_blocks(Small())
    assert [type(block).__name__ for block in blocks] == ["Conv2d"]
    deep = nn.Sequential(nn.Linear(10, 10), nn.Sequential(nn.Linear(10, 10), nn.ReLU(), nn.Linear(10, 1)))
    assert [tuple(block.weight.shape) for block in last_blocks(deep)] == [(1, 10), (10, 10)]
    assert isinstance(backbone(Small(), side=32), Network)
