"""The report for programs and for the terminal says what the page says."""

import json
import math
from dataclasses import replace

import pytest

from tests.report.conftest import comparison_of, verdict
from tilth.core import Finding
from tilth.report import as_json, summary
from tilth.report.changes import changes
from tilth.report.terminal import cards, findings_table, plain, stages_table, verdict_table
from tilth.report.words import findings_of


def test_json_holds_every_part_and_only_finite_numbers(seen, run, compared, ablated):
    told = as_json(seen, run, compared, ablated)
    assert list(told) == ["summary", "findings", "audit", "run", "comparison", "ablation", "versions"]
    json.dumps(told, allow_nan=False)
    assert told["run"]["account"]["dropped"] == 10
    assert told["comparison"]["verdicts"][0]["word"] == "helps"


def test_json_leaves_out_what_is_not_given(compared):
    assert list(as_json(comparison=compared)) == ["summary", "comparison", "versions"]


def test_json_turns_what_is_not_finite_to_none():
    odd = comparison_of(replace(verdict(), mde80=math.inf, p=math.nan))
    told = as_json(comparison=odd)["comparison"]["verdicts"][0]
    assert told["mde80"] is None and told["p"] is None


def test_findings_that_the_audit_told_are_not_told_again(seen, run):
    together = findings_of(seen, run)
    assert len([f for f in together if f.kind == "duplicates.exact"]) == 1
    assert {f.stage for f in run.findings} <= {f.stage for f in together} | {"duplicates.exact"}


def test_terminal_tables_hold_the_numbers(seen, run, compared, ablated):
    assert "10 dropped" in plain(stages_table(run.ledger))
    assert "+0.0200" in plain(verdict_table(compared)) and "no evidence" in plain(verdict_table(compared))
    assert "scale.robust" in plain(verdict_table(ablated))
    assert "duplicates.exact" in plain(findings_table(seen.findings))
    assert "It helps 1 of 3" in plain(cards(summary(comparison=compared)))


def test_stages_may_be_told_in_the_order_they_ran(run):
    text = plain(stages_table(run.ledger, ["duplicates.exact", "impute.simple"]))
    assert text.index("duplicates.exact") < text.index("impute.simple")


@pytest.mark.parametrize("width", [40, 80, 200])
def test_terminal_lines_fit_and_hold_no_control_codes(width, run):
    odd = Finding(
        "k",
        "[red]markup[/red] \x1b[31m and \x00 \u202e",
        1.0,
        "high",
        remedy={"a.b": {"on": ["\x1b]0;x\x07"]}},
    )
    text = plain(findings_table([odd, *run.findings]), width)
    assert max(map(len, text.splitlines())) <= width
    assert "\x1b" not in text and "\x00" not in text
    assert "[red]" in text or width == 40


def test_many_findings_of_a_kind_are_counted():
    text = plain(findings_table([Finding("many", f"number {i}", 1.0, "low") for i in range(9)]))
    assert "number 2" in text and "number 3" not in text and "6 more of many" in text


def test_changes_put_shape_before_scale(run):
    found = {c.name: c for c in changes(run.before, run.after)}
    assert found["age"].missing == (2 / 130, 0.0)
    assert "city" not in found
    assert found["age"].amount < 0.1
