"""Pretrained networks: the facts about each, how it is built, and where its weights are."""
