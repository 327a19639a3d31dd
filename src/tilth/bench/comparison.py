"""Before against after, on the same rows, the same folds and the same seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from tilth.bench import closer
from tilth.bench.calibrating import calibration_of, probabilities_of
from tilth.bench.clean import CLEANED, said_by_both
from tilth.bench.design import RANDOM_DROP, UNCORRECTED, Arm, Design
from tilth.bench.fixed import check_options
from tilth.bench.leaks import noted
from tilth.bench.mcnemar import mcnemar_of
from tilth.bench.metrics import METRICS
from tilth.bench.recalls import fallen, recalls_of
from tilth.bench.result import Comparison, Verdict
from tilth.bench.resume import Kept, key_of
from tilth.bench.trial import facts_of, frames_of, notes_of, plan, run_folds, sliced_in, tuned_in
from tilth.bench.tuning import remarks
from tilth.bench.verdicts import Facts, Question, judge, pivot
from tilth.core import Finding


def compare(
    before: Any,
    after: Any,
    X: Any,
    y: Any = None,
    *,
    sample_weight: Any = None,
    groups: Any = None,
    probes: Sequence[Any] | None = None,
    folds: int = 5,
    repeats: int = 5,
    metric: str = "auto",
    random_state: int = 0,
    n_jobs: int | None = None,
    allow_fitted: bool = False,
    time: Any = None,
    test: Any = None,
    slices: Sequence[str] | None = None,
    clean: Any = None,
    explain: closer.Asked = False,
    robustness: bool = False,
    tune: bool | Mapping[str, Any] = False,
    resume: str | Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> Comparison:
    """Tell whether *after* is better than *before*, with intervals that hold what they promise.

    Everything that learns is cloned and fitted inside the training part of each fold. Test rows pass through
    column stages only; their labels, weights and number are frozen. Groups and copies of a row are never torn
    apart. Rows without a label are in every training part, for stages to label, and are never tested. Where
    *after* drops rows, *before* is also run on as many rows dropped at random; where the primary metric
    depends on a threshold, *before* is also run with its threshold tuned on inner folds. Where stages change
    how frequent classes are, probabilities are turned back to the frequencies before, and scored both ways;
    which class is decided for is left to the probe, or to balance.threshold.

    Parameters
    ----------
    before, after : None, Stage, list of Stage or (name, Stage), or Pipeline
        None and an empty list leave the data as it is: the probes themselves take gaps and categories. If a
        pipeline ends in a model, that model judges too, as the probe ``model``, for both.
    X : frame, array or Table
    y, sample_weight, groups : array-like of shape (n_rows,), optional
        Not needed where `X` is a Table that names them.
    probes : sequence of str, (name, estimator) or (name, torch module), optional
        ``"linear"``, ``"boosting"``, ``"mlp"`` (by default all three), or an estimator that takes a Polars
        frame; ``"cnn"`` and ``"transfer"`` for images, and by default where rows are nothing but images. A
        ``torch.nn.Module``, or a callable that makes one, is trained as `tilth.probes.Network` trains it.
    folds : int
        At least 2.
    repeats : int
        1 gives an indication at most.
    metric : str
        The primary metric. ``"auto"``: ``roc_auc`` for two classes, ``log_loss`` and ``balanced_accuracy``
        for more, ``rmse`` for a regression.
    random_state : int
        Seeds the folds and, fold by fold, the probes; both arms get the same.
    n_jobs : int, optional
        Processes; by default one per core. The result does not depend on it.
    allow_fitted : bool
        Rows that came out of a fit on all of them, and estimators that stay fitted when they are cloned,
        are refused: test rows would have been learned from. True lets them pass, and the result says so.
        What another process prepared, or another library, cannot be known.
    time : str or array-like of shape (n_rows,), optional
        A column, or dates or numbers, by which rows came. Then no fold is drawn at random: rows are cut into
        ``folds + 1`` parts by time, each but the first is tested by what was learned from earlier rows, and
        repeats move the cuts. Groups and copies of test rows are not learned from.
    test : str or array-like of shape (n_rows,), optional
        One fixed test set: a column that says ``test`` in the rows kept for testing, such as a Table's split,
        or as many true and false. Then no fold is drawn, and `folds` counts for nothing: everything is
        learned from the other rows, less groups and copies of test rows, as often as `repeats` says, each
        time with another training seed; fewer than 5 give an indication at most. Intervals and p values come
        from 10,000 draws of the test rows, within each class, crossed with draws of the seeds. Not with
        `time`, `explain` or `robustness`.
    slices : sequence of str, optional
        Features whose categories, or quarters of values, are scored by themselves. A gain for which one of
        them clearly loses 0.02 is a trade. By default all features, up to 40 slices that are large enough.
    clean : str or array-like of shape (n_rows,), optional
        Labels that were checked, for some rows or all; null where nobody did. Test rows that have one are
        scored by it too, beside the label as given: what a stage that relabels gains by both is in
        `controls`. A column of this name is no feature. By default the column that has this role in a Table.
    explain : bool, sequence of str, or mapping of name to selection
        Also tell which columns matter, before and after, and in which slices after is worse: the result's
        `explanation`. Each column of the test rows is shuffled 10 times, as it was given, prepared and
        answered anew. True looks at every feature (at most 100); a sequence at the features selected, by
        name, kind or glob; a mapping at groups of columns, each shuffled as one:
        ``{"address": ["street", "city"], "numbers": "numeric"}``.
    robustness : bool
        Also tell how both fare on test rows made worse (missing cells, noise, shifted and rescaled columns,
        mixed-up units, unseen categories; of images blur, noise, JPEG and brightness), and on rows moved to
        where a model errs most (FGSM, PGD): the result's `robustness`.
    tune : bool, or mapping of probe to grid
        Choose hyper-parameters of the probes inside: in each fold, for each arm, 3 inner folds of the
        training part hold settings against one another by the first primary metric, the whole recipe fitted
        inside each; the probe is then fitted with the best on all of the training part. True tries each
        probe's own few settings (`tilth.probes.Probe.grid`) and leaves estimators of other kinds as they are;
        a mapping names what to try, and nothing else is tried then, as scikit-learn's ``ParameterGrid`` reads
        it: ``{"linear": {"C": [0.1, 1.0]}, "boosting": True}``. What was chosen is in the result's `tuned`.
        Each setting takes three more fits per arm and fold.
    resume : path, optional
        A folder in which each fold is kept as soon as it is done: a run that was killed goes on there, and
        gives what it would have given. A folder of another bench is refused.
    progress : callable, optional
        Told in words which fold is done.

    Returns
    -------
    Comparison

    Raises
    ------
    DataError
        Too few labeled rows or groups for the folds; columns that no probe takes.
    LeakageError
        Rows were learned from before they are held out.
    StageError
        A column stage changed the test rows.
    UnknownName
        A probe or metric does not exist, or a parameter to tune.

    Source
    ------
    Nadeau and Bengio (2003) for the interval, Benavoli et al. (2017) for the region of practical equivalence.

    Examples
    --------
    >>> import numpy as np
    >>> from tilth.stages.scale.standard import ScaleStandard
    >>> X = np.random.default_rng(0).normal(size=(200, 3))
    >>> y = (X[:, 0] + X[:, 1] > 0).astype(int)
    >>> done = compare(None, [ScaleStandard()], X, y, probes=["linear"], repeats=2, n_jobs=1)
    >>> done.verdicts[0].word
    'no difference'
    """
    check_options(test, time, explain=explain, robustness=robustness)
    arms = (Arm.of("before", before), Arm.of("after", after))
    design, leaks = plan(
        X,
        y,
        sample_weight,
        groups,
        arms=arms,
        probes=probes,
        folds=folds,
        repeats=repeats,
        metric=metric,
        random_state=random_state,
        allow_fitted=allow_fitted,
        time=time,
        test=test,
        slices=slices,
        clean=clean,
        tune=tune,
        progress=progress,
    )
    names = [name for name, _ in design.probes]
    probing = closer.looks(design.table, explain, robustness)
    testable = design.task == "regression" or len(design.labels) > 1
    kept = None
    if resume is not None:
        kept = Kept.at(resume, key_of(design, arms, bench="compare", explain=explain, robustness=robustness))
    told: dict[str, Any] = {"random_drop": True, "probing": probing, "kept": kept}
    told["calibrated"] = [arm.name for arm in arms]
    results = run_folds(design, arms, n_jobs=n_jobs, progress=progress, **told) if testable else []
    scores, costs = frames_of(results)
    controls = notes_of(results)
    facts = facts_of(design, costs, results)
    if any(r.dropped > 0 for r in results):
        dropped = sum(max(r.dropped, 0) for r in results) / len(results)
        controls = _random_drop(scores, design, names, dropped, facts) + controls
    else:
        scores = scores.filter(pl.col("arm") != RANDOM_DROP)
    by_clean = pl.DataFrame([line for r in results for line in r.clean], schema=CLEANED)
    gained = said_by_both(by_clean, design, names, estimator=facts.estimator)
    controls = gained + _correction(scores, names) + controls
    tuned = tuned_in(results)
    controls = remarks(design, tuned) + controls
    parts = sliced_in(results)
    cells = [line for r in results for line in r.cells]
    question = [Question("before", "after")]
    verdicts: list[Verdict] = noted(judge(scores, question, names, facts, parts), leaks)
    controls = mcnemar_of(results, design, question, verdicts) + controls
    recalls = recalls_of(scores, [("", "before", "after")], names, facts, design.labels)
    rows = design.table.height
    return Comparison(
        design.task,
        design.primary,
        design.folds,
        repeats,
        rows,
        scores,
        verdicts,
        costs,
        leaks,
        fallen(recalls) + controls,
        slices=parts,
        clean=by_clean,
        tuned=tuned,
        calibration=calibration_of(cells),
        probabilities=probabilities_of(cells),
        recalls=recalls,
        explanation=None if explain is False else closer.explanation(results, design, facts, parts),
        robustness=closer.withstood(results, facts) if robustness else None,
        tested=None if design.test is None else facts.rows,
    )


def _random_drop(
    scores: pl.DataFrame, design: Design, probes: Sequence[str], dropped: float, facts: Facts
) -> list[Finding]:
    """Say for each probe how *after* does against dropping as many rows at random."""
    held = pivot(scores)
    findings = []
    for name in probes:
        for metric in (METRICS[m] for m in design.primary):
            gains = metric.gain(held[name, metric.name, RANDOM_DROP], held[name, metric.name, "after"])
            if not (gains == gains).all():
                continue
            estimate = facts.estimator.gain(held, name, metric, RANDOM_DROP, "after")
            if estimate is None:
                continue
            per = "fold" if design.test is None else "training seed"
            message = (
                f"{name}, {metric.name}: against dropping as many rows at random ({dropped:,.0f} per {per}) "
                f"gain {estimate.mean:+.4f}, 95 % interval {estimate.low:+.4f} to {estimate.high:+.4f}."
            )
            findings.append(Finding("bench.random_drop", message, estimate.mean, "info", stage="bench"))
    return findings


def _correction(scores: pl.DataFrame, probes: Sequence[str]) -> list[Finding]:
    """Say for each probe what turning probabilities back to the first class frequencies did."""
    raw = UNCORRECTED.format(arm="after")
    findings = []
    for name in probes:
        told, gain = [], 0.0
        for metric in ("log_loss", "ece"):
            lines = scores.filter(probe=name, metric=metric).pivot(
                "arm", index=["repeat", "fold"], values="value"
            )
            # In single folds stages may have left the classes as frequent as they were.
            both = lines.select(a for a in ("after", raw) if a in lines.columns).drop_nulls().drop_nans()
            if raw not in both.columns or both.is_empty():
                continue
            with_it, without = (float(both[arm].to_numpy().mean()) for arm in ("after", raw))
            gain = without - with_it if metric == "log_loss" else gain
            told.append(f"{metric} {with_it:.4f}, without correction {without:.4f}")
        if told:
            message = (
                f"{name}: stages changed how frequent classes are; probabilities were turned back to the "
                f"frequencies before: {'; '.join(told)}."
            )
            findings.append(Finding("bench.prior", message, gain, "info", stage="bench"))
    return findings
