"""Labelled files from folders, archives, tables and uploads, without unpacking anything to disk."""
