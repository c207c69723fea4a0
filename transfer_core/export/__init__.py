"""Export of trained models to other formats, each compared with the app's own predictions."""
