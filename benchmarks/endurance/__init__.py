"""The endurance run: kill, stop, starve and feed rubbish to the engine, and check that nothing is lost."""
