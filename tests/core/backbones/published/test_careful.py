"""Careful networks: features of views and networks as computed one by one, for frozen use, in one plain Keras graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from transfer_core.backbones.backbone import Backbone
from transfer_core.backbones.own.source_model import source_model_backbone, write_source_model
from transfer_core.backbones.published.careful import CombinedWeights, build_careful
from transfer_core.backbones.published.efficientnet_lite import build_efficientnet_lite
from transfer_core.backbones.registry import get_backbone, list_backbones
from transfer_core.config import TrainingConfig
from transfer_core.errors import InvalidConfigError
from transfer_core.inference.explanation import GradCam
from transfer_core.training.advice import depth_advice
from transfer_core.training.classifier import OUTPUT_LAYER, build_classifier
from transfer_core.training.freezing import FreezePlan
from transfer_core.types import Array

SIZE = 64
NETWORKS = {"lite0": {"width": 1.0, "depth": 1.0}, "lite2": {"width": 1.1, "depth": 1.2}}
CAREFUL = [backbone for backbone in list_backbones() if backbone.is_frozen_only]
TINY = get_backbone("careful_tiny")


@pytest.fixture(scope="module")
def pixels() -> Array:
    return np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def single(pixels: Array, keras_module) -> dict[str, Array]:
    """Feature maps of each network alone, of the photos and, under another name, of their mirror images."""
    found = {}
    for name, scale in NETWORKS.items():
        network = build_efficientnet_lite(name=name, image_size=SIZE, **scale)
        get_backbone(f"efficientnet_{name}").weights.load(network)
        found[name] = _outputs(network, pixels)
        found[f"{name} mirrored"] = _outputs(network, pixels[:, :, ::-1])
    return found


def _outputs(network: Any, pixels: Array) -> Array:
    return np.asarray(network(np.ascontiguousarray(pixels), training=False))


def _careful(*, is_mirrored: bool) -> Any:
    network = build_careful(name="both", image_size=SIZE, networks=NETWORKS, is_mirrored=is_mirrored)
    get_backbone("efficientnet_lite0_lite2").weights.load(network)
    return network


def test_features_of_networks_are_side_by_side(pixels: Array, single: dict[str, Array]) -> None:
    both = _outputs(_careful(is_mirrored=False), pixels)
    assert np.allclose(both, np.concatenate([single["lite0"], single["lite2"]], axis=-1), atol=1e-4)


def test_features_are_the_mean_of_photo_and_mirror_image(pixels: Array, single: dict[str, Array]) -> None:
    mirrored = _outputs(_careful(is_mirrored=True), pixels)
    expected = [(single[name] + single[f"{name} mirrored"][:, :, ::-1]) / 2 for name in NETWORKS]
    assert np.allclose(mirrored, np.concatenate(expected, axis=-1), atol=1e-4)


def test_each_region_has_channels_of_its_own(pixels: Array) -> None:
    scale = {"width": 0.1, "depth": 0.1}
    whole, by_region = (
        build_careful(name="one", image_size=96, networks={"a": scale}, has_regions=has_regions)
        for has_regions in (False, True)
    )
    by_region.set_weights(whole.get_weights())
    photos = np.random.default_rng(3).integers(0, 256, (2, 96, 96, 3)).astype(np.float32)
    feature_map, found = (network.predict_on_batch(photos) for network in (whole, by_region))
    assert feature_map.shape[1:3] == (3, 3)
    corners = [(slice(top, top + 2), slice(left, left + 2)) for top in (0, 1) for left in (0, 1)]
    for number, (rows, columns) in enumerate(corners):
        part = found[..., 1280 * number : 1280 * (number + 1)]
        np.testing.assert_allclose(part[:, rows, columns], feature_map[:, rows, columns], atol=1e-5)
        assert np.count_nonzero(part.sum(axis=-1)) <= 2 * 4


def test_saved_network_loads_without_other_code(tmp_path: Path, pixels: Array, keras_module) -> None:
    network = TINY.build()
    network.save(tmp_path / "network.keras")
    loaded = keras_module.saving.load_model(tmp_path / "network.keras", compile=False, safe_mode=True)
    assert np.array_equal(_outputs(loaded, pixels), _outputs(network, pixels))


@pytest.mark.parametrize("backbone", CAREFUL, ids=lambda entry: entry.name)
def test_weights_are_those_of_the_single_networks(backbone: Backbone) -> None:
    assert isinstance(backbone.weights, CombinedWeights)
    single = {name: get_backbone(f"efficientnet_{name}") for name, _part in backbone.weights.parts}
    assert tuple((name, entry.weights) for name, entry in single.items()) == backbone.weights.parts
    assert backbone.megabytes == pytest.approx(sum(entry.megabytes for entry in single.values()))
    assert backbone.num_parameters == sum(entry.num_parameters for entry in single.values())


def test_checksum_depends_on_every_part() -> None:
    weights = get_backbone("efficientnet_lite0_lite2").weights
    assert isinstance(weights, CombinedWeights)
    (name, part), (other_name, other_part) = weights.parts
    swapped = CombinedWeights(((name, other_part), (other_name, part)))
    assert len({weights.checksum, swapped.checksum, CombinedWeights(()).checksum}) == 3


@pytest.mark.parametrize(
    "choices",
    [{"num_unfrozen_blocks": 1}, {"unfrozen_layers": ("a_top_conv",)}, {"weights": "random"}],
    ids=lambda choices: next(iter(choices)),
)
def test_training_the_network_itself_is_refused(choices: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfigError, match="all of it is frozen"):
        FreezePlan.of(TrainingConfig(backbone=TINY.name, **choices))


def test_a_model_on_it_can_be_a_source_and_stays_frozen(tmp_path: Path, pixels: Array, keras_module) -> None:
    config = TrainingConfig(backbone=TINY.name)
    model = build_classifier(FreezePlan.of(config), 2, config)
    facts = {"architecture": TINY.name, "title": "Mine", "class_names": ("a", "b"), "lineage": (TINY.title,)}
    write_source_model(tmp_path, model, TINY, facts)
    source = source_model_backbone(tmp_path, get_backbone)
    assert source.is_frozen_only
    assert np.array_equal(_outputs(source.build(), pixels), _outputs(TINY.build(), pixels))


@pytest.mark.parametrize("backbone", CAREFUL, ids=lambda entry: entry.name)
def test_backbone_is_hashable_for_caches(backbone: Backbone) -> None:
    assert hash(backbone) == hash(get_backbone(backbone.name))


def test_no_depth_is_worth_a_try() -> None:
    assert TINY.max_unfrozen_blocks == 0
    assert depth_advice(FreezePlan(TINY), 10_000).fits


def test_heat_map_of_a_mirrored_photo_is_mirrored(pixels: Array, keras_module) -> None:
    config = TrainingConfig(backbone=TINY.name)
    model = build_classifier(FreezePlan.of(config), 2, config)
    # Every feature supports the first class, so the heat is the sum of the feature map.
    model.get_layer(OUTPUT_LAYER).set_weights([np.tile([1.0, -1.0], (TINY.num_features, 1)), np.zeros(2)])
    explained = GradCam(model, "views_mean", ("a", "b"))
    heat, mirrored = (
        explained.heat_maps(np.ascontiguousarray(photos), ["a"] * len(photos))
        for photos in (pixels, pixels[:, :, ::-1])
    )
    assert np.allclose(mirrored[:, :, ::-1], heat, atol=0.01)
    assert not np.allclose(mirrored, heat, atol=0.1)
