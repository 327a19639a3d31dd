"""A small folder of drawn images with known problems, for tests of what tells of images."""

from pathlib import Path

import cv2
import numpy as np

CLASSES = ("circle", "square")


def drawn(kind: str, rng: np.random.Generator, side: int = 48, color: bool = True) -> np.ndarray:
    """Draw a shape, bright on a darker ground with some texture, of a place, size and colors of its own."""
    coarse = rng.integers(0, 60, (6, 6, 3)).astype(np.uint8)
    ground = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC).astype(np.int16)
    ground += rng.integers(0, 12, ground.shape, dtype=np.int16)
    ground += rng.integers(10, 70, 3, dtype=np.int16)
    pixels = np.clip(ground, 0, 255).astype(np.uint8)
    shade = tuple(int(v) for v in rng.integers(140, 255, 3))
    x, y = (int(v) for v in rng.integers(side * 2 // 5, side * 3 // 5, 2))
    size = int(rng.integers(side // 5, side // 3))
    if kind == "circle":
        cv2.circle(pixels, (x, y), size, shade, -1)
    else:
        # As large as the circle: how bright an image is must not tell the shape.
        half = size * np.pi**0.5 / 2
        corners = ((round(x - half), round(y - half)), (round(x + half), round(y + half)))
        cv2.rectangle(pixels, *corners, shade, -1)
    if not color:
        pixels = np.repeat(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)[:, :, None], 3, axis=2)
    return pixels


def saved(path: Path, pixels: np.ndarray, quality: int = 92) -> bytes:
    """Write an image in the format of its name, and return its bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if path.suffix == ".jpg" else []
    data = cv2.imencode(path.suffix, pixels, options)[1].tobytes()
    path.write_bytes(data)
    return data


def planted(
    root: Path, each: int = 70, seed: int = 0, parts: tuple[str, ...] = ("",)
) -> dict[str, list[str]]:
    """Write ``root/<part>/<class>/<number>.jpg`` with problems, and return the files of each.

    Only the first part has problems; where there are several, some images of it are copied into the second.
    """
    rng = np.random.default_rng(seed)
    told: dict[str, list[str]] = {}

    def put(what: str, *files: str) -> None:
        told.setdefault(what, []).extend(files)

    for part in parts:
        at = f"{part}/" if part else ""
        for kind in CLASSES:
            for number in range(each if part == parts[0] else each // 3):
                saved(root / f"{at}{kind}/{number:03d}.jpg", drawn(kind, rng))
    at = f"{parts[0]}/" if parts[0] else ""
    first = root / parts[0]
    for number in range(4):
        # In the wrong folder.
        file = f"{at}square/wrong{number}.jpg"
        saved(root / file, drawn("circle", rng))
        put("wrong", file)
    for number in range(3):
        file, copy = f"{at}circle/{number:03d}.jpg", f"{at}circle/copy{number}.jpg"
        (root / copy).write_bytes((root / file).read_bytes())
        put("exact", file, copy)
    for number in range(3, 6):
        file, copy = f"{at}square/{number:03d}.jpg", f"{at}square/small{number}.png"
        pixels = cv2.imread(str(root / file))
        saved(root / copy, cv2.resize(pixels, (40, 40), interpolation=cv2.INTER_AREA))
        put("near", file, copy)
    (first / "square" / "twin.jpg").write_bytes((first / "circle" / "010.jpg").read_bytes())
    put("disagree", f"{at}circle/010.jpg", f"{at}square/twin.jpg")
    for number in range(2):
        file = f"{at}circle/dark{number}.jpg"
        saved(root / file, (drawn("circle", rng) * 0.05).astype(np.uint8))
        put("dark", file)
        file = f"{at}square/blurry{number}.jpg"
        saved(root / file, cv2.GaussianBlur(drawn("square", rng), (0, 0), 6))
        put("blurry", file)
        file = f"{at}circle/grey{number}.jpg"
        saved(root / file, drawn("circle", rng, color=False))
        put("grey", file)
    data = saved(first / "circle" / "cut.jpg", drawn("circle", rng))
    (first / "circle" / "cut.jpg").write_bytes(data[: len(data) // 2])
    (first / "square" / "empty.jpg").write_bytes(b"")
    (first / "square" / "notes.jpg").write_text("no image at all")
    put("unreadable", f"{at}circle/cut.jpg", f"{at}square/empty.jpg", f"{at}square/notes.jpg")
    saved(first / "square" / "wide.png", cv2.resize(drawn("square", rng), (400, 24)))
    put("odd", f"{at}square/wide.png")
    (root / "README.txt").write_text("Shapes.")
    if len(parts) > 1:
        for number in range(20, 24):
            file, copy = f"{at}circle/{number:03d}.jpg", f"{parts[1]}/circle/seen{number}.jpg"
            (root / copy).write_bytes((root / file).read_bytes())
            put("across", copy)
    return told
