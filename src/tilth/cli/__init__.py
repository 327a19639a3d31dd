"""The command line: parses, calls, prints. Everything it can do, Python can."""

from tilth.cli.main import main

__all__ = ["main"]
