"""The audit of images: each planted problem is told of, with its files, and of clean ones little is said."""

import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest

import tilth
from tests.audit.photos import drawn, planted, saved
from tilth.audit import FINDS, Audit, embedded, pictures
from tilth.audit.album import Album, short_names
from tilth.errors import ColumnError, DataError
from tilth.pipeline import run
from tilth.recipes import Recipe
from tilth.stages import find, keys
from tilth.table import Roles, Table

DECLARED = {**FINDS, **{kind: told for key in keys() for kind, told in find(key).finds.items()}}


def audit(data, *args, **more) -> Audit:
    return tilth.audit(data, *args, **({"embedding": "histograms"} | more))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    root = tmp_path_factory.mktemp("audit") / "photos"
    return root, planted(root)


@pytest.fixture(scope="module")
def seen(photos):
    return audit(photos[0])


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    root = tmp_path_factory.mktemp("audit") / "parts"
    return root, planted(root, each=60, parts=("train", "test"))


@pytest.fixture(scope="module")
def seen_parts(parts):
    return audit(parts[0])


def files(found: Audit, kind: str) -> set[str]:
    return {p.name for f in found.of(kind) for p in found.pictures(f)}


# What is found


def test_what_was_planted_is_found_by_its_files(photos, seen):
    told = photos[1]
    assert files(seen, "prune.unreadable") == set(told["unreadable"])
    assert files(seen, "duplicates") == {*told["exact"], *told["near"], *told["disagree"]}
    assert files(seen, "duplicates.conflict") == set(told["disagree"])
    assert files(seen, "quality.dark") == set(told["dark"])
    assert set(told["blurry"]) <= files(seen, "quality.blurry")
    assert set(told["grey"]) <= files(seen, "quality.grey")
    assert files(seen, "quality.odd_aspect") == set(told["odd"])
    assert len(set(told["wrong"]) & files(seen, "labels.issue")) >= 3


def test_little_is_said_of_clean_images(tmp_path):
    rng = np.random.default_rng(5)
    for kind in ("circle", "square"):
        for number in range(60):
            saved(tmp_path / kind / f"{number}.png", drawn(kind, rng))
    found = audit(tmp_path)
    worth = [f for f in found.findings if f.severity in ("medium", "high")]
    # Drawn circles have stairs for edges, and squares have none: that is a cue.
    assert {f.kind for f in worth if f.columns != ("sharpness",)} <= {"rows.few", "labels.issue"}
    assert sum(f.n_rows for f in found.of("labels.issue")) <= 4
    assert not found.of("duplicates") and not found.of("quality") and not found.of("images.alike")


def test_copies_in_another_part_of_the_split_are_told_with_their_originals(parts, seen_parts):
    (finding,) = seen_parts.of("duplicates.across")
    shown = seen_parts.pictures(finding)
    assert finding.n_rows == 4 and finding.severity == "high"
    assert {p.name for p in shown if p.note == "test"} == set(parts[1]["across"])
    by_set = {}
    for p in shown:
        by_set.setdefault(p.group, set()).add(p.note)
    assert len(by_set) == 4 and all(notes == {"train", "test"} for notes in by_set.values())
    assert seen_parts.facts.test_rows > 0 and seen_parts.proposed["data"]["split"] == {"column": "split"}


def test_test_images_given_apart_are_compared_too(photos, tmp_path):
    root, told = photos
    for name in told["near"][1::2]:
        label, file = name.split("/")
        (tmp_path / label).mkdir(exist_ok=True)
        (tmp_path / label / file).write_bytes((root / name).read_bytes())
    (tmp_path / "square" / "broken.jpg").write_bytes((root / "square/000.jpg").read_bytes()[:300])
    found = audit(root, test=tmp_path, stages=[], embedding=None)
    (across,) = found.of("duplicates.across")
    assert across.n_rows == 3 and across.score == 3 / 4
    (bad,) = found.of("images.test_unreadable")
    assert bad.n_rows == 1 and [p.note for p in found.pictures(bad)] == ["truncated"]


