"""The facts about a pretrained network, apart from the code that builds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Block:
    """A natural piece of a network: the unit in which a person freezes.

    Args:
        name: Short name, unique in its backbone, such as `"block3"`.
        last_layer: Name of the Keras layer whose output leaves the block. Everything behind it depends on that
            output alone.
        output_size: Side of the square feature map that leaves it, in cells.
        num_channels: Depth of that feature map.
        num_parameters: All its weights, as Keras counts them.
        num_trainable_parameters: Those that learn when the block is unfrozen. BatchNormalization stays
            in inference mode while fine-tuning, so its weights are not among them.
        num_scratch_parameters: Those that learn when the network starts from random weights;
            BatchNormalization learns then.
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
    """Where the pretrained weights of a backbone come from."""

    @property
    def checksum(self) -> str:
        """Names the very numbers; part of the key of every cached feature.

        Raises:
            WeightsError: If it can only be told from the file, and the file is missing.
        """

    @property
    def are_available(self) -> bool:
        """Whether they are on this computer: a quick look, which does not read them."""

    def load(self, model: keras.Model) -> None:
        """Put them into the backbone.

        Raises:
            WeightsError: If they are missing, damaged or those of another network.
        """


@dataclass(frozen=True)
class Backbone:
    """A pretrained network without its classifier, as plain data.

    Args:
        name: Identifier used in files and on the command line.
        title: Name for people.
        family: Key of the family it belongs to, as `families.py` has it.
        when_to_pick: One plain sentence.
        image_size: Side of the square input, in pixels.
        smallest_image_size: The least that the network can be built for, in pixels.
        preprocessing: What turns raw pixels into what the network was trained with; it sits inside the built
            network: `"caffe"`, `"tf"`, `"torch"` as Keras calls them, or `"inside"` where the network's own
            layers do it.
        blocks: From input to output; together they cover every layer.
        megabytes: Size of the weights file, in MB (10^6 bytes); of a file that is not here yet, four bytes for
            each parameter.
        imagenet_accuracy: Top-1 accuracy on the ImageNet validation photos, between 0 and 1, or None when it has
            none.
        accuracy_source: Who published that accuracy.
        licence: SPDX identifier of the licence of the weights.
        weights_source: Where the weights come from, in words.
        weights: Gets them.
        architecture: Returns the Keras model with fresh weights: raw RGB pixels in 0-255,
            `[batch, image_size, image_size, 3]`, to a feature map. Scaling happens inside.
        network: Name of the published network that it is built as, for a person's own model; its own otherwise.
        lineage: What it learned before, the latest first, such as `("ImageNet",)`.
        hidden: Kept out of the pages (a tiny network for tests).
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

    def build(self, *, pretrained: bool = True) -> keras.Model:
        """Build the network.

        Args:
            pretrained: Whether it gets the pretrained weights; otherwise its weights are fresh.

        Returns:
            A flat functional model; its layers have the same names every time.

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
    def num_parameters(self) -> int:
        """All weights of the network, without a classifier."""
        return sum(block.num_parameters for block in self.blocks)

    @property
    def num_multiplications(self) -> int:
        """Multiplications for one image: what decides how long a look takes."""
        return sum(block.num_multiplications for block in self.blocks)

    @property
    def num_features(self) -> int:
        """Length of the vector that describes one image after pooling."""
        return self.blocks[-1].num_channels
