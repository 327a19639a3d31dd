"""Make row stages of imbalanced-learn samplers and of the outlier detectors of scikit-learn and pyod."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import polars as pl

from tilth.core.plan import RowPlan
from tilth.core.stage import RowStage, Selection
from tilth.errors import StageError, listed
from tilth.stages import foreign
from tilth.stages.detecting import Action, Detector, decide, rarity
from tilth.stages.foreign import Form
from tilth.stages.found_parents import made_of, neighbors_of
from tilth.stages.reading import Reading
from tilth.statistics import Statistics
from tilth.table import ROW, Table, kind_of


class AdaptSampler(RowStage):
    """Drop, repeat and make rows as an imbalanced-learn sampler does.

    Learns
        Nothing.
    Training
        The labeled rows go through ``fit_resample``. Where the sampler tells which rows it took
        (``sample_indices_``), these are dropped and repeated with all their roles; otherwise rows
        that come out as they went in are found again by their content. All others are rows made
        anew, whose parents are found: the two rows of its class on whose line a made row lies, within
        the rounding of its numbers (two of any class, if none of its own do), or else the nearest row of
        its class. A made row has the mix of their weights, and their group if they agree. Rows without
        a label are left alone.
    Weights
        Kept with their rows; the sampler does not see them.
    Cost
        That of the sampler, one join by content, and for made rows a search for their nearest rows.
    Scaling
        Needs all rows in one place. Depends on the order of the rows as far as the sampler does.

    Changing how frequent classes are shifts a model's probabilities; `correct_prior` turns them back.

    Parameters
    ----------
    estimator : object
        Kept as it is; a clone does the work.
    on : selection, optional
        The columns it gets; by default all features. A sampler that makes rows must get all.
    form : {'pandas', 'numpy', 'polars'}
        What it gets them in.
    random_state : int
        Seed of every ``random_state`` of the sampler that is None.
    name : str, optional
        What messages and the ledger call it.
    correct_prior : bool
        Let the pipeline and the bench turn a model's probabilities back to the class frequencies there were
        before (Saerens et al. 2002, equation 2.4).

    Raises
        DataError : a column is no number or misses cells, and the sampler takes neither.
            A made row has parents of different groups.
        StageError : rows were made, and some features were withheld by `on`.

    Source
        imbalanced-learn's sampler interface; the tests compare with the sampler itself.

    Examples
    --------
    >>> import polars as pl
    >>> from imblearn.under_sampling import RandomUnderSampler
    >>> stage = AdaptSampler(RandomUnderSampler())
    >>> X, y = stage.fit_resample(pl.DataFrame({"a": [1, 2, 3]}), ["n", "n", "y"])
    >>> sorted(y.tolist())
    ['n', 'y']
    """

    needs_target: ClassVar = True
    shifts_prior: ClassVar = True
    scaling: ClassVar = "local"
    recipe: ClassVar = False
    key = property(lambda self: foreign.key_of(self.name, self.estimator))

    def __init__(
        self,
        estimator: Any,
        *,
        on: Selection = None,
        form: Form = "pandas",
        random_state: int = 0,
        name: str | None = None,
        correct_prior: bool = True,
    ) -> None:
        self.estimator = estimator
        self.on = on
        self.form = form
        self.random_state = random_state
        self.name = name
        self.correct_prior = correct_prior

    def plan(self, table: Table) -> RowPlan:
        """Let the sampler do its work, and say which rows it took and which it made."""
        target = table.roles.target or ""
        if not self.columns_:
            return RowPlan.keep_all(table.height)
        frame = table.frame.select([*self.columns_, target]).collect()
        labeled = np.flatnonzero(frame[target].is_not_null().to_numpy())
        source = frame[labeled]
        sampler = foreign.unfitted(self.estimator, self.random_state)
        given = source.select(self.columns_)
        foreign.needs_numbers(given, sampler, self.key)
        labels = foreign.labels_of(source[target])
        levels = None
        if labels.dtype == object and not foreign.names_classes(sampler):
            # Some samplers only take numbers; codes in the order of the names lead to the same rows.
            levels, labels = np.unique(labels.astype(str), return_inverse=True)
        X, y = foreign.called(self.key, sampler.fit_resample, foreign.given_as(given, self.form), labels)
        y = np.asarray(y) if levels is None else levels[np.asarray(y)].astype(object)
        made = foreign.frame_of(X, lambda _: self.columns_).with_columns(pl.Series(target, y))
        made = made.select(foreign.restored(made, frame.schema))
        known = getattr(sampler, "sample_indices_", None)
        places = foreign.found_again(source, made) if known is None else np.asarray(known, dtype=np.int64)
        if known is not None:
            # A sampler may shift the rows it took (smoothed bootstrap): such a row is a new one.
            rows = source[places]
            same = [rows[c].eq_missing(made[c]).alias(c) for c in made.columns]
            places = np.where(
                pl.DataFrame(same).select(pl.all_horizontal(pl.all())).to_series().to_numpy(), places, -1
            )
        fresh = places < 0
        withheld = [c for c in table.features if c not in self.columns_]
        if fresh.any() and withheld:
            raise StageError(
                f"{self.key}: made {int(fresh.sum())} rows, which would have no "
                f"{listed(map(repr, withheld))}. Give it all features (leave `on` out), "
                "or drop these columns before."
            )
        times = np.ones(table.height, np.int64)
        times[labeled] = np.bincount(places[~fresh], minlength=len(labeled))
        reason = np.where(times == 1, "", f"{type(sampler).__name__}").astype(object)
        if not fresh.any():
            return RowPlan(times, reason=reason)
        rows = made.filter(fresh)
        if known is None:
            parents, shares = made_of(rows, source, target, neighbors_of(sampler), self.key)
        else:
            parents, shares = np.asarray(known)[fresh].reshape(-1, 1), np.ones((rows.height, 1))
        return RowPlan(times, reason=reason, fresh=rows, parents=labeled[parents], shares=shares)


class AdaptDetector(RowStage):
    """Act on the rows that an outlier detector of scikit-learn or pyod takes for outliers.

    Learns
        Nothing.
    Training
        The detector is fitted on all rows and flags among them, by its own threshold. These are dropped,
        given a smaller weight, or only reported. The reasons name a row's rarest cells.
    Weights
        Ignored.
    Cost
        That of the detector.
    Scaling
        Needs all rows in one place.

    Parameters
    ----------
    estimator : object
        Kept as it is; a clone is fitted.
    action : {'drop', 'weight', 'report'}
        What is done with the rows flagged; 'weight' multiplies their weight by how near they come to the
        highest score that is not flagged, seen from the median score.
    on : selection, optional
        The columns it gets; by default all features.
    form : {'pandas', 'numpy', 'polars'}
        What it gets them in.
    random_state : int
        Seed of every ``random_state`` of the detector that is None.
    name : str, optional
        What messages and the ledger call it.

    Findings
        outliers.rows : rows were flagged; score: their share; rows: the most abnormal first.
        outliers.class : most rows of a class were flagged; of one that would be dropped whole, a row stays.

    Raises
        DataError : a column is no number or misses cells, and the detector takes neither.

    Source
        scikit-learn's and pyod's interfaces; the tests compare with the detector itself.

    Examples
    --------
    >>> import polars as pl
    >>> from sklearn.neighbors import LocalOutlierFactor
    >>> stage = AdaptDetector(LocalOutlierFactor(n_neighbors=2))
    >>> stage.fit_resample(pl.DataFrame({"a": [1.0, 1.1, 1.2, 1.3, 50.0]}))[0]["a"].to_list()
    [1.0, 1.1, 1.2, 1.3]
    """

    finds: ClassVar = Detector.finds
    scaling: ClassVar = "local"
    recipe: ClassVar = False
    key = property(lambda self: foreign.key_of(self.name, self.estimator))

    def __init__(
        self,
        estimator: Any,
        *,
        action: Action = "drop",
        on: Selection = None,
        form: Form = "pandas",
        random_state: int = 0,
        name: str | None = None,
    ) -> None:
        self.estimator = estimator
        self.action = action
        self.on = on
        self.form = form
        self.random_state = random_state
        self.name = name

    def plan(self, table: Table) -> RowPlan:
        """Fit the detector, and say which rows it flags."""
        if not self.columns_:
            return RowPlan.keep_all(table.height)
        rows = table.frame.select(self.columns_).collect()
        detector = foreign.unfitted(self.estimator, self.random_state)
        foreign.needs_numbers(rows, detector, self.key)
        X = foreign.given_as(rows, self.form)
        foreign.called(self.key, detector.fit, X)
        if hasattr(detector, "decision_scores_"):  # pyod: higher is more abnormal
            scores = np.asarray(detector.decision_scores_, dtype=float)
            flagged = np.asarray(detector.labels_) == 1
        elif hasattr(detector, "negative_outlier_factor_"):
            scores = -np.asarray(detector.negative_outlier_factor_, dtype=float)
            flagged = -scores < detector.offset_
        else:
            scores = -np.asarray(detector.score_samples(X), dtype=float)
            flagged = np.asarray(detector.predict(X)) == -1
        limit = scores.min(initial=np.inf) if flagged.all() else scores[~flagged].max()
        read = [c for c in self.columns_ if kind_of(rows.schema[c]) in Detector.handles]
        reading = Reading.learn(Statistics([table.frame], ROW), read, "none")
        return decide(
            self,
            table,
            rows.select(read),
            scores,
            flagged,
            float(limit),
            type(detector).__name__,
            lambda at: rarity(reading, reading.matrix(rows), at),
        )
