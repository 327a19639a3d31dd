"""Scale of color channels: learned of the training images, merged, saved; the images stay as they are."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from PIL import Image

import tilth
from tests.laws.cases import alike, learned, parts
from tilth.stages.scale.channels import ScaleChannels
from tilth.table import Roles, Table


@pytest.fixture
def images(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 200, (12, 10, 10, 3), dtype=np.uint8)
    paths = []
    for number, one in enumerate(pixels):
        paths.append(str(tmp_path / f"{number}.png"))
        Image.fromarray(one).save(paths[-1])
    return pixels, paths


def table(paths, **columns):
    rows = pl.DataFrame({"photo": paths, **columns})
    return Table.of(rows, roles=Roles(image="photo"))


def kinds_of(stage):
    return [found.kind for found in stage.findings_]


def test_it_learns_what_numpy_tells_and_changes_nothing(images):
    pixels, paths = images
    stage = ScaleChannels()
    rows = table(paths, age=range(12))
    out = stage.fit_transform(rows)
    shares = pixels.reshape(-1, 3) / 255
    np.testing.assert_allclose(stage.mean_["photo"], shares.mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(stage.std_["photo"], shares.std(axis=0), atol=1e-9)
    assert out.frame.collect().equals(rows.frame.collect())
    assert stage.columns_ == ["photo"]
    assert kinds_of(stage) == ["scale.channels"]
    assert stage.findings_[0].score == 12


@pytest.mark.parametrize("given", [{}, {"max_images": 5, "random_state": 2}])
def test_parts_are_the_whole_to_the_last_bit(images, given):
    rows = table(images[1])
    whole = ScaleChannels(**given).fit_table([rows])
    for bounds in ([5], [0, 1, 2, 12], list(range(1, 12))):
        merged = ScaleChannels(**given).fit_table(parts(rows, bounds))
        assert merged.mean_ == whole.mean_
        assert merged.std_ == whole.std_
        alike(learned(merged), learned(whole))


def test_a_sample_is_drawn_by_seed(images):
    rows = table(images[1])
    means = [ScaleChannels(max_images=4, random_state=seed).fit(rows).mean_["photo"] for seed in (0, 0, 1)]
    assert means[0] == means[1] != means[2]
    assert ScaleChannels(max_images=4).fit(rows).findings_[0].score == 4


def test_repeated_rows_count_as_often_as_they_are_there(images):
    _, paths = images
    once = ScaleChannels().fit(table([paths[0], paths[1], paths[1]]))
    images_alone = [ScaleChannels().fit(table([path])).mean_["photo"][0] for path in paths[:2]]
    assert once.mean_["photo"][0] == pytest.approx((images_alone[0] + 2 * images_alone[1]) / 3)


def test_it_works_in_a_pipeline_on_training_rows_only_and_lives_in_its_bundle(images, tmp_path):
    _, paths = images
    pipe = tilth.Pipeline([ScaleChannels()]).fit(table(paths[:6]))
    stage = pipe.named_stages["scale.channels"]
    assert stage.mean_ == ScaleChannels().fit(table(paths[:6])).mean_
    pipe.transform(table(paths))
    pipe.save(tmp_path / "bundle")
    again = tilth.load(tmp_path / "bundle").named_stages["scale.channels"]
    assert (again.mean_, again.std_) == (stage.mean_, stage.std_)


def test_files_that_cannot_be_read_are_left_out_and_told(images, tmp_path):
    _, paths = images
    (tmp_path / "bad.png").write_text("no image")
    stage = ScaleChannels().fit(table([*paths, str(tmp_path / "bad.png"), None]))
    assert stage.mean_ == ScaleChannels().fit(table(paths)).mean_
    assert kinds_of(stage) == ["scale.channels", "scale.unread"]
    assert stage.findings_[1].score == pytest.approx(1 / 13)
    nothing = ScaleChannels().fit(table([str(tmp_path / "bad.png")]))
    assert (nothing.mean_, nothing.std_) == ({"photo": [0.0] * 3}, {"photo": [1.0] * 3})
    assert kinds_of(nothing) == ["scale.unread"]
    assert nothing.findings_[0].severity == "high"


def test_a_flat_channel_is_divided_by_one(tmp_path):
    Image.new("RGB", (8, 8), (0, 255, 10)).save(tmp_path / "a.png")
    Image.new("RGB", (8, 8), (90, 255, 10)).save(tmp_path / "b.png")
    stage = ScaleChannels().fit(table([str(tmp_path / "a.png"), str(tmp_path / "b.png")]))
    assert stage.std_["photo"] == pytest.approx([45 / 255, 1, 1])
    assert kinds_of(stage) == ["scale.channels", "scale.constant"]
    assert "green, blue" in stage.findings_[1].message


def test_limits_and_sizes_count(images, tmp_path):
    _, paths = images
    checks = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    Image.fromarray(checks).save(tmp_path / "checks.png")
    row = table([str(tmp_path / "checks.png")])
    assert ScaleChannels(side=16).fit(row).std_["photo"] == [1.0] * 3
    assert ScaleChannels().fit(row).std_["photo"] == pytest.approx([0.5] * 3)
    assert ScaleChannels(max_pixels=99).fit(table(paths)).findings_[0].score == 1.0
    assert kinds_of(ScaleChannels(max_pixels=100).fit(table(paths))) == ["scale.channels"]


def test_it_remembers_on_disk_only_if_asked(images, tmp_path, monkeypatch):
    monkeypatch.setenv("TILTH_CACHE", str(tmp_path / "cache"))
    rows = table(images[1])
    off = ScaleChannels(cache=False).fit(rows)
    assert not (tmp_path / "cache").exists()
    assert ScaleChannels().fit(rows).mean_ == off.mean_
    assert (tmp_path / "cache").exists()


def test_a_table_without_images_is_left_alone_and_texts_are_paths_if_named(images):
    plain = pl.DataFrame({"photo": images[1]})
    assert ScaleChannels().fit(plain).mean_ == {}
    assert list(ScaleChannels(on=["photo"]).fit(plain).mean_) == ["photo"]
