"""Build the optimizer of a phase: warm-up and cosine decay, weight decay, layer-wise learning rates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transfer_core.config import TrainingConfig
from transfer_core.training.layer_facts import layers_by_block
from transfer_core.training.layer_rates import with_rate_shares
from transfer_core.training.schedule import PlannedPhase

if TYPE_CHECKING:
    import keras

_WARM_UP_SHARE = 0.1


def learning_rate_schedule(
    learning_rate: float, num_steps: int
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Return a schedule of linear warm-up for a tenth of the steps, then cosine decay.

    Large first steps would damage pretrained weights, and large last steps keep the loss from converging. The rate
    of every step is above 0, the first and last included; a single step has the full rate.

    Args:
        learning_rate: Peak, reached by the last step of the warm-up.
        num_steps: Batches in the phase, at least 1.
    """
    import keras

    num_warm_up_steps = max(round(num_steps * _WARM_UP_SHARE), 1)
    return keras.optimizers.schedules.CosineDecay(
        # Keras counts steps from 0, so a warm-up from 0 would give the first step a rate of 0.
        initial_learning_rate=learning_rate / num_warm_up_steps,
        warmup_target=learning_rate,
        warmup_steps=num_warm_up_steps - 1,
        # One step more than there are, because the cosine ends at 0.
        decay_steps=num_steps - num_warm_up_steps + 1,
    )


def build_optimizer(
    phase: PlannedPhase,
    config: TrainingConfig,
    model: keras.Model,
    num_steps: int,
    pace: keras.Variable | None = None,
) -> keras.optimizers.Optimizer:
    """Return the optimizer of a phase, with `learning_rate_schedule`.

    Where layers compute in float16 it scales the loss, and skips steps whose gradients are too large for float16.

    Args:
        phase: For its learning rate and what is trainable.
        config: For the kind of optimizer.
        model: The whole classifier.
        num_steps: Batches in the phase.
        pace: Steps of the schedule for each step of the optimizer; 1 if not given.
    """
    import keras

    schedule = learning_rate_schedule(phase.learning_rate, num_steps)
    optimizer = make_optimizer(schedule if pace is None else _paced(schedule, pace), phase, config, model)
    if config.mixed_precision and not phase.plan.is_all_frozen:
        return keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer


def _paced(
    schedule: keras.optimizers.schedules.LearningRateSchedule, pace: keras.Variable
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Return a schedule whose pace is a variable: the same graph then serves epochs of another length.

    A pace of 1 leaves every rate the same to the bit.
    """
    import keras

    class Paced(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
        """The schedule at another pace."""

        def __call__(self, step: Any) -> Any:
            return schedule(keras.ops.cast(step, "float32") * pace)

        def get_config(self) -> dict[str, Any]:
            return dict(schedule.get_config())

    return Paced()


def make_optimizer(
    learning_rate: Any, phase: PlannedPhase, config: TrainingConfig, model: keras.Model
) -> keras.optimizers.Optimizer:
    """Return the optimizer of a phase with a learning rate or a schedule."""
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
        shares = layer_rate_shares(phase, config, model)
        paths = {
            weight.path: share for name, share in shares.items() for weight in model.get_layer(name).weights
        }
        kind = with_rate_shares(kind, paths)
    optimizer = kind(learning_rate, **options)
    _skip_sum_over_replicas(optimizer)
    if optimizer.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


def _skip_sum_over_replicas(optimizer: keras.optimizers.Optimizer) -> None:
    """Skip the sum of gradients over replicas, which makes TensorFlow keep every graph in a registry forever."""
    # Private in Keras, which offers no public way to skip that sum.
    if hasattr(optimizer, "_all_reduce_sum_gradients"):
        optimizer._all_reduce_sum_gradients = list


def layer_rate_shares(phase: PlannedPhase, config: TrainingConfig, model: keras.Model) -> dict[str, float]:
    """Return the factor on the learning rate of each layer of the backbone, smaller towards the input.

    Args:
        phase: For its backbone.
        config: For the layer decay.
        model: The backbone, or a classifier on it.
    """
    blocks = list(layers_by_block(model, phase.plan.backbone).values())
    return {
        name: config.layer_decay**distance
        for distance, names in enumerate(reversed(blocks), 1)
        for name in names
    }
