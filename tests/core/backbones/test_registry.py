"""The facts of each backbone agree with its network in Keras."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.backbones.conftest import NUM_CLASSES, Built
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
from transfer_core.training.freezing import FreezePlan
from transfer_core.training.layer_facts import layers_by_block

NO_TOP_PARAMETERS = {
    "efficientnet_lite0": 3_413_024,
    "efficientnet_lite1": 4_189_344,
    "efficientnet_lite2": 4_869_168,
}


def test_number_of_parameters_in_all(built: Built) -> None:
    assert built.body.count_params() == built.backbone.num_parameters
    head = FreezePlan(built.backbone).num_head_parameters(NUM_CLASSES)
    assert built.classifier.count_params() == built.backbone.num_parameters + head


def test_number_of_parameters_of_each_block(built: Built) -> None:
    found = {
        block.name: sum(built.body.get_layer(name).count_params() for name in names)
        for block, names in layers_by_block(built.classifier, built.backbone).items()
    }
    assert found == {block.name: block.num_parameters for block in built.backbone.blocks}


def test_number_of_trainable_parameters_of_each_block(built: Built, keras_module) -> None:
    found = {
        block.name: sum(
            _count(built.body.get_layer(name).trainable_weights)
            for name in names
            if not isinstance(built.body.get_layer(name), keras_module.layers.BatchNormalization)
        )
        for block, names in layers_by_block(built.classifier, built.backbone).items()
    }
    assert found == {block.name: block.num_trainable_parameters for block in built.backbone.blocks}


def test_trainable_and_frozen_parameters_at_every_depth(built: Built) -> None:
    num_blocks = len(built.backbone.blocks)
    depths = range(0, num_blocks + 1, max(num_blocks // 3, 1))
    # Ends with smaller depths: a plan must also freeze what an earlier one unfroze.
    for depth in (*depths, num_blocks, min(2, num_blocks), 0):
        plan = FreezePlan(built.backbone, depth)
        plan.apply(built.classifier)
        weights = (built.classifier.trainable_weights, built.classifier.non_trainable_weights)
        counts = [_count(some) for some in weights]
        expected = [plan.num_trainable_parameters(NUM_CLASSES), plan.num_frozen_parameters(NUM_CLASSES)]
        assert counts == expected, depth


def test_output_size_and_channels_of_each_block(built: Built) -> None:
    for block in built.backbone.blocks:
        shape = tuple(built.body.get_layer(block.last_layer).output.shape)
        assert shape == (None, block.output_size, block.output_size, block.num_channels), block.name
    assert built.backbone.num_features == built.body.output.shape[-1]


def test_input_takes_pixels_of_the_stated_size(built: Built) -> None:
    size = built.backbone.image_size
    assert tuple(built.body.input.shape) == (None, size, size, 3)


def test_blocks_cover_every_layer_once_and_in_order(built: Built) -> None:
    by_block = layers_by_block(built.classifier, built.backbone)
    assert list(by_block) == list(built.backbone.blocks)
    names = [name for block_names in by_block.values() for name in block_names]
    assert sorted(names) == sorted(layer.name for layer in built.body.layers)
    for block, block_names in by_block.items():
        assert block_names, block.name
        assert block.last_layer in block_names


def test_block_names_are_unique(built: Built) -> None:
    names = [block.name for block in built.backbone.blocks]
    assert len(set(names)) == len(names)


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


def _count(weights: list[Any]) -> int:
    return sum(weight.numpy().size for weight in weights)


def test_accuracies_are_as_published_by_the_authors() -> None:
    """tensorflow/tpu, models/official/efficientnet/lite/README.md, column FP32 accuracy."""
    accuracies = {backbone.name: backbone.imagenet_accuracy for backbone in list_backbones()}
    published = {name: accuracy for name, accuracy in accuracies.items() if accuracy is not None}
    assert {name: published[name] for name in published if "lite" in name} == {
        "efficientnet_lite0": 0.751,
        "efficientnet_lite1": 0.767,
        "efficientnet_lite2": 0.776,
    }
