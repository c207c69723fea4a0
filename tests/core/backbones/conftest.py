"""Each network is built once for all tests about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests.core.backbones.networks import BUILT
from transfer_core.backbones.backbone import Backbone
from transfer_core.config import TrainingConfig
from transfer_core.training.classifier import build_classifier
from transfer_core.training.freezing import FreezePlan

NUM_CLASSES = 5


@dataclass(frozen=True)
class Built:
    backbone: Backbone
    body: Any
    classifier: Any


@pytest.fixture(scope="session", params=BUILT, ids=lambda entry: entry.name)
def built(request: pytest.FixtureRequest, keras_module) -> Built:
    """An entry with its network, without and with a new last layer. They share their layers."""
    fresh = request.param.build(pretrained=False)
    classifier = build_classifier(FreezePlan(request.param), NUM_CLASSES, TrainingConfig(), fresh)
    last_layer = request.param.blocks[-1].last_layer
    body = keras_module.Model(classifier.input, classifier.get_layer(last_layer).output)
    return Built(request.param, body, classifier)
