"""Which parts of a network learn, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from transfer_core.backbones.backbone import Backbone, Block
from transfer_core.backbones.registry import get_backbone
from transfer_core.config import Head, TrainingConfig
from transfer_core.errors import InvalidConfigError
from transfer_core.language import _
from transfer_core.training.layer_facts import LayerFacts, layer_facts, layers_by_block

if TYPE_CHECKING:
    import keras

POOLING_LAYER = "pooling"


@dataclass(frozen=True)
class FreezePlan:
    """Says which layers stay as they are.

    BatchNormalization stays in inference mode in unfrozen blocks too: on few images its running statistics
    would drift away from what the other layers expect. Only a network that starts from random weights has
    nothing to drift away from; there it learns.

    Args:
        backbone: The pretrained network.
        num_unfrozen_blocks: How many blocks learn along, counted from the output.
        unfrozen_layers: Names of single layers that learn along as well.
        is_from_scratch: Whether the network starts from random weights.
        head: The new layers on top.
        hidden_units: Size of the hidden layer, where the head has one.

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
        """Return what the choices of a run mean for its backbone.

        Args:
            config: The choices.
            backbone: The one that the config names; the published one of that name if not given.

        Raises:
            InvalidConfigError: If the backbone has fewer blocks or no such layers.
            NotFoundError: If it is not given and there is no such published backbone.
        """
        backbone = backbone or get_backbone(config.backbone)
        is_from_scratch = config.weights == "random"
        plan = cls(
            backbone,
            len(backbone.blocks) if is_from_scratch else config.num_unfrozen_blocks,
            () if is_from_scratch else config.unfrozen_layers,
            is_from_scratch,
            # Until it is chosen: the one that is chosen most often.
            "hidden" if config.head == "auto" else config.head,
            config.hidden_units,
        )
        plan.check_layers()
        return plan

    def with_unfrozen(self, num_blocks: int, layers: tuple[str, ...] = ()) -> FreezePlan:
        """Return the plan with another depth."""
        return replace(self, num_unfrozen_blocks=num_blocks, unfrozen_layers=layers)

    def check_layers(self) -> None:
        """Make sure that the single layers are there and can learn.

        Raises:
            InvalidConfigError: If one is not; the message names some that can.
        """
        if not self.unfrozen_layers:
            return
        known = [layer.name for layer in layer_facts(self.backbone) if layer.can_learn]
        unknown = [name for name in self.unfrozen_layers if name not in known]
        if unknown:
            raise InvalidConfigError(
                _("{title} has no layers called {names} that can learn. Some that can are: {known}.").format(
                    title=self.backbone.title, names=", ".join(unknown), known=", ".join(known[-5:])
                )
            )

    @property
    def frozen_blocks(self) -> tuple[Block, ...]:
        """Blocks that stay as they are, from the input on, but for single layers."""
        return self.backbone.blocks[: len(self.backbone.blocks) - self.num_unfrozen_blocks]

    @property
    def unfrozen_blocks(self) -> tuple[Block, ...]:
        """Blocks that learn along with the new layers."""
        return self.backbone.blocks[len(self.frozen_blocks) :]

    @property
    def is_all_frozen(self) -> bool:
        """Whether only the new layers learn."""
        return not (self.unfrozen_blocks or self.unfrozen_layers)

    @property
    def boundary_layer(self) -> str | None:
        """The layer whose output is the last that depends on frozen layers alone; None if there is none.

        Pooling has no weights, so with every block frozen it is computed once as well.
        """
        if self.unfrozen_layers:
            return self._boundary_before_layers()
        if self.is_all_frozen and self.head != "flattened_map":
            return POOLING_LAYER
        return self.frozen_blocks[-1].last_layer if self.frozen_blocks else None

    def _boundary_before_layers(self) -> str | None:
        boundary = None
        for layer in layer_facts(self.backbone):
            if self._learns(layer):
                break
            # What has no weight before it is as good as the pixels, and larger.
            if layer.is_cut and (boundary or layer.num_parameters):
                boundary = layer.name
        return boundary

    def _learns(self, layer: LayerFacts) -> bool:
        is_in_block = layer.block_name in {block.name for block in self.unfrozen_blocks}
        return layer.can_learn and (is_in_block or layer.name in self.unfrozen_layers)

    def num_head_parameters(self, num_classes: int) -> int:
        """Weights of the new layers: of each, one for each input and output, and one more for each output."""
        num_inputs = self.backbone.num_features
        if self.head == "flattened_map":
            num_inputs *= self.backbone.blocks[-1].output_size ** 2
        if self.head == "hidden":
            return (num_inputs + 1) * self.hidden_units + (self.hidden_units + 1) * num_classes
        return (num_inputs + 1) * num_classes

    def num_trainable_parameters(self, num_classes: int) -> int:
        """Weights that learn, as Keras counts them."""
        if self.unfrozen_layers:
            layers = layer_facts(self.backbone)
            unfrozen = sum(layer.num_parameters for layer in layers if self._learns(layer))
        else:
            unfrozen = sum(self._num_trainable(block) for block in self.unfrozen_blocks)
        return unfrozen + self.num_head_parameters(num_classes)

    def _num_trainable(self, block: Block) -> int:
        return block.num_scratch_parameters if self.is_from_scratch else block.num_trainable_parameters

    def num_frozen_parameters(self, num_classes: int) -> int:
        """Weights that stay as they are, as Keras counts them."""
        total = self.backbone.num_parameters + self.num_head_parameters(num_classes)
        return total - self.num_trainable_parameters(num_classes)

    def apply(self, model: keras.Model) -> None:
        """Freeze and unfreeze the layers of a classifier. Compile it afterwards, or Keras ignores it."""
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
