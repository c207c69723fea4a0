"""Runs on disk, the queue they wait in, and the thread that trains them."""
