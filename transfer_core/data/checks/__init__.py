"""The photo check: find problems of a dataset, with a sentence and a one-click fix for each."""
