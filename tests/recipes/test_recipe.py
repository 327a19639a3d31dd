"""Recipe: text, Python and stages say the same; errors name file, line, field and the nearest word."""

import inspect
import json
import sys
from pathlib import PurePosixPath

import numpy as np
import pytest

from tilth.core.stage import ColumnStage
from tilth.errors import RecipeError
from tilth.recipes import Bench, Data, Loader, Recipe
from tilth.stages import find, keys
from tilth.stages.impute.simple import ImputeSimple
from tilth.stages.outliers.clip import OutliersClip
from tilth.stages.scale.robust import ScaleRobust
from tilth.table import Selector

WHOLE = """\
data: {path: adult.csv, target: income, group: household, split: {test: 0.2, by: group}}
stages:
  - impute.simple: {numeric: median, categorical: most_frequent, indicator: true}
  - outliers.clip: {method: iqr, on: numeric}
  - scale.robust
  - outliers.clip
loader: {batch_size: 1024, device: auto}
bench: {probes: [linear, boosting, mlp], folds: 5, repeats: 2, ablate: true}
output: {dir: out/, format: parquet}
"""
EXAMPLES = [(key, params) for key in keys() for params in find(key).examples()]


def test_text_comes_back_as_it_was_written():
    assert Recipe.from_text(WHOLE).to_yaml() == WHOLE


def test_annotators_are_columns_by_name():
    told = Recipe.from_text("data: {path: x.csv, annotators: [a1, a2]}\nstages: [labels.consensus]")
    assert told.data.annotators == ["a1", "a2"]
    assert Recipe.from_text(told.to_yaml()) == told
    with pytest.raises(RecipeError, match=r"annotators"):
        Recipe.from_text("data: {path: x.csv, annotators: a1}\nstages: []")
    with pytest.raises(RecipeError, match=r"annotators"):
        Recipe.from_text("data: {path: x.csv, annotators: ['']}\nstages: []")


def test_sections_may_stand_in_any_order_and_be_empty():
    assert Recipe.from_text("loader:\nstages: []\ndata: {path: a.csv}") == Recipe.from_text(
        "data: {path: a.csv}\nstages: []"
    )


def test_a_key_with_nothing_under_it_has_the_defaults():
    assert Recipe.from_text("stages:\n  - scale.robust:\n") == Recipe.from_text("stages: [scale.robust]")


def test_defaults_that_are_written_out_change_nothing():
    short = Recipe.from_text("stages: [impute.simple, outliers.clip: {width: 2}]")
    long = Recipe.from_text(
        "stages: [impute.simple: {numeric: median}, outliers.clip: {method: iqr, width: 2.0}]"
    )
    assert short == long
    assert short != Recipe.from_text("stages: [impute.simple: {numeric: mean}, outliers.clip: {width: 2}]")
    assert short != Recipe.from_text("stages: [outliers.clip: {width: 2}, impute.simple]")


@pytest.mark.parametrize(("key", "params"), EXAMPLES, ids=[f"{k}-{i}" for i, (k, _) in enumerate(EXAMPLES)])
def test_every_stage_survives_text_python_and_back(key, params):
    recipe = Recipe.of([("a name", find(key)(**params))])
    assert Recipe.from_text(recipe.to_yaml()) == recipe
    assert Recipe.of(recipe.build()) == recipe
    assert [type(stage) for _, stage in recipe.build()] == [find(key)]


def test_names_are_keys_and_a_number_from_the_second_on():
    recipe = Recipe.from_text("stages: [scale.robust, impute.simple, scale.robust, scale.robust]")
    assert [name for name, _ in recipe.build()] == [
        "scale.robust",
        "impute.simple",
        "scale.robust-2",
        "scale.robust-3",
    ]


def test_building_twice_gives_stages_that_share_nothing():
    recipe = Recipe.from_text("stages: [scale.robust]")
    assert recipe.build()[0][1] is not recipe.build()[0][1]


def test_only_what_differs_from_the_defaults_is_written():
    stages = [
        ("a", ImputeSimple(numeric="median")),
        ("b", ScaleRobust(center=False, quantile_range=(0.25, 0.75))),
    ]
    assert Recipe.of(stages).to_yaml() == "stages:\n  - impute.simple\n  - scale.robust: {center: false}\n"


