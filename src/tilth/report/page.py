"""The report as one HTML file that needs nothing else: no script, no font, no picture from elsewhere."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from tilth.audit import Audit
from tilth.bench import LearningCurve
from tilth.bench.ablation_result import Ablation
from tilth.bench.files import write_text
from tilth.bench.result import Trial
from tilth.report import learning, parts, proof, robust, thumbnails
from tilth.report.data import versions
from tilth.report.elements import Element, element, name_of, raw
from tilth.report.words import Card, count, findings_of, summary


def write(
    path: str | Path,
    *,
    title: str = "Data report",
    audit: Audit | None = None,
    run: Any = None,
    comparison: Trial | None = None,
    ablation: Ablation | None = None,
    curve: LearningCurve | None = None,
) -> Path:
    """Write the report; the file is there as a whole or not at all.

    Parameters
    ----------
    path : path
        The HTML file; its folder is made if need be.
    title : str
    audit : Audit, optional
        What `tilth.audit` found.
    run : RunResult, optional
        What a run did: anything with ``ledger``, ``before``, ``after``, ``findings``,
        ``recipe_yaml`` and ``out``.
    comparison : Trial, optional
    ablation : Ablation, optional
        What the bench found.
    curve : LearningCurve, optional
        What more rows would bring.

    Returns
    -------
    Path
        The file written.
    """
    text = page(title=title, audit=audit, run=run, comparison=comparison, ablation=ablation, curve=curve)
    return write_text(path, text)


def page(
    *,
    title: str = "Data report",
    audit: Audit | None = None,
    run: Any = None,
    comparison: Trial | None = None,
    ablation: Ablation | None = None,
    curve: LearningCurve | None = None,
) -> str:
    """Return the report as HTML text; see `write`."""
    sections: list[Element | None] = []
    if audit is not None or run is not None:
        sections.append(parts.findings(findings_of(audit, run)))
    if audit is not None:
        sections.append(thumbnails.behind(audit))
        sections.append(parts.facts(audit))
    if run is not None:
        sections.append(parts.stages(run, audit.reasons if audit is not None else {}))
        sections.append(thumbnails.done(run))
        sections.append(parts.distributions(run))
    if comparison is not None:
        sections.append(proof.comparison(comparison))
        sections += robust.closer(comparison)
    if ablation is not None:
        sections.append(proof.ablation(ablation))
    if curve is not None:
        sections.append(learning.learning_curve(curve))
    recipe = run.recipe_yaml if run is not None else audit.recipe_text() if audit is not None else ""
    if recipe:
        sections.append(_recipe(recipe, proposed=run is None))
    made = [s for s in sections if s is not None]
    style = files("tilth.report").joinpath("page.css").read_text(encoding="utf-8")
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", raw(style)),
    )
    told = summary(audit, run, comparison, ablation, curve)
    cards = element("div", [_card(c) for c in told], class_="cards" if len(told) % 2 else "cards paired")
    top = element("header", element("h1", element("bdi", title)), _subtitle(audit, run), _contents(made))
    main = element("main", top, cards, made, _footer())
    return "<!doctype html>\n" + element("html", head, element("body", main), lang="en") + "\n"


def _subtitle(audit: Audit | None, run: Any) -> Element | None:
    if audit is not None:
        facts = audit.facts
        told: list[Any] = [name_of(facts.source), " · "] if facts.source else []
        beside = sum(kind != "image" for kind in facts.kinds.values())
        told.append(f"{facts.rows:,} {'rows' if facts.images is None else 'images'}")
        told.append(f" · {count(beside, 'feature')}" if beside or facts.images is None else None)
        told += [" · target ", name_of(facts.target), f" ({facts.task})"] if facts.target else []
        return element("p", told, class_="facts")
    if run is not None:
        roles = run.before.roles
        beside = len(run.before.features) - (roles.image is not None)
        told = [f"{run.ledger.rows_in:,} training {'rows' if roles.image is None else 'images'}"]
        told.append(f" · {count(beside, 'feature')}" if beside or roles.image is None else None)
        target = roles.target
        told += [" · target ", name_of(target)] if target else []
        return element("p", told, class_="facts")
    return None


def _contents(sections: list[Element]) -> Element | None:
    links = []
    for section in sections:
        key = section.partition('<h2 id="')[2].partition('"')[0]
        text = section.partition('">')[2].partition('">')[2].partition("</h2>")[0]
        links.append(element("a", raw(text), href=f"#{key}"))
    return element("nav", links, aria_label="Contents") if len(links) > 1 else None


def _card(card: Card) -> Element:
    lines = (
        element("ul", [element("li", element("bdi", line)) for line in card.lines]) if card.lines else None
    )
    big = element("p", card.big, class_=f"big {card.tone}".strip())
    return element("div", element("p", card.what, class_="what"), big, lines, class_="card")


def _recipe(text: str, *, proposed: bool) -> Element:
    title = "The proposed recipe" if proposed else "The recipe"
    lead = element(
        "p",
        "A click selects it all. Save it as ",
        element("code", "recipe.yaml"),
        ", apply it with ",
        element("code", "tilth run recipe.yaml"),
        ", judge it with ",
        element("code", "tilth bench recipe.yaml"),
        ".",
        class_="lead",
    )
    return parts.section("recipe", title, lead, element("pre", element("code", text), tabindex="0"))


def _footer() -> Element:
    told = " · ".join(f"{name} {version}" for name, version in versions().items())
    return element("footer", told)
