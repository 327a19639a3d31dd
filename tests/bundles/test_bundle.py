"""A bundle reads back the same, is written whole or not at all, and is refused where it is not sound."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from importlib.metadata import version

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from tilth.bundles import Bundle, Step, bundle, folder, read, restore, state_of, write
from tilth.core import Ledger
from tilth.core.stage import ColumnStage
from tilth.errors import BundleError, TilthWarning
from tilth.stages import find, keys
from tilth.stages.adapt import adapt
from tilth.stages.impute.simple import ImputeSimple
from tilth.stages.scale.standard import ScaleStandard

FRAME = pl.DataFrame(
    {
        "age": [31.0, None, 54.0, 22.0, 40.0, 33.5] * 5,
        "hours": [40, 38, 40, 20, 60, 35] * 5,
        "city": ["Oslo", "Rome", None, "Oslo", "Rome", "Bonn"] * 5,
    }
)
LABEL = np.array(["a", "b", "a", "b", "b", "a"] * 5)
COLUMN_STAGES = [k for k in keys() if issubclass(find(k), ColumnStage)]


def a_bundle(text="stages:\n  - impute.simple\n", **more):
    stage = ImputeSimple(indicator=True).fit(FRAME)
    numbers = np.column_stack([FRAME["hours"].to_numpy(), np.arange(30)])
    model = LogisticRegression().fit(numbers, LABEL)
    return Bundle(text, [Step.of("impute.simple", stage)], model, {"schema": {"age": "Float64"}}, **more)


def numbers(rows=30):
    return np.column_stack([FRAME["hours"].to_numpy()[:rows], np.arange(rows)])


# There and back


@pytest.mark.parametrize("key", COLUMN_STAGES)
def test_every_column_stage_gives_the_same_output_after_a_bundle(key, tmp_path):
    for params in find(key).examples():
        frame = FRAME.with_columns(image=pl.lit("x.png")) if "image" in find(key).handles else FRAME
        try:
            stage = find(key)(**params).fit(frame, LABEL)
        except Exception as error:
            if type(error).__module__.startswith("tilth"):
                continue  # an example that these columns do not suit
            raise
        write(Bundle("", [Step.of(key, stage)]), tmp_path / "b")
        back = read(tmp_path / "b").steps[0].build()
        assert type(back) is type(stage)
        assert_frame_equal(back.transform(frame), stage.transform(frame))
        assert back.findings_ == stage.findings_


def test_everything_comes_back(tmp_path):
    ledger = Ledger(3, 2, fresh={"balance": pl.DataFrame({"a": [1, None]})})
    given = a_bundle(ledger=ledger)
    assert write(given, tmp_path / "b") == tmp_path / "b"
    back = read(str(tmp_path / "b"))
    assert back.recipe_yaml == given.recipe_yaml == (tmp_path / "b" / "recipe.yaml").read_text()
    assert (back.facts, back.steps[0].name, back.steps[0].params) == (
        given.facts,
        "impute.simple",
        given.steps[0].params,
    )
    assert (back.model.predict_proba(numbers()) == given.model.predict_proba(numbers())).all()
    assert (back.ledger.rows_in, back.ledger.rows_out) == (3, 2)
    assert_frame_equal(back.ledger.events, ledger.events)
    assert_frame_equal(back.ledger.columns, ledger.columns)
    assert_frame_equal(back.ledger.fresh["balance"], ledger.fresh["balance"])


@pytest.mark.parametrize(
    "model",
    [RandomForestClassifier(5, random_state=0), KNeighborsClassifier(3)],
    ids=lambda m: type(m).__name__,
)
def test_models_of_scikit_learn_predict_the_same(model, tmp_path):
    model.fit(numbers(), LABEL)
    write(Bundle("", [], model), tmp_path / "b")
    assert (read(tmp_path / "b").model.predict_proba(numbers()) == model.predict_proba(numbers())).all()


@pytest.mark.parametrize("name", ["linear", "boosting"])
def test_probes_predict_the_same(name, tmp_path):
    from tilth.probes import probe

    model = probe(name).fit(FRAME, LABEL)
    write(Bundle("", [], model), tmp_path / "b")
    assert (read(tmp_path / "b").model.predict_proba(FRAME) == model.predict_proba(FRAME)).all()


def test_a_stage_around_an_estimator_comes_back(tmp_path):
    from sklearn.preprocessing import QuantileTransformer

    stage = adapt(QuantileTransformer(n_quantiles=5), on=["hours"]).fit(FRAME)
    write(Bundle("", [Step.of("quantiles", stage)]), tmp_path / "b")
    assert_frame_equal(read(tmp_path / "b").steps[0].build().transform(FRAME), stage.transform(FRAME))


def test_a_sampler_of_imbalanced_learn_comes_back(tmp_path):
    from imblearn.over_sampling import RandomOverSampler

    stage = adapt(RandomOverSampler(random_state=0))
    stage.fit(FRAME.select("hours"), LABEL)
    write(Bundle("", [Step.of("over", stage)]), tmp_path / "b")
    assert isinstance(read(tmp_path / "b").steps[0].build().get_params()["estimator"], RandomOverSampler)


def test_the_chosen_container_comes_back(tmp_path):
    stage = ScaleStandard().set_output(transform="pandas").fit(FRAME)
    write(Bundle("", [Step.of("scale", stage)]), tmp_path / "b")
    assert type(read(tmp_path / "b").steps[0].build().transform(FRAME)).__module__.startswith("pandas")


def test_state_is_what_ends_in_an_underscore_and_no_plan():
    stage = ImputeSimple().fit(FRAME)
    stage.plan_, stage.note = "of other rows", "mine"
    assert (
        {"values_", "columns_", "findings_", "schema_"}
        <= set(state_of(stage))
        == set(state_of(stage))
        - {
            "plan_",
            "note",
            "numeric",
        }
    )


@pytest.mark.parametrize("name", ["fit", "__class__", "_x_", "change", "a b_", "_sklearn_output_config_"])
def test_only_names_of_learned_things_are_restored(name):
    with pytest.raises(BundleError, match="is not the name of something learned"):
        restore(ImputeSimple(), {name: 1})


def test_code_is_refused_with_the_name_of_its_step():
    class Own(ColumnStage):
        pass

    with pytest.raises(BundleError, match=r"Step 'mine' \(Own\) is code of your own"):
        Step.of("mine", Own())
    with pytest.raises(BundleError, match=r"Step 'f' \(AdaptFunction\) is code"):
        Step.of("f", adapt(lambda frame: frame))


def test_a_model_that_only_pickle_could_hold_is_refused_and_nothing_is_written(tmp_path):
    class Mine(LogisticRegression):
        pass

    with pytest.raises(BundleError, match=r"The model \(Mine\) holds types that a bundle does not load"):
        write(Bundle("", [], Mine().fit(numbers(), LABEL)), tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


def test_a_function_inside_a_model_is_refused(tmp_path):
    from sklearn.preprocessing import FunctionTransformer

    with pytest.raises(BundleError, match=r"does not load: \w+path\.join"):
        write(Bundle("", [], FunctionTransformer(os.path.join)), tmp_path / "b")


def test_a_step_of_a_stage_that_is_not_installed_says_so(tmp_path):
    write(Bundle("", [Step("x", "impute.simpel")]), tmp_path / "b")
    with pytest.raises(ValueError, match=r"did you mean 'impute\.simple'"):
        read(tmp_path / "b").steps[0].build()
    with pytest.raises(BundleError, match="does not take its parameters"):
        Step("x", "impute.simple", {"unknown": 1}).build()


# Written whole or not at all


def test_a_folder_that_holds_something_else_is_not_replaced(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "thesis.txt").write_text("all of it")
    (tmp_path / "file").write_text("x")
    for name in ("b", "file"):
        with pytest.raises(BundleError, match="is no bundle, so it is not replaced"):
            write(a_bundle(), tmp_path / name)
    assert (tmp_path / "b" / "thesis.txt").read_text() == "all of it"


def test_an_older_bundle_and_an_empty_folder_are_replaced(tmp_path):
    (tmp_path / "b").mkdir()
    for text in ("one", "two"):
        write(a_bundle(text), tmp_path / "b")
        assert read(tmp_path / "b").recipe_yaml == text
    assert [p.name for p in tmp_path.iterdir()] == ["b"]


def test_parents_are_made_and_rights_are_those_of_any_folder(tmp_path):
    write(a_bundle(), tmp_path / "a" / "b")
    mask = os.umask(0)
    os.umask(mask)
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o777 & ~mask


@pytest.mark.parametrize("exchange", [True, False])
def test_an_interruption_at_any_step_leaves_the_old_or_the_new(tmp_path, monkeypatch, exchange):
    """Stop at every call that touches the disk, without any clean-up, as a loss of power would."""
    old, new, place = a_bundle("old"), a_bundle("new"), tmp_path / "b"
    if not exchange:
        monkeypatch.setattr(folder, "_exchange", lambda one, other: False)
    monkeypatch.setattr(folder.shutil, "rmtree", lambda *args, **kwargs: None)
    calls = ["write_bytes", "write_text", "rename", "chmod"]

    class Stop(BaseException):
        pass

    def run(stop_at):
        done = 0

        def counted(real):
            def call(*args, **kwargs):
                nonlocal done
                done += 1
                if done == stop_at:
                    raise Stop
                return real(*args, **kwargs)

            return call

        with monkeypatch.context() as patch:
            for name in calls:
                patch.setattr(folder.Path, name, counted(getattr(folder.Path, name)))
            patch.setattr(folder.os, "fsync", counted(os.fsync))
            write(new, place)

    seen = set()
    for stop_at in range(1, 200):
        write(old, place)
        try:
            run(stop_at)
        except Stop:
            seen.add(read(place).recipe_yaml)
        else:
            assert read(place).recipe_yaml == "new"
            break
    assert stop_at > 10
    assert "old" in seen


def test_without_an_exchange_the_old_folder_goes_when_the_new_one_is_there(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "_exchange", lambda one, other: False)
    for text in ("one", "two"):
        write(a_bundle(text), tmp_path / "b")
    assert read(tmp_path / "b").recipe_yaml == "two"
    assert [p.name for p in tmp_path.iterdir()] == ["b"]


def test_a_bundle_left_between_two_renames_is_told_of(tmp_path):
    write(a_bundle(), tmp_path / "b")
    (tmp_path / ".b.old.1").mkdir()
    (tmp_path / "b").rename(tmp_path / ".b.old.1" / "b")
    with pytest.raises(BundleError, match=r"no such folder.*A whole one is left beside it, in .*\.b\.old\.1"):
        read(tmp_path / "b")


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_a_killed_process_leaves_the_old_or_the_new(tmp_path):
    script = textwrap.dedent(
        """
        import sys
        import numpy as np
        from tilth.bundles import Bundle, write
        i = 0
        while True:
            i += 1
            write(Bundle(f"{i}", [], None, {"i": i, "ballast": np.full(2**18, float(i))}), sys.argv[1])
        """
    )
    place = tmp_path / "b"
    for wait in (0.05, 0.02):
        process = subprocess.Popen([sys.executable, "-c", script, str(place)])
        try:
            deadline = time.monotonic() + 60
            while not place.exists() and time.monotonic() < deadline:
                time.sleep(0.005)
            time.sleep(wait)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        back = read(place)
        assert back.recipe_yaml == str(back.facts["i"])
        assert (back.facts["ballast"] == back.facts["i"]).all()


# Refused


def resign(place, **changes):
    """Make an index fit its files again, as who means harm would."""
    index = json.loads((place / "bundle.json").read_text()) | changes
    for name, told in index["files"].items():
        if (place / name).is_file() and isinstance(told, dict):
            data = (place / name).read_bytes()
            told |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    index.pop("sha256", None)
    index["sha256"] = bundle._sum_of(index)
    (place / "bundle.json").write_text(json.dumps(index))


@pytest.fixture
def place(tmp_path):
    return write(a_bundle(ledger=Ledger()), tmp_path / "b")


def test_a_bit_turned_in_any_file_is_noticed(place):
    for path in sorted(place.iterdir()):
        sound = path.read_bytes()
        for where in {0, len(sound) // 2, len(sound) - 2}:
            path.write_bytes(sound[:where] + bytes([sound[where] ^ 1]) + sound[where + 1 :])
            with pytest.raises(BundleError):
                read(place)
        path.write_bytes(sound)
    assert read(place).recipe_yaml


def test_a_file_cut_short_or_missing_is_named(place):
    path = place / "state.json"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BundleError, match=r"state\.json: is \d+ bytes, expected \d+"):
        read(place)
    path.unlink()
    with pytest.raises(BundleError, match=r"state\.json: is missing"):
        read(place)


def test_a_folder_that_is_no_bundle_says_so(tmp_path, place):
    with pytest.raises(BundleError, match="no such folder"):
        read(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BundleError, match=r"it has no bundle\.json"):
        read(tmp_path / "empty")
    for content in ("[]", "{}", '{"format": "other"}', "[" * 10**5, ""):
        (place / "bundle.json").write_text(content)
        with pytest.raises(BundleError):
            read(place)


@pytest.mark.parametrize("number", [[2, 0], [0, 9], None, "1.0", [1]])
def test_another_major_version_is_refused(place, number):
    resign(place, version=number)
    with pytest.raises(BundleError, match="this version of Tilth reads format 1"):
        read(place)


def test_a_newer_minor_version_is_read(place):
    resign(place, version=[1, 7])
    assert read(place).recipe_yaml


def test_another_scikit_learn_is_a_warning(place):
    resign(place, made_with={"scikit-learn": "0.1"})
    with pytest.warns(TilthWarning, match=rf"scikit-learn 0\.1, read by {version('scikit-learn')}"):
        read(place)


@pytest.mark.parametrize(
    "name",
    ["../secret", "/etc/passwd", "a/../../x", "state.json/../../x", "C:\\x", "part-0.skops/", ".hidden", ""],
)
def test_names_that_leave_the_folder_are_refused(place, name):
    (place.parent / "secret").write_text("secret")
    index = json.loads((place / "bundle.json").read_text())
    resign(
        place, files=index["files"] | {name: {"bytes": 6, "sha256": hashlib.sha256(b"secret").hexdigest()}}
    )
    with pytest.raises(BundleError, match="which no bundle has"):
        read(place)


def test_a_link_out_of_the_folder_is_refused(place):
    outside = place.parent / "outside.json"
    (place / "state.json").rename(outside)
    (place / "state.json").symlink_to(outside)
    with pytest.raises(BundleError, match=r"state\.json: is missing"):
        read(place)


@pytest.mark.parametrize("files", [None, [], {"state.json": None}, {"state.json": {}}, {}])
def test_an_index_without_its_files_is_refused(place, files):
    index = json.loads((place / "bundle.json").read_text())
    index["files"] = files
    index.pop("sha256")
    index["sha256"] = bundle._sum_of(index)
    (place / "bundle.json").write_text(json.dumps(index))
    with pytest.raises(BundleError):
        read(place)


def test_an_index_of_absurd_size_is_not_read(place):
    with (place / "bundle.json").open("ab") as file:
        file.truncate(bundle.LARGEST_INDEX + 1)
    with pytest.raises(BundleError, match="no bundle's index is"):
        read(place)


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x04\x95pickle",
        b"null",
        b"[]",
        b"{}",
        b"[" * 10**5,
        b'{"steps": [{"nam": 1}], "model": null, "facts": {}, "ledger": null}',
        b'{"steps": [{"name": 1, "key": "a"}], "model": null, "facts": {}, "ledger": null}',
        b'{"steps": 3, "model": null, "facts": {}, "ledger": null}',
        b'{"steps": [], "model": null, "facts": [], "ledger": null}',
        b'{"steps": [], "model": null, "facts": {}, "ledger": {}}',
        b'{"steps": [], "model": {"$": "estimator", "of": 7}, "facts": {}, "ledger": null}',
        b'{"steps": [], "model": {"$": "pickle", "of": "x"}, "facts": {}, "ledger": null}',
        b'{"steps": [], "model": null, "facts": {"$": "finding", "of": {"score": NaN}}, "ledger": null}',
        b'{"steps": [], "model": null, "facts": {"a": ' + b"9" * 5000 + b'}, "ledger": null}',
    ],
    ids=range(14),
)
def test_a_state_that_is_none_is_refused(place, content):
    (place / "state.json").write_bytes(content)
    resign(place)
    with pytest.raises(BundleError):
        read(place)


def header(length, text=b""):
    return length.to_bytes(8, "little") + text


@pytest.mark.parametrize(
    "content",
    [
        b"",
        header(2**63),
        header(2**32),
        header(10**9, b"{}"),
        header(2, b"{}") + b"left over",
        header(67, b'{"0":{"dtype":"F64","shape":[99999999999],"data_offsets":[0,8]}}   ') + b"\0" * 8,
        header(64, b'{"0":{"dtype":"F64","shape":[2],"data_offsets":[0,99999999999]}}') + b"\0" * 8,
        header(45, b'{"5":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}') + b"\0",
        header(4, b"[[[["),
    ],
    ids=range(9),
)
def test_arrays_whose_header_lies_are_refused(tmp_path, content):
    place = write(Bundle("", [], None, {"a": np.arange(3.0)}), tmp_path / "b")
    (place / "arrays.safetensors").write_bytes(content)
    resign(place)
    with pytest.raises(BundleError):
        read(place)


@pytest.mark.parametrize("content", [b"", b"ARROW1\0\0" + b"\xff" * 64, b"ARROW1\0\0ARROW1", b"\0" * 100])
def test_frames_that_are_none_are_refused(place, content):
    (place / "frame-0.arrow").write_bytes(content)
    resign(place)
    with pytest.raises(BundleError):
        read(place)
