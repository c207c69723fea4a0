"""Labels from tables."""
