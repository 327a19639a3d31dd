"""The audit: the checks and the stages that look, in the order in which each helps the next."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from threadpoolctl import get_cached_controller

from tilth.audit import causes, dimension, held_out, hidden, leakage, missing, pairs, pictures, slices
from tilth.audit import columns as column_checks
from tilth.audit import target as target_checks
from tilth.audit.column import Column
from tilth.audit.embedded import judged_before
from tilth.audit.imputation import IMPUTERS, methods
from tilth.audit.looking import LOOKERS, guarded, labeled, look, looker, without
from tilth.audit.losses import Losses, asked
from tilth.audit.propose import propose
from tilth.audit.result import Audit, Facts, Sheet, by_severity
from tilth.core import Finding, RowStage, Stage
from tilth.errors import DataError
from tilth.stages.judging import Judgment
from tilth.stages.trial import Line
from tilth.statistics import uniform
from tilth.table import Table, read

MOST_CLASSES = 20

Check = Callable[[Column], Iterator[Finding]]


def audit(
    data: Any,
    target: Any = None,
    *,
    test: Any = None,
    weight: str | None = None,
    group: str | None = None,
    split: str | None = None,
    image: str | None = None,
    null_values: Sequence[str] = (),
    stages: Sequence[str | Stage] | None = None,
    imputers: Sequence[Line] = IMPUTERS,
    probe: str = "linear",
    embedding: str | None = "auto",
    max_rows: int | None = 50_000,
    random_state: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Audit:
    """Look for what is wrong with the data, and propose a recipe that treats it; change nothing.

    Parameters
    ----------
    data : path, Table, or frame or array of shape (n_rows, n_columns)
        A CSV or Parquet file, pandas, Polars, pyarrow, NumPy; or a folder of images, whose folders name their
        classes.
    target : str or array of shape (n_rows,), optional
        The column to predict, or its values.
    test : path, Table, or frame or array, optional
        Test rows, with or without the target: what they share with the rows of `data`, and how they differ
        from them, is looked for. Nothing else is learned from them.
    weight, group : str, optional
        Columns that are no features.
    split : str, optional
        The column that says 'test' in the rows kept for testing, instead of `test`; all other rows are
        training rows.
    image : str, optional
        The column that holds the paths of images, where `data` is a list of them.
    null_values : sequence of str
        Texts already known to mean "missing".
    stages : sequence of str or Stage, optional
        Which stages look, by key or made by you; by default `LOOKERS`. They report, whatever their
        ``action``. Weak slices are those of the model with which `labels.clean` judges: none are looked for
        without it, but where the target is a number and the default stages look.
    imputers : sequence of str or dict
        Recipe lines of what may fill missing cells, the simplest first: they are tried on cells that are
        known, and the one that recovers them best is proposed. None of them: `impute.simple` is.
    probe : {'linear', 'boosting', 'mlp'}
        The model that judges labels, for stages with such a choice.
    embedding : {'auto', 'efficientnet_lite0', 'histograms'} or None
        What turns images into the numbers by which labels are judged and outliers found; see `embed.images`.
        None: nothing is looked for that needs them.
    max_rows : int or None
        Rows looked at at most, chosen by (random_state, row id); None looks at all. Rows of a
        sample have fewer copies of one another, so duplicates are undercounted then.
    random_state : int
        For the sample, and for stages that draw.
    progress : callable, optional
        Told the name of each step; of images also how many are done, and how many in a second.

    Returns
    -------
    Audit
        Findings sorted by severity, facts, the proposed `Recipe` and a reason for each of its entries; of
        images also those behind each finding.

    Raises
    ------
    DataError
        If the data cannot be read or has no rows; `null_values` are given for a Table; test rows are named
        twice, or not at all by `split`.
    ColumnError
        If a role names no column.
    UnknownName
        If there is no such stage.

    Examples
    --------
    >>> import polars as pl
    >>> ages = pl.DataFrame({"age": [str(a) for a in range(20, 45)] + ["?"] * 5, "paid": [0, 1, 1] * 10})
    >>> found = audit(ages, "paid")
    >>> found.of("hidden.token")[0].columns, found.proposed["stages"][0]
    (('age',), {'impute.sentinels': {'values': {'age': ['?']}}})
    """
    start = time.perf_counter()
    tell = progress or (lambda _: None)
    tell("reading")
    roles = {"target": target, "weight": weight, "group": group, "split": split, "image": image}
    whole, known = _enter(data, roles, null_values, tell)
    whole, test = held_out.parted(whole, test, null_values)
    table, rows = whole, whole.height
    if rows == 0:
        raise DataError("The table has no rows to look at. Pass at least one row.")
    findings: list[Finding] = []
    table = _sampled(table, rows, max_rows, random_state, findings)
    pictured = None
    if table.roles.image is not None:
        asked = None if test is None else _sampled(test, test.height, max_rows, random_state, [])
        pictured = pictures.look(
            table, asked, embedding=embedding, looks=stages is None, seed=random_state, tell=tell
        )
        findings += pictured.findings
        whole, table = pictures.without_images(whole), pictured.rest
        test = None if test is None else pictures.without_images(test)
        if not table.height:
            facts = pictured.facts_beside(_facts(data, rows, test, table, None, time.perf_counter() - start))
            found = by_severity(findings)
            return Audit(found, facts, {"data": known, "stages": []}, {}, pictured.sheets_of(found))
    tell("columns")
    marks = hidden.look(table)
    findings += marks
    # What hides behind '?' is looked at as the proposed recipe would have it: ages with a gap, not words.
    uncovered = hidden.uncover(table, marks)
    columns, y = _columns(uncovered), next(iter(_target(uncovered)), None)
    findings += _each(columns, column_checks.CHECKS)
    findings += _each(_target(uncovered), (target_checks.target, column_checks.variants))
    tell("pairs of columns")
    findings += _pairs(uncovered, columns)
    named = [c for f in findings if f.kind == "column.id" for c in f.columns]
    whole_look = lambda: dimension.look(uncovered, findings, named, random_state)
    findings += guarded("the check of dimensions", whole_look)
    tell("leaks")
    findings += _leaks(uncovered, columns, y, findings, random_state, in_order=pictured is None)
    tell("missing values")
    findings += _missing(uncovered, y, random_state)
    useless = [c for f in findings if f.kind in ("column.id", "text.free") for c in f.columns]
    trial = lambda: methods(uncovered, useless, imputers, random_state)
    findings += guarded("the trial of imputers", trial)
    if test is not None:
        tell("test rows")
        some = uncovered, _sampled(test, test.height, max_rows, random_state, findings)
        classes = y is not None and target_checks.is_classes(y)
        against = lambda: held_out.look(whole, test, some, findings, marks, classes, random_state)
        findings += guarded("the comparison with test rows", against)
    seen, losses = _stages(uncovered, findings, y, stages, probe, random_state, tell, pictured)
    if y is not None and (stages is None or losses is not None):
        tell("weak slices")
        sliced = uncovered if pictured is None else pictured.measured_beside(uncovered)
        judged = uncovered if pictured is None else pictured.numbers_beside(uncovered)
        weak = lambda: _weak(sliced, judged, y, losses, useless, probe, random_state)
        seen += guarded("the check of weak slices", weak)
    told = Counter[tuple[str, ...]]()
    for finding in marks:
        told[finding.columns] += finding.n_rows if finding.kind in hidden.SURE else 0
    # That a column misses the cells whose disguise was just reported is no further news.
    findings += [f for f in seen if f.kind != "missing.filled" or told[f.columns] != f.n_rows]
    facts = _facts(data, rows, test, uncovered, y, time.perf_counter() - start)
    findings = list(by_severity(findings))
    sheets: tuple[Sheet, ...] = ()
    if pictured is not None:
        facts, sheets = pictured.facts_beside(facts), pictured.sheets_of(findings)
    by_chance = pairs.chance_copies([*columns, *([y] if y else [])])
    proposal = propose(findings, facts, known, by_chance, embedding)
    return Audit(tuple(findings), facts, proposal.recipe, proposal.reasons, sheets)


def _enter(
    data: Any, given: dict[str, Any], null_values: Sequence[str], tell: Callable[[str], None]
) -> tuple[Table, dict[str, Any]]:
    """Return the table, and what is known of the recipe's data section."""
    target = given["target"]
    named: dict[str, Any] = {role: name for role, name in given.items() if isinstance(name, str)}
    if isinstance(data, Table):
        if null_values:
            raise DataError("A Table has been read already. Pass null_values to tilth.read instead.")
        table = Table.of(data, roles=type(data.roles)(**(data.roles.named() | named)))
    else:
        table = read(data, **named, null_values=null_values, progress=tell)
    if target is not None and not isinstance(target, str):
        table = Table.of(table, target)
    known: dict[str, Any] = {"path": str(data)} if isinstance(data, str | Path) else {}
    roles = table.roles.named()
    if "annotators" in roles and table.need("target", "audit").is_null().all():
        del roles["target"]  # made to be filled, and in no file
    if isinstance(data, str | Path) and Path(data).is_dir():
        roles.pop("image", None)  # a folder of images names its files itself
    told = ("image", "target", "weight", "group", "row_id")
    known |= {role: roles[role] for role in told if role in roles}
    known |= {"annotators": list(roles["annotators"])} if "annotators" in roles else {}
    known |= {"split": {"column": roles["split"]}} if "split" in roles else {}
    known |= {"null_values": list(null_values)} if null_values else {}
    return table.collect(), known


