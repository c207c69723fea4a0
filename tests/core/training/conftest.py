"""Choices for tests that train."""

from __future__ import annotations

import pytest

from transfer_core.config import TrainingConfig


@pytest.fixture(scope="session")
def even_config(tiny_config: TrainingConfig) -> TrainingConfig:
    """Tiny choices with batches of one size: for a smaller last batch Keras traces each step again."""
    return tiny_config.with_changes(batch_size=6)
