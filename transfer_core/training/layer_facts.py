"""The single layers of a backbone, for those who choose what learns layer by layer."""

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


# Activations of several steps: TensorFlow keeps what leaves each of them (docs/benchmarks.md).
_STEPS = {"gelu": 6, "silu": 2, "hard_silu": 2}


@dataclass(frozen=True)
class LayerFacts:
    """One layer of a backbone.

    Args:
        name: Keras's name of it, unique in its backbone.
        block_name: The block it is in.
        kind: What it is, such as `"Conv2D"`.
        num_parameters: Its weights, as Keras counts them.
        num_kept: Numbers that stay in memory for one image until its gradients are known.
        can_learn: Whether it has weights that may be unfrozen. BatchNormalization stays in inference mode.
        is_cut: Whether everything behind it depends on its output alone.
    """

    name: str
    block_name: str
    kind: str
    num_parameters: int
    num_kept: int
    can_learn: bool
    is_cut: bool


@lru_cache
def layer_facts(backbone: Backbone) -> tuple[LayerFacts, ...]:
    """Return every layer of a backbone, from input to output. Builds it once, which takes a second or two."""
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
            num_kept=math.prod(layer.output.shape[1:]) * _num_steps(layer),
            can_learn=bool(layer.trainable_weights)
            and not isinstance(layer, keras.layers.BatchNormalization),
            is_cut=is_cut,
        )
        for layer, is_cut in zip(model.layers, cuts(model), strict=True)
    )


def _num_steps(layer: keras.Layer) -> int:
    return _STEPS.get(getattr(getattr(layer, "activation", None), "__name__", ""), 1)


def layers_by_block(model: keras.Model, backbone: Backbone) -> dict[Block, list[str]]:
    """Return the names of the layers of each block: what its last layer depends on, less the blocks before.

    Args:
        model: The backbone, or a classifier on it.
        backbone: Its blocks.

    Raises:
        ValueError: If the model lacks the last layer of a block.
    """
    import keras

    seen: set[str] = set()
    found: dict[Block, list[str]] = {}
    for block in backbone.blocks:
        until_here = keras.Model(model.input, model.get_layer(block.last_layer).output).layers
        found[block] = [layer.name for layer in until_here if layer.name not in seen]
        seen.update(found[block])
    return found


def cuts(model: keras.Model) -> Iterator[bool]:
    """Say of each layer of a flat model whether no tensor from before it is used behind it."""
    import keras

    # Some networks add and multiply between their layers: these steps are no layers, but count.
    steps = model.operations
    position = {id(step.output): index for index, step in enumerate(steps)}
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
