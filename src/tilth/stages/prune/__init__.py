"""Rows that a model could do without."""