def _sampled(table: Table, rows: int, most: int | None, seed: int, findings: list[Finding]) -> Table:
    if most is None or rows <= most:
        return table
    ids = table.ids
    chosen = np.zeros(rows, bool)
    chosen[np.argpartition(uniform(seed, ids), most - 1)[:most]] = True
    message = f"Looked at {most} of {rows} rows, chosen by their ids. Pass max_rows=None to look at all."
    findings.append(Finding("check.limited", message, most / rows, stage="audit.rows"))
    frame = table.frame.with_columns(pl.Series("__chosen__", chosen)).filter("__chosen__").drop("__chosen__")
    return table.with_frame(frame).collect()


def _columns(table: Table) -> list[Column]:
    return pairs.comparable([Column.of(table, name) for name in table.features])


def _target(table: Table) -> list[Column]:
    return [] if table.roles.target is None else [Column.of(table, table.roles.target)]


def _each(columns: Sequence[Column], checks: Sequence[Check]) -> list[Finding]:
    found: list[Finding] = []
    for column in columns:
        for check in checks:
            name = f"'{column.name}': the check '{check.__name__}'"
            found += guarded(name, lambda check=check, column=column: check(column), (column.name,))  # type: ignore[misc]
    return found


def _pairs(table: Table, columns: Sequence[Column]) -> list[Finding]:
    found = list(target_checks.rows(table))
    found += guarded("the check 'twins'", lambda: pairs.twins(columns))
    found += guarded("the check 'correlated'", lambda: pairs.correlated(columns))
    found += guarded("the check 'nested'", lambda: pairs.nested(columns))
    return found


