"""Benchmarks, one command each. They print ratios that are measured within one run."""
