"""The audit as a whole: planted faults are found, the recipe treats them, and data comes to no harm."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest

import tilth
from tilth.audit import Audit, audit
from tilth.errors import ColumnError, DataError, UnknownName
from tilth.pipeline import Pipeline
from tilth.pipeline.run import prepare
from tilth.recipes import Recipe
from tilth.table import Table

ROWS = 600
NO_MODEL = ("duplicates.exact", "impute.simple", "outliers.clip")


@pytest.fixture(scope="module")
def faulty():
    rng = np.random.default_rng(0)
    y = (rng.random(ROWS) < 0.1).astype(int)
    city = rng.choice(["oslo", "rome", "lima"], ROWS).astype(object)
    city[::40] = "?"
    height = rng.normal(170, 8, ROWS)
    height[3::60] = np.nan
    income = rng.normal(50, 5, ROWS)
    income[5:15] = 900.0
    frame = pl.DataFrame(
        {
            "record": np.arange(ROWS),
            "city": pl.Series(city.tolist()),
            "height": pl.Series(height).fill_nan(None),
            "income": income,
            "age": np.where(np.arange(ROWS) % 50 == 0, 999, rng.integers(18, 80, ROWS)),
            "same": ["a"] * ROWS,
            "y": np.where(y, "sick", "well"),
        }
    )
    return pl.concat([frame, frame[10:30].with_columns(record=pl.int_range(ROWS, ROWS + 20))])


@pytest.fixture(scope="module")
def seen(faulty):
    return audit(faulty, "y")


def test_planted_faults_are_found_where_they_are(seen):
    where = {f.kind: f.columns for f in seen.findings if len(f.columns) == 1}
    assert where["hidden.token"] == ("city",)
    assert where["hidden.sentinel"] == ("age",)
    assert where["column.id"] == ("record",)
    assert where["column.constant"] == ("same",)
    assert where["target.imbalance"] == ("y",)
    assert ("height",) in [f.columns for f in seen.of("missing")]
    assert ("income",) in [f.columns for f in seen.of("outliers")]
    assert seen.of("duplicates.exact")[0].n_rows == 20


def test_findings_are_sorted_finite_and_declared_with_a_stage(seen):
    rank = {"high": 0, "medium": 1, "low": 2, "info": 3}
    order = [(rank[f.severity], -f.score) for f in seen.findings]
    assert order == sorted(order)
    assert all(f.stage for f in seen.findings)


def test_the_recipe_holds_what_findings_call_for_in_order(seen):
    keys = [line.key for line in seen.recipe.stages]
    assert keys[:4] == ["duplicates.exact", "impute.sentinels", "impute.simple", "outliers.clip"]
    assert keys.index("scale.robust") < keys.index("encode.category") < keys.index("balance.threshold")
    assert seen.recipe.stages[1].params == {"values": {"city": ["?"], "age": [999]}}
    assert seen.recipe.data.null_values == []
    assert seen.recipe.data.row_id == "record"
    assert seen.recipe.data.target == "y"


def test_each_stage_has_a_reason_under_its_name_in_the_pipeline(seen):
    names = [name for name, _ in seen.recipe.build()]
    assert set(names) <= set(seen.reasons)
    assert all(seen.reasons[name] for name in names)


def test_text_with_reasons_reads_back_as_the_recipe(seen):
    text = seen.recipe_text()
    assert Recipe.from_text(text) == seen.recipe
    assert all(f"# {reason}" in text for reason in seen.reasons.values())


def test_the_recipe_removes_the_faults_it_names(faulty, seen, tmp_path):
    faulty.write_csv(tmp_path / "faulty.csv")
    told = tilth.audit(tmp_path / "faulty.csv", "y", stages=NO_MODEL)
    assert told.recipe.data.path == str(tmp_path / "faulty.csv")
    assert told.proposed["stages"][:4] == seen.proposed["stages"][:4]
    after = prepare(told.recipe).after.frame.collect()
    assert after.height == ROWS
    assert after["age"].max() < 99
    assert sum(after.null_count().row(0)) == 0


def test_clean_data_yields_no_finding_of_weight_and_only_numbers_made_ready():
    rng = np.random.default_rng(1)
    frame = pl.DataFrame({"a": rng.normal(size=900), "b": rng.uniform(size=900), "y": rng.normal(size=900)})
    clean = audit(frame, "y")
    assert [f for f in clean.findings if f.severity in ("high", "medium")] == []
    assert clean.proposed["stages"] == ["scale.robust"]


def test_equal_rows_of_few_values_are_not_called_copies():
    rng = np.random.default_rng(0)
    few = pl.DataFrame(
        {"a": rng.integers(0, 2, 500), "b": rng.integers(0, 3, 500), "y": rng.integers(0, 2, 500)}
    )
    seen = audit(few, "y", stages=["duplicates.exact"])
    assert seen.of("duplicates.exact")
    assert "duplicates.exact" not in [line.key for line in seen.recipe.stages]


def test_numbers_behind_a_token_are_looked_at_as_numbers():
    ages = [str(18 + i * 7 % 83) for i in range(300)] + ["?"] * 9 + ["999"] * 6
    seen = audit(pl.DataFrame({"age": ages, "b": np.arange(315) % 7}))
    assert seen.of("hidden.token")[0].severity == "high"
    assert seen.facts.kinds["age"] == "numeric" and seen.facts.missing == {"age": 15}
    assert seen.of("hidden.sentinel")[0].n_rows == 6
    assert seen.of("column") == [] and seen.of("text") == []


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_the_recipe_reads_numbers_behind_a_token_from_any_file(form, tmp_path):
    ages = [str(18 + i * 7 % 83) for i in range(300)] + ["?"] * 9 + ["999"] * 6
    frame = pl.DataFrame({"age": ages, "b": np.arange(315) * 0.5})
    path = tmp_path / f"ages.{form}"
    frame.write_csv(path) if form == "csv" else frame.write_parquet(path)
    seen = audit(path, stages=NO_MODEL)
    after = prepare(seen.recipe).after.frame.collect()
    assert after["age"].null_count() == 0 and after["age_missing"].sum() == 15


def test_the_recipe_uncovers_numbers_behind_a_token_in_memory_too():
    ages = [str(18 + i * 7 % 83) for i in range(300)] + ["?"] * 9 + ["999"] * 6
    frame = pl.DataFrame({"age": ages, "b": np.arange(315) * 0.5})
    seen = audit(frame, stages=NO_MODEL)
    after = Pipeline(seen.recipe.build()).fit_transform(frame)
    assert after["age"].dtype == pl.Float64 and after["age_missing"].sum() == 15


def test_a_token_in_the_target_is_left_to_the_reader_of_the_file(tmp_path):
    rng = np.random.default_rng(0)
    y = np.where(np.arange(300) % 30 == 0, " ?", np.where(rng.random(300) < 0.4, "yes", "no"))
    frame = pl.DataFrame({"x": rng.normal(size=300), "word": ["a", "b", "-"] * 100, "y": y})
    frame.write_csv(tmp_path / "data.csv")
    seen = audit(tmp_path / "data.csv", "y", stages=NO_MODEL)
    assert {f.columns for f in seen.of("hidden.token")} == {("word",), ("y",)}
    assert seen.recipe.data.null_values == [" ?"]
    assert seen.recipe.stages[0].params == {"values": {"word": ["-"]}}
    assert seen.facts.classes.keys() == {"yes", "no"}
    assert seen.of("target.missing")[0].n_rows == 10
    assert set(prepare(seen.recipe).after.y.drop_nulls().unique()) == {"yes", "no"}


def test_a_column_with_a_token_and_a_sentinel_is_not_told_again_as_missing():
    ages = [str(18 + i * 7 % 83) for i in range(300)] + ["?"] * 9 + ["999"] * 6
    frame = pl.DataFrame({"age": ages, "b": np.arange(315) % 7})
    assert audit(frame, stages=["impute.simple"]).of("missing.filled") == []


def test_a_flat_column_is_never_clipped_to_one_value():
    zeros = np.zeros(1000)
    zeros[:80] = np.random.default_rng(0).uniform(100, 9000, 80)
    seen = audit(pl.DataFrame({"gain": zeros, "b": np.arange(1000) % 97 * 1.0}))
    assert "outliers.clip" not in [line.key for line in seen.recipe.stages]


def test_labels_in_doubt_are_proposed_for_a_look_not_for_a_change():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 4))
    y = (X[:, 0] > 0).astype(int)
    y[:40] = 1 - y[:40]
    seen = audit(X, y)
    assert {line.key: line.params for line in seen.recipe.stages}["labels.clean"] == {"action": "report"}
    assert not any(f.kind == "check.failed" for f in seen.findings)


def test_a_regression_is_not_asked_about_labels():
    rng = np.random.default_rng(0)
    seen = audit(rng.normal(size=(300, 3)), rng.normal(size=300))
    assert seen.facts.task == "regression"
    assert seen.of("labels") == [] and seen.of("target") == []


def test_containers_give_the_same_findings(faulty, seen):
    as_pandas = audit(faulty.to_pandas(), "y", stages=NO_MODEL)
    as_table = audit(Table.of(faulty), "y", stages=NO_MODEL)
    as_lazy = audit(faulty.lazy(), "y", stages=NO_MODEL)
    kinds = lambda a: [(f.kind, f.columns, f.n_rows) for f in a.findings]
    assert kinds(as_pandas) == kinds(as_table) == kinds(as_lazy)


def test_the_data_are_not_changed(faulty):
    frame = faulty.to_pandas()
    before = frame.copy(deep=True)
    audit(frame, "y", stages=NO_MODEL)
    pd.testing.assert_frame_equal(frame, before)


def test_a_target_may_be_an_array_and_a_role_is_no_feature(faulty):
    seen = audit(faulty.drop("y"), faulty["y"].to_numpy(), weight="income", stages=NO_MODEL)
    assert seen.facts.target == "target"
    assert "income" not in seen.facts.kinds
    assert seen.recipe.data.weight == "income"


def test_a_sample_is_looked_at_and_said_so():
    frame = pl.DataFrame({"a": np.arange(5000) % 71, "b": np.arange(5000) % 13})
    seen = audit(frame, max_rows=1000, stages=[])
    again = audit(frame, max_rows=1000, stages=[])
    assert (seen.facts.rows, seen.facts.looked_at) == (5000, 1000)
    assert "1000 of 5000" in seen.of("check.limited")[0].message
    assert seen.findings == again.findings


def test_a_stage_that_cannot_look_is_a_finding_and_the_others_go_on():
    frame = pl.DataFrame({"a": [1.0, float("inf"), 3.0] * 20, "b": [None, 2.0, 3.0] * 20})
    seen = audit(frame, stages=[tilth.stage("outliers.clip", method="sigma"), "impute.simple"])
    (failed,) = seen.of("check.failed")
    assert failed.stage == "outliers.clip" and "infinity" in failed.message
    assert ("b",) in [f.columns for f in seen.of("missing")]


def test_columns_that_cannot_be_counted_are_left_to_the_stages():
    frame = pl.DataFrame(
        {"v": [[1.0, 2.0]] * 30, "o": [{"k": 1}] * 30, "n": np.arange(30) % 7, "z": [None] * 30}
    )
    seen = audit(frame, stages=[])
    assert seen.of("check.failed") == []


def test_labels_that_are_missing_are_told_and_left_out():
    rng = np.random.default_rng(0)
    y = pl.Series("y", rng.choice(["a", "b"], 300).tolist())
    y[7] = None
    seen = audit(pl.DataFrame({"x": rng.normal(size=300), "w": rng.normal(size=300), "y": y}), "y")
    assert seen.of("target.missing")[0].rows == (7,)
    assert seen.of("check.failed") == []


@pytest.mark.parametrize("y", [["a"] * 30, [None] * 30])
def test_a_target_without_two_values_is_told(y):
    frame = pl.DataFrame({"x": np.arange(30) % 9, "y": pl.Series(y, dtype=pl.String)})
    assert audit(frame, "y").of("target.one_class")[0].severity == "high"


def test_one_row_and_one_column():
    assert audit(pl.DataFrame({"a": [1]})).of("rows.few")


def test_errors_name_what_is_wrong(faulty, tmp_path):
    with pytest.raises(ColumnError, match="did you mean 'income'"):
        audit(faulty, "incme")
    with pytest.raises(DataError, match="no such file"):
        audit(tmp_path / "none.csv")
    with pytest.raises(UnknownName, match=r"outliers\.clip"):
        audit(faulty, "y", stages=["outliers.clap"])
    with pytest.raises(DataError, match="read already"):
        audit(Table.of(faulty), "y", null_values=["?"])
    with pytest.raises(DataError, match="no rows"):
        audit(faulty.head(0), "y")


def test_json_table_and_words_agree(seen):
    told = json.loads(seen.to_json())
    assert [f["kind"] for f in told["findings"]] == seen.table()["kind"].to_list()
    assert told["recipe"] == json.loads(json.dumps(seen.proposed))
    words = str(seen)
    assert f"{ROWS + 20:,} rows" in words.replace(",", ",")
    assert all(f.message in words for f in seen.findings if f.severity == "high")


def test_naughty_names_and_values_survive():
    names = ["<script>alert(1)</script>", "quote\"'", "شيء", "a\nb", "😀", "null", "-", "# no comment"]
    frame = pl.DataFrame({n: [f"{n}{i % 3}" for i in range(40)] for n in names}).with_columns(
        pl.lit("?").alias("?")
    )
    seen = audit(frame, stages=NO_MODEL)
    assert Recipe.from_text(seen.recipe_text()) == seen.recipe


def test_progress_tells_each_step(faulty):
    steps = []
    audit(faulty, "y", stages=NO_MODEL, progress=steps.append)
    assert steps == ["reading", "columns", "pairs of columns", "leaks", "missing values", *NO_MODEL]


def test_the_function_stays_callable_whatever_is_imported_first():
    code = "import tilth.audit, tilth; assert callable(tilth.audit); tilth.audit([[1, 2]] * 9, stages=[])"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_audit_is_frozen(seen):
    assert isinstance(seen, Audit)
    with pytest.raises(AttributeError):
        seen.findings = ()