def _leaks(
    table: Table,
    columns: Sequence[Column],
    y: Column | None,
    findings: Sequence[Finding],
    seed: int,
    in_order: bool,
) -> list[Finding]:
    if y is None or y.distinct < 2:
        return []
    classes = target_checks.is_classes(y)
    ids = [c for f in findings if f.kind == "column.id" for c in f.columns]
    question = leakage.Question.of(y, classes, table.role("group"), seed)
    found = guarded("the check 'given_away'", lambda: leakage.given_away(columns, question, ids))
    found += guarded("the check 'in_names'", lambda: leakage.in_names(columns, question, ids))
    if in_order:  # the files of a folder follow its classes by nature
        found += guarded("the check 'in_order'", lambda: leakage.in_order(y, classes, seed))
    found += guarded("the check 'over_time'", lambda: leakage.over_time(columns, y, classes, seed))
    return found


def _missing(table: Table, y: Column | None, seed: int) -> list[Finding]:
    gaps = missing.Gaps.of(table)
    found = list(missing.shares(table, gaps))
    found += guarded("the check of what is missing together", lambda: missing.pattern(gaps))
    # Thin matrices again: threads would wait for one another far longer than they work.
    with get_cached_controller().limit(limits=1, user_api="blas"):
        found += guarded("the check 'reasons'", lambda: causes.reasons(table, gaps, seed))
        found += guarded("the check 'little'", lambda: causes.little(table, gaps, seed))
    if y is not None and y.distinct > 1:
        classes = target_checks.is_classes(y)
        found += guarded("the check 'label'", lambda: causes.label(gaps, y, classes, seed))
    return found


