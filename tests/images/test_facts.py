"""What headers tell, without decoding."""

import io
import warnings

import polars as pl
import pytest
from PIL import Image

from tilth.images.facts import SCHEMA, facts


def saved(path, size=(12, 7), mode="RGB", form=None, **options):
    Image.new(mode, size).save(path, form, **options)
    return str(path)


def test_formats_sizes_and_modes_are_told(tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6
    paths = [
        saved(tmp_path / "a.jpg"),
        saved(tmp_path / "b.png", mode="P"),
        saved(tmp_path / "c.tif", mode="I;16"),
        saved(tmp_path / "d.jpg", mode="CMYK"),
        saved(tmp_path / "e.gif", mode="P"),
        saved(tmp_path / "f.webp", mode="RGBA"),
        saved(tmp_path / "g.bmp", mode="1"),
        saved(tmp_path / "h.jpg", exif=turned),
        saved(tmp_path / "png.jpg", form="PNG"),
    ]
    told = facts(paths)
    assert told.schema == {"path": pl.String, **SCHEMA} and told["path"].to_list() == paths
    formats = ["JPEG", "PNG", "TIFF", "JPEG", "GIF", "WEBP", "BMP", "JPEG", "PNG"]
    assert told["format"].to_list() == formats
    assert told["mode"].to_list() == ["RGB", "P", "I;16", "CMYK", "P", "RGBA", "1", "RGB", "RGB"]
    # A picture that lies on its side is told as it is seen.
    assert told.select("width", "height").rows() == [(12, 7)] * 7 + [(7, 12), (12, 7)]
    assert told["orientation"].to_list() == [1] * 7 + [6, 1] and told["problem"].is_null().all()
    assert told["bytes"].to_list() == [(tmp_path / p).stat().st_size for p in paths]


def test_problems_are_told_and_the_rest_is_null(tmp_path):
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("no picture")
    told = facts([str(tmp_path / "empty.jpg"), str(tmp_path / "text.jpg"), "nowhere.jpg", None])
    assert told["problem"].to_list() == ["empty", "not an image", "missing", "missing"]
    assert told["bytes"].to_list() == [0, 10, None, None]
    assert told.select("format", "width", "height", "mode", "orientation").null_count().row(0) == (4,) * 5


def test_the_cap_is_applied_to_what_is_remembered(tmp_path, monkeypatch):
    monkeypatch.setenv("TILTH_CACHE", str(tmp_path / "cache"))
    path = saved(tmp_path / "a.png", (30, 20))
    assert facts([path], max_pixels=599)["problem"].to_list() == ["too large"]
    assert facts([path], max_pixels=599)["width"].to_list() == [30]
    assert facts([path], max_pixels=600)["problem"].to_list() == [None]


def test_any_number_of_threads_and_the_cache_tell_the_same(tmp_path, monkeypatch):
    monkeypatch.setenv("TILTH_CACHE", str(tmp_path / "cache"))
    paths = [saved(tmp_path / f"{n}.png", (n + 1, 3)) for n in range(40)]
    told = []
    first = facts(paths, threads=3, progress=told.append)
    assert told[-1].startswith("40 of 40 images (")
    assert first["width"].to_list() == list(range(1, 41))
    again = []
    assert facts(paths, progress=again.append).equals(first) and again == []
    assert facts(paths, cache=False, threads=1).equals(first)


@pytest.mark.filterwarnings("error")
def test_what_pillow_warns_of_is_kept_still_here_and_not_elsewhere(tmp_path):
    whole = io.BytesIO()
    Image.new("RGB", (9, 5)).save(whole, "TIFF")
    cut = tmp_path / "cut.tif"
    cut.write_bytes(whole.getvalue()[:20])
    assert facts([str(cut)], cache=False)["problem"].to_list() == ["truncated"]
    with pytest.raises(UserWarning):
        warnings.warn("heard", UserWarning, stacklevel=1)
