"""The single layers of a backbone: where it can be cut, and which layers can be unfrozen one by one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from transfer_core.backbones.backbone import Backbone, Block
from transfer_core.backbones.runtime import load_keras

if TYPE_CHECKING:
    import keras


# Activation functions of several operations: TensorFlow keeps the output of each (docs/benchmarks.md).
_NUM_OPERATIONS = {"gelu": 6, "silu": 2, "hard_silu": 2}


@dataclass(frozen=True)
class LayerFacts:
    """One layer of a backbone.

    Args:
        name: Keras's name, unique in its backbone.
        block_name: The block that it belongs to.
        kind: Keras class, such as `"Conv2D"`.
        num_parameters: Weights, as Keras counts them.
        num_activations: Values kept in memory for one image until the backward pass.
        can_learn: Whether it has weights that may be unfrozen; false for BatchNormalization.
        is_cut: Whether all later layers depend on its output alone.
    """

    name: str
    block_name: str
    kind: str
    num_parameters: int
    num_activations: int
    can_learn: bool
    is_cut: bool


@lru_cache
def layer_facts(backbone: Backbone) -> tuple[LayerFacts, ...]:
    """Return every layer of a backbone, from input to output. The first call builds it, in about a second."""
    load_keras()
    import keras

    model = backbone.build(pretrained=False)
    block_names = {
        name: block.name for block, names in layers_by_block(model, backbone).items() for name in names
    }
    return tuple(
        LayerFacts(
            name=layer.name,
            block_name=block_names[layer.name],
            kind=type(layer).__name__,
            num_parameters=layer.count_params(),
            num_activations=math.prod(layer.output.shape[1:]) * _num_operations(layer),
            can_learn=bool(layer.trainable_weights)
            and not backbone.is_frozen_only
            and not isinstance(layer, keras.layers.BatchNormalization),
            is_cut=is_cut,
        )
        for layer, is_cut in zip(model.layers, cuts(model), strict=True)
    )


def _num_operations(layer: keras.Layer) -> int:
    return _NUM_OPERATIONS.get(getattr(getattr(layer, "activation", None), "__name__", ""), 1)


def layers_by_block(model: keras.Model, backbone: Backbone) -> dict[Block, list[str]]:
    """Return the names of the layers of each block, from behind the block before it to its own last layer.

    Keras orders layers by their distance from the output. A block ends in a cut, so its layers follow each other.

    Args:
        model: The backbone, or a classifier on it.
        backbone: Its blocks.

    Raises:
        ValueError: If the model lacks the last layer of a block.
    """
    names = [layer.name for layer in model.layers]
    found: dict[Block, list[str]] = {}
    start = 0
    for block in backbone.blocks:
        end = names.index(block.last_layer) + 1
        found[block] = names[start:end]
        start = end
    return found


def cuts(model: keras.Model) -> Iterator[bool]:
    """Yield for each layer of a flat model whether no earlier tensor is used behind it."""
    import keras

    # Some networks add and multiply between their layers: operations that are no layers, but use tensors.
    steps = model.operations
    position = {
        id(tensor): index for index, step in enumerate(steps) for tensor in keras.tree.flatten(step.output)
    }
    last_use = dict.fromkeys(range(len(steps)), 0)
    for index, step in enumerate(steps):
        if isinstance(step, keras.layers.InputLayer):
            continue
        for tensor in keras.tree.flatten(step.input):
            last_use[position[id(tensor)]] = index
    furthest = 0
    for index, step in enumerate(steps):
        if isinstance(step, keras.Layer):
            yield furthest <= index
        furthest = max(furthest, last_use[index])
