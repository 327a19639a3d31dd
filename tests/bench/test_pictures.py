"""A bench of images: who judges, copies in one fold, files decoded once, bad files told."""

from typing import ClassVar

import cv2
import numpy as np
import polars as pl
import pytest

from tests.probes.drawn import drawn
from tilth.bench import ablate, compare, learning_curve
from tilth.bench.folds import units_of
from tilth.bench.pictures import copies_of, default_probes
from tilth.bench.preparing import RowsChanged
from tilth.core import BatchStage, ColumnStage, RowPlan, RowStage
from tilth.errors import DataError
from tilth.probes import CNN, MLP, Transfer
from tilth.stages.augment.mixup import AugmentMixup
from tilth.table import Roles, Table

QUICK = {"folds": 3, "repeats": 1, "n_jobs": 1}
SMALL = ("cnn", CNN(widths=(8,), side=16, max_epochs=1, device="cpu"))
LINEAR = ("transfer", Transfer(model="histograms"))


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TILTH_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    return drawn(tmp_path_factory.mktemp("shapes"), 90)


def table_of(frame, kinds):
    return Table.of(frame, pl.Series("kind", kinds), roles=Roles(image="path"))


class Seen(BatchStage):
    """Write down what it is asked to change."""

    per_image: ClassVar = True
    handles: ClassVar = ("image",)
    labels: ClassVar[set] = set()
    rows: ClassVar[set] = set()

    def __init__(self, random_state=0):
        self.random_state = random_state

    def augment_image(self, pixels, *, row, epoch, label=None):
        Seen.labels.add(label)
        Seen.rows.add(row)
        return pixels


class DropTen(RowStage):
    """Drop ten rows."""

    def plan(self, table):
        return RowPlan(np.r_[np.zeros(10, np.int64), np.ones(table.height - 10, np.int64)])


class Vandal(ColumnStage):
    """Write over an image that is tested."""

    handles: ClassVar = ("image",)
    takes_gaps: ClassVar = True

    def change(self, frame):
        for path in frame.select("path").collect()["path"][:1]:
            cv2.imwrite(path, np.zeros((40, 40, 3), np.uint8))
        return frame


def told(done, kind):
    return [f.message for f in done.leaks if f.kind == kind]


def test_who_judges_is_told_by_the_table(shapes):
    frame, kinds, _ = shapes
    table = table_of(frame, kinds)
    assert default_probes(table) == ("cnn", "transfer")
    assert default_probes(table_of(frame.with_columns(x=pl.lit(1.0)), kinds)) == ("linear", "boosting", "mlp")
    assert default_probes(Table.of(pl.DataFrame({"x": [1.0]}))) == ("linear", "boosting", "mlp")


def test_images_are_judged_and_decoded_once(shapes, monkeypatch):
    import tilth.loaders.pixels as pixels

    calls = []
    once = pixels.decoded
    monkeypatch.setattr(
        pixels, "decoded", lambda paths, *a, **kw: calls.append(len(paths)) or once(paths, *a, **kw)
    )
    frame, kinds, _ = shapes
    words = []
    done = compare(
        None, [DropTen()], table_of(frame, kinds), probes=[SMALL, LINEAR], progress=words.append, **QUICK
    )
    assert calls == [90]
    assert {v.probe for v in done.verdicts} == {"cnn", "transfer"}
    assert [w for w in told(done, "bench.images") if "decoded to 16 x 16 pixels once for all folds" in w]
    assert [w for w in told(done, "bench.images") if "embedded by histograms once for all folds" in w]
    accuracy = done.scores.filter(pl.col("metric") == "roc_auc", pl.col("probe") == "transfer")
    assert accuracy["value"].mean() > 0.7
    assert any("of 90 images" in word for word in words)


def test_the_number_of_processes_does_not_matter(shapes):
    frame, kinds, _ = shapes
    one, two = (
        compare(None, None, table_of(frame, kinds), probes=[SMALL, LINEAR], **QUICK | {"n_jobs": jobs})
        for jobs in (1, 2)
    )
    assert one.scores.equals(two.scores)


def test_batch_stages_of_an_arm_reach_the_network_with_row_ids_and_labels(shapes):
    frame, kinds, _ = shapes
    Seen.labels.clear()
    Seen.rows.clear()
    table = table_of(frame, kinds)
    done = compare(None, [Seen(), AugmentMixup(alpha=1.0)], table, probes=[SMALL, LINEAR], **QUICK)
    assert Seen.labels == {"disc", "square"}
    assert Seen.rows <= set(table.ids.tolist())
    assert len(Seen.rows) > 80
    moved = (
        done.scores.filter(pl.col("metric") == "log_loss").group_by("probe").agg(pl.col("value").n_unique())
    )
    assert dict(moved.rows()) == {"cnn": 6, "transfer": 3}
    (message,) = told(done, "bench.batch_stages")
    assert "Judged by cnn." in message
    assert "Not judged by transfer" in message


def test_labels_that_are_no_texts_come_back_as_their_classes(shapes):
    frame, kinds, sizes = shapes
    for y in (kinds == "disc", np.where(kinds == "disc", 3, 1)):
        plain, seen = (
            compare(None, stages, table_of(frame, y), probes=[SMALL], **QUICK) for stages in (None, [Seen()])
        )
        after = [d.scores.filter(pl.col("arm") == "after")["value"].to_list() for d in (plain, seen)]
        assert after[0] == after[1]
    done = compare(None, [Seen()], table_of(frame, sizes + 0.5), probes=[SMALL], **QUICK)
    assert done.task == "regression"


