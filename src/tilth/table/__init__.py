"""A table is one lazy frame and the roles of its columns: rows cannot come apart."""

from tilth.table.container import Container
from tilth.table.kinds import KINDS, Kind, kind_of
from tilth.table.read import read
from tilth.table.selectors import Selector, select
from tilth.table.table import ROW, Roles, Table

__all__ = ["KINDS", "ROW", "Container", "Kind", "Roles", "Selector", "Table", "kind_of", "read", "select"]
