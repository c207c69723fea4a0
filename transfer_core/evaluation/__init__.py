"""How good a finished run is, in numbers that can be trusted."""
