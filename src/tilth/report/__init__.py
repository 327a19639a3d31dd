"""The result for people and programs: one HTML file, plain values, tables for the terminal."""

from tilth.report.data import as_json, versions
from tilth.report.page import page, write
from tilth.report.words import summary

__all__ = ["as_json", "page", "summary", "versions", "write"]
