"""Metrics of trained models, comparisons between them, and linear probes of backbones."""
