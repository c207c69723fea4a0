"""Which blocks of a backbone learn, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from transfer_core.backbones.backbone import Backbone, Block
from transfer_core.errors import InvalidConfigError
from transfer_core.language import _

if TYPE_CHECKING:
    import keras

POOLING_LAYER = "pooling"


@dataclass(frozen=True)
class FreezePlan:
    """Says which blocks stay as they are.

    Args:
        backbone: The pretrained network.
        num_unfrozen_blocks: How many blocks learn along, counted from the output.

    Raises:
        InvalidConfigError: If the backbone has fewer blocks.
    """

    backbone: Backbone
    num_unfrozen_blocks: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.num_unfrozen_blocks <= len(self.backbone.blocks):
            raise InvalidConfigError(
                _(
                    "{title} has {count} blocks, so {wanted} of them cannot be unfrozen. Choose 0 to {count}."
                ).format(
                    title=self.backbone.title,
                    count=len(self.backbone.blocks),
                    wanted=self.num_unfrozen_blocks,
                )
            )

    @property
    def frozen_blocks(self) -> tuple[Block, ...]:
        """Blocks that stay as they are, from the input on."""
        return self.backbone.blocks[: len(self.backbone.blocks) - self.num_unfrozen_blocks]

    @property
    def unfrozen_blocks(self) -> tuple[Block, ...]:
        """Blocks that learn along with the new layer."""
        return self.backbone.blocks[len(self.frozen_blocks) :]

    @property
    def boundary_layer(self) -> str | None:
        """The layer whose output is the last that depends on frozen layers alone; None if nothing is frozen.

        Pooling has no weights, so with every block frozen it is computed once as well.
        """
        if not self.unfrozen_blocks:
            return POOLING_LAYER
        return self.frozen_blocks[-1].last_layer if self.frozen_blocks else None

    def num_head_parameters(self, num_classes: int) -> int:
        """Weights of the new last layer: one for each feature and class, and one more for each class."""
        return (self.backbone.num_features + 1) * num_classes

    def num_trainable_parameters(self, num_classes: int) -> int:
        """Weights that learn, as Keras counts them."""
        unfrozen = sum(block.num_trainable_parameters for block in self.unfrozen_blocks)
        return unfrozen + self.num_head_parameters(num_classes)

    def num_frozen_parameters(self, num_classes: int) -> int:
        """Weights that stay as they are, as Keras counts them."""
        total = self.backbone.num_parameters + self.num_head_parameters(num_classes)
        return total - self.num_trainable_parameters(num_classes)

    def apply(self, model: keras.Model) -> None:
        """Freeze and unfreeze the layers of a classifier. Compile it afterwards, or Keras ignores it.

        BatchNormalization stays frozen in unfrozen blocks too: on few images its running statistics would
        drift away from what the other layers expect.
        """
        import keras

        by_block = layers_by_block(model, self.backbone)
        unfrozen_names = {name for block in self.unfrozen_blocks for name in by_block[block]}
        backbone_names = set().union(*by_block.values())
        for layer in model.layers:
            if layer.name in backbone_names:
                layer.trainable = layer.name in unfrozen_names and not isinstance(
                    layer, keras.layers.BatchNormalization
                )


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
