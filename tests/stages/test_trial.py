"""Trying imputers: the loss, its error, the choice, and what becomes of candidates that cannot work."""

import numpy as np
import polars as pl
import pytest

from tests.stages.test_hiding import rows
from tilth.errors import DataError
from tilth.stages import stage
from tilth.stages.hiding import GROUPS, Known
from tilth.stages.trial import Trial, compare, line_of
from tilth.table import ROW

SIMPLE, MEAN = stage("impute.simple"), stage("impute.simple", numeric="mean")
NEAR = stage("impute.neighbors")
COLUMNS = ["a", "b", "c"]


def trial(off, cells, numeric=(True, False), weight=(1.0, 1.0)):
    off, cells = np.broadcast_arrays(np.asarray(off, float), np.asarray(cells, float))
    methods = [f"m{i}" for i in range(len(off))]
    ones = np.ones(len(off))
    return Trial(methods, ["n", "k"], np.array(numeric), np.array(weight), off, cells, ones, ones.astype(int))


def sums(*values):
    """Return sums of shape (n_methods, 2, 2, GROUPS) from a value per method, mechanism and column."""
    return np.repeat(np.asarray(values, float)[..., None], GROUPS, axis=-1)


def test_the_loss_is_the_mean_over_columns_of_nrmse_and_error_rate_then_over_mechanisms():
    off = sums([[4.0, 1.0], [16.0, 2.0]])
    one = trial(off, np.full(off.shape, 4.0), weight=(3.0, 1.0))
    # Per mechanism: numbers sqrt(off / cells), categories off / cells, weighted 3 : 1.
    wanted = np.mean([(3 * 1.0 + 0.25) / 4, (3 * 2.0 + 0.5) / 4])
    np.testing.assert_allclose(one.losses(), [wanted])
    told = one.summary().row(0, named=True)
    np.testing.assert_allclose(told["nrmse"], 1.5)
    np.testing.assert_allclose(told["accuracy"], 1 - 0.375)
    np.testing.assert_allclose([told["random"], told["pattern"]], [3.25 / 4, 6.5 / 4])


def test_a_mechanism_or_column_without_cells_is_left_out():
    off = sums([[4.0, 1.0], [0.0, 0.0]])
    cells = sums([[4.0, 4.0], [0.0, 0.0]])
    one = trial(off, cells)
    np.testing.assert_allclose(one.losses(), [(1.0 + 0.25) / 2])
    assert one.summary()["pattern"].to_list() == [None]


def test_the_error_of_a_difference_is_the_jackknife_of_paired_groups():
    random = np.random.default_rng(0)
    off = random.random((2, 1, 2, GROUPS)).repeat(2, axis=1)
    one = trial(off, np.ones(off.shape), numeric=(False, False))
    # Linear losses: the jackknife is the standard error of the mean of paired differences.
    away = (off[0] - off[1])[0].mean(0)
    np.testing.assert_allclose(one.error(0, 1), away.std(ddof=1) / np.sqrt(GROUPS), rtol=1e-9)
    assert one.error(0, 0) == 0.0


def test_the_first_within_one_standard_error_and_one_percent_is_chosen():
    random = np.random.default_rng(0)
    noise = random.normal(size=GROUPS)
    noise = (noise - noise.mean()) / noise.std()
    base = np.full((3, 2, 2, GROUPS), 20.0)
    base[0] += 0.1 + 2.0 * noise  # behind by 0.1 of 20, the error of that is about 0.46
    base[1] += 3.0 + 0.1 * noise  # behind by much more than the error
    one = trial(base, np.full(base.shape, 100.0), numeric=(False, False))
    assert one.best == 2
    assert one.chosen() == 0
    assert one.contenders() == [0, 2]
    assert "m0 is taken, with a loss of 0.201 per cell, simpler and within the error of the best; m2" in (
        one.in_words(9, 0)
    )
    # Within the error, but more than 1% behind; and less than that, but surely.
    for more, sure in ((0.2, 1.0), (0.0, 0.0)):
        base[0] = 20.1 + more + sure * 2.0 * noise
        other = trial(base, np.full(base.shape, 100.0), numeric=(False, False))
        assert other.chosen() == 2
        assert other.chosen(errors=2.0, close=None) == (0 if sure else 2)


