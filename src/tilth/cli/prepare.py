"""`tilth audit` and `tilth run`: look at data, and prepare it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from tilth.cli import show

Report = Annotated[Path | None, typer.Option("--report", help="Also write one HTML file.")]
Embedding = Literal["auto", "efficientnet_lite0", "histograms", "none"]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def audit(
    data: Annotated[
        Path, typer.Argument(help="A CSV or Parquet file, or a folder of images: photos/class/file.")
    ],
    target: Annotated[str | None, typer.Option("--target", help="The column to predict.")] = None,
    image: Annotated[
        str | None, typer.Option("--image", help="The column of paths of images, in a list of them.")
    ] = None,
    test: Annotated[
        Path | None, typer.Option("--test", help="A file of test rows: leaks and drift are looked for.")
    ] = None,
    weight: Annotated[str | None, typer.Option("--weight", help="The column of row weights.")] = None,
    group: Annotated[str | None, typer.Option("--group", help="The column of row groups.")] = None,
    split: Annotated[
        str | None, typer.Option("--split", help="The column that says 'test' in test rows.")
    ] = None,
    null_value: Annotated[
        list[str] | None, typer.Option("--null-value", help="A text that means missing; may be repeated.")
    ] = None,
    embedding: Annotated[
        Embedding,
        typer.Option("--embedding", help="What turns images into numbers; none: labels are not judged."),
    ] = "auto",
    max_rows: Annotated[int, typer.Option("--max-rows", min=1, help="Rows looked at, at most.")] = 50_000,
    recipe: Annotated[Path | None, typer.Option("--recipe", help="Also write the proposed recipe.")] = None,
    report: Report = None,
    json: Json = False,
) -> None:
    """Say what is wrong with this data, with evidence, and propose a recipe."""
    import tilth
    from tilth.errors import RecipeError
    from tilth.report import terminal

    if recipe is not None and recipe.exists():
        raise RecipeError(
            f"{recipe}: is there already, so it is not replaced. Choose another name, or remove it."
        )
    with show.progress() as tell:
        found = tilth.audit(
            data,
            target,
            test=test,
            weight=weight,
            group=group,
            split=split,
            image=image,
            null_values=null_value or (),
            embedding=None if embedding == "none" else embedding,
            max_rows=max_rows,
            progress=tell,
        )
    if recipe is not None:
        # In a recipe a path starts at the recipe's folder.
        path = data if data.is_absolute() else Path(os.path.relpath(data, recipe.parent))
        proposed = found.proposed | {"data": found.proposed.get("data", {}) | {"path": path.as_posix()}}
        recipe.write_text(replace(found, proposed=proposed).recipe_text(), encoding="utf-8")
    if report is not None:
        from tilth.report import write

        write(report, title=f"Audit of {data.name or data.resolve().name}", audit=found)
    if json:
        show.as_json(found.as_dict())
    else:
        show.say(*found.in_words_of_facts(), "")
        show.shown(terminal.findings_table(found.findings, found))
        show.say("")
        show.say("Proposed recipe:", "")
        show.raw(found.recipe_text())
    show.written(recipe, report)


def run(
    recipe: Annotated[Path, typer.Argument(help="A recipe file.")],
    out: Annotated[Path | None, typer.Option("--out", help="The folder to write to.")] = None,
    report: Report = None,
    json: Json = False,
) -> None:
    """Apply a recipe: prepared data, a fitted bundle, a ledger of every row touched."""
    from tilth.pipeline import run as carry_out
    from tilth.report import terminal

    with show.progress() as tell:
        done = carry_out(recipe, out=out, progress=tell)
    if report is not None:
        from tilth.report import write

        write(report, title=f"Run of {recipe.name}", run=done)
    if json:
        from tilth.report import as_json

        show.as_json(as_json(run=done))
    else:
        account = done.ledger.account()
        show.say(f"{account['rows_in']:,} rows in, {account['rows_out']:,} rows out.", "")
        order = [name for name, _ in done.pipeline.stages_]
        show.shown(terminal.stages_table(done.ledger, order))
    show.written(done.out, report)
