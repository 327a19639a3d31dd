"""Sheets of images: small, inside the page, escaped; copies share a frame; what cannot be shown is named."""

import base64
import re
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest

from tests.report.conftest import rows, run_of
from tests.report.test_page import NAUGHTY, Walk
from tilth.audit import Audit, Facts, ImageFacts, Picture, Sheet
from tilth.core import Finding, Ledger, fit
from tilth.recipes import Recipe
from tilth.report import as_json, page
from tilth.report.elements import Element
from tilth.report.thumbnails import FEWEST, LISTED, PER_PAGE, PER_SHEET, SIDE, as_uri, sheet, thumbnail
from tilth.stages import stage
from tilth.table import Roles, Table


@pytest.fixture
def folder(tmp_path):
    """Write twelve images of two classes, one of each unusual shape, and a file that is none."""
    rng = np.random.default_rng(0)
    for number in range(12):
        pixels = cv2.resize(rng.integers(0, 256, (5, 5, 3)).astype(np.uint8), (200, 150))
        cv2.imwrite(str(tmp_path / f"{number:02d}.png"), pixels)
    cv2.imwrite(str(tmp_path / "tiny.png"), np.full((3, 2, 3), 200, np.uint8))
    cv2.imwrite(str(tmp_path / "long.png"), np.full((2, 3000, 3), 90, np.uint8))
    (tmp_path / "text.jpg").write_text("none")
    return tmp_path


def picture(folder, name, **more):
    return Picture(more.pop("row", 1), str(folder / name), more.pop("shown", name), **more)


def images_of(text):
    return [
        cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR_RGB)
        for data in re.findall(r'src="data:image/jpeg;base64,([^"]+)"', text)
    ]


