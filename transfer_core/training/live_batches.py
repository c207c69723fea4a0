"""Training images varied anew in every epoch: more variety than kept views, at the price of every pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from transfer_core.data.images.augmentation import Augmentation, Pixels
from transfer_core.data.parallel import map_ahead
from transfer_core.training.batches import Batch, epoch_order, targets_of
from transfer_core.training.constant_graph import Forward
from transfer_core.training.feature_table import FeatureTable


@dataclass(frozen=True)
class LiveBatches:
    """Batches of images that are varied and sent through the frozen part when they are asked for.

    Args:
        pixels: Raw pixels in 0-255, one row for each image.
        image_ids: Names of the images.
        labels: Class index of each.
        augmentation: How they are varied.
        forward: The frozen part, None when nothing is frozen.
        has_oversampling: Whether small classes come as often as the largest.
        answers: What a larger model says of each image as it is, `[num_images, num_classes]`, or None.
    """

    pixels: FeatureTable
    image_ids: Sequence[str]
    labels: np.ndarray[Any, Any]
    augmentation: Augmentation
    forward: Forward | None
    has_oversampling: bool = False
    answers: np.ndarray[Any, Any] | None = None

    def num_batches(self, batch_size: int) -> int:
        """How many batches are one epoch."""
        return -(-len(epoch_order(self.labels, self.has_oversampling, 0, 0)) // batch_size)

    def shuffled_batches(self, batch_size: int, seed: int, epoch: int, first: int = 0) -> Iterator[Batch]:
        """Yield batches whose order and views belong to this seed and epoch, from the batch `first` on."""
        order = epoch_order(self.labels, self.has_oversampling, seed, epoch)[first * batch_size :]

        def view(position: int) -> Pixels:
            pixels = self.pixels[np.array([position])][0]
            return self.augmentation.view(pixels, self.image_ids[position], seed, epoch)

        views = map_ahead(view, order, num_ahead=2 * batch_size)
        for start in range(0, len(order), batch_size):
            pixels = np.stack(list(islice(views, batch_size)))
            features = self.forward(pixels) if self.forward else pixels.astype(np.float32)
            yield features, targets_of(self.labels, self.answers, order[start : start + batch_size])
