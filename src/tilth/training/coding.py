"""Encode rows and decode codes with trained weights: in float64, a row alone as among others."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from tilth.training.codes import MOST_LOG_VARIANCE, Layout
from tilth.training.networks import ACTIVATIONS


def encode(
    weights: Mapping[str, np.ndarray], wide: np.ndarray, layout: Layout, activation: str
) -> np.ndarray:
    """Return the codes of rows.

    Parameters
    ----------
    weights : mapping
        From `train_codes`.
    wide : ndarray of shape (n_rows, n_wide)
        NaN where missing.
    layout : Layout
    activation : str

    Returns
    -------
    ndarray of shape (n_rows, n_heads), float64
        Where variational, the means and then the logarithms of the variances.
    """
    gaps = np.isnan(wide)
    known = np.where(gaps, 0, wide).astype(np.float64)
    heads = _layers(weights, "encoder", np.hstack([known, gaps[:, layout.first]]), activation)
    straight = _linear(weights, "into", known)
    size = straight.shape[1]
    heads[:, :size] += straight
    np.clip(heads[:, size:], *MOST_LOG_VARIANCE, out=heads[:, size:])
    return heads


def decode(
    weights: Mapping[str, np.ndarray], codes: np.ndarray, activation: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows that codes stand for, and for each holed column the logit of a missing cell.

    Returns
    -------
    wide : ndarray of shape (n_rows, n_wide), float64
        Numbers as they are scaled; for each category the logarithm of its share, up to a constant per column.
    missing : ndarray of shape (n_rows, n_holed)
    """
    straight = _linear(weights, "out", codes)
    bent = _layers(weights, "decoder", codes, activation)
    n_wide = straight.shape[1]
    return straight + bent[:, :n_wide], bent[:, n_wide:]


def _linear(weights: Mapping[str, np.ndarray], name: str, values: np.ndarray) -> np.ndarray:
    product: np.ndarray = values @ weights[f"{name}.weight"].T.astype(np.float64)
    product += weights[f"{name}.bias"]
    return product


def _layers(weights: Mapping[str, np.ndarray], part: str, values: np.ndarray, activation: str) -> np.ndarray:
    names = [name.removesuffix(".weight") for name in weights if name.endswith(".weight")]
    *hidden, last = (name for name in names if name.startswith(f"{part}."))
    activate = ACTIVATIONS[activation]()
    for name in hidden:
        values = activate(torch.from_numpy(_linear(weights, name, values))).numpy()
    return _linear(weights, last, values)
