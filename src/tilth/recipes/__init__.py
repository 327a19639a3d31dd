"""A recipe is text for a list of stages: read and checked before any data is, and written back."""

from tilth.recipes.line import Line
from tilth.recipes.recipe import Recipe
from tilth.recipes.sections import Bench, Data, Loader, Output, Split

__all__ = ["Bench", "Data", "Line", "Loader", "Output", "Recipe", "Split"]