def test_a_cue_that_gives_the_label_away_is_told(tmp_path):
    rng = np.random.default_rng(3)
    for kind, light in (("circle", 60), ("square", 0)):
        for number in range(60):
            pixels = np.clip(drawn("circle", rng).astype(int) + light, 0, 255).astype(np.uint8)
            saved(tmp_path / kind / f"{number}.png", pixels)
    found = audit(tmp_path, stages=[], embedding=None)
    assert {c for f in found.of("images.cue") for c in f.columns} & {"brightness", "bright", "dark"}


def test_images_that_are_alike_though_hashes_differ_are_told_as_pairs(tmp_path):
    rng = np.random.default_rng(8)
    for kind in ("circle", "square"):
        for number in range(40):
            saved(tmp_path / kind / f"{number}.png", drawn(kind, rng, side=64))
    for number in range(3):
        pixels = cv2.imread(str(tmp_path / "circle" / f"{number}.png"))
        other = np.clip(pixels * np.array([1.12, 1.0, 0.9]) + 6, 0, 255).astype(np.uint8)
        saved(tmp_path / "circle" / f"lit{number}.png", other)
    found = audit(tmp_path)
    assert not found.of("duplicates")
    (finding,) = found.of("images.alike")
    pairs = {}
    for p in found.pictures(finding):
        pairs.setdefault(p.group, set()).add(Path(p.name).stem)
        assert 0 < p.score < embedded.NEAR
    assert {frozenset(pair) for pair in pairs.values()} == {frozenset((f"{n}", f"lit{n}")) for n in range(3)}
    assert finding.n_rows == 6 and finding.score == 6 / 83 and "in 3 sets" in finding.message


def test_far_images_are_told_with_how_far_they_are(tmp_path):
    rng = np.random.default_rng(9)
    for number in range(80):
        pixels = np.full((48, 48, 3), 40, np.uint8)
        x, y, size = (int(v) for v in rng.integers((22, 22, 10), (26, 26, 14)))
        cv2.circle(pixels, (x, y), size, tuple(int(v) for v in rng.integers(100, 255, 3)), -1)
        saved(tmp_path / "circle" / f"{number}.png", pixels)
    saved(tmp_path / "circle" / "odd.png", rng.integers(0, 256, (48, 48, 3)).astype(np.uint8))
    found = audit(tmp_path, stages=[])
    (finding,) = found.of("outliers.rows")
    shown = found.pictures(finding)
    assert finding.n_rows <= 4 and shown[0].name == "odd.png" and shown[0].score > 2
    assert [p.score for p in shown] == sorted((p.score for p in shown), reverse=True)


def test_it_is_told_where_histograms_stand_in_for_a_network(photos, monkeypatch):
    monkeypatch.setattr("tilth.training.lite.installed", lambda: False)
    found = audit(photos[0], stages=[], embedding="auto")
    assert "tilth[vision]" in found.of("embed.fallback")[0].message
    assert not audit(photos[0], stages=[]).of("embed.fallback")


def test_weak_slices_are_parts_by_what_was_measured(seen):
    assert all(set(f.columns) <= {*pictures.MEASURED} for f in seen.of("slices"))


def test_an_imbalance_of_classes_is_told_and_met_by_augmenting(tmp_path):
    rng = np.random.default_rng(2)
    for kind, count in (("circle", 90), ("square", 9)):
        for number in range(count):
            saved(tmp_path / kind / f"{number}.png", drawn(kind, rng))
    found = audit(tmp_path, stages=[], embedding=None)
    assert found.of("target.imbalance")[0].score > 0.8
    assert {"augment.images": {"policy": "standard", "strength": "balanced"}} in found.proposed["stages"]


# What is said


