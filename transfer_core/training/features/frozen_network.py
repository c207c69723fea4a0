"""Pretrained networks and their constant graphs, built once per process and shared by everything that is frozen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from transfer_core.backbones.backbone import Backbone
from transfer_core.backbones.runtime import gpu_details, load_keras
from transfer_core.data.parallel import RecentResults
from transfer_core.training.features.constant_graph import ConstantGraph, MixedPrecisionGraph
from transfer_core.training.features.openvino_engine import (
    LEAST_GAIN,
    OpenVinoGraph,
    known_gain,
    openvino_graph,
    openvino_version,
    try_openvino,
)
from transfer_core.training.freezing import POOLING_LAYER, FreezePlan
from transfer_core.training.precision import MIXED_PRECISION, use_mixed_precision

if TYPE_CHECKING:
    import keras

Graph = ConstantGraph | OpenVinoGraph
_Key = tuple[str, str, int]

_OPENVINO = "openvino"
_BYTES_OF_A_WEIGHT = 4
# Networks beyond it are built each time: their forward pass takes far longer than building them.
_MOST_BYTES = 400 * 10**6

_bodies: RecentResults[_Key, keras.Model] = RecentResults(2, _MOST_BYTES)
_graphs: RecentResults[tuple[_Key, tuple[str, ...], str], Graph] = RecentResults(4, _MOST_BYTES)
# TensorFlow on the processor has no name.
_engines: RecentResults[_Key, str] = RecentResults(100, _MOST_BYTES)


def frozen_body(backbone: Backbone) -> keras.Model:
    """Return the pretrained network that all frozen uses share. Never unfreeze or change it.

    Raises:
        WeightsError: If the pretrained weights are missing or damaged.
    """

    def build() -> keras.Model:
        load_keras()
        body = backbone.build()
        body.trainable = False
        return body

    body = _bodies.get(_key(backbone), build, _num_bytes(backbone))
    # Keras lists there each head ever built on the network, but never reads the list: heads would pile up.
    body.output._keras_history.operation._outbound_nodes.clear()
    return body


def body_for(plan: FreezePlan) -> keras.Model:
    """Return the network for a classifier: the shared one if all of it is frozen, else a new one to train.

    Raises:
        WeightsError: If the pretrained weights are missing or damaged.
    """
    backbone = plan.backbone
    if plan.is_from_scratch:
        return backbone.build(pretrained=False)
    if plan.is_all_frozen:
        return frozen_body(backbone)
    return _own_body(backbone)


def _own_body(backbone: Backbone) -> keras.Model:
    kept = _bodies.find(_key(backbone))
    if kept is None:
        return backbone.build()
    body = backbone.build(pretrained=False)
    body.set_weights(kept.get_weights())
    return body


def frozen_graph(
    backbone: Backbone,
    boundaries: Sequence[str],
    cache_dir: Path,
    engine: str = "",
    network: keras.Model | None = None,
) -> Graph:
    """Return the graph from pixels to the outputs of some layers.

    Args:
        backbone: The pretrained network.
        boundaries: Names of its layers, or of the pooling behind it; an output for each.
        cache_dir: Folder of the feature cache, which also keeps converted graphs.
        engine: What `engine_of` returned; TensorFlow if not given.
        network: A network with these layers and their pretrained weights, in place of the shared one.

    Raises:
        WeightsError: If the pretrained weights are missing or damaged.
    """

    def constants() -> ConstantGraph:
        import keras

        is_mixed = engine.startswith(MIXED_PRECISION)
        model = _mixed_body(backbone) if is_mixed else network or frozen_body(backbone)
        names = {layer.name for layer in model.layers}
        outputs = [
            keras.layers.GlobalAveragePooling2D()(model.output)
            if name == POOLING_LAYER and name not in names
            else model.get_layer(name).output
            for name in boundaries
        ]
        kind = MixedPrecisionGraph if is_mixed else ConstantGraph
        return kind(keras.Model(model.input, outputs))

    def build() -> Graph:
        if engine.startswith(_OPENVINO):
            return openvino_graph(cache_dir, f"{key} {boundaries}", constants)
        return constants()

    key = _key(backbone)
    return _graphs.get((key, tuple(boundaries), engine), build, _num_bytes(backbone))


def _mixed_body(backbone: Backbone) -> keras.Model:
    body = _own_body(backbone)
    use_mixed_precision(body)
    return body


def engine_of(
    backbone: Backbone,
    cache_dir: Path,
    is_needed: Callable[[], bool] = lambda: False,
    *,
    is_mixed: bool = False,
) -> str:
    """Return the engine that computes the features of a backbone in this process: its name and version.

    It is part of the key of cached features, so that features of two engines never meet in one training. The first
    call decides.

    Args:
        backbone: The pretrained network.
        cache_dir: Folder of the feature cache, which remembers trials.
        is_needed: Whether TensorFlow's features are incomplete, so that a trial of another engine is worth its time.
        is_mixed: Whether the layers compute in float16.

    Returns:
        Empty for TensorFlow on the processor.
    """
    gpu = gpu_details()
    if is_mixed or gpu:
        return " ".join([MIXED_PRECISION if is_mixed else "gpu", *filter(None, [gpu.get("device_name")])])
    if not openvino_version():
        return ""
    key = _key(backbone)

    def constants() -> ConstantGraph:
        graph = frozen_graph(backbone, [POOLING_LAYER], cache_dir)
        assert isinstance(graph, ConstantGraph)
        return graph

    def decide() -> str:
        gain = known_gain(cache_dir, str(key))
        if gain is None and is_needed():
            converted = f"{key} {[POOLING_LAYER]}"
            gain = try_openvino(
                cache_dir, str(key), constants, lambda: openvino_graph(cache_dir, converted, constants)
            )
        return f"{_OPENVINO} {openvino_version()}" if gain is not None and gain > LEAST_GAIN else ""

    return _engines.get(key, decide, 0)


def _key(backbone: Backbone) -> _Key:
    return backbone.name, backbone.weights.checksum, backbone.image_size


def _num_bytes(backbone: Backbone) -> int:
    return backbone.num_parameters * _BYTES_OF_A_WEIGHT
