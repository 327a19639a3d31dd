"""scikit-learn's objects through skops, held to a list of types that are known to do nothing when loaded."""

from __future__ import annotations

import re
import struct
import zipfile
from importlib import import_module
from io import BytesIO
from typing import Any

from tilth.errors import BundleError, listed

# What skops does not trust by itself, each looked at: plain holders of numbers, and functions of numbers.
# A hostile file may call any of them with arguments of its choice, so nothing that reads, writes or
# imports may ever stand here.
ALLOWED = frozenset(
    {
        "functools.partial",
        "numpy.dtype",
        "numpy.mean",
        "numpy.median",
        "scipy.interpolate._bsplines.BSpline",
        "scipy.sparse._csc.csc_matrix",
        "scipy.sparse._csr.csr_matrix",
        "sklearn._loss.loss.HalfTweedieLoss",
        "sklearn._loss.loss.HalfTweedieLossIdentity",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.cluster._bisect_k_means._BisectingTree",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.feature_selection._univariate_selection.chi2",
        "sklearn.feature_selection._univariate_selection.f_classif",
        "sklearn.feature_selection._univariate_selection.f_regression",
        "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
        "sklearn.gaussian_process.kernels.ConstantKernel",
        "sklearn.gaussian_process.kernels.Matern",
        "sklearn.gaussian_process.kernels.Product",
        "sklearn.gaussian_process.kernels.RBF",
        "sklearn.gaussian_process.kernels.Sum",
        "sklearn.gaussian_process.kernels.WhiteKernel",
        "sklearn.metrics._classification.balanced_accuracy_score",
        "sklearn.metrics._dist_metrics.EuclideanDistance64",
        "sklearn.metrics._dist_metrics.ManhattanDistance64",
        "sklearn.metrics._dist_metrics.MinkowskiDistance64",
        "sklearn.metrics._scorer._CurveScorer",
        "sklearn.metrics._scorer._Scorer",
        "sklearn.neighbors._ball_tree.BallTree",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.tree._tree.Tree",
        "sklearn.utils._metadata_requests.MetadataRequest",
        "sklearn.utils._metadata_requests.MethodMetadataRequest",
        "sklearn.utils.validation.check_array",
        "tilth.probes.boosting.Boosting",
        "tilth.probes.inputs.Column",
        "tilth.probes.inputs.Inputs",
        "tilth.probes.linear.Linear",
        "tilth.probes.cnn.CNN",
        "tilth.probes.mlp.MLP",
        "tilth.probes.pictures.ImageColumn",
        "tilth.probes.transfer.Transfer",
        "tilth.training.trainer.Epoch",
    }
)
# Estimators only hold what they are given, so those of imbalanced-learn need not be listed one by one.
_ESTIMATOR = re.compile(r"imblearn(\.[a-z_]+)+\.[A-Z]\w*")

# What reading a file that was made to do harm may raise, besides being refused.
_BROKEN = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
)


def dump(value: Any, what: str) -> bytes:
    """Return an estimator as the bytes of a skops file.

    Raises
    ------
    BundleError
        If it could not be loaded without trusting it.
    """
    import skops.io
    from skops.io.exceptions import UnsupportedTypeException

    name = type(value).__name__
    advice = f"Save the pipeline without it (pipe[:-1]), and keep the {name} by means of its own."
    if getattr(value, "holds_code", False):
        raise BundleError(
            f"{what} ({name}) holds a network of your own, which is code, and a bundle holds none. {advice}"
        )
    try:
        data: bytes = skops.io.dumps(value)
    except (UnsupportedTypeException, RuntimeError, TypeError, AttributeError) as error:
        raise BundleError(f"{what} ({name}) cannot be written without pickle: {error}. {advice}") from error
    if unknown := _unknown(data):
        raise BundleError(
            f"{what} ({name}) holds types that a bundle does not load: {listed(unknown)}. {advice}"
        )
    return data


def load(data: bytes, what: str) -> Any:
    """Return the estimator of a skops file, if all its types are known to do nothing when loaded.

    Raises
    ------
    BundleError
        If the file is damaged, or holds a type that is not on the list.
    """
    import skops.io

    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            # Written without compression, so no entry can be larger than the file it is in.
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                raise BundleError(f"{what}: holds compressed parts, which no bundle does. It is not loaded.")
        unknown = _unknown(data)
        if not unknown:
            return skops.io.loads(data, trusted=sorted(_trusted(data)))
    except _BROKEN as error:
        if isinstance(error, BundleError):
            raise
        raise BundleError(
            f"{what}: is damaged ({type(error).__name__}: {error}). Save the pipeline again."
        ) from error
    raise BundleError(
        f"{what}: holds {listed(unknown)}, which may run code when loaded. It is not loaded. "
        "If you trust its maker, ask for the pipeline without this part."
    )


def _asked(data: bytes) -> set[str]:
    import skops.io

    return set(skops.io.get_untrusted_types(data=data))


def _trusted(data: bytes) -> set[str]:
    return {name for name in _asked(data) if name in ALLOWED or _is_estimator(name)}


def _unknown(data: bytes) -> list[str]:
    return sorted(_asked(data) - _trusted(data))


def _is_estimator(name: str) -> bool:
    if not _ESTIMATOR.fullmatch(name) or ".tests." in name:
        return False
    from sklearn.base import BaseEstimator

    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(import_module(module), attribute, None)
    except ImportError:
        return False
    return isinstance(found, type) and issubclass(found, BaseEstimator) and found.__module__ == module