def test_the_method_that_recovers_more_wins_and_those_far_behind_are_tried_once():
    done = compare([SIMPLE, MEAN, NEAR], rows(800), COLUMNS, repeats=4)
    assert done.methods[done.chosen()] == "impute.neighbors"
    words = done.in_words(800, done.chosen())
    assert words.startswith("Of 3 methods tried on ")
    assert f"impute.neighbors is taken, with a loss of {done.losses()[2]:.3f} per cell; impute." in words
    assert done.repeats[0] < 4
    told = done.summary()
    assert told["chosen"].to_list() == [False, False, True]
    assert told["behind"].to_list()[2] == 0.0
    assert (told["behind"].to_numpy()[:2] > 3 * told["error"].to_numpy()[:2]).all()


def test_on_noise_the_simplest_is_chosen():
    random = np.random.default_rng(0)
    frame = pl.DataFrame(random.normal(size=(500, 3)), schema=COLUMNS)
    holes = pl.DataFrame(random.random((500, 3)) < 0.2, schema=COLUMNS)
    frame = frame.with_columns(pl.when(~holes[c]).then(pl.col(c)).alias(c) for c in COLUMNS)
    done = compare(
        [MEAN, NEAR], frame.with_columns(pl.int_range(pl.len(), dtype=pl.UInt64).alias(ROW)), COLUMNS
    )
    assert done.chosen() == 0


def test_losses_are_those_of_filling_by_hand():
    frame = rows()
    done = compare([MEAN], frame, COLUMNS, repeats=2, seed=3)
    known = Known(frame, COLUMNS, 0.1, 3)
    b = frame["b"].to_numpy()
    bounds = np.nanquantile(b, [0.01, 0.99])
    held = np.clip(b, *bounds)
    squares, count = np.zeros(2), np.zeros(2)
    for repeat in range(done.repeats[0]):
        hidden = known.hide(repeat)[:, :, 0]
        filled = np.clip(np.nanmean(np.where(hidden.any(0), np.nan, b)), *bounds)
        for way in range(2):
            squares[way] += np.sum((held[hidden[way]] - filled) ** 2)
            count[way] += hidden[way].sum()
    wanted = np.sqrt(squares / count / np.nanvar(held))
    found = done.by_column().filter(pl.col("column") == "b")
    np.testing.assert_allclose(found["loss"].to_numpy(), wanted, rtol=1e-9)
    assert found["cells"].to_list() == count.tolist()


def test_the_order_of_rows_changes_nothing():
    frame = rows()
    order = np.random.default_rng(1).permutation(len(frame))
    one, two = (compare([SIMPLE, MEAN], f, COLUMNS).losses() for f in (frame, frame[order]))
    np.testing.assert_allclose(one, two, rtol=1e-9)


def test_a_candidate_that_cannot_work_is_told_and_is_no_contender():
    frame = rows().with_columns(pl.when(pl.col(ROW) == 5).then(float("inf")).otherwise("b").alias("b"))
    done = compare([MEAN, SIMPLE], frame, COLUMNS)
    assert done.chosen() == 1
    assert "infinity" in done.problems["impute.simple: {numeric: mean}"]
    told = done.summary()
    assert told["loss"].to_list()[0] is None
    assert "infinity" in told["problem"].to_list()[0]
    with pytest.raises(DataError, match="infinity"):
        compare([MEAN], frame, COLUMNS)


def test_where_nothing_can_be_hidden_the_first_is_taken_and_that_is_said():
    frame = rows(3).head(1)
    done = compare([SIMPLE, NEAR], frame, COLUMNS)
    assert done.chosen() == 0
    assert done.in_words(1, 0).startswith("Too few cells are known")


def test_a_line_reads_as_in_a_recipe():
    assert line_of(SIMPLE) == "impute.simple"
    assert line_of(MEAN) == "impute.simple: {numeric: mean}"
    assert line_of(stage("impute.simple", indicator=True, fill_value="none at all")) == (
        'impute.simple: {fill_value: "none at all", indicator: true}'
    )
