"""A fitted pipeline on disk: JSON, safetensors, Arrow and skops; no pickle, so loading runs no code."""

from tilth.bundles.bundle import Bundle, Step, read, write
from tilth.bundles.folder import whole_folder
from tilth.bundles.state import restore, state_of

__all__ = ["Bundle", "Step", "read", "restore", "state_of", "whole_folder", "write"]
