"""The convolutional probe learns from small images, never trips over a bad file, and lets stages augment."""

import copy
import pickle
import warnings
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.base import clone, is_classifier, is_regressor
from tests.probes.drawn import drawn

from tilth.core import BatchStage
from tilth.errors import ColumnError, DataError, StageError, TilthError
from tilth.probes import CNN, probe
from tilth.probes.pictures import UnreadableImages
from tilth.stages.augment.mixup import AugmentMixup
from tilth.table import ROW


def quick(**options):
    return CNN(**{"widths": (8, 16), "device": "cpu", "random_state": 0, **options})


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    """240 images: the first 160 to learn from."""
    return drawn(tmp_path_factory.mktemp("shapes"), 240)


class Spy(BatchStage):
    """Write down which images were changed, and change nothing."""

    per_image: ClassVar = True
    handles: ClassVar = ("image",)
    seen: ClassVar[list] = []
    fits: ClassVar[list] = []

    def learn(self, table):
        Spy.fits.append((table.height, table.y.unique().sort().to_list(), list(self.columns_)))

    def augment_image(self, pixels, *, row, epoch, label=None):
        Spy.seen.append((row, epoch, label, pixels.shape, pixels.dtype))
        return pixels


class Blank(Spy):
    """Make every image black."""

    def augment_image(self, pixels, *, row, epoch, label=None):
        return np.zeros_like(pixels)


def test_learns_classes_on_held_out_images(shapes):
    frame, kinds, _ = shapes
    model = quick().fit(frame[:160], kinds[:160])
    assert model.task_ == "classification"
    assert model.classes_.tolist() == ["disc", "square"]
    assert model.score(frame[160:], kinds[160:]) > 0.8
    said = model.predict_proba(frame[160:])
    assert said.shape == (80, 2)
    np.testing.assert_allclose(said.sum(axis=1), 1)
    assert is_classifier(model)


def test_regresses_in_any_unit(shapes):
    frame, _, sizes = shapes
    model = quick(task="regression").fit(frame[:160], sizes[:160])
    assert model.task_ == "regression"
    assert is_regressor(model)
    assert not hasattr(model, "predict_proba")
    assert model.score(frame[160:], sizes[160:]) > 0.3
    few = {"task": "regression", "max_epochs": 2}
    plain, moved = (quick(**few).fit(frame[:40], y) for y in (sizes[:40], 1e6 + 1e-3 * sizes[:40]))
    np.testing.assert_allclose((moved.predict(frame) - 1e6) / 1e-3, plain.predict(frame), atol=0.05)


def test_same_seed_same_model_and_other_seed_another(shapes):
    frame, kinds, _ = shapes
    few, y = frame[:60], kinds[:60]
    one, again, other = (
        quick(max_epochs=2, random_state=seed).fit(few, y).predict_proba(few) for seed in (0, 0, 1)
    )
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_neither_the_order_of_rows_nor_threads_change_the_model(shapes):
    frame, kinds, _ = shapes
    few = frame[:60].with_columns(pl.Series(ROW, np.arange(60), dtype=pl.UInt64))
    turned = quick(max_epochs=2, n_jobs=2).fit(few.reverse(), kinds[:60][::-1])
    plain = quick(max_epochs=2).fit(few, kinds[:60])
    # Two threads of torch add up in another order.
    np.testing.assert_allclose(turned.predict_proba(few), plain.predict_proba(few), atol=1e-2)
    same = quick(max_epochs=2).fit(few.reverse(), kinds[:60][::-1])
    assert np.array_equal(same.predict_proba(few), plain.predict_proba(few))


def test_global_random_states_and_threads_are_untouched(shapes):
    frame, kinds, _ = shapes
    before = torch.random.get_rng_state(), copy.deepcopy(np.random.get_state()), torch.get_num_threads()  # noqa: NPY002
    quick(max_epochs=1).fit(frame[:20], kinds[:20]).predict(frame[:5])
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1][1])  # noqa: NPY002
    assert torch.get_num_threads() == before[2]