def test_values_of_numpy_tuples_and_selectors_become_plain():
    clip = OutliersClip(
        width=np.float64(2), value_range=(np.int64(0), None), on=Selector("numeric") - Selector("a")
    )
    assert (
        Recipe.of([("clip", clip)]).to_yaml()
        == "stages:\n  - outliers.clip: {width: 2.0, value_range: [0, null], on: (numeric) - (a)}\n"
    )


def test_a_stage_that_text_cannot_hold_says_why_and_what_to_do():
    class Own(ColumnStage):
        recipe = False

    with pytest.raises(RecipeError, match=r"Step 'mine' \(Own\).*Keep this pipeline in Python"):
        Recipe.of([("mine", Own())])


def test_a_class_that_no_key_finds_says_so():
    class Stray(ColumnStage):
        pass

    with pytest.raises(RecipeError, match=r"'tilth\.stages'"):
        Recipe.of([("stray", Stray())])


def test_a_subclass_is_not_mistaken_for_its_stage():
    class Other(ImputeSimple):
        key = "impute.simple"

    with pytest.raises(RecipeError, match="does not find"):
        Recipe.of([("impute.simple", Other())])


def test_a_value_that_text_cannot_hold_names_step_and_parameter():
    with pytest.raises(RecipeError, match=r"Step 'fill', parameter 'fill_value': .* object"):
        Recipe.of([("fill", ImputeSimple(fill_value=object()))])


def test_a_wrong_parameter_is_found_before_any_fit():
    with pytest.raises(RecipeError, match=r"stage 1, impute\.simple: numeric: found 'medain'"):
        Recipe.of([("fill", ImputeSimple(numeric="medain"))])


def test_sections_may_come_as_mappings_or_as_values():
    one = Recipe.of([], data={"path": "a.csv"}, loader={"batch_size": 8})
    assert one == Recipe.of([], data=Data(path="a.csv"), loader=Loader(batch_size=8))
    with pytest.raises(
        RecipeError, match=r"recipe: loader: unknown word 'batchsize' \(did you mean 'batch_size'"
    ):
        Recipe.of([], loader={"batchsize": 8})


def test_a_recipe_cannot_be_changed():
    recipe = Recipe.from_text(WHOLE)
    with pytest.raises(ValueError, match="frozen"):
        recipe.output = None


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            "dta: {}\nstages: []",
            "f.yaml:1: unknown section 'dta' (did you mean 'data'?). Known: data, stages, ",
        ),
        (
            "stages: []\ndata:\n  targt: x",
            "f.yaml:3: data: unknown word 'targt' (did you mean 'target'?). Known: path",
        ),
        (
            "stages:\n- impute.simpel",
            "f.yaml:2: stage 1: there is no stage 'impute.simpel' (did you mean 'impute.simple'",
        ),
        (
            "stages:\n- impute.simpel: {}",
            "f.yaml:2: stage 1, impute.simpel: there is no stage 'impute.simpel' (did",
        ),
        (
            "stages:\n- impute.simple:\n    on: age\n    numeric: medain",
            "f.yaml:4: stage 1, impute.simple: numeric: found 'medain', expected 'median', 'mean', "
            "'most_frequent' or 'constant' (did you mean 'median'",
        ),
        (
            "stages:\n- impute.simple: {indikator: true}",
            "f.yaml:2: stage 1, impute.simple: unknown parameter 'indikator' (did you mean 'indicator'?).",
        ),
        ("stages:\n- impute.simple: {indicator: 1}", "indicator: found 1, expected true or false."),
        (
            "stages:\n- outliers.clip: {width: 0}",
            "f.yaml:2: stage 1, outliers.clip: width: found 0, expected more than 0.",
        ),
        ("stages:\n- outliers.clip: {share: 0.7}", "share: found 0.7, expected 0.5 or less."),
        (
            "stages:\n- outliers.clip: {on: 3}",
            'on: found 3, expected a text or a list; write it in quotes: "3".',
        ),
        ("stages:\n- outliers.clip: {on: [a, 3]}", "on[1]: found 3, expected a text"),
        (
            "stages:\n- outliers.clip: 3",
            "stage 1, outliers.clip: found 3, expected its parameters, such as",
        ),
        ("stages:\n- 3", "f.yaml:2: stage 1: found 3, expected the key of one stage"),
        ("stages:\n- {a: 1, b: 2}", "stage 1: found a mapping of 2, expected the key of one stage"),
        ("stages: 3", "f.yaml:1: stages: found 3, expected a list."),
        ("stages:", "f.yaml:1: stages: found nothing, expected a list."),
        ("data: {path: a}", "f.yaml:1: stages: is missing."),
        ("stages: []\ndata: {path: ''}", "data.path: found '', expected a text of at least 1 characters."),
        (
            "stages: []\ndata: {null_values: [-999]}",
            'data.null_values[0]: found -999, expected a text; write it in quotes: "-999".',
        ),
        ("stages: []\ndata: {kinds: {review: txt}}", "data.kinds.review: found 'txt', expected 'numeric'"),
        ("stages: []\ndata: {split: {test: 2}}", "f.yaml:2: data.split.test: found 2, expected less than 1."),
        ("stages: []\ndata: {split: {by: grup}}", "(did you mean 'group'?)."),
        (
            "stages: []\ndata: {split: {by: group}}",
            "data: 'split: {by: group}' needs 'group: my_column' beside it.",
        ),
        ("stages: []\ndata: {split: {by: column}}", "data.split: 'by: column' and 'column' go together"),
        ("stages: []\ndata: {split: {by: random, column: part}}", "'by: column' and 'column' go together"),
        (
            "stages: []\ndata: {split: {column: part, test: 0.3}}",
            "'test' is a share, but 'column' tells the test rows",
        ),
        ("stages: []\nloader: {batch_size: true}", "loader.batch_size: found true, expected a whole number."),
        ("stages: []\nloader: {batch_size: 0}", "loader.batch_size: found 0, expected 1 or more."),
        ("stages: []\nloader: {augment: [x]}", "f.yaml:2: loader: unknown word 'augment'"),
        (
            "stages: []\nbench: {probes: [linar]}",
            "bench.probes[0]: found 'linar', expected 'linear', 'boosting', 'mlp', 'cnn' or 'transfer'",
        ),
        ("stages: []\nbench: {probes: []}", "bench.probes: found [], expected at least 1 of them."),
        ("stages: []\noutput: out", "f.yaml:2: output: found 'out', expected a mapping."),
        ("[a]", "f.yaml: found ['a'], expected the sections data, stages"),
        ("just words", "f.yaml: found 'just words', expected the sections"),
    ],
)
def test_errors_name_line_field_found_expected_and_the_nearest_word(content, told):
    with pytest.raises(RecipeError) as caught:
        Recipe.from_text(content, "f.yaml")
    assert told in str(caught.value)


