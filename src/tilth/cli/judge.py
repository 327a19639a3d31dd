"""`tilth bench`: did it help?"""

from __future__ import annotations

from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tilth.cli import show
from tilth.cli.prepare import Json, Report

if TYPE_CHECKING:
    from tilth.bench import Ablation, Comparison, LearningCurve, Trial
    from tilth.table import Table

Curve = Annotated[
    bool, typer.Option("--learning-curve", help="Also say whether more rows would help, and how much.")
]
Explain = Annotated[
    bool, typer.Option("--explain", help="Also say which columns matter, and which rows pay for a gain.")
]
Robust = Annotated[
    bool, typer.Option("--robustness", help="Also say how the recipe fares on rows made worse.")
]
Tune = Annotated[
    bool, typer.Option("--tune", help="Choose hyper-parameters of the probes inside each training part.")
]
SelfTest = Annotated[
    bool, typer.Option("--self-test", help="Judge the bench itself, by stages of known worth; no recipe.")
]
Resume = Annotated[
    Path | None,
    typer.Option("--resume", help="A folder that keeps folds that are done; a killed bench goes on there."),
]
Results = Annotated[
    Path | None,
    typer.Option("--results", help="Also write the verdicts as a table: a file .parquet, .csv or .json."),
]
Fixed = Annotated[
    bool,
    typer.Option("--fixed-test", help="Judge on the rows that the recipe keeps for testing, not in folds."),
]
Runs = Annotated[int, typer.Option("--runs", min=1, help="Of the self-test: how often it is tried.")]

ASKED = {
    "leave_one_out": "Each stage: all of them against all but this one.",
    "add_one": "Each stage: it alone against none.",
    "shapley": "Each stage: its Shapley value, a share in the gain of all of them.",
}


def bench(
    recipe: Annotated[Path | None, typer.Argument(help="A recipe file.")] = None,
    learning_curve: Curve = False,
    explain: Explain = False,
    robustness: Robust = False,
    fixed_test: Fixed = False,
    tune: Tune = False,
    self_test: SelfTest = False,
    runs: Runs = 20,
    resume: Resume = None,
    results: Results = None,
    report: Report = None,
    json: Json = False,
) -> None:
    """Say whether a recipe helped: helps, hurts or no evidence, with intervals.

    With `bench: {ablate: true}` in the recipe, also for each stage, or by `ablate: add_one` and
    `ablate: shapley` in other ways; with `--learning-curve`, or
    `bench: {learning_curve: true}`, also whether more rows would help. `--explain` and `--robustness`, or
    `bench: {explain: true, robustness: true}`, look closer: at columns, at parts of the rows, and at rows
    made worse on purpose. `--fixed-test`, or `bench: {fixed_test: true}`, judges on the rows that
    `data: {split: ...}` keeps for testing, in place of folds.

    `tilth bench --self-test` tries the bench on stages that are known to do nothing, to harm and to help, and
    on two leaks. It takes no recipe, and ends with code 1 where a control is missed.
    """
    if self_test == (recipe is not None):
        raise typer.BadParameter("Name a recipe, or ask for --self-test.")
    if recipe is None:
        _test(runs, json)
        return
    from tilth import bench as judging
    from tilth.pipeline import Pipeline, read_data, split
    from tilth.recipes import Recipe

    asked = Recipe.read(recipe)
    # The column of clean labels has its role in the rows.
    apart_from = {"ablate", "permutations", "learning_curve", "sizes", "slices", "explain", "robustness"}
    apart_from |= {"clean", "fixed_test"}
    told = asked.bench.model_dump(exclude=apart_from) | {"tune": asked.bench.tune or tune}
    apart = asked.data.split
    fixed = asked.bench.fixed_test or fixed_test
    curved = asked.bench.learning_curve or learning_curve
    if fixed and curved:
        raise typer.BadParameter("A learning curve goes by folds: leave it out, or the fixed test set.")
    if apart is not None and apart.by == "time" and asked.bench.time is None and not fixed:
        told["time"] = apart.column
    slices = asked.bench.slices
    kept = lambda part: None if resume is None else resume / part
    with show.progress() as tell:
        tell("reading")
        table = read_data(asked, recipe.parent)
        # Rows kept for testing are not looked at before the recipe is settled, unless they are to judge it.
        rows, tested = split(table, asked)
        if fixed:
            rows, told["test"] = table, _kept_for_testing(table, tested)
        pipe = Pipeline.from_recipe(asked)
        ablated: Ablation | None = None
        curve: LearningCurve | None = None
        compared = judging.compare(
            None,
            pipe,
            rows,
            slices=slices,
            explain=asked.bench.explain or explain,
            robustness=asked.bench.robustness or robustness,
            resume=kept("comparison"),
            progress=tell,
            **told,
        )
        if asked.bench.ablate:
            way = "leave_one_out" if asked.bench.ablate is True else asked.bench.ablate
            ways: dict[str, Any] = {"method": way, "permutations": asked.bench.permutations}
            ways |= {"slices": slices, "resume": kept("ablation")}
            ablated = judging.ablate(pipe, rows, progress=tell, **ways, **told)
        if curved:
            sizes = asked.bench.sizes
            curve = judging.learning_curve(
                pipe, rows, sizes=sizes, resume=kept("curve"), progress=tell, **told
            )
    if results is not None:
        _write(results, compared, ablated, curve)
    if report is not None:
        from tilth.report import write

        write(report, title=f"Bench of {recipe.name}", comparison=compared, ablation=ablated, curve=curve)
    if json:
        from tilth.report import as_json

        show.as_json(as_json(comparison=compared, ablation=ablated, curve=curve))
    else:
        _print(compared, "The recipe against the data as it is.")
        _print_closer(compared)
        if ablated is not None:
            show.say("")
            _print(ablated, ASKED[ablated.method])
        if curve is not None:
            show.say("")
            _print_curve(curve)
    show.written(report)
    show.written(results)