def test_every_finding_is_declared_plain_and_has_its_images(seen, seen_parts):
    for found in (seen, seen_parts):
        for finding in found.findings:
            assert finding.kind in DECLARED, finding.kind
            assert "embedding_" not in finding.message and "path'" not in finding.message
            assert finding.message.endswith((".", "?")) and "  " not in finding.message
            if finding.rows:
                assert found.pictures(finding), finding.kind
        assert [s.finding for s in found.sheets] == [f for f in found.findings if f.rows]


def test_a_suspect_shows_the_label_it_looks_like(photos, seen):
    (finding,) = seen.of("labels.issue")
    shown = {p.name: p for p in seen.pictures(finding)}
    for name in set(photos[1]["wrong"]) & set(shown):
        assert (shown[name].label, shown[name].suggested) == ("square", "circle")
        assert 0 <= shown[name].score < 0.5


def test_reasons_stand_beside_unreadable_images(photos, seen):
    notes = {p.name: p.note for f in seen.of("prune.unreadable") for p in seen.pictures(f)}
    assert notes == {
        "circle/cut.jpg": "truncated",
        "square/empty.jpg": "empty",
        "square/notes.jpg": "not an image",
    }


def test_sets_of_copies_are_whole(photos, seen):
    pairs = {}
    for finding in seen.of("duplicates"):
        for p in seen.pictures(finding):
            pairs.setdefault(p.group, set()).add(p.name)
    assert {frozenset(pair) for pair in pairs.values()} == {
        frozenset(group[i : i + 2])
        for group in (photos[1]["exact"], photos[1]["near"], photos[1]["disagree"])
        for i in range(0, len(group), 2)
    }


def test_facts_say_how_many_of_which_kind_and_how_fast(photos, seen):
    facts = seen.facts
    assert facts.rows == facts.looked_at == 161 and facts.kinds == {"path": "image"}
    assert facts.classes == {"square": 81, "circle": 77}
    assert (facts.images.readable, facts.images.unreadable, facts.images.n_sizes) == (158, 3, 3)
    assert next(iter(facts.images.sizes)) == "48x48"
    assert facts.images.formats["JPEG"] > facts.images.formats["PNG"] == 4
    assert facts.images.embedding == "histograms" and facts.images.rate > 0
    assert facts.images.bytes == sum(p.stat().st_size for p in photos[0].rglob("*.*g"))
    first, second, third, *_ = seen.in_words()
    assert first == "photos: 161 images in 2 classes, target 'label' (classification)."
    assert second.startswith("161 images (155 JPEG, 4 PNG), ") and "most often 48x48 pixels (154)" in second
    assert re.match(r"Measured at [\d,]+ images/s; turned into numbers by histograms\.$", third)


def test_files_that_are_no_images_are_told(seen):
    assert any("README.txt" in f.message for f in seen.of("images.unused"))


def test_the_rows_are_the_same_whatever_their_order(photos, seen):
    table = tilth.read(photos[0])
    frame = table.frame.collect().sample(fraction=1.0, shuffle=True, seed=1)
    again = audit(table.with_frame(frame.lazy()))
    told = lambda found: {
        (f.kind, f.message, frozenset(f.rows)) for f in found.findings if f.kind != "images.unused"
    }
    assert told(again) == told(seen)


def test_nothing_is_written_beside_the_images(photos, tmp_path):
    before = {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in photos[0].rglob("*")}
    audit(photos[0], stages=[], embedding=None)
    assert {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in photos[0].rglob("*")} == before


def test_progress_tells_counts_and_a_rate(photos):
    told = []
    audit(photos[0], stages=[], progress=told.append)
    assert any(re.fullmatch(r"measuring 161 of 161 images \([\d,]+/s\)", t) for t in told)
    assert any(t.startswith("embedding ") and "/s)" in t for t in told)


def test_a_second_audit_decodes_nothing_and_says_the_same(photos, tmp_path, monkeypatch):
    monkeypatch.setenv("TILTH_CACHE", str(tmp_path))
    first = audit(photos[0])

    def refuse(*args, **more):
        raise AssertionError("decoded again")

    for name in ("tilth.images.decode.decode", "tilth.images.properties.decoded_from"):
        monkeypatch.setattr(name, refuse)
    monkeypatch.setattr("tilth.stages.judging.out_of_fold", refuse)
    again = audit(photos[0])
    assert again.findings == first.findings and again.facts.images.rate == 0
    assert "All measured before" in " ".join(again.in_words())


