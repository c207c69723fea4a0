"""From a finished run to predictions: outputs, calibrated probabilities, rejection, explanations."""
