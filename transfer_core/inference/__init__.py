"""Predictions of a finished run: model outputs, calibrated probabilities, rejection, explanations."""
