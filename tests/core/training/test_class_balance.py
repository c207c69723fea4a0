"""Small classes count as much as large ones, by weight or by number."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.records import ImageRecord
from transfer_core.training.batches import LabelledFeatures, epoch_order
from transfer_core.training.class_balance import class_weights, imbalance


@pytest.fixture
def uneven(color_dataset: ImageDataset) -> ImageDataset:
    """Thirty blue images and ten red ones; those for validation do not count."""
    images = [ImageRecord(f"b{n}", "blue", "") for n in range(30)]
    images += [ImageRecord(f"r{n}", "red", "") for n in range(10)]
    images += [ImageRecord(f"v{n}", "red", "", "validation") for n in range(50)]
    return replace(color_dataset, class_names=("blue", "red"), images=tuple(images))


def test_ratio_of_the_largest_class_to_the_smallest(uneven: ImageDataset) -> None:
    assert imbalance(uneven) == 3.0


def test_weights_make_all_classes_equal_and_the_mean_image_one(uneven: ImageDataset) -> None:
    weights = class_weights(uneven, TrainingConfig(class_weights="on"))
    assert weights is not None
    assert weights["blue"] * 30 == pytest.approx(weights["red"] * 10)
    assert (weights["blue"] * 30 + weights["red"] * 10) / 40 == pytest.approx(1)


@pytest.mark.parametrize(
    ("num_red", "choices", "is_weighted"),
    [
        (10, {}, True),
        (20, {}, False),
        (19, {}, True),
        (10, {"class_weights": "off"}, False),
        (30, {"class_weights": "on"}, True),
        (10, {"oversampling": True}, False),
    ],
)
def test_automatic_beyond_one_and_a_half(num_red, choices, is_weighted, uneven: ImageDataset) -> None:
    images = [ImageRecord(f"b{n}", "blue", "") for n in range(30)]
    images += [ImageRecord(f"r{n}", "red", "") for n in range(num_red)]
    dataset = replace(uneven, images=tuple(images))
    assert (class_weights(dataset, TrainingConfig(**choices)) is not None) == is_weighted


def test_oversampling_shows_every_image_and_all_classes_as_often() -> None:
    labels = np.array([0] * 7 + [1] * 3)
    order = epoch_order(labels, True, seed=1, epoch=1)
    assert np.bincount(labels[order]).tolist() == [7, 7]
    assert set(order) == set(range(10))
    assert np.bincount(order)[7:].max() == 3
    np.testing.assert_array_equal(order, epoch_order(labels, True, seed=1, epoch=1))
    assert not np.array_equal(order, epoch_order(labels, True, seed=1, epoch=2))


def test_batches_of_an_oversampled_epoch() -> None:
    labels = np.array([0] * 7 + [1] * 3)
    labelled = LabelledFeatures(np.zeros((10, 2)), np.arange(10), labels, has_oversampling=True)
    batches = list(labelled.shuffled_batches(4, seed=1, epoch=1))
    assert len(batches) == labelled.num_batches(4) == 4
    assert sum(len(seen) for _features, seen in batches) == 14


def test_each_epoch_draws_one_view_of_each_image() -> None:
    rows = np.arange(12).reshape(4, 3)
    labelled = LabelledFeatures(np.arange(12.0)[:, np.newaxis], rows, np.arange(4))

    def seen(epoch: int) -> dict[int, int]:
        batches = labelled.shuffled_batches(3, seed=1, epoch=epoch)
        return {
            int(label): int(row[0])
            for features, some in batches
            for row, label in zip(features, some, strict=True)
        }

    epochs = [seen(epoch) for epoch in range(1, 20)]
    assert all(row in rows[image] for epoch in epochs for image, row in epoch.items())
    assert {epoch[0] for epoch in epochs} == {0, 1, 2}
    assert seen(3) == epochs[2]
    # Validation uses the unchanged image.
    assert [int(f[0, 0]) for f, _labels in labelled.batches(1)] == [0, 3, 6, 9]


def test_an_epoch_can_begin_in_the_middle() -> None:
    labelled = LabelledFeatures(np.arange(10.0)[:, np.newaxis], np.arange(10), np.arange(10))
    whole = list(labelled.shuffled_batches(3, seed=1, epoch=2))
    rest = list(labelled.shuffled_batches(3, seed=1, epoch=2, first=2))
    assert len(rest) == 2
    for (features, labels), (others, other_labels) in zip(whole[2:], rest, strict=True):
        np.testing.assert_array_equal(features, others)
        np.testing.assert_array_equal(labels, other_labels)
