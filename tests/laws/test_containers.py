"""Law 13: what comes in goes out, with equal values, and what no stage touched is as it was."""

import datetime as dt
from functools import cache

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import sklearn

from tests.laws.cases import FEATURES, Case, alike, cases
from tests.laws.exceptions import COMPLETE
from tilth.core import ColumnStage, RowStage
from tilth.table import Table

FORMS = {
    "pandas": (lambda f: f.to_pandas(), pd.DataFrame),
    "nullable": (lambda f: f.to_pandas().convert_dtypes(), pd.DataFrame),
    "pandas on arrow": (lambda f: f.to_pandas(use_pyarrow_extension_array=True), pd.DataFrame),
    "polars": (lambda f: f, pl.DataFrame),
    "lazy": (lambda f: f.lazy(), pl.LazyFrame),
    "arrow": (lambda f: f.to_arrow(), pa.Table),
}


def values(out):
    """Return what a container holds as plain columns, whatever their width and wrapping."""
    frame = Table.of(out).X()
    plain = []
    for column in frame:
        kind = column.dtype
        if kind.is_numeric() or kind == pl.Boolean:
            plain.append(column.cast(pl.Float64))
        elif kind.is_temporal():
            plain.append(column.cast(pl.Datetime("us")))
        elif kind in (pl.Categorical, pl.Enum):
            plain.append(column.cast(pl.String))
        else:
            plain.append(column)
    return pl.DataFrame(plain)


def given(case: Case) -> tuple[pl.DataFrame, pl.Series]:
    """Return the rows that come in every container, and their labels."""
    return case.rows(60).select(FEATURES), case.rows(60)["y"]


