"""The commands, and the options that stand before them."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from tilth.cli import across, doctor, explain, judge, prepare
from tilth.cli.demo import demo

app = typer.Typer(
    help="Prepare data for training, say what was done to every row, and prove whether it helped.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"tilth {version('tilth')}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error happened.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Take the options that stand before a command."""
    context.obj["debug"] = debug


app.command(short_help="Say what is wrong with data; propose a recipe.")(prepare.audit)
app.command(short_help="Apply a recipe to its data.")(prepare.run)
app.command(short_help="Say whether a recipe helped.")(judge.bench)
app.command(short_help="Say what the results of many data sets prove together.")(across.across)
app.command(short_help="Say what ails a training, before and after a recipe.")(doctor.doctor)
app.command(short_help="Do all of this on data that is included.")(demo)
app.command(short_help="List the stages, or explain one.")(explain.stages)
app.command(short_help="Check a recipe, or write it in Python.")(explain.recipe)
app.command(short_help="Print the JSON schema of recipes.")(explain.schema)
