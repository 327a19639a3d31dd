"""Labels you should not trust."""