@cache
def of_frames(case: Case) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return what a column stage makes of a Polars frame: as new rows, and as those learned from."""
    rows, y = given(case)
    return case.make().fit(rows, y).transform(rows), case.make().fit_transform(rows, y)


@cache
def resampled(case: Case) -> tuple[pl.DataFrame, pl.Series]:
    """Return what a row stage makes of a Polars frame and its labels."""
    return case.make().fit_resample(*given(case))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", cases("containers", ColumnStage, many=True))
def test_law_13_column_stages_give_the_container_that_came(case: Case, form: str):
    rows, y = given(case)
    make, kind = FORMS[form]
    X, stage = make(rows), case.make()
    trained, out = stage.fit_transform(X, y), stage.transform(X)
    wanted, wanted_of_training = of_frames(case)
    assert type(out) is type(trained) is kind
    alike(values(out), values(wanted), rtol=1e-6)
    alike(values(trained), values(wanted_of_training), rtol=1e-6)
    assert list(stage.get_feature_names_out()) == wanted.columns


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", cases("containers", RowStage, many=True))
def test_law_13_row_stages_give_the_container_that_came(case: Case, form: str):
    X, y = given(case)
    make, kind = FORMS[form]
    X2, y2 = resampled(case)
    out, labels = case.make().fit_resample(make(X), y.to_numpy())
    assert type(out) is kind
    assert isinstance(labels, np.ndarray)
    alike(values(out), values(X2), rtol=1e-6)
    assert labels.tolist() == y2.to_list()


@pytest.mark.parametrize("case", cases("arrays as frames", ColumnStage, RowStage, many=True))
def test_law_13_arrays_go_out_as_arrays_with_the_values_of_frames(case: Case):
    rows = case.rows(60)
    names = ["near", "skewed", "flat"]
    X, y = rows.select(names), rows["y"].to_numpy()
    if issubclass(case.cls, ColumnStage):
        out, wanted = case.make().fit_transform(X.to_numpy(), y), case.make().fit_transform(X, y)
    else:
        out, wanted = case.make().fit_resample(X.to_numpy(), y)[0], case.make().fit_resample(X, y)[0]
    assert isinstance(out, np.ndarray)
    np.testing.assert_allclose(out.astype(float), wanted.to_numpy().astype(float), rtol=1e-12)


# A column for each kind that a stage may handle, to be worked on while the others look on.
WORKED_ON = {
    "numeric": [1.0, None, 3.0, 50.0],
    "categorical": ["p", "q", None, "p"],
    "boolean": [True, False, None, True],
    "datetime": [dt.date(2020, 1, day) for day in (1, 2, 3, 4)],
    # Paths of files that are not there: cells without a value, for whoever would read them.
    "image": ["a.png", "b.png", None, "a.png"],
}


def onlookers():
    """Every pandas type that a stage may leave alone."""
    return pd.DataFrame(
        {
            "ordered": pd.Categorical(["lo", "hi", None, "lo"], categories=["lo", "mid", "hi"], ordered=True),
            "Int64": pd.array([1, None, 2**62 + 1, 4], dtype="Int64"),
            "string": pd.array(["a", None, "c", "d"], dtype="string"),
            "boolean": pd.array([True, None, False, True], dtype="boolean"),
            "zoned": pd.to_datetime(["2020-01-01", None, "2020-06-01", "2021-01-01"]).tz_localize(
                "Europe/Berlin"
            ),
            "junk": pd.Series(["x", 1, 2.5, None], dtype=object),
            "float16": np.array([1, 2, 3, 4], np.float16),
            "big": [2**53 + 1, 2, 3, 4],
            7: [1, 2, 3, 4],
            ("a", 1): [0.5, 1.5, np.nan, 3.5],
        }
    )


def looking_on(*kinds):
    listed = []
    for case in cases("onlookers", *kinds, first=True):
        stage = case.values[0].make()
        if hasattr(stage, "on") and any(kind in WORKED_ON for kind in stage.handles):
            listed.append(case)
    return listed


def worked_on(case):
    cells = WORKED_ON[next(kind for kind in case.cls.handles if kind in WORKED_ON)]
    return [2.0 if cell is None else cell for cell in cells] if case.key in COMPLETE else cells


@pytest.mark.parametrize("case", looking_on(ColumnStage))
def test_law_13_pandas_columns_that_are_not_worked_on_stay_as_they_were(case: Case):
    rest = onlookers()
    X = rest.assign(it=worked_on(case))
    X.index = pd.Index(["r", "r", "s", "s"], name="twice")
    before = X.copy(deep=True)
    out = case.make(on=["it"]).fit_transform(X, [0, 1, 1, 0])
    assert out.index.equals(X.index)
    assert out.index.name == "twice"
    pd.testing.assert_frame_equal(out[list(rest.columns)], X[list(rest.columns)])
    pd.testing.assert_frame_equal(X, before)


@pytest.mark.parametrize("form", ["polars", "lazy", "arrow"])
@pytest.mark.parametrize("case", looking_on(ColumnStage))
def test_law_13_polars_columns_that_are_not_worked_on_stay_as_they_were(case: Case, form: str):
    rest = pl.DataFrame(
        {
            "enum": pl.Series(["a", None, "b", "a"], dtype=pl.Enum(["b", "a"])),
            "category": pl.Series(["x", "y", None, "x"], dtype=pl.Categorical),
            "list": [[1.0], None, [], [2.0, 3.0]],
            "words": [["a"], None, [], ["b"]],
            "struct": [{"s": 1}, {"s": None}, {"s": 3}, {"s": 4}],
            "time": [dt.time(1), None, dt.time(2), dt.time(3)],
            "byte": pl.Series([1, None, 3, 4], dtype=pl.UInt8),
            "wide": pl.Series([2**100, 1, None, 2], dtype=pl.Int128),
            "nothing": pl.Series([None] * 4, dtype=pl.Null),
        }
    )
    X = rest.with_columns(it=pl.Series(worked_on(case)))
    if form == "arrow":
        rest = rest.drop("wide", "nothing")
        X = X.drop("wide", "nothing").to_arrow()
    out = case.make(on=["it"]).fit_transform(X.lazy() if form == "lazy" else X, [0, 1, 1, 0])
    out = out.collect() if form == "lazy" else pl.from_arrow(out) if form == "arrow" else out
    assert out.select(rest.columns).schema == rest.schema
    assert out.select(rest.columns).equals(rest)


@pytest.mark.parametrize("case", cases("onlookers", RowStage, first=True))
def test_law_13_row_stages_keep_every_pandas_type(case: Case):
    rest = onlookers()
    if hasattr(case.make(), "on") and case.cls.handles != ("image",):
        X, more = rest.assign(it=np.arange(4.0)), {"on": ["it"]}
    else:
        X, more = rest, {}
    X = pd.concat([X, X, X])
    y = np.array([0, 1, 0, 0, 1, 0, 1, 1, 0, 0, 0, 0])
    stage = case.make(**more)
    out, _ = stage.fit_resample(X, y)
    assert out.dtypes.equals(X.dtypes)
    rows = stage.plan_.sources
    if (rows >= 0).all():
        pd.testing.assert_frame_equal(out, X.iloc[rows])


@cache
def fitted_on(case: Case, container: str) -> tuple:
    """Return a stage fitted on the rows in a container, and them: whom is told later what to give."""
    rows, y = given(case)
    X = FORMS[container][0](rows)
    return case.make().fit(X, y), X


@pytest.mark.parametrize("asked", ["pandas", "polars", "default"])
@pytest.mark.parametrize("case", cases("set_output", ColumnStage, first=True))
def test_law_13_set_output_and_scikit_learns_configuration_are_heard(case: Case, asked: str):
    kinds = {"pandas": pd.DataFrame, "polars": pl.DataFrame}
    for container in ("polars", "pandas", "arrow"):
        fitted, X = fitted_on(case, container)
        kind = kinds.get(asked, type(X))
        out = case.make().set_output(transform=asked).fit_transform(X, given(case)[1])
        assert type(out) is kind
        alike(values(out), values(of_frames(case)[1]), rtol=1e-6)
        with sklearn.config_context(transform_output=asked):
            assert type(fitted.transform(X)) is kind


@pytest.mark.parametrize("case", cases("set_output", ColumnStage, first=True))
def test_law_13_pandas_that_is_asked_for_keeps_the_index(case: Case):
    rows, y = given(case)
    X = rows.to_pandas().set_axis(rows["near"].to_numpy())
    out = case.make().set_output(transform="pandas").fit_transform(X, y)
    assert out.index.tolist() == rows["near"].to_list()


@pytest.mark.parametrize("case", cases("set_output", ColumnStage, first=True))
def test_law_13_an_array_leaves_as_a_frame_where_one_is_asked_for(case: Case):
    X, y = case.rows(60).select("near", "skewed").to_numpy(), case.rows(60)["y"]
    stage = case.make().set_output(transform="polars").fit(X, y)
    assert stage.transform(X).columns == list(stage.get_feature_names_out())
    assert list(case.make().set_output(transform="pandas").fit_transform(X, y).columns) == list(
        stage.get_feature_names_out()
    )
