"""A pretrained network as plain data: sizes, counts and origin, apart from the code that builds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from transfer_core.language import N_

if TYPE_CHECKING:
    import keras

# In a lineage, in place of a name.
RANDOM_WEIGHTS = N_("random weights")


@dataclass(frozen=True)
class Block:
    """A part of a network between two cuts: the unit of freezing.

    Args:
        name: Unique in its backbone, such as `"block3"`.
        last_layer: Name of the Keras layer that ends the block. All later layers depend on its output alone.
        output_size: Side of the square output feature map, in cells.
        num_channels: Channels of that feature map.
        num_parameters: All weights, as Keras counts them.
        num_trainable_parameters: Weights that train when the block is unfrozen. Without those of
            BatchNormalization, which runs in inference mode while fine-tuning.
        num_scratch_parameters: Weights that train when the network starts from random weights, those of
            BatchNormalization included.
        num_multiplications: Multiplications for one image.
    """

    name: str
    last_layer: str
    output_size: int
    num_channels: int
    num_parameters: int
    num_trainable_parameters: int
    num_scratch_parameters: int
    num_multiplications: int


class Weights(Protocol):
    """The weights source of a backbone: identifies, finds and loads its pretrained weights."""

    @property
    def checksum(self) -> str:
        """Identifies the exact weights; part of the key of every cached feature.

        Raises:
            WeightsError: If it is computed from the file, and the file is missing.
        """

    @property
    def are_available(self) -> bool:
        """Whether the weights are on this computer. Quick: reads no weights."""

    def load(self, model: keras.Model) -> None:
        """Set the weights of a built backbone.

        Raises:
            WeightsError: If the weights are missing, damaged or of another network.
        """


@dataclass(frozen=True)
class Backbone:
    """A pretrained network without its classifier, as plain data.

    Args:
        name: Identifier used in files and on the command line.
        title: Name on screen.
        family: Key in `families.py`.
        when_to_pick: A sentence on screen about what it is good for.
        image_size: Side of the square input, in pixels.
        smallest_image_size: Smallest side that the network can be built for, in pixels.
        preprocessing: How the built network scales raw pixels: `"caffe"`, `"tf"` or `"torch"` as in Keras, or
            `"inside"` where the network's own layers do it.
        blocks: From input to output; together they cover every layer.
        megabytes: Size of the weights file, in MB (10^6 bytes). Four bytes for each parameter where Keras does
            not publish the size.
        imagenet_accuracy: Top-1 accuracy on the ImageNet validation set, 0-1; None if unknown.
        accuracy_source: Who published that accuracy.
        licence: SPDX identifier of the licence of the weights.
        weights_source: A sentence on screen about where the weights come from.
        weights: Loads the weights.
        architecture: Returns the Keras model with fresh weights: raw RGB pixels in 0-255,
            `[batch, image_size, image_size, 3]`, to a feature map. Scaling happens inside.
        network: Name of the published backbone with the same architecture; `name` for a published one.
        lineage: What it was trained on before, the latest first, such as `("ImageNet",)`.
        hidden: Whether only tests use it.
        is_frozen_only: Whether no block can be unfrozen, since its layers see several views of a photo.
    """

    name: str
    title: str
    family: str
    when_to_pick: str
    image_size: int
    smallest_image_size: int
    preprocessing: str
    blocks: tuple[Block, ...]
    megabytes: float
    imagenet_accuracy: float | None
    accuracy_source: str
    licence: str
    weights_source: str
    weights: Weights
    architecture: Callable[[], keras.Model]
    network: str
    lineage: tuple[str, ...]
    hidden: bool = False
    is_frozen_only: bool = False

    def build(self, *, pretrained: bool = True) -> keras.Model:
        """Build the network.

        Args:
            pretrained: Whether to load the pretrained weights.

        Returns:
            A flat functional model. Layer names are the same every time.

        Raises:
            WeightsError: If the pretrained weights are missing or damaged.
        """
        model = self.architecture()
        if pretrained:
            self.weights.load(model)
        return model

    @property
    def is_own(self) -> bool:
        """Whether it is a person's own model."""
        return self.network != self.name

    @property
    def max_unfrozen_blocks(self) -> int:
        """How many blocks can be unfrozen."""
        return 0 if self.is_frozen_only else len(self.blocks)

    @property
    def num_parameters(self) -> int:
        """All weights, without a classifier."""
        return sum(block.num_parameters for block in self.blocks)

    @property
    def num_multiplications(self) -> int:
        """Multiplications for one image; the time of a forward pass grows with it."""
        return sum(block.num_multiplications for block in self.blocks)

    @property
    def num_features(self) -> int:
        """Length of the feature vector of one image, after pooling."""
        return self.blocks[-1].num_channels
