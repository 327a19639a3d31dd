"""What threads and workers do to the images of a batch: each at its place, none twice, none left out."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.loaders.pictures import broken, folder_of
from tests.loaders.stages_for_workers import Shifted
from tilth.errors import ImageError
from tilth.images.decode import decoded_to
from tilth.loaders.decoding import TOGETHER, Asked, Decoder, Made, Threads, copied
from tilth.loaders.pixels import Pictures


def asked(n, epoch=0):
    return Asked(np.arange(n), np.arange(n, dtype=np.uint64) + 100, np.full((n, 5), 0.5), epoch)


@given(st.integers(0, 70), st.integers(1, 12))
def test_parts_hold_every_image_once_and_are_enough_for_all_hands(n, hands):
    parts = list(asked(n).parts(hands))
    assert [row for _, part in parts for row in part.rows] == list(range(n))
    assert [row for cut, _ in parts for row in range(n)[cut]] == list(range(n))
    assert all(len(part) <= TOGETHER for _, part in parts)
    assert len(parts) >= min(n, hands)


def test_images_are_written_to_their_places_and_failures_told_at_theirs(tmp_path):
    whole = folder_of(tmp_path, 3)
    paths = [whole[0], *broken(tmp_path), *whole[1:], None]
    decoder = Decoder(
        Pictures(paths, (16, 16), "crop"),
        [Shifted()],
        np.arange(7),
        np.array(list("abcdefg")),
        None,
        1.0,
        0.6,
    )
    out, begun = np.full((7, 16, 16, 3), 9, np.uint8), []
    failures = decoder.fill(out, asked(7, epoch=2), begin=begun.append)
    assert begun == list(range(7))
    assert [failure and failure.reason for failure in failures] == [
        None,
        "truncated",
        "not an image",
        "missing",
        None,
        None,
        "missing",
    ]
    for place, failure in enumerate(failures):
        if failure is None:
            pixels = decoded_to(paths[place], 16, 16)[:, ::-1]  # 0.5 is below the flip's 0.6
            label = "abcdefg"[place]
            told = Shifted().augment_image(pixels, row=place + 100, epoch=2, label=label)
            np.testing.assert_array_equal(out[place], told)
        else:
            assert (out[place] == 9).all()


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_decode_several_batches_at_once_and_end(tmp_path, threads):
    paths = folder_of(tmp_path, 20)
    hands = Threads(Decoder(Pictures(paths, (16, 16), "crop"), [], None, None, None, 1.0, 0.0), threads)
    made = [Made(None, np.zeros((25, 16, 16, 3), np.uint8), copied) for _ in range(2)]
    under_way = [hands.begun(number, asked(20), each) for number, each in enumerate(made)]
    assert [hands.ended(batch) for batch in under_way] == [[None] * 20] * 2
    for each in made:
        for row, path in enumerate(paths):
            np.testing.assert_array_equal(each.array[row], decoded_to(path, 16, 16))
        assert not each.array[20:].any()
    hands.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("tilth-image")]


def test_what_is_no_failure_of_an_image_is_raised_when_the_batch_is_waited_for(tmp_path):
    class Odd(Pictures):
        def whole(self, row):
            raise (ImageError("x", "broken") if row < 2 else MemoryError("all of it"))

    hands = Threads(Decoder(Odd([None] * 4, (16, 16), "crop"), [], None, None, None, 1.0, 0.0), 2)
    batch = hands.begun(0, asked(4), Made(None, np.zeros((4, 16, 16, 3), np.uint8), copied))
    with pytest.raises(MemoryError, match="all of it"):
        hands.ended(batch)
    hands.close()
