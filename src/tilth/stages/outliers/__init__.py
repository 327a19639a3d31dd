"""Values and rows far from the rest."""
