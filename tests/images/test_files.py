"""Walking folders: names in order, each folder once, what is left out told."""

import os
import random
from pathlib import Path

import pytest
from PIL import Image

from tilth.images.files import walk


def made(root, *names, form=None):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(path, form or ("PNG" if path.suffix.lower() == ".png" else "JPEG"))


def test_names_come_sorted_part_by_part_whatever_the_file_system_says(tmp_path, monkeypatch):
    names = ["b/1.jpg", "a/2.jpg", "a/10.jpg", "a b/1.jpg", "a/x/1.jpg", "a.jpg", "ä/1.JPG", "A/1.Png"]
    made(tmp_path, *names)
    wanted = sorted(names, key=lambda name: name.split("/"))
    assert walk(tmp_path).files == wanted
    scandir = os.scandir

    def shuffled(folder):
        entries = list(scandir(folder))
        random.Random(str(folder)).shuffle(entries)
        return entries

    monkeypatch.setattr(os, "scandir", shuffled)
    assert walk(str(tmp_path)).files == wanted and walk(f"{tmp_path}/").files == wanted


def test_other_files_are_counted_by_their_suffix(tmp_path):
    made(tmp_path, "cat/1.jpg")
    for name in ("README.txt", "cat/notes.txt", "cat/Thumbs.db", "cat/list", ".DS_Store", "cat/._1.jpg"):
        (tmp_path / name).write_bytes(b"BM, and no bitmap")
    made(tmp_path, ".git/x.jpg")
    found = walk(tmp_path)
    assert found.files == ["cat/1.jpg"]
    assert found.others == ["README.txt", "cat/Thumbs.db", "cat/list", "cat/notes.txt"]
    assert found.hidden == [".DS_Store", ".git", "cat/._1.jpg"]
    first, second = found.notes()
    assert first.startswith("4 files without an image left out: 2 .txt, ") and "'README.txt'" in first
    assert second == "3 hidden names left out ('.DS_Store', '.git', 'cat/._1.jpg')."


def test_an_image_whose_name_does_not_say_so_is_found_by_its_bytes(tmp_path):
    made(tmp_path, "cat/one", "cat/two.dat", form="PNG")
    (tmp_path / "cat" / "three.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(99))
    (tmp_path / "cat" / "cut.dat").write_bytes((tmp_path / "cat" / "one").read_bytes()[:12])
    found = walk(tmp_path)
    assert found.files == ["cat/one", "cat/three.heic", "cat/two.dat"] and found.others == ["cat/cut.dat"]


def test_links_are_followed_once_and_loops_are_not(tmp_path):
    root = tmp_path / "photos"
    made(root, "cat/1.jpg", "dog/2.jpg")
    made(tmp_path / "elsewhere", "bird/3.jpg")
    links = {
        "again": root / "cat",
        "bird": tmp_path / "elsewhere" / "bird",
        "bird2": tmp_path / "elsewhere" / "bird",
        "cat/up": root,
        "dog/self": root / "dog" / "self",
        "dog/wide": tmp_path,
        "dog/copy.jpg": root / "dog" / "2.jpg",
        "dog/gone.jpg": tmp_path / "nothing.jpg",
    }
    for name, target in links.items():
        (root / name).symlink_to(target)
    (tmp_path / "elsewhere" / "bird" / "back").symlink_to(root / "dog")
    found = walk(root)
    assert found.files == ["bird/3.jpg", "cat/1.jpg", "dog/2.jpg", "dog/copy.jpg", "dog/gone.jpg"]
    assert found.loops == ["again", "bird/back", "bird2", "cat/up", "dog/wide"]
    assert found.others == ["dog/self"] and found.without == []
    assert "5 links to a folder that is read anyway" in " ".join(found.notes())


def test_names_that_are_no_text_are_told(tmp_path):
    made(tmp_path, "cat/1.jpg")
    odd = os.fsencode(tmp_path) + b"/cat/caf\xe9.jpg"
    os.link(tmp_path / "cat" / "1.jpg", odd)
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.txt")).write_text("text")
    found = walk(tmp_path)
    assert found.files == ["cat/1.jpg"] and found.unnamed == ["cat/caf\\xe9.jpg"]
    assert found.others == ["\\xff.txt"]
    assert "1 image left out, whose name is no UTF-8 text" in " ".join(found.notes())


def test_odd_names_that_are_text_are_fine(tmp_path):
    names = [
        "cat/ .jpg",
        'cat/a "b" c.jpg',
        "cat/per%cent#.jpg",
        "cat/new\nline.jpg",
        "cat/日本 🐈.jpg",
        "cat/*.jpg",
    ]
    made(tmp_path, *names)
    assert walk(tmp_path).files == sorted(names)


def test_folders_without_an_image_are_told_topmost_first(tmp_path):
    made(tmp_path, "train/cat/1.jpg")
    for name in ("train/dog/deep/deeper", "empty"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe" / "in")
    found = walk(tmp_path)
    assert found.without == ["empty", "pipe", "train/dog"] and found.others == ["pipe/in"]


def test_a_folder_called_as_an_image_is_a_folder(tmp_path):
    made(tmp_path, "cat.jpg/1.jpg")
    assert walk(tmp_path).files == ["cat.jpg/1.jpg"]


def test_a_folder_that_is_not_there_raises(tmp_path):
    with pytest.raises(FileNotFoundError):
        walk(tmp_path / "none")
