"""Pretrained models from their makers: the Keras zoo and EfficientNet-Lite, and where their weights come from."""
