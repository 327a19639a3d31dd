"""One name for each stage: key, file, class, test file and page derive from one another, with no register."""

import importlib.util
import inspect
import re
from pathlib import Path

import pytest

import tilth
from tilth import stages
from tilth.core import BatchStage, ColumnStage, RowStage, Stage, parameters_of
from tilth.errors import RecipeError, UnknownName
from tilth.stages import keys

ROOT = Path(__file__).parents[2]
OWN = [key for key in keys() if stages.find(key).__module__.startswith("tilth.")]
SECTIONS = {
    ColumnStage: ("Learns", "New data", "Training", "Weights", "Cost", "Scaling"),
    RowStage: ("Learns", "Training", "Weights", "Cost", "Scaling"),
    BatchStage: ("Learns", "Training", "Weights", "Cost"),
}
# Words that are no verb but begin many a first line that says what a thing is instead of what it does.
NO_VERBS = {"A", "An", "The", "This", "Class", "Stage", "Helper"}


def doc(key: str) -> str:
    return inspect.getdoc(stages.find(key)) or ""


def section(key: str, heading: str) -> str:
    """Return the lines indented under a heading, and nothing where there is none."""
    found = re.search(rf"^{heading}\n((?:(?:[ \t].*)?\n)+)", doc(key) + "\n", re.M)
    return found.group(1).strip() if found else ""


def test_every_stage_file_is_found_and_nothing_else() -> None:
    folder = Path(inspect.getfile(stages)).parent
    files = {p for p in folder.glob("*/*.py") if p.name != "__init__.py" and not p.name.startswith("_")}
    assert {f"{p.parent.name}.{p.stem}" for p in files} == set(OWN)
    assert len(OWN) >= 10


@pytest.mark.parametrize("key", OWN)
def test_key_file_and_class_are_one_name(key: str) -> None:
    cls = stages.find(key)
    assert cls.key == key == cls.__module__.removeprefix("tilth.stages.")
    assert cls.__name__.lower() == key.replace(".", "").replace("_", "")
    assert cls.__name__[0].isupper() and issubclass(cls, (ColumnStage, RowStage, BatchStage))
    assert getattr(tilth, cls.__name__) is cls is stages.class_named(cls.__name__)
    assert type(stages.stage(key, **cls.examples()[0])) is cls


@pytest.mark.parametrize("key", OWN)
def test_every_stage_has_its_test_file(key: str) -> None:
    family, name = key.split(".")
    path = ROOT / "tests" / "stages" / family / f"test_{name}.py"
    assert path.is_file()
    assert stages.find(key).__name__ in path.read_text(encoding="utf-8")


def test_every_stage_has_its_page(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("docs_build", ROOT / "docs" / "build.py")
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    pages = {path.name: path.read_text(encoding="utf-8") for path in build.build(tmp_path)}
    assert set(pages) == {f"{key}.md" for key in keys()} | {"index.md"}
    for key in OWN:
        assert pages[f"{key}.md"].startswith(f"# {key}\n")
        assert f"[{key}]({key}.md)" in pages["index.md"]


@pytest.mark.parametrize("key", OWN)
def test_the_docstring_has_its_sections_and_each_says_something(key: str) -> None:
    first = doc(key).splitlines()[0]
    assert first.endswith(".") and first.split()[0] not in NO_VERBS and first[0].isupper()
    kind = next(kind for kind in SECTIONS if issubclass(stages.find(key), kind))
    for heading in (*SECTIONS[kind], "Source"):
        assert section(key, heading), f"{key}: no section '{heading}'"
    assert re.search(r"^Examples\n-+\n(.*\n)*>>> ", doc(key), re.M), f"{key}: no example to run"


@pytest.mark.parametrize("key", OWN)
def test_the_docstring_describes_every_parameter_and_no_other(key: str) -> None:
    cls = stages.find(key)
    told = {p["name"]: p["about"] for p in parameters_of(cls)}
    assert all(told.values()), f"{key}: not described: {[n for n, about in told.items() if not about]}"
    block = re.search(r"^Parameters\n-+\n(.*?)(?:\n\n\S|\Z)", doc(key), re.M | re.S).group(1)
    heads = [line for line in block.splitlines() if line and not line[0].isspace()]
    named = {name.strip() for head in heads for name in head.partition(" :")[0].split(",")}
    assert named == set(inspect.signature(cls.__init__).parameters) - {"self"}


@pytest.mark.parametrize("key", OWN)
def test_the_docstring_lists_every_finding_and_no_other(key: str) -> None:
    told = set(re.findall(r"^\s*([a-z_]+\.[a-z_]+) :", section(key, "Findings"), re.M))
    assert told == set(stages.find(key).finds)


@pytest.mark.parametrize("key", OWN)
def test_the_signature_is_the_whole_configuration(key: str) -> None:
    cls = stages.find(key)
    parameters = [p for n, p in inspect.signature(cls.__init__).parameters.items() if n != "self"]
    assert all(p.kind is inspect.Parameter.KEYWORD_ONLY for p in parameters)
    assert all(p.annotation is not inspect.Parameter.empty for p in parameters)
    stage = cls(**cls.examples()[0])
    assert set(vars(stage)) == {p.name for p in parameters}


@pytest.mark.parametrize("key", OWN)
def test_the_examples_set_known_parameters_only(key: str) -> None:
    cls = stages.find(key)
    assert cls.examples() and all(set(e) <= {p["name"] for p in parameters_of(cls)} for e in cls.examples())


@pytest.mark.parametrize(
    "wrong, right",
    [("impute.simpel", "impute.simple"), ("scale.standart", "scale.standard"), ("clip", "outliers.clip")],
)
def test_an_unknown_key_offers_the_nearest(wrong: str, right: str) -> None:
    with pytest.raises(UnknownName, match=rf"no stage '{re.escape(wrong)}'.*{re.escape(right)}") as error:
        stages.find(wrong)
    assert isinstance(error.value, RecipeError) and isinstance(error.value, AttributeError)


def test_an_unknown_parameter_offers_the_nearest() -> None:
    with pytest.raises(
        UnknownName, match=r"no parameter of impute\.simple 'numerics' \(did you mean 'numeric'"
    ):
        stages.stage("impute.simple", numerics="mean")


def test_names_that_are_no_stage_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="no attribute 'ImputeNothing'"):
        _ = tilth.ImputeNothing
    assert stages.class_named("imputesimple") is None


def test_a_stage_of_another_package_is_found_by_its_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    class Foreign(ColumnStage):
        pass

    class Point:
        name = "theirs.thing"

        def load(self) -> type[Stage]:
            return Foreign

    for cached in (stages.keys, stages.find, stages._foreign):
        cached.cache_clear()
    monkeypatch.setattr(stages, "entry_points", lambda group: [Point()] if group == "tilth.stages" else [])
    try:
        assert "theirs.thing" in keys()
        assert stages.find("theirs.thing") is Foreign and Foreign.key == "theirs.thing"
    finally:
        monkeypatch.undo()
        for cached in (stages.keys, stages.find, stages._foreign):
            cached.cache_clear()
    assert "theirs.thing" not in keys()
