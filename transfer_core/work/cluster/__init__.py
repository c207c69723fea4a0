"""Trainings on other computers, through Ray: the executor, its driver process, and what runs on a node."""
