"""Rows whose image cannot be read are left out, with the reason; the files stay as they are."""

import numpy as np
import polars as pl
import pytest
from PIL import Image

from tilth.core import Ledger, fit
from tilth.errors import DataError
from tilth.images.opening import MAX_PIXELS
from tilth.stages import stage
from tilth.stages.prune.unreadable import WORDS, PruneUnreadable
from tilth.table import Roles, Table


@pytest.fixture
def photos(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    for name in ("a.jpg", "b.png", "c.jpg", "d.jpg"):
        Image.fromarray(pixels).save(tmp_path / name)
    (tmp_path / "c.jpg").write_bytes((tmp_path / "c.jpg").read_bytes()[:-400])
    (tmp_path / "d.jpg").write_text("a letter")
    names = ["a.jpg", "b.png", "c.jpg", "d.jpg", "e.jpg", None]
    paths = [None if name is None else str(tmp_path / name) for name in names]
    frame = pl.DataFrame({"path": paths, "n": range(6), "label": list("xyxyxy"), "w": [1.0] * 6})
    return Table.of(frame, roles=Roles("label", weight="w", image="path"))


REASONS = ["", "", "truncated", "not an image", "missing", "missing"]


def test_rows_go_with_their_reason_and_the_rest_stays(photos):
    made = PruneUnreadable()
    after = made.fit_resample(photos)
    assert after.X()["n"].to_list() == [0, 1] and after.y.to_list() == ["x", "y"]
    assert made.plan_.reason.tolist() == REASONS
    done = fit([("unreadable", stage("prune.unreadable"))], photos)
    events = done.ledger.events
    assert events["reason"].to_list() == REASONS[2:] and events["action"].unique().to_list() == ["dropped"]
    assert done.ledger.account() and isinstance(done.ledger, Ledger)
    assert (done.ledger.rows_in, done.ledger.rows_out) == (6, 2)


def test_there_is_a_finding_for_each_reason_the_largest_first(photos):
    found = PruneUnreadable(action="report").fit(photos).findings_
    assert [(f.n_rows, f.score, f.kind) for f in found] == [
        (2, 2 / 6, "prune.unreadable"),
        (1, 1 / 6, "prune.unreadable"),
        (1, 1 / 6, "prune.unreadable"),
    ]
    assert "missing (there is no such file)" in found[0].message and "e.jpg" in found[0].message
    assert found[0].rows == (4, 5) and found[0].columns == ("path",)
    assert all(f.severity == "high" and f.remedy == {"prune.unreadable": {}} for f in found)


def test_reporting_changes_nothing(photos):
    made = PruneUnreadable(action="report").fit(photos)
    assert made.plan_.times.tolist() == [1] * 6 and made.findings_


def test_a_header_does_not_tell_of_a_picture_that_is_cut_off(photos):
    made = PruneUnreadable(check="header").fit(photos)
    assert made.plan_.reason.tolist() == ["", "", "", "not an image", "missing", "missing"]


@pytest.mark.parametrize("check", ["decode", "header"])
def test_the_cap_is_in_pixels(photos, check):
    kept = lambda cap: PruneUnreadable(check=check, max_pixels=cap).fit(photos).plan_.times[:2].tolist()
    assert kept(1200) == [1, 1]
    with pytest.raises(DataError, match="too large"):
        kept(1199)
    assert PruneUnreadable().max_pixels == MAX_PIXELS


def test_a_row_goes_if_one_of_its_images_does(photos):
    frame = photos.frame.with_columns(second=pl.col("path").reverse()).collect()
    table = Table.of(frame.drop("__row__"), kinds={"path": "image", "second": "image"})
    with pytest.raises(DataError, match="none of the 6 images can be used"):
        PruneUnreadable().fit(table)
    assert PruneUnreadable(on="path").fit(table).plan_.times.tolist() == [1, 1, 0, 0, 0, 0]
    assert PruneUnreadable(on=["second"]).fit(table).plan_.times.tolist() == [0, 0, 0, 0, 1, 1]


@pytest.mark.parametrize("on", ["path", ["path"]])
def test_a_column_of_texts_that_is_named_holds_paths(photos, on):
    frame = photos.frame.collect().drop("__row__")
    for X in (frame, frame.to_pandas()):
        out, y = PruneUnreadable(on=on).fit_resample(
            X.drop(columns="w") if X is not frame else X.drop("w"), X["label"]
        )
        assert type(out) is type(X) and list(out["n"]) == [0, 1] and list(y) == ["x", "y"]
    assert PruneUnreadable().fit(frame).plan_.times.tolist() == [1] * 6


def test_few_bad_files_are_of_medium_weight(photos):
    frame = photos.frame.collect()
    many = pl.concat([frame[:1]] * 60 + [frame[2:3]]).drop("__row__")
    (found,) = PruneUnreadable().fit(Table.of(many, roles=photos.roles)).findings_
    assert found.severity == "medium" and found.n_rows == 1


def test_good_files_are_no_news(photos):
    frame = photos.frame.collect()[:2]
    made = PruneUnreadable().fit(photos.with_frame(frame.lazy()))
    assert made.plan_.times.tolist() == [1, 1] and made.findings_ == []


def test_every_reason_has_words(photos):
    assert set(WORDS) == {
        "missing", "permission", "empty", "not an image", "truncated", "too large", "unsupported", "broken",
    }  # fmt: skip
