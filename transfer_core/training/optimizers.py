"""The optimizer of a phase: warm-up and cosine decay, weight decay, and a rate for each layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transfer_core.config import TrainingConfig
from transfer_core.training.layer_facts import layers_by_block
from transfer_core.training.schedule import PlannedPhase

if TYPE_CHECKING:
    import keras

_WARM_UP_SHARE = 0.1


def build_optimizer(
    phase: PlannedPhase, config: TrainingConfig, model: keras.Model, num_steps: int
) -> keras.optimizers.Optimizer:
    """Return the optimizer of a phase, its step size rising for a tenth of the steps and fading as a cosine.

    Large first steps would undo what is learned already, large last ones keep the loss from settling.

    Args:
        phase: For its learning rate.
        config: For the kind of optimizer.
        model: The whole classifier, for the names of its layers.
        num_steps: Batches in the phase.
    """
    import keras

    num_warm_up_steps = max(round(num_steps * _WARM_UP_SHARE), 1)
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0,
        decay_steps=max(num_steps - num_warm_up_steps, 1),
        warmup_target=phase.learning_rate,
        warmup_steps=num_warm_up_steps,
    )
    return make_optimizer(schedule, phase, config, model)


def make_optimizer(
    learning_rate: Any, phase: PlannedPhase, config: TrainingConfig, model: keras.Model
) -> keras.optimizers.Optimizer:
    """Return an optimizer with any learning rate or schedule of it."""
    import keras

    kinds: dict[str, tuple[Any, dict[str, float | None]]] = {
        "adam": (keras.optimizers.Adam, {}),
        "adamw": (keras.optimizers.AdamW, {"weight_decay": config.weight_decay}),
        "sgd": (
            keras.optimizers.SGD,
            {"momentum": config.momentum, "weight_decay": config.weight_decay or None},
        ),
    }
    kind, options = kinds[config.optimizer]
    if config.layer_decay < 1 and not phase.plan.is_all_frozen:
        optimizer = _layerwise(kind, _rate_shares(phase, config, model))(learning_rate, **options)
    else:
        optimizer = kind(learning_rate, **options)
    if optimizer.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


def _rate_shares(phase: PlannedPhase, config: TrainingConfig, model: keras.Model) -> dict[str, float]:
    """Say by which share of the rate each weight learns: the nearer to the input, the less."""
    shares = {}
    blocks = list(layers_by_block(model, phase.plan.backbone).items())
    for distance, (_block, names) in enumerate(reversed(blocks), 1):
        for name in names:
            for weight in model.get_layer(name).weights:
                shares[weight.path] = config.layer_decay**distance
    return shares


def _layerwise(kind: Any, shares: dict[str, float]) -> Any:
    class Layerwise(kind):  # type: ignore[misc]
        """The optimizer with a learning rate of its own for each weight."""

        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            path = self._trainable_variables[self._get_variable_index(variable)].path
            super().update_step(gradient, variable, learning_rate * shares.get(path, 1.0))

    return Layerwise
