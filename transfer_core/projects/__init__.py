"""A whole project as one file: images, runs and the models they build on, for another computer."""
