"""Decide which layers are frozen, and derive the boundary and the parameter counts from it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from transfer_core.backbones.backbone import Backbone, Block
from transfer_core.backbones.registry import get_backbone
from transfer_core.config import Head, TrainingConfig
from transfer_core.errors import InvalidConfigError
from transfer_core.language import _, names_list
from transfer_core.training.heads import LINEAR_HEADS
from transfer_core.training.layer_facts import LayerFacts, layer_facts, layers_by_block

if TYPE_CHECKING:
    import keras

POOLING_LAYER = "pooling"


@dataclass(frozen=True)
class FreezePlan:
    """Which layers of a backbone are frozen while a new head is trained.

    BatchNormalization runs in inference mode in unfrozen blocks too: on few images its running statistics would
    drift away from what the other layers expect. It is trained only in a network with random weights, which
    expects nothing yet.

    Args:
        backbone: The pretrained network.
        num_unfrozen_blocks: How many blocks are trainable, counted from the output.
        unfrozen_layers: Names of further trainable layers.
        is_from_scratch: Whether the network starts from random weights.
        head: The new layers on top.
        hidden_units: Size of the hidden layer of the head `"hidden"`.

    Raises:
        InvalidConfigError: If the backbone has fewer blocks.
    """

    backbone: Backbone
    num_unfrozen_blocks: int = 0
    unfrozen_layers: tuple[str, ...] = ()
    is_from_scratch: bool = False
    head: Head = "linear"
    hidden_units: int = 128

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

    @classmethod
    def of(cls, config: TrainingConfig, backbone: Backbone | None = None) -> FreezePlan:
        """Return the plan that a config describes.

        Args:
            config: The choices.
            backbone: The backbone that the config names; the published one of that name if not given.

        Raises:
            InvalidConfigError: If the backbone has fewer blocks or no such layers, or cannot be trained at all.
            NotFoundError: If it is not given and there is no such published backbone.
        """
        backbone = backbone or get_backbone(config.backbone)
        if backbone.is_frozen_only and config.unfreezes:
            raise InvalidConfigError(
                _(
                    "{title} looks at each photo several times, so all of it is frozen. Choose 0 blocks, or "
                    "choose another model."
                ).format(title=backbone.title)
            )
        is_from_scratch = config.weights == "random"
        plan = cls(
            backbone,
            len(backbone.blocks) if is_from_scratch else config.num_unfrozen_blocks,
            () if is_from_scratch else config.unfrozen_layers,
            is_from_scratch,
            # Until the training has chosen one, the head that it chooses most often.
            "average" if config.head == "auto" else config.head,
            config.hidden_units,
        )
        plan.check_layers()
        return plan

    def with_unfrozen(self, num_blocks: int, layers: tuple[str, ...] = ()) -> FreezePlan:
        """Return the plan with other unfrozen blocks and layers."""
        return replace(self, num_unfrozen_blocks=num_blocks, unfrozen_layers=layers)

    def check_layers(self) -> None:
        """Raise unless every layer in `unfrozen_layers` exists and has weights to train.

        Raises:
            InvalidConfigError: If not; the message names some that can be trained.
        """
        if not self.unfrozen_layers:
            return
        known = [layer.name for layer in layer_facts(self.backbone) if layer.can_learn]
        unknown = [name for name in self.unfrozen_layers if name not in known]
        if unknown:
            raise InvalidConfigError(
                _("{title} has no layers called {names} that can learn. Some that can are: {known}.").format(
                    title=self.backbone.title, names=names_list(unknown), known=names_list(known[-5:])
                )
            )

    @property
    def frozen_blocks(self) -> tuple[Block, ...]:
        """Frozen blocks from the input on; single layers in them may be unfrozen."""
        return self.backbone.blocks[: len(self.backbone.blocks) - self.num_unfrozen_blocks]

    @property
    def unfrozen_blocks(self) -> tuple[Block, ...]:
        """Trainable blocks."""
        return self.backbone.blocks[len(self.frozen_blocks) :]

    @property
    def is_all_frozen(self) -> bool:
        """Whether only the head is trainable."""
        return not (self.unfrozen_blocks or self.unfrozen_layers)

    @property
    def boundary_layer(self) -> str | None:
        """Name of the last layer whose output depends on frozen layers alone; None if there is none.

        With every block frozen it is the pooling layer, which has no weights.
        """
        if self.unfrozen_layers:
            return self._boundary_before_layers()
        if self.is_all_frozen and self.head != "flattened_map":
            return POOLING_LAYER
        return self.frozen_blocks[-1].last_layer if self.frozen_blocks else None

    def _boundary_before_layers(self) -> str | None:
        boundary = None
        for layer in layer_facts(self.backbone):
            if self._is_trainable(layer):
                break
            # Don't cut before the first weighted layer: that would only cache larger copies of the pixels.
            if layer.is_cut and (boundary or layer.num_parameters):
                boundary = layer.name
        return boundary

    def _is_trainable(self, layer: LayerFacts) -> bool:
        is_in_block = layer.block_name in {block.name for block in self.unfrozen_blocks}
        return layer.can_learn and (is_in_block or layer.name in self.unfrozen_layers)

    def num_head_parameters(self, num_classes: int) -> int:
        """Count the weights of the head, biases included."""
        num_inputs = self.backbone.num_features
        if self.head == "flattened_map":
            num_inputs *= self.backbone.blocks[-1].output_size ** 2
        if self.head in LINEAR_HEADS:
            # The mean, and a variance of one, in front of the weights.
            return 2 * num_inputs + (num_inputs + 1) * num_classes
        if self.head == "hidden":
            return (num_inputs + 1) * self.hidden_units + (self.hidden_units + 1) * num_classes
        return (num_inputs + 1) * num_classes

    def num_trainable_parameters(self, num_classes: int) -> int:
        """Count the trainable weights, as Keras does."""
        if self.unfrozen_layers:
            layers = layer_facts(self.backbone)
            unfrozen = sum(layer.num_parameters for layer in layers if self._is_trainable(layer))
        else:
            unfrozen = sum(self._num_trainable(block) for block in self.unfrozen_blocks)
        num_head = self.num_head_parameters(num_classes)
        if self.head in LINEAR_HEADS:
            num_head -= 2 * self.backbone.num_features
        return unfrozen + num_head

    def _num_trainable(self, block: Block) -> int:
        return block.num_scratch_parameters if self.is_from_scratch else block.num_trainable_parameters

    def num_frozen_parameters(self, num_classes: int) -> int:
        """Count the frozen weights, as Keras does."""
        total = self.backbone.num_parameters + self.num_head_parameters(num_classes)
        return total - self.num_trainable_parameters(num_classes)

    def apply(self, model: keras.Model) -> None:
        """Set `trainable` of each layer of a classifier. Keras applies it at the next `compile`."""
        import keras

        by_block = layers_by_block(model, self.backbone)
        unfrozen_names = {name for block in self.unfrozen_blocks for name in by_block[block]}
        unfrozen_names.update(self.unfrozen_layers)
        backbone_names = set().union(*by_block.values())
        for layer in model.layers:
            if layer.name in backbone_names:
                is_normalization = isinstance(layer, keras.layers.BatchNormalization)
                layer.trainable = layer.name in unfrozen_names and (
                    self.is_from_scratch or not is_normalization
                )
