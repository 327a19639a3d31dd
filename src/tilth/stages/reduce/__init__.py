"""Stages that put fewer columns in the place of many."""