def _stages(
    table: Table,
    findings: Sequence[Finding],
    y: Column | None,
    wanted: Sequence[str | Stage] | None,
    probe: str,
    seed: int,
    tell: Callable[[str], None],
    pictured: pictures.Seen | None,
) -> tuple[list[Finding], Losses | None]:
    # A column that names the rows tells a model nothing, and makes every row differ from its copies.
    names = [f.columns[0] for f in findings if f.kind == "column.id"]
    classes = y is not None and y.distinct > 1 and target_checks.is_classes(y)
    found: list[Finding] = []
    losses = None
    usual = list(LOOKERS if pictured is None else pictured.lookers())
    for key in usual if wanted is None else wanted:
        given: dict[str, Any] = {"probe": probe, "random_state": seed}
        if key == "outliers.clip":
            given["on"] = _spread_out(table, names)
        if key == "labels.clean" and wanted is None and not classes:
            continue
        one = looker(key, given)
        seen = without(table, names) if isinstance(one, RowStage) else table
        if pictured is not None and isinstance(one, RowStage):
            seen = pictured.for_rows(one, seen)
        if y is not None and isinstance(one, RowStage) and one.needs_target:
            seen = labeled(seen).collect()
        if pictured is not None and one.key == "labels.clean":
            tell(one.key)
            one = judged_before(one, seen)
        mine = look([one], seen, tell)
        found += mine if pictured is None else pictured.told(one, seen, mine)
        if hasattr(one, "judgment_"):
            losses = Losses.of(Judgment(**one.judgment_), seen.ids)
    return found, losses


def _weak(
    table: Table,
    judged: Table,
    y: Column,
    losses: Losses | None,
    useless: Sequence[str],
    probe: str,
    seed: int,
) -> Iterator[Finding]:
    """Look for weak slices in what was learned to judge labels; of numbers a probe is asked anew."""
    if losses is None:
        if y.distinct < 2 or target_checks.is_classes(y):
            return
        losses = asked(judged, y, probe, seed, useless)
    yield from slices.look(without(table, useless), losses, seed=seed)


def _spread_out(table: Table, names: Sequence[str]) -> list[str]:
    """Name the numeric columns whose quartiles differ: elsewhere a bound would flatten all that tells."""
    numeric = [c for c, kind in table.kinds.items() if kind == "numeric" and c not in names]
    if not numeric:
        return []
    asked = [(pl.col(c).quantile(0.75) > pl.col(c).quantile(0.25)).alias(c) for c in numeric]
    many = [(pl.col(c).n_unique() > 10).alias(c) for c in numeric]
    wide, told = table.frame.select(asked).collect().row(0), table.frame.select(many).collect().row(0)
    return [c for c, w, m in zip(numeric, wide, told, strict=True) if w and m]


def _facts(data: Any, rows: int, test: Table | None, table: Table, y: Column | None, seconds: float) -> Facts:
    asked = [pl.col(c).null_count() for c in table.features]
    nulls = table.frame.select(asked).collect().row(0, named=True) if asked else {}
    classes = y is not None and target_checks.is_classes(y)
    counted = {} if y is None or not classes else dict(y.counts.head(MOST_CLASSES).iter_rows())
    return Facts(
        source=Path(data).resolve().name if isinstance(data, str | Path) else "",
        rows=rows,
        looked_at=table.height,
        test_rows=0 if test is None else test.height,
        kinds=dict(table.kinds),
        missing={c: int(nulls[c]) for c in table.features if nulls[c]},
        target=None if y is None else y.name,
        task=None if y is None else "classification" if classes else "regression",
        classes={str(k): int(n) for k, n in counted.items()},
        seconds=round(seconds, 3),
    )