def _kept_for_testing(table: Table, tested: Table | None) -> Any:
    from numpy import isin

    from tilth.errors import RecipeError

    if tested is None:
        raise RecipeError(
            "A fixed test set was asked for, and the recipe keeps no rows for testing. Add data: {split: "
            "{test: 0.2}}, or name a column that says test in some rows: data: {split: {column: part}}."
        )
    return isin(table.ids, tested.ids)


def _write(results: Path, compared: Trial, ablated: Trial | None, curve: LearningCurve | None) -> None:
    """Write the verdicts on the recipe, without a stage, and those on stages; as JSON all there is."""
    import polars as pl

    from tilth.bench.files import write_table, write_text

    if results.suffix == ".json":
        from tilth.report import as_json

        told = as_json(comparison=compared, ablation=ablated, curve=curve)
        write_text(results, dumps(told, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
        return
    write_table(results, pl.concat([trial.table() for trial in (compared, ablated) if trial is not None]))


def _test(runs: int, json: bool) -> None:
    from tilth.bench.self_test import self_test

    with show.progress() as tell:
        done = self_test(runs, progress=tell)
    if json:
        show.as_json(done.as_dict())
    else:
        show.say(*done.in_words())
    if not done.ok:
        raise typer.Exit(1)


def _print(trial: Trial, title: str) -> None:
    from tilth.report import terminal

    sentences = trial.in_words()
    grave = [finding.message for finding in trial.grave]
    show.say(title, sentences[0], *grave, "")
    show.shown(terminal.verdict_table(trial))
    # The table says the verdicts; what is left are notes, broken guards, controls and leaks.
    told = {v.in_words() for v in trial.verdicts} | set(_closer(trial)) | set(grave)
    rest = [s for s in sentences[1:] if s not in told]
    quiet = [v for v in trial.verdicts if v.note and not any(guard.broken for guard in v.guards.values())]
    notes = [f"{v.stage}: {v.probe}: {v.note}" if v.stage else f"{v.probe}: {v.note}" for v in quiet]
    show.say("", *dict.fromkeys([*notes, *rest]))


def _closer(trial: Trial) -> list[str]:
    """Return the sentences of the closer looks, which go with tables of their own."""
    parts = [getattr(trial, name, None) for name in ("explanation", "robustness")]
    return [line for part in parts if part is not None for line in part.in_words()]


def _print_closer(compared: Comparison) -> None:
    from tilth.report import terminal

    if compared.explanation is not None:
        show.say("", "Which columns matter? What the score loses where one is shuffled; * is sure.", "")
        show.shown(terminal.importance_table(compared.explanation))
        show.say("", *compared.explanation.in_words())
    if compared.robustness is not None:
        show.say("", "What does it withstand? Test rows made worse, or moved to where models err.", "")
        show.shown(terminal.robustness_table(compared.robustness))
        show.say("", *compared.robustness.in_words())


def _print_curve(curve: LearningCurve) -> None:
    from tilth.report import terminal

    first, *rest = curve.in_words()
    show.say("Would more rows help? The recipe on growing parts of the rows.", first, "")
    show.shown(terminal.curve_table(curve))
    show.say("", *rest)
