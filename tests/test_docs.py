"""The documents say what is true: code in the README runs, reference pages are those of the code."""

from __future__ import annotations

import re
import runpy
import warnings
from pathlib import Path

import pytest

from tilth.stages import keys

ROOT = Path(__file__).parents[1]


def test_the_code_in_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.S)
    assert len(blocks) == 2
    scope: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), scope)
    assert (tmp_path / "bundle").is_dir()


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_the_code_in_a_guide_runs(page: Path) -> None:
    scope: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.S):
        exec(compile(block, page.name, "exec"), scope)


def test_each_stage_that_moves_rows_or_cells_has_a_picture_on_its_page() -> None:
    for key in keys():
        if key.startswith(("impute.", "outliers.", "reduce.", "scale.")):
            page = (ROOT / "docs" / "reference" / f"{key}.md").read_text(encoding="utf-8")
            assert f"](../pictures/{key}.svg)" in page, f"run `make pictures docs` for {key}"


def test_the_recipe_in_the_readme_is_valid() -> None:
    from tilth.recipes import Recipe

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    recipe = re.search(r"\n    data:.*?\n    output:.*?\n", text, re.S)
    assert recipe is not None
    assert len(Recipe.from_text(re.sub(r"^    ", "", recipe.group(), flags=re.M)).build()) == 6


def test_each_stage_has_a_page_and_each_page_is_that_of_the_code(tmp_path: Path) -> None:
    build = runpy.run_path(str(ROOT / "docs" / "build.py"))["build"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        build(tmp_path)
    made = {page.name: page.read_text(encoding="utf-8") for page in tmp_path.iterdir()}
    kept = {page.name: page.read_text(encoding="utf-8") for page in (ROOT / "docs" / "reference").iterdir()}
    assert set(made) == {"index.md", *(f"{key}.md" for key in keys())}
    assert kept == made, "run `make docs`"


def test_no_document_links_to_nothing() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