# The recipe


def test_the_proposed_recipe_is_in_the_usual_order_with_reasons(seen):
    names = [name for name, _ in Recipe.from_values(seen.proposed).build()]
    assert names == [
        "prune.unreadable", "duplicates.images", "prune.quality",
        "embed.images", "labels.clean", "augment.images",
    ]  # fmt: skip
    assert set(names) <= set(seen.reasons) and all(seen.reasons[name].endswith(".") for name in names)
    assert set(seen.proposed["data"]) == {"path", "target"}
    assert Recipe.from_text(seen.recipe_text()) == seen.recipe


def test_the_proposed_recipe_runs_on_its_folder(photos, seen, tmp_path):
    done = run(seen.recipe, out=tmp_path / "out")
    gone = pl.read_csv(tmp_path / "out" / "dropped.csv")
    told = photos[1]
    assert gone.height == 3 + 6 and set(gone["stage"]) == {"prune.unreadable", "duplicates.images"}
    assert done.after.height == 161 - 9
    assert {Path(p).name for p in gone["path"]} >= {Path(p).name for p in told["unreadable"]}


# Other ways in


def test_a_list_of_images_with_other_columns_is_looked_at_as_both(photos, tmp_path):
    table = tilth.read(photos[0]).frame.collect()
    rng = np.random.default_rng(0)
    lines = table.select(
        pl.col("path").map_elements(lambda p: str(Path(p).resolve()), return_dtype=pl.String),
        "label",
        pl.Series("price", rng.normal(10, 2, table.height)).set(
            pl.Series(rng.random(table.height) < 0.2), None
        ),
        pl.Series("weight", rng.uniform(0.5, 1.5, table.height)),
    )
    lines.write_csv(tmp_path / "list.csv")
    found = audit(tmp_path / "list.csv", "label", image="path", weight="weight")
    assert found.facts.kinds == {"path": "image", "price": "numeric"}
    assert found.of("missing") and found.of("duplicates") and found.of("quality.dark")
    assert not found.of("column.id") and not found.of("duplicates.exact.rows")
    data = found.proposed["data"]
    assert (data["image"], data["target"], data["weight"]) == ("path", "label", "weight")
    assert "impute" in " ".join(str(s) for s in found.proposed["stages"])
    assert "161 images in 2 classes, 1 feature beside them" in found.in_words()[0]


def test_a_frame_in_memory_is_an_audit_too(photos):
    frame = tilth.read(photos[0]).frame.select("path", "label").collect().to_pandas()
    found = audit(Table.of(frame, roles=Roles("label", image="path")), embedding=None)
    assert found.of("duplicates.conflict") and "path" not in found.proposed["data"]
    same = audit(frame, "label", image="path", embedding=None)
    assert [f.kind for f in same.findings] == [f.kind for f in found.findings]


def test_without_labels_what_needs_none_is_found(photos, tmp_path):
    for name in ("a", "b"):
        saved(tmp_path / f"{name}.png", drawn("circle", np.random.default_rng(0)))
    for number in range(30):
        saved(tmp_path / f"{number}.png", drawn("square", np.random.default_rng(number + 1)))
    found = audit(tmp_path)
    assert found.facts.target is None and found.of("duplicates")
    assert not found.of("labels") and found.in_words()[0].endswith("32 images, no target.")


