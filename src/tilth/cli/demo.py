"""`tilth demo`: the main job on real data that ships with the package."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tilth.cli.show import step

if TYPE_CHECKING:
    from rich.console import Console
    from torch import nn

    from tilth.audit import Audit
    from tilth.pipeline import RunResult

FOLDS, REPEATS, BATCH, STEPS = 5, 2, 256, 60


def demo(
    folder: Annotated[
        Path | None, typer.Option("--out", help="Where the demo puts its files; by default tilth-demo.")
    ] = None,
    jobs: Annotated[int, typer.Option(help="Folds judged at a time; 0: one per core.")] = 0,
    images: Annotated[bool, typer.Option("--images", help="A folder of images instead of a table.")] = False,
) -> None:
    """Audit, prepare, judge and load real data, and write a report: census rows, or images of clothes."""
    if images:
        from tilth.cli.demo_images import demo_images

        return demo_images(folder or Path("tilth-demo-images"), jobs or None)
    return _demo_rows(folder or Path("tilth-demo"), jobs)


def _demo_rows(folder: Path, jobs: int) -> None:
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    csv = copied_data(folder)
    start = time.perf_counter()
    console.print(f"The data: 6,000 people of the 1994 US census ({csv}); who earns more than $50,000?\n")

    import tilth
    from tilth import pipeline
    from tilth.report import terminal

    with step(console, "1. Audit: what is wrong with it?") as tell:
        audit = tilth.audit(csv, target="income", progress=tell)
    console.print(terminal.findings_table(audit.findings))

    recipe_path = folder / "recipe.yaml"
    recipe_path.write_text(proposed(audit.recipe_text()), encoding="utf-8")
    console.print(f"\n2. The recipe it proposes ({recipe_path}):\n")
    console.print(recipe_path.read_text(encoding="utf-8"), markup=False, style="dim")

    with step(console, "3. Run: prepared rows, a fitted bundle, a ledger") as tell:
        result = pipeline.run(recipe_path, progress=tell)
    console.print(terminal.stages_table(result.ledger, [name for name, _ in result.pipeline.named_steps()]))

    prove(console, "Tilth demo: Adult census", audit, result, FOLDS, REPEATS, jobs or None, start)


def prove(
    console: Console,
    title: str,
    audit: Audit,
    result: RunResult,
    folds: int,
    repeats: int,
    jobs: int | None,
    start: float,
) -> None:
    """Judge what a run did, feed its rows to a network, and write the report beside its recipe."""
    import tilth
    from tilth import pipeline, report
    from tilth.report import terminal

    folder = Path(str(result.out)).parent
    with step(console, f"4. Bench: did it help? {folds} folds x {repeats}, before and after") as tell:
        comparison = tilth.compare(
            None,
            result.pipeline,
            pipeline.read_data(result.recipe, folder),
            folds=folds,
            repeats=repeats,
            n_jobs=jobs,
            progress=tell,
        )
    console.print(terminal.verdict_table(comparison))

    with step(console, "5. Loader: a network trained on the prepared rows") as tell:
        first, last, device = train(result, tell)
    told = f"{STEPS} steps of {result.recipe.loader.batch_size} rows on {device}"
    console.print(f"   loss {first:.3f} -> {last:.3f} in {told}\n")

    with step(console, "6. Report"):
        page = report.write(
            folder / "report.html", title=title, audit=audit, run=result, comparison=comparison
        )
    console.print("\nIn plain words\n")
    console.print(terminal.cards(report.summary(audit=audit, run=result, comparison=comparison)))
    console.print(f"\nReport: {page.resolve()}  ({time.perf_counter() - start:.0f} s)")


def copied_data(folder: Path) -> Path:
    """Put the packaged data where the user can look at it."""
    from importlib.resources import files

    folder.mkdir(parents=True, exist_ok=True)
    target = folder / "adult.csv"
    target.write_bytes(files("tilth").joinpath("demo/adult.csv").read_bytes())
    return target


def proposed(recipe: str) -> str:
    """Return the audit's recipe for the demo's folder, with a test share and an output folder."""
    from tilth.recipes import Recipe

    told = Recipe.from_text(recipe)
    data = f"data:\n  path: adult.csv\n  target: {told.data.target}\n  split: {{test: 0.2}}\n"
    rest = recipe.split("\n", 3)[3]
    return (
        data
        + rest
        + f"loader: {{batch_size: {BATCH}, drop_last: true}}\noutput: {{dir: prepared, format: parquet}}\n"
    )


def train(result: RunResult, tell: Callable[[str], None]) -> tuple[float, float, str]:
    """Train a small network for a few steps; return the first and the last loss, and the device."""
    import torch

    loader = result.loader()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = _network(result).to(loader.device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    losses: list[float] = []
    while len(losses) < STEPS:
        for X, y, *weight in loader:
            loss = torch.nn.functional.cross_entropy(network(X), y, reduction="none")
            loss = (loss * weight[0]).mean() if weight else loss.mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            tell(f"step {len(losses)}, loss {losses[-1]:.3f}")
            if len(losses) == STEPS:
                break
    return losses[0], losses[-1], str(loader.device)


def _network(result: RunResult) -> nn.Module:
    """Return a network for what the loader gives: numbers, or images where there is an image column."""
    from tilth.training.networks import mlp
    from tilth.training.resnet import resnet

    classes = result.before.need("target", "the demo").n_unique()
    if result.after.roles.image is not None:
        return resnet(classes)
    return mlp(len(result.pipeline.get_feature_names_out()), classes)
