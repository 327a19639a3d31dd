"""Refuse parameters that are out of range, in scikit-learn's words."""

from __future__ import annotations


def invalid(message: str) -> ValueError:
    """Return scikit-learn's error for a parameter out of range, imported only when it is needed."""
    from sklearn.utils._param_validation import InvalidParameterError

    return InvalidParameterError(message)
