"""Runs on disk: their choices, events, models and results."""
