"""The report shows what becomes of each class."""

from dataclasses import replace

import polars as pl

from tilth.bench.result import RECALLS
from tilth.report.recalls import recalls


def line(label, difference, falls, stage=""):
    told = {"stage": stage, "probe": "linear", "label": label, "rows": 1200, "before": 0.8, "n_scores": 10}
    told |= {"after": 0.8 + difference, "difference": difference, "low": difference - 0.02}
    return told | {"high": difference + 0.02, "p": 0.01, "p_holm": 0.02, "falls": falls}


def test_a_class_that_loses_opens_the_table_and_names_are_harmless(compared):
    frame = pl.DataFrame([line("<b>a", -0.05, True), line("b", 0.01, False)], schema=RECALLS)
    text = str(recalls(replace(compared, recalls=frame)))
    assert text.startswith("<details open") and "1 of 2 clearly lower" in text
    assert "<b>a" not in text and "&lt;b&gt;a" in text and text.count("clearly loses") == 1
    assert "\u22120.0700 to \u22120.0300" in text and "1,200" in text and ">Model<" in text
    calm = str(recalls(replace(compared, recalls=frame.filter(~pl.col("falls")))))
    assert "<details open" not in calm and "0 of 1 clearly lower" in calm


def test_stages_are_named_and_where_there_are_no_classes_nothing_is_shown(compared):
    frame = pl.DataFrame([line("a", -0.05, True, stage="scale.robust")], schema=RECALLS)
    text = str(recalls(replace(compared, recalls=frame)))
    assert "scale.robust · linear" in text and "Stage and model" in text
    assert recalls(replace(compared, recalls=frame.clear())) is None
