"""Images as numbers: a folder becomes a table of vectors, for training and new rows alike."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from torch import nn

import tilth
from tests.laws.cases import alike, parts
from tilth.errors import BundleError, DataError, RecipeError, StageError, TilthWarning
from tilth.images.each import telling
from tilth.pipeline import prepare
from tilth.stages.embed.images import EmbedImages
from tilth.stages.impute.simple import ImputeSimple
from tilth.table import ROW, Roles, Table
from tilth.training import lite
from tilth.training.backbones import backbone

HISTOGRAMS = {"model": "histograms"}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Write a folder of dark images with a bright bar: lying, or standing."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for name in ("lying", "standing"):
        (folder / name).mkdir()
        for number in range(16):
            pixels = random.integers(0, 60, (24, 24, 3), dtype=np.uint8)
            at = random.integers(4, 18)
            bar = (slice(at, at + 3), slice(2, 22)) if name == "lying" else (slice(2, 22), slice(at, at + 3))
            pixels[bar] += 150
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def table(photos):
    return tilth.read(photos)


@pytest.fixture
def broken(photos, tmp_path):
    """Give paths: a good one, one that is cut, one of text, one that is not there, and none."""
    good = photos / "lying" / "0.png"
    (tmp_path / "cut.png").write_bytes(good.read_bytes()[:150])
    (tmp_path / "text.png").write_text("no image")
    return [str(good), *(str(tmp_path / name) for name in ("cut.png", "text.png", "absent.png")), None]


class Means(nn.Module):
    """Give the channels as maps."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1, 3, 1, 1))

    def forward(self, images):
        return images * self.scale


def kinds_of(stage):
    return [found.kind for found in stage.findings_]


def test_the_vectors_of_the_backbone_take_the_place_of_the_path(table):
    rows = table.with_frame(table.frame.with_columns(age=pl.int_range(pl.len())))
    stage = EmbedImages(**HISTOGRAMS)
    out = stage.fit_transform(rows)
    names = [f"path_{i}" for i in range(1, 689)]
    assert out.features == [*names, "age"]
    assert set(out.frame.select(names).collect_schema().values()) == {pl.Float32()}
    wanted = backbone("histograms").embed(rows.X()["path"].to_list())
    np.testing.assert_array_equal(out.X().select(names).to_numpy(), wanted)
    np.testing.assert_array_equal(stage.transform(rows).X().to_numpy()[:, :-1], wanted)
    assert kinds_of(stage) == ["embed.model"]
    assert out.y.equals(table.y)


def test_a_model_behind_it_learns_from_a_folder(table, tmp_path):
    pipe = tilth.Pipeline([EmbedImages(**HISTOGRAMS), LogisticRegression(max_iter=500)])
    half = table.with_frame(table.frame.filter(pl.int_range(pl.len()) % 2 == 0))
    rest = table.with_frame(table.frame.filter(pl.int_range(pl.len()) % 2 == 1))
    answers = pipe.fit(half).predict(rest)
    assert len(answers) == rest.height
    assert np.mean(answers == rest.y.to_numpy()) >= 0.9
    pipe.save(tmp_path / "bundle")
    again = tilth.load(tmp_path / "bundle")
    np.testing.assert_array_equal(again.predict_proba(rest), pipe.predict_proba(rest))
    told = pipe.explain(rest.X().head(1))
    assert told.filter(pl.col("column") == "path_688").height == 1


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize(
    "line",
    [
        ("labels.clean", {"probe": "linear", "folds": 2, "repeats": 1}),
        ("outliers.neighbors", {"action": "drop"}),
        ("outliers.forest", {"action": "drop"}),
        ("duplicates.near", {}),
        ("balance.over", {}),
        ("prune.coreset", {}),
        ("reduce.pca", {"keep": 4}),
    ],
    ids=lambda line: line[0],
)
def test_stages_for_tables_work_on_the_numbers(table, line, keep):
    few = table.with_frame(table.frame.filter(pl.int_range(pl.len()) < 26))
    embed = EmbedImages(model=nn.Flatten(), side=4, keep=keep)
    stages = [embed, tilth.stage(line[0], **line[1])]
    pipe = tilth.Pipeline([*stages, LogisticRegression(max_iter=200)]).fit(few)
    assert pipe.ledger_.account()["balanced"]
    assert len(pipe.predict(table)) == table.height
    assert ("path" in pipe.transform(few).X().columns) == keep


def test_rows_can_be_made_of_others_once_the_path_is_gone(table):
    few = table.with_frame(table.frame.filter(pl.int_range(pl.len()) < 24))
    smote = tilth.stage("balance.smote")
    made = tilth.Pipeline([EmbedImages(**HISTOGRAMS), smote]).fit(few)
    assert made.ledger_.account()["added"] == 8
    with pytest.raises(DataError, match=r"balance\.over"):
        tilth.Pipeline([EmbedImages(keep=True, **HISTOGRAMS), smote]).fit(few)


