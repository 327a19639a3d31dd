"""From any column to a number."""
