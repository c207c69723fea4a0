"""Loaded once by the process that all others are forked from, so that each starts at once with TensorFlow.

One thread, and a checkpoint after every epoch: tiny trainings would otherwise be over before their first.
"""

from transfer_core.backbones.runtime import load_keras

load_keras(1)

from transfer_core.training import phase_trainer  # noqa: E402  (Keras first, with its threads)

phase_trainer._SECONDS_BETWEEN_CHECKPOINTS = 0.0
