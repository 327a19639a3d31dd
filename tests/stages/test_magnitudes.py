"""Operations of RandAugment and TrivialAugment: Pillow's, which the papers use, are the oracle."""

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from tilth.stages.magnitudes import LEVELS, OPERATIONS, of_policy, operation
from tilth.stages.policies import build, checked

HEIGHT, WIDTH = 40, 60


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    coarse = np.random.default_rng(0).integers(20, 220, (8, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((WIDTH, HEIGHT), Image.BICUBIC))


def changed(image: np.ndarray, written: list) -> np.ndarray:
    for transform in build(written):
        image = transform(image=image)["image"]
    return image.astype(int)


def pillow(name: str, image: np.ndarray, magnitude: float, sign: int) -> np.ndarray:
    picture, factor = Image.fromarray(image), 1 + sign * 0.99 * magnitude
    if name in ("Brightness", "Color", "Contrast", "Sharpness"):
        out = getattr(ImageEnhance, name)(picture).enhance(factor)
    else:
        out = {
            "Posterize": lambda: ImageOps.posterize(picture, 8 - round(6 * magnitude)),
            "Solarize": lambda: ImageOps.solarize(picture, round(255 * (1 - magnitude))),
            "AutoContrast": lambda: ImageOps.autocontrast(picture),
            "Equalize": lambda: ImageOps.equalize(picture),
            "Identity": lambda: picture,
        }[name]()
    return np.asarray(out).astype(int)


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("magnitude", [0.0, 0.2, 0.5, 1.0])
@pytest.mark.parametrize("name", [n for n in OPERATIONS if n[-1] not in "XY" and n != "Rotate"])
def test_colors_are_changed_as_pillow_does(image, name, magnitude, sign):
    apart = np.abs(
        changed(image, operation(name, magnitude, sign, wide=True)) - pillow(name, image, magnitude, sign)
    )
    exact = name in ("Brightness", "Posterize", "Solarize", "Identity")
    assert apart.mean() <= (0 if exact else 2)
    assert apart.max() <= (0 if exact else 20)


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("name, axis, side", [("TranslateX", 1, WIDTH), ("TranslateY", 0, HEIGHT)])
def test_a_shift_is_a_share_of_the_side_and_black_comes_in(image, name, axis, side, sign):
    out = changed(image, operation(name, 1.0, sign, wide=False))
    pixels = round(sign * 0.45 * side)
    moved = np.roll(image, pixels, axis=axis).astype(int)
    rows = [slice(None)] * 2
    rows[axis] = slice(0, pixels) if pixels > 0 else slice(pixels, None)
    moved[tuple(rows)] = 0
    assert np.array_equal(out, moved)


@pytest.mark.parametrize("wide, degrees", [(False, 30.0), (True, 135.0)])
def test_turns_and_shears_are_about_the_middle(image, wide, degrees):
    turned = changed(image, operation("Rotate", 1.0, 1, wide=wide))
    wanted = np.asarray(Image.fromarray(image).rotate(degrees, Image.BILINEAR)).astype(int)
    assert np.abs(turned - wanted).mean() < 3
    share = 0.99 if wide else 0.3
    for name in ("ShearX", "ShearY"):
        row = changed(image, operation(name, 1.0, 1, wide=wide))
        other = changed(image, operation(name, 1.0, -1, wide=wide))
        data = (1, share, -share * (HEIGHT - 1) / 2, 0, 1, 0) if name == "ShearX" else None
        data = data or (1, 0, 0, share, 1, -share * (WIDTH - 1) / 2)
        sheared = np.asarray(
            Image.fromarray(image).transform((WIDTH, HEIGHT), Image.AFFINE, data, Image.BILINEAR)
        )
        assert min(np.abs(out - sheared.astype(int)).mean() for out in (row, other)) < 8
        assert not np.array_equal(row, other)


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_level_can_be_built_and_none_does_nothing_but_the_identity(image, name, wide):
    for level in range(LEVELS + 1):
        for sign in (-1, 1):
            written = operation(name, level / LEVELS, sign, wide=wide)
            assert changed(image, written).shape == image.shape
    assert (written == []) == (name == "Identity")
    assert np.array_equal(changed(image, written), image) == (name == "Identity")


@pytest.mark.parametrize("name", ["light", "standard", "heavy"])
def test_policies_can_be_written_into_a_recipe_and_grow_with_their_strength(name):
    for strength in (0.1, 1.0, 3.0):
        written = of_policy(name, strength, flip=True)
        assert checked(written) == written
    shift, chance = (
        [of_policy(name, by, flip=False)[0]["Affine"][what] for by in (0.5, 1.0, 2.0)]
        for what in ("translate_percent", "p")
    )
    assert [most for _, most in shift] == sorted(most for _, most in shift)
    assert shift[0][1] == pytest.approx(shift[1][1] / 2)
    assert chance[1] == pytest.approx(1 - (1 - chance[0]) ** 2)
    assert 0 < chance[0] < chance[1] < chance[2] < 1


def test_flips_can_be_left_out_and_a_strength_of_0_does_nothing():
    assert "HorizontalFlip" in of_policy("light", 1.0, flip=True)[0]
    assert all("HorizontalFlip" not in entry for entry in of_policy("light", 1.0, flip=False))
    assert of_policy("heavy", 0.0, flip=True) == []
    assert of_policy("trivial", 1.0, flip=True) == of_policy("none", 1.0, flip=True) == []
