"""Finished runs as the start of new ones."""
