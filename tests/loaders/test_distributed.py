"""Two real processes train together: every row once, as many steps each, and nothing left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.loaders.two_processes import BATCH, GROUPS, IMAGES, ORDERS, ROWS, images, prepare, stream, table
from tilth.errors import DataError

pytestmark = pytest.mark.xdist_group("two processes")  # started once for all

LOADERS = [f"table {order}" for order in ORDERS]
LOADERS += ["stream shuffle", "stream sequential", "images in threads", "images in workers"]
PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("distributed")
    prepare(folder)
    return folder


@pytest.fixture(scope="module")
def told(folder: Path) -> list[dict]:
    """Return what two processes, started once for all tests, tell of their tasks."""
    settings = {**os.environ, "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.loaders.two_processes", str(rank), str(folder)],
            cwd=PROJECT,
            env=settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        for rank in range(2)
    ]
    try:
        said = [process.communicate(timeout=180)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert [process.returncode for process in processes] == [0, 0], "\n".join(said)
    told = [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]
    for rank, process in enumerate(processes):
        told[rank]["left behind"] = not _ended(process.pid)
    return told


def _ended(group: int) -> bool:
    """Say whether no process of a process's group is left, a moment after it ended."""
    for _ in range(50):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


def rows(batches: list[list[int]]) -> list[int]:
    return [row for batch in batches for row in batch]


@pytest.mark.parametrize("loader", LOADERS)
def test_every_row_comes_once_per_epoch_in_as_many_steps_each(told, loader):
    count = IMAGES if "images" in loader else ROWS
    first, second = (process["passes"][loader] for process in told)
    for epoch in range(2):
        taken = [process["epochs"][epoch] for process in (first, second)]
        assert len(taken[0]) == len(taken[1]) == first["length"] == second["length"]
        assert sorted(rows(taken[0]) + rows(taken[1])) == list(range(count))
        assert abs(len(rows(taken[0])) - len(rows(taken[1]))) == 1  # the counts are odd
    again = [rows(process["epochs"][0]) == rows(process["epochs"][1]) for process in (first, second)]
    assert again == ["sequential" in loader] * 2


def test_a_process_with_a_row_less_than_its_batches_hold_takes_as_many_steps(told):
    # 501 and 500 rows in batches of 50: eleven steps, of which one has nothing for its last two but 50 rows.
    first, second = (process["passes"]["table shuffle"]["epochs"][0] for process in told)
    assert [len(batch) for batch in first] == [BATCH] * 10 + [1]
    assert [len(batch) for batch in second] == [BATCH] * 9 + [BATCH // 2] * 2


def test_processes_divide_at_most_one_group(told):
    for epoch in range(2):
        first, second = (set(GROUPS[rows(p["passes"]["table grouped"]["epochs"][epoch])]) for p in told)
        assert len(first & second) <= 1


@pytest.mark.parametrize("loader", LOADERS)
def test_processes_resume_in_mid_epoch_by_one_state(told, loader):
    first, second = (process["resumed"][loader] for process in told)
    assert first["state"] == second["state"] and first["state"]["position"] == 2
    for process, whole in zip((first, second), told, strict=True):
        assert process["left"] == process["resumed"] == whole["passes"][loader]["epochs"][0][2:]


def test_a_state_of_two_processes_is_refused_by_one(told, folder):
    for name, loader in {
        "table shuffle": table(),
        "stream shuffle": stream(folder),
        "images in threads": images(folder),
    }.items():
        with pytest.raises(DataError, match="world_size=2, but this loader has world_size=1"):
            loader.load_state_dict(told[0]["resumed"][name]["state"])


@pytest.mark.parametrize(
    "task", ["trained_on_tables", "trained_on_images_some_of_which_one_process_cannot_read"]
)
def test_training_together_ends_with_the_same_weights(told, task):
    first, second = (process[task] for process in told)
    assert first["weights"] == second["weights"]
    for ours, others in zip(first["losses"], second["losses"], strict=True):
        assert len(ours) == len(others)
    begun, ended = ([np.mean(process["losses"][epoch]) for process in (first, second)] for epoch in (0, 1))
    assert sum(ended) < sum(begun)


def test_images_that_one_process_cannot_read_make_its_batches_smaller_not_fewer(told):
    task = "trained_on_images_some_of_which_one_process_cannot_read"
    assert [process[task]["skipped"] for process in told] == [0, 3]
    assert [[len(epoch) for epoch in process[task]["losses"]] for process in told] == [[3, 3]] * 2


def test_a_batch_that_one_process_cannot_read_is_an_error_there_and_names_the_remedy(told):
    first, second = (process["a_batch_that_one_process_cannot_read"] for process in told)
    assert first == {"met": [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]], "error": None}
    assert second["met"] == [[12, 13, 14, 15]]
    assert "None of the 4 images" in second["error"] and "prune.unreadable" in second["error"]


@pytest.mark.parametrize("order", ORDERS)
def test_a_sampler_in_a_dataloader_gives_both_processes_as_many_rows(told, order):
    first, second = (process["a_sampler_in_a_dataloader"][order] for process in told)
    assert [len(batch) for batch in first] == [len(batch) for batch in second]
    met = rows(first) + rows(second)
    assert set(met) == set(range(ROWS)) and len(met) == ROWS + 1


def test_no_process_is_left_behind(told):
    assert [process["children"] for process in told] == [[], []]
    assert [process["left behind"] for process in told] == [False, False]
