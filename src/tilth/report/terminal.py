"""The result in a terminal: tables that narrow with it, and stay readable without color."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from tilth.audit.result import ALIKE, Audit, remedy_line
from tilth.bench import Across, LearningCurve
from tilth.bench.explain import Explanation
from tilth.bench.result import Trial
from tilth.bench.robustness_result import Robustness, differs
from tilth.core import Finding, Ledger
from tilth.report.elements import clean
from tilth.report.words import ACTIONS, Card, count, metric, signed

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

STYLES = {"high": "bold red", "medium": "yellow", "low": "green", "info": "dim"}
TONES = {"helps": "bold cyan", "hurts": "bold yellow", "trades": "yellow"}
TONES |= {"more rows would help": "bold cyan"}
NAMED = 3
"""Files of a finding named in a terminal."""
CARD_TONES = {"good": "bold cyan", "bad": "bold yellow"}


def findings_table(found: Sequence[Finding], audit: Audit | None = None) -> Table:
    """Make a table of findings, in the order given; of many of one kind all but the first are counted.

    Parameters
    ----------
    found : sequence of Finding
    audit : Audit, optional
        Where rows are images: names the first files of each finding.
    """
    table = _table("severity", "finding", "rows", "remedy")
    alike: dict[tuple[str, str], int] = {}
    for finding in found:
        place = (finding.kind, finding.severity)
        alike[place] = alike.get(place, 0) + 1
        if alike[place] <= ALIKE:
            rows = f"{finding.n_rows:,}" if finding.n_rows else ""
            severity = text(finding.severity, STYLES[finding.severity])
            what = text(finding.message)
            if audit is not None and (shown := audit.pictures(finding)):
                left = max(finding.n_rows, len(shown)) - NAMED
                more = f" and {left:,} more" if left > 0 else ""
                what.append(f"\n{', '.join(clean(p.name) for p in shown[:NAMED])}{more}", "dim")
            table.add_row(severity, what, rows, text(remedy_line(finding.remedy), "dim"))
    for (kind, level), number in alike.items():
        if number > ALIKE:
            table.add_row(text(level, STYLES[level]), text(f"{number - ALIKE} more of {kind}", "dim"), "", "")
    return table


def stages_table(ledger: Ledger, order: Sequence[str] = ()) -> Table:
    """Make a table of what each stage did to rows and columns.

    Parameters
    ----------
    ledger : Ledger
    order : sequence of str
        The stages in the order in which they ran; those not named follow.
    """
    table = _table("stage", "rows", "columns")
    names = [*order, *ledger.columns["stage"].unique(maintain_order=True), *ledger.stages]
    rows = ledger.diff()
    for name in dict.fromkeys(names):
        did = [f"{n:,} {ACTIONS[a]}" for _, a, n in rows.filter(pl.col("stage") == name).iter_rows()]
        mine = ledger.columns.filter(pl.col("stage") == name)
        changed = mine.filter((pl.col("change") == "changed") & (pl.col("cells") > 0))
        cells = []
        if changed.height:
            total = int(changed["cells"].sum())
            cells.append(f"{count(total, 'cell')} in {count(changed.height, 'column')} changed")
        numbers = {change: mine.filter(pl.col("change") == change).height for change in ("added", "removed")}
        cells += [f"{number:,} {change}" for change, number in numbers.items() if number]
        table.add_row(text(name), text(", ".join(did)), text(", ".join(cells)))
    return table


def verdict_table(trial: Trial) -> Table:
    """Make a table of verdicts, two lines each: scores, gain with its interval, the word."""
    staged = any(v.stage for v in trial.verdicts)
    table = _table(*(["stage"] if staged else []), "model", "before, after", "gain, 95%", "verdict")
    for v in trial.verdicts:
        scores = f"{_number(v.before)} → {_number(v.after)}"
        known = math.isfinite(v.difference)
        gain = f"{signed(v.difference)}\n{signed(v.low)} to {signed(v.high)}" if known else "-"
        cells = [text(v.stage)] if staged else []
        cells += [text(v.probe).append(f"\n{metric(v.metric)}", "dim"), text(scores)]
        table.add_row(*cells, gain, text(v.word, TONES.get(v.word, "")))
    return table


def across_table(done: Across) -> Table:
    """Make a table of what data sets say together, two lines each: gain with its interval, sets, the word."""
    staged = any(line.stage for line in done.lines)
    heads = ("model", "gain, 95%", "median", "sets", "better, alike, worse", "verdict")
    table = _table(*(["stage"] if staged else []), *heads)
    for line in done.lines:
        gain = f"{signed(line.mean)}\n{signed(line.low)} to {signed(line.high)}" if line.n_sets else "-"
        counts = f"{line.wins}, {line.ties}, {line.losses}"
        cells = [text(line.stage or "all stages")] if staged else []
        cells += [text(line.probe).append(f"\n{metric(line.metric)}", "dim")]
        word = text(line.word, TONES.get(line.word, ""))
        table.add_row(*cells, gain, signed(line.median), str(line.n_sets), counts, word)
    return table


def importance_table(told: Explanation) -> Table:
    """Make a table of the importance of columns, two lines each; a star marks those that matter."""
    table = _table("model", "column", "before, 95%", "after, 95%", "change, 95%")
    for c in told.wide().to_dicts():
        cells = []
        for arm in ("before", "after", "change"):
            if c[arm] is None:
                cells.append(text("-"))
                continue
            star = " *" if c[f"{arm}_matters"] else ""
            cell = text(f"{signed(c[arm])}{star}", "bold cyan" if star else "")
            cells.append(cell.append(f"\n{signed(c[f'{arm}_low'])} to {signed(c[f'{arm}_high'])}", "dim"))
        table.add_row(text(c["probe"]).append(f"\n{metric(c['metric'])}", "dim"), text(c["column"]), *cells)
    return table


def robustness_table(told: Robustness) -> Table:
    """Make a table of scores before and after on changed rows, with the word where they differ.

    Of the metrics chosen before the run; the report has more.
    """
    chosen = {v.metric for v in told.verdicts}
    table = _table("test rows", "model", "metric", "before", "after", "")
    words = {(v.stage, v.probe, v.metric): v.word for v in told.verdicts if differs(v)}
    for m in told.table().filter(pl.col("metric").is_in(chosen)).to_dicts():
        word = words.get((m["told"], m["probe"], m["metric"]), "")
        scores = [_number(float("nan") if m[arm] is None else m[arm]) for arm in ("before", "after")]
        table.add_row(
            text(m["told"]), text(m["probe"]), metric(m["metric"]), *scores, text(word, TONES.get(word, ""))
        )
    return table


def curve_table(done: LearningCurve) -> Table:
    """Make a table of learning curves, two lines each: the score now, the gains foretold, the word."""
    table = _table("model", "score", "twice the rows, 95%", "ten times, 95%", "rows needed", "verdict")
    for c in done.curves:
        gains = []
        for said in (c.twice, c.tenfold):
            span = "" if said is None else f"\n{signed(said.gain_low)} to {signed(said.gain_high)}"
            gains.append("-" if said is None else f"{signed(said.gain)}{span}")
        needed = "-" if c.rows_needed is None or c.rows_needed.value is None else f"{c.rows_needed.value:,}"
        who = text(c.probe).append(f"\n{metric(c.metric)}", "dim")
        table.add_row(
            who, text(_number(c.points[-1].score)), *gains, needed, text(c.word, TONES.get(c.word, ""))
        )
    return table


def cards(told: Sequence[Card]) -> RenderableType:
    """Return the plain-words summary: an answer and its sentences for each question."""
    from rich.console import Group

    lines: list[Text] = []
    for card in told:
        lines.append(text(f"{card.what.rstrip('?')}: {card.big}", CARD_TONES.get(card.tone, "bold")))
        lines += [text(f"  {line}") for line in card.lines]
    return Group(*lines)


def plain(shown: RenderableType, width: int = 100) -> str:
    """Return what would be shown, as text without color, for logs and pipes."""
    from rich.console import Console

    console = Console(width=width, color_system=None, force_terminal=False, legacy_windows=False)
    with console.capture() as captured:
        console.print(shown)
    return "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"


def text(value: object, style: str = "") -> Text:
    """Make text of what may come from the data: no markup is read in it, and no control code is sent."""
    from rich.text import Text

    return Text(" ".join(clean(value).split("\n")), style=style)


def _number(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else "-"


def _table(*heads: str) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for head in heads:
        right = head == "rows" and "finding" in heads
        table.add_column(
            head, justify="right" if right else "left", overflow="fold", no_wrap=head in ("severity", "stage")
        )
    return table
