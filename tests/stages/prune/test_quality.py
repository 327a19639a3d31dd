"""Images of poor quality are found among good ones, and only what was asked for is done about them."""

import cv2
import numpy as np
import polars as pl
import pytest
from PIL import Image

from tests.images.test_properties import scenes
from tilth.core import Ledger, fit
from tilth.errors import RecipeError
from tilth.recipes import Recipe
from tilth.stages.prune.quality import UNUSABLE, PruneQuality
from tilth.table import Roles, Table

PLANTED = ("dark", "bright", "blurry", "low_information", "grey")


def spoiled(pixels, issue, rng):
    values = pixels.astype(float)
    if issue == "dark":
        values = values * rng.uniform(0.05, 0.2)
    elif issue == "bright":
        values = 255 - (255 - values) * rng.uniform(0.05, 0.1)
    elif issue == "blurry":
        values = cv2.GaussianBlur(values, (0, 0), max(pixels.shape[:2]) * rng.uniform(0.06, 0.1))
    elif issue == "low_information":
        values[:] = rng.uniform(90, 180)
    elif issue == "grey":
        values = np.repeat(values.mean(axis=2, keepdims=True), 3, axis=2)
    return np.rint(values).astype(np.uint8)


def planted(folder, count, height, width, *, color=True, form="png", issues=PLANTED, each=4):
    """Write images of which some are spoiled; give the table, and each image's issue ('' for none)."""
    rng = np.random.default_rng(height)
    images = scenes(count, height, width, seed=width)
    if not color:
        images = np.repeat(images[:, :, :, 1:2], 3, axis=3)
    issue = np.full(count, "", dtype=object)
    issue[: each * len(issues)] = np.repeat(np.array(issues, dtype=object), each)
    rng.shuffle(issue)
    folder.mkdir(parents=True, exist_ok=True)
    for number, (pixels, what) in enumerate(zip(images, issue, strict=True)):
        made = spoiled(pixels, what, rng)
        Image.fromarray(made if color else made[:, :, 0]).save(folder / f"{number:04d}.{form}")
    paths = sorted(map(str, folder.glob("*")))
    rows = pl.DataFrame({"path": paths, "label": ["cat", "dog"] * (count // 2), "w": [2.0] * count})
    return Table.of(rows, roles=Roles("label", weight="w", image="path")), issue


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TILTH_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("height", "width", "color", "form"),
    [(28, 28, False, "png"), (32, 32, True, "jpg"), (180, 240, True, "jpg")],
)
def test_planted_problems_are_found(height, width, color, form, tmp_path):
    issues = PLANTED if color else PLANTED[:-1]
    table, issue = planted(tmp_path / "a", 120, height, width, color=color, form=form, issues=issues)
    found = {f.kind: f for f in PruneQuality(issues="all", action="report").fit(table).findings_}
    for name in issues:
        rows = [int(np.flatnonzero(table.ids == row)[0]) for row in found[f"quality.{name}"].rows]
        # One that is dark, bright or blurred may have little to tell, too, and no color.
        wrong = [row for row in rows if issue[row] == ""]
        missed = set(np.flatnonzero(issue == name)) - set(rows)
        right = (issue == name).sum() - len(missed)
        assert 2 * right / (2 * right + len(wrong) + len(missed)) >= 0.9, (name, wrong, missed)
    assert not {k for k in found if k.startswith("quality.odd")}
    assert color or "quality.grey" not in found


def test_dropping_leaves_the_good_ones_and_the_ledger_says_why(tmp_path):
    table, issue = planted(tmp_path / "a", 60, 32, 32, issues=UNUSABLE, each=2)
    before = {path: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    done = fit([("quality", PruneQuality())], table)
    gone = np.flatnonzero(issue != "")
    events = done.ledger.events
    assert sorted(events["row"].to_list()) == sorted(table.ids[gone].tolist())
    assert events["action"].unique().to_list() == ["dropped"] and isinstance(done.ledger, Ledger)
    reasons = dict(zip(events["row"], events["reason"], strict=True))
    assert all(issue[row] in reasons[table.ids[row]] for row in gone)
    assert before == {path: path.read_bytes() for path in (tmp_path / "a").iterdir()}


def test_weights_fall_with_the_distance_from_the_limit(tmp_path):
    table, issue = planted(tmp_path / "a", 60, 32, 32, issues=("dark",), each=6)
    made = PruneQuality(issues=["dark"], action="weight")
    after = made.fit_resample(table)
    weight = after.role("weight").to_numpy()
    assert (weight[issue == ""] == 2).all() and (weight[issue == "dark"] < 2).all()
    (found,) = made.findings_
    assert (
        found.n_rows == 6
        and found.severity == "medium"
        and found.remedy == {"prune.quality": {"issues": ["dark"]}}
    )
    order = [int(np.flatnonzero(table.ids == row)[0]) for row in found.rows]
    assert (np.diff(weight[order]) >= 0).all() and made.plan_.score[order] == pytest.approx(weight[order] / 2)


def test_reporting_changes_nothing(tmp_path):
    table, _ = planted(tmp_path / "a", 40, 32, 32, each=1)
    made = PruneQuality(issues="all", action="report").fit(table)
    assert made.plan_.times.tolist() == [1] * 40 and made.plan_.weight is None and made.findings_


def test_only_what_is_asked_for_is_looked_for(tmp_path):
    table, issue = planted(tmp_path / "a", 60, 32, 32, each=2)
    made = PruneQuality(issues=["blurry"]).fit(table)
    assert [f.kind for f in made.findings_] == ["quality.blurry"]
    assert (np.flatnonzero(made.plan_.times == 0) == np.flatnonzero(issue == "blurry")).all()
    kinds = {f.kind for f in PruneQuality().fit(table).findings_}
    assert kinds == {f"quality.{name}" for name in UNUSABLE}


@pytest.mark.parametrize(
    ("issue", "strict", "lenient"),
    [("dark", 0.99, 0.0), ("bright", 0.0, 1.0), ("blurry", 9.0, 0.0), ("low_information", 9.0, 0.0)],
)
def test_each_limit_can_be_set(issue, strict, lenient, tmp_path):
    table, _ = planted(tmp_path / "a", 24, 32, 32, each=2)
    all_of_them = PruneQuality(issues=[issue], **{issue: strict}).fit(table)
    assert all_of_them.findings_[0].n_rows >= 19
    assert PruneQuality(issues=[issue], **{issue: lenient}).fit(table).findings_ == []


def test_what_most_images_have_is_reported_and_left(tmp_path):
    table, issue = planted(tmp_path / "a", 40, 32, 32, issues=("dark",), each=12)
    made = PruneQuality(issues=["dark"]).fit(table)
    assert (made.plan_.times == 1).all() and (made.plan_.reason == "").all()
    (found,) = made.findings_
    assert found.n_rows == 12 and "so many" in found.message and found.severity == "low"
    done = PruneQuality(issues=["dark"], most=0.5).fit(table)
    assert (done.plan_.times == 0).tolist() == (issue == "dark").tolist()


def test_a_class_of_dark_images_is_kept_and_reported(tmp_path):
    table, issue = planted(tmp_path / "a", 80, 32, 32, issues=("dark",), each=8)
    label = ["night" if what else "day" for what in issue]
    label[int(np.flatnonzero(issue == "")[0])] = None
    frame = table.frame.collect().with_columns(label=pl.Series(label))
    night = Table.of(frame, roles=table.roles)
    made = PruneQuality(issues=["dark"]).fit(night)
    assert (made.plan_.times == 1).all()
    assert [f.kind for f in made.findings_] == ["quality.dark", "quality.class"]
    assert "8 of 8 images of class 'night'" in made.findings_[1].message


def test_images_that_cannot_be_read_are_counted_and_left(tmp_path):
    table, _ = planted(tmp_path / "a", 40, 32, 32, issues=("dark",), each=2)
    (tmp_path / "a" / "0003.png").write_bytes(b"no image")
    (tmp_path / "a" / "0004.png").unlink()
    made = PruneQuality(action="weight", most=0.5).fit(table)
    unread = [f for f in made.findings_ if f.kind == "quality.unread"]
    assert unread[0].n_rows == 2 and unread[0].remedy == {"prune.unreadable": {}}
    assert made.plan_.times[3:5].tolist() == [1, 1] and np.isnan(made.plan_.score[3:5]).all()
    assert made.plan_.weight[3:5].tolist() == [1, 1]
    capped = PruneQuality(max_pixels=100).fit(table)
    assert capped.findings_[0].n_rows == 40 and (capped.plan_.times == 1).all()


def test_odd_sizes_and_shapes_are_found_where_asked_for(tmp_path):
    table, _ = planted(tmp_path / "a", 40, 64, 64, issues=())
    for name, size in (("0001", (8, 8)), ("0002", (300, 20)), ("0003", (64, 65))):
        Image.fromarray(scenes(1, size[1], size[0])[0]).save(tmp_path / "a" / f"{name}.png")
    assert (PruneQuality().fit(table).plan_.times == 1).all()
    found = PruneQuality(issues=["odd_size", "odd_aspect"]).fit(table)
    assert np.flatnonzero(found.plan_.times == 0).tolist() == [1, 2]
    assert {f.kind: f.n_rows for f in found.findings_} == {"quality.odd_size": 2, "quality.odd_aspect": 1}
    wide = PruneQuality(issues=["odd_size", "odd_aspect"], odd=100.0).fit(table)
    assert [f.kind for f in wide.findings_] == ["quality.odd_size", "quality.odd_aspect"]


def test_the_worse_of_two_images_counts(tmp_path):
    first, one = planted(tmp_path / "a", 40, 32, 32, issues=("dark",), each=2)
    back, two = planted(tmp_path / "b", 40, 30, 30, issues=("blurry",), each=2)
    both = first.frame.collect().with_columns(second=back.frame.collect()["path"])
    table = Table.of(both, roles=first.roles, kinds={"second": "image"})
    made = PruneQuality().fit(table)
    assert np.flatnonzero(made.plan_.times == 0).tolist() == sorted(np.flatnonzero((one != "") | (two != "")))
    assert {(f.kind, f.columns) for f in made.findings_} == {
        ("quality.dark", ("path",)),
        ("quality.blurry", ("second",)),
    }
    only = PruneQuality(on=["second"]).fit(table)
    assert np.flatnonzero(only.plan_.times == 0).tolist() == np.flatnonzero(two != "").tolist()


def test_the_order_of_rows_does_not_matter(tmp_path):
    table, _ = planted(tmp_path / "a", 60, 28, 28, each=2)
    frame = table.frame.collect().with_row_index("key")
    roles = Roles("label", weight="w", image="path", row_id="key")
    turned = frame.sample(fraction=1, shuffle=True, seed=3)
    one, other = (PruneQuality(issues="all").fit(Table.of(f, roles=roles)) for f in (frame, turned))
    back = np.argsort(turned["key"].to_numpy())
    assert (one.plan_.times == other.plan_.times[back]).all()
    assert (one.plan_.reason == other.plan_.reason[back]).all()
    assert [f.kind for f in one.findings_] == [f.kind for f in other.findings_]


def test_a_recipe_names_issues_and_says_where_one_is_wrong():
    text = "data: {path: photos}\nstages:\n  - prune.quality: {issues: [%s], blurry: 0.9, action: weight}\n"
    made = Recipe.from_text(text % "blurry")
    assert made.build()[0][1].get_params()["issues"] == ["blurry"]
    with pytest.raises(RecipeError, match="blury"):
        Recipe.from_text(text % "blury")


def test_cleanvision_finds_no_more(tmp_path):
    imagelab = pytest.importorskip("cleanvision").Imagelab
    table, issue = planted(tmp_path / "a", 60, 64, 64, each=3)
    lab = imagelab(data_path=str(tmp_path / "a"))
    lab.find_issues({"dark": {}, "light": {}, "blurry": {}, "low_information": {}}, n_jobs=1, verbose=False)
    theirs = lab.issues.sort_index()
    ours = PruneQuality(issues="all", action="report").fit(table).findings_
    for name, peer in (("dark", "dark"), ("bright", "light"), ("blurry", "blurry"), ("low_information",) * 2):
        planted_rows = np.flatnonzero(issue == name)
        found = np.isin(table.ids, [row for f in ours if f.kind == f"quality.{name}" for row in f.rows])
        assert found[planted_rows].sum() >= theirs[f"is_{peer}_issue"].to_numpy()[planted_rows].sum()
