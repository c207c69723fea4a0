"""The Transfer Studio engine: from labelled images to a trained classifier, without any page."""

__version__ = "0.1.0"
