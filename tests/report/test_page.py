"""The page: one whole file, well formed, escaped, with a part for each thing given and for no other."""

import os
import re
from dataclasses import replace
from html.parser import HTMLParser

import polars as pl
import pytest

from tests.report.conftest import comparison_of, rows, run_of, verdict
from tilth.audit import audit
from tilth.core import Finding
from tilth.report import page, write
from tilth.report.elements import VOID

NAUGHTY = [
    "<script>alert('x')</script>",
    '"><img src=x onerror=alert(1)>',
    "' onload='alert(1)",
    "</style></title></pre>",
    "&lt;b&gt; &amp; &#0;",
    "a\x00b\x1b[31m",
    "مرحبا \u202e evil",
    "😀 👩‍👩‍👧 \U0001d49c",
    "javascript:alert(1)",
    "{{7*7}} ${7*7}",
    " ",
]


class Walk(HTMLParser):
    """Check that elements nest, and collect what there is."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.attributes, self.text = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def whole(seen, run, compared, ablated):
    return page(title="First look", audit=seen, run=run, comparison=compared, ablation=ablated)


def headings(text):
    return re.findall(r'<h2 id="([a-z]+)">', text)


def test_elements_nest_and_ids_are_unique(whole):
    walk = Walk(whole)
    ids = [v for k, v in walk.attributes if k == "id"]
    assert len(ids) == len(set(ids)) == 7
    assert walk.tags.count("h1") == 1


def test_links_of_the_contents_lead_somewhere(whole):
    assert re.findall(r'href="#([a-z]+)"', whole) == headings(whole)


def test_nothing_from_elsewhere_and_no_script(whole):
    walk = Walk(whole)
    assert not {"script", "link", "img", "iframe", "object", "embed"} & set(walk.tags)
    assert not re.search(r"https?:|//[a-z]|url\(|@import|\son[a-z]+=", whole)
    assert all(v.startswith("#") for k, v in walk.attributes if k in ("href", "src"))


def test_each_picture_says_what_it_shows(whole):
    pictures = re.findall(r"<svg ([^>]*)>", whole)
    assert len(pictures) > 5
    assert all('role="img" aria-label="' in p or 'aria-hidden="true"' in p for p in pictures)


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        ((), []),
        (("audit",), ["findings", "data", "recipe"]),
        (("run",), ["findings", "stages", "columns", "recipe"]),
        (("comparison",), ["helped"]),
        (("ablation",), ["ablation"]),
        (("curve",), ["rows"]),
        (("audit", "run", "comparison"), ["findings", "data", "stages", "columns", "helped", "recipe"]),
    ],
)
def test_a_part_is_there_if_and_only_if_it_is_given(given, parts, seen, run, compared, ablated, grown):
    have = {"audit": seen, "run": run, "comparison": compared, "ablation": ablated, "curve": grown}
    text = page(**{name: have[name] for name in given})
    Walk(text)
    assert headings(text) == parts


def test_no_columns_part_where_no_column_changed():
    text = page(run=run_of(rows(), recipe="stages: [duplicates.exact]\n"))
    assert "columns" in headings(text)
    assert "columns" not in headings(page(run=run_of(rows()[:120], recipe="stages: []\n")))


def test_numbers_of_the_ledger_stand_in_the_page(whole, run):
    account = run.ledger.account()
    assert (account["rows_in"], account["dropped"], account["rows_out"]) == (130, 10, 120)
    assert "130 rows in \u2212 10 dropped + 0 repeated + 0 made anew = 120 rows out" in whole
    assert "10 rows dropped" in whole
    assert "same as another row (10)" in whole
    assert '1 cell changed in 1 column: <bdi class="name">age</bdi> 1' in whole


def test_stages_stand_in_the_order_of_the_recipe(whole):
    names = re.findall(r"<h3><code>([^<]*)</code></h3>", whole)
    assert names == ["duplicates.exact", "impute.simple", "scale.robust", "encode.category"]


def test_numbers_of_the_bench_stand_in_the_page(whole):
    for part in (
        "+0.0200",
        "+0.0100 to +0.0300",
        "0.0123",
        "About 7,000 rows",
        "1 of 2 clearly worse",
        "1.25 s",
        "92.3%",
    ):
        assert part in whole
    assert "Chosen before the run: ROC AUC. 130 rows, binary, 5 folds, 3 times." in whole
    assert "Dropping 10 rows at random" in whole and "copy in another fold" in whole


def test_summary_says_what_each_part_says(whole):
    assert "It helps 1 of 3 models, 1 pays for it elsewhere" in whole
    assert "1 of 2 stages help, 1 hurts" in whole


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["helps"] * 3, "It helps 3 of 3 models"),
        (["hurts", "helps"], "It helps 1 of 2 models, hurts 1"),
        (["hurts", "no evidence"], "It hurts 1 of 2 models"),
        (["no difference"] * 2, "It makes no difference"),
        (["no difference", "no evidence"], "No evidence that it helps"),
        (["not testable"], "No evidence that it helps"),
        (["indication", "no evidence"], "An indication, no proof"),
    ],
)
def test_the_answer_follows_from_the_verdict_words(words, answer):
    assert answer in page(comparison=comparison_of(*(verdict(word=w) for w in words)))


def test_a_grave_leak_stands_before_any_score_and_takes_the_good_news_back():
    grave = Finding("bench.target_among_features", "'copy' is the target again.", 1.0, "high")
    small = Finding("bench.id", "'id' names the rows.", 0.1, "low")
    text = page(comparison=comparison_of(verdict(), leaks=[small, grave]))
    assert 'class="big good"' not in text and 'class="big good"' in page(comparison=comparison_of(verdict()))
    card, told = " ".join(Walk(text).text).split("Did it help?")
    assert "'copy' is the target again." in card and "names the rows" not in card
    assert told.index("is the target again") < told.index("Gain of the recipe") < told.index("names the rows")
    assert told.count("is the target again") == 1


def test_a_stage_that_takes_a_leak_away_is_not_to_be_left_out(ablated):
    assert "scale.robust hurts: leave it out." in page(ablation=ablated)
    grave = Finding("bench.target_among_features", "'copy' is the target again.", 1.0, "high")
    text = page(ablation=replace(ablated, leaks=[grave]))
    assert "scale.robust hurts." in text and "leave it out" not in text


def test_scores_that_are_not_finite_are_dashes():
    nan = float("nan")
    odd = replace(
        verdict(word="not testable"),
        **dict.fromkeys(("before", "after", "difference", "low", "high", "p_holm"), nan),
    )
    text = page(comparison=comparison_of(odd))
    Walk(text)
    assert "nan" not in text.lower().replace("nan\u00a0", "")


def test_naughty_names_and_values_are_text(compared):
    for naughty in NAUGHTY:
        names = (naughty, f"{naughty} city", f"{naughty} y")
        frame = rows(names).with_columns(
            pl.col(names[1]).replace("oslo", naughty), pl.col(names[2]).replace("no", naughty)
        )
        run = run_of(frame, names[2])
        run.findings.append(
            Finding("k", naughty, 1.0, "high", (naughty,), remedy={"data": {"null_values": [naughty]}})
        )
        found = audit(frame, names[2], stages=["impute.simple"])
        text = page(title=naughty, audit=found, run=run, comparison=compared)
        walk = Walk(text)
        assert not {"script", "img"} & set(walk.tags)
        assert not any(k.startswith("on") for k, _ in walk.attributes)
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", text)
    assert "\u2400" in page(title="a\x00b")


def test_names_keep_their_direction_to_themselves(seen):
    assert '<bdi class="name">' in page(audit=seen)


def test_many_findings_of_a_kind_share_a_line_and_the_page_stays_small():
    frame = pl.DataFrame({f"column {i}": [1.0, None] * 30 for i in range(400)})
    found = audit(frame, stages=["impute.simple"])
    text = page(audit=found)
    assert "399 more of this kind" in text
    assert len(text.encode()) < 500_000


def test_a_wide_run_stays_below_half_a_megabyte():
    frame = pl.DataFrame({f"c{i}": [float(i * j % 37) for j in range(200)] for i in range(300)}).with_columns(
        y=pl.lit(1)
    )
    assert len(page(run=run_of(frame, recipe="stages: [scale.robust]\n")).encode()) < 500_000


def test_write_is_whole_or_nothing(tmp_path, seen, monkeypatch):
    path = write(tmp_path / "deep" / "report.html", audit=seen)
    assert path.read_text(encoding="utf-8") == page(audit=seen)
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]
    before = path.read_bytes()

    def broken(_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="disk full"):
        write(path, title="another")
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]


def test_the_same_result_gives_the_same_bytes(seen, run):
    assert page(audit=seen, run=run) == page(audit=seen, run=run)
