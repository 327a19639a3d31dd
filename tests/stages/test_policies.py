"""Albumentations' transforms by name: what is refused, and that draws depend on the key alone."""

import json
import os
import random
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tilth.errors import RecipeError, StageError, UnknownName
from tilth.stages.policies import Policy, build, checked, known, risks

# What a transform needs that has no defaults, or whose defaults do nothing.
NEEDED = {
    "Affine": {"rotate": [-30, 30]},
    "CenterCrop": {"height": 32, "width": 32, "pad_if_needed": True},
    "Crop": {"x_max": 32, "y_max": 32},
    "CropAndPad": {"percent": 0.1},
    "GridElasticDeform": {"num_grid_xy": [4, 4], "magnitude": 5},
    "Pad": {"padding": 4},
    "PadIfNeeded": {"min_height": 32, "min_width": 32},
    "RandomCrop": {"height": 32, "width": 32},
    "RandomResizedCrop": {"size": [32, 32]},
    "RandomSizedCrop": {"min_max_height": [20, 30], "size": [32, 32]},
    "Resize": {"height": 32, "width": 32},
    "TimeMasking": {"time_mask_param": 8},
    "XYMasking": {"num_masks_x": 2, "mask_x_length": 6},
}
# Those that cannot be used as they are: in a list of their own, so that what changes in albumentations shows.
REFUSED = {
    *("FDA", "FromFloat", "HistogramMatching", "LongestMaxSize", "MaskDropout", "MaxSizeTransform", "Mosaic"),
    *("Normalize", "OverlayElements", "Pad", "PixelDistributionAdaptation", "RandomCropFromBorders"),
    *("RandomCropNearBBox", "RandomScale", "SmallestMaxSize", "TextImage", "ToFloat"),
}
SLOW = {"PiecewiseAffine", "Superpixels"}