def test_mixing_is_judged_by_the_mlp_on_tables_too():
    random = np.random.default_rng(0)
    X = pl.DataFrame(random.normal(size=(120, 3)), schema=["a", "b", "c"])
    X = X.with_columns(
        city=pl.Series(random.choice(["Oslo", "Rome"], 120)), gap=pl.when(pl.col("a") > 0).then("b")
    )
    y = np.where(X["a"] + X["b"] > 0, "yes", "no")
    quick = ("mlp", MLP(hidden=(8,), max_epochs=3, device="cpu"))
    done = compare(None, [AugmentMixup(alpha=1.0)], X, y, probes=["linear", quick], **QUICK)
    values = (
        done.scores.filter(pl.col("metric") == "log_loss").group_by("probe").agg(pl.col("value").n_unique())
    )
    assert dict(values.rows()) == {"linear": 3, "mlp": 6}
    (message,) = told(done, "bench.batch_stages")
    assert "Judged by mlp. Not judged by linear" in message


def test_copies_of_an_image_never_straddle_folds(shapes, tmp_path):
    frame, kinds, _ = shapes
    paths = frame["path"].to_list()
    image = cv2.imread(paths[0])
    exact, near = str(tmp_path / "exact.png"), str(tmp_path / "near.jpg")
    cv2.imwrite(exact, image)
    cv2.imwrite(near, image, [cv2.IMWRITE_JPEG_QUALITY, 92])
    table = table_of(pl.DataFrame({"path": [*paths, exact, near]}), np.array([*kinds, kinds[0], kinds[0]]))
    codes = copies_of(table)
    assert codes[0] == codes[90] == codes[91]
    units = units_of(table, 3)
    assert units.codes[0] == units.codes[90] == units.codes[91]
    (finding,) = [f for f in units.findings if f.kind == "bench.copies_together"]
    assert "images are copies, or almost, of another" in finding.message
    assert copies_of(Table.of(pl.DataFrame({"x": [1, 2]}))) is None


def test_unreadable_images_are_told_once_and_stay_in_the_test(shapes, tmp_path):
    frame, kinds, _ = shapes
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    table = table_of(
        pl.DataFrame({"path": [*frame["path"], str(bad), str(tmp_path / "gone.png")]}),
        [*kinds, "disc", "disc"],
    )
    from tilth.stages.prune.unreadable import PruneUnreadable

    done = compare(None, [PruneUnreadable()], table, probes=[SMALL, LINEAR], **QUICK)
    (message,) = told(done, "bench.unreadable")
    assert message.startswith("2 of 92 images cannot be read (1 missing, 1 not an image)")
    assert not [f for f in done.controls if "Unreadable" in f.message]
    assert done.rows == 92
    kept = dict(done.costs.group_by("arm").agg(pl.col("rows_trained").mean()).rows())
    assert kept["before"] - kept["after"] == pytest.approx(4 / 3)


def test_a_stage_that_changes_a_file_that_is_tested_is_caught(shapes, tmp_path):
    frame, kinds, _ = shapes
    paths = []
    for path in frame["path"][:45]:
        paths.append(str(tmp_path / path.rpartition("/")[2]))
        cv2.imwrite(paths[-1], cv2.imread(path))
    table = table_of(pl.DataFrame({"path": paths}), kinds[:45])
    with pytest.raises(RowsChanged, match="that of their files"):
        compare(None, [Vandal()], table, probes=[LINEAR], **QUICK)


def test_probes_of_columns_leave_images_out_and_say_so_where_nothing_is_left(shapes):
    frame, kinds, _ = shapes
    x = pl.Series("x", np.where(kinds == "disc", 0.0, 1.0) + np.linspace(0, 1, 90))
    both = compare(None, None, table_of(frame.with_columns(x), kinds), probes=["linear"], **QUICK)
    alone = compare(None, None, Table.of(pl.DataFrame([x]), kinds), probes=["linear"], **QUICK)
    assert both.verdicts[0].before == pytest.approx(alone.verdicts[0].before, abs=0.05)
    with pytest.raises(DataError, match=r"has no columns but paths of images \(path\).*embed\.images"):
        compare(None, None, table_of(frame, kinds), probes=["linear"], **QUICK)
    with pytest.raises(DataError, match="'cnn' reads images, and the table has no column"):
        compare(None, None, Table.of(pl.DataFrame([x]), kinds), probes=["cnn"], **QUICK)


def test_a_frame_whose_only_paths_are_images_needs_no_role(shapes):
    frame, kinds, _ = shapes
    done = compare(None, [Seen()], frame, kinds, probes=[LINEAR], **QUICK)
    assert done.rows == 90


def test_stages_are_ablated_and_curves_drawn(shapes):
    frame, kinds, _ = shapes
    table = table_of(frame, kinds)
    done = ablate([("ten", DropTen()), ("seen", Seen())], table, probes=[SMALL, LINEAR], **QUICK)
    assert {(v.stage, v.probe) for v in done.verdicts} == {
        (s, p) for s in ("ten", "seen") for p in ("cnn", "transfer")
    }
    curve = learning_curve(None, table, probes=[LINEAR], sizes=[20, 30, 40, 60], **QUICK)
    assert curve.sizes == (20, 30, 40, 60)


def test_a_pipelines_own_network_judges_images(shapes):
    from tilth import Pipeline

    frame, kinds, _ = shapes
    done = compare(None, Pipeline([("seen", Seen()), SMALL]), table_of(frame, kinds), probes=[], **QUICK)
    assert {v.probe for v in done.verdicts} == {"model"}
