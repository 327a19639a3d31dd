"""Copies among image files: which go, which stay, and what is said of them."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import tilth
from tests.images.test_copies import encoded
from tests.images.test_hashes import scene
from tilth.stages.duplicates.images import DuplicatesImages
from tilth.table import Roles, Table


@pytest.fixture
def folder(tmp_path):
    """Write five pictures, a file twice, and one picture twice more at other sizes."""
    files = {f"{n}.png": encoded(scene(n)) for n in range(5)}
    files["1 again.png"] = files["1.png"]
    files["2 small.jpg"] = encoded(scene(2), "JPEG", scale=0.6, quality=85)
    files["2 large.jpg"] = encoded(scene(2), "JPEG", scale=1.4, quality=85)
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


def rows(folder, names, **more):
    return pl.DataFrame({"image": [str(folder / name) for name in names], **more})


def table(folder, names, **more):
    roles = {role: role for role in more if role in ("target", "split", "weight", "group")}
    return Table.of(rows(folder, names, **more), roles=Roles(image="image", **roles))


def names_of(after):
    return [Path(path).name for path in after.X()["image"]]


ALL = ["0.png", "1.png", "2.png", "3.png", "1 again.png", "2 small.jpg", "2 large.jpg"]


def test_one_of_each_set_stays_the_largest(folder):
    stage = DuplicatesImages()
    after = stage.fit_resample(table(folder, ALL))
    assert names_of(after) == ["0.png", "3.png", "1 again.png", "2 large.jpg"]
    reason = stage.plan_.reason
    ids = table(folder, ALL).ids
    assert reason[1] == f"same bytes as row {ids[4]} ({folder / '1 again.png'})"
    assert reason[2].startswith(f"copy of row {ids[6]} ({folder / '2 large.jpg'}), distance=0.0")
    assert stage.plan_.score[1] == 0 and 0 < stage.plan_.score[2] < 0.06 and np.isnan(stage.plan_.score[0])


def test_the_first_path_stays_whatever_its_size(folder):
    after = DuplicatesImages(keep="first").fit_resample(table(folder, ALL))
    assert names_of(after) == ["0.png", "3.png", "1 again.png", "2 large.jpg"]
    after = DuplicatesImages(keep="first").fit_resample(table(folder, ["2.png", "2 small.jpg"]))
    assert names_of(after) == ["2 small.jpg"]
    after = DuplicatesImages(keep="largest").fit_resample(table(folder, ["2.png", "2 small.jpg"]))
    assert names_of(after) == ["2.png"]


def test_of_equal_sizes_the_one_of_more_bytes_stays(folder):
    (folder / "z.bmp").write_bytes(encoded(scene(3), "BMP"))
    assert names_of(DuplicatesImages().fit_resample(table(folder, ["3.png", "z.bmp"]))) == ["z.bmp"]


def test_exact_copies_only(folder):
    stage = DuplicatesImages(match="exact")
    assert len(names_of(stage.fit_resample(table(folder, ALL)))) == 6
    assert [f.kind for f in stage.findings_] == ["duplicates.exact"]


def test_threshold_and_radius_say_how_near(folder):
    assert DuplicatesImages(threshold=1e-4).fit(table(folder, ALL)).plan_.times.sum() == 6
    assert DuplicatesImages(threshold=0.2, radius=16).fit(table(folder, ALL)).plan_.times.sum() == 4
    noisy = np.clip(scene(2) + np.random.default_rng(0).normal(0, 20, scene(2).shape), 0, 255)
    (folder / "2 noisy.png").write_bytes(encoded(noisy.astype(np.uint8)))
    pair = table(folder, ["2.png", "2 noisy.png"])
    times = [DuplicatesImages(threshold=1.0, radius=r).fit(pair).plan_.times.sum() for r in (0, 16)]
    assert times == [2, 1]


def test_labels_decide_by_choice(folder):
    names = ["1.png", "1 again.png", "2.png", "2 small.jpg", "0.png"]
    given = table(folder, names, target=["a", "b", "a", "a", "a"])
    kept = DuplicatesImages().fit(given)
    assert kept.plan_.times.tolist() == [1, 1, 1, 0, 1]
    (conflict,) = [f for f in kept.findings_ if f.kind == "duplicates.conflict"]
    assert set(conflict.rows) == set(given.ids[:2].tolist()) and conflict.score == 0.4
    drop = DuplicatesImages(conflicts="drop").fit(given)
    assert drop.plan_.times.tolist() == [0, 0, 1, 0, 1]
    assert drop.plan_.reason[0] == "copies of it have other labels"
    assert DuplicatesImages(conflicts="ignore").fit(given).plan_.times.tolist() == [0, 1, 1, 0, 1]


def test_a_missing_label_contradicts_none(folder):
    given = table(folder, ["1.png", "1 again.png"], target=["a", None])
    stage = DuplicatesImages(conflicts="drop").fit(given)
    assert stage.plan_.times.sum() == 1 and "duplicates.conflict" not in {f.kind for f in stage.findings_}


def test_copies_of_test_rows_go_from_the_others(folder):
    names = ["2.png", "2 small.jpg", "2 large.jpg", "1.png", "1 again.png", "0.png"]
    split = ["train", "test", "train", "test", "test", "train"]
    given = table(folder, names, split=split)
    stage = DuplicatesImages().fit(given)
    assert stage.plan_.times.tolist() == [0, 1, 0, 1, 1, 1]
    assert all(not stage.plan_.reason[at] for at in (1, 3, 4, 5))
    (across,) = [f for f in stage.findings_ if f.kind == "duplicates.across"]
    assert across.rows == (int(given.ids[1]),) and across.score == pytest.approx(1 / 3)


def test_weights_make_a_set_count_as_one(folder):
    stage = DuplicatesImages(action="weight")
    after = stage.fit_resample(table(folder, ALL, weight=[2.0] * 7))
    assert after.role("weight").to_list() == pytest.approx([2, 1, 2 / 3, 2, 1, 2 / 3, 2 / 3])
    assert stage.plan_.reason[6] == "one of 3 copies"


def test_groups_hold_copies_together_whatever_their_labels(folder):
    given = table(folder, ALL, target=list("abcdefg"))
    group = DuplicatesImages(action="group").fit_resample(given).role("group").to_list()
    assert group[1] == group[4] and group[2] == group[5] == group[6] and len(set(group)) == 4


def test_report_leaves_the_rows(folder):
    stage = DuplicatesImages(action="report").fit(table(folder, ALL))
    assert stage.plan_.times.tolist() == [1] * 7
    told = {f.kind: f for f in stage.findings_}
    assert told["duplicates.exact"].n_rows == 1 and told["duplicates.near"].n_rows == 2
    assert told["duplicates.near"].message.startswith("2 of 7 images (28.6%)")


def test_files_that_cannot_be_read_stay_and_are_counted(folder):
    (folder / "cut.jpg").write_bytes(encoded(scene(2), "JPEG")[:900])
    (folder / "text.png").write_bytes(b"no picture")
    stage = DuplicatesImages().fit(table(folder, ["cut.jpg", "text.png", "none.png", "2.png"]))
    assert stage.plan_.times.tolist() == [1] * 4
    (unread,) = stage.findings_
    assert unread.kind == "duplicates.unread" and unread.n_rows == 3


def test_large_images_are_compared_by_their_bytes(folder):
    given = table(folder, ["1.png", "1 again.png", "2.png", "2 large.jpg"])
    stage = DuplicatesImages(max_pixels=1000).fit(given)
    assert stage.plan_.times.sum() == 3


def test_rows_of_two_images_are_copies_if_both_are(folder):
    frame = rows(folder, ["1.png", "1 again.png", "1.png"]).with_columns(
        other=pl.Series([str(folder / n) for n in ("2.png", "2 small.jpg", "3.png")])
    )
    given = Table.of(frame, kinds={"image": "image", "other": "image"})
    stage = DuplicatesImages().fit(given)
    assert stage.plan_.times.tolist() == [1, 0, 1]


def test_the_order_of_rows_does_not_matter(folder):
    first = DuplicatesImages().fit_resample(table(folder, ALL))
    other = DuplicatesImages().fit_resample(table(folder, ALL[::-1]))
    assert set(names_of(first)) == set(names_of(other))


def test_a_folder_names_files_as_people_know_them(folder):
    for place, names in (("cats", ["0.png", "1.png"]), ("dogs", ["1 again.png", "3.png"])):
        (folder / "set" / place).mkdir(parents=True)
        for name in names:
            (folder / "set" / place / name).write_bytes((folder / name).read_bytes())
    stage = DuplicatesImages(conflicts="ignore").fit(tilth.read(folder / "set"))
    (reason,) = [r for r in stage.plan_.reason if r]
    assert reason.startswith("same bytes as row ") and reason.endswith("(cats/1.png)")
