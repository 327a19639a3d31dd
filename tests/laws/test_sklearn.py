"""Law 12: a stage is a scikit-learn estimator."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from tests.laws.cases import KINDS, Case, alike, cases, learned
from tests.laws.exceptions import COMPLETE, EXCUSED, SKLEARN
from tilth import stages
from tilth.core import ColumnStage
from tilth.core.parameters import model_of


def expected_failures(stage):
    """Gather the checks that this kind of stage, or this stage, cannot pass, with the reasons."""
    kind = next(kind.__name__ for kind in KINDS if isinstance(stage, kind))
    own = {
        name.partition(" ")[2]: why
        for name, why in EXCUSED.get("sklearn", {}).items()
        if name.startswith(f"{stage.key} ")
    }
    return SKLEARN[kind] | own


FIRST = [stages.find(key)(**stages.find(key).examples()[0]) for key in sorted(stages.keys())]


@parametrize_with_checks(FIRST, expected_failed_checks=expected_failures, xfail_strict=True)
def test_law_12_scikit_learns_own_checks_pass(estimator, check):
    check(estimator)


@pytest.mark.parametrize("case", cases("clone"))
def test_law_12_a_clone_has_the_parameters_and_nothing_learned(case: Case):
    stage = case.fitted()
    again = clone(stage)
    assert type(again) is type(stage)
    assert again.get_params() == stage.get_params()
    assert not learned(again)
    assert again.set_params(**stage.get_params()).get_params() == stage.get_params()


@pytest.mark.parametrize("case", cases("clone"))
def test_law_12_parameters_are_those_of_the_signature_and_the_repr_makes_the_stage_again(case: Case):
    stage = case.make()
    assert sorted(stage.get_params(deep=False)) == sorted(model_of(case.cls).model_fields)
    # pandas and scikit-learn may shorten a long repr, not these.
    again = eval(repr(stage), {case.cls.__name__: case.cls})
    assert again.get_params() == stage.get_params()


@pytest.mark.parametrize("case", cases("clone", first=True))
def test_law_12_every_parameter_is_checked_at_fit(case: Case):
    rows = case.rows(30)
    X, y = rows.select("near", "skewed", "city"), rows["y"]
    for name in case.make().get_params():
        stage = case.make().set_params(**{name: object()})
        with pytest.raises(ValueError, match=name):
            stage.fit(X, y)


@pytest.mark.parametrize("case", cases("pipeline", ColumnStage))
def test_law_12_a_column_stage_works_in_scikit_learns_pipeline(case: Case):
    X, y = case.rows(60).select("near", "skewed", "city", "yes"), case.rows(60)["y"]
    piped = make_pipeline(case.make()).fit(X, y)
    alike(piped.transform(X), case.make().fit(X, y).transform(X))
    assert list(piped.get_feature_names_out()) == piped.transform(X).columns


@pytest.mark.parametrize("case", cases("clone", first=True))
def test_law_12_tags_tell_that_gaps_texts_and_categories_are_taken(case: Case):
    tags = get_tags(case.make())
    assert tags.input_tags.allow_nan == (case.key not in COMPLETE)
    assert tags.input_tags.string
    assert tags.target_tags.required == getattr(case.cls, "needs_target", False)


@pytest.mark.parametrize("case", cases("clone", ColumnStage, first=True))
def test_law_12_names_out_are_those_of_the_frame_that_goes_out(case: Case):
    rows, y = case.rows(60).select("near", "city", "yes"), case.rows(60)["y"]
    stage = case.make().fit(rows, y)
    assert list(stage.get_feature_names_out()) == stage.transform(rows).columns
    assert list(stage.feature_names_in_) == rows.columns
    assert stage.n_features_in_ == 3
    with pytest.raises(ValueError, match="input_features is not equal"):
        stage.get_feature_names_out(np.array(["a", "b", "c"]))
