"""Preload TensorFlow in the fork server, so that forked processes start without delay.

Use one thread and a checkpoint after every epoch, because tiny trainings would end before their first checkpoint.
"""

from transfer_core.backbones.runtime import load_keras

load_keras(1)

from transfer_core.training import phase_trainer  # noqa: E402  (Keras first, with its threads)

phase_trainer._SECONDS_BETWEEN_CHECKPOINTS = 0.0
