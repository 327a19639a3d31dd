"""Choosing columns."""
