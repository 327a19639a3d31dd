"""Law 15: the same rows give the same bits, in any process and for any number of threads."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def printed(threads: int, hash_seed: int) -> dict[str, list]:
    environment = os.environ | {"PYTHONHASHSEED": str(hash_seed), "POLARS_MAX_THREADS": str(threads)}
    environment |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    done = subprocess.run(
        [sys.executable, "-m", "tests.laws.prints"],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_every_stage_gives_the_same_bits_for_any_number_of_threads() -> None:
    one, four = printed(1, 0), printed(4, 1)
    assert len(one) > 60
    assert [key for key in one if one[key] != four[key]] == []