def test_every_problem_is_told_in_the_order_of_the_lines():
    content = "output: {dri: a}\nstages:\n- impute.simple: {numeric: 1}\n- scale.rubust\ndata: {path: 3}"
    with pytest.raises(RecipeError) as caught:
        Recipe.from_text(content, "f.yaml")
    assert [line.split(":")[1] for line in str(caught.value).splitlines()] == ["1", "3", "4", "5"]


def test_a_split_by_column_needs_only_its_column():
    split = Recipe.from_text("stages: []\ndata: {split: {column: part}}").data.split
    assert (split.by, split.column) == ("column", "part")


def test_reading_names_the_file_and_line(tmp_path):
    path = tmp_path / "adult.yaml"
    path.write_text("\ufeffstages:\n- impute.simple: {numeric: x}\n", encoding="utf-8")
    with pytest.raises(RecipeError, match=r"adult\.yaml:2: stage 1"):
        Recipe.read(path)
    path.write_text(WHOLE, encoding="utf-8")
    assert Recipe.read(str(path)) == Recipe.from_text(WHOLE)


def test_a_file_that_is_not_there_offers_the_nearest(tmp_path):
    (tmp_path / "adult.yaml").write_text("stages: []")
    with pytest.raises(RecipeError, match=r"no such file \(did you mean 'adult\.yaml'\?\)"):
        Recipe.read(tmp_path / "adutl.yaml")
    with pytest.raises(RecipeError, match="is a folder"):
        Recipe.read(tmp_path)
    (tmp_path / "bytes.yaml").write_bytes(b"stages: []\n# \xff")
    with pytest.raises(RecipeError, match=r"bytes\.yaml:2: is not UTF-8"):
        Recipe.read(tmp_path / "bytes.yaml")


def test_no_module_is_imported_for_a_key_that_is_not_listed():
    with pytest.raises(RecipeError, match=r"there is no stage 'os\.path'"):
        Recipe.from_text("stages: [os.path]")
    before = set(sys.modules)
    with pytest.raises(RecipeError, match="there is no stage"):
        Recipe.from_text("stages: ['..antigravity', antigravity]")
    assert "antigravity" not in set(sys.modules) - before


