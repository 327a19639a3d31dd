"""Table: one frame with its roles; rows cannot come apart."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from tilth.errors import ColumnError, DataError
from tilth.statistics import key_of
from tilth.table import ROW, Roles, Table, kind_of

FRAME = pl.DataFrame({"a": [1.0, float("nan"), 3.0], "b": ["x", None, "z"]})
FORMS = {
    "polars": lambda f: f,
    "lazy": lambda f: f.lazy(),
    "pandas": lambda f: f.to_pandas(),
    "nullable": lambda f: f.to_pandas().convert_dtypes(),
    "pandas on arrow": lambda f: f.to_pandas(use_pyarrow_extension_array=True),
    "arrow": lambda f: f.to_arrow(),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_container_gives_the_same_table(form):
    table = Table.of(FORMS[form](FRAME), [0, 1, 0])
    assert table.kinds == {"a": "numeric", "b": "categorical"}
    assert table.X().rows() == [(1.0, "x"), (None, None), (3.0, "z")]
    assert table.y.to_list() == [0, 1, 0]
    assert table.ids.tolist() == [0, 1, 2]
    assert table.ids.dtype == np.uint64
    assert table.height == 3


def test_an_array_names_its_columns_by_position():
    table = Table.of(np.array([[1, 2], [3, 4]]), np.array(["u", "v"]))
    assert table.features == ["x0", "x1"]
    assert table.y.to_list() == ["u", "v"]


def test_weight_and_group_are_columns_of_the_same_frame():
    table = Table.of(FRAME, [0, 1, 0], sample_weight=[1, 2, 3], groups=["g", "h", "g"])
    rest = table.with_frame(table.frame.filter(pl.col("b") == "z"))
    assert (rest.y[0], rest.role("weight")[0], rest.role("group")[0], rest.ids[0]) == (0, 3, "g", 2)
    assert rest.features == ["a", "b"]


def test_a_role_is_never_a_feature_but_an_image_is():
    frame = pl.DataFrame({"f": ["p.png"], "y": [1], "w": [1.0], "g": [1], "i": [5], "s": ["train"], "v": [1]})
    table = Table.of(frame, roles=Roles("y", "w", "g", "i", "s", image="f"))
    assert table.kinds == {"f": "image", "v": "numeric"}
    assert table.schema.names() == frame.columns


def test_annotators_are_no_features_and_make_a_target_of_their_type():
    frame = pl.DataFrame({"v": [1.0, 2.0], "ann": [1, None], "bob": [2, 2]})
    table = Table.of(frame, roles=Roles(annotators=("ann", "bob")))
    assert table.features == ["v"]
    assert table.roles == Roles(target="label", annotators=("ann", "bob"))
    assert table.y.to_list() == [None, None]
    assert table.y.dtype == pl.Int64
    assert Table.of(table).roles == table.roles
    given = Table.of(frame, [0, 1], roles=Roles(annotators=("ann",)))
    assert (given.roles.target, given.features) == ("target", ["v", "bob"])


@pytest.mark.parametrize(
    ("one", "other", "dtype"),
    [
        (["x", "y"], [1, 2], pl.String),
        ([1, 2], [1.5, None], pl.Float64),
        (pl.Series(["x", None], dtype=pl.Categorical), pl.Series(["y", "x"], dtype=pl.Enum("xy")), pl.String),
    ],
)
def test_the_target_that_annotators_make_holds_what_any_of_them_says(one, other, dtype):
    frame = pl.DataFrame({"label": [1, 2], "a": one, "b": other})
    table = Table.of(frame, roles=Roles(annotators=["a", "b"]))
    assert (table.roles.target, table.y.dtype, table.y.null_count()) == ("label_", dtype, 2)


def test_roles_name_each_annotator_once_and_tell_their_columns():
    roles = Roles(target="y", annotators=["a", "b"])
    assert roles.named() == {"target": "y", "annotators": ("a", "b")}
    assert roles.columns() == [("target", "y"), ("annotators", "a"), ("annotators", "b")]
    assert roles.reserved == {"y", "a", "b"}
    assert Roles(**roles.named()) == roles
    assert Roles(annotators="a").annotators == ("a",)
    assert Roles().named() == {}
    told = Roles("y", facts=["format", "width"])
    assert told.columns() == [("target", "y"), ("facts", "format"), ("facts", "width")]
    assert told.reserved == {"y", "format", "width"} and Roles(**told.named()) == told
    with pytest.raises(ColumnError, match="annotators: a is named twice"):
        Roles(annotators=["a", "b", "a"])
    with pytest.raises(ColumnError, match=r"Role 'annotators': no column 'c'"):
        Table.of(FRAME, roles=Roles(annotators=["a", "c"]))


def test_a_passed_column_whose_name_is_taken_gets_a_free_one():
    table = Table.of(FRAME, pl.Series("a", [7, 8, 9]))
    assert table.roles.target == "a_"
    assert table.features == ["a", "b"]
    assert table.y.to_list() == [7, 8, 9]


def test_the_index_of_pandas_does_not_matter():
    X = pd.DataFrame({"a": [1, 2]}, index=[5, 5])
    y = pd.Series([10, 20], index=[9, 1])
    assert Table.of(X, y).y.to_list() == [10, 20]


@pytest.mark.parametrize("role", ["y", "sample_weight", "groups"])
def test_another_length_is_refused(role):
    with pytest.raises(DataError, match=r"inconsistent numbers of samples: \[3, 2\]"):
        Table.of(FRAME, **{role: [1, 2]})


@pytest.mark.parametrize(
    ("weights", "told"),
    [
        ([0.0, 0.0, 0.0], "every weight is zero"),
        ([1.0, None, 1.0], "1 of 3 are missing"),
        ([1.0, float("inf"), -1.0], "2 of 3 are missing, infinite or negative"),
        (["a", "b", "c"], "must be numbers, not String"),
    ],
)
def test_weights_that_weigh_nothing_are_refused(weights, told):
    with pytest.raises(DataError, match=told):
        Table.of(FRAME, sample_weight=weights)


def test_a_role_without_its_column_is_refused():
    with pytest.raises(ColumnError, match=r"Role 'target': no column 'c'.*Columns here: a, b"):
        Table.of(FRAME, roles=Roles(target="c"))


def test_a_table_of_a_table_keeps_ids_roles_and_kinds():
    first = Table.of(FRAME, [0, 1, 0], kinds={"b": "text"})
    part = first.with_frame(first.frame.tail(2))
    again = Table.of(part)
    assert again.ids.tolist() == [1, 2]
    assert again.kinds == {"a": "numeric", "b": "text"}
    assert again.y.to_list() == [1, 0]


def test_a_needed_role_says_how_to_pass_it():
    table = Table.of(FRAME)
    with pytest.raises(DataError, match="requires y to be passed"):
        table.need("target", "LabelsClean")
    with pytest.raises(DataError, match="pass groups="):
        table.need("group", "split")
    assert table.y is None


class TestRowIds:
    """Ids are stable: a key if one is named, else the position."""

    def test_a_key_gives_the_same_id_wherever_the_row_stands(self):
        frame = pl.DataFrame({"k": ["p", "q", "r"], "a": [1, 2, 3]})
        whole = Table.of(frame, roles=Roles(row_id="k"))
        turned = Table.of(frame.reverse(), roles=Roles(row_id="k"))
        part = Table.of(frame.tail(1), roles=Roles(row_id="k"))
        assert whole.ids.tolist() == turned.ids[::-1].tolist() == key_of(["p", "q", "r"]).tolist()
        assert part.ids[0] == whole.ids[2]
        assert whole.features == ["a"]

    @pytest.mark.parametrize("values", [[1, 1, 2], ["x", "y", "x"], [None, None, 1]])
    def test_a_key_that_repeats_is_refused(self, values):
        with pytest.raises(DataError, match="Row id column 'k' repeats"):
            Table.of(pl.DataFrame({"k": values}), roles=Roles(row_id="k"))

    @pytest.mark.parametrize("values", [[1, 2], ["a", "b"], pl.Series([1, 1], dtype=pl.UInt64)])
    def test_a_users_own_column_under_the_hidden_name_is_refused(self, values):
        with pytest.raises(DataError, match="'__row__' is kept for row ids"):
            Table.of(pl.DataFrame({ROW: values, "a": [1, 2]}))

    def test_ids_that_came_out_of_a_table_may_come_back(self):
        frame = Table.of(FRAME).frame.tail(2)
        assert Table.of(frame).ids.tolist() == [1, 2]
        assert Table.of(frame).features == ["a", "b"]

    def test_the_hidden_column_is_not_in_the_schema(self):
        table = Table.of(FRAME)
        assert ROW not in table.schema
        assert ROW in table.frame.collect_schema()


def test_an_empty_frame_has_a_table():
    table = Table.of(FRAME.head(0))
    assert table.height == 0
    assert table.features == ["a", "b"]
    assert table.ids.tolist() == []


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [
        (pl.Int8(), "numeric"),
        (pl.Decimal(10, 2), "numeric"),
        (pl.Null(), "numeric"),
        (pl.Boolean(), "boolean"),
        (pl.Date(), "datetime"),
        (pl.Duration("us"), "datetime"),
        (pl.Time(), "datetime"),
        (pl.String(), "categorical"),
        (pl.Categorical(), "categorical"),
        (pl.Enum(["a"]), "categorical"),
        (pl.List(pl.Float64()), "vector"),
        (pl.Array(pl.Float32(), 3), "vector"),
        (pl.List(pl.String()), "other"),
        (pl.Struct({"a": pl.Int8()}), "other"),
        (pl.Binary(), "other"),
    ],
)
def test_the_type_tells_the_kind(dtype, kind):
    assert kind_of(dtype) == kind


def test_making_a_table_leaves_the_input_as_it_was():
    X = pd.DataFrame({"a": [1.0, np.nan], "b": ["x", None]})
    y = np.array([1, 0])
    kept = X.copy(deep=True)
    Table.of(X, y).collect()
    pd.testing.assert_frame_equal(X, kept)
    arrow = pa.table({"a": [1.0, None]})
    assert Table.of(arrow).X().shape == (2, 1)
    assert arrow.schema.names == ["a"]
