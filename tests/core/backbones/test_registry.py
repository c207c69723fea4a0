"""The facts of each backbone agree with its network in Keras."""

from __future__ import annotations

import pytest

from transfer_core.backbones.backbone import Backbone
from transfer_core.backbones.published.efficientnet_lite import find_weights
from transfer_core.backbones.registry import (
    DEFAULT_BACKBONE,
    bundled_backbones,
    get_backbone,
    list_backbones,
)
from transfer_core.config import TrainingConfig
from transfer_core.errors import NotFoundError

NO_TOP_PARAMETERS = {
    "efficientnet_lite0": 3_413_024,
    "efficientnet_lite1": 4_189_344,
    "efficientnet_lite2": 4_869_168,
}


@pytest.mark.parametrize(("name", "num_parameters"), NO_TOP_PARAMETERS.items())
def test_lite_parameters_without_classifier(name: str, num_parameters: int) -> None:
    assert get_backbone(name).num_parameters == num_parameters


@pytest.mark.parametrize("backbone", bundled_backbones(), ids=lambda entry: entry.name)
def test_megabytes_and_checksum_match_the_weights_file(backbone: Backbone) -> None:
    path = find_weights(backbone.weights.package, backbone.weights.checksum)
    assert round(path.stat().st_size / 1e6, 1) == backbone.megabytes


@pytest.mark.parametrize("backbone", list_backbones(), ids=lambda entry: entry.name)
def test_every_entry_describes_itself_on_screen(backbone: Backbone) -> None:
    facts = (
        backbone.title,
        backbone.family,
        backbone.when_to_pick,
        backbone.licence,
        backbone.weights_source,
    )
    assert all(fact.strip() for fact in facts)
    if backbone.is_frozen_only:
        # Nobody has published the accuracy of a combination.
        assert (backbone.imagenet_accuracy, backbone.accuracy_source) == (None, "")
        return
    assert backbone.accuracy_source.strip()
    assert backbone.imagenet_accuracy is not None
    assert 0.5 < backbone.imagenet_accuracy < 1


def test_network_for_tests_is_hidden() -> None:
    assert "tiny_random" not in [backbone.name for backbone in list_backbones()]
    assert "tiny_random" in [backbone.name for backbone in list_backbones(include_hidden=True)]


def test_default_is_the_first_a_person_sees() -> None:
    assert list_backbones()[0] is get_backbone(DEFAULT_BACKBONE)
    assert TrainingConfig().backbone == DEFAULT_BACKBONE


def test_unknown_name_suggests_the_nearest_or_the_bundled_backbones() -> None:
    with pytest.raises(NotFoundError) as caught:
        get_backbone("resnet9000")
    message = str(caught.value)
    assert "resnet9000" in message
    assert "resnet50" in message
    with pytest.raises(NotFoundError, match=DEFAULT_BACKBONE) as caught:
        get_backbone("../../etc")
    assert "tiny_random" not in str(caught.value)


def test_accuracies_are_as_published_by_the_authors() -> None:
    """tensorflow/tpu, models/official/efficientnet/lite/README.md, column FP32 accuracy."""
    accuracies = {backbone.name: backbone.imagenet_accuracy for backbone in list_backbones()}
    published = {name: accuracy for name, accuracy in accuracies.items() if accuracy is not None}
    assert {name: published[name] for name in published if "lite" in name} == {
        "efficientnet_lite0": 0.751,
        "efficientnet_lite1": 0.767,
        "efficientnet_lite2": 0.776,
    }
