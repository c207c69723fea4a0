"""Decode, resize, augment and compare images."""