def test_what_comes_out_is_a_table_of_numbers_for_another_pipeline(table):
    out = tilth.Pipeline([EmbedImages(**HISTOGRAMS)]).fit(table).transform(table)
    assert out.roles.image is None
    again = tilth.Pipeline([tilth.stage("scale.standard")]).fit(out)
    assert again.transform(out).X().width == 688


def test_kept_the_path_stays_beside_the_numbers_and_no_cell_of_it_changes(table):
    pipe = tilth.Pipeline([EmbedImages(keep=True, **HISTOGRAMS)]).fit(table)
    out = pipe.transform(table)
    assert out.features[:2] == ["path", "path_1"]
    assert out.kinds["path"] == "image"
    assert out.X()["path"].equals(table.X()["path"])
    columns = pipe.ledger_.columns
    assert columns.filter(pl.col("column") == "path")["cells"].to_list() == [0]


def test_a_model_that_gets_paths_alone_names_the_stage_that_is_missing(table):
    with pytest.raises(DataError, match=r"'path' holds images. Put embed\.images before it"):
        tilth.Pipeline([LogisticRegression()]).fit(table)


def test_repeated_rows_have_the_same_vectors(table):
    ids = table.ids
    twice = table.with_frame(pl.concat([table.frame, table.frame.with_columns(pl.col(ROW) + 1)]))
    out = EmbedImages(**HISTOGRAMS).fit_transform(twice).X().to_numpy()
    np.testing.assert_array_equal(out[: len(ids)], out[len(ids) :])


def test_parts_are_the_whole(table):
    stage = EmbedImages(**HISTOGRAMS).fit_table(parts(table, [0, 5, 6]))
    whole = stage.change(table.frame).collect()
    alike(whole, EmbedImages(**HISTOGRAMS).fit_table([table]).change(table.frame).collect())
    for bounds in ([1], [0, 10, 31]):
        alike(pl.concat([stage.change(p.frame).collect() for p in parts(table, bounds)]), whole)
    assert stage.change(table.frame.head(0)).collect().schema == whole.schema


def test_training_images_that_cannot_be_read_are_a_finding_and_have_nulls(broken):
    rows = Table.of(pl.DataFrame({"photo": broken, "n": range(5)}), roles=Roles(image="photo"))
    stage = EmbedImages(**HISTOGRAMS)
    out = stage.fit_transform(rows).X()
    assert out["photo_1"].is_null().to_list() == [False, True, True, True, True]
    assert out["photo_688"].is_null().equals(out["photo_1"].is_null())
    assert kinds_of(stage) == ["embed.model", "embed.unreadable"]
    found = stage.findings_[1]
    assert found.score == pytest.approx(3 / 5)  # a path that is not known is no file that cannot be read
    assert set(found.rows) == set(rows.ids[1:4].tolist())
    assert "cut.png" in found.message
    stage.change_training(rows.frame).collect()
    assert kinds_of(stage) == ["embed.model", "embed.unreadable"]


def test_new_images_that_cannot_be_read_have_nulls_a_warning_and_an_answer(table, broken):
    pipe = tilth.Pipeline([EmbedImages(**HISTOGRAMS), ImputeSimple(), LogisticRegression(max_iter=300)])
    pipe.fit(table)
    new = pl.DataFrame({"path": broken})
    with pytest.warns(TilthWarning, match=r"3 of 5 images of 'path' cannot be read, such as .*cut\.png"):
        answers = pipe.predict(new)
    assert len(answers) == 5
    assert answers[0] == "lying"
    alone = tilth.Pipeline([EmbedImages(**HISTOGRAMS), LogisticRegression(max_iter=300)]).fit(table)
    with pytest.warns(TilthWarning), pytest.raises(DataError, match=r"impute\.simple"):
        alone.predict(new)


def test_auto_is_written_into_the_recipe_as_what_it_was(table, monkeypatch):
    monkeypatch.setattr(lite, "_PACKAGES", ("no_such_package",))
    pipe = tilth.Pipeline([EmbedImages(keep=True)])
    assert pipe.to_recipe().to_yaml() == "stages:\n  - embed.images: {keep: true}\n"
    pipe.fit(table)
    assert pipe.to_recipe().to_yaml() == "stages:\n  - embed.images: {model: histograms, keep: true}\n"
    found = {f.kind: f for f in pipe.findings_}
    assert "tilth[vision]" in found["embed.fallback"].message


@pytest.mark.skipif(not lite.installed(), reason="needs tilth[vision]")
def test_the_packaged_network_is_chosen_where_it_is_installed(table):
    few = table.with_frame(table.frame.head(3))
    stage = EmbedImages(side=32)
    assert stage.fit_transform(few).X().width == 1280
    assert stage.backbone_["name"] == "efficientnet_lite0"
    assert stage.concrete().get_params() == EmbedImages(model="efficientnet_lite0", side=32).get_params()
    assert kinds_of(stage) == ["embed.model"]


