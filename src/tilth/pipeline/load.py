"""Loading what a pipeline saved, and feeding rows by it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tilth.bundles import read
from tilth.core import DecisionStage, Ledger, Stage
from tilth.core.lineage import Learned
from tilth.errors import BundleError, DataError
from tilth.pipeline.deciding import Decisions
from tilth.pipeline.pipeline import Pipeline
from tilth.pipeline.reading import read_rows, with_roles
from tilth.table import Roles, Table

if TYPE_CHECKING:
    from tilth.loaders import ImageLoader, StreamLoader, TableLoader


def load(folder: str | Path) -> Pipeline:
    """Load a fitted pipeline that ``Pipeline.save`` or ``tilth run`` wrote; nothing in the files is run.

    Raises
    ------
    BundleError
        If the folder is no bundle, is damaged, unsafe, or of another major version.
    """
    bundle = read(Path(folder))
    stages = [(step.name, step.build()) for step in bundle.steps]
    facts = bundle.facts
    steps = [*stages, (facts["model_name"], bundle.model)] if bundle.model is not None else stages
    pipe = Pipeline(steps)
    pipe._know(facts["schema"], stages)
    if facts["names"]:
        pipe.feature_names_in_ = np.array(list(facts["schema"]), dtype=object)
    pipe.roles_ = Roles(**facts["roles"])
    pipe.model_ = bundle.model
    pipe.ledger_ = bundle.ledger or Ledger()
    pipe.decisions_ = _decisions(stages, facts.get("prior", {}))
    pipe.learned_ = _learned(facts.get("learned"))
    pipe.findings_ = [finding for _, stage in stages for finding in stage.findings_]
    return pipe


def from_bundle(
    path: str | Path, data: Any, *, null_values: Sequence[str] = (), **options: Any
) -> TableLoader | ImageLoader | StreamLoader:
    """Feed rows, prepared by a saved pipeline, to a training loop.

    Parameters
    ----------
    path : str or Path
        The bundle: a folder that ``Pipeline.save`` or ``tilth run`` wrote.
    data : str, Path, Table, frame or array
        The rows. Of a frame, a CSV file, a Parquet file or a folder of images, the bundle knows which column
        is the target, and which columns have another role; a Table says so itself.
    null_values : sequence of str, default ()
        Texts of a file that mean "missing", besides the empty cell; for data that is a path.
    **options
        As in `tilth.Pipeline.loader`, whose other parameters they are: with ``training=True``, the default,
        `data` holds the rows that the pipeline was fitted on; for other rows pass ``training=False``.

    Raises
    ------
    BundleError
        If the folder is no bundle, is damaged, unsafe, or of another major version.
    DataError
        If the rows cannot be read, or are not those that were fitted on.

    Examples
    --------
    >>> import tempfile, polars as pl, tilth
    >>> frame = pl.DataFrame({"a": [1.0, 3.0], "b": [0.0, 1.0]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     bundle = tilth.Pipeline([tilth.ScaleStandard()]).fit(frame).save(folder + "/bundle")
    ...     loader = tilth.loaders.from_bundle(bundle, frame, shuffle=False, device="cpu")
    >>> next(iter(loader))
    (tensor([[-1., -1.],
            [ 1.,  1.]]),)
    """
    pipe = load(path)
    if isinstance(data, str | Path):
        training, lazy = options.get("training", True), options.get("stream") is not False
        data = read_rows(data, pipe.roles_, training=training, lazy=lazy, null_values=null_values)
    elif null_values:
        raise DataError("null_values says what a file's texts mean, and the data is no path. Leave it out.")
    elif not isinstance(data, Table):
        data = with_roles(Table.of(data), pipe.roles_, None)
    return pipe.loader(data, **options)


def _decisions(stages: list[tuple[str, Stage]], prior: Any) -> Decisions:
    """Return what the pipeline decides by; a bundle of an older version tells of no prior."""
    if not (isinstance(prior, dict) and all(isinstance(factor, float) for factor in prior.values())):
        raise BundleError(f"The bundle is damaged: what it says of class frequencies is {prior!r}.")
    deciding = [stage for _, stage in stages if isinstance(stage, DecisionStage) and stage.decided]
    return Decisions(prior, deciding[-1] if deciding else None)


def _learned(told: Any) -> Learned | None:
    """Return which rows were fitted on; a bundle of an older version does not say."""
    if told is None:
        return None
    try:
        return Learned(**told)
    except TypeError as error:
        raise BundleError(
            f"The bundle is damaged: what it says of the rows fitted on is {told!r}."
        ) from error
