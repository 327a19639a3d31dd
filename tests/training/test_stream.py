"""Rows come once an epoch, in batches that do not depend on their parts, and few are held at a time."""

from itertools import pairwise

import numpy as np
import polars as pl
import pytest
import torch

from tilth.errors import DataError
from tilth.training import Stream, Trainer, mlp

ROWS = 300


def rows(count=ROWS, seed=0):
    random = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "x": np.arange(count, dtype=float),
            "y": random.normal(size=count),
            "w": random.integers(1, 5, count).astype(float),
            "id": np.arange(count, dtype=np.uint64) * 7 + 3,
        }
    )


class Counting(Stream):
    """Remember how many rows were held, and asked for at a time."""

    def __init__(self, frame, cuts=(), **options):
        self.held, self.asked = [], []
        edges = [0, *cuts, frame.height]
        shards = [frame.slice(a, b - a).lazy() for a, b in pairwise(edges)]
        given = {"id_column": "id", "batch_size": 32, "device": "cpu", **options}
        super().__init__(shards, ["x", "y"], self.counted, 2, **given)

    def counted(self, frame):
        self.asked.append(frame.height)
        return frame.to_numpy()

    def _loader(self, block):
        self.held.append(len(block))
        return super()._loader(block)


def all_batches(stream, epochs=2):
    return [
        (batch.X.clone(), batch.weight.clone()) for epoch in range(epochs) for batch in stream.batches(epoch)
    ]


@pytest.mark.parametrize("buffer_rows", [1000, 100, 33])
def test_each_row_comes_once_an_epoch_and_those_aside_never(buffer_rows):
    stream = Counting(rows(), buffer_rows=buffer_rows)
    for epoch in range(3):
        seen = torch.cat([batch.X[:, 0] for batch in stream.batches(epoch)]).tolist()
        aside = stream.validation.X[:, 0].tolist()
        assert len(set(seen)) == len(seen)
        assert not set(seen) & set(aside)
        # A last batch of a single row is left out.
        assert len(seen) + len(aside) >= ROWS - len(stream.held)
    assert len(stream.validation) == min(30, buffer_rows)


@pytest.mark.parametrize("buffer_rows", [100, 33])
def test_no_more_rows_are_held_than_the_buffer_takes(buffer_rows):
    stream = Counting(rows(3000), buffer_rows=buffer_rows)
    held = len(stream.held)
    all_batches(stream)
    assert held == 0
    assert max(stream.held) <= buffer_rows
    assert max(stream.asked) <= buffer_rows // 8
    # The buffer is used: what is held together is shuffled together.
    assert np.mean(stream.held) > 0.7 * buffer_rows


def test_all_rows_in_the_buffer_are_read_once_for_all_epochs():
    stream = Counting(rows(), buffer_rows=ROWS)
    asked = sum(stream.asked)
    all_batches(stream, 3)
    assert sum(stream.asked) == asked == ROWS


@pytest.mark.parametrize("cuts", [[150], [0, 0, 10], list(range(1, 300, 20))])
def test_batches_do_not_depend_on_the_parts_or_order_of_rows(cuts):
    frame = rows()
    turned = frame[np.random.default_rng(1).permutation(ROWS)]
    one, two = (Counting(*given, weight="w") for given in ((frame,), (turned, cuts)))
    assert torch.equal(one.validation.X, two.validation.X)
    assert np.array_equal(one.start, two.start)
    for a, b in zip(all_batches(one), all_batches(two), strict=True):
        assert torch.equal(a[0], b[0])
        assert torch.equal(a[1], b[1])


def test_beyond_the_buffer_the_rows_aside_and_of_the_start_are_the_same_for_any_parts():
    frame = rows()
    turned = frame[np.random.default_rng(1).permutation(ROWS)]
    one, two = (Counting(*given, buffer_rows=64) for given in ((frame,), (turned, [17, 170])))
    assert torch.equal(one.validation.X, two.validation.X)
    assert np.array_equal(one.start, two.start)