def test_a_target_of_numbers_is_looked_at(tmp_path):
    rng = np.random.default_rng(4)
    lines = []
    for number in range(60):
        light = number % 20
        saved(
            tmp_path / f"{number}.png",
            np.clip(drawn("circle", rng) // 2 + 4 * light, 0, 255).astype(np.uint8),
        )
        lines.append((f"{number}.png", light + rng.normal()))
    pl.DataFrame(lines, schema=["path", "light"], orient="row").write_csv(tmp_path / "list.csv")
    found = audit(tmp_path / "list.csv", "light", image="path")
    assert found.facts.task == "regression" and not found.of("check.failed")


def test_max_rows_looks_at_a_sample_and_says_so(photos):
    found = audit(photos[0], max_rows=50, stages=[], embedding=None)
    assert (found.facts.rows, found.facts.looked_at, found.facts.images.readable) == (
        161,
        50,
        50 - found.facts.images.unreadable,
    )
    assert found.of("check.limited")


def test_only_unreadable_files_are_an_answer(tmp_path):
    for number in range(5):
        (tmp_path / f"{number}.jpg").write_bytes(b"")
    found = audit(tmp_path)
    assert found.of("prune.unreadable")[0].n_rows == 5
    assert found.facts.images.readable == 0 and not found.of("check.failed")


def test_one_image_is_an_answer(tmp_path):
    saved(tmp_path / "a" / "one.png", drawn("circle", np.random.default_rng(0)))
    found = audit(tmp_path)
    assert found.facts.images.readable == 1 and not found.of("check.failed")


def test_wrong_use_is_told(photos, tmp_path):
    with pytest.raises(ColumnError, match="pth"):
        pl.DataFrame({"path": ["a.jpg"], "y": [1]}).write_csv(tmp_path / "list.csv")
        audit(tmp_path / "list.csv", image="pth")
    with pytest.raises(DataError):
        audit(tmp_path / "list.csv", image="path")
    with pytest.raises(tilth.TilthError, match="histogram"):
        audit(photos[0], embedding="histogram")


# The parts


def test_names_are_those_from_the_deepest_shared_folder():
    assert short_names(["/a/b/c/1.jpg", "/a/b/d/2.jpg"]) == ["c/1.jpg", "d/2.jpg"]
    assert short_names(["/a/b/1.jpg"]) == ["1.jpg"]
    assert short_names(["a/1.jpg", "/b/2.jpg"]) == ["a/1.jpg", "/b/2.jpg"]
    assert short_names([]) == [] and short_names(["1.jpg", "2.jpg"]) == ["1.jpg", "2.jpg"]


def test_an_album_leaves_rows_without_a_path_out():
    frame = pl.DataFrame({"path": ["x/a.png", None, "x/b.png"], "y": ["u", "v", None]})
    album = Album.of(Table.of(frame, roles=Roles("y", image="path")))
    assert [p.name for p in album.pictures([0, 1, 2])] == ["a.png", "b.png"]
    assert [p.label for p in album.pictures([0, 2])] == ["u", None]
    assert [p.row for p in album.examples(np.array([2, 0]), 5)] == [0, 2]


def test_components_keep_distances_and_vary_alike():
    rng = np.random.default_rng(0)
    vectors = (
        rng.normal(size=(300, 20)) @ np.diag(np.linspace(5, 1, 20)) @ rng.normal(size=(20, 400))
    ).astype(np.float32)
    made = embedded.components(vectors, 20)
    assert made.shape == (300, 20) and made.dtype == np.float32
    apart = lambda x: np.linalg.norm(x[:50, None].astype(float) - x[None, :50], axis=2)
    np.testing.assert_allclose(apart(made), apart(vectors), rtol=1e-3, atol=1e-2)
    spread = made.std(axis=0)
    assert spread.max() / spread.min() < 4
    assert embedded.components(vectors[:, :8]).shape == (300, 8)
    assert embedded.components(vectors[:1]).shape == (1, 400)


def test_sheets_are_bounded(monkeypatch, photos):
    monkeypatch.setattr(pictures, "MOST_SHOWN", 3)
    found = audit(photos[0], stages=["prune.unreadable", "duplicates.images"], embedding=None)
    for finding in found.findings:
        assert len(found.pictures(finding)) <= 4


def test_a_finding_that_is_no_longer_there_has_no_images(seen):
    assert seen.pictures(replace(seen.findings[0])) == ()
