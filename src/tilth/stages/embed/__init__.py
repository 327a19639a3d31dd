"""Images as numbers."""