@pytest.mark.parametrize("buffer_rows", [1000, 64])
def test_a_seed_gives_the_same_batches_again_and_each_epoch_others(buffer_rows):
    one, two, other = (
        all_batches(Counting(rows(), buffer_rows=buffer_rows, random_state=seed)) for seed in (1, 1, 2)
    )
    assert all(torch.equal(a[0], b[0]) for a, b in zip(one, two, strict=True))
    assert not torch.equal(one[0][0], other[0][0])
    half = len(one) // 2
    assert not torch.equal(one[0][0], one[half][0])


def test_beyond_the_buffer_sorted_rows_are_mixed():
    stream = Counting(rows(3000), buffer_rows=300, batch_size=100)
    first = next(iter(stream.batches(0))).X[:, 0]
    assert first.max() - first.min() > 1500


def test_weights_have_mean_one_and_stay_with_their_rows():
    frame = rows()
    stream = Counting(frame, weight="w")
    told = dict(zip(frame["x"].to_list(), (frame["w"] / frame["w"].mean()).to_list(), strict=True))
    for X, weight in all_batches(stream, 1):
        assert X.shape[1] == 2
        assert weight.tolist() == pytest.approx([told[x] for x in X[:, 0].tolist()], rel=1e-6)


def test_weights_that_are_all_zero_are_refused():
    with pytest.raises(DataError, match="'w' is 0 in all rows"):
        Counting(rows().with_columns(w=pl.lit(0.0)), weight="w")


@pytest.mark.parametrize("count", [1, 2, 3, 10])
def test_few_rows_are_streamed_as_far_as_there_are_any(count):
    stream = Counting(rows(count))
    batches = all_batches(stream, 1)
    assert len(batches) == stream.steps
    assert len(stream.start) >= 1
    assert sum(len(X) for X, _ in batches) == (0 if count == 1 else count - round(count * 0.1))


def test_what_is_trained_from_disk_is_what_is_trained_from_memory(tmp_path):
    frame = rows(500)
    places = [tmp_path / f"{part}.parquet" for part in range(3)]
    for part, place in enumerate(places):
        frame.slice(part * 180, 180).write_parquet(place, row_group_size=50)
    outputs = []
    for shards in ([frame.lazy()], [pl.scan_parquet(place) for place in places]):
        stream = Stream(
            shards,
            ["x", "y"],
            lambda f: f.to_numpy() / 500,
            2,
            id_column="id",
            buffer_rows=500,
            batch_size=32,
            device="cpu",
        )
        network = mlp(2, 2, (8,), batch_norm=False)
        outputs.append(Trainer(network, "squared_error", max_epochs=3, device="cpu").fit_source(stream))
    same = (trainer.predict(frame.select("x", "y").to_numpy() / 500) for trainer in outputs)
    assert torch.equal(*same)
    assert outputs[0].history_ == outputs[1].history_


def test_training_beyond_the_buffer_learns_as_well():
    random = np.random.default_rng(0)
    X = np.sort(random.uniform(-1, 1, 4000))
    frame = pl.DataFrame({"x": X, "y": X**2, "id": np.arange(4000, dtype=np.uint64)})
    losses = []
    for buffer_rows in (4000, 500):
        stream = Stream(
            [frame.lazy()],
            ["x", "y"],
            lambda f: f.to_numpy(),
            2,
            id_column="id",
            buffer_rows=buffer_rows,
            batch_size=32,
            device="cpu",
        )
        network = torch.nn.Sequential(mlp(2, 1, (16,), "tanh", 0, False), mlp(1, 2, (16,), "tanh", 0, False))
        trainer = Trainer(network, "squared_error", learning_rate=0.01, max_epochs=15, device="cpu")
        losses.append(min(e.validation_loss for e in trainer.fit_source(stream).history_))
    assert losses[1] < max(2 * losses[0], 0.005) < 0.05
