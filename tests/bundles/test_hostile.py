"""Estimator files that were made to do harm: none is loaded, and nothing in them is run."""

import io
import json
import os
import pickle
import subprocess
import zipfile

import numpy as np
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import FunctionTransformer

from tilth.bundles import estimators
from tilth.errors import BundleError


@pytest.fixture(autouse=True)
def trap(monkeypatch, tmp_path):
    """Note every call of what an attacker would want to call."""
    sprung = []
    for place, name in ((os, "system"), (subprocess, "Popen"), (os, "popen"), (os, "execv"), (os, "remove")):
        monkeypatch.setattr(place, name, lambda *args, _name=name, **kwargs: sprung.append(_name))
    yield
    assert sprung == []


def sound():
    return skops.io.dumps(LogisticRegression().fit(np.arange(8.0).reshape(4, 2), [0, 1, 0, 1]))


def archive(schema, members=(), compression=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as file:
        file.writestr("schema.json", schema if isinstance(schema, str) else json.dumps(schema))
        for name, data in members:
            file.writestr(name, data)
    return out.getvalue()


def node(module, name, loader, **more):
    return {"__class__": name, "__module__": module, "__loader__": loader, "__id__": 1, **more}


def text(value):
    return node("builtins", "str", "JsonNode", content=json.dumps(value), is_json=True)


def args(*values):
    return node("builtins", "tuple", "TupleNode", content=[text(v) for v in values])


def whole(inner):
    return inner | {"protocol": skops.io._protocol.PROTOCOL, "_skops_version": skops.__version__}


def npy(header):
    body = header.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(body).to_bytes(2, "little") + body


HUGE = npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000000000,), }")
OBJECTS = npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }") + pickle.dumps([1])
ARRAY = {"type": "numpy", "file": "a.npy"}

ARTIFACTS = {
    "no archive": b"not a zip",
    "nothing": b"",
    "pickle": pickle.dumps({"a": 1}),
    "empty archive": archive("{}")[:30],
    "no schema": archive("{}").replace(b"schema.json", b"schemx.json"),
    "schema is no json": archive("{"),
    "schema is empty": archive({}),
    "schema is deep": archive('{"a":' * 50_000),
    "unknown node": archive(whole(node("os", "system", "NoSuchNode"))),
    "unknown protocol": archive(node("builtins", "str", "JsonNode", content="1") | {"protocol": 10**6}),
    "a function": archive(whole(node("posix", "system", "FunctionNode"))),
    "a function of numpy that runs text": archive(
        whole(node("numpy.testing._private.utils", "runstring", "FunctionNode"))
    ),
    "a call by constructor": archive(
        whole(node("posix", "system", "ConstructorFromReduceNode", content=args("touch sprung")))
    ),
    "a process by constructor": archive(
        whole(node("subprocess", "Popen", "ConstructorFromReduceNode", content=args("touch sprung")))
    ),
    "a method caller": archive(
        whole(node("operator", "methodcaller", "OperatorFuncNode", attrs=args("system", "touch sprung")))
    ),
    "a partial of a shell": archive(
        whole(
            node(
                "functools",
                "partial",
                "PartialNode",
                content={
                    "func": node("posix", "system", "FunctionNode"),
                    "args": args("touch sprung"),
                    "kwds": text({}),
                    "namespace": text(None),
                },
            )
        )
    ),
    "an object of any class": archive(whole(node("subprocess", "Popen", "ObjectNode", content=text({})))),
    "a type": archive(whole(node("os", "_wrap_close", "TypeNode"))),
    "a module named like an estimator": archive(
        whole(node("imblearn.tests.test_docstring_parameters", "Os", "TypeNode"))
    ),
    "a function of imbalanced-learn": archive(whole(node("imblearn.utils", "Substitution", "FunctionNode"))),
    "compressed": archive(whole(text("x" * 10**6)), compression=zipfile.ZIP_DEFLATED),
    "an array of absurd size": archive(
        whole(node("numpy", "ndarray", "NdArrayNode", **ARRAY)), [("a.npy", HUGE)]
    ),
    "an array of objects": archive(
        whole(node("numpy", "ndarray", "NdArrayNode", **ARRAY)), [("a.npy", OBJECTS)]
    ),
    "an array that is missing": archive(whole(node("numpy", "ndarray", "NdArrayNode", **ARRAY))),
    "a path out of the archive": archive(
        whole(node("numpy", "ndarray", "NdArrayNode", type="numpy", file="../../../../etc/passwd"))
    ),
    "cut short": sound()[:-40],
    "a bit turned in an array": sound().replace(b"\x93NUMPY", b"\x93NUMPX"),
}


@pytest.mark.parametrize("name", ARTIFACTS)
def test_a_hostile_file_is_refused_and_nothing_in_it_is_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BundleError, match=r"part\.skops"):
        estimators.load(ARTIFACTS[name], "part.skops")
    assert list(tmp_path.iterdir()) == []


def test_a_sound_file_is_loaded():
    assert isinstance(estimators.load(sound(), "part.skops"), LogisticRegression)


def test_a_function_hidden_in_an_estimator_is_named():
    data = skops.io.dumps(FunctionTransformer(os.path.join))
    with pytest.raises(BundleError, match=r"holds posixpath\.join|holds ntpath\.join"):
        estimators.load(data, "part.skops")


def test_nothing_on_the_list_reads_writes_imports_or_runs():
    """The list is short enough to be looked at; this keeps the worst from slipping in."""
    for name in estimators.ALLOWED:
        assert name.partition(".")[0] in ("functools", "numpy", "scipy", "sklearn", "tilth")
        last = name.rpartition(".")[2]
        assert not any(
            word in last.lower() for word in ("load", "open", "file", "exec", "eval", "run", "import", "path")
        )
