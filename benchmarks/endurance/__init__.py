"""Endurance benchmark: kill, interrupt, starve and fuzz the engine, and check that no work is lost."""
