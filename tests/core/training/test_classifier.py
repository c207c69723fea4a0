"""Prefix and tail of a classifier together equal the whole."""

from __future__ import annotations

import numpy as np
import pytest

from transfer_core.backbones.registry import get_backbone
from transfer_core.config import TrainingConfig
from transfer_core.data.images.decoding import decode_image
from transfer_core.data.images.image_path import to_pixels
from transfer_core.training.classifier import build_classifier, split_at_boundary
from transfer_core.training.freezing import FreezePlan

TINY = get_backbone("tiny_random")
CONFIG = TrainingConfig(backbone="tiny_random")


@pytest.fixture(scope="module")
def tiny_classifier(keras_module):
    return build_classifier(FreezePlan(TINY), 3, CONFIG)


def test_gives_one_probability_for_each_class(tiny_classifier, noise_pixels) -> None:
    scores = tiny_classifier(noise_pixels, training=False).numpy()
    assert scores.shape == (8, 3)
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)
    assert scores.min() >= 0


def test_is_flat_so_that_every_layer_can_be_frozen_by_name(tiny_classifier, keras_module) -> None:
    assert not any(isinstance(layer, keras_module.Model) for layer in tiny_classifier.layers)


def test_dropout_is_the_configured_one(keras_module) -> None:
    model = build_classifier(FreezePlan(TINY), 3, CONFIG.with_changes(dropout=0.35))
    assert model.get_layer("dropout").rate == 0.35


def test_seed_fixes_the_new_layer(keras_module) -> None:
    def kernel(seed: int) -> np.ndarray:
        model = build_classifier(FreezePlan(TINY), 3, CONFIG.with_changes(seed=seed))
        return model.get_layer("new_layer").get_weights()[0]

    np.testing.assert_array_equal(kernel(1), kernel(1))
    assert not np.array_equal(kernel(1), kernel(2))


def test_kernels_from_scratch_have_the_variance_of_their_inputs(keras_module) -> None:
    layers = keras_module.layers
    inputs = keras_module.Input((32, 32, 3))
    x = layers.Conv2D(64, 3, name="full")(inputs)
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise")(x)
    x = layers.SeparableConv2D(64, 5, name="separable")(x)
    plan = FreezePlan(TINY, 3, is_from_scratch=True)

    def kernels(seed: int) -> dict[str, np.ndarray]:
        body = keras_module.Model(inputs, x)
        build_classifier(plan, 3, CONFIG.with_changes(seed=seed), body)
        return {weight.path: weight.numpy() for weight in body.weights if weight.name.endswith("kernel")}

    drawn = kernels(1)
    num_inputs = {
        "full/kernel": 3 * 3 * 3,
        "depthwise/kernel": 3 * 3,
        "separable/depthwise_kernel": 5 * 5,
        "separable/pointwise_kernel": 128,
    }
    assert drawn.keys() == num_inputs.keys()
    for path, count in num_inputs.items():
        assert drawn[path].std() == pytest.approx(np.sqrt(2 / count), rel=0.1)
    assert all(np.array_equal(kernels(1)[path], kernel) for path, kernel in drawn.items())
    assert not np.array_equal(kernels(2)["depthwise/kernel"], drawn["depthwise/kernel"])


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_parts_of_the_tiny_network_compose_to_the_whole(depth: int, tiny_classifier, noise_pixels) -> None:
    prefix, tail = split_at_boundary(tiny_classifier, FreezePlan(TINY, depth).boundary_layer)
    composed = tail(prefix(noise_pixels, training=False), training=False).numpy()
    whole = tiny_classifier(noise_pixels, training=False).numpy()
    np.testing.assert_allclose(composed, whole, atol=1e-6)


@pytest.mark.parametrize("depth", range(1, 4))
def test_every_trainable_layer_is_in_the_tail(depth: int, tiny_classifier, keras_module) -> None:
    plan = FreezePlan(TINY, depth)
    plan.apply(tiny_classifier)
    prefix, tail = split_at_boundary(tiny_classifier, plan.boundary_layer)
    assert prefix is None or prefix.trainable_weights == []
    assert len(tail.trainable_weights) == len(tiny_classifier.trainable_weights) == depth + 2


def test_parts_share_their_layers_with_the_whole(tiny_classifier) -> None:
    prefix, tail = split_at_boundary(tiny_classifier, "block1_relu")
    assert prefix.get_layer("block1_conv") is tiny_classifier.get_layer("block1_conv")
    assert tail.get_layer("new_layer") is tiny_classifier.get_layer("new_layer")


def test_without_a_boundary_the_tail_is_the_whole(tiny_classifier) -> None:
    prefix, tail = split_at_boundary(tiny_classifier, None)
    assert prefix is None
    assert tail.layers == tiny_classifier.layers
    # Compiled, it would be saved with its optimizer.
    assert tail is not tiny_classifier


def test_parts_of_a_network_with_shortcuts_compose_to_the_whole(sample_picture: bytes, keras_module) -> None:
    backbone = get_backbone("efficientnet_lite0")
    model = build_classifier(FreezePlan(backbone), 3, TrainingConfig())
    pixels = to_pixels(decode_image(sample_picture), backbone.image_size)[np.newaxis].astype(np.float32)
    whole = model(pixels, training=False).numpy()
    for depth in (0, 1, 4, 7, 8):
        prefix, tail = split_at_boundary(model, FreezePlan(backbone, depth).boundary_layer)
        composed = tail(prefix(pixels, training=False), training=False).numpy()
        np.testing.assert_allclose(composed, whole, atol=1e-5, err_msg=f"{depth} unfrozen blocks")
