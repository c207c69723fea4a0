"""The photo check: problems of a dataset in plain sentences, with a one-click fix for each."""
