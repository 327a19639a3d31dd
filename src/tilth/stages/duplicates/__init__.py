"""Rows that are there twice."""
