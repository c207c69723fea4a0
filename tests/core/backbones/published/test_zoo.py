"""The networks of the Keras zoo: pixels, cuts, saving, weights files as Keras publishes them."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.core.backbones.conftest import NUM_CLASSES, Built
from tests.core.backbones.networks import BUILT_QUICK, REPRESENTATIVES
from transfer_core.backbones.backbone import Backbone
from transfer_core.backbones.published.zoo_weights import WEIGHTS_VARIABLE, ZooWeights
from transfer_core.backbones.registry import get_backbone, list_backbones
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.training.features.constant_graph import ConstantGraph
from transfer_core.training.freezing import FreezePlan
from transfer_core.training.layer_facts import layer_facts, layers_by_block
from transfer_core.training.train import train

ZOO = [backbone for backbone in list_backbones() if isinstance(backbone.weights, ZooWeights)]


def keras_model(keras: Any, backbone: Backbone, **options: object) -> Any:
    """The network as Keras itself builds it, for pixels that have gone through `preprocess_input`."""
    size = (backbone.image_size, backbone.image_size, 3)
    builder = getattr(keras.applications, backbone.title)
    return builder(include_top=False, input_shape=size, **options)


def preprocess_input(keras: Any, backbone: Backbone) -> Callable[[np.ndarray], np.ndarray]:
    """The function of the family; its module is named after the builder's."""
    builder = getattr(keras.applications, backbone.title)
    name = builder.__module__.rsplit(".", 1)[-1]

    return getattr(keras.applications, name).preprocess_input


def save_as_keras_publishes(model: Any, path: Path) -> None:
    """Write a weights file in the format of the published ones."""
    import h5py
    from keras.src.legacy.saving import legacy_h5_format

    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)


def test_registry_has_every_network_of_the_library(keras_module) -> None:
    builders = {
        name
        for name, value in vars(keras_module.applications).items()
        if callable(value) and name[0].isupper()
    }
    assert {backbone.title for backbone in ZOO} == builders
    assert len(ZOO) == 40


