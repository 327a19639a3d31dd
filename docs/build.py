"""Write the reference pages: one per stage, from its docstring and signature.

python docs/build.py [FOLDER]     (by default docs/reference)
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

from tilth.core import parameters_of
from tilth.stages import find, keys

HEADINGS = (
    *("Learns", "New data", "Training", "Weights", "Cost", "Scaling", "Parameters"),
    *("Findings", "Raises", "Source", "Notes", "Examples"),
)
PICTURES = Path(__file__).parent / "pictures"
KINDS = {
    "ColumnStage": "columns",
    "DecisionStage": "what a model decides; rows stay",
    "RowStage": "rows (training only)",
    "BatchStage": "batches, or rows with `expand` (training only)",
}


def page(key: str) -> str:
    """Return one stage's page in Markdown."""
    cls = find(key)
    kind = next(base.__name__ for base in cls.__mro__ if base.__name__ in KINDS)
    lines = (inspect.getdoc(cls) or "").splitlines()
    parts = [
        f"# {key}",
        "",
        lines[0],
        "",
        f"Class `tilth.{cls.__name__}`; changes {KINDS[kind]}; scaling: {cls.scaling}.",
        "",
    ]
    if (PICTURES / f"{key}.svg").exists():
        parts += [f"![What {key} does](../pictures/{key}.svg)", ""]
    parts += ["| parameter | type | default | |", "|---|---|---|---|"]
    for p in parameters_of(cls):
        default = "required" if p["required"] else f"`{p['default']!r}`"
        cell = lambda text: str(text).replace("|", "\\|")
        parts.append(f"| `{p['name']}` | {cell(p['type'])} | {cell(default)} | {cell(p['about'])} |")
    heading = ""
    for line in lines[1:]:
        if line.rstrip() in HEADINGS:
            heading = line.strip()
            if heading != "Parameters":  # they stand in the table
                parts += ["", f"## {heading}", ""]
        elif heading == "Parameters" or (line and set(line) == {"-"}):
            continue
        elif heading == "Examples":
            parts.append(("    " + line).rstrip())
        else:
            parts.append(line.strip() if heading else line)
    text = "\n".join(parts)
    while "\n\n\n" in text:
        text = text.replace("\n\n\n", "\n\n")
    return text.rstrip() + "\n"


def index() -> str:
    """Return the list of all stages."""
    rows = [f"| [{key}]({key}.md) | {(inspect.getdoc(find(key)) or '').splitlines()[0]} |" for key in keys()]
    return "\n".join(["# Stages", "", "| stage | |", "|---|---|", *rows]) + "\n"


def build(folder: Path) -> list[Path]:
    """Write all pages; pages of stages that are gone are removed."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = {"index.md": index()} | {f"{key}.md": page(key) for key in keys()}
    for old in folder.glob("*.md"):
        if old.name not in pages:
            old.unlink()
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in pages]


if __name__ == "__main__":
    to = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "reference"
    print(f"{len(build(to))} pages in {to}")
