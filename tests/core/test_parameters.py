"""A stage's signature is its schema: checks, JSON schema and listing come from one place."""

import json
from typing import Annotated, Any, Literal

import numpy as np
import polars as pl
import pytest
from annotated_types import Ge, Gt, Le, Lt
from pydantic import Field, ValidationError
from sklearn.utils._param_validation import InvalidParameterError

from tilth import stages
from tilth.core import ColumnStage, Selection, model_of, parameters_of
from tilth.core.parameters import plain, readable
from tilth.table import Selector


class Example(ColumnStage):
    """Do nothing, with many parameters.

    Parameters
    ----------
    method : {'one', 'two'}
        Which one,
        told on two lines.
    share : float
        How much.
    low, high : int
        The bounds.
    on : selection, optional
        The columns.

    Findings
    --------
    none : nothing.
    """

    def __init__(
        self,
        *,
        method: Literal["one", "two"] = "one",
        share: Annotated[float, Ge(0), Le(1)] = 0.5,
        low: int = 0,
        high: Annotated[int, Gt(0)] | None = None,
        bounds: list[float] | tuple[float, float] = (0.0, 1.0),
        on: Selection = None,
    ) -> None:
        self.method = method
        self.share = share
        self.low = low
        self.high = high
        self.bounds = bounds
        self.on = on


def fitted(**parameters):
    return Example(**parameters).fit(pl.DataFrame({"a": [1.0]}))


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"method": "two", "share": 1},
        {"share": np.float32(0.25), "low": np.int64(3)},
        {"bounds": [0.1, 0.2]},
        {"bounds": (0.1, 0.2)},
        {"on": "a"},
        {"on": ["a"]},
        {"on": Selector("numeric")},
        {"on": []},
    ],
)
def test_what_the_signature_allows_is_fitted(parameters):
    assert fitted(**parameters).n_features_in_ == 1


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        (
            {"method": "three"},
            "The 'method' parameter of Example must be 'one' | 'two'. Got 'three' instead.",
        ),
        ({"share": 1.5}, "The 'share' parameter of Example must be float (>= 0, <= 1). Got 1.5 instead."),
        ({"share": "a"}, "must be float"),
        ({"share": float("nan")}, "must be float"),
        ({"low": 1.5}, "must be int"),
        ({"low": True}, "must be int"),
        ({"high": 0}, "must be int (> 0) | None. Got 0"),
        (
            {"on": 3},
            "The 'on' parameter of Example must be selection (a kind, a name, a glob, or a list). Got 3",
        ),
        ({"on": ["a", 1]}, "The 'on' parameter"),
    ],
)
def test_what_it_does_not_allow_is_told_in_scikit_learns_error(parameters, told):
    with pytest.raises(InvalidParameterError) as caught:
        fitted(**parameters)
    assert told in str(caught.value)


def test_parameters_are_checked_at_fit_and_kept_as_they_came():
    stage = Example(share=7)
    assert stage.share == 7
    assert stage.get_params()["bounds"] == (0.0, 1.0)


def test_unknown_keys_are_refused_by_the_model():
    with pytest.raises(ValidationError, match="shar"):
        model_of(Example).model_validate({"shar": 0.1})


def test_plain_writes_what_a_recipe_would():
    made = plain({"a": np.float64(1.5), "b": (np.int64(1), (2,)), "c": "x", "d": None})
    assert made == {"a": 1.5, "b": [1, [2]], "c": "x", "d": None}
    assert [type(v) for v in made["b"]] == [int, list]


def test_the_listing_tells_type_default_and_description():
    listed = {row["name"]: row for row in parameters_of(Example)}
    assert list(listed) == ["method", "share", "low", "high", "bounds", "on"]
    assert listed["method"]["about"] == "Which one, told on two lines."
    assert listed["low"]["about"] == listed["high"]["about"] == "The bounds."
    assert listed["bounds"]["about"] == ""
    assert listed["share"] == {
        "name": "share",
        "type": "float (>= 0, <= 1)",
        "default": 0.5,
        "required": False,
        "about": "How much.",
    }
    assert listed["on"]["type"] == "selection"


@pytest.mark.parametrize(
    ("hint", "text"),
    [
        (int, "int"),
        (Any, "any"),
        (bool | None, "bool | None"),
        (Literal["a", 1], "'a' | 1"),
        (Annotated[float, Gt(0), Lt(1)], "float (> 0, < 1)"),
        (Annotated[int, Field(ge=2)], "int (>= 2)"),
        (Annotated[float, Gt(0)] | None, "float (> 0) | None"),
        (Annotated[float, Gt(0)] | Literal["all"], "float (> 0) | 'all'"),
        (list[float | None], "list[float | None]"),
        (tuple[float, ...], "tuple[float, ...]"),
        (dict[str, list[int]], "dict[str, list[int]]"),
        (Annotated[list[int], Field(min_length=2)], "list[int] (at least 2)"),
        (Selection, "selection"),
        (Selector, "Selector"),
    ],
)
def test_types_read_as_a_person_would_write_them(hint, text):
    assert readable(hint) == text


@pytest.mark.parametrize("key", stages.keys())
def test_every_stage_has_a_json_schema_and_a_readable_listing(key):
    cls = stages.find(key)
    schema = json.loads(json.dumps(model_of(cls).model_json_schema()))
    assert schema["title"] == cls.__name__
    assert not schema["additionalProperties"]
    listed = parameters_of(cls)
    assert list(schema.get("properties", {})) == [row["name"] for row in listed]
    for row in listed:
        assert row["about"], f"{key}: parameter {row['name']} has no description"
        assert not any(
            word in row["type"] for word in ("typing", "Annotated", "Literal", "Union", "Json", "<class")
        )
    for example in cls.examples():
        model_of(cls).model_validate(plain(example))