def test_a_network_of_ones_own_works_and_is_refused_where_text_or_a_bundle_must_hold_it(table, tmp_path):
    module = Means()
    pipe = tilth.Pipeline([EmbedImages(model=module, side=24, normalize=[[0, 0, 0], [1, 1, 1]])]).fit(table)
    first = pipe.transform(table).X().row(0)
    path = table.X()["path"][0]
    assert first == pytest.approx(np.asarray(Image.open(path)).mean(axis=(0, 1)) / 255, abs=1e-5)
    with pytest.raises(BundleError, match=r"tilth\.backbones"):
        pipe.save(tmp_path / "bundle")
    with pytest.raises(RecipeError, match=r"tilth\.backbones"):
        pipe.to_recipe()
    assert not (tmp_path / "bundle").exists()


def test_other_weights_than_at_fit_are_refused(table):
    module = Means()
    stage = EmbedImages(model=module, side=8).fit(table)
    with torch.no_grad():
        module.scale.mul_(2)
    with pytest.raises(StageError, match="not the one that was fitted with"):
        stage.transform(table).X()


def test_a_function_is_a_backbone_too(table):
    stage = EmbedImages(model=lambda images: images.mean(dim=(2, 3)), side=8)
    assert stage.fit_transform(table).X().shape == (table.height, 3)


@pytest.mark.parametrize("given", [{"batch_size": 1}, {"device": "cpu"}, {"max_pixels": 24 * 24}])
def test_how_it_is_computed_does_not_change_the_numbers(table, given):
    one, two = (EmbedImages(model="histograms", **more).fit_transform(table).X() for more in ({}, given))
    assert one.equals(two)


def test_parameters_do_what_they_say(table, capsys, tmp_path, monkeypatch):
    few = table.with_frame(table.frame.head(3))
    stage = EmbedImages(max_pixels=24 * 24 - 1, **HISTOGRAMS)
    assert stage.fit_transform(few).X()["path_1"].null_count() == 3
    EmbedImages(progress=True, **HISTOGRAMS).fit_transform(few).X()
    assert "embed.images: 3 of 3 images" in capsys.readouterr().err
    monkeypatch.setenv("TILTH_CACHE", str(tmp_path / "kept"))
    EmbedImages(cache=False, **HISTOGRAMS).fit_transform(table).X()
    assert not (tmp_path / "kept").exists()
    EmbedImages(**HISTOGRAMS).fit_transform(table).X()
    assert (tmp_path / "kept" / "embeddings").is_dir()
    with pytest.raises(DataError, match="64 pixels"):
        EmbedImages(model="histograms", side=65).fit(few)


def test_who_runs_a_pipeline_is_told_how_far_it_is(table):
    told: list[str] = []
    with telling(told.append):
        tilth.Pipeline([EmbedImages(**HISTOGRAMS)]).fit(table)
    assert told[-1].startswith("32 of 32 images (")


def test_frames_of_users_work_where_the_column_is_named(table):
    paths = table.X()
    rows = paths.to_pandas()
    assert EmbedImages(**HISTOGRAMS).fit_transform(rows).equals(rows)
    out = EmbedImages(on=["path"], **HISTOGRAMS).fit_transform(rows)
    assert type(out) is type(rows)
    assert out.shape == (table.height, 688)


def test_names_that_are_taken_are_not_taken_twice(table):
    rows = table.X().with_columns(path_1=pl.lit(7.0))
    out = EmbedImages(on=["path"], **HISTOGRAMS).fit_transform(rows)
    assert out["path_1"].unique().to_list() == [7.0]
    assert "path_1_" in out.columns


def test_fitting_without_images_loads_no_network(table):
    stage = EmbedImages().fit(pl.DataFrame({"a": [1.0, 2.0]}))
    assert (stage.backbone_, stage.findings_) == ({}, [])
    assert stage.concrete() is stage


def test_a_name_that_is_unknown_is_refused_before_data_is_read():
    with pytest.raises(RecipeError, match="did you mean 'histograms'"):
        tilth.Recipe.from_text("stages: [{embed.images: {model: histogram}}]")
    with pytest.raises(ValueError, match="did you mean 'histograms'"):
        EmbedImages(model="histogram").fit(pl.DataFrame({"a": [1.0]}))
    with pytest.raises(RecipeError, match="at least 3"):
        tilth.Recipe.from_text("stages: [{embed.images: {normalize: [[1, 1], [1, 1, 1]]}}]")


def test_it_works_from_a_recipe_file(photos, tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text(f"data: {{path: {photos}}}\nstages:\n  - embed.images: {{model: histograms}}\n")
    done = prepare(tilth.Recipe.read(recipe))
    assert done.after.X().width == 688
    assert done.after.height == 32
