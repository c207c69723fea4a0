"""The optional engine: the same features, kept on disk, taken only where it is quicker."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs

from transfer_core.backbones.registry import get_backbone
from transfer_core.data.dataset import ImageDataset
from transfer_core.training.features import frozen_network, openvino_engine
from transfer_core.training.features.constant_graph import ConstantGraph
from transfer_core.training.features.feature_cache import load_features
from transfer_core.training.features.feature_files import find_files
from transfer_core.training.features.frozen_network import engine_of, frozen_graph
from transfer_core.training.features.openvino_engine import openvino_graph, openvino_version, try_openvino
from transfer_core.training.freezing import POOLING_LAYER, FreezePlan

TINY = get_backbone("tiny_random")
needs_openvino = pytest.mark.skipif(
    not openvino_version(), reason="needs OpenVINO: pip install -r requirements-openvino.txt"
)


@pytest.fixture(autouse=True)
def undecided(keras_module, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No engine is chosen yet."""
    monkeypatch.setattr(frozen_network, "_engines", type(frozen_network._engines)(100, 1))
    yield
    openvino_version.cache_clear()


def constants(name: str, cache_dir: Path, *boundaries: str) -> ConstantGraph:
    graph = frozen_graph(get_backbone(name), boundaries or (POOLING_LAYER,), cache_dir)
    assert isinstance(graph, ConstantGraph)
    return graph


def some_images(name: str) -> np.ndarray:
    size = get_backbone(name).image_size
    return np.random.default_rng(0).integers(0, 256, (5, size, size, 3)).astype(np.uint8)


@pytest.mark.parametrize("gain", [0.5, 2.0])
def test_is_taken_where_a_trial_says_that_it_is_quicker(
    gain: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials: list[str] = []
    monkeypatch.setattr(frozen_network, "openvino_version", lambda: "2026.4")
    monkeypatch.setattr(frozen_network, "try_openvino", lambda folder, key, *_: trials.append(key) or gain)
    expected = "openvino 2026.4" if gain > 1 else ""
    assert engine_of(TINY, tmp_path, lambda: True) == expected
    assert engine_of(TINY, tmp_path, lambda: True) == expected
    assert len(trials) == 1


def test_with_all_features_cached_nothing_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frozen_network, "openvino_version", lambda: "2026.4")
    monkeypatch.setattr(frozen_network, "try_openvino", lambda *_: 2.0)
    assert engine_of(TINY, tmp_path) == ""
    # The first answer counts for the whole process.
    assert engine_of(TINY, tmp_path, lambda: True) == ""


def test_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_engine, "version", lambda package: "2026.4")
    openvino_version.cache_clear()
    assert openvino_version() == "2026.4"
    monkeypatch.setenv(openvino_engine.OPENVINO_VARIABLE, "0")
    openvino_version.cache_clear()
    assert openvino_version() == ""


def test_an_engine_that_fails_is_not_taken_and_the_trial_is_remembered(tmp_path: Path) -> None:
    def fail() -> None:
        raise RuntimeError

    assert openvino_engine.known_gain(tmp_path, "key") is None
    assert try_openvino(tmp_path, "key", lambda: constants(TINY.name, tmp_path), fail) == 0
    assert openvino_engine.known_gain(tmp_path, "key") == 0
    assert openvino_engine.known_gain(tmp_path, "other") is None


@needs_openvino
class TestOpenVino:
    @pytest.mark.parametrize(
        "name", ["tiny_random", "efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"]
    )
    def test_agrees_with_tensorflow_whatever_the_neighbours(self, name: str, tmp_path: Path) -> None:
        backbone, images = get_backbone(name), some_images(name)
        boundaries = (backbone.blocks[-2].last_layer, POOLING_LAYER)
        theirs = constants(name, tmp_path, *boundaries)
        ours = openvino_graph(tmp_path, name, lambda: theirs)
        for found, expected in zip(ours.outputs(images[0]), theirs.outputs(images[0]), strict=True):
            np.testing.assert_allclose(found, expected, atol=1e-4)
        together = ours(images)
        np.testing.assert_array_equal(ours(images[::-1]), together[::-1])
        np.testing.assert_array_equal(ours(images[:1]), together[:1])

    def test_converts_once_and_again_if_the_file_is_damaged(self, tmp_path: Path) -> None:
        conversions: list[int] = []

        def convert() -> ConstantGraph:
            conversions.append(1)
            return constants(TINY.name, tmp_path)

        images = some_images(TINY.name)
        expected = openvino_graph(tmp_path, "key", convert)(images)
        np.testing.assert_array_equal(openvino_graph(tmp_path, "key", convert)(images), expected)
        assert len(conversions) == 1
        (weights,) = tmp_path.glob("engines/*/model.bin")
        content = bytearray(weights.read_bytes())
        content[len(content) // 2] ^= 255
        weights.write_bytes(content)
        np.testing.assert_array_equal(openvino_graph(tmp_path, "key", convert)(images), expected)
        assert len(conversions) == 2

    def test_its_features_are_kept_apart(
        self, color_dataset: ImageDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        some = structs.replace(color_dataset, images=color_dataset.images[:4])
        plan = FreezePlan(TINY)
        monkeypatch.setattr(frozen_network, "try_openvino", lambda *_: 0.5)
        expected = np.array(load_features(some, plan, tmp_path / "tensorflow"))
        monkeypatch.setattr(frozen_network, "_engines", type(frozen_network._engines)(100, 1))
        monkeypatch.setattr(frozen_network, "try_openvino", lambda *_: 2.0)
        found = np.array(load_features(some, plan, tmp_path / "openvino"))
        np.testing.assert_allclose(found, expected, atol=1e-4)
        families = [find_files(tmp_path / name, "*")[0].path.name[:30] for name in ("tensorflow", "openvino")]
        assert families[0] != families[1]

    def test_its_telemetry_is_never_loaded(self, tmp_path: Path) -> None:
        openvino_graph(tmp_path, "key", lambda: constants(TINY.name, tmp_path))
        assert sys.modules["openvino_telemetry"] is None
        assert not any(name.startswith("openvino_telemetry.") for name in sys.modules)
