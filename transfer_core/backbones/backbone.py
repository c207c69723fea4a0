"""The facts about a pretrained network, apart from the code that builds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Block:
    """A natural piece of a network: the unit in which a person freezes.

    Args:
        name: Short name, unique in its backbone, such as `"block3"`.
        last_layer: Name of the Keras layer whose output leaves the block.
        output_size: Side of the square feature map that leaves it, in cells.
        num_channels: Depth of that feature map.
        num_parameters: All its weights, as Keras counts them.
        num_trainable_parameters: Those that learn when the block is unfrozen. BatchNormalization stays
            in inference mode while fine-tuning, so its weights are not among them.
    """

    name: str
    last_layer: str
    output_size: int
    num_channels: int
    num_parameters: int
    num_trainable_parameters: int


@dataclass(frozen=True)
class Backbone:
    """A pretrained network without its classifier, as plain data.

    Args:
        name: Identifier used in files and on the command line.
        title: Name for people.
        speed_label: One or two words that place it among the others.
        when_to_pick: One plain sentence.
        image_size: Side of the square input, in pixels.
        blocks: From input to output; together they cover every layer.
        megabytes: Size of the weights file, in MB (10^6 bytes).
        imagenet_accuracy: Top-1 accuracy on the ImageNet validation photos as its authors published it
            (EfficientNet-Lite: the FP32 numbers in models/official/efficientnet/lite/README.md of the repository
            tensorflow/tpu), between 0 and 1, or None when it has none.
        licence: SPDX identifier of the licence of the weights.
        weights_source: Where the weights come from, in words.
        weights_sha256: Checksum of the weights file; part of the key of every cached feature.
        build: Returns the Keras model: raw RGB pixels in 0-255, `[batch, image_size, image_size, 3]`, to a
            feature map. Scaling happens inside.
        hidden: Kept out of the pages (a tiny network for tests).
    """

    name: str
    title: str
    speed_label: str
    when_to_pick: str
    image_size: int
    blocks: tuple[Block, ...]
    megabytes: float
    imagenet_accuracy: float | None
    licence: str
    weights_source: str
    weights_sha256: str
    build: Callable[[], keras.Model]
    hidden: bool = False

    @property
    def num_parameters(self) -> int:
        """All weights of the network, without a classifier."""
        return sum(block.num_parameters for block in self.blocks)

    @property
    def num_features(self) -> int:
        """Length of the vector that describes one image after pooling."""
        return self.blocks[-1].num_channels
