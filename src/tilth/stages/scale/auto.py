"""Choose a scale for each column by what its values are like."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Lt

from tilth.core.stage import Selection
from tilth.stages.composed import Composed
from tilth.stages.shapes import Shape, shapes
from tilth.statistics import Statistics

Named = Literal["log", "power", "quantile"]

# Forms come before scales, which work on what these leave.
ORDER = ("scale.minmax", "scale.log", "scale.power", "scale.quantile", "scale.smooth_clip", "scale.standard")


class ScaleAuto(Composed):
    """Choose for each numeric column what brings it to a good scale, and say why.

    Learns
        The ends, the quartiles and 100 quantiles of each column, and how many values are 0. A column of 0 and
        1 alone, one without values and a constant stay as they are; one of two other values becomes 0 and 1
        (`scale.minmax`). Of the others, the logarithm (`scale.log`) is taken, or a power (`scale.power`), if
        that brings the values nearer to a normal distribution by at least `gain`: measured by the correlation
        of their quantiles, scaled, with those of a normal one (of what is not 0 where much is).
        The simplest form within a tenth of `gain` of the best is taken, a power only where no value takes
        many rows. Then `scale.smooth_clip` scales if a value lies beyond `far` quartile ranges of the median,
        or the quartiles are equal, and `scale.standard` if not.
    New data
        As the chosen stages do it.
    Training
        As the chosen stages do it.
    Weights
        Ignored: the choice describes the values, not how much a row counts.
    Cost
        One selection and two scans per column to choose, and what the chosen stages cost.
    Scaling
        Exact for any partition.

    Normal scores (`scale.quantile`) are tried only where `forms` names them: they make any column normal and
    lose how far apart its values are; linear models were clearly worse with them on more sets than clearly
    better.

    Parameters
    ----------
    forms : list of {'log', 'power', 'quantile'}
        What may be made of a column before it is scaled.
    gain : float, >= 0, < 1
        By how much the correlation must rise.
    far : float, > 0
        From how many quartile ranges from the median on a value is far.
    on : selection, optional
        The columns; by default all numeric ones.

    Attributes
    ----------
    parts_ : list of ColumnStage
        The chosen stages, fitted.
    lines_ : list of dict
        The same, as lines of a recipe.

    Findings
        scale.choice : what was chosen for a column, and the figures it rests on.

    Raises
        DataError : a quartile of a column is infinite.

    Source
        The measure: Filliben, "The probability plot correlation coefficient test for normality" (1975).
        Choosing a form by its normality: Peterson and Cavanaugh, "Ordered quantile normalization" (2020).
        Smooth clip: Holzmüller et al., "Better by default" (NeurIPS 2024). What was seen on real sets is
        printed by ``benchmarks/scale_auto.py``.

    Examples
    --------
    >>> import numpy as np
    >>> import polars as pl
    >>> even = np.linspace(0.005, 0.995, 100)
    >>> rows = pl.DataFrame({"even": even, "tail": np.exp(5 * even), "flag": [0, 1] * 50})
    >>> auto = ScaleAuto().fit(rows)
    >>> auto.lines_
    [{'scale.log': {'method': 'log', 'on': ['tail']}}, {'scale.standard': {'on': ['even', 'tail']}}]
    """

    handles: ClassVar = ("numeric",)
    finds: ClassVar = {"scale.choice": "what was chosen for a column, and the figures it rests on"}

    def __init__(
        self,
        *,
        forms: list[Named] | tuple[Named, ...] = ("log", "power"),
        gain: Annotated[float, Ge(0), Lt(1)] = 0.02,
        far: Annotated[float, Gt(0)] = 3.0,
        on: Selection = None,
    ) -> None:
        self.forms = forms
        self.gain = gain
        self.far = far
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [{}, {"forms": []}, {"forms": ["quantile"], "gain": 0.0}, {"forms": ["log"], "far": 1.0}]

    def choose(self, statistics: Statistics) -> list[tuple[str, dict[str, Any]]]:
        """Look at each column, and gather those of one choice."""
        chosen: dict[tuple[str, tuple[tuple[str, Any], ...]], list[str]] = {}
        for shape in shapes(statistics, self.columns_):
            lines, score, why = self._chosen(shape)
            for key, parameters in lines:
                chosen.setdefault((key, tuple(parameters.items())), []).append(shape.name)
            remedy = {key: {**parameters, "on": [shape.name]} for key, parameters in lines[:1]}
            told = f"'{shape.name}': {why}."
            self.report("scale.choice", told, score, columns=(shape.name,), remedy=remedy or None)
        ordered = sorted(chosen.items(), key=lambda line: (ORDER.index(line[0][0]), str(line[0][1])))
        return [(key, {**dict(parameters), "on": names}) for (key, parameters), names in ordered]

    def _chosen(self, shape: Shape) -> tuple[list[tuple[str, dict[str, Any]]], float, str]:
        """Return the stages for a column, by how much they bring it nearer to normal, and the reason."""
        if not shape.low < shape.high:
            return [], 0.0, "one value or none; left as it is"
        if shape.flag:
            return [], 0.0, "0 and 1 alone, a flag; left as it is"
        if shape.two:
            told = f"two values, {shape.low:.6g} and {shape.high:.6g}, become 0 and 1: scale.minmax"
            return [("scale.minmax", {})], 0.0, told
        forms = shape.forms(self.forms)
        fits = [form.fit(self.far) for form in forms]
        gain, number = max(fits) - fits[0], 0
        if gain > 0 and gain >= self.gain:
            number = next(i for i, fit in enumerate(fits) if i and fit >= max(fits) - self.gain / 10)
        form = forms[number]
        why = f"correlation {fits[0]:.3f} with normal quantiles"
        if number:
            why += f", {fits[number]:.3f} as {form.name} ({form.key})"
        elif len(forms) > 1:
            why += f", at most {max(fits[1:]):.3f} in another form"
        why += f"; {shape.zeros:.1%} zeros" if shape.zeros else ""
        lines = [(form.key, form.parameters)] if number else []
        if form.key != "scale.quantile":
            reach = form.reach
            last = "scale.smooth_clip" if reach > self.far else "scale.standard"
            lines.append((last, {}))
            equal = shape.edges[0] == shape.edges[2]
            why += "; the quartiles are equal" if equal else f"; values {reach:.1f} quartile ranges away"
            why += f": {last}"
        return lines, fits[number] - fits[0], why
