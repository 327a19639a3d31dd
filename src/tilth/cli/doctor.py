"""`tilth doctor`: what ails a training on this data, before and after a recipe?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tilth.cli import show
from tilth.cli.prepare import Json

if TYPE_CHECKING:
    from tilth.training import Examination

Quick = Annotated[bool, typer.Option("--quick", help="Train once; first weights are not compared.")]


def doctor(
    recipe: Annotated[Path, typer.Argument(help="A recipe file.")],
    quick: Quick = False,
    max_rows: Annotated[int, typer.Option("--max-rows", min=10, help="Rows used, at most.")] = 20_000,
    device: Annotated[str, typer.Option("--device", help="auto, cuda, mps or cpu.")] = "auto",
    json: Json = False,
) -> None:
    """Say what ails the training of a network, on the data as it is and as a recipe prepares it.

    The probe mlp is trained from five sets of first weights; its numbers, and what would mend each finding,
    are printed. A remedy is a recipe line, or a setting of the training.
    """
    from tilth.bench.doctor import checkup
    from tilth.pipeline import Pipeline, read_data, split
    from tilth.recipes import Recipe

    asked = Recipe.read(recipe)
    apart, moments = asked.data.split, asked.bench.time
    if moments is None and apart is not None and apart.by == "time":
        moments = apart.column
    with show.progress() as tell:
        tell("reading")
        # Rows kept for testing are not looked at before the recipe is settled.
        rows, _ = split(read_data(asked, recipe.parent), asked)
        found = checkup(
            Pipeline.from_recipe(asked),
            rows,
            time=moments,
            inits=1 if quick else 5,
            max_rows=max_rows,
            device=device,
            random_state=asked.bench.random_state,
            progress=tell,
        )
    if json:
        show.as_json(found.to_dict())
        return
    _print("Before: gaps filled, categories one-hot, numbers as they are.", found.before)
    _print("After the recipe.", found.after)
    show.say(*found.in_words())


def _print(title: str, examination: Examination) -> None:
    from tilth.report import terminal

    first, *_ = examination.in_words()
    show.say(title, first, "")
    if examination.findings:
        show.shown(terminal.findings_table(examination.findings))
    else:
        show.say("Nothing ails this training.")
    show.say(*(f"Not checked: {note}" for note in examination.notes), "")
