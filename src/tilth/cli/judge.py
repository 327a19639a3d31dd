"""`tilth bench`: did it help?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tilth.cli import show
from tilth.cli.prepare import Json, Report

if TYPE_CHECKING:
    from tilth.bench import LearningCurve, Trial

Curve = Annotated[
    bool, typer.Option("--learning-curve", help="Also say whether more rows would help, and how much.")
]


def bench(
    recipe: Annotated[Path, typer.Argument(help="A recipe file.")],
    learning_curve: Curve = False,
    report: Report = None,
    json: Json = False,
) -> None:
    """Say whether a recipe helped: helps, hurts or no evidence, with intervals.

    With `bench: {ablate: true}` in the recipe, also for each stage; with `--learning-curve`, or
    `bench: {learning_curve: true}`, also whether more rows would help.
    """
    from tilth import bench as judging
    from tilth.pipeline import Pipeline, read_data, split
    from tilth.recipes import Recipe

    asked = Recipe.read(recipe)
    told = asked.bench.model_dump(exclude={"ablate", "learning_curve", "sizes"})
    with show.progress() as tell:
        tell("reading")
        # Rows kept for testing are not looked at before the recipe is settled.
        rows, _ = split(read_data(asked, recipe.parent), asked)
        pipe = Pipeline.from_recipe(asked)
        ablated = curve = None
        compared = judging.compare(None, pipe, rows, progress=tell, **told)
        if asked.bench.ablate:
            ablated = judging.ablate(pipe, rows, progress=tell, **told)
        if learning_curve or asked.bench.learning_curve:
            sizes = asked.bench.sizes
            curve = judging.learning_curve(pipe, rows, sizes=sizes, progress=tell, **told)
    if report is not None:
        from tilth.report import write

        write(report, title=f"Bench of {recipe.name}", comparison=compared, ablation=ablated, curve=curve)
    if json:
        from tilth.report import as_json

        show.as_json(as_json(comparison=compared, ablation=ablated, curve=curve))
    else:
        _print(compared, "The recipe against the data as it is.")
        if ablated is not None:
            show.say("")
            _print(ablated, "Each stage: all of them against all but this one.")
        if curve is not None:
            show.say("")
            _print_curve(curve)
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


def _print_curve(curve: LearningCurve) -> None:
    from tilth.report import terminal

    first, *rest = curve.in_words()
    show.say("Would more rows help? The recipe on growing parts of the rows.", first, "")
    show.shown(terminal.curve_table(curve))
    show.say("", *rest)
