"""Own models: finished runs as the backbones of new ones."""
