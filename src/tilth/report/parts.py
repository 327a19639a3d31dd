"""The parts of the report about the data: findings, facts, what each stage did, how columns changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl

from tilth.audit import Audit
from tilth.audit.result import ALIKE, remedy_line
from tilth.core import BatchStage, Finding, Ledger
from tilth.errors import RecipeError
from tilth.recipes import Recipe
from tilth.report import pictures
from tilth.report.changes import Change, changes
from tilth.report.elements import Child, Element, element, name_of
from tilth.report.words import ACTIONS, MINUS, count

Head = str | tuple[str, str]
"""The head of a column: its text, or its text and its class."""

MORE_LISTED = 100
COLUMNS_LISTED = 8
REASONS_LISTED = 3


def section(key: str, title: str, *inside: Child) -> Element:
    """Make a part of the page with a heading that can be linked to."""
    return element("section", element("h2", title, id=key), *inside, aria_labelledby=key)


def table(head: Sequence[Head], rows: Iterable[Sequence[Child]], label: str) -> Element:
    """Make a table; a head given as (text, class) sets the class of its column."""
    heads = [h if isinstance(h, tuple) else (h, "") for h in head]
    top = [element("th", text, scope="col", class_=kind or None) for text, kind in heads]
    lines = [
        element(
            "tr",
            [element("td", cell, class_=kind or None) for cell, (_, kind) in zip(row, heads, strict=True)],
        )
        for row in rows
    ]
    inside = element("table", element("thead", element("tr", top)), element("tbody", lines), aria_label=label)
    return element("div", inside, class_="scroll")


def badge(severity: str) -> Element:
    """Write a severity with its shape and color."""
    return element("span", pictures.mark(severity), severity, class_=f"badge {severity}")


def findings(found: Sequence[Finding]) -> Element:
    """List what was found; many findings of a kind share a line."""
    alike: dict[tuple[str, str], list[Finding]] = {}
    for finding in found:
        alike.setdefault((finding.kind, finding.severity), []).append(finding)
    rows: list[Sequence[Child]] = []
    for group in alike.values():
        shown = group if len(group) <= ALIKE else group[:1]
        rows += [_finding(f, group[1:] if len(shown) == 1 else []) for f in shown]
    head: list[Head] = [("Severity", "word"), "What", ("Rows", "number"), "What would treat it"]
    if not rows:
        return section("findings", "What was found", element("p", "Nothing.", class_="lead"))
    return section("findings", "What was found", table(head, rows, "Findings"))


def _finding(finding: Finding, more: Sequence[Finding]) -> Sequence[Child]:
    what: list[Child] = [element("bdi", finding.message)]
    if more:
        listed = [element("li", element("bdi", f.message)) for f in more[:MORE_LISTED]]
        if len(more) > MORE_LISTED:
            listed.append(element("li", f"and {len(more) - MORE_LISTED:,} more"))
        what.append(
            element("details", element("summary", f"{len(more)} more of this kind"), element("ul", listed))
        )
    by = (
        f" · {finding.stage}"
        if not finding.stage.startswith("audit.") and finding.stage != finding.kind
        else ""
    )
    what.append(element("span", f"{finding.kind}{by}", class_="kind"))
    rows = f"{finding.n_rows:,}" if finding.n_rows else ""
    remedy = remedy_line(finding.remedy)
    return badge(finding.severity), what, rows, element("code", remedy) if remedy else ""


def facts(audit: Audit) -> Element | None:
    """Show what the audit looked at: kinds of column, missing cells, classes."""
    told = audit.facts
    kinds = pl.Series("kind", list(told.kinds.values()), dtype=pl.String).value_counts(sort=True)
    line = ", ".join(f"{n} {kind}" for kind, n in kinds.iter_rows())
    pictured: list[Element] = []
    if told.classes:
        pictured.append(
            figure(
                told.target or "target",
                pictures.category_bars("Classes", told.classes),
                "Classes of the target",
            )
        )
    if told.missing:
        drawn = pictures.missing_bars(told.missing, told.looked_at)
        note = "Share of missing cells" + (
            f", {len(told.missing)} columns in all" if len(told.missing) > 16 else ""
        )
        pictured.append(figure("Missing cells", drawn, note))
    said = f"{told.rows:,} rows, {len(told.kinds)} features: {line}."
    if told.images is not None:
        said = " ".join(audit.in_words_of_facts())
        if told.images.n_sizes > 1:
            every = told.images.n_sizes == len(told.images.sizes)
            said_of = "Width by height" if every else "The commonest, width by height"
            pictured.append(figure("Sizes", pictures.category_bars("Sizes", told.images.sizes), said_of))
    lead = element("p", said, class_="lead")
    grid = element("div", pictured, class_="grid") if pictured else None
    return section("data", "The data", lead, grid)


def figure(title: str, drawn: Element, note: Child = None) -> Element:
    """Put a picture under its title."""
    caption = element("figcaption", element("b", name_of(title)), [element("br"), note] if note else None)
    return element("figure", caption, drawn)


def stages(run: Any, reasons: dict[str, str]) -> Element:
    """Say what each stage did, in the order in which they ran."""
    ledger: Ledger = run.ledger
    names = _order(run.recipe_yaml, ledger)
    steps = dict(run.pipeline.stages_) if hasattr(run, "pipeline") else {}
    later = {name for name, step in steps.items() if isinstance(step, BatchStage) and not step.on_rows}
    items = [
        _stage(i, name, ledger, reasons.get(name, ""), name in later) for i, name in enumerate(names, start=1)
    ]
    account = ledger.account()
    told = f"{account['rows_in']:,} rows in {MINUS} {account['dropped']:,} dropped"
    told += f" + {account['repeated']:,} repeated"
    told += f" + {account['added']:,} made anew = {account['rows_out']:,} rows out"
    balance = told + ("" if account["balanced"] else " (does not add up: some rows are not accounted for)")
    return section(
        "stages",
        "What was done",
        element("p", balance, class_="balance"),
        element("ol", items, class_="stages") if items else element("p", "No stage.", class_="lead"),
    )


def _order(recipe: str, ledger: Ledger) -> list[str]:
    try:
        names = [name for name, _ in Recipe.from_text(recipe).build()]
    except RecipeError:
        # Stages of packages that are not installed here: the ledger names them, too.
        names = []
    seen = [*ledger.columns["stage"].unique(maintain_order=True), *ledger.stages]
    return list(dict.fromkeys([*names, *seen]))


def _stage(number: int, name: str, ledger: Ledger, reason: str, later: bool) -> Element:
    did = [*_rows_done(name, ledger), *_columns_done(name, ledger)]
    idle = "Acts when rows are loaded, every epoch anew." if later else "Changed nothing."
    return element(
        "li",
        element("span", number, class_="step"),
        element(
            "div",
            element("h3", element("code", name)),
            element("p", element("bdi", reason), class_="note") if reason else None,
            element("ul", [element("li", line) for line in did] or element("li", idle), class_="did"),
        ),
    )


def _rows_done(name: str, ledger: Ledger) -> list[Child]:
    events = ledger.events.filter(pl.col("stage") == name)
    lines: list[Child] = []
    for action, words in ACTIONS.items():
        mine = events.filter(pl.col("action").cast(pl.String) == action)
        if not mine.height:
            continue
        line: list[Child] = [f"{count(mine.height, 'row')} {words}"]
        if action == "weighted":
            factors = mine["after"].cast(pl.Float64) / mine["before"].cast(pl.Float64)
            low, high = float(factors.to_numpy().min()), float(factors.to_numpy().max())
            line.append(f", times {low:.3g}" if low == high else f", times {low:.3g} to {high:.3g}")
        if action == "relabeled":
            moves = mine.group_by("before", "after").len().sort("len", "before", descending=[True, False])
            line.append(": ")
            for i, (old, new, n) in enumerate(moves.head(REASONS_LISTED).iter_rows()):
                line += ["; " if i else "", name_of(old), " → ", name_of(new), f" ({n:,})"]
        # A row or a probability of its own in each reason would make every reason another one.
        plain = (
            pl.col("reason")
            .str.replace_all(r"\brow \d+", "another row")
            .str.replace_all(r" \(\w+=[^)]*\)", "")
        )
        reasons = mine.filter(pl.col("reason") != "").select(plain)["reason"].value_counts(sort=True)
        if reasons.height:
            some = [f"{r} ({n:,})" if n > 1 else r for r, n in reasons.head(REASONS_LISTED).iter_rows()]
            left = reasons.height - len(some)
            more = f"; and {count(left, 'other reason')}" if left > 0 else ""
            line.append(element("span", element("bdi", "; ".join(some)), more, class_="kind"))
        lines.append(line)
    return lines


def _columns_done(name: str, ledger: Ledger) -> list[Child]:
    mine = ledger.columns.filter(pl.col("stage") == name)
    of = lambda change: mine.filter(pl.col("change") == change)
    changed = of("changed").filter(pl.col("cells") > 0).sort("cells", descending=True)
    lines: list[Child] = []
    if changed.height:
        cells = int(changed["cells"].sum())
        line: list[Child] = [f"{count(cells, 'cell')} changed in {count(changed.height, 'column')}: "]
        for i, (column, n) in enumerate(changed.select("column", "cells").head(COLUMNS_LISTED).iter_rows()):
            line += [", " if i else "", name_of(column), f" {n:,}"]
        lines.append([*line, _left(changed.height)])
    for change in ("added", "removed"):
        names = of(change)["column"].to_list()
        if names:
            line = [f"{count(len(names), 'column')} {change}: "]
            for i, column in enumerate(names[:COLUMNS_LISTED]):
                line += [", " if i else "", name_of(column)]
            lines.append([*line, _left(len(names))])
    return lines


def _left(total: int) -> str:
    return f" and {total - COLUMNS_LISTED:,} more" if total > COLUMNS_LISTED else ""


def distributions(run: Any, limit: int = 12) -> Element | None:
    """Picture the columns that changed, the most changed first."""
    found = changes(run.before, run.after, limit)
    if not found:
        return None
    key = element(
        "div",
        element("span", element("i", class_="before"), "before"),
        element("span", element("i", class_="after"), "after"),
        class_="key",
    )
    lead = "Training rows before and after. Two panels stand side by side where the scale changed."
    grid = element("div", [_change(c) for c in found], class_="grid")
    return section("columns", "How columns changed", element("p", lead, class_="lead"), key, grid)


def _change(change: Change) -> Element:
    notes = []
    if any(change.missing):
        notes.append(f"missing: {change.missing[0]:.1%} → {change.missing[1]:.1%}")
    if change.weighted:
        notes.append("after: by weight")
    if change.numeric:
        drawn = pictures.histogram(change.name, change.before, change.after)
    else:
        drawn = pictures.category_bars(change.name, *change.counts)
    return figure(change.name, drawn, "; ".join(notes) or None)