def test_channels_are_normalized_by_the_training_rows(shapes):
    import cv2

    frame, kinds, _ = shapes
    model = quick(max_epochs=1).fit(frame[:20], kinds[:20])
    pixels = np.stack([cv2.imread(path)[..., ::-1] for path in frame["path"][:20]]).reshape(-1, 3)
    np.testing.assert_allclose(model.mean_, pixels.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(model.std_, pixels.std(axis=0), rtol=1e-5)


def test_history_says_how_training_went_and_the_best_weights_stay(shapes):
    frame, kinds, _ = shapes
    model = quick(patience=3, max_epochs=12).fit(frame[:160], kinds[:160])
    losses = [epoch.validation_loss for epoch in model.history_]
    assert model.best_epoch_ == int(np.argmin(losses))
    assert model.history_[-1].train_loss < model.history_[0].train_loss
    longest = quick(validation_share=0, max_epochs=2).fit(frame[:40], kinds[:40])
    assert len(longest.history_) == 2
    assert np.isnan(longest.history_[0].validation_loss)


def test_images_that_cannot_be_read_are_told_and_answered_by_the_shares(shapes, tmp_path):
    frame, kinds, _ = shapes
    (tmp_path / "text.png").write_bytes(b"no image")
    bad = [str(tmp_path / "text.png"), str(tmp_path / "gone.png"), None]
    paths = pl.DataFrame({"path": [*frame["path"][:40], *bad]})
    y = np.array([*kinds[:40], "disc", "disc", "square"])
    with pytest.warns(UnreadableImages, match=r"3 of 43 images cannot be read .*not learned from"):
        model = quick(max_epochs=2).fit(paths, y)
    with pytest.warns(UnreadableImages, match="answered without being seen"):
        said = model.predict_proba(paths)
    shares = [np.mean(y == "disc"), np.mean(y == "square")]
    np.testing.assert_allclose(said[40:], [shares] * 3)
    np.testing.assert_allclose(said[:40], model.predict_proba(paths[:40]), atol=1e-6)
    with pytest.warns(UnreadableImages):
        other = quick(max_epochs=2, task="regression").fit(paths, np.arange(43.0))
    with pytest.warns(UnreadableImages):
        np.testing.assert_allclose(other.predict(paths)[40:], 21.0)
    with pytest.warns(UnreadableImages), pytest.raises(DataError, match="at least 2 readable images"):
        quick().fit(paths[39:], y[39:])


def test_rows_of_weight_zero_are_as_if_absent(shapes):
    frame, kinds, _ = shapes
    few = frame[:60].with_columns(pl.Series(ROW, np.arange(60), dtype=pl.UInt64))
    weight = np.where(np.arange(60) < 50, 1.0, 0.0)
    weighted = quick(max_epochs=2).fit(few, kinds[:60], weight).predict_proba(few)
    absent = quick(max_epochs=2).fit(few[:50], kinds[:50], np.ones(50)).predict_proba(few)
    assert np.array_equal(weighted, absent)


def test_weights_count(shapes):
    frame, kinds, _ = shapes
    weight = np.where(kinds[:80] == "disc", 20.0, 1.0)
    plain, heavy = (quick(max_epochs=4).fit(frame[:80], kinds[:80], w) for w in (None, weight))
    assert (
        heavy.predict_proba(frame[80:160])[:, 0].mean()
        > plain.predict_proba(frame[80:160])[:, 0].mean() + 0.05
    )


def test_stages_see_each_training_image_once_an_epoch_by_row_id_and_label(shapes):
    frame, kinds, _ = shapes
    Spy.seen.clear()
    Spy.fits.clear()
    ids = np.arange(1000, 1040, dtype=np.uint64)
    few = frame[:40].with_columns(pl.Series(ROW, ids))
    given = Spy()
    model = quick(max_epochs=2, validation_share=0.25, batch_size=6).fit(few, kinds[:40], augment=given)
    assert Spy.fits == [(40, ["disc", "square"], ["path"])]
    assert not hasattr(given, "columns_")  # a clone has learned
    rows = [row for row, epoch, *_ in Spy.seen if epoch == 0]
    assert len(rows) == len(set(rows)) == 30
    assert {row for row, epoch, *_ in Spy.seen if epoch == 1} == set(rows)
    label_of = dict(zip(ids.tolist(), kinds[:40].tolist(), strict=True))
    assert all(label == label_of[row] for row, _, label, *_ in Spy.seen)
    assert {(shape, dtype) for *_, shape, dtype in Spy.seen} == {((32, 32, 3), np.dtype(np.uint8))}
    plain = quick(max_epochs=2, validation_share=0.25, batch_size=6).fit(few, kinds[:40])
    assert np.array_equal(model.predict_proba(few), plain.predict_proba(few))


def test_what_stages_do_to_images_is_trained_on(shapes):
    frame, kinds, _ = shapes
    black, plain = (
        quick(max_epochs=10, batch_size=8, validation_share=0)
        .fit(frame[:80], kinds[:80], augment=stages)
        .history_[-1]
        for stages in ([Blank()], [])
    )
    # Nothing but black: no more than the shares can be learned.
    share = np.mean(kinds[:80] == "disc")
    entropy = -share * np.log(share) - (1 - share) * np.log(1 - share)
    assert black.train_loss > entropy - 0.03 > plain.train_loss + 0.05


def test_batch_stages_and_functions_change_the_training_batches(shapes):
    frame, kinds, _ = shapes
    few, y = frame[:80], kinds[:80]
    seen = []

    def look(batch, generator):
        seen.append((batch[0].shape, batch[1].shape, float(torch.rand(1, generator=generator))))
        return batch

    mixed = quick(max_epochs=2, batch_size=34).fit(few, y, augment=[AugmentMixup(alpha=1.0), look])
    plain = quick(max_epochs=2, batch_size=34).fit(few, y)
    assert not np.array_equal(mixed.predict_proba(few), plain.predict_proba(few))
    # Labels are shares of two classes by then; draws are new for each batch.
    assert {shape for _, shape, _ in seen} == {(34, 2)}
    assert len({draw for *_, draw in seen}) == 4
    again = quick(max_epochs=2, batch_size=34).fit(few, y, augment=[AugmentMixup(alpha=1.0)])
    assert np.array_equal(mixed.predict_proba(few), again.predict_proba(few))
    numbers = quick(max_epochs=1, task="regression").fit(few, np.arange(80.0), augment=AugmentMixup())
    assert np.isfinite(numbers.predict(few)).all()
    with pytest.raises(StageError, match="expand"):
        quick().fit(few, y, augment=AugmentMixup(expand=1))


def test_survives_the_trip_to_another_process(shapes):
    frame, kinds, _ = shapes
    model = quick(max_epochs=1).fit(frame[:40], kinds[:40])
    twin = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(twin.predict_proba(frame[:9]), model.predict_proba(frame[:9]))
    assert clone(model).get_params() == model.get_params()


def test_answers_for_no_rows_and_for_one(shapes):
    frame, kinds, _ = shapes
    model = quick(max_epochs=1).fit(frame[:40], kinds[:40])
    assert model.predict(frame[:0]).shape == (0,)
    assert model.predict_proba(frame[:0]).shape == (0, 2)
    np.testing.assert_allclose(model.predict_proba(frame[:1]), model.predict_proba(frame[:7])[:1], atol=1e-5)


@pytest.mark.parametrize("framing", ["crop", "squash", "pad"])
def test_images_of_any_shape_are_brought_to_one(framing, tmp_path):
    import cv2

    paths = []
    for n, (height, width) in enumerate([(20, 60), (60, 20), (40, 40), (9, 9)] * 4):
        paths.append(str(tmp_path / f"{n}.png"))
        cv2.imwrite(paths[-1], np.full((height, width, 3), 60 * (n % 4), np.uint8))
    model = quick(max_epochs=1, side=16, framing=framing, validation_share=0).fit(
        pl.DataFrame({"a": paths}), np.arange(16) % 2
    )
    assert model.predict_proba(pl.DataFrame({"a": paths})).shape == (16, 2)


def test_any_container_and_further_columns(shapes):
    frame, kinds, _ = shapes
    few, y = frame[:40], kinds[:40]
    plain = quick(max_epochs=1).fit(few, y).predict_proba(few)
    more = few.with_columns(other=pl.Series(np.arange(40)), text=pl.Series(list("ab") * 20))
    assert np.array_equal(quick(max_epochs=1).fit(more, y).predict_proba(more), plain)
    pandas = few.to_pandas()
    assert np.array_equal(quick(max_epochs=1).fit(pandas, y).predict_proba(pandas), plain)
    array = few.to_numpy()
    assert np.array_equal(quick(max_epochs=1).fit(array, y).predict_proba(array), plain)


def test_what_is_wrong_is_named(shapes):
    frame, kinds, _ = shapes
    few, y = frame[:40], kinds[:40]
    with pytest.raises(DataError, match=r"none of the columns a looks like paths of images.*image='path'"):
        quick().fit(pl.DataFrame({"a": np.arange(40.0)}), y)
    two = few.with_columns(pl.col("path").alias("again"))
    with pytest.raises(DataError, match="path, again look like paths of images"):
        quick().fit(two, y)
    assert quick(image="again", max_epochs=1).fit(two, y).inputs_.name_ == "again"
    with pytest.raises(ColumnError, match="no column 'phto'"):
        quick(image="phto").fit(few, y)
    with pytest.raises(ColumnError, match="paths of images are texts"):
        quick(image="n").fit(few.with_columns(n=1), y)
    with pytest.raises(DataError, match="requires y"):
        quick().fit(few, None)
    with pytest.raises(ValueError, match="'side' parameter"):
        quick(side=4).fit(few, y)
    with pytest.raises(ColumnError, match="no column 'path'"):
        quick(max_epochs=1).fit(few, y).predict(pl.DataFrame({"x": ["a.png"]}))


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_an_absent_device_is_refused(shapes):
    frame, kinds, _ = shapes
    with pytest.raises(TilthError, match="'cuda' was asked for"):
        quick(device="cuda").fit(frame[:20], kinds[:20])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_learns_on_cuda(shapes):
    frame, kinds, _ = shapes
    model = quick(device="cuda").fit(frame[:160], kinds[:160], augment=[AugmentMixup(), Spy()])
    assert next(model.network_.parameters()).is_cuda
    assert model.score(frame[160:], kinds[160:]) > 0.75


@pytest.mark.parametrize("name", ["linear", "boosting", "mlp"])
def test_other_probes_leave_images_out(name, shapes):
    frame, kinds, _ = shapes
    few, y = frame[:60], kinds[:60]
    options = {"device": "cpu", "max_epochs": 3} if name == "mlp" else {}
    options = {"max_iter": 10} if name == "boosting" else options
    x = pl.Series("x", np.where(y == "disc", 1.0, 2.0) + np.linspace(0, 0.1, 60))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        both = probe(name, random_state=0, **options).fit(few.with_columns(x), y)
        alone = probe(name, random_state=0, **options).fit(pl.DataFrame([x]), y)
    assert np.array_equal(both.predict_proba(few.with_columns(x)), alone.predict_proba(pl.DataFrame([x])))
    with pytest.raises(DataError, match=r"the only columns are paths of images \(path\).*embed\.images"):
        probe(name, random_state=0, **options).fit(few, y)


def test_a_fitted_model_can_be_saved_in_a_pipeline(shapes, tmp_path: Path):
    from tilth import Pipeline, load
    from tilth.table import Roles, Table

    frame, kinds, _ = shapes
    table = Table.of(frame[:40], pl.Series("kind", kinds[:40]), roles=Roles(image="path"))
    pipe = Pipeline([("cnn", quick(max_epochs=1))]).fit(table)
    pipe.save(tmp_path / "bundle")
    twin = load(tmp_path / "bundle")
    np.testing.assert_array_equal(twin.predict_proba(frame[:9]), pipe.predict_proba(frame[:9]))
