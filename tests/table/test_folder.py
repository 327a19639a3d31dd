"""Image folders as tables: classes, splits, lists of images, and every hostile file there is."""

import hashlib
import io
import os
import shutil
import struct
import tempfile
import unicodedata
import zlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tilth.audit import audit
from tilth.errors import ColumnError, DataError
from tilth.pipeline import Pipeline, prepare
from tilth.recipes import Recipe
from tilth.stages.prune.unreadable import PruneUnreadable
from tilth.table import ROW, Roles, Table, read
from tilth.table.table import FACTS


def noise(size=(24, 18), mode="RGB", seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def folder(root, *names, **options):
    for number, name in enumerate(names):
        path = Path(root, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        noise(seed=number).save(path, "PNG" if path.suffix == ".png" else "JPEG", **options)
    return Path(root)


def rows(table, *names):
    return table.frame.select(names).collect().rows()


# -- what a folder's folders mean ------------------------------------------------------------------------


def test_class_folders_are_labels_and_deeper_ones_are_not(tmp_path):
    table = read(folder(tmp_path, "dog/1.jpg", "cat/2.png", "cat/indoor/night/1.jpg"))
    assert rows(table, "file", "label") == [
        ("cat/2.png", "cat"),
        ("cat/indoor/night/1.jpg", "cat"),
        ("dog/1.jpg", "dog"),
    ]
    assert table.roles == Roles("label", image="path", facts=FACTS)
    assert table.kinds == {"path": "image"} and table.notes == ()
    assert all(Path(path).samefile(tmp_path / name) for path, name in rows(table, "path", "file"))
    assert table.facts().select("format", "width", "height", "problem").unique().height == 2
    assert table.y.to_list() == ["cat", "cat", "dog"] and table.X().columns == ["path"]


NAME = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\\0"), min_size=1, max_size=6
)


@settings(max_examples=25)
@given(
    st.sets(
        st.lists(NAME.filter(lambda n: n[0] != "."), min_size=2, max_size=4).map(tuple),
        min_size=1,
        max_size=6,
    )
)
def test_any_tree_of_names_becomes_its_rows(parts):
    names = sorted(("/".join(part) + ".jpg" for part in parts), key=lambda name: name.split("/"))
    picture = content()
    with tempfile.TemporaryDirectory() as root:
        for name in names:
            path = Path(root, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture)
        table = read(root)
        again = read(root)
    assert table.facts()["file"].to_list() == names and table.facts()["problem"].is_null().all()
    assert len(set(table.ids)) == len(names) and table.ids.tolist() == again.ids.tolist()
    if not {name.split("/")[0].lower() for name in names} <= {"dev", "test", "train", "val"}:
        assert table.y.to_list() == [unicodedata.normalize("NFC", name.split("/")[0]) for name in names]


def test_files_without_folders_have_no_label(tmp_path):
    table = read(str(folder(tmp_path, "b.jpg", "a.jpg")))
    assert rows(table, "file") == [("a.jpg",), ("b.jpg",)]
    assert table.roles.target is None and "label" not in table.schema


def test_files_beside_classes_have_an_empty_label(tmp_path):
    table = read(folder(tmp_path, "cat/1.jpg", "0.jpg"))
    assert rows(table, "file", "label") == [("0.jpg", None), ("cat/1.jpg", "cat")]
    assert table.notes == ("1 of 2 images lie in no folder of a class: they have no label.",)


SPLITS = {
    ("train/cat/1.jpg", "test/cat/2.jpg"): {"train/cat/1.jpg": "train", "test/cat/2.jpg": "test"},
    ("Training/cat/1.jpg", "VALID/cat/1.jpg", "testing/cat/2.jpg"): {
        "Training/cat/1.jpg": "train",
        "VALID/cat/1.jpg": "val",
        "testing/cat/2.jpg": "test",
    },
    ("train/cat/1.jpg", "val/dog/2.jpg"): {"train/cat/1.jpg": "train", "val/dog/2.jpg": "test"},
    ("train/cat/1.jpg", "test/2.jpg"): {"train/cat/1.jpg": "train", "test/2.jpg": "test"},
}


@pytest.mark.parametrize("names", SPLITS, ids=lambda names: names[0])
def test_folders_of_parts_become_a_split(tmp_path, names):
    table = read(folder(tmp_path, *names))
    assert dict(rows(table, "file", "split")) == SPLITS[names]
    assert table.roles.split == "split" and "split" not in table.features
    assert set(table.y.drop_nulls()) <= {"cat", "dog"}
    told = " ".join(table.notes)
    assert ("the images of the validation folder are the test rows" in told) == (names[1] == "val/dog/2.jpg")
    assert ("count as training rows" in told) == ("VALID/cat/1.jpg" in names)


def test_one_part_alone_splits_nothing_and_is_no_class(tmp_path):
    table = read(folder(tmp_path, "train/cat/1.jpg", "train/dog/2.jpg"))
    assert table.roles.split is None and "split" not in table.schema
    assert table.y.to_list() == ["cat", "dog"]


def test_classes_may_be_called_as_parts_are(tmp_path):
    table = read(folder(tmp_path, "train/1.jpg", "bus/2.jpg"))
    assert table.y.to_list() == ["bus", "train"] and table.roles.split is None and not table.notes
    table = read(folder(tmp_path, "test/1.jpg"))
    assert table.y.to_list() == ["bus", "test", "train"]
    assert "The folders test, train are read as classes" in table.notes[0]


def test_a_class_folder_can_stand_for_no_label(tmp_path):
    table = read(folder(tmp_path, "0/1.jpg", "1/2.jpg", "unknown/3.jpg"), null_values=["unknown"])
    assert table.y.to_list() == ["0", "1", None]


def test_a_name_written_in_two_ways_is_one_class(tmp_path):
    composed, apart = "caf\u00e9", "cafe\u0301"
    table = read(folder(tmp_path, f"train/{composed}/1.jpg", f"test/{apart}/2.jpg"))
    assert set(table.y) == {composed}
    assert table.facts()["problem"].is_null().all()


def test_row_ids_belong_to_the_file_wherever_the_folder_lies(tmp_path):
    names = ["cat/1.jpg", "cat/2.jpg", "dog/3.jpg"]
    here, there = read(folder(tmp_path / "a", *names)), read(folder(tmp_path / "b", "ant/0.jpg", *names))
    assert dict(rows(here, "file", ROW)).items() <= dict(rows(there, "file", ROW)).items()
    assert len(set(there.ids)) == 4


def test_roles_can_be_named_and_must_be_there(tmp_path):
    root = folder(tmp_path, "cat/1.jpg", "dog/2.jpg")
    assert read(root, target="label", image="path", group="format").roles.group == "format"
    assert read(root, row_id="file").roles.row_id == "file"
    for options in ({"target": "class"}, {"group": "owner"}, {"image": "img"}):
        with pytest.raises(ColumnError, match=r"no column '(class|owner|img)'"):
            read(root, **options)


def test_a_folder_without_images_says_what_it_holds(tmp_path):
    with pytest.raises(DataError, match=r"holds no image\. It is empty"):
        read(tmp_path)
    (tmp_path / "rows.csv").write_text("a\n1\n")
    with pytest.raises(DataError, match=r"holds no image. 1 file without an image left out: 1 .csv"):
        read(tmp_path)


def test_one_image_is_no_table(tmp_path):
    with pytest.raises(DataError, match="Images are read by the name of their folder"):
        read(folder(tmp_path, "cat/1.JPG") / "cat" / "1.JPG")


def test_progress_is_told(tmp_path):
    told = []
    read(folder(tmp_path, "cat/1.jpg", "dog/2.jpg"), progress=told.append)
    assert told[-1].startswith("2 of 2 images")


# -- lists of images -------------------------------------------------------------------------------------


@pytest.fixture
def listed(tmp_path):
    folder(tmp_path, "in/1.jpg", "in/2.png", "in/3.jpg")
    return pl.DataFrame(
        {
            "img": ["in/1.jpg", "in/2.png", str(tmp_path / "in" / "3.jpg")],
            "y": ["a", "b", "a"],
            "w": [1.0, 2.0, 3.0],
            "who": ["x", "x", "y"],
            "part": ["train", "train", "test"],
            "width": [5, 6, 7],
        }
    )


@pytest.mark.parametrize("suffix", ["csv", "parquet", "tsv"])
def test_relative_paths_start_at_the_folder_of_the_list(tmp_path, monkeypatch, listed, suffix):
    name = f"list.{suffix}"
    if suffix == "parquet":
        listed.write_parquet(tmp_path / name)
    else:
        listed.write_csv(tmp_path / name, separator="\t" if suffix == "tsv" else ",")
    monkeypatch.chdir("/")
    table = read(tmp_path / name, image="img", target="y", weight="w", group="who", split="part")
    assert [Path(path).name for (path,) in rows(table, "img")] == ["1.jpg", "2.png", "3.jpg"]
    assert all(Path(path).exists() for (path,) in rows(table, "img"))
    assert table.kinds == {"img": "image", "width": "numeric"}
    # The list's own column keeps its name; the fact of the image steps aside.
    assert table.roles.facts[2] == "width_" and table.facts()["width"].to_list() == [24] * 3
    assert table.facts()["file"].to_list() == listed["img"].to_list()
    assert table.X()["width"].to_list() == [5, 6, 7]


def test_row_ids_of_a_list_stay_when_its_lines_are_moved(tmp_path, listed):
    listed = pl.concat([listed, listed[:1]])
    listed.write_csv(tmp_path / "a.csv")
    listed[[1, 0, 2, 3]].write_csv(tmp_path / "b.csv")
    a, b = (read(tmp_path / name, image="img") for name in ("a.csv", "b.csv"))
    assert len(set(a.ids)) == 4 and dict(zip(a.facts()["file"][:3], a.ids[:3], strict=True)) == dict(
        zip(b.facts()["file"][:3], b.ids[:3], strict=True)
    )


def test_a_key_of_the_list_names_its_rows(tmp_path, listed):
    listed.write_csv(tmp_path / "a.csv")
    plain = Table.of(listed, roles=Roles(row_id="w"))
    assert read(tmp_path / "a.csv", image="img", row_id="w").ids.tolist() == plain.ids.tolist()


def test_lines_without_a_file_keep_their_place(tmp_path, listed):
    listed = pl.concat([listed, listed[:2].with_columns(img=pl.Series([None, "in/9.jpg"]))])
    listed.write_csv(tmp_path / "a.csv")
    table = read(tmp_path / "a.csv", image="img")
    assert table.facts()["problem"].to_list() == [None] * 3 + ["missing"] * 2


def test_a_list_of_nothing_says_where_it_looked(tmp_path):
    pl.DataFrame({"img": ["x\\1.jpg", "x\\2.jpg"]}).write_csv(tmp_path / "a.csv")
    with pytest.raises(DataError, match=r"none of its 2 files is there.*start at .*Write / in place of"):
        read(tmp_path / "a.csv", image="img")
    pl.DataFrame({"img": [1, 2]}).write_csv(tmp_path / "b.csv")
    with pytest.raises(DataError, match="'img' holds Int64: it must hold the paths"):
        read(tmp_path / "b.csv", image="img")
    with pytest.raises(ColumnError, match="image: no column 'image'"):
        read(tmp_path / "a.csv", image="image")


@pytest.mark.parametrize("told", [{"image": "img"}, {"kinds": {"img": "image"}}])
def test_frames_in_memory_take_images_too(tmp_path, listed, told):
    listed = listed.with_columns(img=pl.Series([str(tmp_path / p) for p in listed["img"]]))
    for frame in (listed, listed.to_pandas(), listed.to_arrow(), listed.lazy()):
        table = read(frame, target="y", **told)
        assert table.roles.image == "img" and table.facts()["format"].to_list() == ["JPEG", "PNG", "JPEG"]
        assert table.ids.tolist() == [0, 1, 2]


def test_several_columns_of_images_start_at_the_folder_of_the_list(tmp_path, listed):
    pairs = listed.select(left="img", right=pl.col("img").reverse(), y="y")
    pairs.write_csv(tmp_path / "pairs.csv")
    table = read(tmp_path / "pairs.csv", kinds={"left": "image", "right": "image"})
    assert table.kinds == {"left": "image", "right": "image", "y": "categorical"} and table.facts() is None
    assert all(Path(path).exists() for pair in rows(table, "left", "right") for path in pair)
    one = read(tmp_path / "pairs.csv", image="right", kinds={"left": "image"})
    assert one.roles.image == "right" and one.facts()["problem"].is_null().all()
    assert rows(one, "left", "right") == rows(table, "left", "right")


def test_a_table_that_is_read_again_keeps_its_roles(tmp_path):
    table = read(folder(tmp_path, "cat/1.jpg", "dog/2.jpg"))
    again = read(table, group="format")
    assert again.roles == Roles("label", group="format", image="path", facts=FACTS)


def test_a_role_makes_an_image_column_of_any_table(listed):
    table = Table.of(listed, roles=Roles(target="y", image="img"))
    assert table.kinds["img"] == "image" and table.facts() is None and table.roles.facts == ()
    assert Table.of(listed, kinds={"img": "image"}).roles.image == "img"
    two = Table.of(listed, kinds={"img": "image", "who": "image"})
    assert two.roles.image is None and two.kinds["img"] == two.kinds["who"] == "image"


def test_facts_and_notes_stay_with_the_rows(tmp_path):
    root = folder(tmp_path, "cat/1.jpg", "dog/2.jpg")
    (root / "x.txt").write_text("x")
    table = read(root)
    again = Table.of(table.with_frame(table.frame.filter(pl.col("label") == "dog")))
    assert again.notes == table.notes != () and again.facts()["file"].to_list() == ["dog/2.jpg"]
    assert set(FACTS) <= table.roles.reserved and ("facts", "bytes") in table.roles.columns()


# -- the recipe --------------------------------------------------------------------------------------------


def recipe(text):
    return Recipe.from_text(text)


def test_a_recipe_reads_a_folder_and_keeps_its_test_folder_apart(tmp_path):
    folder(tmp_path / "photos", "train/cat/1.jpg", "train/dog/2.jpg", "test/cat/3.jpg")
    heard = []
    made = prepare(
        recipe("{data: {path: photos}, stages: [prune.unreadable]}"), base=tmp_path, progress=heard.append
    )
    assert [word.split(" (")[0] for word in heard if "images" in word] == ["3 of 3 images", "2 of 2 images"]
    assert rows(made.before, "file") == [("train/cat/1.jpg",), ("train/dog/2.jpg",)]
    assert rows(made.test, "file") == [("test/cat/3.jpg",)]


def test_what_reading_left_out_is_a_finding_of_the_run(tmp_path):
    (folder(tmp_path / "photos", "cat/1.jpg", "dog/2.jpg") / "notes.txt").write_text("x")
    made = prepare(recipe("{data: {path: photos}, stages: [prune.unreadable]}"), base=tmp_path)
    (found,) = made.findings
    assert found.kind == "images.unused" and "1 file without an image left out: 1 .txt" in found.message


def test_a_table_that_is_passed_keeps_its_own_split(tmp_path):
    table = read(folder(tmp_path / "photos", "train/cat/1.jpg", "train/dog/2.jpg", "test/cat/3.jpg"))
    made = prepare(recipe("stages: [prune.unreadable]"), data=table)
    assert (made.before.height, made.test.height) == (2, 1)
    drawn = prepare(recipe("{data: {split: {test: 0.34}}, stages: [prune.unreadable]}"), data=table)
    assert drawn.before.height + drawn.test.height == 3


def test_a_recipe_reads_a_list(tmp_path, listed):
    listed.write_csv(tmp_path / "list.csv")
    told = (
        "{data: {path: list.csv, image: img, target: y, split: {column: part}}, stages: [prune.unreadable]}"
    )
    made = prepare(recipe(told), base=tmp_path)
    assert made.before.roles.image == "img" and (made.before.height, made.test.height) == (2, 1)


def test_copies_of_an_image_are_not_torn_apart_by_a_drawn_split(tmp_path):
    for number in range(30):
        picture = noise((8, 8), seed=number).resize((96, 80), Image.Resampling.BICUBIC)
        (tmp_path / "photos" / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        path = tmp_path / "photos" / "ab"[number % 2] / f"{number}.png"
        picture.save(path)
        shutil.copy(path, path.with_name(f"{number}-same.png"))
        picture.save(path.with_name(f"{number}-again.jpg"), quality=80)
    told = "{data: {path: photos, split: {test: 0.3}}, stages: [prune.unreadable]}"
    made = prepare(recipe(told), base=tmp_path)
    number = lambda table: {name.split("/")[1].split(".")[0].split("-")[0] for (name,) in rows(table, "file")}
    assert number(made.before) | number(made.test) == {str(n) for n in range(30)}
    assert not number(made.before) & number(made.test)
    assert 0.2 < made.test.height / 90 < 0.4


# -- the torture folder ------------------------------------------------------------------------------------


def content(form="JPEG", mode="RGB", size=(24, 18), **options):
    out = io.BytesIO()
    noise(size, mode).save(out, form, **options)
    return out.getvalue()


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_bomb(width, height):
    """Return a PNG of one bit per pixel, all black: some kilobytes that unpack to `height` long rows."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    packer = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    data = b"".join([*(packer.compress(row) for _ in range(height)), packer.flush()])
    return (
        b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", data) + png_chunk(b"IEND", b"")
    )


def gif_bomb(width, height):
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6) + content("GIF", "P")[19:]


def tiff_bomb():
    said = content("TIFF", "L", (24, 18))
    return said.replace(struct.pack("<HHII", 256, 4, 1, 24), struct.pack("<HHII", 256, 4, 1, 60_000)).replace(
        struct.pack("<HHII", 257, 4, 1, 18), struct.pack("<HHII", 257, 4, 1, 60_000)
    )


def frame_bomb():
    """Return a GIF of few pixels whose frame says that it is of many."""
    data = bytearray(content("GIF", "P"))
    place = data.index(b"\x2c\0\0\0\0" + struct.pack("<HH", 24, 18))
    data[place + 5 : place + 9] = struct.pack("<HH", 65_000, 65_000)
    return bytes(data)


def comment_bomb():
    """Return a PNG with a comment that unpacks to a hundred megabytes."""
    data = content("PNG")
    return data[:33] + png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(10**8), 9)) + data[33:]


def turned(form="JPEG", turn=6):
    exif = Image.Exif()
    exif[0x0112] = turn
    return content(form, exif=exif)


FINE = {
    "fine.jpg": content(),
    "grey.jpg": content(mode="L"),
    "cmyk.jpg": content(mode="CMYK"),
    "progressive.jpg": content(progressive=True),
    "palette.png": content("PNG", "P"),
    "alpha.png": content("PNG", "RGBA"),
    "gray alpha.png": content("PNG", "LA"),
    "sixteen.png": content("PNG", "I;16"),
    "bit.png": content("PNG", "1"),
    "two frames.gif": content("GIF", "P", save_all=True, append_images=[noise(mode="P", seed=1)]),
    "two pages.tif": content("TIFF", save_all=True, append_images=[noise(seed=1)]),
    "fine.webp": content("WEBP"),
    "fine.bmp": content("BMP"),
    "turned.jpg": turned(),
    "png named.jpg": content("PNG"),
    "jpeg named.png": content("JPEG"),
    "jpeg named.txt": content("JPEG"),
    "no suffix": content("WEBP"),
    "UPPER.JPG": content(),
    "bytes behind the end.jpg": content() + b"behind the end" * 9,
    "日本 🐈 'q' #%\n.jpg": content(),
}
HOSTILE = {
    "cut.jpg": (content()[:-200], "truncated"),
    "cut progressive.jpg": (content(progressive=True)[:-200], "truncated"),
    "cut.png": (content("PNG")[:-300], "truncated"),
    "cut.webp": (content("WEBP", lossless=True)[:-300], "truncated"),
    "cut.bmp": (content("BMP")[:-300], "truncated"),
    "cut.tif": (content("TIFF")[:-300], "truncated"),
    "cut in its header.jpg": (content()[:30], "truncated"),
    "zero.jpg": (b"", "empty"),
    "text.jpg": (b"Dear reader, this is a letter.\n" * 20, "not an image"),
    "page.png": (b"<!DOCTYPE html><html><body>404 Not Found</body></html>", "not an image"),
    "zeros.jpg": (bytes(4000), "not an image"),
    "bomb.png": (png_bomb(20_000, 10_000), "too large"),
    "bomb.gif": (gif_bomb(60_000, 60_000), "too large"),
    "bomb.tif": (tiff_bomb(), "too large"),
    "bomb in a frame.gif": (frame_bomb(), "too large"),
    "bomb in a comment.png": (comment_bomb(), "broken"),
    "phone.heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(500), "unsupported"),
}
LEFT_OUT = {
    "README.txt": b"read me",
    "Thumbs.db": b"\xd0\xcf\x11\xe0",
    ".DS_Store": b"\0\0\0\1Bud1",
    "._fine.jpg": b"\0\5",
}


@pytest.fixture
def torture():
    """Make the folder where another user can reach it: of folders of root's own, nobody may read a thing."""
    root = Path(tempfile.mkdtemp(prefix="tilth-torture-"))
    root.chmod(0o755)
    kept = root / "photos" / "kept"
    kept.mkdir(parents=True)
    for name, data in (FINE | {name: data for name, (data, _) in HOSTILE.items()} | LEFT_OUT).items():
        (kept / name).write_bytes(data)
    (kept / "gone.jpg").symlink_to(kept / "nothing.jpg")
    (kept / "around.jpg").symlink_to(kept / "around.jpg")
    (kept / "up").symlink_to(root / "photos")
    (kept / "self").symlink_to(kept / "self")
    (root / "photos" / "twice").symlink_to(kept)
    os.mkfifo(kept / "pipe.jpg")
    (kept / "folder.jpg").mkdir()
    (kept / "folder.jpg" / "inside.jpg").write_bytes(FINE["fine.jpg"])
    yield root / "photos"
    shutil.rmtree(root)


WHY = {
    **{f"kept/{name}": None for name in FINE},
    **{f"kept/{name}": reason for name, (_, reason) in HOSTILE.items()},
    "kept/gone.jpg": "missing",
    "kept/around.jpg": "missing",
    "kept/pipe.jpg": "not an image",
    "kept/folder.jpg/inside.jpg": None,
}


def state(root):
    """Return all that a folder holds, but what reading a file leaves on it: the time of the last reading."""
    held = {}
    for path in sorted(Path(root).rglob("*")):
        told = path.lstat()
        data = (
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() and not path.is_symlink() else ""
        )
        held[str(path)] = (told.st_mode, told.st_size, told.st_mtime_ns, data)
    return held


@pytest.mark.parametrize("cache", ["", "on"])
def test_every_hostile_file_is_left_out_with_its_reason_and_none_is_touched(
    torture, tmp_path, monkeypatch, cache
):
    monkeypatch.setenv("TILTH_CACHE", str(tmp_path / "cache") if cache else "")
    before = state(torture)
    for _ in range(2):  # the second time from the cache, where there is one
        table = read(torture)
        assert table.facts()["file"].to_list() == sorted(WHY, key=lambda name: name.split("/"))
        stage = PruneUnreadable()
        pipe = Pipeline([stage])
        after = pipe.fit_resample(table)
        told = dict(rows(table, ROW, "file"))
        events = pipe.ledger_.events
        assert {told[row]: why for row, why in events.select("row", "reason").rows()} == {
            name: why for name, why in WHY.items() if why is not None
        }
        assert set(events["action"]) == {"dropped"}
        assert after.facts()["file"].to_list() == sorted(
            (name for name, why in WHY.items() if why is None), key=lambda name: name.split("/")
        )
        found = {finding.message.split(": ")[1].split(" (")[0]: finding for finding in pipe.findings_}
        assert {reason: finding.n_rows for reason, finding in found.items()} == {
            reason: list(WHY.values()).count(reason) for reason in set(WHY.values()) - {None}
        }
    assert state(torture) == before


def test_the_audit_tells_of_every_hostile_file_and_touches_none(torture):
    before = state(torture)
    seen = audit(torture, embedding=None).findings
    told = {f.message.split(": ")[1].split(" (")[0]: f.n_rows for f in seen if f.kind == "prune.unreadable"}
    assert told == {why: list(WHY.values()).count(why) for why in set(WHY.values()) - {None}}
    assert {f.message for f in seen if f.kind == "images.unused"} == set(read(torture).notes)
    assert state(torture) == before


def test_headers_alone_tell_all_but_pictures_that_are_cut_off(torture):
    table = read(torture)
    told = dict(table.facts().select("file", "problem").rows())
    cut = {name for name, why in WHY.items() if why == "truncated"}
    assert {n: why for n, why in told.items() if n not in cut} == {
        n: w for n, w in WHY.items() if n not in cut
    }
    assert {told[name] for name in cut} == {None, "truncated"}


def test_what_is_left_out_before_there_are_rows_is_told(torture):
    told = " ".join(read(torture).notes)
    assert "3 files without an image left out: 1 .db, 1 .txt, 1 without a suffix" in told
    assert "2 hidden names left out" in told
    assert "2 links to a folder that is read anyway" in told and "'kept/up'" in told and "'twice'" in told


def test_the_cap_on_pixels_can_be_raised_and_lowered(torture):
    table = read(torture)
    file = table.facts()["file"]
    with pytest.raises(DataError, match="none of the 42 images can be used"):
        PruneUnreadable(max_pixels=431, check="header").fit(table)
    wide = PruneUnreadable(max_pixels=4 * 10**9, check="header").fit(table).plan_
    kept = set(file.filter(pl.Series(wide.times > 0)))
    assert {"kept/bomb.png", "kept/bomb.gif", "kept/bomb.tif"} <= kept


@pytest.fixture
def as_nobody():
    """Give a way to become a user whom permissions stop: root reads whatever it likes."""
    if not hasattr(os, "geteuid"):
        pytest.skip("permissions of this kind are POSIX's")
    me = os.geteuid()

    def become():
        if me == 0:
            os.seteuid(65534)

    yield become
    os.seteuid(me)


def test_what_may_not_be_read_is_told(torture, as_nobody):
    shutil.rmtree(torture / "kept")
    folder(torture, "cat/1.jpg", "cat/2.jpg", "closed/3.jpg")
    read(torture)  # what is imported late is imported now: nobody may not read that either
    PruneUnreadable(action="report").fit(read(torture))
    (torture / "cat" / "2.jpg").chmod(0)
    (torture / "closed").chmod(0)
    as_nobody()
    try:
        (torture / "cat" / "2.jpg").read_bytes()
    except PermissionError:
        pass
    else:
        pytest.skip("nothing stops this user")
    table = read(torture)
    assert table.facts().select("file", "problem").rows() == [
        ("cat/1.jpg", None),
        ("cat/2.jpg", "permission"),
    ]
    assert "1 folder that cannot be read" in " ".join(table.notes) and "'closed'" in " ".join(table.notes)
    after = Pipeline([PruneUnreadable()]).fit(table)
    assert after.ledger_.events["reason"].to_list() == ["permission"]