# The sections say what the rooms they speak for take; a parameter added there is missed here at once.


def test_the_loader_section_has_the_loaders_parameters_and_defaults():
    from tilth.loaders import ImageLoader, StreamLoader, TableLoader

    # Of what several have, the section tells the table's defaults; it says itself where they differ.
    parameters = {}
    for kind in (ImageLoader, StreamLoader, TableLoader):
        parameters |= inspect.signature(kind).parameters
    only_python = {"features", "target", "weight", "groups", "augment", "rank", "world_size", "classes"}
    only_python |= {"paths", "ids", "progress", "source", "columns", "change", "row_index"}
    assert set(Loader.model_fields) - {"stream"} == set(parameters) - only_python
    for name, field in Loader.model_fields.items():
        if name == "stream":
            continue
        default = parameters[name].default
        assert field.default == (list(default) if isinstance(default, tuple) else default)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ("codes: [city], size: 32", "'codes' is said of tables and 'size' of images"),
        ("place: host, workers: 2", "'place' is said of tables and 'workers' of images"),
        ("multiprocessing_context: spawn", "goes with 'workers: 2'"),
        ("shuffle: false, sampler: blocks", "'shuffle: false' contradicts 'sampler: blocks'"),
        ("shuffle: true, sampler: sequential", "'shuffle: true' contradicts 'sampler: sequential'"),
        ("block_rows: 100", "'block_rows' goes with 'sampler: blocks'"),
        ("buffer_rows: 100", "'buffer_rows' goes with 'stream: true'"),
        ("stream: false, slice_rows: 100", "'slice_rows' goes with 'stream: true'"),
        ("stream: true, place: pinned", "'place' says where a whole table rests"),
        ("stream: true, sampler: grouped", "'sampler: grouped' needs all rows at hand"),
        ("place: pinned, sampler: balanced", "'place: pinned' sends a table block by block"),
        ("sampler: balanced_group", "did you mean 'balanced_groups'"),
        ("place: pined", "did you mean 'pinned'"),
        ("dtype: half", r"loader\.dtype"),
        ("codes: city", r"loader\.codes"),
        ("stream: true}\noutput: {format: csv", "'output: {format: parquet}'"),
    ],
)
def test_options_of_a_loader_that_contradict_each_other_are_refused(told, words):
    with pytest.raises(RecipeError, match=words):
        Recipe.from_text(f"stages: []\nloader: {{{told}}}")


@pytest.mark.parametrize(
    "told",
    [
        "codes: [city, size], dtype: bfloat16, place: pinned, sampler: blocks, block_rows: 100",
        "codes: {city: [Rome, Oslo], floor: [1, 2], lift: [false, true]}, sampler: balanced_groups",
        "shuffle: false, place: pinned, dtype: float16",
        "shuffle: false, sampler: sequential, stream: true, buffer_rows: 1000, slice_rows: 10, codes: [city]",
        "workers: 2, multiprocessing_context: spawn, dtype: float16, sampler: grouped, size: [8, 4]",
    ],
)
def test_options_of_a_loader_survive_text_and_python(told):
    recipe = Recipe.from_text(f"data: {{path: a.csv}}\nstages: []\nloader: {{{told}}}")
    assert Recipe.from_text(recipe.to_yaml()) == recipe
    names = {"__name__": "script", "__file__": "script.py"}
    exec(recipe.to_python(), names)
    assert names["recipe"] == recipe and names["recipe"].loader == recipe.loader


def test_the_bench_section_has_the_parameters_and_defaults_of_compare():
    from tilth.bench import compare
    from tilth.probes import PROBES

    parameters = inspect.signature(compare).parameters
    only_python = {"before", "after", "X", "y", "sample_weight", "groups", "allow_fitted", "progress"}
    only_python |= {"resume", "test"}
    apart = ("ablate", "permutations", "learning_curve", "sizes", "fixed_test")
    told = {n: f.default for n, f in Bench.model_fields.items() if n not in apart}
    assert told == {n: p.default for n, p in parameters.items() if n not in only_python}
    every = ", ".join(PROBES)
    assert Recipe.from_text(f"stages: []\nbench: {{probes: [{every}]}}").bench.probes == list(PROBES)
    with pytest.raises(RecipeError, match="cmn"):
        Recipe.from_text("stages: []\nbench: {probes: [cmn]}")