def image(side: int = 32, seed: int = 0) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(30, 220, (4, 4, 3), dtype=np.uint8)
    return np.repeat(np.repeat(coarse, side // 4, 0), side // 4, 1)


def parameters(name: str) -> dict:
    inside = {"transforms": ["HorizontalFlip", "Transpose"]}
    composed = name in (
        "OneOf",
        "OneOrOther",
        "RandomOrder",
        "SelectiveChannelTransform",
        "Sequential",
        "SomeOf",
    )
    return {**NEEDED.get(name, {}), **(inside if composed else {})}


def policy(*written: object) -> Policy:
    return Policy("none", transforms=json.dumps(written))


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", sorted(set(known()) - REFUSED))
def test_each_transform_draws_by_its_key_alone_and_leaves_image_and_global_state(name):
    written = {name: {**parameters(name), "p": 1.0}}
    assert checked([written]) == [written]
    one, before = policy(written), image()
    state = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    words = range(1 if name in SLOW else 8)
    first = [one.apply(before, word, "here") for word in words]
    again = {word: one.apply(before, word, "here") for word in reversed(words)}
    assert all(np.array_equal(first[word], again[word]) for word in words)
    assert all(out.shape == before.shape and out.dtype == np.uint8 for out in first)
    assert np.array_equal(before, image())
    assert (random.getstate(), np.random.get_state()[1].tolist()) == state  # noqa: NPY002


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", sorted(REFUSED & set(known())))
def test_what_needs_more_or_gives_something_else_is_refused(name):
    with pytest.raises(RecipeError, match=rf"{name}.*\w{{4}}"):
        checked([name])


@pytest.mark.parametrize(
    "written, told",
    [
        (["HorizontlFlip"], "no transform of albumentations 'HorizontlFlip' .did you mean 'HorizontalFlip'"),
        ([{"HorizontalFlip": {"pp": 1}}], "no parameter of HorizontalFlip 'pp' .did you mean 'p'"),
        ([{"HorizontalFlip": {"strict": True}}], "no parameter of HorizontalFlip 'strict'"),
        (
            [{"MedianBlur": {"blur_limt": 3}}],
            "no parameter of MedianBlur 'blur_limt' .did you mean 'blur_limit'",
        ),
        (["os.system"], "no transform of albumentations 'os.system'"),
        (["builtins.exec"], "no transform"),
        (["DualTransform"], "no transform"),
        (["CoarseDropout3D"], "no transform"),
        ([{"OneOf": {"transforms": [{"Blurr": {}}]}}], "'Blurr' .did you mean 'Blur'"),
        ([{"HorizontalFlip": {"p": 2}}], "HorizontalFlip: p: .*less than or equal to 1, found 2"),
        ([{"GaussianBlur": {"sigma_limit": -3}}], "GaussianBlur: sigma_limit: .*found -3"),
        ([{"RandomCrop": {"height": 3}}], "RandomCrop: width: Field required$"),
        (["LongestMaxSize"], "LongestMaxSize: Either max_size or max_size_hw must be specified$"),
        ([{"OneOf": {}}], "OneOf: it needs `transforms`"),
        (
            [{"OneOf": {"transforms": ["Blur"], "p": "often"}}],
            "OneOf: p: it is a probability, from 0 to 1, found 'often'",
        ),
        (["ToTensorV2"], "ToTensorV2 gives tensors, which the loader makes. Leave it out"),
        (["Compose"], "use Sequential"),
        (["Normalize"], "Normalize gives float32, and batches are made of 8-bit pixels"),
        ([{"OneOf": {"transforms": ["Blur", "Normalize"]}}], "Normalize gives float32"),
        (["MaskDropout"], "MaskDropout needs more than the image: mask"),
        (["BBoxSafeRandomCrop"], "needs boxes or masks beside the image"),
        (["RandomScale"], "changes the size of images"),
        (["Affine"], "Affine changes nothing as it is written"),
        ([{"RandomBrightnessContrast": {"brightness_limit": [-1, -1]}}], "leaves nothing of an image"),
        ([{"PixelDropout": {"dropout_prob": 1.0}}], "leaves nothing of an image"),
        ([{"Blur": {}, "HorizontalFlip": {}}], "A transform is a name, or a name with parameters"),
    ],
)
def test_what_is_wrong_is_told_with_the_nearest_that_is_right(written, told):
    with pytest.raises(RecipeError, match=told):
        checked(written)


def test_names_of_other_packages_in_the_registry_are_not_known():
    import albumentations
    from albumentations.core.serialization import SERIALIZABLE_REGISTRY

    class Evil(albumentations.ImageOnlyTransform):
        pass

    assert any(name.endswith("Evil") for name in SERIALIZABLE_REGISTRY)
    known.cache_clear()
    with pytest.raises(UnknownName):
        checked([next(name for name in SERIALIZABLE_REGISTRY if name.endswith("Evil"))])


def test_transforms_of_one_image_draw_unrelated_numbers():
    """A seed given to a composition by albumentations makes all flips of an image happen together."""
    both = policy({"HorizontalFlip": {"p": 0.5}}, {"VerticalFlip": {"p": 0.5}})
    corner = np.zeros((4, 4, 3), np.uint8)
    corner[0, 0] = 255
    out = np.stack([both.apply(corner, word, "here") for word in range(2000)])
    share = [out[:, row, column, 0].mean() / 255 for row in (0, -1) for column in (0, -1)]
    np.testing.assert_allclose(share, 0.25, atol=0.04)


def test_compositions_within_compositions_draw_by_the_key():
    written = {
        "OneOf": {"transforms": [{"Sequential": {"transforms": ["Blur", "HorizontalFlip"]}}, "Posterize"]}
    }
    one = policy(written)
    outs = [one.apply(image(), word, "here").tobytes() for word in range(30)]
    assert outs == [one.apply(image(), word, "here").tobytes() for word in range(30)]
    assert len(set(outs)) > 2


@pytest.mark.parametrize("name", ["light", "standard", "heavy", "trivial", "rand"])
def test_threads_and_order_change_nothing(name):
    one, picture = Policy(name), image(28)
    words = [int(word) for word in np.random.default_rng(0).integers(0, 2**63, 200)]
    alone = [one.apply(picture, word, "here") for word in words]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda word: one.apply(picture, word, "here"), words[::-1]))[::-1]
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))
    assert len({out.tobytes() for out in alone}) > 50


def test_a_thread_has_objects_of_its_own():
    seen = []

    def look() -> None:
        from tilth.stages import policies

        seen.append(policies._chain(Policy("light")))

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen[0] is not seen[1]