def test_preprocessing_and_weights_give_the_feature_map_of_keras(
    built: Built, keras_module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a weights file on, on known pixels: the same feature map as Keras gives with that file."""
    backbone = built.backbone
    if backbone not in ZOO:
        pytest.skip("not a network of the Keras zoo")
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(tmp_path))
    theirs = keras_model(keras_module, backbone, weights=None)
    draws = np.random.default_rng(3)
    for weight in theirs.weights:
        if "int" not in weight.dtype:
            is_spread = weight.name.endswith(("variance", "gamma"))
            weight.assign(is_spread + 0.05 * draws.standard_normal(weight.shape, np.float32))
    is_divided_twice = backbone.name.startswith("efficientnet_b")
    if is_divided_twice:
        mean, variance, _count = theirs.get_layer(index=2).weights
        mean.assign([0.485, 0.456, 0.406])
        variance.assign([0.229, 0.224, 0.225])
    file = tmp_path / backbone.weights.download.name
    save_as_keras_publishes(theirs, file)
    monkeypatch.setattr(
        "transfer_core.backbones.published.zoo_weights.has_checksum", lambda path, _checksum: True
    )
    monkeypatch.setattr("keras.src.utils.file_utils.get_file", lambda *_args, **_options: str(file))
    if is_divided_twice:
        theirs = keras_model(keras_module, backbone, weights="imagenet")
    before = built.body.get_weights()
    backbone.weights.load(built.body)
    size = backbone.image_size
    pixels = np.random.default_rng(4).integers(0, 256, (1, size, size, 3)).astype(np.float32)
    expected = theirs(preprocess_input(keras_module, backbone)(pixels.copy()), training=False).numpy()
    found = built.body(pixels, training=False).numpy()
    built.body.set_weights(before)
    scale = np.abs(expected).max()
    assert scale > 0
    np.testing.assert_allclose(found / scale, expected / scale, atol=2e-4)


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


def _count(weights: list[Any]) -> int:
    return sum(math.prod(weight.shape) for weight in weights)


def test_every_block_ends_in_a_cut_and_names_are_the_same_every_time(built: Built) -> None:
    """`layer_facts` builds the network once more."""
    facts = {layer.name: layer for layer in layer_facts(built.backbone)}
    assert all(facts[block.last_layer].is_cut for block in built.backbone.blocks)
    assert [layer.name for layer in built.body.layers] == list(facts)


def test_saved_and_loaded_it_gives_the_same_map_and_a_gradient_to_explain_with(
    built: Built, keras_module, tmp_path: Path
) -> None:
    if built.backbone not in BUILT_QUICK:
        pytest.skip("takes long; tried with all networks")
    import tensorflow as tf

    built.body.save(tmp_path / "model.keras")
    loaded = keras_module.saving.load_model(tmp_path / "model.keras", compile=False)
    size, last_block = built.backbone.image_size, built.backbone.blocks[-1]
    pixels = tf.constant(np.random.default_rng(5).integers(0, 256, (1, size, size, 3)), tf.float32)
    with tf.GradientTape() as tape:
        # Grad-CAM needs the gradient of the answer by the output of the last block.
        activation = keras_module.Model(loaded.input, loaded.get_layer(last_block.last_layer).output)(pixels)
        tape.watch(activation)
        answer = tf.reduce_mean(activation**2)
    assert tape.gradient(answer, activation).shape[1:3] == (last_block.output_size,) * 2
    # The outputs of random weights may be as small as 1e-9.
    largest = np.abs(activation).max()
    assert largest > 0
    np.testing.assert_allclose(built.body(pixels), activation, rtol=1e-4, atol=1e-5 * largest)


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "convnext_tiny"])
def test_constant_graph_equals_the_network(name: str, keras_module) -> None:
    backbone = get_backbone(name)
    model = backbone.build(pretrained=False)
    size = backbone.image_size
    pixels = np.random.default_rng(6).integers(0, 256, (2, size, size, 3)).astype(np.float32)
    found, expected = ConstantGraph(model)(pixels), model(pixels, training=False).numpy()
    # The outputs of random weights may be as small as 1e-9.
    largest = np.abs(expected).max()
    assert largest > 0
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * largest)


@pytest.mark.parametrize("backbone", list_backbones(), ids=lambda entry: entry.name)
def test_facts_of_every_entry_agree_with_each_other(backbone: Backbone) -> None:
    names = [block.name for block in backbone.blocks]
    assert len(set(names)) == len(names)
    assert len(backbone.blocks) >= (1 if backbone.is_frozen_only else 2)
    sizes = [block.output_size for block in backbone.blocks]
    assert sizes == sorted(sizes, reverse=True)
    assert backbone.smallest_image_size <= backbone.image_size
    for block in backbone.blocks:
        counts = (block.num_trainable_parameters, block.num_scratch_parameters, block.num_parameters)
        assert list(counts) == sorted(counts), block.name
    assert backbone.num_multiplications > 10_000_000


def test_weights_files_have_addresses_and_checksums() -> None:
    for backbone in ZOO:
        without_top, with_top = backbone.weights.files
        assert without_top.name != with_top.name
        assert without_top.url.startswith("https://storage.googleapis.com/")
        assert len(without_top.checksum) in (
            (0,) if backbone.name in ("mobilenet", "mobilenet_v2") else (32, 64)
        )
    assert set(REPRESENTATIVES) <= {backbone.name for backbone in ZOO}


def test_small_network_of_the_zoo_trains_through_the_whole_engine(
    color_dataset: ImageDataset, tiny_config: TrainingConfig, tmp_path: Path, keras_module
) -> None:
    """Prefix in the cache, tail trained, model saved: the frozen layers are the same to the bit."""
    config = tiny_config.with_changes(backbone="mobilenet_tiny", num_unfrozen_blocks=1, schedule="one_phase")
    plan = FreezePlan.of(config)
    assert plan.boundary_layer == "conv_pw_11_relu"
    result = train(color_dataset, config, tmp_path / "run", tmp_path / "cache")
    assert result.outcome == "finished"
    trained = keras_module.saving.load_model(result.model_path, compile=False)
    before = get_backbone("mobilenet_tiny").build()
    is_same = {
        name: np.array_equal(before.get_layer(name).kernel, trained.get_layer(name).kernel)
        for name in ("conv1", "conv_pw_3", "conv_pw_13")
    }
    assert is_same == {"conv1": True, "conv_pw_3": True, "conv_pw_13": False}
