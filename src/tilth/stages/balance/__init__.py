"""Class imbalance."""
