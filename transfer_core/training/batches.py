"""Batches of cached features, in an order that a seed fixes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

Batch = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]


@dataclass(frozen=True)
class LabelledFeatures:
    """The features of one split with their labels; rows are read from disk as they are needed.

    Args:
        features: Memory-mapped, one row for each image of the dataset.
        rows: Which rows belong to the split.
        labels: Class index of each of these rows.
    """

    features: np.ndarray[Any, Any]
    rows: np.ndarray[Any, Any]
    labels: np.ndarray[Any, Any]

    def num_batches(self, batch_size: int) -> int:
        """How many batches cover every row once."""
        return -(-len(self.rows) // batch_size)

    def batches(self, batch_size: int, order: np.ndarray[Any, Any] | None = None) -> Iterator[Batch]:
        """Yield features (float32) and labels, each row once; the last batch may be smaller.

        Args:
            batch_size: Rows in one batch.
            order: Positions among the rows; as they are if not given.
        """
        positions = np.arange(len(self.rows)) if order is None else order
        for start in range(0, len(positions), batch_size):
            chosen = positions[start : start + batch_size]
            yield self.features[self.rows[chosen]].astype(np.float32), self.labels[chosen]

    def shuffled_batches(self, batch_size: int, seed: int, epoch: int) -> Iterator[Batch]:
        """Yield batches in the order that belongs to this seed and epoch, whatever other threads do."""
        order = np.random.default_rng([seed, epoch]).permutation(len(self.rows))
        return self.batches(batch_size, order)