@pytest.mark.parametrize("method", ["leave_one_out", "add_one", "shapley", True, False])
def test_the_bench_section_names_the_way_to_judge_stages(method):
    said = method if isinstance(method, str) else str(method).lower()
    asked = Recipe.from_text(f"stages: []\nbench: {{ablate: {said}, permutations: 50}}")
    assert asked.bench.ablate == method and asked.bench.permutations == 50
    assert Recipe.from_text(asked.to_yaml()) == asked


@pytest.mark.parametrize("told", ["ablate: shapely", "ablate: 3", "permutations: 7", "permutations: 2"])
def test_another_way_to_judge_stages_is_refused(told):
    with pytest.raises(RecipeError, match=told.partition(":")[0]):
        Recipe.from_text(f"stages: []\nbench: {{{told}}}")


def test_the_bench_section_can_ask_for_a_learning_curve_of_given_sizes():
    asked = Recipe.from_text("stages: []\nbench: {learning_curve: true, sizes: [0.1, 50, 0.5, 1.0]}")
    assert asked.bench.learning_curve and asked.bench.sizes == [0.1, 50, 0.5, 1.0]
    assert not Bench().learning_curve and Bench().sizes is None
    with pytest.raises(RecipeError, match=r"bench\.sizes: found .*, expected at least 4 of them"):
        Recipe.from_text("stages: []\nbench: {sizes: [10, 20]}")


def test_the_data_section_has_the_parameters_of_read():
    from tilth.table import read

    # Labels that were checked are named where they are used: bench: {clean: column}.
    elsewhere = {"lazy", "progress", "clean"}
    assert set(Data.model_fields) == set(inspect.signature(read).parameters) - elsewhere


# Python


def test_the_script_builds_the_same_recipe(tmp_path):
    recipe = Recipe.from_text(WHOLE)
    names = {"__name__": "a_script", "__file__": str(tmp_path / "script.py")}
    exec(compile(recipe.to_python(), "script.py", "exec"), names)
    assert names["recipe"] == recipe
    assert Recipe.of(names["pipe"].stages_named(), **recipe.told()) == recipe


def test_the_script_of_stages_alone_needs_no_data():
    script = Recipe.from_text("stages: [scale.robust: {on: 'a \"b\"'}]").to_python()
    names = {"__name__": "__main__"}
    exec(script, names)
    assert names["pipe"].steps[0].on == 'a "b"'
    assert "prepare" not in script


def test_the_script_prepares_and_loads(tmp_path, capsys):
    rows = "\n".join(f"{i},{i * i % 7},{'ab'[i % 2]}" for i in range(40))
    (tmp_path / "rows.csv").write_text(f"x,z,y\n{rows}\n")
    recipe = Recipe.from_text(
        "data: {path: rows.csv, target: y, split: {test: 0.25}}\n"
        "stages: [scale.standard]\nloader: {batch_size: 8}"
    )
    names = {"__name__": "__main__", "__file__": str(tmp_path / "script.py")}
    exec(recipe.to_python(), names)
    assert "'balanced': True" in capsys.readouterr().out
    assert sum(len(batch[0]) for batch in names["loader"]) == names["done"].before.height == 30


# The schema


def test_the_schema_holds_every_section_stage_and_parameter():
    schema = Recipe.json_schema()
    assert list(schema["properties"]) == list(Recipe.model_fields)
    *bare, one = schema["properties"]["stages"]["items"]["anyOf"]
    assert set(one["properties"]) == set(keys())
    assert {item["const"] for item in bare} <= set(keys())
    clip = one["properties"]["outliers.clip"]["anyOf"][0]
    assert set(clip["properties"]) == set(inspect.signature(OutliersClip).parameters)
    assert clip["additionalProperties"] is False
    assert clip["properties"]["method"]["enum"] == ["iqr", "adjusted", "mad", "sigma", "quantile", "range"]
    assert clip["properties"]["share"]["maximum"] == 0.5
    assert "share beyond each bound" in clip["properties"]["share"]["description"].lower()
    json.dumps(schema, allow_nan=False)


def test_every_reference_of_the_schema_leads_somewhere():
    schema = Recipe.json_schema()

    def follow(part):
        if isinstance(part, dict):
            if "$ref" in part:
                steps = PurePosixPath(part["$ref"]).parts[1:]
                target = schema
                for step in steps:
                    target = target[step]
            for inner in part.values():
                follow(inner)
        elif isinstance(part, list):
            for inner in part:
                follow(inner)

    follow(schema)
