"""`tilth bench`: did it help?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tilth.cli import show
from tilth.cli.prepare import Json, Report

if TYPE_CHECKING:
    from tilth.bench import Trial


def bench(
    recipe: Annotated[Path, typer.Argument(help="A recipe file.")],
    report: Report = None,
    json: Json = False,
) -> None:
    """Say whether a recipe helped: helps, hurts or no evidence, with intervals.

    With `bench: {ablate: true}` in the recipe, also for each stage.
    """
    from tilth.bench import ablate, compare
    from tilth.pipeline import Pipeline, read_data, split
    from tilth.recipes import Recipe

    asked = Recipe.read(recipe)
    told = asked.bench.model_dump(exclude={"ablate"})
    with show.progress() as tell:
        tell("reading")
        # Rows kept for testing are not looked at before the recipe is settled.
        rows, _ = split(read_data(asked, recipe.parent), asked)
        compared = compare(None, Pipeline.from_recipe(asked), rows, progress=tell, **told)
        ablated = (
            ablate(Pipeline.from_recipe(asked), rows, progress=tell, **told) if asked.bench.ablate else None
        )
    if report is not None:
        from tilth.report import write

        write(report, title=f"Bench of {recipe.name}", comparison=compared, ablation=ablated)
    if json:
        from tilth.report import as_json

        show.as_json(as_json(comparison=compared, ablation=ablated))
    else:
        _print(compared, "The recipe against the data as it is.")
        if ablated is not None:
            show.say("")
            _print(ablated, "Each stage: all of them against all but this one.")
    show.written(report)


def _print(trial: Trial, title: str) -> None:
    from tilth.report import terminal

    sentences = trial.in_words()
    show.say(title, sentences[0], "")
    show.shown(terminal.verdict_table(trial))
    # The table says the verdicts; what is left are notes, broken guards, controls and leaks.
    told = {v.in_words() for v in trial.verdicts}
    rest = [s for s in sentences[1:] if s not in told]
    quiet = [v for v in trial.verdicts if v.note and not any(guard.broken for guard in v.guards.values())]
    notes = [f"{v.stage}: {v.probe}: {v.note}" if v.stage else f"{v.probe}: {v.note}" for v in quiet]
    show.say("", *dict.fromkeys([*notes, *rest]))