@pytest.mark.parametrize("name", ["light", "standard", "heavy", "trivial", "rand", "none"])
@pytest.mark.parametrize("shape", [(28, 28), (28, 28, 1), (28, 20, 3), (224, 224, 3)])
def test_shape_and_type_are_kept_and_gray_stays_gray(name, shape):
    channels = shape[2] if len(shape) > 2 else 1
    picture = np.ascontiguousarray(image(224)[:: 224 // shape[0], :: 224 // shape[1], :channels])
    picture = picture[: shape[0], : shape[1]].reshape(shape)
    outs = [Policy(name).apply(picture, word, "here") for word in range(12)]
    assert all(out.shape == shape and out.dtype == np.uint8 for out in outs)
    assert any(not np.array_equal(out, picture) for out in outs) == (name != "none")


@pytest.mark.parametrize("name", ["light", "standard", "heavy", "trivial", "rand"])
def test_gray_images_of_three_channels_get_no_color(name):
    gray = image(32)[..., :1].repeat(3, 2)
    outs = [Policy(name, 2.0).apply(gray, word, "here").astype(int) for word in range(150)]
    # A JPEG may round the channels apart by a little.
    assert max(int(np.ptp(out, axis=2).max()) for out in outs) <= 3


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("name", ["light", "standard", "heavy", "trivial", "rand"])
def test_the_strength_says_how_far_images_are_changed(name, strength):
    picture = image(32)
    apart = lambda by: np.mean(
        [
            np.abs(Policy(name, by, flip=False).apply(picture, w, "here").astype(int) - picture).mean()
            for w in range(150)
        ]
    )
    assert (apart(strength) == 0) == (strength == 0)
    if strength == 0.5:
        assert apart(0.5) < apart(1.0)


def test_rand_and_trivial_draw_operations_alike():
    from collections import Counter

    from tilth.stages.magnitudes import OPERATIONS
    from tilth.stages.policies import _Chain

    for name, per_image in (("trivial", 1), ("rand", 3)):
        chain = _Chain(Policy(name, n=3, m=9))
        drawn = Counter()
        chain._at = lambda *key, drawn=drawn: drawn.update([key]) or []
        for word in range(4000):
            chain.draw(word)
        names = Counter(key[0] for key in drawn.elements())
        assert sum(names.values()) == 4000 * per_image
        np.testing.assert_allclose([names[n] / sum(names.values()) for n in OPERATIONS], 1 / 14, rtol=0.2)
        levels = {level for _, level, _ in drawn}
        assert levels == ({9} if name == "rand" else set(range(31)))
        assert sum(n for key, n in drawn.items() if key[2] == 1) == pytest.approx(2000 * per_image, rel=0.1)


def test_transforms_come_after_the_policy():
    gray = Policy("heavy", transforms=json.dumps(["ToGray", {"ToGray": {"p": 1}}]))
    out = gray.apply(image(), 5, "here")
    assert np.ptp(out, axis=2).max() == 0
    assert gray.written()[-1] == {"ToGray": {"p": 1}}


def test_a_crop_to_the_size_of_the_image_will_do_and_another_is_told():
    crop = {"RandomResizedCrop": {"size": [32, 32], "p": 1}}
    assert policy(crop).apply(image(), 1, "here").shape == (32, 32, 3)
    with pytest.raises(
        StageError, match=r"here: the transforms make an image of shape \(32, 32, 3\) of one of \(64"
    ):
        policy(crop).apply(image(64), 1, "here")
    with pytest.raises(
        StageError, match=r"here: RandomCrop failed on an image of shape \(32, 32, 3\): .*[Cc]rop size"
    ):
        policy({"RandomCrop": {"height": 99, "width": 9, "p": 1}}).apply(image(), 1, "here")


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4, 3)),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros(4, np.uint8),
        np.zeros((1, 4, 4, 3), np.uint8),
    ],
)
def test_what_is_no_image_is_refused(pixels):
    with pytest.raises(StageError, match="changes 8-bit pixels of shape"):
        Policy("light").apply(pixels, 0, "here")


def test_risks_name_transforms_wherever_they_stand():
    written = ["Blur", {"OneOf": {"transforms": ["VerticalFlip", {"D4": {"p": 1}}]}}, "InvertImg"]
    assert [(names, done) for names, done, _ in risks(written)] == [
        (["VerticalFlip", "D4"], "turned over"),
        (["InvertImg"], "recolored"),
    ]
    assert list(risks(["Blur", {"HorizontalFlip": None}])) == []


def test_what_is_built_is_albumentations_own():
    import albumentations

    flip, either = build(["HorizontalFlip", {"OneOf": {"transforms": ["Blur"], "p": 1}}])
    assert type(flip) is albumentations.HorizontalFlip
    assert type(either.transforms[0]) is albumentations.Blur


def test_importing_asks_no_network_and_leaves_the_environment():
    """In a process of its own, since an import happens once."""
    code = """
import os, sys, urllib.request, warnings
asked = []
urllib.request.OpenerDirector.open = lambda *a, **k: asked.append(a)
import tilth
from tilth.stages import policies
tilth.stage("augment.images")
print("albumentations" in sys.modules)
policies.known()
print(len(asked), os.environ["NO_ALBUMENTATIONS_UPDATE"])
del os.environ["NO_ALBUMENTATIONS_UPDATE"]
policies._albumentations.__wrapped__()
print("NO_ALBUMENTATIONS_UPDATE" in os.environ)
"""
    environment = {**os.environ, "NO_ALBUMENTATIONS_UPDATE": "0"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.split() == ["False", "0", "0", "False"]
