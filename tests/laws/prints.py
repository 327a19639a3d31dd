"""Print a digest of what each stage makes and finds: run by the law of threads in processes of its own.

python -m tests.laws.prints [rows]
"""

from __future__ import annotations

import json
import sys
import warnings

from tests.laws.cases import Case, acts_as
from tilth import stages
from tilth.bench.sameness import digest
from tilth.core import ColumnStage, flow


def printed(case: Case, rows: int) -> list[str | None]:
    """Return digests of the training rows, of the same rows as new ones, and the findings."""
    table, stage = case.table(rows), case.make()
    done = flow.fit([(case.key, stage)], table)
    as_new = stage.change(table.frame).collect() if acts_as(stage) is ColumnStage else None
    found = json.dumps([[f.kind, f.message, float(f.score)] for f in stage.findings_])
    return [digest(done.table.frame.collect()), None if as_new is None else digest(as_new), found]


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    print(json.dumps({key: printed(Case(key, 0), count) for key in sorted(stages.keys())}))
