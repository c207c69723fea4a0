"""From a dataset and a config to a trained model: frozen layers computed once, the rest trained by Keras."""