@pytest.mark.parametrize(
    ("name", "shape"), [("00.png", (84, 112)), ("tiny.png", (3, 2)), ("long.png", (1, 112))]
)
def test_a_thumbnail_keeps_the_shape_within_its_side_and_is_never_enlarged(name, shape, folder):
    uri, side = thumbnail(str(folder / name))
    (made,) = images_of(f'src="{uri}"')
    assert made.shape[:2] == shape and side == max(shape) <= SIDE
    whole = cv2.imread(str(folder / name), cv2.IMREAD_COLOR_RGB)
    exact = cv2.resize(whole, shape[::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(made.astype(int) - exact).mean() < 4


def test_a_file_that_is_no_image_says_why(folder):
    assert thumbnail(str(folder / "text.jpg")) == "not an image"
    assert thumbnail(str(folder / "gone.jpg")) == "missing"
    text = sheet([picture(folder, "text.jpg")])
    assert "<img" not in text and "not an image" in text


def test_noise_makes_no_large_thumbnail():
    noise = np.random.default_rng(0).integers(0, 256, (500, 500, 3)).astype(np.uint8)
    assert len(as_uri(noise)[0]) < 24_000


def test_a_sheet_tells_of_each_image_what_is_known(folder):
    shown = [
        picture(folder, "00.png", label="cat", suggested="dog", score=0.01234),
        picture(folder, "01.png", label="cat", note="truncated"),
        picture(folder, "02.png"),
    ]
    text = sheet(shown)
    walk = Walk(text)
    assert walk.tags.count("img") == walk.tags.count("figure") == 3
    said = "".join(walk.text)
    assert "cat → dog" in said and "0.0123" in said and "truncated" in said
    assert [v for k, v in walk.attributes if k == "alt"] == ["00.png", "01.png", "02.png"]


def test_copies_share_a_frame_and_are_not_torn_apart(folder):
    groups = [0, 0, 1, 1, 1, None, 2, 2]
    shown = [picture(folder, f"{i:02d}.png", group=g) for i, g in enumerate(groups)]
    text = sheet(shown)
    frames = [part.split("</div></div>")[0].count("<img") for part in text.split('<div class="copies">')[1:]]
    assert text.count('class="copies"') == 3 and frames[0] >= 1
    # The third set has no room left as a whole.
    cut = sheet(shown, most=7)
    assert cut.count("<img") == 6 and "2 more images, by name" in cut
    assert sheet(shown[:2], most=1).count("<img") == 1  # one set larger than a sheet is cut


def test_what_there_is_no_room_for_is_named(folder):
    shown = [picture(folder, "00.png", shown=f"f{i}.png", label="x") for i in range(LISTED + 30)]
    text = sheet(shown)
    assert text.count("<img") == PER_SHEET
    assert f"f{PER_SHEET}.png" in text and f"and {30 - PER_SHEET} more" in text
    assert f"{LISTED + 30 - PER_SHEET} more images, by name" in text
    worst = sheet(shown[:PER_SHEET], total=1000)
    assert f"and {1000 - PER_SHEET} more" in worst
    assert "1,976 more images" in sheet(shown, total=2000) and "more" not in sheet(shown[:3], total=2)


def audit_of(folder, findings, per_finding=30):
    made = []
    for finding in findings:
        shown = [picture(folder, f"{i % 12:02d}.png", row=i) for i in range(per_finding)]
        made.append(Sheet(finding, tuple(shown)))
    facts = Facts("photos", 12, 12, kinds={"path": "image"}, images=ImageFacts(12, 0, 1000, {"PNG": 12}))
    return Audit(tuple(findings), facts, {"stages": []}, {}, tuple(made))


def test_a_report_holds_images_within_a_bound_however_many_findings(folder):
    found = [Finding("quality.dark", f"Finding {i}.", 0.1, "low", rows=(1,), n_rows=30) for i in range(40)]
    text = page(audit=audit_of(folder, found))
    Walk(text)
    assert 40 * FEWEST <= text.count("<img") <= PER_PAGE
    assert len(text) < 4_000_000
    one = page(audit=audit_of(folder, found[:1]))
    assert one.count("<img") == PER_SHEET


def test_a_report_of_images_needs_nothing_else(folder):
    text = page(audit=audit_of(folder, [Finding("quality.dark", "Dark.", 0.1, "low", rows=(1,), n_rows=30)]))
    walk = Walk(text)
    assert not {"script", "link", "iframe", "object", "embed"} & set(walk.tags)
    sources = [v for k, v in walk.attributes if k == "src"]
    assert sources and all(v.startswith("data:image/jpeg;base64,") for v in sources)
    assert not re.search(r"https?:|url\(|@import|\son[a-z]+=", text)
    assert re.findall(r'href="#([a-z]+)"', text) == re.findall(r'<h2 id="([a-z]+)">', text)
    assert "images" in re.findall(r'<h2 id="([a-z]+)">', text)
    assert "prefers-color-scheme: dark" in text


@pytest.mark.parametrize("naughty", NAUGHTY)
def test_names_and_labels_from_the_data_are_escaped(naughty, folder):
    shown = picture(folder, "00.png", shown=naughty, label=naughty, suggested=naughty, note=naughty)
    finding = Finding("quality.dark", naughty, 0.1, "low", rows=(1,), n_rows=1)
    made = audit_of(folder, [])
    audit = Audit((finding,), made.facts, {"stages": []}, {}, (Sheet(finding, (shown, *[shown] * 30)),))
    text = page(audit=audit)
    walk = Walk(text)
    assert walk.tags.count("img") == PER_SHEET and "script" not in walk.tags
    assert not re.search(r"<[^>]*\son(error|load)=[^>]*>", re.sub(r'"[^"]*"', '""', text))
    assert isinstance(sheet([shown]), Element)


def test_json_names_the_files_behind_a_finding(folder):
    finding = Finding("quality.dark", "Dark.", 0.1, "low", rows=(0, 1), n_rows=2)
    audit = audit_of(folder, [finding], per_finding=2)
    (told,) = as_json(audit=audit)["findings"]
    assert [f["name"] for f in told["files"]] == ["00.png", "01.png"]
    assert audit.as_dict()["findings"][0]["files"][0]["path"] == str(folder / "00.png")
    assert audit.images == {0: str(folder / "00.png"), 1: str(folder / "01.png")}


# What a run did


@dataclass
class Run:
    """What the report asks of a run of images."""

    ledger: Ledger
    before: Table
    after: Table
    findings: list
    recipe_yaml: str
    pipeline: object
    out: Path | None = None


@dataclass
class Stages:
    stages_: list


def run_of_images(folder, steps):
    frame = pl.DataFrame(
        {
            "path": [str(folder / f"{i:02d}.png") for i in range(12)],
            "a": [0.0, 0.0, *range(2, 12)],
            "label": ["cat"] * 6 + ["dog"] * 6,
        }
    )
    table = Table.of(frame, roles=Roles("label", image="path"))
    named = [(s.key, s) for s in steps]
    done = fit(named, table)
    text = Recipe.from_text("stages: []\n").to_yaml()
    return Run(done.ledger, table, done.table, done.findings, text, Stages(named))


def test_a_run_shows_the_images_it_left_out_and_why(folder):
    run = run_of_images(folder, [stage("duplicates.exact", on=["a"])])
    text = page(run=run)
    Walk(text)
    assert '<h2 id="pictures">' in text and "1 image dropped" in text
    assert text.count("<img") == 1 and "01.png" in text and "same as" in text


def test_a_run_shows_augmented_images_beside_their_originals(folder):
    run = run_of_images(folder, [stage("augment.images", policy="standard")])
    text = page(run=run)
    Walk(text)
    made = images_of(text)
    assert len(made) == 2 * (1 + 4)  # one of each class, in four epochs
    assert all("epoch 4" in part for part in text.split('<div class="copies">')[1:])
    assert all(np.abs(made[0].astype(int) - other).max() > 20 for other in made[1:5])


def test_a_run_of_a_table_shows_no_images():
    text = page(run=run_of(rows()))
    assert "pictures" not in re.findall(r'<h2 id="([a-z]+)">', text) and "<img" not in text
