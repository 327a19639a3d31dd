"""AugmentImages: keyed draws, strengths by class, and what becomes of it in pipelines and bundles."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import tilth
from tilth.errors import DataError, RecipeError, StageError
from tilth.stages.augment.images import AugmentImages
from tilth.table import Roles, Table

POLICIES = ["light", "standard", "heavy", "trivial", "rand"]


def picture(side: int = 28, seed: int = 0) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(30, 220, (4, 4, 3), dtype=np.uint8)
    return np.ascontiguousarray(np.asarray(Image.fromarray(coarse).resize((side, side), Image.BICUBIC)))


def table(counts: dict[object, int], **more: object) -> Table:
    labels = [name for name, count in counts.items() for _ in range(count)]
    paths = [f"{place}.png" for place in range(len(labels))]
    return Table.of(pl.DataFrame({"path": paths, **more}), pl.Series("y", labels), roles=Roles(image="path"))


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("side", [28, 224])
def test_each_policy_changes_most_images_and_keeps_shape_and_type(policy, side):
    stage, before = AugmentImages(policy=policy), picture(side)
    outs = [stage.augment_image(before, row=row, epoch=0) for row in range(40)]
    assert all(out.shape == before.shape and out.dtype == np.uint8 for out in outs)
    assert np.mean([not np.array_equal(out, before) for out in outs]) > 0.6
    assert len({out.tobytes() for out in outs}) > (8 if policy == "rand" else 15)
    assert np.array_equal(before, picture(side))


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(POLICIES), st.integers(0, 2**64 - 1), st.integers(0, 10**6), st.integers(0, 2**31))
def test_an_image_is_keyed_by_seed_row_and_epoch(policy, row, epoch, seed):
    before = picture()
    make = lambda **key: AugmentImages(policy=policy, random_state=seed).augment_image(before, **key)
    one = make(row=row, epoch=epoch)
    assert np.array_equal(one, make(row=row, epoch=epoch))


def test_another_seed_row_or_epoch_draws_something_else():
    draw = lambda seed, row, epoch: AugmentImages(random_state=seed).augment_image(
        picture(), row=row, epoch=epoch
    )
    outs = [
        draw(*key).tobytes() for key in ((0, 1, 2), (1, 1, 2), (0, 2, 2), (0, 1, 3), (0, 2, 1), (1, 0, 2))
    ]
    assert len(set(outs)) == 6


def test_threads_in_any_order_give_the_same_images():
    stage, rows = AugmentImages(policy="heavy", transforms=["GaussNoise"]), range(120)
    work = lambda row: stage.augment_image(picture(seed=row % 5), row=row, epoch=row % 3)
    alone = [work(row) for row in rows]
    for workers in (2, 7):
        with ThreadPoolExecutor(workers) as pool:
            outs = list(pool.map(work, list(rows)[::-1]))[::-1]
        assert all(np.array_equal(a, b) for a, b in zip(alone, outs, strict=True))


def test_two_stages_of_one_seed_draw_unrelated_numbers():
    once, twice = (
        AugmentImages(policy="none", transforms=[{"HorizontalFlip": {"p": p}}]) for p in (0.5, 0.501)
    )
    before = picture()
    flipped = [
        [not np.array_equal(stage.augment_image(before, row=row, epoch=0), before) for row in range(600)]
        for stage in (once, twice)
    ]
    assert np.mean(np.equal(*flipped)) == pytest.approx(0.5, abs=0.07)
    assert np.mean(flipped) == pytest.approx(0.5, abs=0.05)


def test_without_flips_a_policy_never_mirrors():
    half = np.zeros((32, 32, 3), np.uint8)
    half[:, :8] = 255
    left = lambda stage: np.mean(
        [
            out[:, :16].mean() > out[:, 16:].mean()
            for row in range(200)
            for out in [stage.augment_image(half, row=row, epoch=0)]
        ]
    )
    assert left(AugmentImages(policy="light", flip=False)) == 1
    assert left(AugmentImages(policy="light")) == pytest.approx(0.5, abs=0.1)


def test_rarer_classes_are_changed_more_and_that_is_told():
    stage = AugmentImages(strength="balanced").for_batches(table({"often": 180, "some": 80, "rare": 5}))
    assert stage.counts_ == {"often": 180, "rare": 5, "some": 80}
    assert stage.strengths_ == {"often": 1.0, "rare": 2.0, "some": 1.5}
    (found,) = stage.findings_
    assert found.kind == "augment.strength"
    assert "'rare' 2.00 (5 images), 'some' 1.50" in found.message
    assert found.score == pytest.approx(5 / 180)
    before = picture()
    apart = {
        label: np.mean(
            [
                np.abs(stage.augment_image(before, row=row, epoch=0, label=label).astype(int) - before).mean()
                for row in range(200)
            ]
        )
        for label in ("often", "some", "rare", "never seen")
    }
    assert apart["often"] < apart["some"] < apart["rare"]
    assert apart["never seen"] == apart["often"]


def test_copies_of_an_image_count_once():
    even = table({"often": 60, "rare": 15})
    more = tilth.stage("balance.over").fit_resample(even)
    assert more.height == 120
    assert more.frame.select(pl.col("__row__").n_unique()).collect().item() == 120
    stage = AugmentImages(strength="balanced").for_batches(more)
    assert stage.strengths_ == {"often": 1.0, "rare": 2.0}


def test_the_copies_that_oversampling_makes_are_changed_differently():
    more = tilth.stage("balance.over").fit_resample(table({"often": 40, "rare": 4}))
    rare = more.frame.filter(pl.col("path") == "40.png").collect()
    assert rare.height == 10
    stage = AugmentImages().for_batches(more)
    outs = {
        stage.augment_image(picture(), row=row, epoch=0, label="rare").tobytes() for row in rare["__row__"]
    }
    assert len(outs) == 10


@pytest.mark.parametrize("labels", [["a", "b"], [0, 1], [True, False]])
def test_classes_may_be_named_whatever_their_type(labels):
    stage = AugmentImages(strength={labels[1]: 0.0}).for_batches(table(dict.fromkeys(labels, 3)))
    told = np.array(labels)[1]
    assert np.array_equal(stage.augment_image(picture(), row=3, epoch=0, label=told), picture())
    assert not np.array_equal(stage.augment_image(picture(), row=3, epoch=0, label=labels[0]), picture())


def test_classes_that_are_not_there_or_needed_are_told():
    with pytest.raises(
        DataError,
        match=r"augment\.images: strength: names the class 'rara', and the classes are 'often', 'rare'",
    ):
        AugmentImages(strength={"rara": 2.0}).for_batches(table({"often": 3, "rare": 2}))
    bare = Table.of(pl.DataFrame({"path": ["a.png", "b.png"]}), roles=Roles(image="path"))
    with pytest.raises(DataError, match="strength per class requires y"):
        AugmentImages(strength="balanced").for_batches(bare)
    with pytest.raises(StageError, match=r"is not fitted on a table of images.*A pipeline's loader does so"):
        AugmentImages(strength="balanced").augment_image(picture(), row=0, epoch=0, label="a")


def test_a_strength_of_0_does_nothing_and_transforms_stay_as_written():
    for policy in POLICIES:
        stage = AugmentImages(policy=policy, strength=0.0)
        assert np.array_equal(stage.augment_image(picture(), row=1, epoch=0), picture())
    stage = AugmentImages(strength=0.0, transforms=[{"InvertImg": {"p": 1}}])
    assert np.array_equal(stage.augment_image(picture(), row=1, epoch=0), 255 - picture())
    assert stage.written() == [{"InvertImg": {"p": 1}}]


def test_n_and_m_say_how_much_rand_does():
    before = picture()
    apart = lambda **how: np.mean(
        [
            np.abs(
                AugmentImages(policy="rand", **how).augment_image(before, row=row, epoch=0).astype(int)
                - before
            ).mean()
            for row in range(200)
        ]
    )
    assert apart(n=1, m=5) < apart(n=1, m=25) < apart(n=4, m=25)


def test_what_transforms_may_do_to_labels_is_told():
    stage = AugmentImages(transforms=["VerticalFlip", {"OneOf": {"transforms": ["InvertImg", "Blur"]}}])
    stage.for_batches(table({"a": 2, "b": 2}))
    assert [found.kind for found in stage.findings_] == ["augment.meaning"] * 2
    assert "VerticalFlip: images are turned over" in stage.findings_[0].message
    assert "InvertImg: images are recolored" in stage.findings_[1].message


def test_a_table_without_images_is_left_alone_and_that_is_told():
    frame = pl.DataFrame({"a": [1.0, 2.0]})
    stage = AugmentImages(strength="balanced").fit(frame, ["x", "y"])
    assert [found.kind for found in stage.findings_] == ["augment.no_image"]
    batch = (torch.zeros(2, 1), torch.tensor([0, 1]))
    assert all(one is two for one, two in zip(stage.augment(batch, None), batch, strict=True))
    assert AugmentImages(on=[]).fit(frame).findings_ == []
    with pytest.raises(StageError, match=r"Roles\(image='path'\)"):
        stage.augment_image(picture(), row=1, epoch=0, label="x")
    off = AugmentImages(on=[]).for_batches(table({"a": 2, "b": 2}))
    assert np.array_equal(off.augment_image(picture(), row=1, epoch=0), picture())


def test_a_recipe_says_which_line_and_what_is_nearest():
    text = "stages:\n  - augment.images:\n      transforms:\n        - HorizontlFlip: {p: 0.5}\n"
    with pytest.raises(
        RecipeError, match=r"recipe:\d+: stage 1, augment\.images: transforms: .*'HorizontalFlip'"
    ):
        tilth.Recipe.from_text(text)
    recipe = tilth.Recipe.from_text(text.replace("Horizontl", "Horizontal"))
    ((_, stage),) = recipe.build()
    assert stage.transforms == [{"HorizontalFlip": {"p": 0.5}}]
    again = tilth.Recipe.from_text(recipe.to_yaml()).build()[0][1]
    assert again.get_params() == stage.get_params()


def test_a_bundle_keeps_policy_counts_and_strengths(tmp_path):
    more = {"size": [float(i) for i in range(50)]}
    rows = table({"often": 40, "rare": 10}, **more)
    images = AugmentImages(
        policy="heavy", strength="balanced", transforms=[{"ToGray": {"p": 0.5}}], random_state=4
    )
    pipe = tilth.Pipeline([tilth.stage("scale.standard"), images]).fit(rows)
    pipe.save(tmp_path / "bundle")
    kept, back = pipe.stages_[-1][1], tilth.load(tmp_path / "bundle").stages_[-1][1]
    assert back.counts_ == {"often": 40, "rare": 10}
    assert back.strengths_ == kept.strengths_ == {"often": 1.0, "rare": 2.0}
    for label in ("often", "rare"):
        one, two = (stage.augment_image(picture(), row=5, epoch=1, label=label) for stage in (kept, back))
        assert np.array_equal(one, two)
        assert kept.written(label) == back.written(label)
    assert kept.written("rare") != kept.written("often")


def test_a_loader_draws_the_same_batches_with_any_number_of_threads(tmp_path):
    for name, count in (("often", 9), ("rare", 3)):
        (tmp_path / name).mkdir()
        for number in range(count):
            Image.fromarray(picture(32, number)).save(tmp_path / name / f"{number}.png")
    rows = tilth.read(tmp_path)
    stages = [
        tilth.stage("balance.over"),
        AugmentImages(policy="heavy", strength="balanced"),
        tilth.stage("augment.pixels", erase=0.5),
        tilth.stage("augment.cutmix"),
    ]
    pipe = tilth.Pipeline(stages).fit(rows)
    make = lambda threads: pipe.loader(rows, size=16, batch_size=5, device="cpu", threads=threads)
    one, two = make(1), make(3)
    first, again = list(one), list(two)
    assert [len(batch[0]) for batch in first] == [5, 5, 5, 3]
    assert all(
        torch.equal(a, b) for pair in zip(first, again, strict=True) for a, b in zip(*pair, strict=True)
    )
    assert first[0][0].shape == (5, 3, 16, 16)
    assert first[0][1].shape == (5, 2)
    assert not torch.equal(next(iter(one))[0], first[0][0])
    plain = pipe.loader(rows, size=16, device="cpu", training=False)
    assert sum(len(batch[0]) for batch in plain) == 12
