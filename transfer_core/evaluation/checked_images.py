"""The images behind the outcomes of an evaluation."""

from __future__ import annotations

from dataclasses import dataclass

from transfer_core.data.dataset import ImageDataset
from transfer_core.data.records import ImageRecord
from transfer_core.evaluation.evaluation import Evaluation, ImageOutcome


@dataclass(frozen=True)
class CheckedImage:
    """An image of a dataset, and what became of it.

    Args:
        image: The image as it is in the dataset now.
        outcome: What the model said of it.
    """

    image: ImageRecord
    outcome: ImageOutcome


def checked_images(evaluation: Evaluation, dataset: ImageDataset) -> list[CheckedImage]:
    """Return the images of an evaluation that are still in the dataset: the mistakes first, the surest of them ahead.

    Args:
        evaluation: Of a run on images of the dataset.
        dataset: Where they are.
    """
    found = [
        CheckedImage(dataset.by_id[outcome.image_id], outcome)
        for outcome in evaluation.outcomes
        if outcome.image_id in dataset.by_id
    ]
    return sorted(found, key=lambda one: (one.outcome.is_right, one.outcome.true_probability))
