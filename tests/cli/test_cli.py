"""The command line: what it prints, what it writes, and how it says what went wrong."""

import json
import re
import subprocess
import sys
import warnings
from pathlib import Path

import polars as pl
import pytest

import tilth
from tilth.cli import main
from tilth.errors import TilthWarning
from tilth.recipes import Recipe
from tilth.recipes.line import Line
from tilth.stages import find, keys

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))
SLOW = ("labels", "fashion", "helps")
"""Examples that take long, or whose data is made by a script first."""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Work in a folder with a table that has something wrong with it, and a recipe for it."""
    monkeypatch.chdir(tmp_path)
    rows = [
        (20 + i * 7 % 40, i * i % 90, "?" if i % 9 == 0 else "abc"[i % 3], "yn"[(i * 7 % 40) > 18])
        for i in range(120)
    ]
    pl.DataFrame(rows, schema=["age", "income", "city", "paid"], orient="row").write_csv("people.csv")
    Path("recipe.yaml").write_text(
        "data: {path: people.csv, target: paid, split: {test: 0.25}, null_values: ['?']}\n"
        "stages:\n- impute.simple\n- encode.category\n- balance.over\n"
        "bench: {probes: [linear], folds: 3, repeats: 2, n_jobs: 1}\n"
    )
    return tmp_path


def run(capsys, *arguments):
    code = main([str(a) for a in arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_help_names_every_command_and_imports_nothing_heavy():
    script = (
        "import sys; from tilth.cli import main; code = main(['--help'])\n"
        "heavy = {'polars', 'pandas', 'numpy', 'torch', 'sklearn', 'pydantic', 'yaml'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else code)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for command in ("audit", "run", "bench", "demo", "stages", "recipe", "schema", "--debug", "--version"):
        assert command in done.stdout


def test_the_version_is_that_of_the_package(capsys):
    assert run(capsys, "--version")[:2] == (0, f"tilth {tilth.__version__}\n")


def test_the_package_runs_as_a_module():
    done = subprocess.run([sys.executable, "-m", "tilth", "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"tilth {tilth.__version__}\n")


def test_an_unknown_command_is_a_wrong_use(capsys):
    code, out, err = run(capsys, "prepare")
    assert (code, out) == (2, "")
    assert "prepare" in err


# audit


def test_audit_prints_findings_and_a_recipe_that_reads_back(folder, capsys):
    code, out, err = run(capsys, "audit", "people.csv", "--target", "paid")
    assert (code, err) == (0, "")
    assert out.startswith("people.csv: 120 rows, 3 features, target 'paid'")
    assert "'?'" in out
    text = out.split("Proposed recipe:\n\n")[1]
    assert Recipe.from_text(text).stages[0] == Line("impute.sentinels", {"values": {"city": ["?"]}})


def test_audit_as_json_is_the_audit(folder, capsys):
    code, out, _ = run(capsys, "audit", "people.csv", "--target", "paid", "--json")
    told = json.loads(out)
    expected = tilth.audit("people.csv", "paid").as_dict()
    assert code == 0
    assert told["recipe"] == json.loads(json.dumps(expected["recipe"]))
    assert [f["kind"] for f in told["findings"]] == [f["kind"] for f in expected["findings"]]


def test_audit_looks_at_test_rows_in_a_file_or_named_by_a_column(folder, capsys):
    people = pl.read_csv("people.csv")
    people.head(40).write_csv("test.csv")
    code, out, _ = run(capsys, "audit", "people.csv", "--target", "paid", "--test", "test.csv", "--json")
    (copies,) = [f for f in json.loads(out)["findings"] if f["kind"] == "leakage.copies"]
    assert code == 0 and copies["n_rows"] == 40
    part = ["test" if i < 40 else "train" for i in range(people.height)]
    people.with_columns(pl.Series("part", part)).write_csv("parts.csv")
    _, out, _ = run(capsys, "audit", "parts.csv", "--target", "paid", "--split", "part", "--json")
    assert json.loads(out)["recipe"]["data"]["split"] == {"column": "part"}
    code, _, err = run(
        capsys, "audit", "parts.csv", "--target", "paid", "--split", "part", "--test", "test.csv"
    )
    assert code == 2 and err


def test_audit_takes_roles_and_texts_that_mean_missing(folder, capsys):
    _, out, _ = run(
        capsys, "audit", "people.csv", "--target", "paid", "--group", "city", "--null-value", "?", "--json"
    )
    data = json.loads(out)["recipe"]["data"]
    assert (data["group"], data["null_values"]) == ("city", ["?"])


def test_audit_writes_a_recipe_that_runs_from_its_own_folder(folder, capsys):
    (folder / "sub").mkdir()
    code, _, err = run(
        capsys, "audit", "people.csv", "--target", "paid", "--recipe", "sub/r.yaml", "--report", "a.html"
    )
    assert code == 0
    assert "Written: sub/r.yaml, a.html" in err
    assert "<html" in Path("a.html").read_text(encoding="utf-8")
    assert Recipe.read("sub/r.yaml").data.path == "../people.csv"
    assert run(capsys, "run", "sub/r.yaml")[0] == 0
    assert (folder / "sub" / "out").is_dir()


def test_audit_replaces_no_recipe(folder, capsys):
    before = Path("recipe.yaml").read_text()
    code, _, err = run(capsys, "audit", "people.csv", "--recipe", "recipe.yaml")
    assert (code, Path("recipe.yaml").read_text()) == (2, before)
    assert "is there already" in err


# run


def test_run_writes_what_the_recipe_says_and_tells_it(folder, capsys):
    code, out, err = run(capsys, "run", "recipe.yaml", "--report", "r.html")
    assert code == 0
    assert out.startswith("90 rows in, ")
    stages = ["impute.simple", "encode.category", "balance.over"]
    assert [line.split()[0] for line in out.splitlines() if line.startswith(tuple(stages))] == stages
    assert "Written: out, r.html" in err
    assert (folder / "r.html").is_file()
    loaded = tilth.load("out/bundle")
    assert (
        loaded.transform(
            pl.DataFrame({"age": [30], "income": [5], "city": [None]}, schema_overrides={"city": pl.String})
        ).height
        == 1
    )


def test_run_takes_another_folder_and_speaks_json(folder, capsys):
    code, out, _ = run(capsys, "run", "recipe.yaml", "--out", "there", "--json")
    assert code == 0
    assert json.loads(out)["run"]["account"]["rows_in"] == 90
    assert (folder / "there").is_dir()
    assert not (folder / "out").exists()


def test_run_replaces_no_folder_of_someone_else(folder, capsys):
    (folder / "out").mkdir()
    (folder / "out" / "thesis.txt").write_text("all of it")
    code, _, err = run(capsys, "run", "recipe.yaml")
    assert code == 2
    assert "is not replaced" in err
    assert (folder / "out" / "thesis.txt").read_text() == "all of it"


# bench


def test_bench_prints_a_verdict_with_its_interval(folder, capsys):
    code, out, err = run(capsys, "bench", "recipe.yaml", "--report", "b.html")
    assert code == 0
    assert "Chosen before the run: roc_auc (binary, 90 rows, 3 folds x 2 repeats)" in out
    assert any(line.startswith("linear") and " → " in line for line in out.splitlines())
    assert re.search(r"[+\u2212]0\.\d{4} to [+\u2212]0\.\d{4}", out)
    assert "Written: b.html" in err


def test_bench_looks_closer_where_it_is_asked_to(folder, capsys):
    code, out, err = run(capsys, "bench", "recipe.yaml", "--explain", "--robustness", "--report", "b.html")
    assert code == 0, err
    lines = out.splitlines()
    assert "Which columns matter?" in out
    assert any("linear" in line and "age" in line for line in lines)
    assert any("missing cells, 30% of the cells" in line and "→" not in line for line in lines)
    assert sum("after relies most on" in line or "no column is sure" in line for line in lines) == 1
    page = Path("b.html").read_text()
    assert "Which columns matter?" in page
    assert "What does it withstand?" in page


def test_a_recipe_can_ask_for_columns_in_groups(folder, capsys):
    text = Path("recipe.yaml").read_text()
    Path("recipe.yaml").write_text(text.replace("n_jobs: 1", "n_jobs: 1, explain: {both: [age, income]}"))
    code, out, err = run(capsys, "bench", "recipe.yaml", "--json")
    assert code == 0, err
    told = json.loads(out)["comparison"]
    assert {line["column"] for line in told["explanation"]["importance"]} == {"both"}
    assert "robustness" not in told


@pytest.mark.parametrize(
    ("bench", "flag", "values"),
    [
        ("", ["--tune"], {"0.001", "0.01", "0.1", "1.0", "10.0", "100.0"}),
        (", tune: true", [], {"0.001", "0.01", "0.1", "1.0", "10.0", "100.0"}),
        (", tune: {linear: {C: [0.2, 5]}}", ["--tune"], {"0.2", "5"}),
    ],
    ids=["flag", "recipe", "what to try"],
)
def test_probes_are_tuned_where_it_is_asked_for(folder, capsys, bench, flag, values):
    text = Path("recipe.yaml").read_text()
    Path("recipe.yaml").write_text(text.replace("n_jobs: 1", f"n_jobs: 1{bench}"))
    code, out, err = run(capsys, "bench", "recipe.yaml", "--json", *flag)
    assert code == 0, err
    told = json.loads(out)["comparison"]
    assert {line["value"] for line in told["tuned"]} <= values and len(told["tuned"]) == 2 * 6
    assert any(control["kind"] == "bench.tuned" for control in told["controls"])


@pytest.mark.parametrize(
    ("split", "bench"),
    [("{test: 0.25, by: time, column: day}", ""), ("{test: 0.25}", ", time: day")],
    ids=["split by time", "asked for"],
)
def test_bench_goes_by_time_where_the_rows_are_split_so_or_it_is_asked_for(split, bench, folder, capsys):
    people = pl.read_csv("people.csv").with_row_index("day")
    people.write_csv("people.csv")
    text = Path("recipe.yaml").read_text().replace("{test: 0.25}", split)
    Path("recipe.yaml").write_text(text.replace("n_jobs: 1", f"n_jobs: 1, slices: [city]{bench}"))
    code, out, err = run(capsys, "bench", "recipe.yaml")
    assert code == 0, err
    assert "Column 'day' orders the rows: each of 3 blocks" in out
    code, out, _ = run(capsys, "bench", "recipe.yaml", "--learning-curve", "--json")
    told = json.loads(out)["curve"]
    assert any("orders the rows" in found["message"] for found in told["leaks"])


def test_bench_judges_each_stage_where_the_recipe_asks(folder, capsys):
    text = (
        Path("recipe.yaml")
        .read_text()
        .replace("n_jobs: 1", "n_jobs: 1, ablate: true")
        .replace("- balance.over\n", "")
    )
    Path("recipe.yaml").write_text(text)
    code, out, _ = run(capsys, "bench", "recipe.yaml", "--json")
    assert code == 0
    told = json.loads(out)
    assert {v["stage"] for v in told["ablation"]["verdicts"]} == {"impute.simple", "encode.category"}
    assert told["comparison"]["folds"] == 3
    code, out, _ = run(capsys, "bench", "recipe.yaml")
    assert "all of them against all but this one" in out
    assert "encode.category" in out


@pytest.mark.parametrize("asked", ["option", "recipe"])
def test_bench_says_whether_more_rows_would_help(asked, folder, capsys):
    recipe = Path("recipe.yaml").read_text().replace("- balance.over\n", "")
    recipe = recipe.replace("repeats: 2", "repeats: 1")
    if asked == "recipe":
        recipe = recipe.replace("n_jobs: 1", "n_jobs: 1, learning_curve: true, sizes: [10, 20, 40, 1.0]")
    Path("recipe.yaml").write_text(recipe)
    option = ["--learning-curve"] if asked == "option" else []
    code, out, err = run(capsys, "bench", "recipe.yaml", *option, "--report", "b.html")
    assert code == 0
    assert "Would more rows help?" in out and "The recipe against the data as it is." in out
    assert f"{8 if option else 4} sizes from {15 if option else 10} to 60 training rows" in out
    assert re.search(r"^linear, roc_auc: (more rows would help|flat|cannot tell)\.", out, re.MULTILINE)
    assert "Written: b.html" in err
    assert "Would more data help?" in Path("b.html").read_text()
    code, out, _ = run(capsys, "bench", "recipe.yaml", *option, "--json")
    told = json.loads(out)
    assert code == 0 and told["curve"]["sizes"][-1] == 60
    assert len(told["curve"]["curves"][0]["points"]) == len(told["curve"]["sizes"])


@pytest.mark.parametrize(
    ("asked", "title", "arm"),
    [("add_one", "it alone against none", "only impute.simple"), ("shapley", "its Shapley value", "none")],
)
def test_bench_judges_stages_in_other_ways(folder, capsys, asked, title, arm):
    text = Path("recipe.yaml").read_text().replace("n_jobs: 1", f"n_jobs: 1, ablate: {asked}")
    Path("recipe.yaml").write_text(text.replace("- balance.over\n", "").replace("repeats: 2", "repeats: 1"))
    code, out, err = run(capsys, "bench", "recipe.yaml", "--results", "r.csv", "--report", "b.html")
    assert code == 0, err
    assert f"Each stage: {title}" in out and "Written: b.html" in err and "r.csv" in err
    table = pl.read_csv("r.csv")
    assert set(table["stage"].fill_null("")) == {"", "impute.simple", "encode.category"}
    code, out, _ = run(capsys, "bench", "recipe.yaml", "--json", "--results", "r.json")
    told = json.loads(out)["ablation"]
    assert told["method"] == asked and arm in {line["arm"] for line in told["scores"]}
    assert json.loads(Path("r.json").read_text())["ablation"]["method"] == asked


def test_bench_goes_on_in_a_folder_and_refuses_that_of_another(folder, capsys):
    text = (
        Path("recipe.yaml").read_text().replace("n_jobs: 1", "n_jobs: 1, ablate: true, learning_curve: true")
    )
    text = text.replace("- balance.over\n", "").replace("repeats: 2", "repeats: 1")
    Path("recipe.yaml").write_text(text)
    code, first, _ = run(capsys, "bench", "recipe.yaml", "--resume", "kept")
    assert code == 0
    for part in ("comparison", "ablation", "curve"):
        assert len(list(Path("kept", part).glob("repeat-0-fold-*.json"))) == 3
    Path("kept", "ablation", "repeat-0-fold-1.json").unlink()
    code, again, _ = run(capsys, "bench", "recipe.yaml", "--resume", "kept")
    assert code == 0 and again == first
    Path("recipe.yaml").write_text(text.replace("repeats: 1", "repeats: 2"))
    code, _, err = run(capsys, "bench", "recipe.yaml", "--resume", "kept")
    assert code == 2 and "design.repeats is 1 there and 2 here" in err


def test_bench_refuses_sizes_that_the_rows_do_not_hold(folder, capsys):
    recipe = Path("recipe.yaml").read_text().replace("n_jobs: 1", "n_jobs: 1, sizes: [10, 20, 40, 5000]")
    Path("recipe.yaml").write_text(recipe)
    code, _, err = run(capsys, "bench", "recipe.yaml", "--learning-curve")
    assert code == 2 and "a training part has 60 labeled rows" in err


# stages, recipe, schema


def test_stages_lists_them_all_with_a_line_each(capsys):
    code, out, _ = run(capsys, "stages")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[1:]] == list(keys())
    assert not any(line.endswith(" ") for line in out.splitlines())


def test_stages_lists_a_family(capsys):
    _, out, _ = run(capsys, "stages", "scale")
    assert [line.split()[0] for line in out.splitlines()[1:]] == [k for k in keys() if k.startswith("scale.")]


@pytest.mark.parametrize("key", keys())
def test_stages_explains_each_with_its_parameters_and_findings(key, capsys):
    code, out, _ = run(capsys, "stages", key)
    assert code == 0
    assert out.startswith(f"{key} ({find(key).__name__}): changes ")
    _, _, parameters = out.partition("\nParameters\n")
    for name in [*find(key)._get_param_names(), *find(key).finds]:
        assert f"\n{name} " in parameters
    assert "\nScaling\n" in out


def test_stages_offers_the_nearest_key(capsys):
    code, out, err = run(capsys, "stages", "impute.simpel")
    assert (code, out) == (2, "")
    assert "did you mean 'impute.simple'" in err


def test_recipe_prints_it_tidily_or_as_python(folder, capsys):
    _, out, _ = run(capsys, "recipe", "recipe.yaml")
    assert out == Recipe.read("recipe.yaml").to_yaml()
    _, out, _ = run(capsys, "recipe", "recipe.yaml", "--python")
    assert out == Recipe.read("recipe.yaml").to_python()


def test_schema_prints_the_schema(capsys):
    code, out, _ = run(capsys, "schema")
    assert code == 0
    assert json.loads(out) == json.loads(json.dumps(Recipe.json_schema()))


def test_demo_says_what_it_takes(capsys):
    code, out, _ = run(capsys, "demo", "--help")
    assert code == 0
    assert "--out" in out


# What went wrong


def test_a_wrong_recipe_is_told_by_file_line_and_field_without_a_traceback(folder, capsys):
    Path("recipe.yaml").write_text("stages:\n- impute.simple: {numeric: medain}\n")
    for command in ("run", "bench", "recipe"):
        code, out, err = run(capsys, command, "recipe.yaml")
        assert (code, out) == (2, "")
        assert err.startswith("recipe.yaml:2: stage 1, impute.simple: numeric: found 'medain'")
        assert "Traceback" not in err


def test_data_that_is_not_there_and_columns_that_are_not_there(folder, capsys):
    code, _, err = run(capsys, "audit", "poeple.csv")
    assert code == 2
    assert "did you mean 'people.csv'" in err
    code, _, err = run(capsys, "audit", "people.csv", "--target", "piad")
    assert code == 2
    assert "did you mean 'paid'" in err


def test_control_codes_in_a_name_do_not_reach_the_terminal(folder, capsys):
    Path("odd.csv").write_text("a\x1b[31m,b\n1,2\n")
    _, _, err = run(capsys, "audit", "odd.csv", "--target", "c\x1b[0m")
    assert "\x1b" not in err
    assert "\ufffd[31m" in err


def test_a_recipe_without_data_says_what_to_add(folder, capsys):
    Path("recipe.yaml").write_text("stages: []\n")
    code, _, err = run(capsys, "run", "recipe.yaml")
    assert code == 2
    assert "data: {path:" in err


def test_debug_shows_where_and_keeps_the_exit_code(folder, capsys):
    code, _, err = run(capsys, "--debug", "audit", "poeple.csv")
    assert code == 2
    assert "Traceback" in err
    assert "DataError" in err


def test_what_was_not_foreseen_is_said_so(folder, capsys, monkeypatch):
    def fail(path):
        raise RuntimeError("out of luck")

    monkeypatch.setattr(Recipe, "read", fail)
    code, _, err = run(capsys, "recipe", "recipe.yaml")
    assert code == 1
    assert err.startswith("RuntimeError: out of luck\n")
    assert "tilth --debug" in err
    assert "Traceback" not in err


def test_stopping_is_no_error(folder, capsys, monkeypatch):
    def stop(path):
        raise KeyboardInterrupt

    monkeypatch.setattr(Recipe, "read", stop)
    assert run(capsys, "recipe", "recipe.yaml")[::2] == (130, "Stopped.\n")


def test_a_parameter_of_scikit_learn_that_is_wrong_is_the_users_to_mend(folder, capsys, monkeypatch):
    from sklearn.utils._param_validation import InvalidParameterError

    def refuse(path):
        raise InvalidParameterError("The 'numeric' parameter of ImputeSimple is 3.")

    monkeypatch.setattr(Recipe, "read", refuse)
    code, _, err = run(capsys, "recipe", "recipe.yaml")
    assert (code, err) == (2, "The 'numeric' parameter of ImputeSimple is 3.\n")


def test_a_note_of_tilth_is_shown_and_others_remarks_only_under_debug(folder, capsys, monkeypatch):
    read = Recipe.read

    def remark(path):
        warnings.warn("took a sample", TilthWarning, stacklevel=2)
        warnings.warn("of another package", FutureWarning, stacklevel=2)
        return read(path)

    monkeypatch.setattr(Recipe, "read", remark)
    assert run(capsys, "recipe", "recipe.yaml")[2] == "Note: took a sample\n"
    assert "of another package" in run(capsys, "--debug", "recipe", "recipe.yaml")[2]


def test_a_reader_who_goes_away_early_hears_no_complaint():
    process = subprocess.Popen(
        [sys.executable, "-m", "tilth", "schema"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    process.wait()
    assert err == b""


# The examples at the root of the repository


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_every_example_is_valid_and_names_data_that_is_there(path):
    recipe = Recipe.read(path)
    # The data of a recipe that has a script beside it is written by that script.
    assert (path.parent / recipe.data.path).exists() or path.with_suffix(".py").is_file()
    assert Recipe.of(recipe.build(), **recipe.told()) == recipe


@pytest.mark.parametrize("path", [p for p in RECIPES if p.stem not in SLOW], ids=lambda p: p.stem)
def test_every_quick_example_runs(path, tmp_path, capsys):
    code, out, _ = run(capsys, "run", path, "--out", tmp_path / "out")
    assert code == 0
    assert " rows in, " in out
    assert (tmp_path / "out" / f"train.{Recipe.read(path).output.format}").is_file()
